"""Fact definitions to the functions that derive them from a record.

A computed fact is only asked about entries that were found. If none were, this module decides: unknown while a list
that the fact reads was not, or not wholly, read; else what is declared for an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from math import inf

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.artifacts.walk import leaves, lists_waited_for
from cds_service.facts.amounts import dose_bounds, renews
from cds_service.facts.changes import Span, same_concepts
from cds_service.facts.computed import Asked, Passes
from cds_service.facts.fact import NO, Evidence, Fact, FactTable, Missing, first_awaited
from cds_service.facts.intake import MEDICATION_LISTS, daily_dose
from cds_service.facts.observations import Window, flagged, unusable_results, usable
from cds_service.facts.registry import (
    COMPUTED,
    change,
    condition_take,
    entries,
    medication_take,
    observation_take,
    patient_fact,
    product_filter,
    state,
)
from cds_service.facts.use import Member, in_use, uses_of
from cds_service.quantity import Interval
from cds_service.record import MedicationUse, Problem, Source
from cds_service.rules import conditions

Deriver = Callable[[FactTable], Fact]
# The record has the entry, and does not tell: the evidence names it.
_OPEN = ("unclear", "unstated")
# The results that a word looks at (`Computed.of`).
_RESULTS = {"usable": usable, "flagged": flagged, "unusable": unusable_results}


def derivers(knowledge: KnowledgeBase) -> Mapping[str, Deriver]:
    """One function per fact of the knowledge, made once at start-up."""
    return {name: _deriver(knowledge, fact) for name, fact in knowledge.facts.items()}


def limits(knowledge: KnowledgeBase, as_of: date) -> Mapping[str, float]:
    """The threshold values in force on a day, by name."""
    return {name: threshold.at(as_of) for name, threshold in knowledge.thresholds.items()}


def _deriver(knowledge: KnowledgeBase, fact: FactDefinition) -> Deriver:
    reads = lists_waited_for(knowledge, fact)
    match fact.origin:
        case "observation":
            unit = knowledge.thresholds[fact.within].unit if fact.within else "d"
            return _observation(fact, Window(fact.within, unit, fact.since), reads)
        case "medication":
            return _change(fact, reads) if fact.before else _medication(fact, reads)
        case "patient":
            return patient_fact[fact.patient or ""]
        case "count":
            return _count(fact.count or [])
        case "when":
            return _named_condition(fact)
    return _entries(knowledge, fact, reads)


def _observation(fact: FactDefinition, window: Window, reads: tuple[Source, ...]) -> Deriver:
    concept, word = fact.observation or "", fact.take or ""
    take, none, results_of = observation_take[word], COMPUTED[word].none, _RESULTS[COMPUTED[word].of]

    def derive(table: FactTable) -> Fact:
        results = results_of(table, concept, window)
        newest = next(results, None)
        if newest is not None:
            return take(table, newest, results)
        # A list that was not read leaves more open than a window that nothing opened.
        unopened = window.missing(table)
        missing = unopened if unopened is not None and unopened.unread else table.unread(reads) or unopened
        if none is not None:
            return Fact(None, missing=missing) if missing is not None and missing.unread else none
        if missing is None and (unfit := next(unusable_results(table, concept, window), None)):
            return Fact(None, (unfit,), Missing("unusable", unfit.unusable or "unusable"))
        return Fact(None, missing=missing or Missing("absent", "no usable result in the look-back"))

    return derive


def _medication(fact: FactDefinition, reads: tuple[Source, ...]) -> Deriver:
    concepts = frozenset(fact.medication or ())
    passes = _filter(fact)
    in_state, take = state[fact.state or ""], medication_take[fact.take or ""]
    none = COMPUTED[fact.take or ""].none
    within, since, with_taken = fact.within, fact.since, fact.with_taken
    summed = (*reads, *(MEDICATION_LISTS if with_taken else ())) if COMPUTED[fact.take or ""].grows else ()

    def opened(fact: Fact, table: FactTable) -> Fact:
        """A sum over lists that were not wholly read may be higher."""
        missing = table.unread(summed)
        if missing is None or not isinstance(fact.value, Interval):
            return fact
        return Fact(Interval(fact.value.low, inf, fact.value.low_open), fact.evidence, missing, fact.on)

    def derive(table: FactTable) -> Fact:
        start = table[since.fact] if since else None
        if start is not None and start.on is None:
            return Fact(None, missing=start.missing or Missing("absent", "no such result"))
        if not concepts.isdisjoint(table.concepts_present):
            first = table.today - timedelta(days=table.limits[within]) if within else table.today
            if since is not None and start is not None and start.on is not None:
                first = start.on + timedelta(days=since.days)
            found = [
                member
                for member in in_state(table, concepts, first)
                if not concepts.isdisjoint(member.use.concepts) and passes(table, member.use)
            ]
            if with_taken and found:
                found += _taken_beside(table, concepts, [member.use for member in found], passes)
            sure = tuple(use for use, is_sure in found if is_sure)
            if len(sure) < len(found):
                certain = take(table, sure) if sure else none or NO
                possible = take(table, tuple(use for use, _ in found))
                return opened(_perhaps(certain, possible, table.unread(reads)), table)
            if sure:
                return opened(take(table, sure), table)
        return _nothing_found(table, reads, none or NO)

    return derive


def _taken_beside(
    table: FactTable, concepts: frozenset[str], drafts: Sequence[MedicationUse], passes: Passes
) -> list[Member]:
    """What is in use of the class of some drafts, and that none of them renews. A single dose is no intake a day."""
    return [
        member
        for member in in_use(table, uses_of(table, concepts))
        if not member.use.single_dose
        and passes(table, member.use)
        and not any(renews(draft, member.use) for draft in drafts)
    ]


def _perhaps(certain: Fact, all_: Fact, unread: Missing | None) -> Fact:
    """The fact of what is sure, beside that of all there may be; unknown where the open entries make a difference."""
    if certain.value is not None and certain.value == all_.value:
        return certain
    missing = unread or Missing("unclear", "whether it is or was in use")
    if isinstance(certain.value, Interval) and isinstance(all_.value, Interval):
        return Fact(certain.value.hull(all_.value), all_.evidence, missing, certain.on)
    return Fact(None, all_.evidence, missing)


def _change(fact: FactDefinition, reads: tuple[Source, ...]) -> Deriver:
    """Whether one of these products was changed in the days before a dated fact.

    The day of the fact itself does not count: what was begun on the day of a sample is not known to precede it.
    """
    concepts = frozenset(fact.medication or ())
    passes, changed = _filter(fact), change[fact.state or ""]
    before, within = fact.before or "", fact.within or ""

    def derive(table: FactTable) -> Fact:
        dated = table[before]
        if dated.on is None:
            return Fact(None, missing=dated.missing or Missing("absent", "no such result"))
        days = timedelta(days=table.limits[within])
        span = Span(table, dated.on - days, dated.on - timedelta(days=1))
        uses = [use for use in table.record.medications if not concepts.isdisjoint(use.concepts) and passes(table, use)]
        judged = [(changed(use, [o for o in uses if same_concepts(o, use)], span), use) for use in uses]
        if found := tuple(use for outcome, use in judged if outcome):
            return Fact(True, found)
        unstated = tuple(use for outcome, use in judged if outcome is None)
        missing = Missing("unstated", "a start, an end or a dose is not stated")
        return _nothing_found(table, reads, Fact(None, unstated, missing) if unstated else NO)

    return derive


def _filter(fact: FactDefinition) -> Passes:
    routes = frozenset(fact.route or ())
    dose = fact.dose
    excluded = [product_filter[name] for name in fact.except_]
    required = product_filter[fact.only] if fact.only else None

    def passes(table: FactTable, use: MedicationUse) -> bool:
        if routes and use.route not in routes:
            return False
        if dose == "unknown" and dose_bounds(table, use) is not None:
            return False
        if dose == "unstated" and daily_dose(use) is not None:
            return False
        if required is not None and not required(table, use):
            return False
        return not any(filtered(table, use) for filtered in excluded)

    return passes


def _entries(knowledge: KnowledgeBase, fact: FactDefinition, reads: tuple[Source, ...]) -> Deriver:
    concepts = frozenset(fact.condition or fact.family or fact.pending or fact.allergy or ())
    without = frozenset(fact.without or ())
    lifelong = frozenset(one for one in concepts if knowledge.value_sets[one].lifelong)
    asked = Asked(concepts, lifelong, without, fact.within, fact.unconfirmed is True, fact.severe is True)
    find, take = entries[fact.origin], condition_take[fact.take] if fact.take else None
    none = COMPUTED[fact.take or fact.origin].none

    def derive(table: FactTable) -> Fact:
        found = find(table, asked)
        if found is None:
            return _nothing_found(table, reads, none or NO)
        if found.value is None:
            # What was not read could settle it.
            return Fact(None, found.evidence, table.unread(reads) or found.missing)
        return take(table, tuple(one for one in found.evidence if isinstance(one, Problem))) if take else found

    return derive


def _nothing_found(table: FactTable, reads: tuple[Source, ...], none: Fact) -> Fact:
    """Unknown if one of these lists could hold more; else what an empty list means."""
    missing = table.unread(reads)
    return Fact(None, missing=missing) if missing else none


def _count(names: list[str]) -> Deriver:
    """How many of the facts are true; an unknown one may or may not be."""

    def derive(table: FactTable) -> Fact:
        facts = [table[name] for name in names]
        true = sum(fact.value is True for fact in facts)
        open_ = sum(fact.value is None and (fact.missing is None or fact.missing.unread) for fact in facts)
        evidence: tuple[Evidence, ...] = tuple(item for fact in facts if fact.value is True for item in fact.evidence)
        missing = first_awaited(f.missing for f in facts if f.missing and f.missing.unread)
        return Fact(Interval(true, true + open_), evidence, missing)

    return derive


def _named_condition(fact: FactDefinition) -> Deriver:
    """A condition with a name; its evidence is that of the facts in it that hold."""
    assert fact.when is not None
    holds = conditions.compiled(fact.when)
    could = conditions.could(fact.when)
    evidence = conditions.evidence(fact.when)
    names = [leaf.fact for leaf in leaves(fact.when) if leaf.fact]
    perhaps = fact.perhaps is True

    def derive(table: FactTable) -> Fact:
        value, about = holds(table), "a fact in its definition is unknown"
        if value is not None and all(could(table)):
            # It holds on what was read (`may_be`); the lists that were not read could change it.
            change = Missing("unread", about)
            return Fact(None if value and perhaps else value, evidence(table) if value else (), change)
        if value is None:
            awaited = any(could(table))
            unread = awaited or any((missing := table[name].missing) and missing.unread for name in names)
            if unread:
                return Fact(None, missing=Missing("unread", about, awaited))
            unclear = [one for one in map(table.__getitem__, names) if one.missing and one.missing.kind in _OPEN]
            entries = tuple(item for one in unclear for item in one.evidence)
            return Fact(None, entries, Missing("unclear" if entries else "absent", about))
        if value and perhaps:
            return Fact(None, evidence(table), Missing("unclear", "a condition that leaves it open holds"))
        return Fact(value, evidence(table) if value else ())

    return derive
