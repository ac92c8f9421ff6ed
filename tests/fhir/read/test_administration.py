"""MedicationAdministration as a list of its own: what was given, which is also what was in use."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.coding import UCUM
from cds_service.quantity import point
from cds_service.record import PatientRecord
from tests.support.small_terminology import ME, read

BOTH = ["medication-administrations", "medication-statements"]


def administration(**members: Any) -> dict[str, Any]:
    """10 mg of vitamin K given on 1 May; members replace or, with None, remove those of this one."""
    base = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "medicationCodeableConcept": {"text": "Phytomenadione injection"},
        "subject": ME,
        "effectiveDateTime": "2026-05-01T09:00:00Z",
        "dosage": {"text": "10 mg IV", "dose": {"value": 10, "unit": "mg", "system": UCUM, "code": "mg"}},
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def gaps(record: PatientRecord) -> list[str]:
    return sorted(record.incomplete)


def test_what_was_given_is_known_as_given_and_as_in_use() -> None:
    record = read(administration())
    (given,) = record.administered
    assert given.concepts == {"phytomenadione"}
    assert (given.start, given.dose) == (date(2026, 5, 1), point(10_000))
    assert record.medications == record.administered


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(
            {
                "medicationCodeableConcept": None,
                "medication": {"concept": {"text": "Phytomenadione injection"}},
                "effectiveDateTime": None,
                "occurenceDateTime": "2026-05-01T09:00:00Z",
            },
            id="R5",
        ),
        pytest.param({"notGiven": False}, id="STU3"),
        pytest.param(
            {
                "subject": None,
                "patient": ME,
                "effectiveDateTime": None,
                "effectiveTimeDateTime": "2026-05-01T09:00:00Z",
            },
            id="DSTU2",
        ),
    ],
)
def test_every_version_is_read_alike(members: dict[str, Any]) -> None:
    assert read(administration(**members)).administered == read(administration()).administered


def test_a_contained_medicine_is_read_and_one_elsewhere_is_looked_up() -> None:
    medicine = {"resourceType": "Medication", "id": "m", "code": {"text": "phytomenadione"}}
    inside = administration(
        medicationCodeableConcept=None, medicationReference={"reference": "#m"}, contained=[medicine]
    )
    assert len(read(inside).administered) == 1
    elsewhere = administration(medicationCodeableConcept=None, medicationReference={"reference": "Medication/m"})
    assert len(read(elsewhere, medicine).administered) == 1
    alone = read(elsewhere)
    assert (alone.administered, alone.lookups, gaps(alone)) == ((), ("Medication/m",), BOTH)


def test_an_undated_administration_is_there_without_a_day() -> None:
    (given,) = read(administration(effectiveDateTime=None)).administered
    assert (given.start, given.end) == (None, None)


@pytest.mark.parametrize(
    "members", [{"status": "not-done"}, {"status": "entered-in-error"}, {"status": "on-hold"}, {"notGiven": True}]
)
def test_what_was_not_given_is_not_there(members: dict[str, Any]) -> None:
    record = read(administration(**members))
    assert (record.administered, gaps(record)) == ((), [])


@pytest.mark.parametrize("status", ["unknown", "done", None])
def test_an_unknown_status_leaves_open_whether_it_was_given_on_that_day(status: str | None) -> None:
    record = read(administration(status=status))
    (given,) = record.administered
    assert (given.status, given.start, given.end, gaps(record)) == ("unclear", date(2026, 5, 1), date(2026, 5, 1), [])
    assert read(administration(status=status, subject={"reference": "Patient/p2"})).administered == ()


@pytest.mark.parametrize("odd", [{"status": 5}, {"subject": 7}, {"id": ["x"]}], ids=str)
def test_an_entry_that_cannot_be_read_leaves_a_gap_in_both_lists(odd: dict[str, Any]) -> None:
    record = read(administration() | odd)
    assert (record.administered, gaps(record)) == ((), BOTH)


def test_another_patients_administration_is_dropped() -> None:
    record = read(administration(subject={"reference": "Patient/p2"}))
    assert (record.administered, gaps(record)) == ((), [])
