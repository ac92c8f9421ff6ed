"""The service under its fuzzers (fixtures `fuzzed` and `ask`); how long they try; and the keeping of what they find.

In the suite every fuzzer tries the same few hundred cases. `make fuzz` sets CDS_TEST_FUZZ: then the cases are new ones
each time, many more, and a case that fails is written into the folder `found`, from where the suite repeats it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from pydantic import ValidationError
from werkzeug.test import TestResponse

from cds_service.hooks.response_models import HookResponse
from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url

FOUND = Path(__file__).resolve().parent / "found"
LONG = "CDS_TEST_FUZZ" in os.environ
_ALL = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
# To be put on every fuzzer.
fuzzing = settings(
    max_examples=2_000 if LONG else 200,
    derandomize=not LONG,
    print_blob=LONG,
    deadline=None,
    suppress_health_check=_ALL,
)

# What a caller of a service may be answered, whatever the call is like.
STATUSES = (200, 400, 412, 413)


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """The service with its own knowledge."""
    database = sqlite_url(tmp_path_factory.mktemp("fuzz"))
    app = create_app(Settings(open=True, rate_limit="off", database_url=database))
    yield app.test_client()
    app.extensions["database"].close()


@pytest.fixture(scope="session")
def ask(fuzzed: FlaskClient) -> Callable[[Any], list[TestResponse]]:
    """Sends a body to the services of its hook and checks what holds for every answer."""

    def ask(body: Any) -> list[TestResponse]:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        hook = body.get("hook") if isinstance(body, dict) else "patient-view"
        answers = [fuzzed.post(f"/cds-services/{t}-{hook}", data=text, content_type="application/json") for t in TOPICS]
        try:
            for answer in answers:
                check(answer)
        except (AssertionError, ValidationError):
            keep(text)
            raise
        return answers

    return ask


TOPICS = ("vitamin-b12", "vitamin-k")


def check(answer: TestResponse) -> None:
    """What holds for every answer of a service, whatever was asked."""
    assert answer.status_code in STATUSES, answer.text
    assert answer.content_type == "application/json"
    assert "Traceback" not in answer.text
    if answer.status_code == 200:
        HookResponse.model_validate(answer.json)
        return
    assert answer.json["resourceType"] == "OperationOutcome"
    # Nothing of the request comes back.
    assert "Canary" not in answer.text
    assert "somebody-else" not in answer.text


def keep(body: bytes) -> None:
    """Writes a case that failed to where the suite finds it; only those who ran `make fuzz` want that."""
    if LONG:
        FOUND.mkdir(exist_ok=True)
        (FOUND / f"{hashlib.sha256(body).hexdigest()[:16]}.json").write_bytes(body)
