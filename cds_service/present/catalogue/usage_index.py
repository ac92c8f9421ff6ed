"""Index: which rules use each statement, threshold, value set and order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import PENDING_LIMITS, Line, Order, Rule
from cds_service.artifacts.text import Text
from cds_service.artifacts.vocabulary import Condition, FactDefinition
from cds_service.artifacts.walk import conditions_of, facts_behind, leaves, lines_of, suggestions_of
from cds_service.facts.registry import COMPUTED


@dataclass(frozen=True, slots=True)
class Use:
    """One place that cites a statement.

    Attributes:
        kind: what cites it: a rule as its basis, a line of a card, a line of a variant, a threshold, an order.
        name: the id of that rule, threshold or order.
        variant, line: where on a card; lines are counted from 1.
    """

    kind: str
    name: str
    variant: str = ""
    line: int = 0


@dataclass(frozen=True)
class Uses:
    """Backward links of a whole knowledge base.

    Attributes:
        of_statement: statement id (or the id of an addition) to the places that cite it.
        of_threshold, of_value_set: name to the rules that look at it.
        of_order: order to the rules that offer it.
        by_code: thresholds that are read by name where results, doses and courses are understood.
    """

    of_statement: dict[str, list[Use]]
    of_threshold: dict[str, list[str]]
    of_value_set: dict[str, list[str]]
    of_order: dict[str, list[str]]
    by_code: frozenset[str]


def uses(knowledge: KnowledgeBase) -> Uses:
    """The backward links; everything in the order of the rules."""
    statements: dict[str, list[Use]] = {}
    limits: dict[str, list[str]] = {}
    sets: dict[str, list[str]] = {}
    offered: dict[str, list[str]] = {}
    for rule in knowledge.rules.values():
        for cite in rule.source:
            statements.setdefault(cite, []).append(Use("rule", rule.id))
        for variant, number, line in numbered_lines(rule):
            for cite in line.cites:
                kind = "variant_line" if variant else "line"
                statements.setdefault(cite, []).append(Use(kind, rule.id, variant, number))
        facts = facts_of(knowledge, rule)
        for name in sorted(_limits(knowledge, rule, facts)):
            limits.setdefault(name, []).append(rule.id)
        for one in sorted({one for fact in facts for one in _value_sets(knowledge.facts[fact])}):
            sets.setdefault(one, []).append(rule.id)
        for order in dict.fromkeys(use.order for use in suggestions_of(rule)):
            offered.setdefault(order, []).append(rule.id)
    for name, threshold in knowledge.thresholds.items():
        for cite in threshold.source:
            statements.setdefault(cite, []).append(Use("threshold", name))
    for name, drafted in knowledge.orders.items():
        for cite in drafted.source:
            statements.setdefault(cite, []).append(Use("order", name))
    computed = frozenset({limit for one in COMPUTED.values() for limit in one.thresholds} | {*PENDING_LIMITS.values()})
    return Uses(statements, limits, sets, offered, computed)


def numbered_lines(rule: Rule) -> Iterator[tuple[str, int, Line]]:
    """Every line of a rule's cards with its variant ("" for the card itself) and its number from 1."""
    if rule.card:
        yield from (("", number, line) for number, line in enumerate(rule.card.detail, start=1))
    for variant in rule.variants:
        yield from ((variant.id, number, line) for number, line in enumerate(variant.detail or (), start=1))


def facts_of(knowledge: KnowledgeBase, rule: Rule) -> list[str]:
    """The facts that a rule asks for or prints, its topic's and its suggestions' too, and what they are made of."""
    conditions = list(_conditions(knowledge, rule))
    named = [leaf.fact for condition in conditions for leaf in leaves(condition) if leaf.fact]
    named += [name for line in lines_of(rule) for name in sorted(line.placeholders) if name in knowledge.facts]
    named += [use.of for use in suggestions_of(rule) if use.of]
    behind = facts_behind(knowledge, named)
    return list(dict.fromkeys([*named, *(name for name in knowledge.facts if name in behind)]))


def _conditions(knowledge: KnowledgeBase, rule: Rule) -> Iterator[Condition]:
    yield from conditions_of(rule)
    topic = knowledge.topics[knowledge.topic_of[rule.id]]
    yield knowledge.scope_of(rule.id)
    if topic.no_info_when:
        yield topic.no_info_when
    for order in _orders(knowledge, rule):
        yield from order.against
        yield from (choice.when for choice in order.medicine or () if choice.when)


def _orders(knowledge: KnowledgeBase, rule: Rule) -> list[Order]:
    return [knowledge.orders[name] for name in dict.fromkeys(use.order for use in suggestions_of(rule))]


def _limits(knowledge: KnowledgeBase, rule: Rule, facts: Iterable[str]) -> set[str]:
    conditions = [*_conditions(knowledge, rule), *(when for name in facts if (when := knowledge.facts[name].when))]
    found = {comparison[1] for c in conditions for leaf in leaves(c) if (comparison := leaf.comparison)}
    found |= {limit for name in facts for text in details_of(knowledge, name) for limit in text.placeholders}
    found |= {within for name in facts if (within := knowledge.facts[name].within)}
    found |= {name for line in lines_of(rule) for name in line.placeholders if name in knowledge.thresholds}
    return found | {o.test.fresh_within for o in _orders(knowledge, rule) if o.test and o.test.fresh_within}


def _value_sets(fact: FactDefinition) -> Iterator[str]:
    """The value sets that a fact names, and those that its computed words read."""
    yield from fact.value_sets
    for one in fact.computed:
        yield from one.value_sets


def details_of(knowledge: KnowledgeBase, fact: str) -> list[Text]:
    """What the computed words of a fact mean in detail, with {threshold} where a limit is to be printed."""
    details = (knowledge.computed[one.name].detail for one in knowledge.facts[fact].computed)
    return [detail for detail in details if detail]
