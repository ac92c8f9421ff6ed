"""Medication lists and drafts to facts: what is taken or ordered, how much, since when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta

from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.facts import changes, prophylaxis, replacement
from cds_service.facts import reversal as vitamin_k
from cds_service.facts.fact import NO, Fact, FactTable, Missing
from cds_service.facts.intake import chain_start, daily_dose, is_active, unchanged_since
from cds_service.quantity import Interval, point
from cds_service.record import MedicationUse, Source

_NONE_TAKEN = Fact(point(0))
_FILTERS = vitamin_k.FILTERS | {
    "replacement": replacement.is_replacement,
    "prophylaxis": prophylaxis.is_prophylaxis,
}
_LISTS: tuple[Source, ...] = ("medication-requests", "medication-statements")
_DRAFTS: tuple[Source, ...] = ("draft-orders",)


def deriver(definition: FactDefinition) -> Callable[[FactTable], Fact]:
    """The function that derives a fact from medication value sets."""
    concepts = frozenset(definition.medication or ())
    passes = _filter(definition)
    state = definition.state or "active"
    if state in ("raised", "lowered"):
        return changes.deriver(definition, passes)
    within, since = definition.within, definition.since
    sources = _LISTS if state in ("active", "recent") else _DRAFTS
    take = {
        "exists": _exists,
        "highest_daily_dose": _highest_daily_dose,
        "highest_dose": _highest_dose,
        "longest_duration": _longest_duration,
        "longest_course": _longest_course,
        "shortest_unchanged": _shortest_unchanged,
        "replacement_course": replacement.course,
    }[definition.take or "exists"]

    def derive(table: FactTable) -> Fact:
        opened = table[since.fact] if since else None
        if opened is not None and opened.on is None:
            return Fact(None, missing=opened.missing or Missing("absent", "no such result"))
        found: tuple[MedicationUse, ...] = ()
        if not concepts.isdisjoint(table.concepts_present):
            first = table.today - timedelta(days=table.limits[within]) if within else table.today
            if since is not None and opened is not None and opened.on is not None:
                first = opened.on + timedelta(days=since.days)
            found = tuple(
                use
                for use in _in_state(table, state, first)
                if not concepts.isdisjoint(use.concepts) and passes(table, use)
            )
        if found or take is _exists:
            return take(table, found, sources)
        missing = table.unread(sources)
        if missing is None and take is _shortest_unchanged:
            missing = Missing("absent", "no such product")
        # The lists were read and hold no such product: its dose and its duration are zero.
        return Fact(None, missing=missing) if missing else _NONE_TAKEN

    return derive


def _in_state(table: FactTable, state: str, first: date) -> Iterator[MedicationUse]:
    if state in ("selected", "drafted"):
        for order in table.record.orders or ():
            if order.use is not None and (order.selected or state == "drafted"):
                yield order.use
        return
    for use in table.record.medications:
        if is_active(table, use) or (state == "recent" and _used_since(table, use, first)):
            yield use


def _used_since(table: FactTable, use: MedicationUse, since: date) -> bool:
    """Whether the last day on which a product was surely in use (its end, else its start) lies in the window."""
    day = use.end or use.start
    begun = use.start is None or use.start <= table.today
    return day is not None and begun and day >= since


def _filter(definition: FactDefinition) -> Callable[[FactTable, MedicationUse], bool]:
    routes = frozenset(definition.route or ())
    dose = definition.dose
    excluded = [_FILTERS[name] for name in definition.except_]
    required = _FILTERS[definition.only] if definition.only else None

    def passes(table: FactTable, use: MedicationUse) -> bool:
        if routes and use.route not in routes:
            return False
        if dose is not None and (daily_dose(use) is None) != (dose == "unknown"):
            return False
        if required is not None and not required(table, use):
            return False
        return not any(filtered(table, use) for filtered in excluded)

    return passes


def _exists(table: FactTable, found: tuple[MedicationUse, ...], sources: tuple[Source, ...]) -> Fact:
    if found:
        return Fact(True, found, on=min((use.start for use in found if use.start), default=None))
    missing = table.unread(sources)
    return Fact(None, missing=missing) if missing else NO


def _highest(found: Iterable[MedicationUse], dose: Callable[[MedicationUse], Interval | None]) -> Fact:
    known = [(use, amount) for use in found if (amount := dose(use)) is not None]
    if not known:
        return Fact(None, tuple(found), Missing("unstated", "the dose is not stated"))
    low, high = max(amount.low for _, amount in known), max(amount.high for _, amount in known)
    return Fact(Interval(low, high), tuple(use for use, amount in known if amount.high == high))


def _highest_daily_dose(table: FactTable, found: tuple[MedicationUse, ...], sources: tuple[Source, ...]) -> Fact:
    return _highest(found, daily_dose)


def _highest_dose(table: FactTable, found: tuple[MedicationUse, ...], sources: tuple[Source, ...]) -> Fact:
    return _highest(found, lambda use: use.dose or use.daily_dose)


def _longest_duration(table: FactTable, found: tuple[MedicationUse, ...], sources: tuple[Source, ...]) -> Fact:
    """Days since the first start of a chain of uses without a gap longer than `medication_gap`."""
    concepts = frozenset[str]().union(*(use.concepts for use in found))
    same = [use for use in table.record.medications if not concepts.isdisjoint(use.concepts)]
    started = [(chain_start(use, same, table), use) for use in found]
    known = [(start, use) for start, use in started if start is not None]
    if not known:
        return Fact(None, found, Missing("unstated", "the start is not stated"))
    first = min(start for start, _ in known)
    return Fact(point((table.today - first).days), tuple(use for start, use in known if start == first), on=first)


def _longest_course(table: FactTable, found: tuple[MedicationUse, ...], sources: tuple[Source, ...]) -> Fact:
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


def _shortest_unchanged(table: FactTable, found: tuple[MedicationUse, ...], sources: tuple[Source, ...]) -> Fact:
    """Days for which every one of the products has been taken at its present dose."""
    since = [unchanged_since(table, use) for use in found]
    if None in since:
        return Fact(None, found, Missing("unstated", "the start is not stated"))
    last = max(day for day in since if day is not None)
    return Fact(point((table.today - last).days), found, on=last)
