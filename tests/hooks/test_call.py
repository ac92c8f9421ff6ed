"""One call from request to response: 412, cards or the card that says what could not be read; never a false silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from requests.utils import requote_uri

from cds_service.artifacts.schema import Rule
from cds_service.errors import Unprocessable
from cds_service.hooks.call import make_answer
from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.hooks.prefetch import prefetch_for
from cds_service.hooks.response_models import HookResponse
from cds_service.settings import Settings
from tests.support.fault_server import FaultServer, fault_server, hang, outcome, resource, status
from tests.support.fhir_parts import (
    MK7,
    WARFARIN,
    Resource,
    call,
    lists_of,
    order,
    patient,
    request,
    result,
    searchset,
    statement,
    without_ids,
)
from tests.support.kb import knowledge, knowledge_with, rule

VIEW, SIGN, B12 = "vitamin-k-patient-view", "vitamin-k-order-sign", "vitamin-b12-patient-view"
ON_BOTH = (patient(), statement("warfarin", WARFARIN), statement("mk7", MK7))
HEALTHY = (patient(),)


@lru_cache(maxsize=4)
def answerer(deadline: float = 4.0) -> Any:
    return make_answer(knowledge(), Settings(fhir_deadline=deadline))


def answer(
    body: HookRequest, circumstances: CallContext | None = None, service: str = VIEW, deadline: float = 4.0
) -> Resource:
    """The reply, checked against the model of replies."""
    reply: Resource = json.loads(
        json.dumps(answerer(deadline)(service, body, circumstances or call()), allow_nan=False)
    )
    HookResponse.model_validate(reply)
    return reply


def rules_of(reply: Resource) -> list[str]:
    return [card["extension"]["cds-service.rule"]["id"] for card in reply["cards"]]


def refused(
    body: HookRequest, circumstances: CallContext | None = None, service: str = VIEW, deadline: float = 4.0
) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        answer(body, circumstances, service, deadline)
    assert caught.value.status == 412
    return caught.value


def without(prefetch: dict[str, Resource], *keys: str) -> dict[str, Resource]:
    return {key: value for key, value in prefetch.items() if key not in keys}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A FHIR server that holds the patient who takes both."""
    with fault_server() as running:
        for need in prefetch_for(knowledge(), knowledge().services[VIEW]):
            running.routes[requote_uri(need.query("p1"))] = resource(lists_of(ON_BOTH, VIEW)[need.key])
        yield running


def allowed(server: FaultServer) -> CallContext:
    return call(fhir_servers=(server.base,))


def with_access(prefetch: dict[str, Any], server: FaultServer, **more: Any) -> HookRequest:
    return request(prefetch, **({"fhir_server": server.base, "fhir_token": "secret"} | more))


# --- what is there -----------------------------------------------------------------------------------------------


@pytest.mark.row("TOY-20", "FHA-10")
def test_a_full_prefetch_is_answered_without_calling_anybody(server: FaultServer) -> None:
    reply = answer(with_access(lists_of(ON_BOTH, VIEW), server), allowed(server))
    assert "vka-vitk-concurrent" in rules_of(reply)
    assert server.seen == []


@pytest.mark.row("PFD-13", "FHA-02")
def test_both_routes_give_the_same_cards(server: FaultServer) -> None:
    fetched = answer(with_access({}, server), allowed(server))
    assert without_ids(fetched) == without_ids(answer(request(lists_of(ON_BOTH, VIEW))))
    assert len(server.seen) == len(prefetch_for(knowledge(), knowledge().services[VIEW]))
    assert {token for _, token in server.seen} == {"Bearer secret"}


@pytest.mark.row("PFD-02", "X-7", "TOY-20")
def test_only_the_lacking_lists_are_fetched(server: FaultServer) -> None:
    sent = without(lists_of(ON_BOTH, VIEW), "medicationStatements")
    assert "vka-vitk-concurrent" in rules_of(answer(with_access(sent, server), allowed(server)))
    assert [path.partition("?")[0] for path, _ in server.seen] == ["/fhir/MedicationStatement"]


@pytest.mark.row("RSP-02", "PFD-12")
def test_a_patient_with_nothing_on_record_gets_an_empty_list_of_cards() -> None:
    assert answer(request(lists_of(HEALTHY, VIEW)))["cards"] == []


@pytest.mark.row("PFD-04")
def test_lists_sent_as_null_are_lists_with_nothing_in_them() -> None:
    nothing = dict.fromkeys(lists_of(HEALTHY, VIEW)) | {"patient": patient()}
    assert answer(request(nothing))["cards"] == []


@pytest.mark.parametrize(
    "more", [{"birthDate": "2015-01-01"}, {"deceasedBoolean": True}, {"deceasedDateTime": "2026-01-01"}]
)
def test_outside_the_scope_nothing_is_said_and_nothing_is_missing(more: dict[str, Any]) -> None:
    assert answer(request({"patient": patient(**more)}), service=B12)["cards"] == []


def test_the_reply_names_the_version_of_the_knowledge() -> None:
    reply = answer(request(lists_of(HEALTHY, VIEW)))
    assert reply["extension"] == {"cds-service.knowledge": {"version": knowledge().version}}


def test_every_card_of_a_call_is_logged_by_its_rule() -> None:
    circumstances = call()
    reply = answer(request(lists_of(ON_BOTH, VIEW)), circumstances)
    assert circumstances.log["cards"] == rules_of(reply)


def test_an_explanation_is_sent_to_clients_that_want_it() -> None:
    reply = answer(request(lists_of(ON_BOTH, VIEW)), call(explain=True))
    explained = {node["rule"]: node["outcome"] for node in reply["extension"]["cds-service.explain"]}
    assert explained["vka-vitk-concurrent"] == "speaks"


def test_the_cards_come_in_the_language_of_the_call() -> None:
    english, chinese = (answer(request(lists_of(ON_BOTH, VIEW)), call(language))["cards"] for language in ("en", "zh"))
    assert [c["indicator"] for c in english] == [c["indicator"] for c in chinese]
    assert not any("维生素" in c["summary"] for c in english)
    assert all("维生素" in c["summary"] for c in chinese)


def test_drafts_are_judged_against_the_list() -> None:
    drafts = searchset(order("d1", MK7))
    reply = answer(request(lists_of(ON_BOTH[:2], SIGN), hook="order-sign", drafts=drafts), service=SIGN)
    assert "vka-vitk-started" in rules_of(reply)


# --- what is not there -------------------------------------------------------------------------------------------


@pytest.mark.row("PFD-11", "RSP-04")
def test_nothing_sent_and_no_server_is_a_412_that_says_what_to_send() -> None:
    error = refused(request({}))
    assert error.expression == "prefetch.patient"
    assert "Send it as prefetch, or let it be fetched." in str(error)


@pytest.mark.row("PFD-03", "PFD-11")
@pytest.mark.parametrize("key", ["medicationRequests", "medicationStatements"])
def test_a_lacking_list_that_a_rule_hangs_on_is_a_412_that_names_it(key: str) -> None:
    error = refused(request(without(lists_of(ON_BOTH[:2], VIEW), key)))
    assert error.expression == f"prefetch.{key}"
    assert f"{key} (not sent as prefetch; no fhirServer to fetch it from)" in str(error)


def test_a_list_that_the_client_could_not_read_is_a_412() -> None:
    sent = lists_of(ON_BOTH[:2], VIEW) | {"medicationStatements": outcome("forbidden")}
    assert "the client could not fetch it (forbidden)" in str(refused(request(sent)))


@pytest.mark.row("PFD-11", "PRF-02")
@pytest.mark.parametrize(
    ("mood", "reason"), [(status(401), "HTTP 401"), (status(500), "HTTP 500"), (hang, "timed out")]
)
def test_a_server_that_fails_is_a_412_with_its_reason(mood: Any, reason: str, server: FaultServer) -> None:
    for query in server.routes:
        server.routes[query] = mood
    sent = {"patient": patient()}
    error = refused(with_access(sent, server), allowed(server), deadline=0.3)
    assert f"fetching failed: {reason}" in str(error)


@pytest.mark.row("RSP-06", "TOY-06")
def test_a_412_holds_nothing_of_the_patient_the_server_or_the_token(server: FaultServer) -> None:
    server.routes.clear()
    text = str(refused(with_access({"patient": patient()}, server), allowed(server)))
    assert not any(secret in text for secret in ("p1", "1950", server.base, "secret"))


@pytest.mark.row("FHA-13", "TOY-04")
def test_a_server_that_is_not_allowed_is_a_412_and_is_not_called(server: FaultServer) -> None:
    error = refused(with_access({"patient": patient()}, server), call(fhir_servers=("https://ehr.example/fhir",)))
    assert "fhirServer is not on the list of servers that may be called" in str(error)
    assert server.seen == []


@pytest.mark.row("FHA-01")
def test_a_server_without_a_token_is_not_called(server: FaultServer) -> None:
    error = refused(with_access({"patient": patient()}, server, fhir_token=None), allowed(server))
    assert "no fhirAuthorization to fetch it with" in str(error)
    assert server.seen == []


def test_a_sandbox_server_is_called_without_a_token(server: FaultServer) -> None:
    body = with_access({}, server, fhir_token=None)
    reply = answer(body, call(fhir_servers=(server.base,), fhir_without_token=True))
    assert "vka-vitk-concurrent" in rules_of(reply)
    assert {token for _, token in server.seen} == {None}


@pytest.mark.row("X-9")
@pytest.mark.parametrize("sent", [{"patient": None}, {"patient": patient(id="p2")}, {"patient": outcome("forbidden")}])
def test_without_the_right_patient_there_is_no_advice(sent: dict[str, Any]) -> None:
    refused(request(lists_of(ON_BOTH, VIEW) | sent))


@pytest.mark.row("S-9")
def test_a_client_that_wants_no_412_gets_a_card_that_names_what_is_missing() -> None:
    sent = without(lists_of(ON_BOTH[:2], VIEW), "medicationStatements")
    reply = answer(request(sent), call(on_missing_data="card"))
    assert rules_of(reply) == ["data-incomplete"]
    card = reply["cards"][0]
    assert card["indicator"] == "info"
    assert "- Medication statements (over-the-counter products included)" in card["detail"]
    assert "suggestions" not in card


def test_a_client_that_wants_no_412_gets_that_card_for_an_unread_patient_too() -> None:
    assert rules_of(answer(request({}), call("zh", on_missing_data="card"))) == ["data-incomplete"]


@pytest.mark.row("PFD-09")
def test_a_list_of_which_a_part_came_is_no_412_and_no_empty_answer() -> None:
    following = [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]
    sent = lists_of(ON_BOTH[:2], VIEW)
    sent["medicationStatements"] = sent["medicationStatements"] | {"link": following}
    assert rules_of(answer(request(sent))) == ["data-incomplete"]


@pytest.mark.row("PFD-15", "TOY-05")
def test_one_entry_that_cannot_be_read_costs_the_others_nothing() -> None:
    sent = lists_of(ON_BOTH, VIEW)
    broken = statement("odd", {"text": "Vitamin K"}, status=5)
    sent["medicationStatements"]["entry"].append({"resource": broken})
    assert "vka-vitk-concurrent" in rules_of(answer(request(sent)))


def test_cards_that_are_sure_are_shown_before_the_card_of_what_is_missing() -> None:
    sure = rule("sure", {"fact": "patient_is_alive", "is": True})
    hanging = rule("hanging", {"fact": "pernicious_anaemia", "is": True}, priority=2)
    body = request({"patient": patient()})

    def rules_with(*rules: Rule) -> list[str]:
        service = replace(knowledge().services[B12], rules=tuple(one.id for one in rules))
        small = replace(knowledge_with(*rules), services={B12: service})
        return rules_of(make_answer(small, Settings())(B12, body, call()))

    assert rules_with(sure, hanging) == ["sure", "data-incomplete"]
    assert rules_with(sure) == ["sure"]
    with pytest.raises(Unprocessable):
        rules_with(hanging)


def test_a_list_with_a_default_is_no_reason_for_a_412() -> None:
    optional = [need.key for need in prefetch_for(knowledge(), knowledge().services[VIEW]) if need.optional]
    assert optional == ["goals"]
    assert "vka-vitk-concurrent" in rules_of(answer(request(without(lists_of(ON_BOTH, VIEW), "goals"))))
    assert answer(request(without(lists_of(HEALTHY, VIEW), "goals")))["cards"] == []


@pytest.mark.row("TOY-01", "PFD-03")
@pytest.mark.parametrize("on_missing_data", ["412", "card"])
@pytest.mark.parametrize(
    "key", ["labs", "medicationRequests", "medicationStatements", "conditions", "procedures", "serviceRequests"]
)
@pytest.mark.parametrize("service", [VIEW, B12])
def test_whatever_is_missing_there_is_never_a_false_silence(service: str, key: str, on_missing_data: str) -> None:
    """Either the missing list cannot change the answer, or the answer says that it is missing."""
    whole = (*ON_BOTH[:2], result("b12", "2132-9", 120, "pg/mL"))
    sent = lists_of(whole, service)
    if key not in sent:
        return
    full = rules_of(answer(request(sent), service=service))
    try:
        part = rules_of(answer(request(without(sent, key)), call(on_missing_data=on_missing_data), service=service))
    except Unprocessable:
        assert on_missing_data == "412"
        return
    assert set(full) <= set(part) or "data-incomplete" in part


@pytest.mark.row("CRD-01", "SUG-02", "TOY-15")
def test_ids_of_a_reply_are_random_uuids_and_no_two_are_the_same() -> None:
    replies = [answer(request(lists_of(ON_BOTH, VIEW))) for _ in range(20)]
    cards = [card for reply in replies for card in reply["cards"]]
    ids = [UUID(item["uuid"]) for card in cards for item in (card, *card.get("suggestions", ()))]
    assert {(one.version, one.variant) for one in ids} == {(4, RFC_4122)}
    assert len(set(ids)) == len(ids) > 20
