"""Walks over knowledge: the conditions, lines and suggestions of a rule, and the facts behind a fact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cds_service.artifacts import schema
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import Condition, FactDefinition

# The facts that the reversal filter of vitamin K products asks for (cds_service/facts/reversal.py).
REVERSAL_FACTS = ["urgent_reversal_reason", "latest_inr"]
# The thresholds that Python code reads by name.
CODE_THRESHOLDS = [
    "medication_gap",
    "renewal_min",
    "reversal_inr",
    "reversal_window",
    "reversal_course_max",
    "reversal_start_max",
    "inr_target_low",
    "inr_target_high",
    "haemostatic_mk4_strength",
    "b12_therapy_min_dose",
    "enoxaparin_prophylaxis_max",
    "fondaparinux_prophylaxis_max",
    "mk4_dose_number",
    "mk4_day_number",
    "mk7_suspect",
    "course_gap",
    "result_in_progress_max",
    "pending_max",
]


def conditions_of(rule: schema.Rule) -> Iterator[Condition]:
    """Every condition of a rule: of the decision, its variants, its lines and its suggestions."""
    yield rule.when
    if rule.unless:
        yield rule.unless
    for variant in rule.variants:
        yield variant.when
    for line in lines_of(rule):
        if line.when:
            yield line.when
    for use in suggestions_of(rule):
        if use.when:
            yield use.when
        if isinstance(use.recommended, Condition):
            yield use.recommended


def lines_of(rule: schema.Rule) -> Iterator[schema.Line]:
    if rule.card:
        yield from rule.card.detail
    for variant in rule.variants:
        yield from variant.detail or ()


def suggestions_of(rule: schema.Rule) -> Iterator[schema.SuggestionUse]:
    if rule.card:
        yield from rule.card.suggestions
    for variant in rule.variants:
        yield from variant.suggestions or ()


def leaves(condition: Condition) -> Iterator[Condition]:
    """The tests on single facts inside a condition."""
    if condition.fact is not None:
        yield condition
    for child in (*(condition.all or ()), *(condition.any or ()), *((condition.not_,) if condition.not_ else ())):
        yield from leaves(child)


def facts_behind(knowledge: KnowledgeBase, names: Iterable[str]) -> set[str]:
    """The named facts and all facts that these are made of."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += facts_asked_by(knowledge.facts[name])
    return found


def facts_asked_by(fact: FactDefinition) -> list[str]:
    """The facts that a fact asks for itself."""
    asked = [leaf.fact for leaf in leaves(fact.when) if leaf.fact] if fact.when else list(fact.count or [])
    asked += [fact.since.fact] if fact.since else []
    asked += [fact.before] if fact.before else []
    return asked + (REVERSAL_FACTS if {"reversal", "past_reversal"} & {*fact.except_, fact.only} else [])
