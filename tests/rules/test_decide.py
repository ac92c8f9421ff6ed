"""Decisions: which rules speak, which keep others quiet, and what an unknown does to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cds_service.artifacts.schema import Rule
from cds_service.facts.fact import Fact
from cds_service.rules.decide import Decider, Decision
from tests.support.kb import ABSENT, UNREAD, knowledge_with, rule, told

A: dict[str, Any] = {"fact": "a", "is": True}
B: dict[str, Any] = {"fact": "b", "is": True}
Stated = Fact | bool | None


def decide(*rules: Rule, asked: tuple[str, ...] | None = None, **facts: Stated) -> dict[str, Decision]:
    """The decisions of these rules, all of a topic that applies unless `in_scope` says otherwise."""
    decider = Decider(knowledge_with(*rules))
    table = told(None, **({"in_scope": True} | facts))
    decisions = decider.decide(table, asked or [r.id for r in rules])
    return {decision.rule.id: decision for decision in decisions}


def outcome(*rules: Rule, **facts: Stated) -> str:
    """What became of the first rule."""
    return decide(*rules, asked=None, **facts)[rules[0].id].outcome


@pytest.mark.parametrize(
    ("a", "expected"), [(True, "speaks"), (False, "silent"), (ABSENT, "unknown"), (UNREAD, "undecided")]
)
def test_a_rule_speaks_only_if_its_condition_surely_holds(a: Stated, expected: str) -> None:
    assert outcome(rule("one", A), a=a) == expected


@pytest.mark.parametrize(
    ("b", "expected"), [(False, "speaks"), (True, "silent"), (ABSENT, "unknown"), (UNREAD, "undecided")]
)
def test_an_exception_that_holds_silences_and_an_unknown_one_makes_unknown(b: Stated, expected: str) -> None:
    assert outcome(rule("one", A, unless=B), a=True, b=b) == expected


@pytest.mark.parametrize(
    ("a", "outcome_", "provisional"),
    [
        (False, "speaks", False),
        (True, "silent", False),
        (ABSENT, "speaks", False),
        (UNREAD, "speaks", True),
    ],
)
def test_a_rule_that_speaks_on_an_unread_list_is_provisional(a: Stated, outcome_: str, provisional: bool) -> None:
    decision = decide(rule("one", {"fact": "a", "may_be": False}), a=a)["one"]
    assert (decision.outcome, decision.provisional) == (outcome_, provisional)


def test_a_rule_that_holds_whatever_a_list_says_is_not_provisional() -> None:
    either = {"any": [B, {"fact": "a", "may_be": False}]}
    assert not decide(rule("one", either), a=UNREAD, b=True)["one"].provisional


@pytest.mark.parametrize("b", [True, False, ABSENT, UNREAD])
def test_an_exception_says_nothing_where_the_condition_does_not_hold(b: Stated) -> None:
    assert outcome(rule("one", A, unless=B), a=False, b=b) == "silent"


def test_an_exception_that_surely_holds_leaves_nothing_undecided() -> None:
    assert outcome(rule("one", A, unless=B), a=UNREAD, b=True) == "silent"


@pytest.mark.parametrize(("a", "b"), [(UNREAD, ABSENT), (ABSENT, UNREAD)])
def test_a_rule_that_no_reading_could_make_speak_is_not_undecided(a: Stated, b: Stated) -> None:
    assert outcome(rule("one", {"all": [A, B]}), a=a, b=b) == "unknown"
    assert outcome(rule("one", A, unless=B), a=a, b=b) == "unknown"


def test_a_rule_that_reading_could_make_speak_in_one_way_is_undecided() -> None:
    assert outcome(rule("one", {"any": [A, B]}), a=ABSENT, b=UNREAD) == "undecided"


# --- silencing ---------------------------------------------------------------------------------------------------

QUIET, LOUD = rule("quiet", A, silenced_by=["loud"]), rule("loud", B)


@pytest.mark.parametrize(
    ("b", "expected"), [(True, "silenced"), (False, "speaks"), (ABSENT, "speaks"), (UNREAD, "speaks")]
)
def test_only_a_rule_that_surely_holds_silences(b: Stated, expected: str) -> None:
    assert outcome(QUIET, LOUD, a=True, b=b) == expected


def test_a_silenced_rule_names_the_rule_that_silences_it() -> None:
    assert decide(QUIET, LOUD, a=True, b=True)["quiet"].silenced_by == "loud"


def test_a_rule_whose_condition_does_not_hold_is_silent_and_not_silenced() -> None:
    assert outcome(QUIET, LOUD, a=False, b=True) == "silent"


def test_an_undecided_rule_that_would_be_silenced_is_not_undecided() -> None:
    assert outcome(QUIET, LOUD, a=UNREAD, b=True) == "silenced"


def test_the_order_of_the_rules_does_not_decide_who_silences() -> None:
    assert decide(LOUD, QUIET, a=True, b=True)["quiet"].outcome == "silenced"


def test_a_rule_of_another_call_silences_nobody() -> None:
    assert decide(QUIET, LOUD, asked=("quiet",), a=True, b=True)["quiet"].outcome == "speaks"


def test_a_rule_that_is_switched_off_neither_speaks_nor_silences() -> None:
    found = decide(QUIET, rule("loud", B, enabled=False), a=True, b=True)
    assert {name: decision.outcome for name, decision in found.items()} == {"quiet": "speaks"}


def test_a_rule_that_is_off_by_default_can_be_switched_on_for_a_call() -> None:
    off = rule("one", A, enabled=False)
    decider, table = Decider(knowledge_with(off)), told(in_scope=True, a=True)
    assert decider.decide(table, ["one"]) == []
    assert [d.outcome for d in decider.decide(table, ["one"], frozenset({"one"}))] == ["speaks"]


def test_a_rule_with_an_exception_that_holds_silences_nobody() -> None:
    excepted = rule("loud", B, unless={"fact": "c", "is": True})
    assert outcome(QUIET, excepted, a=True, b=True, c=True) == "speaks"


def test_a_silenced_rule_still_silences_the_ones_below_it() -> None:
    rules = rule("last", A, silenced_by=["middle"]), rule("middle", A, silenced_by=["first"]), rule("first", A)
    found = decide(*rules, a=True)
    assert [found[name].outcome for name in ("last", "middle", "first")] == ["silenced", "silenced", "speaks"]


# --- the topic ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [True, False, ABSENT, UNREAD])
def test_no_rule_applies_outside_the_scope_of_its_topic(a: Stated) -> None:
    assert outcome(rule("one", A), a=a, in_scope=False) == "not applicable"


@pytest.mark.parametrize(("scope", "expected"), [(ABSENT, "unknown"), (UNREAD, "undecided")])
def test_an_unknown_scope_lets_no_rule_speak(scope: Stated, expected: str) -> None:
    assert outcome(rule("one", A), a=True, in_scope=scope) == expected


def test_a_rule_whose_condition_does_not_hold_is_silent_in_an_unknown_scope() -> None:
    assert outcome(rule("one", A), a=False, in_scope=UNREAD) == "silent"


def test_a_rule_outside_its_scope_silences_nobody() -> None:
    assert {d.outcome for d in decide(QUIET, LOUD, a=True, b=True, in_scope=False).values()} == {"not applicable"}


# --- variants ----------------------------------------------------------------------------------------------------


def variant(name: str, when: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "when": when, "indicator": "info"}


@pytest.mark.parametrize(
    ("b", "c", "chosen"),
    [(True, True, "b"), (False, True, "c"), (None, True, "c"), (None, None, None), (False, False, None)],
)
def test_the_first_variant_whose_condition_surely_holds_is_chosen(b: Stated, c: Stated, chosen: str | None) -> None:
    one = rule("one", A, variants=[variant("b", B), variant("c", {"fact": "c", "is": True})])
    found = decide(one, a=True, b=b, c=c)["one"].variant
    assert (found.id if found else None) == chosen


def test_a_rule_that_does_not_speak_has_no_variant() -> None:
    one = rule("one", A, variants=[variant("b", B)])
    assert decide(one, a=False, b=True)["one"].variant is None
