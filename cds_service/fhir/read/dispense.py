"""FHIR MedicationDispense of R4, R4B, R5, STU3 and DSTU2 to Dispense: which product was handed over, when, how much."""

from __future__ import annotations

from typing import Any

import msgspec

from cds_service.fhir.codeable_concept import optional
from cds_service.fhir.dates import moment
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.read.dosage import read_dosing
from cds_service.fhir.read.product import product_of
from cds_service.fhir.read.timing import duration_days
from cds_service.fhir.shapes import MedicationEntry, QuantityShape
from cds_service.gaps import GapKind
from cds_service.record import Dispense

KIND = "MedicationDispense"
# Nothing was handed over, and nothing of this entry will be.
_NEVER = frozenset(("preparation", "cancelled", "declined", ERRONEOUS))
# Not completed: nothing was handed over, unless the entry says when it was.
_UNFINISHED = frozenset(("in-progress", "on-hold", "stopped"))

_quantity = msgspec.json.Decoder(QuantityShape | None)


class _Entry(MedicationEntry, rename="camel"):
    quantity: msgspec.Raw = msgspec.Raw(b"")
    days_supply: msgspec.Raw = msgspec.Raw(b"")
    when_handed_over: Any = None
    when_prepared: Any = None
    # STU3 says with a reason that nothing was dispensed, under a status of any kind.
    not_done_codeable_concept: Any = None
    not_done_reference: Any = None


_entry = msgspec.json.Decoder(_Entry)


def read_dispense(raw: msgspec.Raw, reading: ReadContext, address: str) -> Dispense | None:
    """What was handed over; None if nothing was, if it is not of this patient, or of no interest.

    A product that may be of interest and of which nobody can tell whether it was handed over leaves a gap.

    Raises:
        msgspec.DecodeError: it has not the shape of a MedicationDispense.
    """
    entry = _entry.decode(raw)
    given = _handed_over(entry)
    if given is False or not reading.is_call_patient(KIND, entry.subject, entry.patient):
        return None
    product = product_of(entry, reading)
    if not product.known:
        reading.note_gap(KIND, GapKind.MEDICINE_NOT_FOUND)
    if not product.concepts:
        reading.unmatched[KIND, product.written] += 1
        return None
    if given is None:
        reading.note_gap(KIND, GapKind.STATUS_MISSING)
        return None
    when = moment(entry.when_handed_over) or moment(entry.when_prepared)
    quantity = optional(_quantity, entry.quantity)
    dosing = read_dosing(entry.dosage_instruction, product.strength, product.name, product.form)
    return Dispense(
        concepts=product.concepts,
        product=product.name,
        reference=f"{KIND}/{entry.id}" if entry.id else address,
        on=when.day if when else None,
        partial_date=when.partial if when else False,
        quantity=None if quantity is None or quantity.comparator else quantity.value,
        unit="" if quantity is None else quantity.unit or quantity.code or "",
        supply_days=duration_days(optional(_quantity, entry.days_supply)),
        daily_dose=dosing.daily,
        reported_dose=dosing.reported,
        route=dosing.route,
        strength=product.strength.each,
    )


def _handed_over(entry: _Entry) -> bool | None:
    """Whether the product reached the patient; None if the entry does not tell, or contradicts itself."""
    if entry.status in _NEVER or entry.not_done_codeable_concept or entry.not_done_reference:
        return False
    if entry.status == "completed":
        return True
    return False if entry.status in _UNFINISHED and entry.when_handed_over is None else None
