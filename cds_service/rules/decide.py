"""Decides the rules on the facts: which fire and in which variant, which are silenced, which are undecided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Rule, Variant
from cds_service.artifacts.vocabulary import Condition
from cds_service.facts.fact import FactTable
from cds_service.rules.conditions import Could, Test, compiled, could

Outcome = Literal["speaks", "counted", "silent", "silenced", "unknown", "undecided", "not applicable"]


class Decision(msgspec.Struct, frozen=True):
    """The decision of one rule for one patient.

    outcome:
        speaks: its condition holds; for a silence: the service is deliberately silent here.
        counted: its condition holds, but the rule is in shadow mode: it is counted and not shown.
        silent: its condition does not hold.
        silenced: it holds, but a rule that takes precedence speaks too (`silenced_by`).
        unknown: data that it needs is not recorded although its list was read, so it does not fire (`when_unknown`).
        undecided: a list that it needs is unread or incomplete; reading it could make the rule fire.
        not applicable: the topic does not apply to this patient (age, death).
    provisional: it speaks on what was read; a list that was not read could still change that, or the variant.
    """

    rule: Rule
    outcome: Outcome
    variant: Variant | None = None
    silenced_by: str | None = None
    provisional: bool = False


class _Variant(msgspec.Struct, frozen=True):
    variant: Variant
    when: Test
    could_hold: Callable[[FactTable], Could]


class _Compiled(msgspec.Struct, frozen=True):
    rule: Rule
    applies: Test
    could_apply: Callable[[FactTable], Could]
    when: Test
    unless: Test | None
    could_hold: Callable[[FactTable], Could]
    could_be_stopped: Callable[[FactTable], Could] | None
    variants: tuple[_Variant, ...]


class Decider:
    """All rules of the knowledge, compiled."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._rules = {rule.id: _compile(rule, knowledge.scope_of(rule.id)) for rule in knowledge.rules.values()}

    def decide(self, table: FactTable, rules: Iterable[str], enabled: frozenset[str] = frozenset()) -> list[Decision]:
        """Decides the rules, in the order given.

        Args:
            rules: rule ids of one service; only these can silence each other.
            enabled: rules to switch on although they are off by default.
        """
        on = [self._rules[r] for r in rules if self._rules[r].rule.enabled or r in enabled]
        applies = {one.rule.id: one.applies(table) for one in on}
        holds = {one.rule.id: False if applies[one.rule.id] is False else _holds(one, table) for one in on}
        return [self._decision(one, table, holds, applies) for one in on]

    def _decision(
        self, one: _Compiled, table: FactTable, holds: Mapping[str, bool | None], applies: Mapping[str, bool | None]
    ) -> Decision:
        rule = one.rule
        if applies[rule.id] is False:
            return Decision(rule, "not applicable")
        outcome = holds[rule.id]
        if outcome is False:
            return Decision(rule, "silent")
        # A rule in shadow mode never silences another rule.
        silencer = next(
            (other for other in rule.silenced_by if holds.get(other) and not self._rules[other].rule.silent), None
        )
        if silencer is not None:
            return Decision(rule, "silenced", silenced_by=silencer)
        if outcome is None or applies[rule.id] is None:
            # Missing data is never requested for a rule in shadow mode.
            may_speak = not rule.silent and self._could_speak(one, table)
            return Decision(rule, "undecided" if may_speak else "unknown")
        variant, may_be_another = _variant(one, table)
        if rule.silent:
            return Decision(rule, "counted", variant)
        return Decision(rule, "speaks", variant, provisional=may_be_another or self._could_fall_silent(one, table))

    def _could_speak(self, one: _Compiled, table: FactTable) -> bool:
        return (
            one.could_apply(table).be_true
            and one.could_hold(table).be_true
            and (one.could_be_stopped is None or one.could_be_stopped(table).be_false)
        )

    def _could_fall_silent(self, one: _Compiled, table: FactTable) -> bool:
        return one.could_hold(table).be_false or (
            one.could_be_stopped is not None and one.could_be_stopped(table).be_true
        )


def _compile(rule: Rule, scope: Condition) -> _Compiled:
    return _Compiled(
        rule,
        compiled(scope),
        could(scope),
        compiled(rule.when),
        compiled(rule.unless) if rule.unless else None,
        could(rule.when),
        could(rule.unless) if rule.unless else None,
        tuple(_Variant(variant, compiled(variant.when), could(variant.when)) for variant in rule.variants),
    )


def _variant(one: _Compiled, table: FactTable) -> tuple[Variant | None, bool]:
    """The first variant that holds, and whether reading more could make it another one."""
    may_be_another = False
    for each in one.variants:
        holds = each.when(table)
        if holds is True:
            return each.variant, may_be_another or each.could_hold(table).be_false
        may_be_another = may_be_another or each.could_hold(table).be_true
    return None, may_be_another


def _holds(one: _Compiled, table: FactTable) -> bool | None:
    """`when` and not `unless` in Kleene's logic: an unknown `unless` makes a true `when` unknown."""
    when = one.when(table)
    if when is False or one.unless is None:
        return when
    unless = one.unless(table)
    if unless is True:
        return False
    return None if unless is None else when
