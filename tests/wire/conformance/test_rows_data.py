"""What a client sends of a record, in every state and shape: what is read, what is missed, what belongs to others."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from requests.utils import requote_uri

from cds_service.hooks.prefetch import prefetch_for
from tests.support.fault_server import FaultServer, fault_server, hang, outcome, resource, status
from tests.support.fhir_parts import without_ids
from tests.support.real_inputs import (
    SAMPLES,
    Json,
    call,
    knowledge,
    problem,
    rules,
    sample_request,
    shipped_service,
    told,
)

PATIENTS = {sample.id: sample for sample in SAMPLES}
B12, K_VIEW, K_SELECT, K_SIGN = (
    "vitamin-b12-patient-view",
    "vitamin-k-patient-view",
    "vitamin-k-order-select",
    "vitamin-k-order-sign",
)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
INFORMED = {
    "resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "not-found"}]},
    "search": {"mode": "outcome"},
}
GOAL = {"resourceType": "Goal", "id": "g1", "description": {"text": "Walk every day"}}
EMPTY: dict[str, Any] = {
    "null": None,
    "no entry": {"resourceType": "Bundle", "type": "searchset", "total": 0},
    "an empty entry": {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []},
    "an outcome that informs": {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": [INFORMED]},
}
NEXT = [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]
LACKING: dict[str, Any] = {
    "absent": ...,
    "an OperationOutcome": OUTCOME,
    "another type": {"resourceType": "Patient", "id": "x"},
    "a Bundle of another type": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": GOAL}]},
    "an outcome of error inside": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": OUTCOME}]},
    "a first page": {"resourceType": "Bundle", "type": "searchset", "link": NEXT},
}
TOKEN = {"access_token": "secret", "token_type": "Bearer", "expires_in": 300, "scope": "x", "subject": "x"}
CLINIC = "http://clinic.example/drugs"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with shipped_service(tmp_path) as client:
        yield client


def about(sample: str, **changes: Any) -> Json:
    """The call about a sample patient with everything sent, free to be changed."""
    return copy.deepcopy(sample_request(PATIENTS[sample], prefetch=True)) | changes


def sending(body: Json, **lists: Any) -> Json:
    """The call with these lists sent otherwise; `...` leaves one out."""
    body["prefetch"] = {key: value for key, value in (body["prefetch"] | lists).items() if value is not ...}
    return body


# --- nothing there, and nothing read --------------------------------------------------------------------------------


@pytest.mark.row("PFD-04", "PFD-05", "PFD-08", "PFD-12", "E-9", "TOY-07", "RSP-02")
@pytest.mark.parametrize("how", EMPTY)
def test_every_way_to_say_that_there_is_nothing_is_read_as_nothing(client: FlaskClient, how: str) -> None:
    body = about("healthy-adult")
    lists = {key: EMPTY[how] for key in body["prefetch"] if key != "patient"}
    for service in (B12, K_VIEW):
        response = call(client, service, sending(body, **lists))
        assert (response.status_code, response.json["cards"]) == (200, [])


@pytest.mark.row("PFD-01", "PFD-03", "PFD-06", "PFD-07", "PFD-09", "TOY-01", "TOY-07", "X-7", "X-10", "PRT-13")
@pytest.mark.parametrize("key", ["medicationRequests", "medicationStatements"])
@pytest.mark.parametrize("how", LACKING)
def test_a_list_that_was_not_read_is_never_taken_for_an_empty_one(client: FlaskClient, how: str, key: str) -> None:
    """Warfarin is in one list, the vitamin K in the other; without either nothing may be said to be well."""
    response = call(client, K_VIEW, sending(about("vka-concurrent-d3k2"), **{key: LACKING[how]}))
    if how == "a first page":
        assert rules(response) == ["data-incomplete"]
    else:
        status_code, code, words = problem(response)
        assert (status_code, code) == (412, "incomplete")
        assert key in words


@pytest.mark.row("PFD-11", "RSP-04", "STA-412")
def test_a_412_names_the_key_that_is_missing(client: FlaskClient) -> None:
    response = call(client, B12, sending(about("b12-low-metformin"), labs=...))
    assert response.status_code == 412
    assert response.json["issue"][0]["expression"] == ["prefetch.labs"]


@pytest.mark.row("X-9", "TOY-01")
@pytest.mark.parametrize("sent", [..., None, OUTCOME, {"resourceType": "Patient", "id": "somebody-else"}])
def test_without_the_patient_of_the_context_there_is_no_answer(client: FlaskClient, sent: Any) -> None:
    assert problem(call(client, B12, sending(about("b12-low-metformin"), patient=sent)))[0] == 412


@pytest.mark.row("S-9")
def test_a_client_that_hides_a_412_is_told_by_a_card_instead(tmp_path: Path) -> None:
    with shipped_service(tmp_path, profile={"on_missing_data": "card"}) as lenient:
        response = call(lenient, K_VIEW, sending(about("vka-concurrent-d3k2"), medicationStatements=...))
    assert rules(response) == ["data-incomplete"]


# --- fetching what is missing ---------------------------------------------------------------------------------------


@pytest.fixture
def ehr() -> Iterator[FaultServer]:
    """The FHIR server of a patient whose B12 is low."""
    with fault_server() as server:
        prefetch = about("b12-low-metformin")["prefetch"]
        for need in prefetch_for(knowledge(), knowledge().services[B12]):
            server.routes[requote_uri(need.query("b12-low-metformin"))] = resource(prefetch[need.key])
        yield server


def served(tmp_path: Path, ehr: FaultServer, body: Json, deadline: float = 4.0) -> Any:
    """The answer to a client as any real one: a server is called with its token or not at all."""
    profile = {"fhir_without_token": False}
    with shipped_service(tmp_path, fhir_allow=(ehr.base,), fhir_deadline=deadline, profile=profile) as client:
        return call(client, B12, body)


@pytest.mark.row("PFD-13", "PRT-13", "FHA-01", "FHA-02", "PFD-10", "TOY-20")
def test_what_was_fetched_leads_to_the_same_cards_as_what_was_sent(tmp_path: Path, ehr: FaultServer) -> None:
    fetched = about("b12-low-metformin", prefetch={}, fhirServer=ehr.base, fhirAuthorization=TOKEN)
    sent = about("b12-low-metformin", fhirServer=ehr.base, fhirAuthorization=TOKEN)
    first = served(tmp_path, ehr, fetched).json
    assert len(ehr.seen) == len(prefetch_for(knowledge(), knowledge().services[B12]))
    assert {authorization for _, authorization in ehr.seen} == {"Bearer secret"}
    ehr.seen.clear()
    assert without_ids(served(tmp_path, ehr, sent).json) == without_ids(first)
    assert ehr.seen == []


@pytest.mark.row("PFD-02", "PFD-03", "X-7", "S-6", "TOY-20")
@pytest.mark.parametrize("how", ["absent", "an OperationOutcome", "another type", "a Bundle of another type"])
def test_exactly_what_is_lacking_is_fetched(tmp_path: Path, ehr: FaultServer, how: str) -> None:
    body = sending(
        about("b12-low-metformin", fhirServer=ehr.base, fhirAuthorization=TOKEN),
        conditions=LACKING[how],
        labs=LACKING[how],
    )
    assert rules(served(tmp_path, ehr, body)) == ["b12-low"]
    assert sorted(path.partition("?")[0] for path, _ in ehr.seen) == ["/fhir/Condition", "/fhir/Observation"]


@pytest.mark.row("FHA-01", "REQ-09")
@pytest.mark.parametrize("missing", ["fhirServer", "fhirAuthorization"])
def test_a_server_without_a_token_or_a_token_without_a_server_means_no_call(
    tmp_path: Path, ehr: FaultServer, missing: str
) -> None:
    body = about("b12-low-metformin", prefetch={}, fhirServer=ehr.base, fhirAuthorization=TOKEN)
    del body[missing]
    assert problem(served(tmp_path, ehr, body))[0] == 412
    assert ehr.seen == []


@pytest.mark.row("REQ-10", "FHA-13", "TOY-04")
@pytest.mark.parametrize("listed", ["https", "another port", "another path", "nothing"])
def test_a_server_by_plain_http_or_not_listed_as_it_stands_is_not_called(
    tmp_path: Path, ehr: FaultServer, listed: str
) -> None:
    """The list names another server, or this one over https; the client names this one by plain http."""
    allowed = {
        "https": (ehr.base.replace("http:", "https:"),),
        "another port": ("http://127.0.0.1:1/fhir",),
        "another path": (ehr.base + "/r4",),
        "nothing": (),
    }
    body = about("b12-low-metformin", prefetch={}, fhirServer=ehr.base, fhirAuthorization=TOKEN)
    with shipped_service(tmp_path, fhir_allow=allowed[listed]) as client:
        assert problem(call(client, B12, body))[0] == 412
    assert ehr.seen == []


@pytest.mark.row("PFD-11", "PRF-02", "X-8", "TOY-24")
@pytest.mark.parametrize("mood", [status(401), status(503), hang], ids=["401", "503", "silence"])
def test_a_server_that_gives_nothing_is_412(tmp_path: Path, ehr: FaultServer, mood: Any) -> None:
    ehr.routes = dict.fromkeys(ehr.routes, mood)
    body = about("b12-low-metformin", prefetch={}, fhirServer=ehr.base, fhirAuthorization=TOKEN)
    assert problem(served(tmp_path, ehr, body, deadline=0.3))[:2] == (412, "incomplete")


# --- shapes of what is there ----------------------------------------------------------------------------------------


def k1_drafted(medicine: Json, *beside: Json) -> Json:
    """The call about somebody on warfarin for whom this is drafted."""
    body = about("vka-k1-started-inr-known")
    [entry] = body["context"]["draftOrders"]["entry"]
    for name in [name for name in entry["resource"] if name.startswith("medication")]:
        del entry["resource"][name]
    entry["resource"] |= medicine
    body["context"]["draftOrders"]["entry"] += [{"resource": each} for each in beside]
    return body


CODED = {"coding": [{"system": CLINIC, "code": "k-1"}, {"system": RXNORM, "code": "198102"}]}
K1 = {"resourceType": "Medication", "id": "m1", "code": CODED}
ENCODINGS: dict[str, tuple[Json, ...]] = {
    "code": ({"medicationCodeableConcept": CODED},),
    "words": ({"medicationCodeableConcept": {"text": "Vitamin K1 5 mg tablet"}},),
    "contained": ({"contained": [K1], "medicationReference": {"reference": "#m1"}},),
    "beside": ({"medicationReference": {"reference": "Medication/m1"}}, K1),
    "beside by address": ({"medicationReference": {"reference": "https://ehr.example/r4/Medication/m1"}}, K1),
    "display": ({"medicationReference": {"display": "phytonadione 5 mg tablet"}},),
}


@pytest.mark.row("TOY-08", "E-6", "E-8", "CTX-07", "CTX-08", "X-11", "PFD-14")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_drug_leads_to_one_card_however_it_is_written(client: FlaskClient, encoding: str) -> None:
    [card] = told(call(client, K_SIGN, k1_drafted(*ENCODINGS[encoding])))
    assert (card.rule, card.variant) == ("vka-vitk-started", "single-dose")
    assert "warfarin" in card.detail.lower()
    assert any(name in card.detail.lower() for name in ("vitamin k", "phytonadione", "phytomenadione"))


@pytest.mark.row("CTX-07", "PFD-14")
def test_what_was_included_helps_to_read_and_is_nothing_by_itself(client: FlaskClient) -> None:
    """A product that is only included is not taken by anybody."""
    body = about("healthy-adult")
    loratadine: Json = {"resourceType": "MedicationRequest", "id": "r1", "status": "active", "intent": "order"}
    subject = {"subject": {"reference": "Patient/healthy-adult"}}
    loratadine |= subject | {"medicationCodeableConcept": {"text": "Loratadine"}}
    included = [{"resource": each, "search": {"mode": "include"}} for each in (K1, {"resourceType": "Practitioner"})]
    entries = [{"resource": loratadine}, *included]
    body["prefetch"]["medicationRequests"] = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    assert rules(call(client, K_VIEW, body)) == []


@pytest.mark.row("CTX-09", "TOY-09")
@pytest.mark.parametrize(
    "change",
    [
        {"subject": {"reference": "Patient/somebody-else"}},
        {"status": "entered-in-error"},
        {"status": "cancelled"},
        {"doNotPerform": True},
    ],
    ids=lambda change: str(*change.values()),
)
def test_a_draft_of_another_or_of_no_effect_is_not_judged(client: FlaskClient, change: Json) -> None:
    assert rules(call(client, K_SIGN, k1_drafted({"medicationCodeableConcept": CODED} | change))) == []


@pytest.mark.row("TOY-09", "CTX-04")
def test_only_the_selected_draft_is_judged_while_orders_are_selected(client: FlaskClient) -> None:
    body = about("vka-mk7-started")
    [entry] = body["context"]["draftOrders"]["entry"]
    harmless = copy.deepcopy(entry["resource"]) | {"id": "other", "medicationCodeableConcept": {"text": "Loratadine"}}
    body["context"]["draftOrders"]["entry"].append({"resource": harmless})
    assert rules(call(client, K_SELECT, body)) == ["vka-vitk-started"]
    body["context"]["selections"] = ["MedicationRequest/other"]
    assert rules(call(client, K_SELECT, body)) == []


@pytest.mark.row("PFD-15", "TOY-05", "E-10")
@pytest.mark.parametrize(
    "odd", [{"resource": {"resourceType": "Observation", "code": 7}}, {"resource": None}, {"fullUrl": "urn:x"}, None]
)
def test_one_odd_entry_does_not_cost_the_others(client: FlaskClient, odd: Any) -> None:
    body = about("b12-low-metformin")
    body["prefetch"]["labs"]["entry"].insert(0, odd)
    body["prefetch"]["labs"]["total"] += 1
    assert "b12-low" in rules(call(client, B12, body))


@pytest.mark.row("GEN-10", "S-2")
def test_drafts_of_dstu2_are_read_or_said_not_to_be_read(client: FlaskClient) -> None:
    body = about("vka-k1-started-inr-known")
    [entry] = body["context"]["draftOrders"]["entry"]
    old = {"resourceType": "MedicationOrder", "id": "o1", "status": "draft"}
    subject = {"patient": entry["resource"]["subject"]}
    entry["resource"] = old | subject | {"medicationCodeableConcept": CODED}
    assert rules(call(client, K_SIGN, body)) == ["vka-vitk-started"]
    entry["resource"] = old | subject | {"medicationCodeableConcept": 7}
    assert rules(call(client, K_SIGN, body)) == ["data-incomplete"]


@pytest.mark.row("O-1")
def test_low_b12_speaks_when_a_chart_is_opened(client: FlaskClient) -> None:
    assert rules(call(client, B12, about("b12-low-metformin"))) == ["b12-low"]


@pytest.mark.row("PFD-07", "PFD-08")
def test_an_outcome_beside_results_is_an_error_only_if_it_says_so(client: FlaskClient) -> None:
    informed, failed = about("vka-vitk-steady"), about("vka-vitk-steady")
    informed["prefetch"]["medicationStatements"].setdefault("entry", []).append(INFORMED)
    failed["prefetch"]["medicationStatements"].setdefault("entry", []).append({"resource": outcome("exception")})
    plain = without_ids(call(client, K_VIEW, about("vka-vitk-steady")).json)
    assert without_ids(call(client, K_VIEW, informed).json) == plain
    response = call(client, K_VIEW, failed)
    assert response.status_code == 412 or rules(response) == ["data-incomplete"]
