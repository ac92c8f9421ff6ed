"""Laboratory results to facts: the latest usable one, whether it was tested, where an INR lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

from cds_service.artifacts.vocabulary import FactDefinition, Since
from cds_service.facts.fact import Fact, FactTable, Missing
from cds_service.quantity import Interval, point
from cds_service.record import LabResult

# HL7 v3 ObservationInterpretation: low, critically low, below absolute low, significantly low; and the same for high.
_LOW_FLAGS = frozenset({"L", "LL", "<", "LU"})
_HIGH_FLAGS = frozenset({"H", "HH", ">", "HU"})


def deriver(definition: FactDefinition, window: Window | None) -> Callable[[FactTable], Fact]:
    """The function that derives a fact from an observation value set."""
    concept = definition.observation or ""
    take = {
        "latest": _latest,
        "lowest": _lowest,
        "tested": _tested,
        "flagged_low": lambda *asked: _flagged(_LOW_FLAGS, *asked),
        "flagged_high": lambda *asked: _flagged(_HIGH_FLAGS, *asked),
        "against_inr_target": _against_inr_target,
    }
    chosen = take[definition.take or "latest"]
    return lambda table: chosen(table, concept, window or Window())


class Window:
    """From when on a result counts: a look-back from now, or an offset from the day of another fact."""

    def __init__(self, within: str | None = None, unit: str = "d", since: Since | None = None) -> None:
        self.within = within
        self.unit = unit
        self.since = since

    def admits(self, table: FactTable, result: LabResult) -> bool:
        """Whether a dated result is not from the future and not too old."""
        if result.effective is None or is_future(table, result):
            return False
        if self.since is not None:
            opened = table[self.since.fact].on
            if opened is None or result.effective < opened + timedelta(days=self.since.days):
                return False
            if self.since.to is not None and result.effective > opened + timedelta(days=self.since.to):
                return False
        return self.within is None or self._age(table, result) <= table.limits[self.within]

    def _age(self, table: FactTable, result: LabResult) -> float:
        """Age in days, or in hours; a result known only by its day is as old as whole days tell."""
        days = (table.today - (result.effective or date.min)).days
        if self.unit == "d":
            return days
        return (table.as_of - result.effective_at).total_seconds() / 3600 if result.effective_at else days * 24

    def missing(self, table: FactTable) -> Missing | None:
        """Why the window itself is not known, if it hangs on another fact."""
        return table[self.since.fact].missing if self.since is not None else None


def is_future(table: FactTable, result: LabResult) -> bool:
    if result.effective_at is not None:
        return result.effective_at > table.as_of
    return result.effective is not None and result.effective > table.today


def usable(table: FactTable, concept: str, window: Window) -> Iterator[LabResult]:
    """Usable results inside the window, newest first."""
    for result in table.record.labs.get(concept, ()):
        if result.value is not None and window.admits(table, result):
            yield result


def _none_found(table: FactTable, concept: str, window: Window) -> Fact:
    missing = window.missing(table) or table.unread(("observations",))
    if missing is None:
        refused = next(
            (
                r
                for r in table.record.labs.get(concept, ())
                if r.value is None and (r.effective is None or window.admits(table, r))
            ),
            None,
        )
        if refused is not None:
            return Fact(None, (refused,), Missing("unusable", refused.unusable or "unusable"))
        missing = Missing("absent", "no usable result in the look-back")
    return Fact(None, missing=missing)


def _latest(table: FactTable, concept: str, window: Window) -> Fact:
    for result in usable(table, concept, window):
        return Fact(result.value, (result,), on=result.effective)
    return _none_found(table, concept, window)


def _lowest(table: FactTable, concept: str, window: Window) -> Fact:
    """The result that lies lowest; of two that lie equally low the newer one."""
    found = [(r.value.high, r.value.low, r) for r in usable(table, concept, window) if r.value is not None]
    if not found:
        return _none_found(table, concept, window)
    result = min(found, key=lambda one: one[:2])[2]
    return Fact(result.value, (result,), on=result.effective)


def _tested(table: FactTable, concept: str, window: Window) -> Fact:
    for result in usable(table, concept, window):
        return Fact(True, (result,), on=result.effective)
    missing = window.missing(table) or table.unread(("observations",))
    return Fact(None, missing=missing) if missing is not None and missing.may_exist else Fact(False)


def _flagged(flags: frozenset[str], table: FactTable, concept: str, window: Window) -> Fact:
    latest = _latest(table, concept, window)
    if latest.value is None:
        return latest
    result = latest.evidence[0]
    assert isinstance(result, LabResult)
    return Fact(result.flag in flags, latest.evidence, on=latest.on)


def _against_inr_target(table: FactTable, concept: str, window: Window) -> Fact:
    """The latest INR against the patient's own Goal, else the default range: below, in_range or above."""
    latest = _latest(table, concept, window)
    if not isinstance(latest.value, Interval):
        return latest
    goal = table.record.inr_goal
    low, high = (goal.low, goal.high) if goal else (table.limits["inr_target_low"], table.limits["inr_target_high"])
    evidence = (*latest.evidence, goal) if goal else latest.evidence
    where = "below" if latest.value.below(low) else "above" if latest.value.above(high) else None
    if where is None and latest.value.at_least(low) and latest.value.at_most(high):
        where = "in_range"
    if where is None:
        return Fact(None, evidence, Missing("unusable", "the result does not tell on which side of the target it lies"))
    return Fact(where, evidence, on=latest.on)


def age(table: FactTable) -> Fact:
    """Age in completed years on the day of judgement."""
    years = age_in_years(table.record.patient.birth_date, table.today)
    if years is None:
        return Fact(None, missing=Missing("absent", "no usable birth date"))
    return Fact(point(years), (table.record.patient,))


def sex(table: FactTable) -> Fact:
    """Male or female as the record says; anything else leaves it unknown, since limits differ by sex."""
    recorded = table.record.patient.sex
    if recorded not in ("male", "female"):
        return Fact(None, missing=Missing("absent", "no sex on record for which limits exist"))
    return Fact(recorded)


def age_in_years(born: date | None, today: date) -> int | None:
    """Completed years; None without a birth date or with one that has not come."""
    if born is None or born > today:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
