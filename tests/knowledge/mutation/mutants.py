"""Knowledge to mutants: the same knowledge with one decision changed, each with the place of the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

from cds_service.artifacts.evidence import Threshold
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.schema import Order, Rule, SuggestionUse, Topic, Variant
from cds_service.artifacts.text import Strict
from cds_service.artifacts.vocabulary import Condition, FactDefinition
from cds_service.artifacts.walk import facts_behind, leaves, suggestions_of, thresholds_read_by
from cds_service.yaml_file import Path_, YamlFile

M = TypeVar("M", bound=Strict)
T = TypeVar("T")
# Where inside the artifact, what was done to it, and what it became.
Change = tuple[Path_, str, T]

_OTHER_WORDS = {
    "below": ("at_most", "at_least"),
    "at_most": ("below", "above"),
    "above": ("at_least", "at_most"),
    "at_least": ("above", "below"),
}
_INDICATORS = ("info", "warning", "critical")
# The least step that can be seen in a result, where it is not 1 %: days, hours, years, tenths of an INR.
_STEPS = {"d": 1.0, "h": 1.0, "a": 1.0, "1": 0.1}
# The member of KnowledgeBase that holds artifacts of a kind.
_HELD_IN = {"threshold": "thresholds", "fact": "facts", "rule": "rules", "order": "orders", "topic": "topics"}


@dataclass(frozen=True)
class Mutant:
    """One change of one artifact.

    Attributes:
        kind, name: of the artifact, as in `KnowledgeBase.where`.
        path: of the member that was changed, below the artifact.
        artifacts: the changed one by name; with it those that share its lines by a YAML anchor, changed likewise.
        where: `file:line` of the member.
    """

    kind: str
    name: str
    path: Path_
    change: str
    artifacts: Mapping[str, Strict]
    where: str

    @property
    def id(self) -> str:
        """Names the mutant without line numbers, so that it stays the same while the file grows."""
        return f"{self.kind} {self.name}: {'.'.join(map(str, self.path))} {self.change}"


def mutants_of(knowledge: KnowledgeBase) -> Iterator[Mutant]:
    """Every mutant of what decisions rest on; facts and conditions that only choose words are left alone."""
    deciding = _conditions(knowledge)
    named = {use.of for rule in knowledge.rules.values() for use in suggestions_of(rule) if use.of}
    behind = facts_behind(knowledge, named | {leaf.fact for leaf in _leaves(deciding) if leaf.fact})
    facts = {name: fact for name, fact in knowledge.facts.items() if name in behind}
    deciding += [fact.when for fact in facts.values() if fact.when]
    limits = _limits(knowledge, facts, deciding)
    counts = {leaf.comparison[1] for leaf in _leaves(deciding) if leaf.comparison and facts[leaf.fact or ""].count}
    thresholds = {name: one for name, one in knowledge.thresholds.items() if name in limits - counts}
    places = _Places(knowledge)
    yield from places.mutants("threshold", thresholds, _threshold)
    yield from places.mutants("threshold", {name: knowledge.thresholds[name] for name in sorted(counts)}, _number)
    yield from places.mutants("fact", facts, _fact)
    yield from places.mutants("rule", knowledge.rules, _rule)
    yield from places.mutants("order", knowledge.orders, _order)
    yield from places.mutants("topic", knowledge.topics, _topic)


def applied(knowledge: KnowledgeBase, mutant: Mutant) -> KnowledgeBase:
    """The knowledge with one place changed."""
    held_in = _HELD_IN[mutant.kind]
    changes: dict[str, Any] = {held_in: {**getattr(knowledge, held_in), **mutant.artifacts}}
    if mutant.kind == "rule":
        changes["services"] = {
            id_: replace(service, rules=tuple(r for r in service.rules if service.hook in changes["rules"][r].hooks))
            for id_, service in knowledge.services.items()
        }
    return replace(knowledge, **changes)


class _Places:
    """`file:line` of members; each file is read once."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._where = knowledge.where
        self._files: dict[str, YamlFile] = {}

    def mutants(
        self, kind: str, artifacts: Mapping[str, M], changes: Callable[[M], Iterator[Change[M]]]
    ) -> Iterator[Mutant]:
        """One mutant per changed place; what stands in the file once, for several artifacts, changes in all of them."""
        found: dict[tuple[str, Path_, str], Mutant] = {}
        for name, artifact in artifacts.items():
            for path, change, changed in changes(artifact):
                where = self._line(kind, name, path)
                first = found.get((where, path, change))
                mutant = Mutant(kind, name, path, change, {name: changed}, where)
                found[where, path, change] = (
                    replace(first, artifacts={**first.artifacts, name: changed}) if first else mutant
                )
        yield from found.values()

    def _line(self, kind: str, name: str, path: Path_) -> str:
        file = self._where[f"{kind}:{name}"].rpartition(":")[0]
        if file not in self._files:
            self._files[file] = YamlFile(knowledge_dir() / file, knowledge_dir())
        return self._files[file].where(*path if kind in ("rule", "topic") else (name, *path))


def _conditions(knowledge: KnowledgeBase) -> list[Condition]:
    """What chooses a card, its severity or its suggestions."""
    found: list[Condition | None] = []
    for topic in knowledge.topics.values():
        found += [topic.applies, topic.no_info_when]
    for rule in knowledge.rules.values():
        found += [rule.when, rule.unless, *(variant.when for variant in rule.variants)]
        for use in suggestions_of(rule):
            found += [use.when, use.recommended if isinstance(use.recommended, Condition) else None]
    found += [order.withheld_when for order in knowledge.orders.values()]
    return [condition for condition in found if condition is not None]


def _leaves(conditions: Iterable[Condition]) -> Iterator[Condition]:
    return (leaf for condition in conditions for leaf in leaves(condition))


def _limits(knowledge: KnowledgeBase, facts: Mapping[str, FactDefinition], conditions: Iterable[Condition]) -> set[str]:
    """The thresholds behind these facts, conditions and the orders."""
    compared = {leaf.comparison[1] for leaf in _leaves(conditions) if leaf.comparison}
    ordered = {limit for order in knowledge.orders.values() if order.test for limit in order.test.thresholds}
    return {*compared, *ordered, *(limit for fact in facts.values() for limit in thresholds_read_by(fact))}


def _in(model: M, member: str, changes: Iterator[Change[Any]], written: str | None = None) -> Iterator[Change[M]]:
    """Changes of a member, as changes of the whole; `written` is the member's name in the file if it is another."""
    for path, change, changed in changes:
        yield (written or member, *path), change, model.model_copy(update={member: changed})


def _each(items: Sequence[T], changes: Callable[[T], Iterator[Change[T]]]) -> Iterator[Change[list[T]]]:
    for index, item in enumerate(items):
        for path, change, changed in changes(item):
            yield (index, *path), change, [*items[:index], changed, *items[index + 1 :]]


def _dropped(items: Sequence[T]) -> Iterator[Change[list[T]]]:
    for index, item in enumerate(items):
        name = getattr(item, "id", None) or getattr(item, "order", None) or (item if isinstance(item, str) else "")
        yield (index,), f"dropped {name}".rstrip(), [*items[:index], *items[index + 1 :]]


def _gone(value: object) -> Iterator[Change[None]]:
    if value is not None:
        yield (), "dropped", None


def _condition(one: Condition) -> Iterator[Change[Condition]]:
    """Each comparison word, each value of `is` and `known`, each member of each `all` and `any`, each `not`."""
    for word in ("all", "any"):
        members: list[Condition] | None = getattr(one, word)
        if members is not None:
            yield from _in(one, word, _each(members, _condition))
            if len(members) > 1:
                yield from _in(one, word, _dropped(members))
    if one.not_ is not None:
        yield ("not",), "taken away", one.not_
        yield from _in(one, "not_", _condition(one.not_), "not")
    if comparison := one.comparison:
        word, limit = comparison
        for other in _OTHER_WORDS[word]:
            yield (word,), f"{one.fact} became {other}", one.model_copy(update={word: None, other: limit})
    if one.known is not None:
        yield ("known",), f"{one.fact} became {not one.known}", one.model_copy(update={"known": not one.known})
    if isinstance(one.is_, bool):
        yield ("is",), f"{one.fact} became {not one.is_}", one.model_copy(update={"is_": not one.is_})
    elif one.is_ is not None:
        for value in ("below", "in_range", "above", "male", "female"):
            if value != one.is_ and (value in ("male", "female")) == (one.is_ in ("male", "female")):
                yield ("is",), f"{one.fact} became {value}", one.model_copy(update={"is_": value})


def _guard(model: M, member: str) -> Iterator[Change[M]]:
    """A condition that may be left out: it changes, or it goes."""
    condition: Condition | None = getattr(model, member)
    if condition is not None:
        yield from _in(model, member, _condition(condition))
        yield from _in(model, member, _gone(condition))


def _threshold(threshold: Threshold) -> Iterator[Change[Threshold]]:
    """One step down and up: a day, an hour or a year; a tenth of an INR; else 1 %."""
    value = threshold.values[-1].value
    step = _STEPS.get(threshold.unit) or value / 100
    yield from (_valued(threshold, round(value + sign * step, 6)) for sign in (-1, 1))


def _number(threshold: Threshold) -> Iterator[Change[Threshold]]:
    """One fewer and one more."""
    yield from (_valued(threshold, threshold.values[-1].value + sign) for sign in (-1, 1))


def _valued(threshold: Threshold, value: float) -> Change[Threshold]:
    changed = [dated.model_copy(update={"value": value}) for dated in threshold.values]
    return ("values",), f"became {value:g}", threshold.model_copy(update={"values": changed})


def _fact(fact: FactDefinition) -> Iterator[Change[FactDefinition]]:
    if fact.when is not None:
        yield from _in(fact, "when", _condition(fact.when))
    for member in ("medication", "condition", "family", "pending", "count", "route", "except_"):
        yield from _in(fact, member, _dropped(getattr(fact, member) or ()), member.rstrip("_"))
    for member in ("only", "dose"):
        yield from _in(fact, member, _gone(getattr(fact, member)))
    # A change of intake cannot be looked for without its window.
    if fact.state not in ("raised", "lowered"):
        yield from _in(fact, "within", _gone(fact.within))
    if fact.since is not None:
        for member in ("days", "to"):
            day: int | None = getattr(fact.since, member)
            for other in (day - 1, day + 1) if day is not None else ():
                since = fact.since.model_copy(update={member: other})
                yield ("since", member), f"became {other}", fact.model_copy(update={"since": since})
        if fact.since.to is not None:
            since = fact.since.model_copy(update={"to": None})
            yield ("since", "to"), "dropped", fact.model_copy(update={"since": since})


def _rule(rule: Rule) -> Iterator[Change[Rule]]:
    yield ("enabled",), f"became {not rule.enabled}", rule.model_copy(update={"enabled": not rule.enabled})
    yield from _in(rule, "hooks", _dropped(rule.hooks))
    yield from _in(rule, "when", _condition(rule.when))
    yield from _guard(rule, "unless")
    yield from _in(rule, "silenced_by", _dropped(rule.silenced_by))
    yield from _in(rule, "variants", _each(rule.variants, _variant))
    yield from _in(rule, "variants", _dropped(rule.variants))
    for index, (one, other) in enumerate(pairwise(rule.variants)):
        swapped = [*rule.variants[:index], other, one, *rule.variants[index + 2 :]]
        yield ("variants", index), f"{one.id} after {other.id}", rule.model_copy(update={"variants": swapped})
    if rule.card is not None:
        card = rule.card
        yield from _in(rule, "card", _in(card, "indicator", _indicator(card.indicator)))
        yield from _in(rule, "card", _in(card, "suggestions", _suggestions(card.suggestions)))


def _variant(variant: Variant) -> Iterator[Change[Variant]]:
    yield from _in(variant, "when", _condition(variant.when))
    if variant.indicator is not None:
        yield from _in(variant, "indicator", _indicator(variant.indicator))
        yield from _in(variant, "indicator", _gone(variant.indicator))
    if variant.suggestions is not None:
        yield from _in(variant, "suggestions", _suggestions(variant.suggestions))
        yield from _in(variant, "suggestions", _gone(variant.suggestions))


def _indicator(indicator: str) -> Iterator[Change[str]]:
    for other in _INDICATORS:
        if other != indicator:
            yield (), f"became {other}", other


def _suggestions(uses: Sequence[SuggestionUse]) -> Iterator[Change[list[SuggestionUse]]]:
    yield from _dropped(uses)
    yield from _each(uses, _suggestion)


def _suggestion(use: SuggestionUse) -> Iterator[Change[SuggestionUse]]:
    yield from _guard(use, "when")
    if isinstance(use.recommended, bool):
        change = f"{use.order} became {not use.recommended}"
        yield ("recommended",), change, use.model_copy(update={"recommended": not use.recommended})
    else:
        yield from _in(use, "recommended", _condition(use.recommended))


def _order(order: Order) -> Iterator[Change[Order]]:
    yield from _guard(order, "withheld_when")
    if order.test is not None:
        yield from _in(order, "test", _in(order.test, "fresh_within", _gone(order.test.fresh_within)))
        yield from _in(order, "test", _in(order.test, "also_fresh", _dropped(order.test.also_fresh)))


def _topic(topic: Topic) -> Iterator[Change[Topic]]:
    yield from _in(topic, "applies", _condition(topic.applies))
    yield from _guard(topic, "no_info_when")
