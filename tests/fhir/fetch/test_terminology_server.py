"""A terminology server is asked in the background: no call waits, the next one profits, a failure costs nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from cds_service.artifacts.load import load_knowledge
from cds_service.coding import NDC, Coding
from cds_service.egress.egress import Egress
from cds_service.errors import KnowledgeError, SettingsError
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.hooks.call import make_answer
from cds_service.logs import configure
from cds_service.record import Unmatched
from cds_service.settings import Settings, load_settings
from cds_service.terminology import Kind
from tests.servers.fixtures import store
from tests.support.fault_server import FaultServer, fault_server, resource, slow, status
from tests.support.fhir_parts import MK7, call, lists_of, patient, request, statement
from tests.support.kb import knowledge, record
from tests.support.terminology_calls import B12, OURS, VKA, Clock, concepts, question, said, server_at, unknown

CHART = "vitamin-k-patient-view"


@pytest.fixture
def terms() -> Iterator[FaultServer]:
    with fault_server() as server:
        yield server


def asked(server: FaultServer) -> list[str]:
    return [path.removeprefix("/fhir/") for path, _ in server.seen]


# --- one code ----------------------------------------------------------------------------------------------------


def test_a_code_that_the_server_knows_is_recognised_afterwards(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(True)
    server = server_at(terms)
    assert concepts(server, "W1") == frozenset()
    server.ask(unknown("W1"))
    server.settle()
    assert concepts(server, "W1") == {"vitamin-k-antagonist"}
    assert concepts(server, "W2") == frozenset()


def test_what_the_shipped_value_sets_know_stays_known(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(True)
    server = server_at(terms)
    server.ask(unknown("W1"))
    server.settle()
    assert server.terminology.concepts("medication", (), "Warfarin 5 mg") == {"vitamin-k-antagonist", "warfarin"}
    assert knowledge().terminology.concepts("medication", [Coding(OURS, "W1")]) == frozenset()


def test_a_package_code_with_hyphens_is_recognised_with_and_without_them() -> None:
    more: dict[tuple[Kind, str, str], frozenset[str]] = {
        ("medication", NDC, "99999-0001-01"): frozenset({"vitamin-k-antagonist"})
    }
    learned = knowledge().terminology.with_codes(more)
    for code in ("99999-0001-01", "99999000101"):
        assert learned.concepts("medication", [Coding(NDC, code)]) == {"vitamin-k-antagonist"}


def test_a_medicine_is_asked_for_in_value_sets_of_medicines_only(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(False)
    server = server_at(terms)
    server.ask(unknown("W1"))
    server.settle()
    assert asked(terms) == [question("W1")]


def test_a_laboratory_code_is_asked_for_as_one(terms: FaultServer) -> None:
    terms.routes[question("L1", B12)] = said(True)
    server = server_at(terms)
    server.ask(unknown("L1", kind="Observation"))
    server.settle()
    assert server.terminology.concepts("observation", [Coding(OURS, "L1")]) == {"serum-vitamin-b12"}
    assert concepts(server, "L1") == frozenset()


def test_an_answer_is_kept_also_if_it_is_no(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(False)
    server = server_at(terms)
    for _ in range(3):
        server.ask(unknown("W1", "W1"))
        server.settle()
    assert asked(terms) == [question("W1")]


def test_an_old_no_is_asked_again(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(False)
    clock = Clock()
    server = server_at(terms, clock)
    server.ask(unknown("W1"))
    server.settle()
    clock.now += 25 * 3600
    terms.routes[question("W1")] = said(True)
    server.ask(unknown("W1"))
    server.settle()
    assert concepts(server, "W1") == {"vitamin-k-antagonist"}


def test_an_old_yes_holds_until_the_server_takes_it_back(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(True)
    clock = Clock()
    server = server_at(terms, clock)
    server.ask(unknown("W1"))
    server.settle()
    clock.now += 25 * 3600
    terms.routes[question("W1")] = status(503)
    server.renew()
    server.settle()
    assert concepts(server, "W1") == {"vitamin-k-antagonist"}
    clock.now += 25 * 3600
    terms.routes[question("W1")] = said(False)
    server.renew()
    server.settle()
    assert concepts(server, "W1") == frozenset()


def test_a_young_answer_is_not_renewed(terms: FaultServer) -> None:
    terms.routes[question("W1")] = said(True)
    server = server_at(terms)
    server.ask(unknown("W1"))
    server.settle()
    server.renew()
    server.settle()
    assert asked(terms) == [question("W1")]


@pytest.mark.parametrize("code", ["Canary Jones", "给张三的华法林", "x" * 65, ""])
def test_what_has_not_the_shape_of_a_code_is_not_sent(code: str, terms: FaultServer) -> None:
    server = server_at(terms)
    server.ask(unknown(code))
    server.settle()
    assert asked(terms) == []


def test_a_code_without_a_system_and_a_text_are_not_sent(terms: FaultServer) -> None:
    server = server_at(terms)
    server.ask(
        record(unmatched=(Unmatched("Observation", (Coding("", "1"),), "", 1), Unmatched("Observation", (), "B12", 1)))
    )
    server.settle()
    assert asked(terms) == []


# --- when it does not answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [status(404), status(500), resource({"resourceType": "OperationOutcome"}), resource({"parameter": "?"})],
)
def test_a_code_without_an_answer_is_asked_again_later(answer: Any, terms: FaultServer) -> None:
    terms.routes[question("W1")] = answer
    clock = Clock()
    server = server_at(terms, clock)
    server.ask(unknown("W1"))
    server.settle()
    server.ask(unknown("W1"))
    server.settle()
    assert asked(terms) == [question("W1")]
    clock.now += 301
    terms.routes[question("W1")] = said(True)
    server.ask(unknown("W1"))
    server.settle()
    assert concepts(server, "W1") == {"vitamin-k-antagonist"}


def test_failures_are_logged_by_number_and_at_most_once_a_minute(terms: FaultServer) -> None:
    stream = io.BytesIO()
    configure("info", stream)
    clock = Clock()
    server = server_at(terms, clock)
    server.ask(unknown("W1", "W2", "W3"))
    server.settle()
    clock.now += 61
    server.ask(unknown("W4"))
    server.settle()
    lines = [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]
    assert [line["failed"] for line in lines] == [1, 3]
    assert b"Canary" not in stream.getvalue()
    assert b"W1" not in stream.getvalue()


def test_asking_does_not_wait_and_takes_no_more_than_there_is_room_for(terms: FaultServer) -> None:
    codes = [f"W{n}" for n in range(1500)]
    terms.routes[question("W0")] = slow(30, said(True))
    server = server_at(terms)
    server.ask(unknown(*codes))
    assert concepts(server, "W0") == frozenset()
    assert server._queue.qsize() <= 1000
    assert len(asked(terms)) <= 1


# --- the whole way -----------------------------------------------------------------------------------------------

OVERLAY = f"site: A clinic\nterminology:\n  vitamin-k-antagonist: {VKA}\n"


def site(folder: Path, overlay: str = OVERLAY) -> Path:
    (folder / "overlay.yaml").write_text(overlay)
    return folder


def cards_by(answer: Any) -> set[str]:
    medicine = {"coding": [{"system": OURS, "code": "W1"}]}
    body = request(lists_of([patient(), statement("w", medicine, days=400), statement("k", MK7)], CHART))
    reply = answer(CHART, body, replace(call(), log={"notes": {}}))
    return {card["extension"]["cds-service.rule"]["id"] for card in reply["cards"]}


def test_the_first_call_is_judged_without_the_code_and_the_next_one_with_it(terms: FaultServer, tmp_path: Path) -> None:
    terms.routes[question("W1")] = said(True)
    settings = Settings(fhir_allow=(terms.base,), terminology=terms.base)
    answer = make_answer(load_knowledge(site=site(tmp_path)), settings)
    assert "vka-vitk-concurrent" not in cards_by(answer)
    answer.__self__._server.settle()  # type: ignore[attr-defined]
    assert "vka-vitk-concurrent" in cards_by(answer)


def test_without_the_setting_nothing_is_asked(terms: FaultServer, tmp_path: Path) -> None:
    answer = make_answer(load_knowledge(site=site(tmp_path)), Settings(fhir_allow=(terms.base,)))
    cards_by(answer)
    assert asked(terms) == []


def test_a_server_that_may_not_be_called_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(terminology="https://terms.example/fhir")
    with pytest.raises(SettingsError, match="CDS_TERMINOLOGY: this server may not be called"):
        make_answer(load_knowledge(site=site(tmp_path)), settings)


def test_a_server_without_mapped_value_sets_stops_the_start(terms: FaultServer) -> None:
    with pytest.raises(SettingsError, match="CDS_TERMINOLOGY: no value set is mapped"):
        make_answer(knowledge(), Settings(fhir_allow=(terms.base,), terminology=terms.base))


def test_the_setting_is_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_TERMINOLOGY", "https://terms.example/fhir/")
    assert load_settings().terminology == "https://terms.example/fhir"
    monkeypatch.setenv("CDS_TERMINOLOGY", "terms.example")
    with pytest.raises(SettingsError, match="CDS_TERMINOLOGY: not an absolute http or https URL"):
        load_settings()


@pytest.mark.parametrize(
    ("member", "says"),
    [("b13: https://terms.example/x", "there is no concept b13"), ("inr: terms", "should match pattern")],
)
def test_a_mapping_that_cannot_be_is_told(member: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=rf"overlay.yaml:3: .*{says}"):
        load_knowledge(site=site(tmp_path, f"site: A clinic\nterminology:\n  {member}\n"))


@pytest.mark.hapi
def test_hapi_is_asked_for_the_codes_of_a_value_set_it_holds(hapi_url: str) -> None:
    system = "https://terms.example/CodeSystem/formulary"
    store(
        hapi_url,
        [
            {
                "resourceType": "CodeSystem",
                "id": "formulary",
                "url": system,
                "status": "active",
                "content": "complete",
                "concept": [{"code": "W1", "display": "Warfarin"}, {"code": "S1", "display": "Something else"}],
            },
            {
                "resourceType": "ValueSet",
                "id": "vka",
                "url": VKA,
                "status": "active",
                "compose": {"include": [{"system": system, "concept": [{"code": "W1"}]}]},
            },
        ],
    )
    assert requests.get(f"{hapi_url}/ValueSet/vka", timeout=30).status_code == 200
    server = TerminologyServer(hapi_url, {"vitamin-k-antagonist": VKA}, knowledge().terminology, Egress([hapi_url]))
    both = tuple(Unmatched("MedicationRequest", (Coding(system, code),), "", 1) for code in ("W1", "S1"))
    server.ask(record(unmatched=both))
    server.settle()
    found = [server.terminology.concepts("medication", [Coding(system, code)]) for code in ("W1", "S1")]
    assert found == [{"vitamin-k-antagonist"}, frozenset()]
