"""Fact definitions to the functions that derive them from a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.facts import conditions, medications, observations
from cds_service.facts.fact import NO, YES, Evidence, Fact, FactTable, Missing
from cds_service.quantity import Interval
from cds_service.record import Source

Deriver = Callable[[FactTable], Fact]


def derivers(knowledge: KnowledgeBase) -> Mapping[str, Deriver]:
    """One function per fact of the knowledge, made once at start-up."""
    return {name: _deriver(knowledge, fact) for name, fact in knowledge.facts.items()}


def limits(knowledge: KnowledgeBase, as_of: date) -> Mapping[str, float]:
    """The threshold values in force on a day, by name."""
    return {name: threshold.at(as_of) for name, threshold in knowledge.thresholds.items()}


def _deriver(knowledge: KnowledgeBase, fact: FactDefinition) -> Deriver:
    match fact.origin:
        case "observation":
            unit = knowledge.thresholds[fact.within].unit if fact.within else "d"
            return observations.deriver(fact, observations.Window(fact.within, unit, fact.since))
        case "medication":
            return medications.deriver(fact)
        case "condition":
            return _problem(knowledge, fact)
        case "family":
            return _family(fact)
        case "pending":
            return _pending(fact)
        case "patient":
            return _OF_THE_PATIENT[fact.patient or "age"]
        case "count":
            return _count(fact.count or [])
    assert fact.when is not None
    return _named_condition(fact)


def _alive(table: FactTable) -> Fact:
    return NO if table.record.patient.deceased else YES


def _orders_in_hand(table: FactTable) -> Fact:
    return NO if table.record.orders is None else YES


_OF_THE_PATIENT: Mapping[str, Deriver] = {
    "age": observations.age,
    "sex": observations.sex,
    "alive": _alive,
    "orders_in_hand": _orders_in_hand,
}


def _problem(knowledge: KnowledgeBase, fact: FactDefinition) -> Deriver:
    """A current condition or a completed procedure; a lifelong one also when an entry marks it inactive."""
    concepts = frozenset(fact.condition or ())
    lifelong = frozenset(c for c in concepts if knowledge.value_sets[c].lifelong)
    performed = any(knowledge.value_sets[c].performed for c in concepts)
    sources: tuple[Source, ...] = ("conditions", "procedures") if performed else ("conditions",)
    within = fact.within

    def derive(table: FactTable) -> Fact:
        found = (
            ()
            if concepts.isdisjoint(table.concepts_present)
            else tuple(
                problem
                for problem in table.record.problems
                if not concepts.isdisjoint(problem.concepts)
                and (problem.current or not lifelong.isdisjoint(problem.concepts))
                and (
                    within is None
                    or (
                        problem.since is not None
                        and table.today - problem.since <= timedelta(days=table.limits[within])
                    )
                )
            )
        )
        if found:
            return Fact(True, found)
        missing = table.unread(sources)
        return Fact(None, missing=missing) if missing else NO

    return derive


def _family(fact: FactDefinition) -> Deriver:
    """A condition of a relative. Nothing waits for family history: no entry means none recorded."""
    concepts = frozenset(fact.family or ())

    def derive(table: FactTable) -> Fact:
        found = tuple(problem for problem in table.record.family if not concepts.isdisjoint(problem.concepts))
        return Fact(True, found) if found else NO

    return derive


def _pending(fact: FactDefinition) -> Deriver:
    """The test is ordered (also in this session) or in progress; an old order no longer counts."""
    tests = frozenset(fact.pending or ())
    within = fact.within

    def derive(table: FactTable) -> Fact:
        if any(not tests.isdisjoint(order.tests) for order in table.record.orders or ()):
            return YES
        found = []
        for pending in table.record.pending:
            limit = (
                table.limits["result_in_progress_max"]
                if pending.kind == "result in progress"
                else (table.limits[within] if within else None)
            )
            age = (table.today - pending.since).days if pending.since else None
            if not tests.isdisjoint(pending.concepts) and (limit is None or (age is not None and age <= limit)):
                found.append(pending)
        if found:
            return Fact(True, tuple(found))
        missing = table.unread(("service-requests",))
        return Fact(None, missing=missing) if missing else NO

    return derive


def _count(names: list[str]) -> Deriver:
    """How many of the facts are true; an unknown one may or may not be."""

    def derive(table: FactTable) -> Fact:
        facts = [table[name] for name in names]
        true = sum(fact.value is True for fact in facts)
        open_ = sum(fact.value is None and (fact.missing is None or fact.missing.may_exist) for fact in facts)
        evidence: tuple[Evidence, ...] = tuple(item for fact in facts if fact.value is True for item in fact.evidence)
        missing = next((f.missing for f in facts if f.missing and f.missing.may_exist), None)
        return Fact(Interval(true, true + open_), evidence, missing)

    return derive


def _named_condition(fact: FactDefinition) -> Deriver:
    """A condition with a name; its evidence is that of the facts in it that hold."""
    assert fact.when is not None
    holds = conditions.compiled(fact.when)
    could = conditions.could(fact.when)
    evidence = conditions.evidence(fact.when)

    def derive(table: FactTable) -> Fact:
        value = holds(table)
        if value is None:
            may_exist = any(could(table))
            return Fact(
                None, missing=Missing("unread" if may_exist else "absent", "a fact in its definition is unknown")
            )
        return Fact(value, evidence(table) if value else ())

    return derive
