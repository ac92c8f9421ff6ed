"""Arithmetic over one medication entry and its history: daily dose, start of the chain, unchanged since."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from cds_service.facts.fact import FactTable
from cds_service.quantity import Interval
from cds_service.record import MedicationUse
from cds_service.record_lists import sources_of

MEDICATION_LISTS = sources_of("medication")
INJECTED = frozenset(("im", "sc", "iv", "parenteral"))


def daily_dose(use: MedicationUse) -> Interval | None:
    """Micrograms on a day of use: the daily dose, or the one dose of a single-dose order."""
    return use.daily_dose or (use.dose if use.single_dose else None)


def chain_start(use: MedicationUse, others: Iterable[MedicationUse], table: FactTable) -> date | None:
    """The first start of a continuous chain of uses that leads to this one; None if its own start is not known.

    Two uses are continuous if no more than `medication_gap` days lie between the end of one and the start of the next;
    a use without a recorded end reaches to its start only.
    """
    if use.start is None:
        return None
    first = use.start
    gap = timedelta(days=table.limits["medication_gap"])
    earlier = sorted((o for o in others if o.start is not None), key=lambda o: o.start or date.min, reverse=True)
    for other in earlier:
        if other.start is not None and other.start < first and (other.end or other.start) + gap >= first:
            first = other.start
    return first


def unchanged_since(table: FactTable, use: MedicationUse) -> date | None:
    """Since when this product has been taken at its present daily dose; None if that is not recorded."""
    dose = daily_dose(use)
    same = [
        other
        for other in table.record.medications
        if other is not use and other.concepts == use.concepts and dose is not None and daily_dose(other) == dose
    ]
    return chain_start(use, same, table)
