"""Medication lists to changes of intake: what was begun or raised, stopped or lowered, before a dated fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cds_service.facts.computed import Computed, Words
from cds_service.facts.fact import FactTable
from cds_service.facts.intake import MEDICATION_LISTS, daily_dose
from cds_service.record import MedicationUse

# `state`: whether a product was changed in a span of days, beside the other uses of the same product; None: not stated.
Changed = Callable[[MedicationUse, Sequence[MedicationUse], "Span"], "bool | None"]
change = Words[Changed](reads=MEDICATION_LISTS)


@dataclass(frozen=True, slots=True)
class Span:
    """The days in which a change counts, both inclusive."""

    table: FactTable
    first: date
    last: date

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def gap(self) -> timedelta:
        """Uses of one product no further apart than this are one continuous intake (`chain_start`)."""
        return timedelta(days=self.table.limits["medication_gap"])

    def reach(self, use: MedicationUse) -> date:
        """The last day on which a use is known to have gone on; an ended one without an end, as long as its course."""
        if use.end is not None or use.status == "active":
            return use.end or self.table.today
        return use.start + timedelta(days=use.course_days or 0) if use.start else date.min


def same_concepts(other: MedicationUse, use: MedicationUse) -> bool:
    return other is not use and other.concepts == use.concepts


@change(Computed("raised", thresholds=("medication_gap",)))
def raised(use: MedicationUse, same: Sequence[MedicationUse], span: Span) -> bool | None:
    """Begun in the span, and not as the continuation of an intake that was as high; None if that is not stated."""
    start = use.start
    if start is None:
        return False if use.end is not None and use.end < span.first else None
    if not span.holds(start):
        return False
    earlier = [
        other
        for other in same
        if (other.start is None or other.start < start) and span.reach(other) + span.gap >= start
    ]
    if not earlier:
        return True
    return _more(use, max(earlier, key=lambda other: other.start or date.min))


@change(Computed("lowered", thresholds=("medication_gap",)))
def lowered(use: MedicationUse, same: Sequence[MedicationUse], span: Span) -> bool | None:
    """Ended in the span, and not continued at a dose as high; None if that is not stated. A single dose never ends."""
    end = use.end
    if use.single_dose or (end is None and use.status == "active"):
        return False
    if end is None:
        return False if use.start is not None and use.start > span.last else None
    if not span.holds(end):
        return False
    later = [
        other
        for other in same
        if span.reach(other) > end and (other.start is None or other.start <= min(end + span.gap, span.last))
    ]
    if not later:
        return True
    return _more(use, max(later, key=lambda other: other.start or date.min))


def _more(use: MedicationUse, other: MedicationUse) -> bool | None:
    """Whether one daily dose is surely higher than another; None if either is not stated."""
    mine, theirs = daily_dose(use), daily_dose(other)
    return None if mine is None or theirs is None else mine.low > theirs.high
