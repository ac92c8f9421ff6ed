"""Vitamin K facts: topical products, unchanged renewals, and vitamin K meant to reverse anticoagulation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cds_service.facts.fact import FactTable
from cds_service.quantity import Interval, point
from cds_service.record import DraftOrder, LabResult
from tests.support.kb import NOW, ago, draft, facts, lab, med, problem, record

K1, MK4, MK7 = "phytomenadione", "menatetrenone", "menaquinone-7"
HIGH_INR = lab("inr", 5.0, 1)


def ordering(*orders: DraftOrder, labs: tuple[LabResult, ...] = (), **more: Any) -> FactTable:
    return facts(record(orders=orders, labs=labs, **more))


def is_reversal(*labs: LabResult, problems: tuple[Any, ...] = (), **order: Any) -> bool:
    """Whether a draft is left out of the vitamin K facts as a reversal."""
    table = ordering(draft(order.pop("concept", K1), **order), labs=labs, problems=problems)
    selected, reversal = table["selects_vitamin_k"].value, table["selects_reversal_dose"].value
    assert {selected, reversal} == {True, False}
    return reversal is True


# --- unchanged renewals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "new"), [(90, False), (89, True)])
def test_a_renewal_of_what_was_taken_for_90_days_is_nothing_new(days: int, new: bool) -> None:
    taken = (med(MK7, start=days, daily=100),)
    assert ordering(draft(MK7, daily=100), medications=taken)["selects_vitamin_k"].value is new


def test_a_renewal_with_another_dose_is_new() -> None:
    taken = (med(MK7, start=400, daily=100),)
    assert ordering(draft(MK7, daily=200), medications=taken)["selects_vitamin_k"].value is True


def test_a_renewal_of_another_product_is_new() -> None:
    taken = (med(MK7, start=400, daily=100),)
    assert ordering(draft("vitamin-d3-k2", daily=100), medications=taken)["selects_vitamin_k"].value is True


@pytest.mark.parametrize(("drafted", "taken"), [(None, 100.0), (100.0, None), (None, None)])
def test_a_renewal_with_an_unknown_dose_is_new(drafted: float | None, taken: float | None) -> None:
    table = ordering(draft(MK7, daily=drafted), medications=(med(MK7, start=400, daily=taken),))
    assert table["selects_vitamin_k"].value is True


def test_a_renewal_of_something_of_unknown_start_is_new() -> None:
    table = ordering(draft(MK7, daily=100), medications=(med(MK7, start=None, daily=100),))
    assert table["selects_vitamin_k"].value is True


def test_a_renewal_of_something_stopped_is_new() -> None:
    table = ordering(draft(MK7, daily=100), medications=(med(MK7, start=400, daily=100, end=10, status="ended"),))
    assert table["selects_vitamin_k"].value is True


def test_a_dose_is_unchanged_over_a_chain_of_orders_with_that_dose() -> None:
    chain = (med(MK7, start=50, daily=100), med(MK7, start=200, end=60, daily=100, status="ended"))
    assert facts(record(medications=chain))["vitamin_k_unchanged_for"].value == point(200)
    changed = (chain[0], med(MK7, start=200, end=60, daily=50, status="ended"))
    assert facts(record(medications=changed))["vitamin_k_unchanged_for"].value == point(50)


def test_the_product_begun_last_says_since_when_everything_is_unchanged() -> None:
    both = (med(MK7, start=300, daily=100), med("multivitamin-with-vitamin-k", start=20, daily=25))
    assert facts(record(medications=both))["vitamin_k_unchanged_for"].value == point(20)


def test_one_product_of_unknown_start_leaves_it_open_since_when_everything_is_unchanged() -> None:
    both = (med(MK7, start=300, daily=100), med("multivitamin-with-vitamin-k", start=None, daily=25))
    assert facts(record(medications=both))["vitamin_k_unchanged_for"].value is None


def test_without_any_vitamin_k_nothing_is_unchanged_for_zero_days() -> None:
    assert facts(record())["vitamin_k_unchanged_for"].value is None


# --- topical products --------------------------------------------------------------------------------------------


def test_vitamin_k_on_the_skin_is_neither_taken_nor_ordered() -> None:
    table = ordering(draft(K1, route="topical"), medications=(med(K1, route="topical"),))
    assert (table["selects_vitamin_k"].value, table["takes_vitamin_k"].value) == (False, False)


def test_vitamin_k_on_the_skin_is_no_reversal() -> None:
    assert ordering(draft(K1, route="topical"), labs=(HIGH_INR,))["selects_reversal_dose"].value is False


# --- reversals that are drafted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("inr", "meant"), [(4.5, True), (4.49, False)])
def test_vitamin_k1_at_an_inr_of_exactly_4_5_is_a_reversal(inr: float, meant: bool) -> None:
    assert is_reversal(lab("inr", inr, 0)) is meant


@pytest.mark.parametrize(
    ("interval", "meant"), [(Interval(8, float("inf"), low_open=True), True), (Interval(4, float("inf")), False)]
)
def test_an_inr_with_a_comparator_explains_a_reversal_only_if_all_of_it_is_high(
    interval: Interval, meant: bool
) -> None:
    assert is_reversal(lab("inr", interval, 0)) is meant


@pytest.mark.parametrize(("hours", "meant"), [(72, True), (73, False)])
def test_a_high_inr_explains_a_reversal_for_72_hours(hours: int, meant: bool) -> None:
    at = NOW - timedelta(hours=hours)
    assert is_reversal(lab("inr", 6.0, effective=at.date(), effective_at=at)) is meant


def test_a_high_inr_still_explains_a_reversal_after_a_lower_one() -> None:
    assert is_reversal(lab("inr", 3.0, 0), lab("inr", 6.0, 2))


def test_an_unusable_inr_explains_nothing() -> None:
    assert not is_reversal(lab("inr", None, 0))


def test_without_a_reason_on_record_vitamin_k1_is_not_a_reversal() -> None:
    assert not is_reversal()


@pytest.mark.parametrize(("days", "meant"), [(3, True), (4, False)])
def test_a_reversal_course_lasts_three_days_at_most(days: int, meant: bool) -> None:
    assert is_reversal(HIGH_INR, course_days=days) is meant


def test_a_single_dose_is_a_reversal_however_long_the_order_stands() -> None:
    assert is_reversal(HIGH_INR, course_days=30, single_dose=True)


@pytest.mark.parametrize("reason", ["over-anticoagulation", "active-bleeding", "urgent-procedure"])
def test_a_reason_on_the_order_makes_it_a_reversal(reason: str) -> None:
    assert is_reversal(reasons=frozenset({reason}))


def test_another_reason_on_the_order_does_not() -> None:
    assert not is_reversal(reasons=frozenset({"osteoporosis"}))


@pytest.mark.parametrize(
    ("reason", "meant"), [("active-bleeding", True), ("urgent-procedure", True), ("osteoporosis", False)]
)
def test_active_bleeding_or_an_urgent_procedure_on_record_makes_it_a_reversal(reason: str, meant: bool) -> None:
    assert is_reversal(problems=(problem(reason),)) is meant


def test_conditions_that_were_not_read_do_not_make_it_a_reversal() -> None:
    assert ordering(draft(K1), unread=["conditions"])["selects_vitamin_k"].value is True


@pytest.mark.parametrize(
    ("form", "meant"),
    [
        ({"route": "iv"}, True),
        ({"route": "im"}, True),
        ({"route": "parenteral"}, True),
        ({"route": "oral", "strength": 5000.0}, True),
        ({"route": "oral", "strength": 15000.0}, False),
        ({"route": "oral"}, False),
    ],
)
def test_menatetrenone_is_haemostatic_as_an_injection_or_a_5_mg_capsule(form: dict[str, Any], meant: bool) -> None:
    assert is_reversal(HIGH_INR, concept=MK4, **form) is meant


@pytest.mark.parametrize("concept", [MK7, "vitamin-d3-k2", "menadione-derivative", "multivitamin-with-vitamin-k"])
def test_other_forms_of_vitamin_k_reverse_nothing(concept: str) -> None:
    assert not is_reversal(HIGH_INR, concept=concept, single_dose=True, route="iv")


def test_vitamin_k_of_no_stated_form_may_be_meant_as_reversal() -> None:
    assert is_reversal(HIGH_INR, concept="vitamin-k-unspecified")


def test_a_reversal_beside_mk_7_leaves_mk_7_to_be_judged() -> None:
    reversal, supplement = draft(K1, single_dose=True, dose=point(2500)), draft(MK7, daily=100)
    table = ordering(reversal, supplement, labs=(HIGH_INR,))
    assert table["selects_vitamin_k"].evidence == (supplement.use,)
    assert table["selects_reversal_dose"].evidence == (reversal.use,)
    assert (table["selected_k1_dose"].value, table["selected_k2_dose"].value) == (point(0), point(100))


@pytest.mark.parametrize(
    ("dose", "reversal", "open_"),
    [
        ({"daily": 100}, False, False),
        ({"daily": 999}, False, False),
        ({"daily": 1000}, False, True),
        ({"daily": 10_000}, False, True),
        ({"daily": 10_000, "course_days": 3}, True, False),
        ({"daily": 100, "course_days": 3}, True, False),
        ({}, True, False),
        ({"dose": point(10_000), "single_dose": True}, True, False),
    ],
)
def test_a_daily_dose_without_an_end_is_no_reversal_and_a_high_one_is_of_unstated_length(
    dose: dict[str, Any], reversal: bool, open_: bool
) -> None:
    table = ordering(draft(K1, **dose), labs=(HIGH_INR,))
    assert table["selects_reversal_dose"].value is reversal
    assert table["selects_vitamin_k"].value is not reversal
    assert table["selects_reversal_of_unstated_length"].value is open_


def test_a_high_daily_dose_without_a_reason_to_reverse_is_no_reversal_of_unstated_length() -> None:
    assert ordering(draft(K1, daily=10_000))["selects_reversal_of_unstated_length"].value is False


# --- reversals on the list ---------------------------------------------------------------------------------------


def just_given(start: int | None, *labs: LabResult, **more: Any) -> bool:
    table = facts(record(medications=(med(K1, start=start, **more),), labs=labs))
    taken, course = table["takes_vitamin_k"].value, table["takes_reversal_course"].value
    assert {taken, course} == {True, False}
    return course is True


@pytest.mark.parametrize(("days", "meant"), [(7, True), (8, False)])
def test_a_reversal_on_the_list_began_in_the_last_seven_days(days: int, meant: bool) -> None:
    assert just_given(days, reasons=frozenset({"over-anticoagulation"})) is meant


def test_vitamin_k1_of_unknown_start_is_no_reversal() -> None:
    assert not just_given(None, HIGH_INR, reasons=frozenset({"over-anticoagulation"}))


@pytest.mark.parametrize(("inr_days", "meant"), [(5, True), (8, True), (9, False), (4, False)])
def test_the_inr_that_explains_it_lies_within_three_days_before_its_start(inr_days: int, meant: bool) -> None:
    assert just_given(5, lab("inr", 6.0, inr_days)) is meant


def test_a_long_course_on_the_list_is_no_reversal() -> None:
    assert just_given(2, lab("inr", 6.0, 2), course_days=3)
    assert not just_given(2, lab("inr", 6.0, 2), course_days=4)


def test_an_ended_course_is_not_taken_at_all() -> None:
    table = facts(record(medications=(med(K1, start=5, end=3, status="ended"),), labs=(lab("inr", 6.0, 5),)))
    assert (table["takes_vitamin_k"].value, table["takes_reversal_course"].value) == (False, False)


def test_the_day_a_reversal_began_is_kept() -> None:
    table = facts(record(medications=(med(K1, start=5),), labs=(lab("inr", 6.0, 5),)))
    assert table["takes_reversal_course"].on == ago(5)
