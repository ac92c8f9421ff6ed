"""Every route of the OpenAPI document, called by schemathesis with what fits the document and with what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.fuzz.fuzzers import fuzzing
from tests.support.databases import sqlite_url

# Left out: those that hold every answer to what was sent (a call that fits the document may still be a 412, and one
# that does not may be tolerated).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document as the app serves it."""
    database = sqlite_url(tmp_path_factory.mktemp("routes"))
    app = create_app(Settings(open=True, sandbox=True, rate_limit="off", database_url=database))
    yield schemathesis.openapi.from_wsgi("/openapi.json", app)
    app.extensions["database"].close()


@pytest.mark.row("GEN-01", "RSP-06", "TOY-06")
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_as_the_document_says(described: Any, mode: GenerationMode) -> None:
    # The sandbox's route for everything else: what fits it may fit another route as well.
    operations = [found.ok() for found in described.get_all_operations() if "{rest}" not in found.ok().path]
    if mode is GenerationMode.NEGATIVE:
        operations = [operation for operation in operations if operation.body]
    assert len(operations) >= (2 if mode is GenerationMode.NEGATIVE else 15)
    for operation in operations:
        _call(operation, mode)


def _call(operation: Any, mode: GenerationMode) -> None:
    """Calls one route many times with what fits its description, or with what does not."""

    @settings(fuzzing, max_examples=max(fuzzing.max_examples // 10, 20))
    @given(case=operation.as_strategy(generation_mode=mode))
    def calls(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    calls()
