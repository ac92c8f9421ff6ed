"""GET /openapi.json: every route is in it, and what is served is as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from cds_service.settings import Settings
from cds_service.web.api.openapi_texts import EXAMPLES
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url
from tests.support.feedback import ACCEPTED, EPIC_MAPPED, EPIC_UNMAPPED, OVERRIDDEN
from tests.support.recorder import VIEW, Recorder, request_body

Json = dict[str, Any]
# Spellings that are tolerated, and the one that is described.
SPELLINGS = {
    "/cds-services/": "/cds-services",
    "/cds-services//{service_id}": "/cds-services/{service_id}",
    "/cds-services/{service_id}/": "/cds-services/{service_id}",
    "/cds-services//{service_id}/": "/cds-services/{service_id}",
    "/cds-services//{service_id}/feedback": "/cds-services/{service_id}/feedback",
    "/cds-services/{service_id}/feedback/": "/cds-services/{service_id}/feedback",
    "/cds-services//{service_id}/feedback/": "/cds-services/{service_id}/feedback",
    "/sandbox/fhir/": "/sandbox/fhir",
    "/app/": "/app",
    "/sandbox/fhir/{kind}/": "/sandbox/fhir/{kind}",
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app as it is shipped, with the sandbox."""
    database = sqlite_url(tmp_path_factory.mktemp("openapi"))
    app = create_app(Settings(open=True, sandbox=True, database_url=database))
    yield app
    app.extensions["database"].close()


@pytest.fixture(scope="module")
def document(shipped: Flask) -> Json:
    found: Json = shipped.test_client().get("/openapi.json").get_json()
    return found


def complaints(document: Json, path: str, method: str, response: TestResponse) -> list[str]:
    """How an answer differs from what the document says of it."""
    operation = document["paths"][path][method]
    answer = operation["responses"].get(str(response.status_code))
    if answer is None:
        return [f"{response.status_code} is not among the answers"]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    described = answer["content"].get(response.mimetype)
    if described is None:
        return [f"{response.mimetype} is not among the media types"]
    lacking = [f"{name} is missing" for name in answer["headers"] if name not in response.headers]
    if "schema" not in described:
        return lacking
    return [*lacking, *faults(document, described["schema"], response.json)]


def faults(document: Json, schema: Json, value: Any) -> list[str]:
    # References in the schema begin at the document's root.
    whole = {"components": document["components"]} | schema
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def test_the_document_is_valid_openapi_3_1(document: Json) -> None:
    assert document["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.mark.row("DIS-18")
def test_every_route_is_described_and_nothing_else(shipped: Flask, document: Json) -> None:
    routes = set()
    for rule in shipped.url_map.iter_rules():
        path = rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")
        routes |= {(SPELLINGS.get(path, path), m.lower()) for m in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    described = {(path, m) for path, entry in document["paths"].items() for m in entry if m != "parameters"}
    assert described == routes


def test_the_document_needs_no_token_and_says_which_routes_do(make_app: Callable[..., Flask]) -> None:
    document = make_app(open=False).test_client().get("/openapi.json").get_json()
    secured = {path for path, entry in document["paths"].items() for m in entry.values() if "security" in m}
    assert secured == {"/cds-services", "/cds-services/{service_id}", "/cds-services/{service_id}/feedback"}
    assert "security" not in document["paths"]["/openapi.json"]["get"]


def test_the_ids_of_the_document_are_those_of_discovery(shipped: Flask, document: Json) -> None:
    listed = {entry["id"] for entry in shipped.test_client().get("/cds-services").json["services"]}
    (parameter,) = document["paths"]["/cds-services/{service_id}"]["parameters"]
    assert set(parameter["schema"]["enum"]) == listed


@pytest.mark.row("DIS-02", "DIS-15", "EXT-01")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_discovery_is_as_described(shipped: Flask, document: Json, language: str) -> None:
    response = shipped.test_client().get("/cds-services", headers={"Accept-Language": language})
    assert complaints(document, "/cds-services", "get", response) == []


@pytest.mark.parametrize("topic", ["vitamin-b12", "vitamin-k"])
@pytest.mark.parametrize("name", EXAMPLES["HookRequest"])
def test_an_example_is_a_real_request_and_its_answer_is_as_described(
    shipped: Flask, document: Json, name: str, topic: str
) -> None:
    body = EXAMPLES["HookRequest"][name]
    assert faults(document, {"$ref": "#/components/schemas/HookRequest"}, body) == []
    response = shipped.test_client().post(f"/cds-services/{topic}-{name}", json=body)
    assert response.status_code == 200, response.text
    assert complaints(document, "/cds-services/{service_id}", "post", response) == []


@pytest.mark.parametrize("item", [ACCEPTED, OVERRIDDEN, EPIC_MAPPED, EPIC_UNMAPPED])
def test_feedback_and_its_answer_are_as_described(shipped: Flask, document: Json, item: Json) -> None:
    body = {"feedback": [item]}
    assert faults(document, {"$ref": "#/components/schemas/FeedbackRequest"}, body) == []
    response = shipped.test_client().post(f"{VIEW}/feedback", json=body)
    assert response.status_code == 200
    assert complaints(document, "/cds-services/{service_id}/feedback", "post", response) == []


@pytest.mark.parametrize("name", EXAMPLES["FeedbackRequest"])
def test_an_example_of_feedback_is_stored(client: FlaskClient, name: str) -> None:
    assert client.post(f"{VIEW}/feedback", json=EXAMPLES["FeedbackRequest"][name]).json == {"received": 1}


@pytest.mark.row("RSP-06")
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"hook": "order-sign"}, 400),
        ({"hookInstance": "1"}, 400),
        ({"context": {"userId": "Practitioner/1"}}, 400),
        ({"prefetch": {}}, 412),
    ],
)
def test_errors_are_as_described(shipped: Flask, document: Json, change: Json, status: int) -> None:
    response = shipped.test_client().post(VIEW, json=EXAMPLES["HookRequest"]["patient-view"] | change)
    assert response.status_code == status
    assert complaints(document, "/cds-services/{service_id}", "post", response) == []


def test_a_fault_is_as_described(make_app: Callable[..., Flask], recorder: Recorder, document: Json) -> None:
    recorder.fails = ValueError()
    response = make_app().test_client().post(VIEW, json=request_body())
    assert response.status_code == 500
    assert complaints(document, "/cds-services/{service_id}", "post", response) == []


@pytest.mark.parametrize(
    ("path", "described"),
    [
        ("/", "/"),
        ("/health/live", "/health/live"),
        ("/health/ready", "/health/ready"),
        ("/metrics", "/metrics"),
        ("/openapi.json", "/openapi.json"),
        ("/rules", "/rules"),
        ("/rules/nowhere", "/rules/{name}"),
        ("/rules/catalogue.css", "/rules/catalogue.css"),
        ("/rules/icon.png", "/rules/icon.png"),
        ("/rules/value-sets/inr.csv", "/rules/value-sets/{value_set}.csv"),
        ("/app", "/app"),
        ("/app/", "/app"),
        ("/app/static/nowhere.js", "/app/static/{name}"),
        ("/app/api/servers", "/app/api/servers"),
        ("/app/api/patients/sandbox?name=e", "/app/api/patients/{server}"),
        ("/app/api/patients/nowhere", "/app/api/patients/{server}"),
        ("/app/api/chart/sandbox/b12-and-warfarin?lang=zh", "/app/api/chart/{server}/{patient}"),
        ("/app/api/chart/sandbox/nobody", "/app/api/chart/{server}/{patient}"),
        ("/app/api/chart/sandbox/a_b", "/app/api/chart/{server}/{patient}"),
        ("/app/api/orders", "/app/api/orders"),
        ("/app/fhir/sandbox/Patient/healthy-adult", "/app/fhir/{server}/{kind}/{resource_id}"),
        ("/app/fhir/sandbox/Condition?patient=healthy-adult", "/app/fhir/{server}/{kind}"),
        ("/app/fhir/sandbox/Practitioner", "/app/fhir/{server}/{kind}"),
        ("/sandbox/fhir/metadata", "/sandbox/fhir/metadata"),
        ("/sandbox/fhir/Patient", "/sandbox/fhir/{kind}"),
        ("/sandbox/fhir/Patient/none", "/sandbox/fhir/{kind}/{resource_id}"),
        ("/sandbox/fhir/x/y/z", "/sandbox/fhir/{rest}"),
    ],
)
def test_what_is_read_is_as_described(shipped: Flask, document: Json, path: str, described: str) -> None:
    assert complaints(document, described, "get", shipped.test_client().get(path)) == []


def test_a_member_that_is_null_is_not_a_reply(document: Json) -> None:
    card = {"uuid": "1", "summary": "x", "indicator": "info", "source": {"label": "y"}, "detail": None}
    assert faults(document, {"$ref": "#/components/schemas/HookResponse"}, {"cards": [card]}) != []
