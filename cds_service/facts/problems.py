"""Conditions, family history and pending tests to facts."""

from __future__ import annotations

from datetime import timedelta

from cds_service.facts.computed import Asked, Computed, entries
from cds_service.facts.fact import YES, Fact, FactTable
from cds_service.record_lists import sources_of


@entries(Computed("condition", reads=sources_of("problem")))
def condition(table: FactTable, asked: Asked) -> Fact | None:
    """A current condition or a completed procedure; a lifelong one also when an entry marks it inactive."""
    if asked.concepts.isdisjoint(table.concepts_present):
        return None
    found = tuple(
        problem
        for problem in table.record.problems
        if not asked.concepts.isdisjoint(problem.concepts)
        and (problem.current or not asked.lifelong.isdisjoint(problem.concepts))
        and (
            asked.within is None
            or (problem.since is not None and table.today - problem.since <= timedelta(days=table.limits[asked.within]))
        )
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
