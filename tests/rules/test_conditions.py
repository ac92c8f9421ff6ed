"""Conditions: Kleene's logic, comparisons of intervals, and the twins that must agree."""

from __future__ import annotations

from itertools import count, product
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.facts.fact import Fact, FactTable, Missing
from cds_service.quantity import Interval
from cds_service.record import PatientRecord
from cds_service.rules.conditions import compiled, could, evidence
from cds_service.rules.explain import clause
from tests.support.kb import ABSENT, TODAY, UNREAD, condition, facts, knowledge, lab, med, problem, record, told

WORDS: dict[bool | None, str] = {True: "yes", False: "no", None: "unknown"}
TRUTHS = (True, False, None)


def holds(words: dict[str, Any], table: FactTable) -> bool | None:
    return compiled(condition(words))(table)


def both(word: str) -> dict[str, Any]:
    return {word: [{"fact": "a", "is": True}, {"fact": "b", "is": True}]}


@pytest.mark.parametrize(("a", "b"), list(product(TRUTHS, TRUTHS)))
def test_all_is_false_with_a_false_member_and_unknown_with_an_unknown_one(a: bool | None, b: bool | None) -> None:
    expected = False if False in (a, b) else None if None in (a, b) else True
    assert holds(both("all"), told(a=a, b=b)) is expected


@pytest.mark.parametrize(("a", "b"), list(product(TRUTHS, TRUTHS)))
def test_any_is_true_with_a_true_member_and_unknown_with_an_unknown_one(a: bool | None, b: bool | None) -> None:
    expected = True if True in (a, b) else None if None in (a, b) else False
    assert holds(both("any"), told(a=a, b=b)) is expected


@pytest.mark.parametrize(("a", "expected"), [(True, False), (False, True), (None, None)])
def test_not_turns_true_and_false_and_leaves_unknown(a: bool | None, expected: bool | None) -> None:
    assert holds({"not": {"fact": "a", "is": True}}, told(a=a)) is expected


@pytest.mark.parametrize(("a", "expected"), [(True, False), (False, True), (None, None)])
def test_is_false_holds_for_a_no_and_not_for_an_unknown(a: bool | None, expected: bool | None) -> None:
    assert holds({"fact": "a", "is": False}, told(a=a)) is expected


@pytest.mark.parametrize(
    ("interval", "below", "at_most"),
    [
        (Interval(199.9, 199.9), True, True),
        (Interval(200, 200), False, True),
        (Interval(200.1, 200.1), False, False),
        (Interval(0, 200, high_open=True), True, True),  # <200
        (Interval(0, 200), None, True),  # <=200
        (Interval(0, 250, high_open=True), None, None),  # <250
        (Interval(200, inf, low_open=True), False, False),  # >200
        (Interval(200, inf), False, None),  # >=200
    ],
)
def test_a_comparison_needs_the_whole_interval(interval: Interval, below: bool | None, at_most: bool | None) -> None:
    table = told(x=Fact(interval))
    found = [holds({"fact": "x", word: "limit"}, table) for word in ("below", "at_most", "at_least", "above")]
    opposite = {True: False, False: True, None: None}
    assert found == [below, at_most, opposite[below], opposite[at_most]]


@pytest.mark.parametrize("word", ["below", "at_most", "at_least", "above"])
def test_an_unknown_number_is_on_neither_side_of_a_limit(word: str) -> None:
    assert holds({"fact": "x", word: "limit"}, told(x=None)) is None


def test_known_is_answered_for_what_was_looked_for_and_open_for_what_was_not_read() -> None:
    asked: dict[str, Any] = {"fact": "x", "known": True}
    assert [holds(asked, told(x=x)) for x in (5.0, False, ABSENT, UNREAD)] == [True, True, False, None]
    asked["known"] = False
    assert [holds(asked, told(x=x)) for x in (5.0, False, ABSENT, UNREAD)] == [False, False, True, None]


@pytest.mark.parametrize("wanted", [True, False])
def test_what_may_be_so_holds_unless_the_opposite_is_sure(wanted: bool) -> None:
    asked: dict[str, Any] = {"fact": "x", "may_be": wanted}
    assert [holds(asked, told(x=x)) for x in (wanted, not wanted, ABSENT, UNREAD)] == [True, False, True, True]


def test_a_word_is_compared_as_a_word() -> None:
    assert holds({"fact": "inr", "is": "above"}, told(inr="above")) is True
    assert holds({"fact": "inr", "is": "above"}, told(inr="in_range")) is False


def test_evidence_is_that_of_the_members_that_hold() -> None:
    low, high = lab("mcv", 90), lab("mcv", 110)
    words = {"any": [{"fact": "a", "is": True}, {"fact": "b", "is": True}, {"fact": "c", "is": False}]}
    table = told(a=Fact(True, (high,)), b=Fact(False, (low,)), c=Fact(False, (low,)))
    assert evidence(condition(words))(table) == (high,)


# --- the quick and the slow walk ---------------------------------------------------------------------------------

# Facts of every origin, with limits of their unit.
QUANTITIES = {
    "latest_serum_b12": ("b12_low", "b12_borderline_top"),
    "latest_mcv": ("mcv_macrocytic",),
    "age": ("adult_age", "age_risk"),
    "metformin_duration": ("metformin_min", "acid_suppressant_min"),
    "b12_swallowed_or_nasal_dose": ("b12_therapy_min_dose",),
}
BOOLEANS = ("pernicious_anaemia", "takes_b12_therapy", "macrocytosis", "mma_near_b12", "b12_sign_or_risk", "takes_vka")
ALL_FACTS = (*QUANTITIES, *BOOLEANS, "inr_against_target")

comparison = st.sampled_from(sorted(QUANTITIES)).flatmap(
    lambda fact: st.builds(
        lambda word, limit: {"fact": fact, word: limit},
        st.sampled_from(["below", "at_most", "above", "at_least"]),
        st.sampled_from(QUANTITIES[fact]),
    )
)
leaf = st.one_of(
    comparison,
    st.builds(lambda fact, wanted: {"fact": fact, "is": wanted}, st.sampled_from(BOOLEANS), st.booleans()),
    st.builds(lambda fact, wanted: {"fact": fact, "may_be": wanted}, st.sampled_from(BOOLEANS), st.booleans()),
    st.builds(lambda word: {"fact": "inr_against_target", "is": word}, st.sampled_from(["below", "in_range", "above"])),
    st.builds(lambda fact, wanted: {"fact": fact, "known": wanted}, st.sampled_from(ALL_FACTS), st.booleans()),
)


def grouped(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map(lambda parts: {"all": parts}),
        several.map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    )


random_condition = st.recursive(leaf, grouped, max_leaves=8)
values = st.one_of(
    st.none(),
    st.sampled_from([2.0, 2.5, 3.0, 99.0, 100.0, 101.0, 199.0, 200.0, 351.0]),
    st.sampled_from([Interval(0, 150, high_open=True), Interval(0, 250, high_open=True), Interval(200, inf)]),
)
random_lab = st.builds(
    lab,
    st.sampled_from(["serum-vitamin-b12", "methylmalonic-acid", "mcv", "inr"]),
    values,
    st.sampled_from([None, -1, 0, 20, 400]),
)
random_med = st.builds(
    lambda concept, start, end, daily, status: med(concept, start=start, end=end, daily=daily, status=status),
    st.sampled_from(["metformin", "cyanocobalamin", "vitamin-k-antagonist"]),
    st.sampled_from([None, 5, 150, 500]),
    st.sampled_from([None, 0, 3]),
    st.sampled_from([None, 100.0, 500.0]),
    st.sampled_from(["active", "ended"]),
)
random_record = st.builds(
    record,
    labs=st.lists(random_lab, max_size=5),
    medications=st.lists(random_med, max_size=3).map(tuple),
    problems=st.lists(st.sampled_from(["pernicious-anaemia", "neurological-signs"]).map(problem), max_size=2).map(
        tuple
    ),
    born=st.sampled_from([None, TODAY.replace(year=1950), TODAY.replace(year=2010)]),
    unread=st.lists(st.sampled_from(["observations", "conditions", "medication-requests"]), unique=True),
    incomplete=st.lists(st.sampled_from(["procedures", "medication-statements"]), unique=True),
)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(words=random_condition, patient=random_record)
def test_the_compiled_condition_and_the_explained_one_agree(words: dict[str, Any], patient: PatientRecord) -> None:
    explained = clause(knowledge(), facts(patient), condition(words))
    assert explained["outcome"] == WORDS[holds(words, facts(patient))]


# --- what reading more could change ------------------------------------------------------------------------------

STATES = {"true": Fact(True), "false": Fact(False), "absent": ABSENT, "unread": UNREAD}
stated_leaf = st.builds(
    lambda state, word, wanted: {"fact": state, word: wanted},
    st.sampled_from(sorted(STATES)),
    st.sampled_from(["is", "may_be"]),
    st.booleans(),
)
stated_condition = st.recursive(stated_leaf, grouped, max_leaves=7)


def numbered(words: dict[str, Any], states: dict[str, str], numbers: count[int]) -> dict[str, Any]:
    """The condition with a fact of its own for every leaf; their states are kept in `states`."""
    if "fact" in words:
        name = f"fact_{next(numbers)}"
        states[name] = words["fact"]
        return words | {"fact": name}
    return {
        word: [numbered(part, states, numbers) for part in inner]
        if isinstance(inner, list)
        else numbered(inner, states, numbers)
        for word, inner in words.items()
    }


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(words=stated_condition)
def test_what_reading_could_change_is_what_trying_every_outcome_finds(words: dict[str, Any]) -> None:
    states: dict[str, str] = {}
    plain = numbered(words, states, count())
    unread = [name for name, state in states.items() if state == "unread"]
    fixed = {name: STATES[state] for name, state in states.items()}
    outcomes = {
        holds(plain, told(None, **(fixed | dict(zip(unread, tried, strict=True)))))
        for tried in product((Fact(True), Fact(False), ABSENT), repeat=len(unread))
    }
    assert could(condition(plain))(told(None, **fixed)) == (True in outcomes, False in outcomes)


def test_a_count_that_unread_lists_could_raise_may_end_on_either_side_of_its_limit() -> None:
    open_count = Fact(Interval(1, 3), missing=Missing("unread", "conditions"))
    closed = Fact(Interval(1, 3))
    asked = condition({"fact": "x", "at_least": "limit"})
    assert could(asked)(told({"limit": 2}, x=open_count)) == (True, True)
    assert could(asked)(told({"limit": 2}, x=closed)) == (False, False)
    assert could(asked)(told({"limit": 1}, x=open_count)) == (True, False)
