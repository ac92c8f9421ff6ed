"""Walks over knowledge: the conditions, lines and suggestions of a rule, and the facts behind a fact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cds_service.artifacts import schema
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import Condition, FactDefinition
from cds_service.facts.amounts import DOSE_LIMITS
from cds_service.facts.computed import Computed
from cds_service.record import Source
from cds_service.record_lists import sources_of


def conditions_of(rule: schema.Rule) -> Iterator[Condition]:
    """Every condition of a rule: of its scope, the decision, its variants, its lines and its suggestions."""
    if rule.applies:
        yield rule.applies
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
    return asked + [name for one in fact.computed for name in one.facts]


def thresholds_read_by(fact: FactDefinition) -> set[str]:
    """The thresholds that a fact reads itself: its look-back, those it compares with, those of its computed words."""
    read = {comparison[1] for leaf in leaves(fact.when) if (comparison := leaf.comparison)} if fact.when else set()
    read |= {fact.within} if fact.within else set()
    read |= set(DOSE_LIMITS) if fact.dose else set()
    return read | {name for one in fact.computed for name in one.thresholds}


def lists_waited_for(knowledge: KnowledgeBase, fact: FactDefinition) -> tuple[Source, ...]:
    """The lists that must have been read before "nothing found" says anything; a filter only takes entries out."""
    words = {fact.take, fact.state, fact.origin}
    return _performed(knowledge, fact, (one for one in fact.computed if one.name in words))


def lists_read_by(knowledge: KnowledgeBase, fact: FactDefinition) -> tuple[Source, ...]:
    """All lists that a fact looks at."""
    return _performed(knowledge, fact, fact.computed)


def _performed(knowledge: KnowledgeBase, fact: FactDefinition, declared: Iterable[Computed]) -> tuple[Source, ...]:
    """The lists of these words, and with the conditions the procedures, if a condition may be recorded as one."""
    performed = any(knowledge.value_sets[one].performed for one in fact.condition or ())
    sources = (source for one in declared for source in one.reads)
    return tuple(dict.fromkeys([*sources, *(sources_of("procedure") if performed else ())]))
