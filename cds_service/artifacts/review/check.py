"""The reviewer's linter: what to know about a knowledge folder, as `file:line: what, do this`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from cds_service.artifacts.forbidden_claims import forbidden, words_of
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.review.attribution import misattributions
from cds_service.artifacts.review.finding import Finding
from cds_service.artifacts.review_limits import read_review_limits
from cds_service.artifacts.schema import Rule
from cds_service.artifacts.vocabulary import Condition
from cds_service.artifacts.walk import (
    conditions_of,
    facts_behind,
    leaves,
    lines_of,
    suggestions_of,
    thresholds_read_by,
)
from cds_service.artifacts.worked_patients import WorkedPatient, read_worked
from cds_service.errors import KnowledgeError
from cds_service.texts import check_texts


def check(root: Path, today: date, site: Path | None = None) -> tuple[KnowledgeBase | None, list[Finding]]:
    """Loads a knowledge folder and reviews it, together with the texts of the service.

    Args:
        site: a site's overlay folder, to be reviewed together with it.
    Returns:
        The knowledge (None if it cannot be loaded) and what was found, errors first.
    """
    try:
        check_texts()
        knowledge = load_knowledge(root, site)
    except KnowledgeError as error:
        return None, [Finding("error", error.where, error.what, error.do)]
    findings = [
        *_texts(knowledge),
        *_examples(knowledge, root),
        *_reviews(knowledge, today),
        *_unused(knowledge),
        *_register(knowledge),
        *misattributions(knowledge),
        *_site(knowledge),
        *_review_limits(root),
    ]
    return knowledge, sorted(findings, key=lambda f: (f.level, f.where))


def _texts(knowledge: KnowledgeBase) -> Iterator[Finding]:
    for rule in knowledge.rules.values():
        for fault in forbidden(words_of(rule)):
            yield Finding("error", knowledge.where[f"rule:{rule.id}"], f"the text {fault}.", "Reword it.")


def _examples(knowledge: KnowledgeBase, root: Path) -> Iterator[Finding]:
    """Every rule is proved by a worked patient for whom it speaks and one for whom it is silent."""
    seen: dict[str, str] = {}
    for rule in knowledge.rules.values():
        where = knowledge.where[f"rule:{rule.id}"]
        path = root / knowledge.topic_of[rule.id] / f"{rule.id}.examples.yaml"
        if not path.is_file():
            yield Finding("error", where, "the rule has no worked patients.", f"Add {path.name} beside it.")
            continue
        try:
            examples = read_worked(path, root)
        except KnowledgeError as error:
            yield Finding("error", error.where, error.what, error.do)
            continue
        yield from _proof(rule, where, examples)
        for example in examples:
            if example.id in seen:
                yield Finding(
                    "error", f"{seen[example.id]}", f"worked patient {example.id} stands in two files.", "Rename one."
                )
            seen[example.id] = path.name


def _proof(rule: Rule, where: str, examples: tuple[WorkedPatient, ...]) -> Iterator[Finding]:
    if rule.kind == "silence":
        if not any(not example.expect for example in examples):
            yield Finding("error", where, "no worked patient shows the silence.", "Add one who gets no card.")
        return
    if not any(rule.id in example.expect for example in examples):
        yield Finding("error", where, "no worked patient makes the rule speak.", "Add one.")
    if not any(rule.id not in example.expect for example in examples):
        yield Finding("error", where, "no worked patient leaves the rule silent.", "Add one.")


def _reviews(knowledge: KnowledgeBase, today: date) -> Iterator[Finding]:
    for rule in knowledge.rules.values():
        where = knowledge.where[f"rule:{rule.id}"]
        if rule.checked_by is None:
            yield Finding(
                "warning",
                where,
                "nobody has checked the rule.",
                "Have somebody other than the author sign it in checked_by.",
            )
        elif rule.checked_by == rule.author:
            yield Finding("error", where, "the author has checked their own rule.", "Have somebody else check it.")
        if date.fromisoformat(rule.next_review) < today:
            yield Finding(
                "warning", where, f"its review was due on {rule.next_review}.", "Review it and set a new date."
            )


def _unused(knowledge: KnowledgeBase) -> Iterator[Finding]:
    facts, limits, orders = _used(knowledge)
    for name in sorted(knowledge.facts.keys() - facts):
        yield Finding(
            "warning", knowledge.where[f"fact:{name}"], f"no rule uses the fact {name}.", "Use it or remove it."
        )
    for name in sorted(knowledge.thresholds.keys() - limits):
        yield Finding(
            "warning",
            knowledge.where[f"threshold:{name}"],
            f"nothing uses the threshold {name}.",
            "Use it or remove it.",
        )
    for name in sorted(knowledge.orders.keys() - orders):
        yield Finding(
            "warning", knowledge.where[f"order:{name}"], f"no rule offers the order {name}.", "Use it or remove it."
        )


def _site(knowledge: KnowledgeBase) -> Iterator[Finding]:
    """What an overlay may do but somebody should look at: limits far from the shipped ones, unseen critical cards."""
    for rule in knowledge.rules.values():
        change = knowledge.site_changes.get(f"rule:{rule.id}")
        indicators = {rule.card.indicator, *(v.indicator for v in rule.variants)} if rule.card else set()
        if change and "critical" in indicators and (rule.silent or not rule.enabled):
            what = f"nobody will see the critical card of {rule.id}."
            yield Finding("warning", change.where, what, "Make sure that this is meant.")
    for name, threshold in knowledge.thresholds.items():
        change = knowledge.site_changes.get(f"threshold:{name}")
        if change is None:
            continue
        own, shipped = threshold.values[-1].value, threshold.values[-2].value
        if not shipped / 1.5 <= own <= shipped * 1.5:
            yield Finding(
                "warning",
                change.where,
                f"{name} is {own:g} {threshold.unit} here and {shipped:g} {threshold.unit} as shipped.",
                "Check number and unit once more.",
            )


def _review_limits(root: Path) -> Iterator[Finding]:
    """They change no answer and are not loaded with the rest, but a fault in them would stop a report."""
    try:
        read_review_limits(root)
    except KnowledgeError as error:
        yield Finding("error", error.where, error.what, error.do)


def cited(knowledge: KnowledgeBase) -> set[str]:
    """Ids of the statements that rules, card lines, thresholds and orders rest on."""
    found = {cite for rule in knowledge.rules.values() for cite in rule.source}
    found |= {cite for rule in knowledge.rules.values() for line in lines_of(rule) for cite in line.cites}
    found |= {cite for threshold in knowledge.thresholds.values() for cite in threshold.source}
    return found | {cite for order in knowledge.orders.values() for cite in order.source}


def _register(knowledge: KnowledgeBase) -> Iterator[Finding]:
    """What a statement was disposed as is what becomes of it: used if it is a rule, a parameter or card text."""
    found = cited(knowledge)
    for statement in knowledge.statements.values():
        where = knowledge.where[f"statement:{statement.id}"]
        meant = {"rule", "parameter", "card"} & set(statement.disposition)
        if meant and statement.id not in found:
            what = f"{statement.id} is disposed as {' and '.join(sorted(meant))}, but nothing cites it."
            yield Finding("error", where, what, "Cite it where it is used, or change its disposition.")
        if not meant and statement.id in found:
            what = f"{statement.id} is cited, but not disposed as rule, parameter or card."
            yield Finding("error", where, what, "Add the disposition, or cite another statement.")


def _used(knowledge: KnowledgeBase) -> tuple[set[str], set[str], set[str]]:
    """Names of the facts, thresholds and orders that rules, orders and code reach."""
    conditions: list[Condition] = []
    named: set[str] = set()
    orders: set[str] = set()
    for topic in knowledge.topics.values():
        conditions += [topic.applies, *([topic.no_info_when] if topic.no_info_when else [])]
    for rule in knowledge.rules.values():
        conditions += conditions_of(rule)
        named |= {name for line in lines_of(rule) for name in line.placeholders}
        orders |= {use.order for use in suggestions_of(rule)}
        named |= {use.of for use in suggestions_of(rule) if use.of}
    for order in knowledge.orders.values():
        conditions += order.against
        conditions += [choice.when for choice in order.medicine or () if choice.when]
    named |= {leaf.fact for condition in conditions for leaf in leaves(condition) if leaf.fact}
    facts = facts_behind(knowledge, [name for name in named if name in knowledge.facts])
    limits = {name for name in named if name in knowledge.thresholds}
    limits |= {comparison[1] for c in conditions for leaf in leaves(c) if (comparison := leaf.comparison)}
    limits |= {limit for name in facts for limit in thresholds_read_by(knowledge.facts[name])}
    limits |= {limit for order in knowledge.orders.values() if order.test for limit in order.test.thresholds}
    return facts, limits, orders
