"""Scripted clients against the service as it is started in earnest: from discovery to feedback on disk.

Each behaves like one EHR (tests/support/clients). The service is closed and knows them by ready profiles
and signed tokens; their FHIR servers let in whoever has the token, and note who came.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import requests

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.worked_patients import read_worked
from cds_service.sandbox.patients import patient_resources
from cds_service.store.feedback import FeedbackEvent
from tests.support.clients.chart import Chart, chart_server
from tests.support.clients.ehr import CallFailed, CardRefused, Json, Shown
from tests.support.clients.epic import KEYS, LOINC, RXNORM, Epic
from tests.support.clients.generic import Generic
from tests.support.clients.oracle import Oracle
from tests.support.clients.sandbox import ORIGIN, Sandbox, may_read
from tests.support.clients.service import Service, serving
from tests.support.real_inputs import SAMPLES, knowledge
from tests.support.signing import Signer, key_server, write_key_set

LOW_B12, MK7, LEBER = "b12-low-metformin", "vka-mk7-started", "b12-cyanocobalamin-leber.by-mouth"
BESIDE_LEBER = knowledge_dir() / "vitamin-b12" / "b12-cyanocobalamin-leber.examples.yaml"
PATIENTS = {worked.id: worked for worked in SAMPLES} | {
    worked.id: worked for worked in read_worked(BESIDE_LEBER, knowledge_dir()) if worked.id == LEBER
}
TOKEN = "opens-the-chart"
CYANOCOBALAMIN = {
    "text": "Cyanocobalamin 1000 ug tablet",
    "coding": [{"system": "http://www.whocc.no/atc", "code": "B03BA01", "display": "cyanocobalamin"}],
}


@dataclass(frozen=True)
class World:
    """Everything that runs.

    Attributes:
        chart, open_chart: FHIR servers; the second asks for no token.
        signers: by the name of the client in the client file.
    """

    service: Service
    chart: Chart
    open_chart: Chart
    signers: dict[str, Signer]

    def stored(self, shown: Shown) -> FeedbackEvent:
        """The one report on a card, as it is on disk."""
        (event,) = self.service.stored(shown.card["uuid"])
        return event


def orders_of(patient: str) -> list[Json]:
    """The orders that a worked patient's hook is about, told as of today."""
    resources = patient_resources(PATIENTS[patient], knowledge().terminology, datetime.now(UTC))
    assert resources.drafts is not None
    return [entry["resource"] for entry in resources.drafts["entry"]]


def fetched(chart: Chart) -> list[str]:
    """What the service, and not the client itself, has asked a FHIR server since the last time; types only."""
    asked = [path for path, agent in chart.asked if agent != "ehr"]
    chart.asked.clear()
    return sorted({path.removeprefix("/sandbox/fhir/").partition("?")[0].partition("/")[0] for path in asked})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("closed")
    with ExitStack() as stack:
        chart, open_chart = (stack.enter_context(chart_server(list(PATIENTS.values()))) for _ in range(2))
        chart.tokens.add(TOKEN)
        signers = {
            # Epic's issuer is its FHIR server; its key ids are base64.
            "epic": Signer(chart.base, "RS384", kid="k+Z1/qA7cWm0=="),
            "plain": Signer(f"{chart.base}/2", "RS384"),
            "oracle": Signer("https://cds-hooks.cerner.com"),
            "sandbox": Signer("https://sandbox.cds-hooks.org"),
            "tablet": Signer("https://tablet.example"),
        }
        for name in ("epic", "oracle"):
            signers[name].jku = stack.enter_context(key_server(signers[name]))
        for name in ("plain", "sandbox", "tablet"):
            write_key_set(folder / f"{name}.json", signers[name])
        fhir = {"fhir_servers": [chart.base]}
        typed_in = fhir | {"audiences": [Epic.audience], "prefetch_aliases": KEYS}
        clients: list[Json] = [
            {"name": "epic", "like": "epic", "issuers": [chart.base], "jku": [signers["epic"].jku], **typed_in},
            {"name": "plain", "like": "generic", "issuers": [f"{chart.base}/2"], "keys": "plain.json", **typed_in},
            {"name": "oracle", "like": "oracle-health", "jku": [signers["oracle"].jku], **fhir},
            {"name": "sandbox", "like": "cds-hooks-sandbox", "keys": "sandbox.json", "fhir_servers": [open_chart.base]},
            {"name": "tablet", "like": "generic", "issuers": ["https://tablet.example"], "keys": "tablet.json", **fhir},
        ]
        service = stack.enter_context(serving(folder, clients))
        yield World(service, chart, open_chart, signers)


# --- Epic ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def epic(world: World) -> Epic:
    client = Epic(world.service.base, world.chart.base, signer=world.signers["epic"], chart_token=TOKEN)
    client.discover()
    world.chart.asked.clear()
    return client


@pytest.mark.row("E-2", "E-4", "E-8", "E-11", "E-12", "E-13", "E-14", "E-17")
def test_epic_opens_a_chart_and_orders_the_test_that_is_suggested(world: World, epic: Epic) -> None:
    (card,) = epic.open_chart(LOW_B12)

    assert card.rule == "b12low"
    # What the analysts have not typed in, and only that, the service fetches with the token it was given.
    assert fetched(world.chart) == ["AllergyIntolerance", "FamilyMemberHistory", "Goal", "MedicationStatement"]

    epic.accept(card, "Order serum methylmalonic acid")

    (order,) = [epic.drafts[name] for name in epic.orders]
    assert order["resourceType"] == "ServiceRequest"
    assert {coding["system"] for coding in order["code"]["coding"]} == {LOINC}
    event = world.stored(card)
    assert (event.service, event.outcome) == ("vitamin-b12-patient-view", "accepted")
    assert set(event.accepted) < {suggestion["uuid"] for suggestion in card.card["suggestions"]}


@pytest.mark.row("E-19", "E-15")
def test_epic_finds_the_medicine_by_its_own_name_of_the_code_system(world: World, epic: Epic) -> None:
    (card,) = epic.open_chart(LOW_B12)
    (chosen,) = [
        epic.words(suggestion)
        for suggestion in epic.offered(card)
        if suggestion.get("isRecommended") and "medicationCodeableConcept" in suggestion["actions"][0]["resource"]
    ]

    epic.accept(card, chosen)

    medications = [one for one in epic.drafts.values() if one["resourceType"] == "Medication"]
    (order,) = [epic.drafts[name] for name in epic.orders]
    assert [coding["system"] for one in medications for coding in one["code"]["coding"]] == [RXNORM]
    assert order["medicationReference"]["display"] == chosen
    assert world.stored(card).outcome == "accepted"


@pytest.mark.row("E-5", "E-6")
def test_epic_takes_a_drafted_vitamin_k_off_the_list_and_signs_in_peace(world: World, epic: Epic) -> None:
    epic.open_chart(MK7)
    epic.draft(*orders_of(MK7))
    assert [len(name.removeprefix("MedicationRequest/")) for name in epic.orders] == [194]

    (card,) = epic.select()
    assert card.rule == "vkavitkstarted"
    assert [shown.rule for shown in epic.fire("order-sign")] == ["vkavitkstarted"]

    (card,) = epic.select()
    epic.accept(card, "Remove the drafted vitamin K product")

    assert epic.orders == []
    assert epic.fire("order-sign") == []
    assert world.stored(card).outcome == "accepted"


@pytest.mark.row("E-15")
def test_epic_is_told_in_words_what_it_cannot_do(epic: Epic) -> None:
    epic.open_chart(LEBER)
    epic.draft(*orders_of(LEBER))

    (card,) = [shown for shown in epic.select() if shown.rule == "b12cyanocobalaminleber"]

    assert epic.offered(card) == []
    assert "To be done by hand: " in card.card["detail"]


@pytest.mark.row("E-22", "FBK-11")
def test_epic_tells_why_a_card_was_not_followed_in_both_of_its_ways(world: World, epic: Epic) -> None:
    epic.open_chart(MK7)
    epic.draft(*orders_of(MK7))
    (mapped,) = epic.select()
    reason = mapped.card["overrideReasons"][0]
    epic.override(mapped, reason, "Spoke to the patient")
    (unmapped,) = epic.select()
    epic.override(unmapped, None, "")

    event = world.stored(mapped)
    assert (event.outcome, event.reason_code, event.reason_system) == ("overridden", reason["code"], reason["system"])
    assert event.comment == "Spoke to the patient"
    event = world.stored(unmapped)
    assert (event.outcome, event.reason_code, event.reason_display) == ("overridden", "7", "Criteria not met")


@pytest.mark.row("E-22", "FBK-02")
def test_epic_may_hold_its_feedback_back_and_send_all_at_once(world: World, epic: Epic) -> None:
    epic.batched = True
    epic.open_chart(MK7)
    epic.draft(*orders_of(MK7))
    shown = [epic.select()[0] for _ in range(3)]
    epic.override(shown[0], shown[0].card["overrideReasons"][-1], "")
    epic.override(shown[1], None, "Twice a day")
    epic.accept(shown[2], "Order INR")
    assert [world.service.stored(card.card["uuid"]) for card in shown] == [[], [], []]

    epic.flush()

    assert [world.stored(card).outcome for card in shown] == ["overridden", "overridden", "accepted"]
    assert [world.stored(card).comment for card in shown] == [None, "Twice a day", None]


@pytest.mark.row("E-14", "E-17")
def test_epic_cannot_take_the_cards_of_the_generic_profile(world: World) -> None:
    client = Epic(world.service.base, world.chart.base, signer=world.signers["plain"], chart_token=TOKEN)
    client.discover()

    with pytest.raises(CardRefused):
        client.open_chart(LOW_B12)


# --- Oracle Health ---------------------------------------------------------------------------------------------------


@pytest.mark.row("O-1", "O-3", "O-4", "O-6", "PFD-13")
def test_oracle_health_opens_a_chart_and_has_all_of_it_fetched(world: World) -> None:
    client = Oracle(world.service.base, world.chart.base, signer=world.signers["oracle"], chart_token=TOKEN)
    client.discover()
    world.chart.asked.clear()

    (card,) = client.open_chart(LOW_B12)

    assert (card.rule, client.pops_up(card)) == ("b12-low", False)
    types = ["Condition", "FamilyMemberHistory", "Goal", "MedicationRequest", "MedicationStatement", "Observation"]
    assert fetched(world.chart) == sorted([*types, "AllergyIntolerance", "Patient", "Procedure", "ServiceRequest"])

    client.accept(card, "Order total homocysteine")

    assert [order["resourceType"] for order in client.drafts.values()] == ["ServiceRequest"]
    assert world.stored(card).outcome == "accepted"


def test_oracle_health_without_a_token_for_its_chart_shows_nothing_rather_than_a_guess(world: World) -> None:
    client = Oracle(world.service.base, world.chart.base, signer=world.signers["oracle"], chart_token="expired")
    client.discover()

    with pytest.raises(CallFailed, match="412"):
        client.open_chart(LOW_B12)


# --- CDS Hooks Sandbox -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Service]:
    """The service, open to everybody; it may call the FHIR server that asks for no token."""
    with serving(tmp_path_factory.mktemp("open"), FHIR_ALLOW=world.open_chart.base) as service:
        yield service


@pytest.fixture(params=["with its token", "without token, in open mode"])
def sandbox(request: pytest.FixtureRequest, world: World) -> Sandbox:
    """The Sandbox, known to a closed service or nobody in particular to an open one."""
    if request.param == "with its token":
        client = Sandbox(world.service.base, world.open_chart.base, signer=world.signers["sandbox"])
    else:
        service: Service = request.getfixturevalue("open_service")
        client = Sandbox(service.base, world.open_chart.base)
    client.discover()
    return client


def on_disk(sandbox: Sandbox, shown: Shown, world: World, request: pytest.FixtureRequest) -> FeedbackEvent:
    closed = sandbox.base == world.service.base
    service: Service = world.service if closed else request.getfixturevalue("open_service")
    (event,) = service.stored(shown.card["uuid"])
    return event


@pytest.mark.row("S-1", "S-3", "S-6", "S-7", "S-12", "S-13")
def test_the_sandbox_writes_an_order_of_vitamin_k_step_by_step(
    sandbox: Sandbox, world: World, request: pytest.FixtureRequest
) -> None:
    (order,) = orders_of(MK7)
    assert sandbox.open_chart(MK7) == []
    assert sandbox.write() == []

    (card,) = sandbox.write(medicationCodeableConcept=order["medicationCodeableConcept"])
    assert card.rule == "vka-vitk-started"
    (card,) = sandbox.write(dosageInstruction=order["dosageInstruction"])
    sandbox.dismiss(card, "intended-reversal")
    event = on_disk(sandbox, card, world, request)
    assert (event.outcome, event.reason_code, event.reason_display) == ("overridden", "intended-reversal", None)

    (card,) = sandbox.sign()
    before = sandbox.form
    sandbox.accept(card, "Remove the drafted vitamin K product")
    assert sandbox.form == before
    assert on_disk(sandbox, card, world, request).outcome == "accepted"


def test_the_sandbox_swaps_the_medicine_in_its_form(
    sandbox: Sandbox, world: World, request: pytest.FixtureRequest
) -> None:
    sandbox.open_chart(LEBER)
    (card,) = sandbox.write(medicationCodeableConcept=CYANOCOBALAMIN, intent="order")
    assert (card.rule, card.card["indicator"]) == ("b12-cyanocobalamin-leber", "critical")

    sandbox.accept(card, sandbox.offered(card)[0]["label"])

    assert sandbox.form is not None
    assert "ydroxocobalamin" in sandbox.form["medicationCodeableConcept"]["text"]
    assert "b12-cyanocobalamin-leber" not in [shown.rule for shown in sandbox.sign()]
    assert on_disk(sandbox, card, world, request).outcome == "accepted"


@pytest.mark.row("S-15", "CORS-01", "X-6")
def test_a_page_of_the_sandbox_may_read_what_it_is_answered(sandbox: Sandbox) -> None:
    url = f"{sandbox.base}/cds-services/vitamin-k-order-select"
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"

    preflight = requests.options(url, headers=asked, timeout=10)
    refused = requests.post(url, json={}, headers=sandbox.authorization(url), timeout=10)

    assert preflight.ok
    assert may_read(preflight)
    assert (refused.status_code, may_read(refused)) == (400, True)


@pytest.mark.row("S-9")
def test_the_sandbox_is_told_by_a_card_that_its_fhir_server_is_gone(world: World) -> None:
    client = Sandbox(world.service.base, "http://127.0.0.1:9/fhir", signer=world.signers["sandbox"])
    client.discover()
    client.services = {"patient-view": [("vitamin-b12-patient-view", {})]}

    (card,) = client.open_chart(LOW_B12)

    assert card.rule == "data-incomplete"


# --- a client that does what the text says ---------------------------------------------------------------------------


@pytest.fixture
def tablet(world: World) -> Generic:
    client = Generic(world.service.base, world.chart.base, signer=world.signers["tablet"], chart_token=TOKEN)
    client.discover()
    world.chart.asked.clear()
    return client


@pytest.mark.row("TOY-25", "HOOK-10")
def test_every_hook_of_discovery_is_answered_from_prefetch_alone(world: World, tablet: Generic) -> None:
    assert set(tablet.services) == set(Generic.hooks)
    tablet.open_chart(LOW_B12)
    tablet.fire("encounter-start")
    assert [shown.rule for shown in tablet.shown] == ["b12-low"]
    tablet.fire("encounter-discharge")
    tablet.draft(*orders_of(MK7))
    tablet.fire("order-select")
    tablet.fire("order-sign")

    assert fetched(world.chart) == []


@pytest.mark.row("ACT-04")
def test_an_update_is_put_in_the_place_of_the_draft(world: World, tablet: Generic) -> None:
    tablet.open_chart(LEBER)
    tablet.draft(*orders_of(LEBER))
    (name,) = tablet.drafts
    (card,) = [shown for shown in tablet.fire("order-select") if shown.rule == "b12-cyanocobalamin-leber"]

    action = tablet.accept(card, tablet.offered(card)[0]["label"])

    assert action["type"] == "update"
    assert list(tablet.drafts) == [name]
    assert "b12-cyanocobalamin-leber" not in [shown.rule for shown in tablet.fire("order-sign")]
    assert world.stored(card).outcome == "accepted"


@pytest.mark.row("ACT-03", "ACT-05", "ACT-06")
def test_a_test_is_created_and_a_draft_deleted(world: World, tablet: Generic) -> None:
    tablet.open_chart(MK7)
    tablet.draft(*orders_of(MK7))
    (card,) = [shown for shown in tablet.fire("order-select") if shown.rule == "vka-vitk-started"]
    tablet.accept(card, "Order INR")
    assert sorted(name.partition("/")[0] for name in tablet.drafts) == ["MedicationRequest", "ServiceRequest"]

    # An INR is on its way now: it is not suggested again.
    (card,) = [shown for shown in tablet.fire("order-sign") if shown.rule == "vka-vitk-started"]
    assert [one["label"] for one in tablet.offered(card) if one["label"].startswith("Order INR")] == []
    tablet.accept(card, "Remove the drafted vitamin K product")

    assert [name.partition("/")[0] for name in tablet.drafts] == ["ServiceRequest"]
    assert tablet.fire("order-sign") == []


@pytest.mark.row("FBK-06", "OVR-04")
def test_a_reason_and_a_comment_are_kept_as_they_were_given(world: World, tablet: Generic) -> None:
    (card,) = tablet.open_chart(LOW_B12)

    tablet.override(card, "patient-declines", "Wants to wait for the summer")

    event = world.stored(card)
    assert (event.reason_code, event.reason_display) == ("patient-declines", "Patient declines")
    assert event.comment == "Wants to wait for the summer"


# --- who is not known ------------------------------------------------------------------------------------------------


@pytest.mark.row("JWT-03", "TOY-02")
def test_a_client_that_signs_with_a_key_of_its_own_making_gets_nothing(world: World) -> None:
    stranger = Generic(world.service.base, world.chart.base, signer=Signer("https://tablet.example"), chart_token=TOKEN)

    with pytest.raises(CallFailed, match="discovery: 401"):
        stranger.discover()


@pytest.mark.row("TOY-10", "FHA-12")
def test_nothing_that_was_secret_or_about_a_patient_is_in_the_log_of_the_service(world: World, tablet: Generic) -> None:
    (card,) = tablet.open_chart(LOW_B12)
    tablet.override(card, "patient-declines", "A word in confidence")
    log = world.service.log.read_text(encoding="utf-8")

    assert "tablet" in log
    for secret in (TOKEN, LOW_B12, "confidence", "eyJ"):
        assert secret not in log
