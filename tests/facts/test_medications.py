"""Medication facts: what is taken or ordered, how much of it, and since when."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.facts.fact import Fact, FactTable
from cds_service.quantity import Interval, point
from cds_service.record import DraftOrder, MedicationUse
from tests.support.kb import ago, draft, facts, med, record

WARFARIN = "vitamin-k-antagonist"


def taking(*uses: MedicationUse, **more: Any) -> FactTable:
    return facts(record(medications=uses, **more))


def ordering(*orders: DraftOrder, **more: Any) -> FactTable:
    return facts(record(orders=orders, **more))


def why(fact: Fact) -> str:
    assert fact.value is None
    assert fact.missing is not None
    return fact.missing.kind


@pytest.mark.parametrize(
    ("start", "end", "active"),
    [(0, None, True), (-1, None, False), (10, 0, True), (10, 1, False), (None, None, True), (None, -5, True)],
)
def test_a_product_is_active_from_its_start_to_its_end_inclusive(start: Any, end: Any, active: bool) -> None:
    assert taking(med(WARFARIN, start=start, end=end))["takes_vka"].value is active


def test_a_product_begun_in_a_month_that_is_not_over_is_active() -> None:
    assert taking(med(WARFARIN, start=-10, partial_start=True))["takes_vka"].value is True


@pytest.mark.parametrize("status", ["ended", "draft"])
def test_a_product_with_another_status_is_not_active(status: str) -> None:
    assert taking(med(WARFARIN, status=status))["takes_vka"].value is False


@pytest.mark.parametrize("source", ["medication-requests", "medication-statements"])
@pytest.mark.parametrize("how", ["unread", "incomplete"])
def test_no_product_in_a_list_that_was_not_wholly_read_is_not_a_no(how: str, source: str) -> None:
    assert why(taking(**{how: [source]})["takes_vka"]) == how


def test_a_product_that_was_found_is_a_yes_whatever_else_was_not_read() -> None:
    fact = taking(med(WARFARIN), unread=["medication-requests"])["takes_vka"]
    assert (fact.value, fact.on) == (True, ago(10))


def test_other_lists_say_nothing_about_medicines() -> None:
    assert taking(unread=["observations", "conditions"])["takes_vka"].value is False


def test_a_draft_is_ordered_and_not_taken() -> None:
    table = ordering(draft(WARFARIN))
    assert (table["takes_vka"].value, table["selects_vka"].value, table["drafts_vka"].value) == (False, True, True)


def test_a_draft_that_is_not_selected_is_only_among_the_drafts() -> None:
    table = ordering(draft(WARFARIN, selected=False))
    assert (table["selects_vka"].value, table["drafts_vka"].value) == (False, True)


def test_drafts_are_known_also_if_the_lists_were_not_read() -> None:
    assert ordering(unread=["medication-requests"])["selects_vka"].value is False


def test_no_orders_in_hand_is_not_the_same_as_an_empty_session() -> None:
    assert (facts(record())["orders_in_hand"].value, ordering()["orders_in_hand"].value) == (False, True)


@pytest.mark.parametrize(("gap", "days"), [(90, 400), (91, 100)])
def test_a_chain_of_uses_bears_a_gap_of_90_days_and_no_more(gap: int, days: int) -> None:
    earlier = med("metformin", start=400, end=100 + gap, status="ended")
    assert taking(earlier, med("metformin", start=100))["metformin_duration"].value == point(days)


def test_a_chain_leads_over_several_uses_in_any_order() -> None:
    uses = [
        med("metformin", start=100),
        med("metformin", start=700, end=500, status="ended"),
        med("metformin", start=450, end=150, status="ended"),
    ]
    fact = taking(*uses)["metformin_duration"]
    assert (fact.value, fact.on) == (point(700), ago(700))


def test_an_earlier_use_without_an_end_reaches_to_its_start_only() -> None:
    earlier = med("metformin", start=191, status="ended")
    assert taking(earlier, med("metformin", start=100))["metformin_duration"].value == point(100)


def test_a_chain_is_of_one_product() -> None:
    other = med("proton-pump-inhibitor", start=700, end=100, status="ended")
    assert taking(other, med("metformin", start=100))["metformin_duration"].value == point(100)


def test_a_chain_that_has_ended_is_not_taken() -> None:
    assert taking(med("metformin", start=700, end=10, status="ended"))["metformin_duration"].value == point(0)


def test_an_unknown_start_leaves_the_duration_unknown() -> None:
    fact = taking(med("metformin", start=None))["metformin_duration"]
    assert why(fact) == "unstated"
    assert fact.evidence


def test_the_longest_known_duration_counts_beside_an_unknown_one() -> None:
    table = taking(med("proton-pump-inhibitor", start=None), med("h2-receptor-antagonist", start=400))
    assert table["acid_suppressant_duration"].value == point(400)


def test_the_highest_daily_dose_counts_and_an_unknown_one_is_left_out() -> None:
    uses = [med("cyanocobalamin", daily=100), med("mecobalamin", daily=500), med("hydroxocobalamin")]
    fact = taking(*uses)["b12_swallowed_or_nasal_dose"]
    assert fact.value == point(500)
    assert fact.evidence == (uses[1],)


def test_a_dose_that_is_not_stated_is_unknown_and_not_zero() -> None:
    table = taking(med("cyanocobalamin"))
    assert why(table["b12_swallowed_or_nasal_dose"]) == "unstated"
    assert table["takes_b12_of_unknown_dose"].value is True


def test_a_product_that_is_not_taken_has_the_dose_zero() -> None:
    table = taking()
    assert table["b12_swallowed_or_nasal_dose"].value == point(0)
    assert table["takes_b12_of_unknown_dose"].value is False


def test_the_dose_in_a_list_that_was_not_read_is_unknown() -> None:
    table = taking(unread=["medication-statements"])
    assert why(table["b12_swallowed_or_nasal_dose"]) == "unread"
    assert why(table["metformin_duration"]) == "unread"


def test_a_range_of_doses_stays_a_range() -> None:
    use = med("cyanocobalamin", daily_dose=Interval(250, 1000))
    assert taking(use)["b12_swallowed_or_nasal_dose"].value == Interval(250, 1000)


def test_a_single_dose_counts_as_the_dose_of_its_day() -> None:
    order = draft("phytomenadione", single_dose=True, dose=point(2000), route="oral")
    assert ordering(order)["selected_k1_dose"].value == point(2000)


@pytest.mark.parametrize(("days", "counts"), [(120, True), (121, False)])
def test_an_injection_counts_for_120_days_after_its_last_day(days: int, counts: bool) -> None:
    use = med("hydroxocobalamin", start=400, end=days, status="ended", route="im")
    assert taking(use)["parenteral_b12"].value is counts


def test_an_ended_injection_without_any_date_does_not_count() -> None:
    assert taking(med("hydroxocobalamin", start=None, status="ended", route="im"))["parenteral_b12"].value is False


def test_the_route_decides_where_it_is_asked_for() -> None:
    assert taking(med("hydroxocobalamin", route="oral"))["parenteral_b12"].value is False


def test_an_ended_course_that_begins_tomorrow_was_not_given() -> None:
    use = med("hydroxocobalamin", start=-1, end=-5, status="ended", route="im")
    assert taking(use)["parenteral_b12"].value is False
