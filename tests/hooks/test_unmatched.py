"""What no value set knows: counted per code system in the log, codes only where they are asked for, texts never."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cds_service.coding import Coding
from cds_service.hooks.call import make_answer
from cds_service.hooks.unmatched import UnmatchedCodes, unmatched_counts
from cds_service.logs import configure
from cds_service.record import Unmatched
from cds_service.settings import Settings, load_settings
from tests.support.fhir_parts import Resource, call, lists_of, order, patient, request, result, searchset, statement
from tests.support.kb import knowledge, record

CHART = "vitamin-k-patient-view"
OURS = "urn:oid:2.999.1"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def coded(system: str, code: str, display: str = "", text: str = "") -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text}


def observation(name: str, code: Resource) -> Resource:
    return result(name, "", 1, "mg/L") | {"code": code}


def logged(*resources: Resource, service: str = CHART, **settings: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a call with these resources adds to its log line, and the lines that it writes by itself."""
    stream = io.BytesIO()
    configure("info", stream)
    answer = make_answer(knowledge(), Settings(**settings))
    fields: dict[str, Any] = {"notes": {}}
    drafts = [r for r in resources if r.get("status") == "draft"]
    charted = [r for r in resources if r not in drafts]
    hook = knowledge().services[service].hook
    prefetch = lists_of([patient(), *charted], service)
    body = request(prefetch, hook=hook, drafts=searchset(*drafts) if hook.startswith("order-") else None)
    answer(service, body, replace(call(), log=fields))
    return fields, [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_medicines_that_no_value_set_knows_are_counted_by_code_system() -> None:
    fields, _ = logged(
        statement("a", coded(RXNORM, "29046", "lisinopril")),
        statement("b", coded(RXNORM, "83367", "atorvastatin")),
        statement("c", coded(OURS, "4711")),
        statement("d", {"text": "Canary tablets"}),
    )
    assert fields["unmatched"] == {"MedicationStatement": {"rxnorm": 2, OURS: 1, "no code": 1}}


def test_what_a_value_set_knows_is_not_counted() -> None:
    fields, _ = logged(statement("a", {"text": "Warfarin 5 mg tablet"}), result("b", "6301-6", 2.5, "{INR}"))
    assert "unmatched" not in fields


def test_results_and_conditions_are_counted_as_often_as_they_come() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p1"},
        "code": coded("http://hl7.org/fhir/sid/icd-10", "I10"),
    }
    results = [observation(f"o{n}", coded("http://loinc.org", "2951-2", "Sodium")) for n in range(3)]
    fields, _ = logged(*results, condition)
    assert fields["unmatched"] == {"Observation": {"loinc": 3}, "Condition": {"icd-10": 1}}


def test_an_entry_with_two_systems_counts_once_in_each() -> None:
    both = {
        "coding": [{"system": RXNORM, "code": "29046"}, {"system": OURS, "code": "1"}, {"system": OURS, "code": "2"}]
    }
    fields, _ = logged(statement("a", both))
    assert fields["unmatched"] == {"MedicationStatement": {"rxnorm": 1, OURS: 1}}


def test_a_drafted_medicine_that_no_value_set_knows_is_counted() -> None:
    fields, _ = logged(order("d", coded(OURS, "4711")), service="vitamin-k-order-sign")
    assert fields["unmatched"] == {"MedicationRequest": {OURS: 1}}


def test_a_draft_without_a_medicine_yet_is_not_counted() -> None:
    fields, _ = logged(order("d", {}), service="vitamin-k-order-sign")
    assert "unmatched" not in fields


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ("", "no system"),
        ("Canary Jones", "other"),
        ("https://ehr.example/Patient/1?name=Canary", "other"),
        ("https://canary:secret@ehr.example/codes", "other"),
        ("https://ehr.example/codes/12345678", "other"),
        ("urn:uuid:0b1a4ff2-9d1c-4d0a-8a53-5f6c1b7c9d11", "other"),
        ("https://ehr.example/codes/drugs", "https://ehr.example/codes/drugs"),
        ("urn:oid:1.2.840.114350.1.13.861.1.7.2.698288", "urn:oid:1.2.840.114350.1.13.861.1.7.2.698288"),
        ("urn:oid:2.16.840.1.113883.6.88", "rxnorm"),
    ],
)
def test_a_system_is_told_only_if_it_is_a_plain_address(system: str, told: str) -> None:
    entry = Unmatched("MedicationRequest", (Coding(system, "x1"),), "", 1)
    assert unmatched_counts(record(unmatched=(entry,))) == {"MedicationRequest": {told: 1}}


def test_one_call_cannot_fill_the_log_with_systems() -> None:
    entries = tuple(Unmatched("Observation", (Coding(f"urn:oid:2.999.{n}", "x"),), "", 1) for n in range(100))
    counts = unmatched_counts(record(unmatched=entries))["Observation"]
    assert len(counts) == 21
    assert (sum(counts.values()), counts["other"]) == (100, 80)


# --- codes, where they are asked for ------------------------------------------------------------------------------


def codes(*resources: Resource) -> set[tuple[str, str, str]]:
    _, lines = logged(*resources, log_unmatched=True)
    return {(line["resource"], line["system"], line["code"]) for line in lines if line["event"] == "unmatched code"}


def test_no_code_is_told_unless_it_is_asked_for() -> None:
    assert load_settings().log_unmatched is False
    _, lines = logged(statement("a", coded(OURS, "4711")))
    assert lines == []


def test_the_codes_of_unmatched_medicines_are_told_and_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_LOG_UNMATCHED", "1")
    assert load_settings().log_unmatched is True
    _, lines = logged(statement("a", coded(OURS, "4711", "Canary", "Canary")), log_unmatched=True)
    (line,) = lines
    assert set(line) == {"event", "level", "at", "resource", "system", "code"}
    assert (line["event"], line["resource"], line["system"], line["code"]) == (
        "unmatched code",
        "MedicationStatement",
        OURS,
        "4711",
    )


@pytest.mark.parametrize("name", ["SerumB12x", "Kobalamin, S", "Homocystein", "INRPOC"])
def test_the_code_of_a_test_that_sounds_like_ours_is_told(name: str) -> None:
    assert knowledge().terminology.concepts("observation", (), name) == frozenset()
    assert codes(observation("o", coded(OURS, "L1", "", name))) == {("Observation", OURS, "L1")}


@pytest.mark.parametrize("name", ["Sodium", "Bilirubin total", "血糖", "Blood pressure"])
def test_the_code_of_another_test_is_not_told(name: str) -> None:
    assert codes(observation("o", coded(OURS, "L1", name))) == set()


def test_a_condition_s_code_is_not_told() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p1"},
        "code": coded(OURS, "D1", "Vitamin B12 check"),
    }
    assert codes(condition) == set()


@pytest.mark.parametrize("code", ["Canary Jones", "给张三的华法林", "x" * 31, "a|b"])
def test_what_has_not_the_shape_of_a_code_is_not_told(code: str) -> None:
    assert codes(statement("a", coded(OURS, code))) == set()


def test_a_code_is_told_once_whoever_has_it() -> None:
    stream = io.BytesIO()
    configure("info", stream)
    unmatched = UnmatchedCodes(knowledge().terminology)
    for _ in range(3):
        unmatched.tell(record(unmatched=(Unmatched("MedicationRequest", (Coding(OURS, "4711"),), "", 2),)))
    assert len(stream.getvalue().splitlines()) == 1
