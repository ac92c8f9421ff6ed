"""MedicationDispense of every version: what was handed over, and what leaves a gap in the list."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.coding import RXNORM
from cds_service.quantity import point
from cds_service.record import Dispense, PatientRecord
from tests.support.small_terminology import ME, read

WARFARIN = {"coding": [{"system": RXNORM, "code": "855332", "display": "Warfarin Sodium 5 MG Oral Tablet"}]}
SOURCE = "medication-dispenses"


def dispense(**members: Any) -> dict[str, Any]:
    """Warfarin of R4 handed over on 2 May; members replace or, with None, remove those of this one."""
    base = {
        "resourceType": "MedicationDispense",
        "id": "d1",
        "status": "completed",
        "medicationCodeableConcept": WARFARIN,
        "subject": ME,
        "whenPrepared": "2026-05-01",
        "whenHandedOver": "2026-05-02T10:00:00+02:00",
        "quantity": {"value": 90, "unit": "tablet"},
        "daysSupply": {"value": 90, "unit": "days"},
        "dosageInstruction": [{"text": "5 mg once a day"}],
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def only(resource: dict[str, Any], *others: dict[str, Any]) -> Dispense:
    (found,) = read(resource, *others).dispensed
    return found


def gaps(record: PatientRecord) -> list[str]:
    return list(record.incomplete)


def test_a_dispense_tells_product_day_amount_supply_and_dose() -> None:
    found = only(dispense())
    assert found.concepts == {"vitamin-k-antagonist"}
    assert found.product == "Warfarin Sodium 5 MG Oral Tablet"
    assert (found.reference, found.on, found.partial_date) == ("MedicationDispense/d1", date(2026, 5, 2), False)
    assert (found.quantity, found.unit, found.supply_days) == (90, "tablet", 90)
    assert (found.daily_dose, found.strength) == (point(5000), 5000)


def test_what_was_dispensed_is_no_entry_of_the_medication_lists() -> None:
    assert read(dispense()).medications == ()


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"medicationCodeableConcept": None, "medication": {"concept": WARFARIN}}, id="R5"),
        pytest.param({"notDoneCodeableConcept": None}, id="STU3"),
        pytest.param({"subject": None, "patient": ME}, id="DSTU2"),
        pytest.param({"dosageInstruction": {"text": "5 mg once a day"}}, id="dosage no array"),
    ],
)
def test_every_version_is_read_alike(members: dict[str, Any]) -> None:
    assert only(dispense(**members)) == only(dispense())


@pytest.mark.parametrize(
    "reference",
    [{"medicationReference": {"reference": "#m"}}, {"medication": {"reference": {"reference": "#m"}}}],
    ids=["R4", "R5"],
)
def test_a_contained_medicine_is_read(reference: dict[str, Any]) -> None:
    contained = [{"resourceType": "Medication", "id": "m", "code": WARFARIN}]
    found = only(dispense(medicationCodeableConcept=None, contained=contained, **reference))
    assert found.concepts == {"vitamin-k-antagonist"}


def test_a_medicine_referred_to_is_read_or_looked_up() -> None:
    referring = dispense(medicationCodeableConcept=None, medicationReference={"reference": "Medication/m7"})
    medicine = {"resourceType": "Medication", "id": "m7", "code": WARFARIN}
    assert only(referring, medicine).concepts == {"vitamin-k-antagonist"}
    alone = read(referring)
    assert (alone.dispensed, alone.lookups, gaps(alone)) == ((), ("Medication/m7",), [SOURCE])


@pytest.mark.parametrize(
    ("dates", "day", "partial"),
    [
        ({"whenHandedOver": None}, date(2026, 5, 1), False),
        ({"whenHandedOver": "2026-05"}, date(2026, 5, 31), True),
        ({"whenHandedOver": None, "whenPrepared": None}, None, False),
        ({"whenHandedOver": "soon", "whenPrepared": 5}, None, False),
    ],
)
def test_the_day_is_that_of_the_hand_over_else_of_the_preparation_else_none(
    dates: dict[str, Any], day: date | None, partial: bool
) -> None:
    found = only(dispense() | dates if None not in dates.values() else dispense(**dates))
    assert (found.on, found.partial_date) == (day, partial)


def test_a_month_that_is_not_over_means_today() -> None:
    record = read(dispense(whenHandedOver="2026-05")).known_on(date(2026, 5, 20))
    assert record.dispensed[0].on == date(2026, 5, 20)


@pytest.mark.parametrize("status", ["preparation", "cancelled", "declined", "entered-in-error"])
def test_what_never_reached_the_patient_is_not_there(status: str) -> None:
    record = read(dispense(status=status))
    assert (record.dispensed, gaps(record)) == ((), [])


def test_what_was_not_dispensed_for_a_reason_is_not_there() -> None:
    record = read(dispense(notDoneCodeableConcept={"text": "out of stock"}))
    assert (record.dispensed, gaps(record)) == ((), [])


@pytest.mark.parametrize("status", ["in-progress", "on-hold", "stopped"])
def test_an_unfinished_dispense_is_none_but_one_handed_over_is_unclear(status: str) -> None:
    waiting, handed = read(dispense(status=status, whenHandedOver=None)), read(dispense(status=status))
    assert (waiting.dispensed, gaps(waiting)) == ((), [])
    assert (handed.dispensed, gaps(handed)) == ((), [SOURCE])


@pytest.mark.parametrize("status", ["unknown", "Completed", None])
def test_an_unknown_status_leaves_a_gap_if_the_product_is_of_interest(status: str | None) -> None:
    assert gaps(read(dispense(status=status))) == [SOURCE]
    assert gaps(read(dispense(status=status, medicationCodeableConcept={"text": "lisinopril"}))) == []


@pytest.mark.parametrize(
    "odd", [{"status": 5}, {"medicationCodeableConcept": "warfarin", "subject": 7}, {"id": ["x"]}], ids=str
)
def test_an_entry_that_cannot_be_read_leaves_a_gap(odd: dict[str, Any]) -> None:
    record = read(dispense() | odd)
    assert (record.dispensed, gaps(record)) == ((), [SOURCE])


@pytest.mark.parametrize(
    "odd", [{"quantity": "90"}, {"quantity": {"value": 90, "comparator": ">"}}, {"daysSupply": [30]}], ids=str
)
def test_an_odd_amount_costs_the_amount_alone(odd: dict[str, Any]) -> None:
    found = only(dispense() | odd)
    assert found.on == date(2026, 5, 2)
    assert None in (found.quantity, found.supply_days)


def test_another_patients_dispense_is_dropped_and_one_without_a_patient_is_a_gap() -> None:
    other = read(dispense(subject={"reference": "Patient/p2"}))
    assert (other.dispensed, gaps(other)) == ((), [])
    nobody = read(dispense(subject=None))
    assert (nobody.dispensed, gaps(nobody)) == ((), [SOURCE])


def test_the_same_dispense_under_two_keys_counts_once() -> None:
    assert len(read(dispense(), dispense()).dispensed) == 1
