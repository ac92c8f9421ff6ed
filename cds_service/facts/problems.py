"""Conditions, family history and pending tests to facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from cds_service.facts.computed import Asked, Computed, condition_take, entries
from cds_service.facts.fact import YES, Fact, FactTable, Missing, unknown
from cds_service.quantity import point
from cds_service.record import Problem
from cds_service.record_lists import sources_of

_ABSENT = unknown("absent", "no such condition")


@entries(Computed("condition", reads=sources_of("problem")))
def condition(table: FactTable, asked: Asked) -> Fact | None:
    """A current condition or a completed procedure; a lifelong one also when an entry marks it inactive.

    With a look-back, its onset or its entry must lie in that; one without a usable day counts as long as it is
    current. A diagnosis that is not confirmed leaves open whether there is one.
    """
    if asked.concepts.isdisjoint(table.concepts_present):
        return None
    found = tuple(problem for problem in table.record.problems if _counts(table, asked, problem))
    certain = tuple(problem for problem in found if problem.certain)
    if asked.unconfirmed:
        return Fact(True, found) if found and not certain else None
    if found and not certain:
        return Fact(None, found, Missing("unclear", "the diagnosis is not confirmed"))
    return Fact(True, certain) if certain else None


def _counts(table: FactTable, asked: Asked, problem: Problem) -> bool:
    if asked.concepts.isdisjoint(problem.concepts) or not asked.without.isdisjoint(problem.concepts):
        return False
    if not problem.current and asked.lifelong.isdisjoint(problem.concepts):
        return False
    days = _days(table, problem)
    return asked.within is None or not days or (table.today - max(days)).days <= table.limits[asked.within]


def _days(table: FactTable, problem: Problem) -> list[date]:
    """The days of a condition that tell when it was; one that has not come tells nothing."""
    return [day for day in (problem.since, problem.recorded) if day is not None and day <= table.today]


@condition_take(Computed("days_since_last_date", gives="quantity", unit="d", none=_ABSENT))
def days_since_last_date(table: FactTable, found: tuple[Problem, ...]) -> Fact:
    """Days since the latest day that an entry of the condition names; its day is that day."""
    return _days_since(table, found, max)


@condition_take(Computed("days_since_onset", gives="quantity", unit="d", none=_ABSENT))
def days_since_onset(table: FactTable, found: tuple[Problem, ...]) -> Fact:
    """Days since the earliest day that an entry of the condition names; its day is that day."""
    return _days_since(table, found, min)


def _days_since(table: FactTable, found: tuple[Problem, ...], which: Callable[[Iterable[date]], date]) -> Fact:
    dated = [(which(days), problem) for problem in found if (days := _days(table, problem))]
    if not dated:
        return Fact(None, found, Missing("unstated", "the date is not recorded"))
    day = which(one for one, _ in dated)
    return Fact(point((table.today - day).days), tuple(problem for one, problem in dated if one == day), on=day)


@entries(Computed("allergy", reads=sources_of("allergy", "problem"), value_sets=("hypersensitivity", "anaphylaxis")))
def allergy(table: FactTable, asked: Asked) -> Fact | None:
    """A reaction to one of these products, from the list of allergies or told by a condition."""
    found = tuple(
        allergy
        for allergy in table.record.allergies
        if not asked.concepts.isdisjoint(allergy.concepts) and (allergy.severe or not asked.severe)
    )
    return Fact(True, found) if found else None


@entries(Computed("family", reads=sources_of("family")))
def family(table: FactTable, asked: Asked) -> Fact | None:
    """A condition of a relative. While the list is not read, none counts as recorded."""
    found = tuple(problem for problem in table.record.family if not asked.concepts.isdisjoint(problem.concepts))
    return Fact(True, found) if found else None


# A result in progress stands among the results.
@entries(Computed("pending", reads=sources_of("order", "laboratory"), thresholds=("result_in_progress_max",)))
def pending(table: FactTable, asked: Asked) -> Fact | None:
    """The test is ordered (also in this session) or in progress; an old order no longer counts."""
    if any(not asked.concepts.isdisjoint(order.tests) for order in table.record.orders or ()):
        return YES
    limits = {
        "result in progress": table.limits["result_in_progress_max"],
        "order": table.limits[asked.within] if asked.within else None,
    }
    found = []
    for test in table.record.pending:
        limit = limits[test.kind]
        age = (table.today - test.since).days if test.since else None
        if not asked.concepts.isdisjoint(test.concepts) and (limit is None or (age is not None and age <= limit)):
            found.append(test)
    return Fact(True, tuple(found)) if found else None
