"""Checks that knowledge files agree with each other: every name they use exists and fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import Condition, FactDefinition
from cds_service.artifacts.walk import (
    conditions_of,
    facts_asked_by,
    facts_behind,
    leaves,
    lines_of,
    suggestions_of,
)
from cds_service.coding import Coding
from cds_service.errors import KnowledgeError
from cds_service.facts.registry import COMPUTED


def check_links(knowledge: KnowledgeBase) -> None:
    """Raises KnowledgeError at the first name that leads nowhere or does not fit."""
    _check_statements(knowledge)
    _check_thresholds(knowledge)
    _check_value_sets(knowledge)
    _check_computed(knowledge)
    _check_facts(knowledge)
    _check_orders(knowledge)
    _check_topics(knowledge)
    _check_rules(knowledge)


def _fail(knowledge: KnowledgeBase, key: str, what: str, do: str, *words: str) -> KnowledgeError:
    return KnowledgeError(knowledge.where.get(key, "knowledge"), what, do, words)


def _cited(knowledge: KnowledgeBase, key: str, cites: Iterable[str]) -> None:
    for cite in cites:
        source, _, number = cite.partition("-")
        if source not in knowledge.sources or (number and cite not in knowledge.statements):
            raise _fail(
                knowledge, key, f"cites {cite}, which does not exist.", "Add the statement or mend the id.", cite
            )
        if number and knowledge.statements[cite].disposition == ["rejected"]:
            raise _fail(knowledge, key, f"cites {cite}, which was rejected.", "Cite a statement that was not.", cite)


def _check_statements(knowledge: KnowledgeBase) -> None:
    for statement in knowledge.statements.values():
        source = statement.id.partition("-")[0]
        if source not in knowledge.sources:
            raise _fail(
                knowledge,
                f"statement:{statement.id}",
                f"source {source} does not exist.",
                "Add sources/" + source + ".yaml.",
            )


def _check_thresholds(knowledge: KnowledgeBase) -> None:
    for name, threshold in knowledge.thresholds.items():
        _cited(knowledge, f"threshold:{name}", threshold.source)


def _check_condition(knowledge: KnowledgeBase, key: str, condition: Condition) -> None:
    for leaf in leaves(condition):
        name = leaf.fact or ""
        fact = knowledge.facts.get(name)
        if fact is None:
            raise _fail(
                knowledge, key, f"fact {name} does not exist.", "Define it in knowledge/facts/ or mend the name.", name
            )
        if comparison := leaf.comparison:
            word, limit = comparison
            at: tuple[str, ...] = ("fact", name, word, limit)
            threshold = knowledge.thresholds.get(limit)
            if threshold is None:
                raise _fail(knowledge, key, f"threshold {limit} does not exist.", "Define it or mend the name.", limit)
            if fact.type != "quantity":
                raise _fail(
                    knowledge, key, f"fact {name} is no quantity; it cannot be compared.", "Use is or known.", *at
                )
            if threshold.unit != fact.unit:
                raise _fail(
                    knowledge,
                    key,
                    f"{name} is in {fact.unit} and {limit} in {threshold.unit}; a comparison would mean nothing.",
                    "Give both one unit.",
                    *at,
                )
        elif leaf.may_be is not None and fact.type != "boolean":
            at = ("fact", name, "may_be", str(leaf.may_be).lower())
            raise _fail(knowledge, key, f"`may_be` does not fit {name}, a {fact.type}.", "Ask a boolean fact.", *at)
        elif leaf.is_ is not None:
            wanted = {"boolean": bool, "word": str}.get(fact.type)
            at = ("fact", name, "is", leaf.is_ if isinstance(leaf.is_, str) else str(leaf.is_).lower())
            if wanted is None or not isinstance(leaf.is_, wanted):
                raise _fail(
                    knowledge,
                    key,
                    f"`is` does not fit {name}, a {fact.type}.",
                    "Use true or false for a boolean, a word for a word.",
                    *at,
                )
            if isinstance(leaf.is_, str) and leaf.is_ not in fact.words:
                raise _fail(knowledge, key, f"{name} is never {leaf.is_!r}.", f"It is {' or '.join(fact.words)}.", *at)


def _check_value_sets(knowledge: KnowledgeBase) -> None:
    """Whatever belongs to a part of a value set belongs to the whole."""
    for one in knowledge.value_sets.values():
        if one.instead_of is not None:
            other = knowledge.value_sets.get(one.instead_of)
            if other is None or other.kind != one.kind or other.instead_of is not None:
                what = f"{one.instead_of} is no {one.kind} value set that another may stand instead of."
                where = f"valueset:{one.id}"
                raise _fail(knowledge, where, what, "See knowledge/valuesets/.", "instead_of", one.instead_of)
    for part in knowledge.value_sets.values():
        if part.part_of is None:
            continue
        key, whole = f"valueset:{part.id}", knowledge.value_sets.get(part.part_of)
        if whole is None or whole.kind != part.kind:
            what = f"{part.part_of} is no {part.kind} value set."
            raise _fail(knowledge, key, what, "See knowledge/valuesets/.", "part_of", part.part_of)
        if missing := sorted({*part.text} - {*whole.text}):
            what = f"{whole.id} lacks the name {missing[0]}."
            raise _fail(knowledge, key, what, "Add it there, too.", missing[0])
        for system, code in sorted(knowledge.terminology.value_sets[part.id].codes):
            if whole.id not in knowledge.terminology.concepts(part.kind, [Coding(system, code)]):
                raise _fail(knowledge, key, f"{whole.id} lacks the code {code} of {system}.", "Add it there, too.")


def _check_computed(knowledge: KnowledgeBase) -> None:
    """Every computed fact is explained: its values, and of thresholds none but those that it reads."""
    for name, declared in COMPUTED.items():
        key, text = f"computed fact:{name}", knowledge.computed.get(name)
        if text is None:
            raise KnowledgeError("computed.yaml:1", f"the computed fact {name} is not explained.", "Add an entry.")
        if {*text.words} != {*declared.words}:
            what = f"the values of {name} are {', '.join(declared.words) or 'no words'}."
            raise _fail(knowledge, key, what, "Name each of them under `words`, and no other.")
        for limit in sorted(text.detail.placeholders if text.detail else ()):
            if limit not in declared.thresholds:
                what = f"{name} does not read the threshold {limit}."
                raise _fail(knowledge, key, what, "Mend the placeholder.", f"{{{limit}}}")
    for name in knowledge.computed.keys() - COMPUTED.keys():
        what = f"no computed fact is called {name}."
        raise _fail(knowledge, f"computed fact:{name}", what, "Remove it, or check its spelling.")


_KINDS = {
    "observation": "observation",
    "medication": "medication",
    "condition": "condition",
    "family": "condition",
    "allergy": "medication",
    "pending": "observation",
}


def _check_facts(knowledge: KnowledgeBase) -> None:
    for name, fact in knowledge.facts.items():
        _check_sources(knowledge, name, fact)
        _check_names(knowledge, name, fact)
        if fact.when:
            _check_condition(knowledge, f"fact:{name}", fact.when)
    # Only now does every name lead somewhere.
    for name, fact in knowledge.facts.items():
        if name in facts_behind(knowledge, facts_asked_by(fact)):
            raise _fail(knowledge, f"fact:{name}", "is defined by itself.", "Break the circle.")


def _check_sources(knowledge: KnowledgeBase, name: str, fact: FactDefinition) -> None:
    for value_set in fact.value_sets:
        known, kind = knowledge.value_sets.get(value_set), _KINDS[fact.origin]
        if known is None or known.kind != kind:
            what = f"{value_set} is no {kind} value set."
            raise _fail(knowledge, f"fact:{name}", what, "See knowledge/valuesets/.", value_set)
        if fact.observation and fact.type == "quantity" and known.analyte and (known.analyte.unit or "1") != fact.unit:
            what = f"its unit is not that of {value_set}."
            raise _fail(knowledge, f"fact:{name}", what, "Use the canonical unit of the value set.")


def _check_names(knowledge: KnowledgeBase, name: str, fact: FactDefinition) -> None:
    """The facts, thresholds and value sets that a fact reads by name, also in its computed words."""
    key = f"fact:{name}"
    if fact.within:
        threshold = knowledge.thresholds.get(fact.within)
        if threshold is None or threshold.unit not in ("d", "h"):
            what = f"within: {fact.within} is no threshold in d or h."
            raise _fail(knowledge, key, what, "Define it in a thresholds.yaml.", fact.within)
    for other in facts_asked_by(fact):
        if other not in knowledge.facts:
            raise _fail(knowledge, key, f"fact {other} does not exist.", "Define it or mend the name.", other)
    for declared in fact.computed:
        for limit in declared.thresholds:
            if limit not in knowledge.thresholds:
                what = f"threshold {limit} is missing; {declared.name} reads it."
                raise _fail(knowledge, key, what, "Define it in a thresholds.yaml.", declared.name)
        for value_set in declared.value_sets:
            if value_set not in knowledge.value_sets:
                what = f"value set {value_set} is missing; {declared.name} reads it."
                raise _fail(knowledge, key, what, "See knowledge/valuesets/.", declared.name)


def _check_orders(knowledge: KnowledgeBase) -> None:
    for name, order in knowledge.orders.items():
        key = f"order:{name}"
        for condition in order.against:
            _check_condition(knowledge, key, condition)
        for regimen in order.regimens.values():
            _cited(knowledge, key, regimen.source)
        for choice in (*(order.medicine or ()), *(c for regimen in order.regimens.values() for c in regimen.medicine)):
            if choice.when:
                _check_condition(knowledge, key, choice.when)
        if order.test:
            for value_set in (order.test.observation, *order.test.also_fresh):
                if value_set not in knowledge.value_sets:
                    raise _fail(
                        knowledge, key, f"value set {value_set} does not exist.", "See knowledge/valuesets/.", value_set
                    )
            for limit in order.test.thresholds:
                if limit not in knowledge.thresholds:
                    raise _fail(knowledge, key, f"threshold {limit} does not exist.", "Define it.", limit)
        _cited(knowledge, key, order.source)


def _check_topics(knowledge: KnowledgeBase) -> None:
    for topic in knowledge.topics.values():
        key = f"topic:{topic.id}"
        _check_condition(knowledge, key, topic.applies)
        if topic.no_info_when:
            _check_condition(knowledge, key, topic.no_info_when)
        _reasons(knowledge, key, topic.override_reasons)


def _check_rules(knowledge: KnowledgeBase) -> None:
    for rule in knowledge.rules.values():
        key = f"rule:{rule.id}"
        for condition in conditions_of(rule):
            _check_condition(knowledge, key, condition)
        for other in (*rule.silenced_by, *rule.explains):
            if other not in knowledge.rules:
                raise _fail(knowledge, key, f"rule {other} does not exist.", "Mend the id.", other)
        for use in suggestions_of(rule):
            if use.order not in knowledge.orders:
                raise _fail(
                    knowledge,
                    key,
                    f"order {use.order} does not exist.",
                    "Define it in orders.yaml or mend the id.",
                    use.order,
                )
            order = knowledge.orders[use.order]
            if order.about_products != (use.of is not None):
                raise _fail(
                    knowledge,
                    key,
                    f"order {use.order}: `of` goes with orders that remove or stop, hold or replace something.",
                    "Add or drop it.",
                    use.order,
                )
            if use.of and (use.of not in knowledge.facts or knowledge.facts[use.of].medication is None):
                raise _fail(
                    knowledge,
                    key,
                    f"{use.of} is no fact about medication.",
                    "Name a fact whose evidence is products.",
                    "of",
                    use.of,
                )
        for line in lines_of(rule):
            _cited(knowledge, key, line.cites)
            for name in line.placeholders:
                if name not in knowledge.facts and name not in knowledge.thresholds:
                    raise _fail(
                        knowledge,
                        key,
                        f"{{{name}}} is neither a fact nor a threshold.",
                        "Mend the placeholder.",
                        f"{{{name}}}",
                    )
        if rule.card:
            _reasons(knowledge, key, rule.card.override_reasons)
        _cited(knowledge, key, rule.source)
    _no_circle(knowledge, lambda rule_id: knowledge.rules[rule_id].silenced_by)


def _reasons(knowledge: KnowledgeBase, key: str, reasons: Iterable[str]) -> None:
    for reason in reasons:
        if reason not in knowledge.override_reasons:
            raise _fail(
                knowledge,
                key,
                f"override reason {reason} does not exist.",
                "Define it in override_reasons.yaml.",
                reason,
            )


def _no_circle(knowledge: KnowledgeBase, next_of: Callable[[str], list[str]]) -> None:
    done: set[str] = set()

    def visit(rule_id: str, path: tuple[str, ...]) -> None:
        if rule_id in path:
            raise _fail(
                knowledge, f"rule:{rule_id}", f"silences itself through {' > '.join(path)}.", "Break the circle."
            )
        if rule_id not in done:
            for other in next_of(rule_id):
                visit(other, (*path, rule_id))
            done.add(rule_id)

    for rule_id in knowledge.rules:
        visit(rule_id, ())
