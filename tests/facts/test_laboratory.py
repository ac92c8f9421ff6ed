"""Laboratory facts: which result counts, in which window, and where an INR lies."""

from __future__ import annotations

import json
from datetime import date, timedelta
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from cds_service.facts.fact import Fact, FactTable
from cds_service.fhir.bundle import ListResult, open_resource
from cds_service.fhir.read.record import read_record
from cds_service.quantity import Interval, point
from cds_service.record import DraftOrder, InrGoal, LabResult, PendingTest
from tests.support.kb import NOW, ago, facts, knowledge, lab, problem, record

B12 = "serum-vitamin-b12"


def of(*labs: LabResult, **more: Any) -> FactTable:
    return facts(record(labs=labs, **more))


def why(fact: Fact) -> tuple[str, str]:
    assert fact.value is None
    assert fact.missing is not None
    return fact.missing.kind, fact.missing.about


@pytest.mark.parametrize(("days", "counts"), [(0, True), (365, True), (366, False)])
def test_a_b12_result_counts_for_365_days(days: int, counts: bool) -> None:
    assert (of(lab(B12, 150, days))["latest_serum_b12"].value == point(150)) is counts


def test_a_result_of_tomorrow_is_left_out() -> None:
    fact = of(lab(B12, 150, -1), lab(B12, 300, 5))["latest_serum_b12"]
    assert (fact.value, fact.on) == (point(300), ago(5))


def test_a_result_later_today_is_left_out() -> None:
    later = lab(B12, 150, 0, effective_at=NOW + timedelta(minutes=1))
    assert of(later)["latest_serum_b12"].value is None
    assert of(replace(later, effective_at=NOW))["latest_serum_b12"].value == point(150)


def test_the_newest_usable_result_wins_over_a_newer_unusable_one() -> None:
    usable = lab(B12, 150, 9)
    fact = of(lab(B12, None, 1), usable, lab(B12, 400, 20))["latest_serum_b12"]
    assert fact.value == point(150)
    assert fact.evidence == (usable,)


def test_only_unusable_results_leave_the_value_unknown_with_their_reason() -> None:
    fact = of(lab(B12, None, 1))["latest_serum_b12"]
    assert why(fact) == ("unusable", "no unit")
    assert len(fact.evidence) == 1


def test_an_unusable_result_that_is_too_old_is_no_reason() -> None:
    assert why(of(lab(B12, None, 366))["latest_serum_b12"])[0] == "absent"


def test_an_undated_result_does_not_count() -> None:
    undated = lab(B12, None, None, unusable="no date")
    assert why(of(undated)["latest_serum_b12"]) == ("unusable", "no date")


def test_no_result_in_a_list_that_was_read_is_absent_and_in_one_that_was_not_is_unread() -> None:
    assert why(of()["latest_serum_b12"])[0] == "absent"
    assert why(of(unread=["observations"])["latest_serum_b12"]) == ("unread", "observations")
    assert why(of(incomplete=["observations"])["latest_serum_b12"]) == ("incomplete", "observations")


def test_a_result_counts_also_if_a_part_of_the_list_is_missing() -> None:
    assert of(lab(B12, 150), incomplete=["observations"])["latest_serum_b12"].value == point(150)


def observation(name: str, value: float, issued: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2132-9"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-01",
        "issued": issued,
        "valueQuantity": {"value": value, "unit": "pg/mL", "system": "http://unitsofmeasure.org", "code": "pg/mL"},
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_results_of_one_day_the_one_issued_later_wins(order: tuple[int, int]) -> None:
    sent = [observation("a", 150, "2026-11-01T08:00:00Z"), observation("b", 250, "2026-11-01T09:00:00Z")]
    resources = [{"resourceType": "Patient", "id": "p1"}, *(sent[place] for place in order)]
    entries = [entry for r in resources for entry in open_resource(json.dumps(r).encode()).entries]
    read = read_record("p1", [ListResult((), entries)], knowledge().terminology, knowledge().units)
    assert facts(read)["latest_serum_b12"].value == point(250)


@pytest.mark.parametrize(("minutes", "counts"), [(0, True), (1, False)])
def test_an_inr_with_an_instant_counts_for_72_hours_to_the_minute(minutes: int, counts: bool) -> None:
    at = NOW - timedelta(hours=72, minutes=minutes)
    result = lab("inr", 5.0, effective=at.date(), effective_at=at)
    assert (of(result)["recent_inr"].value is not None) is counts


@pytest.mark.parametrize(("days", "counts"), [(3, True), (4, False)])
def test_an_inr_known_by_its_day_counts_for_three_days(days: int, counts: bool) -> None:
    assert (of(lab("inr", 5.0, days))["recent_inr"].value is not None) is counts


@pytest.mark.parametrize(("days", "tested"), [(10, True), (40, True), (41, False)])
def test_a_window_may_open_30_days_before_the_day_of_another_result(days: int, tested: bool) -> None:
    assert of(lab(B12, 250, 10), lab("methylmalonic-acid", 0.3, days))["mma_near_b12"].value is tested


def test_a_window_that_hangs_on_a_missing_result_admits_nothing() -> None:
    assert of(lab("methylmalonic-acid", 0.3, 5))["mma_near_b12"].value is False


def test_a_test_is_not_said_to_be_missing_if_the_list_was_not_read() -> None:
    assert why(of(unread=["observations"])["mma_near_b12"])[0] == "unread"


def test_an_unusable_result_does_not_count_as_tested() -> None:
    assert of(lab(B12, 250, 10), lab("methylmalonic-acid", None, 5))["mma_near_b12"].value is False


@pytest.mark.parametrize(("top", "normal"), [(0.3, True), (0.5, None)])
def test_an_mma_with_a_comparator_is_normal_where_its_whole_range_is(top: float, normal: bool | None) -> None:
    trace = lab("methylmalonic-acid", Interval(0, top, high_open=True), 5)
    assert of(lab(B12, 250, 10), trace)["mma_near_b12"].value is normal


@pytest.mark.parametrize(
    ("flag", "low"), [("L", True), ("LL", True), ("LU", True), ("<", True), ("H", False), ("N", False), (None, False)]
)
def test_the_laboratory_flags_a_result_low_with_one_of_four_codes(flag: str | None, low: bool) -> None:
    assert of(lab(B12, 210, flag=flag))["serum_b12_flagged_low"].value is low


def test_the_flag_of_an_older_result_is_not_that_of_the_latest() -> None:
    assert of(lab(B12, 210, 1), lab(B12, 190, 5, flag="L"))["serum_b12_flagged_low"].value is False


def test_a_word_of_the_laboratory_without_a_number_is_its_flag() -> None:
    assert of(lab(B12, None, flag="L"))["serum_b12_flagged_low"].value is True
    assert of(lab(B12, None))["serum_b12_flagged_low"].value is None


@pytest.mark.parametrize(
    ("more", "low"),
    [({"lab_low": 260}, True), ({"lab_low": 250}, False), ({"lab_low": 260, "flag": "N"}, False), ({}, False)],
)
def test_a_result_below_the_laboratorys_own_range_is_flagged_low_unless_it_says_otherwise(more: Any, low: bool) -> None:
    assert of(lab(B12, 250, **more))["serum_b12_flagged_low"].value is low


@pytest.mark.parametrize(
    ("inr", "word"), [(1.9, "below"), (2.0, "in_range"), (2.5, "in_range"), (3.0, "in_range"), (3.1, "above")]
)
def test_without_a_goal_the_inr_range_is_from_2_to_3_inclusive(inr: float, word: str) -> None:
    assert of(lab("inr", inr))["inr_against_target"].value == word


@pytest.mark.parametrize(("inr", "word"), [(2.4, "below"), (2.5, "in_range"), (3.5, "in_range"), (3.6, "above")])
def test_the_patients_own_goal_is_the_range(inr: float, word: str) -> None:
    goal = InrGoal(2.5, 3.5, "Goal/g1")
    fact = of(lab("inr", inr), inr_goal=goal)["inr_against_target"]
    assert fact.value == word
    assert goal in fact.evidence


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        (Interval(8, inf, low_open=True), "above"),  # >8
        (Interval(3, inf, low_open=True), "above"),  # >3
        (Interval(0, 1.1, high_open=True), "below"),  # <1.1
        (Interval(0, 2, high_open=True), "below"),  # <2
        (Interval(2.5, inf), None),
    ],
)
def test_an_inr_with_a_comparator_lies_somewhere_only_if_all_of_it_does(interval: Interval, word: str | None) -> None:
    fact = of(lab("inr", interval))["inr_against_target"]
    assert fact.value == word
    if word is None:
        assert why(fact)[0] == "unusable"


def test_an_inr_older_than_its_window_lies_nowhere() -> None:
    assert of(lab("inr", 2.5, 14))["inr_against_target"].value == "in_range"
    assert of(lab("inr", 2.5, 15))["inr_against_target"].value is None


@pytest.mark.parametrize(
    ("born", "years"),
    [(date(2008, 11, 20), 18), (date(2008, 11, 21), 17), (date(2026, 11, 20), 0), (date(2004, 2, 29), 22)],
)
def test_age_is_counted_in_completed_years(born: date, years: int) -> None:
    assert of(born=born)["age"].value == point(years)


@pytest.mark.parametrize("born", [None, date(2026, 11, 21)])
def test_a_birth_date_that_is_missing_or_has_not_come_leaves_the_age_unknown(born: date | None) -> None:
    assert why(of(born=born)["age"])[0] == "absent"


def test_a_problem_marked_inactive_counts_only_if_it_is_lifelong() -> None:
    past = of(problems=(problem("pernicious-anaemia", current=False), problem("neurological-signs", current=False)))
    assert past["pernicious_anaemia"].value is True
    assert past["neurological_signs"].value is False


def test_a_problem_of_a_month_that_is_not_over_counts() -> None:
    assert of(problems=(problem("pregnancy", since=ago(-10)),))["pregnant"].value is True


def test_a_result_of_a_month_that_is_not_over_counts_as_of_today() -> None:
    fact = of(lab(B12, 150, -10, partial_date=True))["latest_serum_b12"]
    assert (fact.value, fact.on) == (point(150), ago(0))


def test_a_problem_that_may_be_a_procedure_is_unknown_if_procedures_were_not_read() -> None:
    table = of(unread=["procedures"])
    assert why(table["gastric_bypass"]) == ("unread", "procedures")
    assert table["neurological_signs"].value is False


@pytest.mark.parametrize(("kind", "days"), [("order", 90), ("result in progress", 14)])
def test_a_pending_test_counts_for_as_long_as_its_kind_allows(kind: Any, days: int) -> None:
    def pending(age: int | None) -> object:
        since = None if age is None else ago(age)
        test = PendingTest(frozenset({"methylmalonic-acid"}), "ServiceRequest/s", since, kind)
        return of(pending=(test,))["mma_pending"].value

    assert [pending(days), pending(days + 1), pending(None)] == [True, False, False]


def test_a_test_drafted_in_this_session_is_pending_whatever_could_be_read() -> None:
    order = DraftOrder("ServiceRequest/d", selected=False, tests=frozenset({"methylmalonic-acid"}))
    assert of(orders=(order,), unread=["service-requests"])["mma_pending"].value is True
    assert why(of(orders=(), unread=["service-requests"])["mma_pending"])[0] == "unread"


def test_a_count_holds_the_true_ones_and_leaves_room_for_the_unread_ones() -> None:
    found = of(problems=(problem("crohn-disease"),), born=None)["b12_risk_count"]
    assert found.value == point(1)
    open_ = of(problems=(problem("crohn-disease"),), born=None, unread=["procedures"])["b12_risk_count"]
    assert isinstance(open_.value, Interval)
    assert open_.value.low == 1 < open_.value.high
    assert open_.missing is not None


def test_that_a_target_is_not_recorded_is_only_said_of_goals_that_were_read() -> None:
    goal = InrGoal(2.5, 3.5, "Goal/g1")
    assert of(inr_goal=goal)["inr_target_recorded"] == Fact(True, (goal,))
    assert of()["inr_target_recorded"].value is False
    unread = of(unread=["goals"])["inr_target_recorded"]
    assert unread.value is None
    assert unread.missing is not None
    assert unread.missing.unread
