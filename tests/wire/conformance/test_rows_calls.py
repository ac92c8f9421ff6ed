"""Calls to the shipped service: what must be there, what changes nothing, what is refused with words that help."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.fhir_parts import without_ids
from tests.support.real_inputs import (
    SAMPLES,
    Json,
    call,
    knowledge,
    problem,
    rules,
    sample_request,
    services,
    shipped_service,
)
from tests.wire.conformance.answers import strict

PATIENTS = {sample.id: sample for sample in SAMPLES}
SERVICES = {service.id: service.hook for service in knowledge().services.values()}
B12, K_VIEW, K_SELECT, K_SIGN = (
    "vitamin-b12-patient-view",
    "vitamin-k-patient-view",
    "vitamin-k-order-select",
    "vitamin-k-order-sign",
)
REQUIRED = {
    "patient-view": ("userId", "patientId"),
    "order-select": ("userId", "patientId", "selections", "draftOrders"),
    "order-sign": ("userId", "patientId", "draftOrders"),
    "encounter-start": ("userId", "patientId", "encounterId"),
    "encounter-discharge": ("userId", "patientId", "encounterId"),
}
HOOK_ROWS = {
    "patient-view": "HOOK-01",
    "order-select": "HOOK-02",
    "order-sign": "HOOK-03",
    "encounter-start": "HOOK-05",
    "encounter-discharge": "HOOK-06",
}
each_hook = pytest.mark.parametrize(
    "service", [pytest.param(name, marks=pytest.mark.row(HOOK_ROWS[hook])) for name, hook in SERVICES.items()]
)
CANARY = "https://canary.example/7781"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with shipped_service(tmp_path) as client:
        yield client


def about(sample: str, **changes: Any) -> Json:
    """The call about a sample patient with everything sent, free to be changed."""
    return copy.deepcopy(sample_request(PATIENTS[sample], prefetch=True)) | changes


def smallest(hook: str) -> Json:
    """The smallest lawful call of a hook, about somebody with nothing on record."""
    sample = PATIENTS["healthy-adult"]
    drafted = PATIENTS["vka-mk7-started"]
    body = sample_request(drafted if hook.startswith("order") else sample, hook, prefetch=True)
    return copy.deepcopy(body)


def everywhere(value: Any, change: Callable[[Json], None]) -> None:
    """Changes every object of a tree, from the leaves up."""
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        everywhere(member, change)
    if isinstance(value, dict):
        change(value)


@each_hook
@pytest.mark.row("REQ-01", "RSP-01", "RSP-07", "STA-200", "TOY-21")
def test_a_lawful_call_of_every_service_is_answered_at_once(client: FlaskClient, service: str) -> None:
    response = call(client, service, smallest(SERVICES[service]))
    assert response.status_code == 200
    assert "Location" not in response.headers
    strict(response.data)


@each_hook
@pytest.mark.row("CTX-01", "STA-400", "TOY-21", "E-3")
@pytest.mark.parametrize("value", [..., None, 7, {"a": 1}])
def test_a_required_field_of_the_context_that_is_missing_or_odd_is_named(
    client: FlaskClient, service: str, value: Any
) -> None:
    for name in REQUIRED[SERVICES[service]]:
        body = smallest(SERVICES[service])
        body["context"][name] = value
        if value is ...:
            del body["context"][name]
        response = call(client, service, body)
        assert response.status_code == 400
        assert response.json["issue"][0]["expression"][0].startswith(f"context.{name}")


@pytest.mark.row("E-3", "STA-400")
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("stripped", ["context", "prefetch", "everything"])
def test_a_call_stripped_of_its_information_is_refused_and_never_a_fault(
    client: FlaskClient, service: str, stripped: str
) -> None:
    body = smallest(SERVICES[service])
    if stripped != "prefetch":
        body["context"] = {}
    if stripped != "context":
        body.pop("prefetch")
    response = call(client, service, body)
    assert response.status_code == (412 if stripped == "prefetch" else 400)


@pytest.mark.row("E-7")
@pytest.mark.parametrize("service", [K_SELECT, K_SIGN])
def test_an_order_hook_without_drafts_is_refused_with_words_that_help(client: FlaskClient, service: str) -> None:
    body = smallest(SERVICES[service])
    del body["context"]["draftOrders"]
    status, code, words = problem(call(client, service, body))
    assert (status, code) == (400, "required")
    assert "draftOrders" in words


@pytest.mark.row("GEN-09", "EXT-04", "REQ-13", "TOY-23", "E-1")
@pytest.mark.parametrize("sample", ["b12-and-warfarin", "vka-mk7-started", "vka-k1-started-inr-known"])
def test_members_and_extensions_that_we_do_not_know_change_nothing_anywhere(client: FlaskClient, sample: str) -> None:
    def add(value: Json) -> None:
        value["com.example.unknown"] = {"deep": [{"er": None}]}
        value.setdefault("extension", [{"url": "https://example.org/x", "valueString": "x"}])

    plain, odd = about(sample), about(sample)
    everywhere(odd, add)
    odd["extension"] = {"com.epic.cdshooks.request.bpa-trigger-action": "23"}
    for service in services(plain["hook"]):
        assert without_ids(call(client, service, odd).json) == without_ids(call(client, service, plain).json)


@pytest.mark.row("REQ-06", "CRD-13", "TOY-15", "X-1")
def test_one_hook_instance_for_ever_is_answered_anew_each_time(client: FlaskClient) -> None:
    same = {"hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"}
    replies = [
        call(client, B12, about(sample, **same))
        for sample in ("b12-low-metformin", "healthy-adult", "b12-low-metformin")
    ]
    first, other, again = (reply.json["cards"] for reply in replies)
    assert (len(first), other) == (1, [])
    assert without_ids(first) == without_ids(again)
    assert first[0]["uuid"] != again[0]["uuid"]
    assert not {s["uuid"] for s in first[0]["suggestions"]} & {s["uuid"] for s in again[0]["suggestions"]}


@pytest.mark.row("REQ-16", "CTX-08")
def test_a_patient_told_by_reference_is_the_patient_told_by_id(client: FlaskClient) -> None:
    plain = about("b12-and-warfarin")
    expected = without_ids(call(client, K_VIEW, plain).json)
    for written in ("Patient/b12-and-warfarin", "https://ehr.example/r4/Patient/b12-and-warfarin"):
        body = copy.deepcopy(plain)
        body["context"]["patientId"] = written
        assert without_ids(call(client, K_VIEW, body).json) == expected


@pytest.mark.row("FHA-06", "FHA-09", "E-12", "S-7", "X-1", "TOY-23")
@pytest.mark.parametrize(
    "scope",
    [
        "patient/*.* user/*.* launch openid profile online_access",
        "user/Observation.rs patient/MedicationRequest.rs?status=active",
        "Observation.Read (Labs) (R4) Patient.Read (Demographics) (R4)",
        "system/*.read",
    ],
)
def test_scopes_of_any_kind_are_no_reason_to_answer_otherwise(client: FlaskClient, scope: str) -> None:
    authorization = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": scope, "subject": "x"}
    body = about("b12-low-metformin", fhirServer="https://ehr.example/r4", fhirAuthorization=authorization)
    assert rules(call(client, B12, body)) == ["b12-low"]


@pytest.mark.row("TOK-02", "LNK-02", "SRC-02", "FHA-11")
def test_no_address_in_a_request_becomes_an_address_in_an_answer(client: FlaskClient) -> None:
    def plant(value: Json) -> None:
        for name in ("text", "display"):
            if isinstance(value.get(name), str):
                value[name] += f" {CANARY}"
        if "resourceType" in value:
            value["implicitRules"] = value["instantiatesUri"] = CANARY
        value["extension"] = [{"url": CANARY, "valueUrl": CANARY}]

    spoken = 0
    for sample in ("b12-and-warfarin", "vka-menatetrenone-active", "vka-k1-started-inr-known"):
        body = about(sample, fhirServer=CANARY)
        everywhere(body["prefetch"], plant)
        body["extension"] = {"com.example": CANARY}
        for service in services(body["hook"]):
            reply = call(client, service, body).json
            for card in reply["cards"]:
                told = {"source": card["source"], "links": card.get("links"), "reasons": card.get("overrideReasons")}
                assert "canary.example" not in json.dumps(told)
                assert CANARY not in card["summary"]
                spoken += 1
    assert spoken > 1


@pytest.mark.row("TOK-03")
@pytest.mark.parametrize("days", [0, 1, 2])
def test_a_card_tells_the_day_of_the_result_that_it_speaks_of(client: FlaskClient, days: int) -> None:
    body = about("b12-low-metformin")
    for entry in body["prefetch"]["labs"]["entry"]:
        entry["resource"]["effectiveDateTime"] = f"2026-10-{11 + days}T08:00:00Z"
    [card] = call(client, B12, body).json["cards"]
    assert f"{11 + days} Oct 2026" in card["detail"]


@pytest.mark.row("PRF-03", "TOY-24")
def test_a_body_of_five_megabytes_is_evaluated_and_a_larger_one_refused(client: FlaskClient) -> None:
    body = about("b12-low-metformin")
    note = [{"text": "x" * 400}]
    other = {"resourceType": "Observation", "status": "final", "code": {"text": "Weight"}, "note": note}
    entries, size = body["prefetch"]["labs"]["entry"], 0
    while size < 4_900_000:
        entries.append({"resource": other | {"id": f"o{len(entries)}"}})
        size += 530
    body["prefetch"]["labs"]["total"] = len(entries)
    written = json.dumps(body).encode()
    assert 4_000_000 < len(written) < 5_242_880
    assert rules(call(client, B12, written)) == ["b12-low"]
    response = client.post(f"/cds-services/{B12}", data=written + b" " * 5_242_880, content_type="application/json")
    assert response.status_code == 413


@pytest.mark.row("RSP-06", "TOY-06", "STA-404", "STA-405", "STA-415", "GEN-01")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-page", 404),
        ("POST", "/cds-services/none", 404),
        ("POST", f"/cds-services/{B12}/feedback/more", 404),
        ("PUT", f"/cds-services/{B12}", 405),
        ("DELETE", "/cds-services", 405),
        ("POST", f"/cds-services/{B12}", 415),
    ],
)
def test_every_error_is_an_operation_outcome_and_says_nothing_of_what_was_sent(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    response = client.open(path, method=method, data=CANARY, content_type="text/html")
    assert (response.status_code, response.content_type) == (status, "application/json")
    outcome = strict(response.data)
    assert outcome["resourceType"] == "OperationOutcome"
    assert all({"severity", "code"} <= set(issue) for issue in outcome["issue"])
    assert not any(word in response.text for word in ("canary", "Traceback", "<html", ".py"))


@pytest.mark.row("FBK-09")
def test_a_call_whose_cards_nobody_answers_leaves_no_feedback(client: FlaskClient) -> None:
    assert rules(call(client, B12, about("b12-low-metformin"))) == ["b12-low"]
    assert client.application.extensions["feedback_store"].events() == []


@pytest.mark.row("RSP-05", "STA-200", "STA-400", "STA-404", "STA-405", "STA-412", "STA-413", "STA-415")
def test_every_case_of_the_status_map_has_its_status(client: FlaskClient) -> None:
    body = about("b12-low-metformin")
    replies = [
        call(client, B12, body),
        client.get("/cds-services"),
        client.post(f"/cds-services/{B12}/feedback", json={"feedback": []}),
        call(client, B12, body | {"hook": "order-sign"}),
        client.post(f"/cds-services/{B12}/feedback", json=[]),
        client.post("/cds-services/none", json=body),
        client.get(f"/cds-services/{B12}"),
        call(client, B12, body | {"prefetch": {}}),
        client.post(f"/cds-services/{B12}", data=b"x" * 9_000_000, content_type="application/json"),
        client.post(f"/cds-services/{B12}", data=b"{}", content_type="text/plain"),
    ]
    codes = [reply.json["issue"][0]["code"] for reply in replies if reply.status_code != 200]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 400, 400, 404, 405, 412, 413, 415]
    assert set(codes) <= {"invalid", "required", "structure", "not-found", "not-supported", "incomplete", "too-long"}
    assert "POST" in replies[6].headers["Allow"]
