"""The closed vocabulary over facts: all any not; below at_most above at_least; is; known; may_be.

A condition is true, false or unknown. Unknown follows Kleene's logic, as in CQL: `all` with a false member is false
whatever else is unknown, `any` with a true member is true. A condition is compiled once into closures;
`rules/explain.py` walks the same condition slowly and in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cds_service.artifacts.vocabulary import Condition
from cds_service.facts.fact import Evidence, Fact, FactTable
from cds_service.quantity import Interval

Test = Callable[[FactTable], bool | None]


def compiled(condition: Condition) -> Test:
    """The condition as a function of the facts: True, False or None (unknown)."""
    if condition.all is not None:
        return _all([compiled(child) for child in condition.all])
    if condition.any is not None:
        return _any([compiled(child) for child in condition.any])
    if condition.not_ is not None:
        return _not(compiled(condition.not_))
    return _leaf(condition)


def _all(tests: list[Test]) -> Test:
    def holds(table: FactTable) -> bool | None:
        outcome: bool | None = True
        for test in tests:
            found = test(table)
            if found is False:
                return False
            if found is None:
                outcome = None
        return outcome

    return holds


def _any(tests: list[Test]) -> Test:
    def holds(table: FactTable) -> bool | None:
        outcome: bool | None = False
        for test in tests:
            found = test(table)
            if found:
                return True
            if found is None:
                outcome = None
        return outcome

    return holds


def _not(test: Test) -> Test:
    def holds(table: FactTable) -> bool | None:
        found = test(table)
        return None if found is None else not found

    return holds


def _leaf(condition: Condition) -> Test:
    name = condition.fact or ""
    if condition.known is not None:
        wanted = condition.known
        return lambda table: _is_known(table[name], wanted)
    if condition.may_be is not None:
        possible = condition.may_be
        return lambda table: (value := table[name].value) is None or value == possible
    if condition.is_ is not None:
        word = condition.is_
        return lambda table: None if (value := table[name].value) is None else value == word
    comparison, limit = condition.comparison or ("below", "")
    compare: Callable[[Interval, float], bool | None] = getattr(Interval, comparison)

    def holds(table: FactTable) -> bool | None:
        value = table[name].value
        return compare(value, table.limits[limit]) if isinstance(value, Interval) else None

    return holds


def _is_known(fact: Fact, wanted: bool) -> bool | None:
    """`known` is itself unknown while the list was not read: more might have been found there."""
    if fact.value is not None:
        return wanted
    return None if fact.missing is not None and fact.missing.unread else not wanted


class Could(NamedTuple):
    """Whether reading what was not read could make a condition true, or false."""

    be_true: bool
    be_false: bool


def could(condition: Condition) -> Callable[[FactTable], Could]:
    """What a condition could be if the unread lists were read, as a function of the facts.

    An unknown that was looked for and not found (no result, no unit, no dose) stays unknown and can be neither; one
    that was not read can be either. So a rule that is unknown because a result does not exist is silent for good, and
    one that is unknown because a list could not be read is undecided.
    """
    if condition.all is not None or condition.any is not None:
        return _could_of_group([could(child) for child in condition.all or condition.any or ()], bool(condition.all))
    if condition.not_ is not None:
        inner = could(condition.not_)
        return lambda table: Could(*reversed(inner(table)))
    return _could_of_leaf(condition.fact or "", _leaf(condition))


def _could_of_group(parts: list[Callable[[FactTable], Could]], is_all: bool) -> Callable[[FactTable], Could]:
    """`all` can be true if every part can, and false if one can; `any` the other way round."""
    for_true, for_false = (all, any) if is_all else (any, all)

    def can(table: FactTable) -> Could:
        found = [part(table) for part in parts]
        return Could(for_true([one.be_true for one in found]), for_false([one.be_false for one in found]))

    return can


def _could_of_leaf(name: str, test: Test) -> Callable[[FactTable], Could]:
    def can(table: FactTable) -> Could:
        outcome, fact = test(table), table[name]
        may_change = fact.missing is not None and fact.missing.may_exist
        if outcome is None:
            return Could(may_change, may_change)
        # A number with a reason of unknown is a count that is open upwards; its comparison says what is sure.
        may_change = may_change and not isinstance(fact.value, Interval)
        return Could(outcome or may_change, may_change or not outcome)

    return can


def evidence(condition: Condition) -> Callable[[FactTable], tuple[Evidence, ...]]:
    """The evidence of the facts in a condition that hold and support it, each once, in reading order."""
    supporting = list(_supporting(condition))

    def collected(table: FactTable) -> tuple[Evidence, ...]:
        found: dict[int, Evidence] = {}
        for name, test in supporting:
            if test(table) is True:
                for item in table[name].evidence:
                    found[id(item)] = item
        return tuple(found.values())

    return collected


def _supporting(condition: Condition) -> Iterator[tuple[str, Test]]:
    """The facts that can support a condition, with the test of each; what is not so supports nothing."""
    if condition.fact is not None:
        if False not in (condition.is_, condition.known, condition.may_be):
            yield condition.fact, _leaf(condition)
        return
    for child in (*(condition.all or ()), *(condition.any or ())):
        yield from _supporting(child)
