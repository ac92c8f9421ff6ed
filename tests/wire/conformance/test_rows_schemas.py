"""The schemas that GET /openapi.json serves, held against every kind of request, answer and client that we know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.real_inputs import shipped_service
from tests.wire.conformance.answers import Json, kinds_of_answers

REQUESTS = sorted((Path(__file__).parents[1] / "requests").glob("*.json"))
# HL7's drug interaction guide has the user beside the context, as before 1.0; that is tolerated and not described.
UNDESCRIBED = {"pddi-order-select.json", "pddi-order-sign.json"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    with shipped_service(tmp_path_factory.mktemp("schemas")) as client:
        yield client.get("/openapi.json").get_json()


def validator(document: Json, name: str) -> Draft202012Validator:
    schema: Json = {"components": document["components"], "$ref": f"#/components/schemas/{name}"}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.row("RSP-01", "EXT-01", "EXT-02", "GEN-05")
def test_every_kind_of_answer_is_as_its_schema_says(document: Json) -> None:
    schema = validator(document, "HookResponse")
    for answered in kinds_of_answers():
        assert [fault.json_path for fault in schema.iter_errors(answered.told)] == [], answered.patient


@pytest.mark.row("GEN-03", "GEN-04", "CRD-02", "CRD-05", "CRD-08", "ACT-01")
@pytest.mark.parametrize(
    "card",
    [
        {"detail": None},
        {"detail": ""},
        {"links": []},
        {"summary": "s" * 140},
        {"indicator": "hard-stop"},
        {"selectionBehavior": "all"},
        {"suggestions": [{"label": "x", "uuid": "1", "actions": [{"type": "remove", "description": "x"}]}]},
        {"invented": 1},
    ],
    ids=str,
)
def test_an_answer_that_the_text_forbids_is_not_as_the_schema_says(document: Json, card: Json) -> None:
    schema = validator(document, "HookResponse")
    sound = {"uuid": "1", "summary": "s", "indicator": "info", "source": {"label": "x"}}
    assert schema.is_valid({"cards": [sound]})
    assert not schema.is_valid({"cards": [sound | card]})


@pytest.mark.row("REQ-01", "REQ-13", "EXT-04")
@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_the_request_of_a_real_client_is_as_the_schema_says(document: Json, path: Path) -> None:
    body: Any = json.loads(path.read_text(encoding="utf-8"))
    assert validator(document, "HookRequest").is_valid(body) == (path.name not in UNDESCRIBED)


@pytest.mark.row("REQ-02", "REQ-04", "REQ-08", "CTX-01")
@pytest.mark.parametrize("name", ["hook", "hookInstance", "context"])
def test_a_request_without_a_required_member_is_not_as_the_schema_says(document: Json, name: str) -> None:
    schema = validator(document, "HookRequest")
    for answered in kinds_of_answers():
        assert schema.is_valid(answered.request)
        assert not schema.is_valid({member: value for member, value in answered.request.items() if member != name})
