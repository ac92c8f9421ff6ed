"""Whatever a client sends, the answer is JSON with a status of the status map, and never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.databases import sqlite_url
from tests.support.paths import ROOT
from tests.support.recorder import SERVICES, Recorder, discovery, encoded, knowledge, request_body

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["Patient/1", "a", "urn:uuid:"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization", "extension"]
CONTEXT_NAMES = ["userId", "patientId", "encounterId", "selections", "draftOrders"]
FEEDBACK_NAMES = ["card", "outcome", "outcomeTimestamp", "acceptedSuggestions", "overrideReason", "overrideReasons"]
THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    database = sqlite_url(tmp_path_factory.mktemp("fuzz"))
    chosen = Settings(open=True, database_url=database, cors_origins=("https://ehr.example",))
    app = create_app(chosen, served=Served(knowledge(), Recorder(), discovery))
    yield app.test_client()
    app.extensions["database"].close()


def answered(client: FlaskClient, path: str, body: bytes, statuses: set[int]) -> None:
    response = client.post(path, data=body, content_type="application/json")
    assert response.status_code in statuses, response.text
    assert response.content_type == "application/json"
    if response.status_code != 200:
        assert response.json["resourceType"] == "OperationOutcome"


@pytest.mark.row("REQ-14")
@THOROUGH
@given(body=st.binary(max_size=300))
def test_any_bytes_are_answered(fuzzed: FlaskClient, body: bytes) -> None:
    answered(fuzzed, "/cds-services/vitamin-b12-patient-view", body, {400})
    answered(fuzzed, "/cds-services/vitamin-b12-patient-view/feedback", body, {200, 400})


@pytest.mark.row("REQ-14", "CTX-01")
@THOROUGH
@given(
    service=st.sampled_from(sorted(SERVICES)),
    changes=st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=2),
    context=st.dictionaries(st.sampled_from(CONTEXT_NAMES), JSON_VALUES, max_size=2),
)
def test_any_values_of_known_members_are_answered(
    fuzzed: FlaskClient, service: str, changes: dict[str, Any], context: dict[str, Any]
) -> None:
    body = request_body(SERVICES[service])
    body["context"] |= context
    answered(fuzzed, f"/cds-services/{service}", encoded(body | changes), {200, 400})


@pytest.mark.row("REQ-14")
@THOROUGH
@given(where=st.integers(0, 10_000), what=st.binary(max_size=3), length=st.integers(0, 4))
def test_a_complete_call_with_bytes_changed_is_answered(
    fuzzed: FlaskClient, where: int, what: bytes, length: int
) -> None:
    body = encoded(request_body("order-select", prefetch={"a": {"resourceType": "Patient", "id": "1"}, "b": None}))
    where %= len(body)
    changed = body[:where] + what + body[where + length :]
    answered(fuzzed, "/cds-services/vitamin-k-order-select", changed, {200, 400})


@pytest.mark.row("FBK-02", "FBK-03", "FBK-04", "FBK-05", "FBK-06", "FBK-07")
@THOROUGH
@given(items=st.lists(st.dictionaries(st.sampled_from(FEEDBACK_NAMES), JSON_VALUES), max_size=3))
def test_any_feedback_is_answered(fuzzed: FlaskClient, items: list[dict[str, Any]]) -> None:
    base = {"card": "1", "outcome": "overridden", "outcomeTimestamp": "2026-01-01T00:00:00Z"}
    body = encoded({"feedback": [base | item for item in items]})
    answered(fuzzed, "/cds-services/vitamin-b12-patient-view/feedback", body, {200, 400})


def test_the_shipped_examples_of_requests_are_answered(fuzzed: FlaskClient) -> None:
    """Requests in the shapes that real clients send."""
    bodies = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "tests/wire/requests").glob("*.json")]
    assert len(bodies) > 15
    for body in bodies:
        services = [service for service, hook in SERVICES.items() if hook == body["hook"]]
        assert services, body["hook"]
        for service in services:
            answered(fuzzed, f"/cds-services/{service}", encoded(body), {200})
