"""Products to facts: what is taken or ordered, how much, since when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta

from cds_service.facts.computed import Computed, medication_take, state
from cds_service.facts.fact import Fact, FactTable, Missing, unknown
from cds_service.facts.intake import MEDICATION_LISTS, chain_start, unchanged_since
from cds_service.facts.use import LIMITS, Member, in_use, on_hold, perhaps_in_use, since, uses_of
from cds_service.quantity import Interval, point
from cds_service.record import MedicationUse

# The lists were read and hold no such product: its dose and its duration are zero.
_NONE_TAKEN = Fact(point(0))


@state(Computed("active", reads=MEDICATION_LISTS, thresholds=LIMITS))
def active(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    return in_use(table, uses_of(table, concepts))


@state(Computed("held", reads=MEDICATION_LISTS, thresholds=LIMITS))
def held(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    return on_hold(table, uses_of(table, concepts))


@state(Computed("perhaps_active", reads=MEDICATION_LISTS, thresholds=LIMITS))
def perhaps_active(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    return perhaps_in_use(table, uses_of(table, concepts))


@state(Computed("not_over", reads=MEDICATION_LISTS, thresholds=LIMITS))
def not_over(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    """The entries of products that are in use or may be, to be named."""
    return (Member(use) for use, _ in perhaps_in_use(table, uses_of(table, concepts)))


@state(Computed("recent", reads=MEDICATION_LISTS, thresholds=LIMITS, windowed=True))
def recent(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    """In use since a day, for what must not be missed: what is on hold counts."""
    return since(table, uses_of(table, concepts), first, held=True)


@state(Computed("given", reads=MEDICATION_LISTS, thresholds=LIMITS, windowed=True))
def given(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    """In use since a day, for what must be sure: a treatment."""
    return since(table, uses_of(table, concepts), first, held=False)


@state(Computed("unclear", reads=MEDICATION_LISTS, thresholds=LIMITS, windowed=True))
def unclear(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    """The entries that leave open whether they were in use since a day."""
    return (Member(use) for use, sure in since(table, uses_of(table, concepts), first, held=True) if not sure)


@state(Computed("listed", reads=MEDICATION_LISTS, thresholds=LIMITS))
def listed(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    """Anywhere in the record, whatever the entry says and however old it is."""
    return map(Member, (*uses_of(table, concepts), *table.record.unused))


@state(Computed("selected", reads=("draft-orders",)))
def selected(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    return (Member(order.use) for order in table.record.orders or () if order.use is not None and order.selected)


@state(Computed("drafted", reads=("draft-orders",)))
def drafted(table: FactTable, concepts: frozenset[str], first: date) -> Iterator[Member]:
    return (Member(order.use) for order in table.record.orders or () if order.use is not None)


@medication_take(Computed("exists"))
def exists(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    return Fact(True, found, on=min((use.start for use in found if use.start), default=None))


def _highest(found: Iterable[MedicationUse], dose: Callable[[MedicationUse], Interval | None]) -> Fact:
    known = [(use, amount) for use in found if (amount := dose(use)) is not None]
    if not known:
        return Fact(None, tuple(found), Missing("unstated", "the dose is not stated"))
    low, high = max(amount.low for _, amount in known), max(amount.high for _, amount in known)
    return Fact(Interval(low, high), tuple(use for use, amount in known if amount.high == high))


@medication_take(Computed("highest_dose", gives="quantity", unit="ug", none=_NONE_TAKEN))
def highest_dose(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    return _highest(found, lambda use: use.dose or use.daily_dose)


@medication_take(
    Computed("longest_duration", gives="quantity", unit="d", thresholds=("medication_gap",), none=_NONE_TAKEN)
)
def longest_duration(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    """Days since the first start of a chain of uses without a gap longer than `medication_gap`."""
    concepts = frozenset[str]().union(*(use.concepts for use in found))
    same = [use for use in table.record.medications if not concepts.isdisjoint(use.concepts)]
    started = [(chain_start(use, same, table), use) for use in found]
    known = [(start, use) for start, use in started if start is not None]
    if not known:
        return Fact(None, found, Missing("unstated", "the start is not stated"))
    first = min(start for start, _ in known)
    return Fact(point((table.today - first).days), tuple(use for start, use in known if start == first), on=first)


@medication_take(Computed("longest_course", gives="quantity", unit="d", thresholds=("course_gap",), none=_NONE_TAKEN))
def longest_course(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    """Days of use in the longest course; products that follow within `course_gap` days of each other are one course."""
    spans = sorted(((use.start, _last_day(table, use), use) for use in found if use.start), key=lambda span: span[0])
    if not spans:
        return Fact(None, found, Missing("unstated", "the start is not stated"))
    gap = timedelta(days=table.limits["course_gap"])
    courses: list[tuple[date, date, tuple[MedicationUse, ...]]] = []
    for start, last, use in spans:
        if courses and start <= courses[-1][1] + gap:
            begun, until, uses = courses.pop()
            courses.append((begun, max(until, last), (*uses, use)))
        else:
            courses.append((start, last, (use,)))
    begun, until, uses = max(courses, key=lambda course: course[1] - course[0])
    return Fact(point((until - begun).days + 1), uses, on=begun)


def _last_day(table: FactTable, use: MedicationUse) -> date:
    """The last day on which a product was given: its end, else what its course says, else today or its start."""
    assert use.start is not None
    if use.end is not None:
        return min(use.end, table.today)
    if use.course_days is not None:
        return min(use.start + timedelta(days=max(use.course_days - 1, 0)), table.today)
    return table.today if use.status == "active" else use.start


@medication_take(
    Computed(
        "shortest_unchanged",
        gives="quantity",
        unit="d",
        thresholds=("medication_gap",),
        none=unknown("absent", "no such product"),
    )
)
def shortest_unchanged(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    """Days for which every one of the products has been taken at its present dose."""
    since = [unchanged_since(table, use) for use in found]
    if None in since:
        return Fact(None, found, Missing("unstated", "the start is not stated"))
    last = max(day for day in since if day is not None)
    return Fact(point((table.today - last).days), found, on=last)
