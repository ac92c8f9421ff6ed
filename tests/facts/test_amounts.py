"""How much of a substance a day: sums over products, bounds of what was not read, drafts beside what is taken."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.facts.fact import FactTable
from cds_service.quantity import Interval, point
from cds_service.record import DraftOrder, MedicationUse
from tests.support.kb import draft, facts, med, record

K1, MULTI, MK7 = "phytomenadione", "multivitamin-with-vitamin-k", "menaquinone-7"


def of(*uses: MedicationUse, orders: tuple[DraftOrder, ...] | None = None, **more: Any) -> FactTable:
    return facts(record(medications=uses, orders=orders, **more))


def order(concept: str, **more: Any) -> MedicationUse:
    more = {"resource": "MedicationRequest", "reference": f"MedicationRequest/{concept}"} | more
    return med(concept, **more)


def test_doses_of_several_products_add_up_and_each_is_evidence() -> None:
    fact = of(med(K1, daily=60), med(MULTI, daily=80))["active_k1_dose"]
    assert fact.value == point(140)
    assert len(fact.evidence) == 2


def test_a_dose_that_is_not_stated_leaves_the_sum_open_upwards() -> None:
    assert of(med(K1, daily=60), med(MULTI))["active_k1_dose"].value == Interval(60, inf)
    assert of(med(MULTI))["active_k1_dose"].value is None


def test_a_list_that_was_not_read_leaves_the_sum_open_upwards() -> None:
    fact = of(med("mecobalamin", daily=250), unread=["medication-requests"])["b12_swallowed_or_nasal_dose"]
    assert fact.value == Interval(250, inf)
    assert fact.missing is not None
    assert fact.missing.unread


@pytest.mark.parametrize(
    ("statement", "total"),
    [
        pytest.param({"daily": 8}, point(8), id="same dose"),
        pytest.param({}, point(8), id="dose not stated"),
        pytest.param({"daily": 12}, point(20), id="another dose of no known strength"),
        pytest.param({"daily": 8, "strength": 8.0}, point(16), id="another strength"),
        pytest.param({"daily": 12, "rests_on": frozenset({f"MedicationRequest/{MK7}"})}, Interval(8, 12), id="linked"),
        pytest.param({"daily": 8, "route": "sublingual"}, point(16), id="another route"),
    ],
)
def test_an_order_and_a_statement_of_one_product_count_once(statement: dict[str, Any], total: Interval) -> None:
    taken = of(order(MK7, daily=8, route="oral"), med(MK7, **statement))
    assert taken["active_k2_dose"].value == total


def test_two_orders_of_one_product_are_two_products() -> None:
    assert of(order(MK7, daily=8), order(MK7, daily=8, reference="MedicationRequest/2"))["active_k2_dose"].value == (
        point(16)
    )


@pytest.mark.parametrize(
    ("use", "bounds"),
    [
        ({"strength": 50.0}, Interval(0, 200)),
        ({"strength": 1000.0}, Interval(0, 4000)),
        ({"strength": 50.0, "as_needed": True}, None),
        ({}, None),
        ({"strength": 50.0, "daily": 100}, point(100)),
    ],
)
def test_an_instruction_that_was_not_read_is_bounded_by_the_strength(
    use: dict[str, Any], bounds: Interval | None
) -> None:
    assert of(med("cyanocobalamin", **use))["b12_swallowed_or_nasal_dose"].value == bounds


@pytest.mark.parametrize(("strength", "small"), [(20.0, True), (25.0, False)])
def test_on_an_antagonist_an_instruction_that_was_not_read_counts_with_the_most(strength: float, small: bool) -> None:
    table = of(med(K1, strength=strength))
    assert table["active_k1_dose"].value == point(4 * strength)
    assert table["vitamin_k_dose_is_small"].value is small


def test_what_may_be_taken_opens_the_sum() -> None:
    table = of(med("mecobalamin", daily=300), med("cyanocobalamin", daily=300, status="unclear"))
    assert table["b12_swallowed_or_nasal_dose"].value == Interval(300, 600)


def test_a_draft_is_judged_together_with_what_is_taken_of_its_class() -> None:
    table = of(med(K1, start=200, daily=70), orders=(draft(MULTI, daily=50),))
    assert table["selected_k1_dose"].value == point(120)
    evidence = [each for each in table["selected_k1_dose"].evidence if isinstance(each, MedicationUse)]
    assert {use.product for use in evidence} == {K1, MULTI}
    assert table["selected_vitamin_k_dose_is_small"].value is False


def test_a_draft_that_renews_a_product_takes_its_place() -> None:
    renewal = draft(K1, daily=70, strength=70.0)
    assert of(med(K1, daily=50, strength=70.0), orders=(renewal,))["selected_k1_dose"].value == point(70)
    other = of(med(K1, daily=50, strength=50.0), orders=(renewal,))
    assert other["selected_k1_dose"].value == point(120)


def test_without_a_draft_of_the_class_nothing_taken_is_added() -> None:
    assert of(med(K1, daily=70), orders=(draft(MK7, daily=5),))["selected_k1_dose"].value == point(0)


def test_a_draft_beside_a_list_that_was_not_read_may_add_to_more() -> None:
    table = of(orders=(draft(K1, daily=70),), unread=["medication-statements"])
    assert table["selected_k1_dose"].value == Interval(70, inf)
    assert of(orders=(), unread=["medication-statements"])["selected_k1_dose"].value == point(0)


def test_a_single_dose_is_no_continued_intake() -> None:
    once = med(K1, start=3, single_dose=True, dose=point(10_000), route="iv")
    table = of(once)
    assert (table["takes_vitamin_k"].value, table["active_k1_dose"].value) == (False, point(0))
    assert table["single_vitamin_k_of_late"].value is True
    assert of(med(K1, start=31, single_dose=True))["single_vitamin_k_of_late"].value is False


def test_a_single_dose_of_the_past_is_not_added_to_a_daily_draft() -> None:
    once = med(K1, start=10, single_dose=True, dose=point(10_000), route="iv")
    assert of(once, orders=(draft(MULTI, daily=50),))["selected_k1_dose"].value == point(50)


@pytest.mark.parametrize(
    ("uses", "shown"),
    [
        pytest.param((med(K1, daily=60), med(MULTI, daily=80)), point(140), id="two products"),
        pytest.param((med(K1, daily=60),), None, id="one product"),
        pytest.param((med(K1, daily=60), med(MULTI)), None, id="a dose not stated"),
        pytest.param((med(K1, strength=60.0), med(MULTI, daily=80)), None, id="an instruction not read"),
        pytest.param((order(K1, daily=60), med(K1, daily=60)), None, id="an order and a statement of one product"),
        pytest.param((), None, id="none"),
    ],
)
def test_a_sum_is_shown_only_of_several_products_with_stated_doses(
    uses: tuple[MedicationUse, ...], shown: Interval | None
) -> None:
    assert of(*uses)["active_k1_together"].value == shown


DOSES = st.integers(1, 3000)


@given(DOSES, st.sampled_from([K1, MULTI, "menadione-derivative"]), st.sampled_from([K1, MULTI]))
def test_halving_a_dose_into_two_products_never_lowers_the_sum(dose: int, one: str, other: str) -> None:
    whole = of(order(one, daily=dose))["active_k1_dose"].value
    halves = of(order(one, daily=dose / 2), order(other, daily=dose / 2, reference="MedicationRequest/2"))
    assert isinstance(whole, Interval)
    assert isinstance(halves["active_k1_dose"].value, Interval)
    assert halves["active_k1_dose"].value.low >= whole.low


@given(DOSES, st.one_of(st.none(), st.floats(1, 1000)))
def test_a_dose_that_becomes_unreadable_is_never_zero(dose: int, strength: float | None) -> None:
    for name in ("b12_swallowed_or_nasal_dose", "active_k1_dose"):
        concept = "cyanocobalamin" if name.startswith("b12") else K1
        value = of(med(concept, strength=strength))[name].value
        assert value is None or (isinstance(value, Interval) and value.high > 0), dose
