"""Worked patients: what the shorthand means, what it refuses, and what it becomes in FHIR R4."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_service.artifacts.worked_patients import Amount, WorkedPatient, read_worked
from cds_service.coding import ATC, LOINC, SNOMED, UCUM, Coding
from cds_service.errors import KnowledgeError
from cds_service.fhir.bundle import open_resource
from cds_service.sandbox.entries import fhir_date
from cds_service.sandbox.patients import WorkedResources, hook_request, patient_resources, prefetch_of
from cds_service.terminology import ConceptCodes, Terminology

TERMINOLOGY = Terminology(
    [
        ConceptCodes(
            "serum-vitamin-b12",
            "observation",
            codes=frozenset({(LOINC, "2132-9")}),
            texts=("vitamin b12",),
            preferred=Coding(LOINC, "2132-9", "Cobalamin"),
        ),
        ConceptCodes("inr", "observation", texts=("INR", "国际标准化比值")),
        ConceptCodes(
            "vitamin-k-antagonist",
            "medication",
            codes=frozenset({(ATC, "B01AA03")}),
            texts=("warfarin",),
            preferred=Coding(ATC, "B01AA03"),
        ),
        ConceptCodes("menatetrenone", "medication", texts=("menatetrenone",)),
        ConceptCodes("phytomenadione", "medication", texts=("vitamin K1",)),
        ConceptCodes(
            "pernicious-anaemia",
            "condition",
            codes=frozenset({(SNOMED, "84027009")}),
            texts=("pernicious anaemia",),
            preferred=Coding(SNOMED, "84027009"),
        ),
        ConceptCodes("over-anticoagulation", "condition", texts=("over-anticoagulation",)),
        ConceptCodes("wordless", "condition"),
    ]
)

BARE: dict[str, Any] = {
    "id": "W01",
    "name": {"en": "A sentence.", "zh": "一句话。"},
    "patient": {"age": 68, "sex": "female"},
    "hook": "patient-view",
    "expect": {},
}


def worked(**members: Any) -> WorkedPatient:
    return WorkedPatient.model_validate(BARE | members)


def resources(**members: Any) -> WorkedResources:
    written = patient_resources(worked(**members), TERMINOLOGY)
    drafts = [entry["resource"] for entry in (written.drafts or {}).get("entry", [])]
    for resource in (*written.all, *drafts):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return written


def one(kind: str, **members: Any) -> dict[str, Any]:
    (resource,) = resources(**members).by_type[kind]
    return resource


def lab(**members: Any) -> dict[str, Any]:
    return one("Observation", labs=[{"test": "serum-vitamin-b12", "value": 182, "date": "-10d"} | members])


def order(**members: Any) -> dict[str, Any]:
    return one("MedicationRequest", medications=[{"drug": "vitamin-k-antagonist", "as": "order"} | members])


def read(tmp_path: Path, text: str) -> tuple[WorkedPatient, ...]:
    path = tmp_path / "some.examples.yaml"
    path.write_text(text, encoding="utf-8")
    return read_worked(path, tmp_path)


YAML = """
- id: W01
  name: {en: A sentence., zh: 一句话。}
  patient: {age: null, sex: male}
  labs:
    - [serum-vitamin-b12, 182, pg/mL, 2025-11-10]
    - {test: inr, comparator: "<", value: 1.5, date: -72h}
  conditions: [pernicious-anaemia@2019, {text: Gout}]
  medications: [{drug: menatetrenone, daily: 45 mg, course: 3 d}]
  pending: [inr@2025-11-18]
  hook: patient-view
  expect: {b12-low: {severity: warning, suggest: [order-mma]}}
- id: W02
  name: {en: Another., zh: 又一句。}
  as_of: 2026-01-02
  patient: {age: 30, sex: female}
  hook: order-sign
  drafts: [{test: serum-vitamin-b12}]
  expect: {}
"""


def test_a_file_of_worked_patients_is_read_in_order(tmp_path: Path) -> None:
    first, second = read(tmp_path, YAML)
    assert (first.id, first.as_of) == ("W01", date(2025, 11, 20))
    assert (second.id, second.as_of) == ("W02", date(2026, 1, 2))
    assert (first.labs[0].test, first.labs[0].value, first.labs[0].date) == ("serum-vitamin-b12", 182, "2025-11-10")
    assert (first.labs[1].comparator, first.labs[1].unit) == ("<", None)
    assert (first.conditions[0].concept, first.conditions[0].date) == ("pernicious-anaemia", "2019")
    assert first.conditions[1].concept is None
    assert first.medications[0].daily == Amount(45, "mg")
    assert first.pending[0].date == "2025-11-18"
    assert first.expect["b12-low"].suggest == ["order-mma"]
    assert first.moments == ["2025-11-10", "-72h", "2019", "2025-11-18"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("sex: male", "sex: M", "some.examples.yaml:4"),
        ("daily: 45 mg", "dialy: 45 mg", "some.examples.yaml:9: 0.medications.0.dialy"),
        ("daily: 45 mg", "daily: 45mg", "an amount is a number, a blank and a unit"),
        ("daily: 45 mg", "daily: 45 mg, dose: 15 mg", "give daily or dose, not both"),
        ("course: 3 d", "course: 3 d, end: -1d", "give course or end, not both"),
        ("2025-11-10]", "10 Nov 2025]", "some.examples.yaml:6"),
        ("2025-11-10]", "-10x]", "some.examples.yaml:6"),
        (", pg/mL, 2025-11-10]", ", pg/mL]", r"\[test, value, unit, date\]"),
        ("{text: Gout}", "{date: -1d}", "give a concept or a text"),
        ("{drug: menatetrenone, ", "{", "give a drug or a text"),
        ("hook: patient-view", "hook: patient-viewed", "some.examples.yaml:11"),
        ("hook: order-sign", "hook: patient-view", "patient-view has no drafts"),
        ("hook: patient-view", "silent: [b12-low]\n  hook: patient-view", "expected and said to be silent"),
        ("id: W02", "id: W01", "there are two patients W01"),
        ("id: W02", "id: W_02", "some.examples.yaml:13"),
        ("as_of: 2026-01-02", "as_of: soon", "some.examples.yaml:1[35]"),
    ],
)
def test_a_fault_in_the_shorthand_is_told_with_its_place(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in YAML
    with pytest.raises(KnowledgeError, match=message):
        read(tmp_path, YAML.replace(before, after))


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="not a list"):
        read(tmp_path, "id: W01")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2025-03-01", "2025-03-01"),
        ("2025-03", "2025-03"),
        ("-10d", "2025-11-10"),
        ("+1d", "2025-11-21"),
        ("-2w", "2025-11-06"),
        ("-3y", "2022-11-20"),
        ("-72h", "2025-11-17T12:00:00+00:00"),
    ],
)
def test_a_relative_date_counts_from_the_day_of_judgement(when: str, expected: str) -> None:
    assert fhir_date(when, date(2025, 11, 20)) == expected


def test_hours_count_from_the_instant_where_there_is_one() -> None:
    assert fhir_date("-6h", datetime(2026, 1, 1, 3, 0, tzinfo=UTC)) == "2025-12-31T21:00:00+00:00"


@pytest.mark.parametrize("as_of", [date(2025, 11, 1), date(2025, 11, 20), date(2024, 2, 29)])
def test_a_patient_has_exactly_the_stated_age(as_of: date) -> None:
    birth = date.fromisoformat(patient_resources(worked(), TERMINOLOGY, as_of).patient["birthDate"])
    assert as_of.year - birth.year - ((as_of.month, as_of.day) < (birth.month, birth.day)) == 68


def test_an_unknown_age_leaves_the_birth_date_out() -> None:
    assert "birthDate" not in resources(patient={"age": None, "sex": "male"}).patient


@pytest.mark.parametrize(("deceased", "expected"), [(None, None), (False, False), (True, True)])
def test_death_is_written_only_if_something_is_said_of_it(deceased: bool | None, expected: bool | None) -> None:
    patient = resources(patient={"age": 50, "sex": "male", "deceased": deceased}).patient
    assert patient.get("deceasedBoolean") is expected


def test_a_result_carries_the_preferred_code_and_a_coded_unit() -> None:
    result = lab(unit="pg/mL")
    assert result["code"] == {"coding": [{"system": LOINC, "code": "2132-9", "display": "Cobalamin"}]}
    assert result["valueQuantity"] == {"value": 182, "unit": "pg/mL", "system": UCUM, "code": "pg/mL"}
    assert result["effectiveDateTime"] == "2025-11-10"
    assert result["subject"] == {"reference": "Patient/W01"}


def test_a_result_without_a_unit_has_none_in_fhir() -> None:
    assert lab()["valueQuantity"] == {"value": 182}


def test_a_home_made_unit_is_written_as_text_alone() -> None:
    assert lab(unit="PG/ML")["valueQuantity"] == {"value": 182, "unit": "PG/ML"}


def test_a_comparator_stands_in_the_quantity() -> None:
    assert lab(comparator="<", unit="pg/mL")["valueQuantity"]["comparator"] == "<"


def test_a_value_in_words_is_a_value_string() -> None:
    result = lab(value="<150 pg/mL")
    assert result["valueString"] == "<150 pg/mL"
    assert "valueQuantity" not in result


def test_a_result_without_a_value_says_that_it_is_absent() -> None:
    assert lab(value=None)["dataAbsentReason"]["coding"][0]["code"] == "unknown"


def test_flag_range_and_foreign_subject_are_written() -> None:
    result = lab(unit="pg/mL", interpretation="L", range=[200, 900], subject="other", issued="-90h")
    assert result["interpretation"][0]["coding"][0]["code"] == "L"
    assert (result["referenceRange"][0]["low"]["value"], result["referenceRange"][0]["high"]["value"]) == (200, 900)
    assert result["subject"] == {"reference": "Patient/somebody-else"}
    assert result["issued"] == "2025-11-16T18:00:00+00:00"


def test_a_concept_without_a_code_is_written_by_its_first_synonym() -> None:
    assert one("Observation", labs=[["inr", 2.1, "1", "-1d"]])["code"] == {"text": "INR"}


def test_a_text_that_is_recognised_goes_out_without_a_code() -> None:
    assert order(text="Warfarin 2 mg")["medicationCodeableConcept"] == {"text": "Warfarin 2 mg"}


def test_a_text_that_is_not_recognised_goes_out_beside_the_code() -> None:
    concept = order(text="the blue tablet")["medicationCodeableConcept"]
    assert concept == {"coding": [{"system": ATC, "code": "B01AA03"}], "text": "the blue tablet"}


def test_a_code_of_ones_own_replaces_the_preferred_one() -> None:
    concept = order(code={"system": "urn:example:local", "code": "W5", "display": "Warfarin 5"})
    assert concept["medicationCodeableConcept"] == {
        "coding": [{"system": "urn:example:local", "code": "W5", "display": "Warfarin 5"}]
    }


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"conditions": ["no-such-thing"]}, "no-such-thing is not a condition value set"),
        ({"conditions": ["serum-vitamin-b12"]}, "serum-vitamin-b12 is not a condition value set"),
        ({"conditions": ["wordless"]}, "neither a preferred code nor a synonym"),
    ],
)
def test_a_concept_that_cannot_be_written_is_a_fault(members: dict[str, Any], message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        patient_resources(worked(**members), TERMINOLOGY)


def test_a_daily_dose_is_written_once_a_day() -> None:
    (dosage,) = order(daily="4 mg", route="oral")["dosageInstruction"]
    assert dosage["timing"] == {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    assert dosage["doseAndRate"][0]["doseQuantity"] == {"value": 4, "unit": "mg", "system": UCUM, "code": "mg"}
    assert dosage["route"]["coding"][0]["code"] == "26643006"


def test_a_single_dose_is_given_once_and_not_daily() -> None:
    (dosage,) = order(dose="5 mg", once=True)["dosageInstruction"]
    assert dosage["timing"] == {"repeat": {"count": 1}}


def test_a_dose_with_no_rhythm_has_no_timing() -> None:
    (dosage,) = order(dose="1000 ug", route="im", as_needed=True)["dosageInstruction"]
    assert "timing" not in dosage
    assert dosage["asNeededBoolean"] is True


def test_a_course_is_a_bounded_duration() -> None:
    (dosage,) = order(daily="5 mg", course="3 d")["dosageInstruction"]
    assert dosage["timing"]["repeat"]["boundsDuration"] == {"value": 3, "unit": "d", "system": UCUM, "code": "d"}


def test_an_order_with_an_end_has_bounds_and_keeps_its_start_as_its_date() -> None:
    request = order(daily="5 mg", start="-30d", end="-2d")
    assert request["authoredOn"] == "2025-10-21"
    bounds = request["dosageInstruction"][0]["timing"]["repeat"]["boundsPeriod"]
    assert bounds == {"start": "2025-10-21", "end": "2025-11-18"}


def test_a_reason_is_written_as_a_concept() -> None:
    assert order(reason="over-anticoagulation")["reasonCode"] == [{"text": "over-anticoagulation"}]


def test_vitamin_k_is_a_statement_unless_it_is_said_to_be_an_order() -> None:
    statement = one("MedicationStatement", medications=[{"drug": "menatetrenone", "start": "-30d", "end": "-1d"}])
    assert statement["effectivePeriod"] == {"start": "2025-10-21", "end": "2025-11-19"}
    assert one("MedicationRequest", medications=[{"drug": "menatetrenone", "as": "order"}])["intent"] == "order"


def test_a_strength_is_written_in_a_contained_medication() -> None:
    request = order(drug="menatetrenone", strength="15 mg", form="capsule", daily="45 mg")
    (product,) = request["contained"]
    assert request["medicationReference"] == {"reference": f"#{product['id']}"}
    assert product["ingredient"][0]["strength"] == {
        "numerator": {"value": 15, "unit": "mg", "system": UCUM, "code": "mg"},
        "denominator": {"value": 1, "unit": "capsule"},
    }


def test_a_condition_made_in_error_has_no_clinical_status() -> None:
    problem = {"concept": "pernicious-anaemia", "verification": "entered-in-error"}
    assert "clinicalStatus" not in one("Condition", conditions=[problem])


def test_a_condition_keeps_its_statuses_and_onset() -> None:
    problem = {"concept": "pernicious-anaemia", "status": "inactive", "verification": "refuted", "date": "2024-05"}
    condition = one("Condition", conditions=[problem])
    assert condition["clinicalStatus"]["coding"][0]["code"] == "inactive"
    assert condition["verificationStatus"]["coding"][0]["code"] == "refuted"
    assert condition["onsetDateTime"] == "2024-05"


def test_procedures_tests_and_goals_are_written() -> None:
    written = resources(
        procedures=["pernicious-anaemia@2019-05-01"], pending=["serum-vitamin-b12@-2d"], goals={"inr": [2.5, 3.5]}
    )
    assert written.by_type["Procedure"][0]["performedDateTime"] == "2019-05-01"
    assert written.by_type["ServiceRequest"][0]["authoredOn"] == "2025-11-18"
    low = written.by_type["Goal"][0]["target"][0]["detailRange"]["low"]
    assert (low["value"], low["code"]) == (2.5, "1")


def test_drafts_are_orders_of_which_only_the_selected_ones_are_selections() -> None:
    written = resources(
        hook="order-select",
        drafts=[
            {"drug": "menatetrenone", "daily": "45 mg"},
            {"drug": "vitamin-k-antagonist", "selected": False},
            {"test": "serum-vitamin-b12"},
        ],
    )
    assert written.drafts is not None
    drafts = [entry["resource"] for entry in written.drafts["entry"]]
    assert [draft["status"] for draft in drafts] == ["draft"] * 3
    assert written.selections == ["MedicationRequest/W01-draft-1", "ServiceRequest/W01-draft-3"]
    assert written.by_type["MedicationRequest"] == []


def test_ids_are_unique_and_fit_fhir() -> None:
    written = resources(id="W" * 48, labs=[["inr", 2, "1", "-1d"]] * 12, conditions=["pernicious-anaemia"] * 2)
    ids = [resource["id"] for resource in written.all]
    assert len(set(ids)) == len(ids) == 15
    assert max(map(len, ids)) <= 64


def test_a_prefetch_has_every_list_even_the_empty_ones() -> None:
    prefetch = prefetch_of(resources(labs=[["inr", 2, "1", "-1d"]]))
    assert prefetch["patient"]["resourceType"] == "Patient"
    assert prefetch["labs"]["total"] == len(prefetch["labs"]["entry"]) == 1
    assert prefetch["goals"] == {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert set(prefetch) == {
        *("patient", "labs", "medicationRequests", "medicationStatements"),
        *("conditions", "procedures", "serviceRequests", "goals", "familyHistory", "allergies"),
    }


@pytest.mark.parametrize(
    ("hook", "members"),
    [
        ("patient-view", {"userId", "patientId"}),
        ("encounter-discharge", {"userId", "patientId", "encounterId"}),
        ("order-sign", {"userId", "patientId", "draftOrders"}),
        ("order-select", {"userId", "patientId", "draftOrders", "selections"}),
    ],
)
def test_a_request_has_the_context_of_its_hook(hook: str, members: set[str]) -> None:
    drafts = [{"drug": "menatetrenone"}] if hook.startswith("order-") else []
    patient = worked(hook=hook, drafts=drafts)
    request = hook_request(patient, patient_resources(patient, TERMINOLOGY))
    assert set(request["context"]) == members
    assert request["hook"] == hook
    assert "prefetch" not in request
    assert "fhirServer" not in request


def test_a_request_carries_prefetch_and_server_if_they_are_given() -> None:
    written = resources()
    request = hook_request(worked(), written, prefetch=prefetch_of(written), fhir_server="http://127.0.0.1/fhir")
    assert request["prefetch"]["patient"]["id"] == "W01"
    assert request["fhirServer"] == "http://127.0.0.1/fhir"


def test_a_written_bundle_can_be_opened_again() -> None:
    opened = open_resource(msgspec.json.encode(prefetch_of(resources(labs=[["inr", 2, "1", "-1d"]]))["labs"]))
    assert (len(opened.entries), opened.total, opened.unreadable) == (1, 1, 0)
