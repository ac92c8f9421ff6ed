"""AllergyIntolerances and Conditions to reactions: to what, how severe, and which entries do not count."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec
import pytest

from cds_service.fhir.bundle import Entry, ListResult
from cds_service.fhir.read.record import read_record
from cds_service.record import Allergy, PatientRecord
from tests.support.kb import knowledge

ME = {"reference": "Patient/p1"}
CYANOCOBALAMIN = {"text": "Cyanocobalamin"}


def status(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


def read(*resources: dict[str, Any]) -> PatientRecord:
    entries = [
        Entry(msgspec.Raw(json.dumps(resource).encode()), "", resource["resourceType"])
        for resource in ({"resourceType": "Patient", "id": "p1"}, *resources)
    ]
    return read_record("p1", [ListResult((), entries)], knowledge().terminology, knowledge().units)


def allergy(**members: Any) -> dict[str, Any]:
    return {"resourceType": "AllergyIntolerance", "id": "a1", "patient": ME, "code": CYANOCOBALAMIN, **members}


def condition(text: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c1", "subject": ME, "code": {"text": text}, **members}


def only(record: PatientRecord) -> Allergy:
    (found,) = record.allergies
    return found


@pytest.mark.parametrize(
    "members",
    [
        {},
        {
            "code": {
                "coding": [{"system": "http://snomed.info/sct", "code": "0", "display": "Cyanocobalamin (substance)"}]
            }
        },
        {"code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "309594"}]}},
        {"code": {"text": "维生素B12注射液"}},
        {"code": None, "substance": CYANOCOBALAMIN},  # DSTU2
        {"code": {"text": "Vitamin injections"}, "reaction": [{"substance": CYANOCOBALAMIN}]},
        {"patient": None, "subject": ME},
    ],
)
def test_an_allergy_names_its_product_by_code_text_or_reaction(members: dict[str, Any]) -> None:
    assert "cyanocobalamin" in only(read(allergy(**members))).concepts


@pytest.mark.parametrize(
    "members",
    [
        {"verificationStatus": status("refuted")},
        {"verificationStatus": status("entered-in-error")},
        {"verificationStatus": "refuted"},  # STU3
        {"status": "entered-in-error"},  # DSTU2
        {"clinicalStatus": status("resolved")},
        {"clinicalStatus": status("inactive")},
        {"patient": {"reference": "Patient/p2"}},
        {"code": {"text": "Penicillin"}},
        {"code": {"text": "No known allergies"}},
        {"code": {"text": "Cobalt-60"}},
    ],
)
def test_an_allergy_that_is_denied_over_somebody_elses_or_of_something_else_does_not_count(
    members: dict[str, Any],
) -> None:
    assert read(allergy(**members)).allergies == ()


@pytest.mark.parametrize("verification", [None, status("unconfirmed"), status("presumed"), status("confirmed")])
def test_an_allergy_that_is_only_suspected_counts(verification: object) -> None:
    assert only(read(allergy(verificationStatus=verification))).reference == "AllergyIntolerance/a1"


@pytest.mark.parametrize(
    ("members", "severe"),
    [
        ({}, False),
        ({"criticality": "low"}, False),
        ({"criticality": "unable-to-assess"}, False),
        ({"criticality": "high"}, True),
        ({"criticality": "CRITH"}, True),
        ({"reaction": [{"severity": "moderate"}]}, False),
        ({"reaction": [{"severity": "mild"}, {"severity": "severe"}]}, True),
        ({"reaction": [{"manifestation": [{"text": "Rash"}]}]}, False),
        ({"reaction": [{"manifestation": [{"text": "Anaphylaxis"}]}]}, True),
        (
            {"reaction": [{"manifestation": [{"coding": [{"system": "http://snomed.info/sct", "code": "39579001"}]}]}]},
            True,
        ),
        ({"reaction": [{"manifestation": [{"concept": {"text": "过敏性休克"}}]}]}, True),  # R5
    ],
)
def test_how_severe_a_reaction_is_told_by_criticality_severity_or_manifestation(
    members: dict[str, Any], severe: bool
) -> None:
    assert only(read(allergy(code={"text": "Cobalt"}, **members))).severe is severe


def test_an_allergy_is_dated_by_its_onset_or_its_record() -> None:
    assert only(read(allergy(recordedDate="2024-03-02"))).since == date(2024, 3, 2)
    assert only(read(allergy(onsetDateTime="2020-01-02", recordedDate="2024-03-02"))).since == date(2020, 1, 2)


def test_an_allergy_that_cannot_be_read_makes_the_list_incomplete_only_if_it_may_be_of_a_product() -> None:
    assert "allergies" in read(allergy(criticality=7)).incomplete
    assert "allergies" not in read(allergy(criticality=7, code={"text": "Penicillin"})).incomplete


@pytest.mark.parametrize(
    ("text", "severe"),
    [
        ("Anaphylaxis to hydroxocobalamin", True),
        ("Allergy to cyanocobalamin", False),
        ("Hypersensitivity to vitamin B12 injections", False),
        ("Rash after B12 injection", False),
        ("对维生素B12过敏", False),
        ("甲钴胺过敏性休克", True),
    ],
)
def test_a_condition_that_names_a_reaction_and_a_product_is_an_allergy_too(text: str, severe: bool) -> None:
    found = only(read(condition(text)))
    assert (found.text, found.severe) == (text, severe)


@pytest.mark.parametrize(
    "text",
    [
        "No allergy to cyanocobalamin",
        "No known vitamin B12 allergy",
        "无维生素B12过敏史",
        "否认维生素B12过敏",
        "Not allergic to hydroxocobalamin",
        "Family history of allergy to cyanocobalamin",
        "Vitamin B12 deficiency",
        "Allergy to penicillin",
        "Anaphylaxis",
        "Injection of vitamin B12",
    ],
)
def test_a_condition_that_denies_a_reaction_or_names_no_product_is_no_allergy(text: str) -> None:
    assert read(condition(text)).allergies == ()


def test_a_refuted_or_resolved_condition_is_no_allergy() -> None:
    text = "Anaphylaxis to hydroxocobalamin"
    assert read(condition(text, verificationStatus=status("refuted"))).allergies == ()
    assert read(condition(text, clinicalStatus=status("resolved"))).allergies == ()
