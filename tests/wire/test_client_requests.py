"""Requests as real clients send them (tests/wire/requests), to every service of their hook: what each of them gets."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cds_service.hooks.messages import parse_request
from cds_service.security.clients import ClientProfile
from tests.support.log_file import LogFile
from tests.support.real_inputs import (
    Json,
    Told,
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


def unread(card: Told) -> list[str]:
    """The lists that a card about missing data names."""
    return [line.removeprefix("- ") for line in card.detail.splitlines() if line.startswith("- ")]


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


STARTED = [("vka-vitk-started", "warning")]
# A card that what was read calls for, beside the card that names the lists that were not read.
PROVISIONAL = [*STARTED, (INCOMPLETE, "info")]

# The right answer of the service for B12, then of the one for vitamin K: rules with their indicator, or what is missing
# for an answer. A file that is not here has no right answer, and the test below says so.
RIGHT = {
    "dstu2-order-select": ([], "labs"),
    "epic-order-select": ([], [("vka-vitk-started", "critical")]),
    "epic-patient-view": ([("b12-low", "warning"), (INCOMPLETE, "info")], "medicationStatements"),
    "oracle-patient-view": ([("b12-low", "warning")], []),
    "pddi-order-select": ([], "procedures"),
    "pddi-order-sign": ([], "procedures"),
    "proxy-patient-view": ([("b12-low", "info"), (INCOMPLETE, "info")], "medicationRequests"),
    "request-generator-order-sign": ([], STARTED),
    "sandbox-order-select-1-opened": ([], []),
    "sandbox-order-select-2-drug": ([], PROVISIONAL),
    "sandbox-order-select-3-dose": ([], PROVISIONAL),
    "sandbox-order-select-4-reason-and-start": ([], PROVISIONAL),
    "sandbox-order-sign": ([], PROVISIONAL),
    "spec-encounter-discharge": ([], []),
    "spec-order-select": ([], STARTED),
    "spec-order-sign": ([], STARTED),
    "spec-patient-view": ([("b12-low", "warning")], []),
    "spec-patient-view-without-prefetch": ("patient", "patient"),
}


@pytest.mark.parametrize("name", [name.removesuffix(".json") for name in NAMES])
def test_each_request_gets_the_right_answer_as_it_stands(client: FlaskClient, name: str) -> None:
    body = request(f"{name}.json")
    for topic, right in zip(("vitamin-b12", "vitamin-k"), RIGHT[name], strict=True):
        reply = call(client, f"{topic}-{body['hook']}", body)
        if isinstance(right, str):
            assert problem(reply)[:2] == (412, "incomplete")
            assert reply.get_json()["issue"][0]["expression"] == [f"prefetch.{right}"]
        else:
            assert [(card.rule, card.indicator) for card in told(reply)] == right


@pytest.mark.parametrize("name", NAMES)
def test_a_service_of_another_hook_refuses_the_request(client: FlaskClient, name: str) -> None:
    body = (REQUESTS / name).read_bytes()
    others = [service.id for service in knowledge().services.values() if service.hook != request(name)["hook"]]

    assert {problem(call(client, service, body))[:2] for service in others} == {(400, "invalid")}


# --- In the style of the specification --------------------------------------------------------------------------------


@pytest.mark.row("RSP-01")
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


@pytest.mark.row("S-3", "CTX-06", "S-1")
def test_the_sandbox_gets_no_card_before_a_drug_is_chosen(client: FlaskClient) -> None:
    reply = call(client, SELECT, request("sandbox-order-select-1-opened.json"))

    assert (reply.status_code, reply.get_json()["cards"]) == (200, [])


@pytest.mark.row("S-3", "S-1", "S-6", "CTX-05")
@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("sandbox") and not name.endswith("opened.json")]
)
def test_the_sandbox_gets_the_card_from_the_choice_of_the_drug_on(client: FlaskClient, name: str) -> None:
    body = request(name)
    [order] = drafts(body)

    card, incomplete = told(call(client, FOR_ORDERS[body["hook"]], body))

    assert (card.rule, incomplete.rule) == ("vka-vitk-started", INCOMPLETE)
    removals = [action for action in map(json.loads, card.actions) if action["type"] == "delete"]
    assert [removal["resourceId"] for removal in removals] == [f"MedicationRequest/{order['id']}"]


# --- DSTU2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.row("S-2", "GEN-10")
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


@pytest.mark.row("S-2")
def test_a_dstu2_draft_is_judged_against_a_dstu2_list(client: FlaskClient) -> None:
    body = on_warfarin(request("dstu2-order-select.json"))

    [card] = told(call(client, SELECT, body))

    assert (card.rule, card.variant) == ("vka-vitk-started", "pharmacological-dose-without-inr")


@pytest.mark.row("TOY-01")
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


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("pddi")])
def test_what_hl7s_guide_sends_as_it_is_lacks_lists_and_is_refused(client: FlaskClient, name: str) -> None:
    body = request(name)
    status, code, words = problem(call(client, FOR_ORDERS[body["hook"]], body))

    assert (status, code) == (412, "incomplete")
    assert "procedures" in words


# --- Epic -------------------------------------------------------------------------------------------------------------


@pytest.mark.row("E-6", "CTX-07")
def test_epic_medications_among_the_drafts_name_the_medicine(client: FlaskClient) -> None:
    body = request("epic-order-select.json")
    for entry in [*body["context"]["draftOrders"]["entry"], *body["prefetch"]["medicationRequests"]["entry"]]:
        entry["resource"].get("medicationReference", {}).pop("display", None)

    [card] = told(call(client, SELECT, body))

    assert (card.rule, card.indicator) == ("vka-vitk-started", "critical")
    assert "phytonadione" in card.detail.lower()
    assert "warfarin" in card.detail.lower()


@pytest.mark.row("E-5", "REQ-17", "ACT-06")
def test_the_long_id_of_an_epic_draft_survives_into_the_removal(client: FlaskClient) -> None:
    body = request("epic-order-select.json")
    orders = [f"MedicationRequest/{each['id']}" for each in drafts(body) if each["resourceType"] == "MedicationRequest"]

    [card] = told(call(client, SELECT, body))

    [removal] = [action for action in map(json.loads, card.actions) if action["type"] == "delete"]
    assert removal["resourceId"] in orders
    assert len(removal["resourceId"]) == len("MedicationRequest/") + 194


@pytest.mark.row("E-9", "PFD-08", "E-8")
def test_an_empty_search_of_epic_is_read_and_empty(client: FlaskClient) -> None:
    body = request("epic-patient-view.json")
    # Epic answers no search for statements; what it does answer is an outcome in an otherwise empty Bundle.
    before = told(call(client, "vitamin-b12-patient-view", body))
    assert [card.rule for card in before] == ["b12-low", INCOMPLETE]
    assert unread(before[1]) == ["Medication statements (over-the-counter products included)"]

    body["prefetch"]["medicationStatements"] = body["prefetch"]["procedures"]

    assert rules(call(client, "vitamin-b12-patient-view", body)) == ["b12-low"]
    assert rules(call(client, "vitamin-k-patient-view", body)) == []


@pytest.mark.row("E-1")
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("epic")])
@pytest.mark.parametrize("trigger", ["6", "7", "18", "23", "26", "60", None])
def test_what_made_epic_call_changes_nothing(client: FlaskClient, name: str, trigger: str | None) -> None:
    """The patient-view of an entered problem differs from that of an opened chart in an extension only."""
    body, service = completed(request(name)), SELECT if "select" in name else "vitamin-b12-patient-view"
    before = told(call(client, service, body))
    if trigger is None:
        del body["extension"]
    else:
        assert isinstance(body["extension"]["com.epic.cdshooks.request.bpa-trigger-action"], str)
        body["extension"]["com.epic.cdshooks.request.bpa-trigger-action"] = trigger

    assert before
    assert told(call(client, service, body)) == before


def test_an_interaction_among_epics_orders_is_shown_although_not_all_lists_are_sent(client: FlaskClient) -> None:
    body = request("epic-order-select.json")

    assert "medicationStatements" not in body["prefetch"]
    assert rules(call(client, SELECT, body)) == ["vka-vitk-started"]


@pytest.mark.row("E-3", "E-7")
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("epic")])
def test_a_request_that_epic_has_stripped_is_refused_in_plain_words(client: FlaskClient, name: str) -> None:
    """With a wrong address or without the scopes for orders, Epic calls without data."""
    body = request(name)
    bare = {key: body[key] for key in ("hook", "hookInstance")}
    bare["context"] = {key: body["context"][key] for key in ("userId", "patientId")}

    for service in services(body["hook"]):
        status, code, words = problem(call(client, service, bare))
        if body["hook"] == "patient-view":
            assert (status, code) == (412, "incomplete")
        else:
            assert (status, code) == (400, "required")
            assert "context.selections" in words or "context.draftOrders" in words


# --- Oracle Health ----------------------------------------------------------------------------------------------------


@pytest.mark.row("O-1")
def test_a_chart_of_oracle_health_shows_the_low_b12(client: FlaskClient) -> None:
    body = request("oracle-patient-view.json")

    [card] = told(call(client, "vitamin-b12-patient-view", body))

    assert card.rule == "b12-low"
    assert "131 pg/mL on 18 Nov 2026" in card.detail
    assert "103.5 fL" in card.detail
    assert rules(call(client, "vitamin-k-patient-view", body)) == []


def test_local_codes_of_oracle_health_neither_help_nor_hinder(client: FlaskClient) -> None:
    body = request("oracle-patient-view.json")
    for entry in body["prefetch"]["labs"]["entry"]:
        entry["resource"]["code"]["coding"].reverse()

    again = told(call(client, "vitamin-b12-patient-view", body))

    assert again == told(call(client, "vitamin-b12-patient-view", request("oracle-patient-view.json")))


@pytest.mark.row("O-6")
def test_lines_of_a_card_are_short_enough_for_a_side_panel(client: FlaskClient) -> None:
    """It is an eighth of the screen wide; text wraps, a table would not."""
    for name, service in (("oracle-patient-view.json", "vitamin-b12-patient-view"), ("epic-order-select.json", SELECT)):
        [card] = told(call(client, service, request(name)))

        assert "|" not in card.detail
        assert "```" not in card.detail


# --- request-generator ------------------------------------------------------------------------------------------------


@pytest.mark.row("X-1", "REQ-06")
def test_request_generator_is_answered_anew_although_its_calls_have_one_id(client: FlaskClient) -> None:
    body = request("request-generator-order-sign.json")
    harmless = copy.deepcopy(body)
    [order] = drafts(harmless)
    order["medicationCodeableConcept"] = {"text": "Paracetamol 500 mg tablet"}

    assert rules(call(client, SIGN, body)) == ["vka-vitk-started"]
    assert rules(call(client, SIGN, harmless)) == []
    assert rules(call(client, SIGN, body)) == ["vka-vitk-started"]


@pytest.mark.row("X-1", "FHA-04", "FHA-08", "S-7")
def test_a_token_for_one_patient_need_not_name_the_patient() -> None:
    """Scopes of `patient/` without the member `patient`; the token's type in small letters."""
    body = (REQUESTS / "request-generator-order-sign.json").read_bytes()

    parsed = parse_request(body, "order-sign", ClientProfile(name="generator"))

    assert parsed.fhir_token == "not-a-real-token-generator"
    assert parsed.notes == ()


def test_a_coverage_among_the_orders_is_no_order(client: FlaskClient) -> None:
    body = request("request-generator-order-sign.json")
    with_coverage = told(call(client, SIGN, body))
    entries = body["prefetch"]["medicationRequests"]["entry"]
    entries[:] = [entry for entry in entries if entry["resource"]["resourceType"] != "Coverage"]

    assert told(call(client, SIGN, body)) == with_coverage


# --- a prefetch proxy -------------------------------------------------------------------------------------------------


@pytest.mark.row("X-3", "TOY-01")
def test_what_a_prefetch_proxy_drops_as_empty_is_not_taken_for_empty(client: FlaskClient, lenient: FlaskClient) -> None:
    """A search without results and a search that failed look the same here."""
    body = request("proxy-patient-view.json")

    low, incomplete = told(call(client, "vitamin-b12-patient-view", body))

    assert (low.rule, low.variant, incomplete.rule) == ("b12-low", "therapy-unclear-alone", INCOMPLETE)
    assert "Medication statements (over-the-counter products included)" in unread(incomplete)
    assert rules(call(lenient, "vitamin-b12-patient-view", body)) == ["b12-low", INCOMPLETE]


def test_the_low_b12_is_shown_once_the_proxy_sends_what_is_empty(client: FlaskClient) -> None:
    assert rules(call(client, "vitamin-b12-patient-view", completed(request("proxy-patient-view.json")))) == ["b12-low"]


@pytest.mark.row("X-3")
def test_a_token_in_the_member_of_old_is_no_token(client: FlaskClient) -> None:
    """`oauth` was given up in 2017; what stands in it is not used."""
    body = (REQUESTS / "proxy-patient-view.json").read_bytes()

    assert b"not-a-real-token-proxy" in body
    assert parse_request(body, "patient-view", ClientProfile(name="proxy")).fhir_token is None
