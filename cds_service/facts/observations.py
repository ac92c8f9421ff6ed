"""Laboratory results to facts: the latest usable one, whether it was tested, where an INR lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, Protocol

from cds_service.facts.computed import Computed, observation_take
from cds_service.facts.fact import Fact, FactTable, Missing
from cds_service.record import LabResult
from cds_service.record_lists import sources_of

# HL7 v3 ObservationInterpretation: low, critically low, below absolute low, significantly low; and the same for high.
LOW_FLAGS = frozenset({"L", "LL", "<", "LU"})
HIGH_FLAGS = frozenset({"H", "HH", ">", "HU"})


class SinceFact(Protocol):
    """From how many days after the day of a fact on, and until how many days after it."""

    @property
    def fact(self) -> str: ...
    @property
    def days(self) -> int: ...
    @property
    def to(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Window:
    """From when on a result counts: a look-back from now, or an offset from the day of another fact.

    within: the threshold of the look-back; `unit` is its unit, d or h.
    """

    within: str | None = None
    unit: str = "d"
    since: SinceFact | None = None

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


def unusable_results(table: FactTable, concept: str, window: Window) -> Iterator[LabResult]:
    """Results that would count if they were usable, newest first."""
    for result in table.record.labs.get(concept, ()):
        if result.value is None and (result.effective is None or window.admits(table, result)):
            yield result


def flagged(table: FactTable, concept: str, window: Window) -> Iterator[LabResult]:
    """Results inside the window that have a value or a flag ("Low" without a number), newest first."""
    for result in table.record.labs.get(concept, ()):
        if (result.value is not None or result.flag is not None) and window.admits(table, result):
            yield result


def is_low(result: LabResult) -> bool:
    """Low by the laboratory's own words: its flag, or below its own reference range."""
    return result.flag in LOW_FLAGS or _outside(result, result.lab_low, "below")


def is_high(result: LabResult) -> bool:
    """High by the laboratory's own words: its flag, or above its own reference range."""
    return result.flag in HIGH_FLAGS or _outside(result, result.lab_high, "above")


def _outside(result: LabResult, end: float | None, side: Literal["below", "above"]) -> bool:
    if result.flag is not None or result.value is None or end is None:
        return False
    return (result.value.below(end) if side == "below" else result.value.above(end)) is True


@observation_take(Computed("latest", gives="quantity", none=None))
def latest(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    return Fact(newest.value, (newest,), on=newest.effective)


@observation_take(Computed("lowest", gives="quantity", none=None))
def lowest(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    """The result that lies lowest; of two that lie equally low the newer one."""
    found = [(r.value.high, r.value.low, r) for r in (newest, *older) if r.value is not None]
    result = min(found, key=lambda one: one[:2])[2]
    return Fact(result.value, (result,), on=result.effective)


@observation_take(Computed("tested"))
def tested(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    return Fact(True, (newest,), on=newest.effective)


@observation_take(Computed("flagged_low", of="flagged", none=None))
def flagged_low(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    return Fact(is_low(newest), (newest,), on=newest.effective)


@observation_take(Computed("flagged_high", of="flagged", none=None))
def flagged_high(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    return Fact(is_high(newest), (newest,), on=newest.effective)


@observation_take(Computed("unreadable", of="unusable"))
def unreadable(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    return Fact(True, (newest,), on=newest.effective)


@observation_take(
    Computed(
        "against_inr_target",
        gives="word",
        words=("below", "in_range", "above"),
        reads=sources_of("goal"),
        thresholds=("inr_target_low", "inr_target_high", "inr_valve_target_top"),
        facts=("mechanical_valve",),
        none=None,
    )
)
def against_inr_target(table: FactTable, newest: LabResult, older: Iterator[LabResult]) -> Fact:
    """The latest INR against the patient's own Goal, else the default range: below, in_range or above.

    The range of a mechanical valve depends on the valve. Without a Goal only an INR that lies outside every such range
    is placed; nothing is "in range" then.
    """
    assert newest.value is not None
    low, high = inr_target(table)
    goal = table.record.inr_goal
    evidence = (newest, goal) if goal else (newest,)
    recorded = table["mechanical_valve"]
    # A valve whose kind is not stated may be one, and so may what stands in a list that was not read.
    valve = goal is None and recorded.value is not False
    if valve:
        high = table.limits["inr_valve_target_top"]
    where = "below" if newest.value.below(low) else "above" if newest.value.above(high) else None
    if where is None and valve:
        unread = recorded.missing if recorded.missing is not None and recorded.missing.unread else None
        told = Missing("unclear", "a valve that is or may be mechanical is recorded without its INR target")
        return Fact(None, evidence, unread or told)
    if where is None and newest.value.at_least(low) and newest.value.at_most(high):
        where = "in_range"
    if where is None:
        return Fact(None, evidence, Missing("unusable", "the result does not tell on which side of the target it lies"))
    return Fact(where, evidence, on=newest.effective)


def inr_target(table: FactTable) -> tuple[float, float]:
    """The patient's own target range of the INR, else the usual one."""
    goal = table.record.inr_goal
    return (goal.low, goal.high) if goal else (table.limits["inr_target_low"], table.limits["inr_target_high"])
