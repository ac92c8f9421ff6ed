"""Requests as real clients send them (tests/requests), to every service of their hook: what each of them gets."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from conftest import LogFile
from flask.testing import FlaskClient
from real_inputs import (
    Json,
    call,
    knowledge,
    problem,
    rules,
    services,
    shipped_service,
    told,
)

REQUESTS = Path(__file__).parent / "requests"
NAMES = sorted(file.name for file in REQUESTS.glob("*.json"))
SELECT, SIGN = "vitamin-k-order-select", "vitamin-k-order-sign"
FOR_ORDERS = {"order-select": SELECT, "order-sign": SIGN}
INCOMPLETE = "data-incomplete"

Serve = Callable[..., AbstractContextManager[FlaskClient]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    return partial(shipped_service, tmp_path)


@pytest.fixture
def client(serve: Serve) -> Iterator[FlaskClient]:
    """A client of the service as it answers 412 when data is missing."""
    with serve() as client:
        yield client


@pytest.fixture
def lenient(serve: Serve) -> Iterator[FlaskClient]:
    """A client of the service as it answers a card when data is missing."""
    with serve(profile={"on_missing_data": "card"}) as client:
        yield client


def request(name: str) -> Json:
    body: Json = json.loads((REQUESTS / name).read_text(encoding="utf-8"))
    return body


def empty_bundle() -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "total": 0}


def completed(body: Json) -> Json:
    """The request with every list that it leaves out sent as read and empty, and with every first page whole."""
    keys = (
        "labs",
        "medicationRequests",
        "medicationStatements",
        "conditions",
        "procedures",
        "serviceRequests",
        "goals",
    )
    whole = copy.deepcopy(body)
    whole["prefetch"] = {key: empty_bundle() for key in keys} | whole["prefetch"]
    for key in keys:
        whole["prefetch"][key].pop("total", None)
        whole["prefetch"][key].pop("link", None)
    return whole


def drafts(body: Json) -> list[Json]:
    return [entry["resource"] for entry in body["context"]["draftOrders"]["entry"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_service_of_the_hook_answers_as_documented(
    client: FlaskClient, lenient: FlaskClient, log: LogFile, name: str
) -> None:
    body = (REQUESTS / name).read_bytes()
    asked = services(request(name)["hook"])

    assert asked
    for service in asked:
        call(client, service, body)
        assert call(lenient, service, body).status_code == 200
    assert [line for line in log.lines() if line["level"] == "error"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_service_of_another_hook_refuses_the_request(client: FlaskClient, name: str) -> None:
    body = (REQUESTS / name).read_bytes()
    others = [service.id for service in knowledge().services.values() if service.hook != request(name)["hook"]]

    assert {problem(call(client, service, body))[:2] for service in others} == {(400, "invalid")}


# --- In the style of the specification --------------------------------------------------------------------------------


def test_the_chart_of_the_specification_shows_the_low_b12(client: FlaskClient) -> None:
    body = request("spec-patient-view.json")

    assert rules(call(client, "vitamin-b12-patient-view", body)) == ["b12-low"]
    assert rules(call(client, "vitamin-k-patient-view", body)) == []


def test_the_smallest_lawful_call_is_412_because_nothing_is_known(client: FlaskClient, lenient: FlaskClient) -> None:
    body = request("spec-patient-view-without-prefetch.json")

    for service in services("patient-view"):
        assert problem(call(client, service, body))[:2] == (412, "incomplete")
        assert rules(call(lenient, service, body)) == [INCOMPLETE]


def test_the_dose_that_the_specification_writes_without_a_list_is_read(client: FlaskClient) -> None:
    [card] = told(call(client, SELECT, request("spec-order-select.json")))

    assert (card.rule, card.variant) == ("vka-vitk-started", "pharmacological-dose-without-inr")


def test_an_inr_that_is_being_signed_is_not_suggested_again(client: FlaskClient) -> None:
    [card] = told(call(client, SIGN, request("spec-order-sign.json")))

    assert card.rule == "vka-vitk-started"
    assert not [label for label in card.suggestions if "INR" in label]


# --- CDS Hooks Sandbox ------------------------------------------------------------------------------------------------


def test_the_sandbox_gets_no_card_before_a_drug_is_chosen(client: FlaskClient) -> None:
    reply = call(client, SELECT, request("sandbox-order-select-1-opened.json"))

    assert (reply.status_code, reply.get_json()["cards"]) == (200, [])


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("sandbox") and not name.endswith("opened.json")]
)
def test_the_sandbox_gets_the_card_from_the_choice_of_the_drug_on(client: FlaskClient, name: str) -> None:
    body = request(name)
    [order] = drafts(body)

    [card] = told(call(client, FOR_ORDERS[body["hook"]], body))

    assert card.rule == "vka-vitk-started"
    removals = [action for action in map(json.loads, card.actions) if action["type"] == "delete"]
    assert [removal["resourceId"] for removal in removals] == [f"MedicationRequest/{order['id']}"]


# --- DSTU2 ------------------------------------------------------------------------------------------------------------


def test_a_dstu2_draft_with_nothing_else_is_never_a_silent_empty_list(
    client: FlaskClient, lenient: FlaskClient
) -> None:
    body = request("dstu2-order-select.json")

    assert problem(call(client, SELECT, body))[:2] == (412, "incomplete")
    assert rules(call(lenient, SELECT, body)) == [INCOMPLETE]


def on_warfarin(body: Json) -> Json:
    """The DSTU2 request with every list sent, and warfarin, as DSTU2 writes it, in the one of orders."""
    whole = completed(body)
    warfarin = {
        "resourceType": "MedicationOrder",
        "id": "warfarin",
        "status": "active",
        "patient": {"reference": "Patient/smart-7001"},
        "dateWritten": "2026-01-10",
        "medicationCodeableConcept": {"text": "Warfarin sodium 5 MG Oral Tablet"},
    }
    whole["prefetch"]["medicationRequests"]["entry"] = [{"resource": warfarin}]
    return whole


def test_a_dstu2_draft_is_judged_against_a_dstu2_list(client: FlaskClient) -> None:
    body = on_warfarin(request("dstu2-order-select.json"))

    [card] = told(call(client, SELECT, body))

    assert (card.rule, card.variant) == ("vka-vitk-started", "pharmacological-dose-without-inr")


@pytest.mark.parametrize(
    "unreadable",
    [
        {"medicationCodeableConcept": 7},
        {"medicationCodeableConcept": {"coding": 7}},
        {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/not-sent"}},
        {"patient": {"reference": "smart-7001"}},
        {"dosageInstruction": 7, "status": ["draft"]},
    ],
)
def test_a_draft_that_cannot_be_read_is_never_a_silent_empty_list(client: FlaskClient, unreadable: Json) -> None:
    body = on_warfarin(request("dstu2-order-select.json"))
    drafts(body)[0].update(unreadable)

    assert rules(call(client, SELECT, body)) == [INCOMPLETE]


def test_an_entry_among_the_drafts_that_is_no_resource_is_never_a_silent_empty_list(client: FlaskClient) -> None:
    body = on_warfarin(request("dstu2-order-select.json"))
    del drafts(body)[0]["resourceType"]

    assert rules(call(client, SELECT, body)) == [INCOMPLETE]


# --- HL7's drug interaction guide -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("pddi")])
def test_a_running_order_without_status_and_subject_type_is_not_taken_for_none(client: FlaskClient, name: str) -> None:
    """Warfarin is there, but neither whose nor whether it is taken: neither a card nor a silent empty list is true."""
    body = completed(request(name))

    assert rules(call(client, FOR_ORDERS[body["hook"]], body)) == [INCOMPLETE]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("pddi")])
def test_the_interaction_is_shown_once_the_running_order_says_what_it_is(client: FlaskClient, name: str) -> None:
    body = completed(request(name))
    [running] = [entry["resource"] for entry in body["prefetch"]["medicationRequests"]["entry"]]
    running |= {"status": "active", "subject": {"reference": "Patient/f207"}}

    assert rules(call(client, FOR_ORDERS[body["hook"]], body)) == ["vka-vitk-started"]


# --- Epic -------------------------------------------------------------------------------------------------------------


def test_epic_medications_among_the_drafts_name_the_medicine(client: FlaskClient) -> None:
    body = request("epic-order-select.json")
    for entry in [*body["context"]["draftOrders"]["entry"], *body["prefetch"]["medicationRequests"]["entry"]]:
        entry["resource"].get("medicationReference", {}).pop("display", None)

    [card] = told(call(client, SELECT, body))

    assert (card.rule, card.indicator) == ("vka-vitk-started", "critical")
    assert "phytonadione" in card.detail.lower()
    assert "warfarin" in card.detail.lower()


def test_the_long_id_of_an_epic_draft_survives_into_the_removal(client: FlaskClient) -> None:
    body = request("epic-order-select.json")
    orders = [f"MedicationRequest/{each['id']}" for each in drafts(body) if each["resourceType"] == "MedicationRequest"]

    [card] = told(call(client, SELECT, body))

    [removal] = [action for action in map(json.loads, card.actions) if action["type"] == "delete"]
    assert removal["resourceId"] in orders
    assert len(removal["resourceId"]) == len("MedicationRequest/") + 194


def test_an_empty_search_of_epic_is_read_and_empty(client: FlaskClient) -> None:
    body = request("epic-patient-view.json")
    status, code, words = problem(call(client, "vitamin-b12-patient-view", body))
    # Epic answers no search for statements; what it does answer is an outcome in an otherwise empty Bundle.
    assert (status, code) == (412, "incomplete")
    assert "medicationStatements" in words
    assert not [key for key in ("procedures", "serviceRequests", "goals") if key in words]

    body["prefetch"]["medicationStatements"] = body["prefetch"]["procedures"]

    assert rules(call(client, "vitamin-b12-patient-view", body)) == ["b12-low"]
    assert rules(call(client, "vitamin-k-patient-view", body)) == []
