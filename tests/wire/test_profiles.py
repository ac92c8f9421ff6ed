"""The switches of client profiles: each one on and off, and what the ready profiles make of a call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.worked_patients import WorkedPatient, read_worked
from cds_service.coding import RXNORM
from cds_service.errors import SettingsError
from cds_service.hooks.call import make_answer
from cds_service.hooks.messages import CallContext, parse_request
from cds_service.hooks.prefetch import prefetch_for
from cds_service.hooks.response_models import Discovery, HookResponse
from cds_service.sandbox.patients import hook_request, patient_resources, prefetch_of
from cds_service.security.client_file import READY, load_profiles, ready_names
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from tests.support.fault_server import FaultServer, bundle, fault_server, resource, slow
from tests.support.real_inputs import (
    NOW,
    SAMPLES,
    Answer,
    Json,
    call,
    knowledge,
    problem,
    resources_of,
    rules,
    sample_request,
    services,
    shipped_service,
    told,
)

REQUESTS = Path(__file__).parent / "requests"
VIEW, SELECT = "vitamin-b12-patient-view", "vitamin-k-order-select"
EPIC_RXNORM = "urn:oid:2.16.840.1.113883.6.88"
TRUST = {"issuers": ["https://ehr.example"], "jku": ["https://ehr.example/jwks"]}
LOW_B12 = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")


@lru_cache
def _answer() -> Answer:
    """The service as it is reached by https: its cards have links and icons."""
    return make_answer(knowledge(), Settings(public_url="https://cds.example"))


def reply(profile: ClientProfile, service: str, body: Json | bytes) -> Json:
    """What a client with this profile gets, as JSON data."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = parse_request(data, knowledge().services[service].hook, profile)
    answered = _answer()(service, asked, CallContext(profile, profile.language or "en", NOW, {"notes": {}}))
    made: Json = msgspec.json.decode(msgspec.json.encode(answered))
    return made


def agreed(**switches: Any) -> ClientProfile:
    return ClientProfile(name="ehr", **switches)


def low_b12() -> Json:
    return sample_request(LOW_B12, prefetch=True)


def order_request() -> bytes:
    return (REQUESTS / "epic-order-select.json").read_bytes()


def actions(answered: Json, kind: str) -> list[Json]:
    return [
        action
        for card in answered["cards"]
        for suggestion in card.get("suggestions", ())
        for action in suggestion["actions"]
        if action["type"] == kind
    ]


def topics(answered: Json) -> list[str]:
    return [card["source"]["topic"]["code"] for card in answered["cards"]]


# --- what is on a card -----------------------------------------------------------------------------------------------


@pytest.mark.row("CRD-09", "E-14")
def test_beside_tests_alternatives_may_all_be_taken_whatever_the_client_takes() -> None:
    (usual,) = reply(agreed(), VIEW, low_b12())["cards"]
    (epic,) = reply(agreed(selection_behavior="any"), VIEW, low_b12())["cards"]

    assert (usual["selectionBehavior"], epic["selectionBehavior"]) == ("any", "any")
    assert [s["label"] for s in usual["suggestions"]] == [s["label"] for s in epic["suggestions"]]


LEBER = "b12-cyanocobalamin-leber.by-mouth"


def leber_request() -> Json:
    """Cyanocobalamin is being ordered, which the rule proposes to replace in the draft."""
    path = knowledge_dir() / "vitamin-b12" / "b12-cyanocobalamin-leber.examples.yaml"
    (worked,) = [one for one in read_worked(path, knowledge_dir()) if one.id == LEBER]
    resources = patient_resources(worked, knowledge().terminology, NOW)
    return hook_request(worked, resources, prefetch=prefetch_of(resources))


def test_what_a_client_cannot_do_stands_on_the_card_in_words() -> None:
    service = "vitamin-b12-order-select"
    usual = reply(agreed(), service, leber_request())["cards"][0]
    (update,) = [one for one in usual["suggestions"] if one["actions"][0]["type"] == "update"]
    bare = reply(agreed(actions=["create", "delete"]), service, leber_request())["cards"][0]

    assert "suggestions" not in bare
    assert "selectionBehavior" not in bare
    assert f"To be done by hand: {update['label'].partition(':')[0]}" in bare["detail"]
    assert "To be done by hand" not in usual["detail"]


def test_what_a_client_can_do_is_still_suggested() -> None:
    usual = reply(agreed(), SELECT, order_request())
    deleting = reply(agreed(actions=["delete"]), SELECT, order_request())

    assert actions(usual, "create")
    assert not actions(deleting, "create")
    assert actions(deleting, "delete") == actions(usual, "delete")


@pytest.mark.row("SUG-03", "E-16")
@pytest.mark.parametrize("behavior", ["at-most-one", "any"])
def test_of_two_regimens_no_client_is_recommended_both(behavior: str) -> None:
    for sample in SAMPLES:
        for service in services(sample.hook):
            answered = reply(agreed(selection_behavior=behavior), service, sample_request(sample, prefetch=True))
            for card in answered["cards"]:
                kinds = [s["actions"][0]["resource"]["resourceType"] for s in card.get("suggestions", ())
                         if s.get("isRecommended") and "resource" in s["actions"][0]]  # fmt: skip
                assert kinds.count("MedicationRequest") <= 1


@pytest.mark.row("SRC-04", "E-17")
def test_a_topic_is_the_rules_id_or_its_letters_and_digits() -> None:
    assert topics(reply(agreed(), VIEW, low_b12())) == ["b12-low"]
    assert topics(reply(agreed(topic_alphanumeric=True), VIEW, low_b12())) == ["b12low"]


@pytest.mark.row("SRC-04")
def test_the_card_about_missing_data_has_such_a_topic_too() -> None:
    nothing = (REQUESTS / "spec-patient-view-without-prefetch.json").read_bytes()

    assert topics(reply(agreed(on_missing_data="card"), VIEW, nothing)) == ["data-incomplete"]
    assert topics(reply(agreed(on_missing_data="card", topic_alphanumeric=True), VIEW, nothing)) == ["dataincomplete"]


@pytest.mark.row("SRC-04", "E-17")
def test_no_two_rules_have_one_topic_without_hyphens() -> None:
    codes = [rule.replace("-", "") for rule in (*knowledge().rules, "data-incomplete")]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,100}", code) for code in codes)


@pytest.mark.row("CRD-12", "O-4")
def test_cards_link_to_their_rules_unless_the_client_wants_no_links() -> None:
    (linked,), (bare,) = (reply(agreed(links=links), VIEW, low_b12())["cards"] for links in (True, False))

    assert [link["url"] for link in linked["links"]] == ["https://cds.example/rules/b12-low"]
    assert "links" not in bare
    assert (linked["summary"], linked["detail"], linked["source"]) == (bare["summary"], bare["detail"], bare["source"])


@pytest.mark.row("ACT-05", "ACT-06")
def test_a_removal_is_by_resource_id_unless_the_client_is_older() -> None:
    (usual,) = actions(reply(agreed(), SELECT, order_request()), "delete")
    (older,) = actions(reply(agreed(delete_style="resource"), SELECT, order_request()), "delete")

    assert "resource" not in usual
    assert "resourceId" not in older
    assert older["resource"] == usual["resourceId"]


@pytest.mark.row("E-19")
def test_orders_name_code_systems_as_agreed() -> None:
    usual = actions(reply(agreed(), VIEW, low_b12()), "create")
    epic = actions(reply(agreed(order_systems={RXNORM: EPIC_RXNORM}), VIEW, low_b12()), "create")

    assert RXNORM in json.dumps(usual)
    assert RXNORM not in json.dumps(epic)
    assert EPIC_RXNORM in json.dumps(epic)


def test_a_code_system_named_otherwise_is_understood_when_it_comes_back() -> None:
    """What Epic files under the OID is the same medicine when it is next sent to us."""
    body = low_b12()
    before = told_rules(reply(agreed(), VIEW, body))

    assert told_rules(reply(agreed(), VIEW, json.loads(json.dumps(body).replace(RXNORM, EPIC_RXNORM)))) == before


def told_rules(answered: Json) -> list[str]:
    return [card["extension"]["cds-service.rule"]["id"] for card in answered["cards"]]


def test_decisions_are_explained_to_whom_it_was_promised() -> None:
    assert "cds-service.explain" not in reply(agreed(), VIEW, low_b12())["extension"]
    assert reply(agreed(explain=True), VIEW, low_b12())["extension"]["cds-service.explain"]


# --- what goes with the call -----------------------------------------------------------------------------------------


def test_the_profiles_language_counts_where_the_call_asks_for_none(tmp_path: Path) -> None:
    with shipped_service(tmp_path, profile={"language": "zh"}) as client:
        headers = {"Content-Type": "application/json"}
        plain = client.post(f"/cds-services/{VIEW}", data=json.dumps(low_b12()), headers=headers).get_json()
        asked = told(call(client, VIEW, low_b12(), language="en"))

    rule = knowledge().rules["b12-low"]
    assert rule.card is not None
    assert (plain["cards"][0]["summary"], asked[0].summary) == (
        rule.card.summary.in_language("zh"),
        rule.card.summary.en,
    )


@pytest.mark.row("S-9")
def test_missing_data_is_a_412_unless_a_card_was_agreed(tmp_path: Path) -> None:
    body = (REQUESTS / "spec-patient-view-without-prefetch.json").read_bytes()
    with shipped_service(tmp_path) as client:
        assert problem(call(client, VIEW, body))[:2] == (412, "incomplete")
    with shipped_service(tmp_path, profile={"on_missing_data": "card"}) as client:
        assert rules(call(client, VIEW, body)) == ["data-incomplete"]


@pytest.mark.row("DIS-10", "DIS-11")
def test_discovery_tells_versions_to_whom_it_was_agreed(tmp_path: Path) -> None:
    with shipped_service(tmp_path) as client:
        usual = client.get("/cds-services").get_json()
    with shipped_service(tmp_path, profile={"discovery_versions": True}) as client:
        told_too = client.get("/cds-services").get_json()

    Discovery.model_validate(told_too)
    assert not [service for service in usual["services"] if {"version", "hookVersion"} & service.keys()]
    assert {service["version"] for service in told_too["services"]} == {"2.0.1"}
    assert {service["hook"]: service["hookVersion"] for service in told_too["services"]} == {
        "patient-view": "1.0",
        "order-select": "1.0",
        "order-sign": "1.0",
        "encounter-start": "1.0",
        "encounter-discharge": "1.0",
    }
    new = ("version", "hookVersion")
    assert usual["services"] == [
        {name: value for name, value in service.items() if name not in new} for service in told_too["services"]
    ]


@pytest.fixture
def fhir() -> Iterator[FaultServer]:
    """A FHIR server that has all that the low-B12 patient's services ask for."""
    with fault_server() as server:
        for key, query in queries(LOW_B12).items():
            server.routes[query] = resource(low_b12()["prefetch"][key])
        yield server


def queries(sample: WorkedPatient) -> dict[str, str]:
    """What the service asks a FHIR server for, by prefetch key, as it stands in the address."""
    needs = prefetch_for(knowledge(), knowledge().services[VIEW])
    return {need.key: need.query(sample.id).replace("|", "%7C") for need in needs}


@pytest.mark.row("PRF-02")
@pytest.mark.parametrize(("seconds", "status"), [(0.4, 412), (4.5, 200)])
def test_a_client_may_have_its_own_deadline_for_fetching(
    tmp_path: Path, fhir: FaultServer, seconds: float, status: int
) -> None:
    query = queries(LOW_B12)["labs"]
    fhir.routes[query] = slow(1.2, fhir.routes[query])
    profile = {"fhir_deadline": seconds, "fhir_servers": [fhir.base]}
    with shipped_service(tmp_path, profile=profile, fhir_deadline=0.4 if status == 200 else 4.0) as client:
        answered = call(client, VIEW, sample_request(LOW_B12, fhir_server=fhir.base))

    assert answered.status_code == status
    if status == 412:
        assert "labs (fetching failed: timed out)" in problem(answered)[2]


@pytest.mark.parametrize(("pages", "complete"), [(2, False), (3, True), (None, True)])
def test_a_client_may_have_its_own_limit_of_pages(
    tmp_path: Path, fhir: FaultServer, pages: int | None, complete: bool
) -> None:
    query = queries(LOW_B12)["conditions"]
    found = resources_of(LOW_B12).by_type["Condition"]
    for page, name in enumerate((query, "page-2", "page-3")):
        sent = bundle([], after=f"{fhir.base}/page-{page + 2}" if page < 2 else None)
        fhir.routes[name] = resource(sent | {"entry": [{"resource": one} for one in found] if page == 2 else []})
    profile = {"fhir_servers": [fhir.base], **({"fhir_pages": pages} if pages else {})}
    with shipped_service(tmp_path, profile=profile | {"on_missing_data": "card"}) as client:
        shown = rules(call(client, VIEW, sample_request(LOW_B12, fhir_server=fhir.base)))

    assert ("data-incomplete" not in shown) is complete
    assert [path for path, _ in fhir.seen if "page-3" in path] == (["/fhir/page-3"] if complete else [])


@pytest.mark.row("E-2")
@pytest.mark.parametrize(
    ("aliases", "told"),
    [
        ({"labs-user": "lab"}, "open: prefetch_aliases: labs-user: there is no prefetch key 'lab'"),
        ({"labs-user": "labs", "labs-2": "labs"}, "another key maps to labs too"),
    ],
)
def test_a_key_that_would_be_lost_stops_the_start(tmp_path: Path, aliases: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told), shipped_service(tmp_path, profile={"prefetch_aliases": aliases}):
        pass


def test_a_client_may_have_names_of_its_own_for_all_our_keys(tmp_path: Path) -> None:
    body = low_b12()
    own = {f"{key}-user": key for key in body["prefetch"]}
    body["prefetch"] = {name: body["prefetch"][key] for name, key in own.items()}
    with shipped_service(tmp_path, profile={"prefetch_aliases": own}) as client:
        assert rules(call(client, VIEW, body)) == ["b12-low"]


# --- the ready profiles ----------------------------------------------------------------------------------------------


def ready(tmp_path: Path, like: str, **members: Any) -> ClientProfile:
    path = tmp_path / "clients.yaml"
    client = {"name": "ehr", "like": like} | TRUST | members
    path.write_text(json.dumps({"clients": [client]}), encoding="utf-8")
    (profile,) = load_profiles(path)
    return profile


@pytest.mark.row("E-14", "E-17", "E-19")
def test_epic_gets_what_it_can_take(tmp_path: Path) -> None:
    profile = ready(tmp_path, "epic")
    for body, service in ((low_b12(), VIEW), (order_request(), SELECT)):
        answered = reply(profile, service, body)

        HookResponse.model_validate(answered)
        assert answered["cards"]
        assert all(topic.isalnum() for topic in topics(answered))
        assert {card["selectionBehavior"] for card in answered["cards"]} == {"any"}
        assert RXNORM not in json.dumps(actions(answered, "create"))
        for card in answered["cards"]:
            for suggestion in card["suggestions"]:
                (action,) = suggestion["actions"]
                assert action["description"].strip()


@pytest.mark.row("O-4")
def test_oracle_health_gets_no_links(tmp_path: Path) -> None:
    body = (REQUESTS / "oracle-patient-view.json").read_bytes()

    (card,) = reply(ready(tmp_path, "oracle-health"), VIEW, body)["cards"]
    assert "links" not in card
    (card,) = reply(ready(tmp_path, "oracle-health", links=True), VIEW, body)["cards"]
    assert card["links"]


@pytest.mark.row("S-9")
def test_the_sandbox_sees_what_is_missing_as_a_card(tmp_path: Path) -> None:
    body = (REQUESTS / "dstu2-order-select.json").read_bytes()

    assert topics(reply(ready(tmp_path, "cds-hooks-sandbox"), SELECT, body)) == ["data-incomplete"]


def test_the_generic_profile_is_the_defaults(tmp_path: Path) -> None:
    assert ready(tmp_path, "generic") == agreed(like="generic", **TRUST)


def test_a_ready_profile_says_only_what_is_not_the_default() -> None:
    usual = agreed()
    for name in ready_names():
        made = ClientProfile.model_validate({"name": "ehr", "like": name} | members_of(name))
        same = [member for member in members_of(name) if getattr(made, member) == getattr(usual, member)]
        assert same == [], name


def members_of(name: str) -> Json:
    members: Json = yaml.safe_load((READY / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    return members
