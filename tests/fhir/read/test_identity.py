"""Whose data it is: the Patient of the call, and everybody else's resources left out."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.errors import Unprocessable
from cds_service.fhir.bundle import Entry, ListResult, open_resource
from cds_service.fhir.read.record import read_record
from tests.support.reasons import notes
from tests.support.small_terminology import (
    ALL,
    PATIENT,
    TERMINOLOGY,
    UNITS,
    bundle,
    observation,
    read,
    request,
    statement,
)

STRANGER = {"reference": "Patient/p2"}
SERVER = "https://EHR.example/fhir/"


def test_the_patient_is_read() -> None:
    patient = read().patient
    assert (patient.id, patient.birth_date, patient.sex, patient.deceased) == ("p1", date(1950, 3, 4), "female", False)


@pytest.mark.parametrize("patient_id", ["p2", "p1 ", "P1", "p", None])
def test_another_patient_is_refused(patient_id: str | None) -> None:
    with pytest.raises(Unprocessable):
        read(patient={**PATIENT, "id": patient_id})


@pytest.mark.parametrize("obtained", [(), (ListResult(()),), (ListResult(ALL),)])
def test_a_missing_patient_is_refused(obtained: tuple[ListResult, ...]) -> None:
    with pytest.raises(Unprocessable):
        read_record("p1", obtained, TERMINOLOGY, UNITS)


def test_the_refusal_names_no_patient() -> None:
    with pytest.raises(Unprocessable) as refusal:
        read(patient={**PATIENT, "id": "secret-42"})
    assert "secret-42" not in str(refusal.value)
    assert "p1" not in str(refusal.value)


def test_an_included_stranger_does_not_stand_in_the_way() -> None:
    assert read({**PATIENT, "id": "p2", "birthDate": "2020-01-01"}).patient.birth_date == date(1950, 3, 4)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        (None, None),
        ("unknown", None),
        ("1950-02-30", None),
        (19500304, None),
        ("1950", date(1950, 12, 31)),
        ("1950-02", date(1950, 2, 28)),
    ],
)
def test_a_birth_date_may_be_partial_or_unusable(written: object, day: date | None) -> None:
    assert read(patient={**PATIENT, "birthDate": written}).patient.birth_date == day


@pytest.mark.parametrize(
    ("members", "deceased"),
    [
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2026-01-01"}, True),
        ({"deceasedDateTime": "last year"}, True),
    ],
)
def test_whether_the_patient_has_died(members: dict[str, Any], deceased: bool) -> None:
    assert read(patient=PATIENT | members).patient.deceased is deceased


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/p1",
        "Patient/p1/_history/4",
        "https://ehr.example/fhir/Patient/p1",
        "https://ehr.example/fhir/Patient/p1/_history/4",
        "https://ehr.example:443/fhir/Patient/p1",
        "urn:uuid:77",
    ],
)
def test_all_these_references_are_the_patient(reference: str) -> None:
    record = read(observation(subject={"reference": reference}), server=SERVER, urls={"p1": "urn:uuid:77"})
    assert "serum-vitamin-b12" in record.labs


@pytest.mark.parametrize(
    "subject",
    [
        STRANGER,
        {"reference": "Patient/p10"},
        {"reference": "Patient/p1x"},
        {"reference": "Patient/x/p1"},
        {"reference": "Group/p1"},
        {"reference": "p1"},
        {"reference": "#p1"},
        {"reference": "urn:uuid:78"},
        {"reference": "https://other.example/fhir/Patient/p1"},
        {"reference": "https://ehr.example/fhir/tenant/Patient/p1"},
        {"reference": "Patient/p1" + "/" * 5000},
        {"display": "Patient p1"},
        {"identifier": {"value": "p1"}},
        "Patient/p1",
        7,
        None,
    ],
)
def test_none_of_these_subjects_is_the_patient(subject: object) -> None:
    record = read(observation(subject=subject), observation(id="o2"), server=SERVER, urls={"p1": "urn:uuid:77"})
    assert [one.reference for one in record.labs["serum-vitamin-b12"]] == ["Observation/o2"]
    assert notes(record) == {"Observation dropped: its subject is not the patient of the call, or not stated": 1}


@pytest.mark.parametrize(
    ("subject", "incomplete"),
    [
        (STRANGER, False),
        ({"reference": "Group/p1"}, False),
        ({"reference": "https://other.example/fhir/Patient/p2"}, False),
        ({"reference": "https://other.example/fhir/Patient/p1"}, True),
        ({"reference": "http://ehr.example/fhir/Patient/p1"}, True),
        ({"reference": "p1"}, True),
        ({"reference": "urn:uuid:78"}, True),
        ({"display": "Patient p1"}, True),
        (7, True),
        (None, True),
    ],
)
def test_only_a_subject_that_nobody_can_tell_leaves_the_list_incomplete(subject: object, incomplete: bool) -> None:
    assert bool(read(observation(subject=subject), server=SERVER).incomplete) is incomplete


@pytest.mark.row("CTX-09")
@pytest.mark.parametrize("address", ["Patient/p2", "https://ehr.example/fhir/Patient/p2", "Group/g", "#p2"])
def test_the_patients_entry_cannot_take_over_the_address_of_somebody_else(address: str) -> None:
    record = read(observation(subject={"reference": address}), server=SERVER, urls={"p1": address})
    assert record.labs == {}


def test_a_result_of_no_interest_may_name_nobody() -> None:
    assert read(observation(subject=None, code={"text": "Body height"})).incomplete == {}


def test_an_absolute_reference_counts_by_its_id_when_no_server_is_named() -> None:
    assert read(observation(subject={"reference": "https://ehr.example/fhir/Patient/p1"})).labs


@pytest.mark.parametrize(
    "resource",
    [
        request(subject=STRANGER),
        statement(subject=STRANGER),
        request(resourceType="MedicationAdministration", status="in-progress", subject=STRANGER),
        {"resourceType": "Condition", "subject": STRANGER, "code": {"text": "over-anticoagulation"}},
        {"resourceType": "Procedure", "subject": STRANGER, "status": "completed", "code": {"text": "gastric bypass"}},
        {"resourceType": "ServiceRequest", "subject": STRANGER, "status": "active", "code": {"text": "INR"}},
        {
            "resourceType": "Goal",
            "subject": STRANGER,
            "lifecycleStatus": "active",
            "description": {"text": "INR 2.0-3.0"},
        },
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_a_strangers_resource_of_any_type_is_left_out(resource: dict[str, Any]) -> None:
    record = read(resource)
    assert (record.medications, record.problems, record.pending, record.inr_goal) == ((), (), (), None)
    assert list(notes(record)) == [
        f"{resource['resourceType']} dropped: its subject is not the patient of the call, or not stated"
    ]


def test_an_entry_whose_type_was_not_looked_at_is_read_all_the_same() -> None:
    (patient,) = open_resource(bundle([PATIENT])).entries
    (lab,) = open_resource(bundle([observation()])).entries
    obtained = (ListResult((), [Entry(patient.resource)]), ListResult(("observations",), [Entry(lab.resource)]))
    assert read_record("p1", obtained, TERMINOLOGY, UNITS).labs
