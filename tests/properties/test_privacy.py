"""What is known of a patient, and what lets somebody in, is nowhere that it does not belong: canaries tell."""

from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.egress.egress import Egress
from cds_service.errors import SettingsError, Unprocessable
from cds_service.evaluate import Evaluator
from cds_service.fhir.read.record import read_record
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.complete_prefetch import RequestSource
from cds_service.hooks.messages import CallContext, parse_request
from cds_service.hooks.prefetch import prefetch_for
from cds_service.sandbox.patients import PREFETCH
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings, load_settings
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackEvent
from tests.support.canaries import AUTHORIZATION, COMMENT, PATIENT, TOKEN, USER, leaks, selecting
from tests.support.worked_service import WORKED, WorkedService, noon, service

__all__ = ["service"]

Json = dict[str, Any]


# --- repr and messages --------------------------------------------------------------------------------------------


@pytest.mark.row("FHA-12")
def test_nothing_that_a_call_holds_can_be_quoted_by_its_repr(service: WorkedService) -> None:
    body = selecting(fhirServer="https://canary.example/fhir", fhirAuthorization=AUTHORIZATION)
    body["context"]["encounterId"] = "canary-encounter"
    request = parse_request(json.dumps(body).encode(), "order-select", ClientProfile(name="tests"))
    assert (request.patient_id, request.fhir_token) == (PATIENT, TOKEN)
    knowledge = service.knowledge
    needs = prefetch_for(knowledge, knowledge.services["vitamin-k-order-select"])
    obtained = RequestSource(needs, request, Egress([]), False, time.monotonic() + 1).lists()
    record = read_record(
        PATIENT,
        obtained,
        knowledge.terminology,
        knowledge.units,
        drafts=request.draft_orders,
        selections=request.selections,
    )
    assert record.labs or record.medications
    assert record.orders
    evaluated = Evaluator(knowledge).evaluate(record, datetime.now(UTC), knowledge.rules)
    draft_context = DraftContext(
        f"Patient/{PATIENT}", "2026-11-20T12:00:00+00:00", "canary", None, USER, ("Observation/canary",)
    )
    call = CallContext(ClientProfile(name="tests"), "en", datetime.now(UTC))
    for held in (request, call, draft_context, *obtained, record, evaluated, evaluated.facts, evaluated.decisions):
        assert not leaks(repr(held)), repr(held)
    parts: list[object] = [*(entry for held in obtained for entry in held.entries), *record.medications, *record.orders]
    parts += [
        *record.problems,
        *record.unmatched,
        record.patient,
        *(lab for labs in record.labs.values() for lab in labs),
    ]
    for part in [*parts, *evaluated.facts.values()]:
        assert not leaks(repr(part)), repr(part)


@pytest.mark.row("FBK-12")
def test_a_users_comment_cannot_be_quoted_by_its_repr() -> None:
    event = FeedbackEvent("s", "card", "overridden", datetime(2026, 11, 20, tzinfo=UTC), comment=COMMENT)
    assert not leaks(repr(event))


# Where a setting may hold a password.
SECRET_SETTINGS: dict[str, Any] = {
    "database_url": "postgresql://user:canary-password@127.0.0.1:1/cds",
    "rate_storage": "redis://:canary-password@127.0.0.1:1/0",
    "hash_key": "canary-key" * 4,
}


@pytest.mark.row("TOY-10")
def test_settings_show_no_password() -> None:
    assert not leaks(repr(Settings(**SECRET_SETTINGS)) + str(Settings(**SECRET_SETTINGS)))


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://user:canary@127.0.0.1:1/cds", "mysql://user:canary@db.example/cds", "user:canary@db.example"),
        *("postgresql://user:canary@127.0.0.1:port/cds", "sqlite:////proc/canary/cds.db", "oracle+canary://x"),
    ],
)
def test_no_message_about_a_database_shows_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        Database(url)
    assert "CDS_DATABASE_URL" in str(error.value)
    assert not leaks(str(error.value))


def test_no_message_about_a_setting_shows_what_it_held() -> None:
    wrong: dict[str, object] = dict.fromkeys(
        ("port", "workers", "open", "language", "fhir_allow", "time_zone", "site", "fhir_deadline", "rate_limit"),
        "https://user:canary@x.example/?canary",
    )
    with pytest.raises(SettingsError) as error:
        load_settings(**wrong)
    assert str(error.value).count("CDS_") >= len(wrong)
    told: BaseException | None = error.value
    while told is not None:
        assert not leaks(str(told))
        told = told.__cause__


# --- other patients -----------------------------------------------------------------------------------------------


def cards_of(service: WorkedService, worked: WorkedPatient, request: Json) -> list[Json]:
    """The cards without what is new in every answer."""
    cards = service.ask_with(worked, request, noon(worked)).cards
    for card in cards:
        del card["uuid"]
        for suggestion in card.get("suggestions", []):
            del suggestion["uuid"]
            for action in suggestion["actions"]:
                # An update gives back what the client's own draft held.
                action.get("resource", {}).pop("contained", None)
    return cards


bounded = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.row("CTX-09", "TOY-09")
@bounded
@given(
    worked=st.sampled_from(WORKED),
    other=st.sampled_from(WORKED),
    same_ids=st.booleans(),
    ahead=st.booleans(),
    inside=st.booleans(),
)
def test_another_patients_resources_in_every_list_change_no_card(
    service: WorkedService, worked: WorkedPatient, other: WorkedPatient, same_ids: bool, ahead: bool, inside: bool
) -> None:
    if other.id == worked.id:
        return
    request = copy.deepcopy(service.request(worked, service.resources(worked)))
    own = cards_of(service, worked, request)
    foreign = service.resources(other)
    bundles = [(request["prefetch"][key], foreign.by_type[kind]) for key, kind in PREFETCH.items()]
    if (drafts := request["context"].get("draftOrders")) is not None:
        strangers = (foreign.drafts or {}).get("entry", [])
        drugs = [{**one, "status": "draft", "intent": "order"} for one in foreign.by_type["MedicationRequest"]]
        bundles.append((drafts, [*(entry["resource"] for entry in strangers), *drugs]))
    for bundle, strangers in bundles:
        mixed = [{"resource": copy.deepcopy(stranger)} for stranger in strangers]
        entries = bundle.get("entry", [])
        if not entries and bundle is not drafts:
            continue  # a list of strangers alone is no answer
        if same_ids:
            # Another system may number its resources alike.
            for stranger, mine in zip(mixed, entries, strict=False):
                stranger["resource"]["id"] = mine["resource"]["id"]
        if inside:
            for stranger, mine in zip(mixed, entries, strict=False):
                mine["resource"].setdefault("contained", []).append(copy.deepcopy(stranger["resource"]))
        if mixed:
            bundle["entry"] = [*mixed, *entries] if ahead else [*entries, *mixed]
    if labs := request["prefetch"]["labs"].get("entry"):
        labs.append({"resource": foreign.patient})
    assert cards_of(service, worked, request) == own


@pytest.mark.row("CTX-09")
def test_medicines_of_somebody_else_alone_are_no_answer_about_the_patient(service: WorkedService) -> None:
    worked = next(w for w in WORKED if "vka-menatetrenone" in w.expect and w.hook == "patient-view")
    request = service.request(worked, service.resources(worked))
    for key in ("medicationRequests", "medicationStatements"):
        for entry in request["prefetch"][key].get("entry", []):
            entry["resource"]["subject"] = {"reference": "Patient/somebody-else"}
    with pytest.raises(Unprocessable, match="sent with entries of another patient only"):
        cards_of(service, worked, request)
