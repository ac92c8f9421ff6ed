"""Facts of the vitamin K rules: changes of intake before an INR, courses, washouts and doses in the wrong unit."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.facts.fact import Fact, FactTable
from cds_service.hooks.cards.texts import Wording
from cds_service.quantity import Interval, point
from cds_service.record import InrGoal, MedicationUse
from tests.support.kb import TODAY, ago, draft, facts, knowledge, lab, med, problem, record

MK7, D3_K2, MK4, K1 = "menaquinone-7", "vitamin-d3-k2", "menatetrenone", "phytomenadione"
ANTIBIOTIC, WARFARIN, DOAC = "broad-spectrum-antibiotic", "vitamin-k-antagonist", "direct-oral-anticoagulant"
RAISED, LOWERED = "vitamin_k_raised_before_inr", "vitamin_k_lowered_before_inr"
RAISED_WITHOUT_REVERSAL = "vitamin_k_raised_before_inr_without_reversal"


def with_inr(*uses: MedicationUse, value: float = 1.5, days: int = 1, **more: Any) -> FactTable:
    return facts(record(labs=[lab("inr", value, days)], medications=uses, **more))


def why(fact: Fact) -> str:
    assert fact.value is None
    assert fact.missing is not None
    return fact.missing.kind


# Begun or increased


@pytest.mark.parametrize(("begun", "raised"), [(1, False), (2, True), (31, True), (32, False), (0, False)])
def test_a_product_is_new_from_one_to_thirty_days_before_the_inr(begun: int, raised: bool) -> None:
    assert with_inr(med(MK7, start=begun))[RAISED].value is raised


def test_the_window_hangs_on_the_inr_and_not_on_today() -> None:
    assert with_inr(med(MK7, start=40), days=12)[RAISED].value is True


def test_a_product_that_was_new_and_has_ended_since_still_counts() -> None:
    assert with_inr(med(MK7, start=10, end=3, status="ended"))[RAISED].value is True


def test_the_product_that_changed_is_the_evidence() -> None:
    new, old = med(MK7, start=5), med(D3_K2, start=400)
    assert with_inr(new, old)[RAISED].evidence == (new,)


@pytest.mark.parametrize(("before", "now", "raised"), [(50, 100, True), (100, 100, False), (100, 50, False)])
def test_a_new_entry_counts_only_with_a_higher_dose(before: float, now: float, raised: bool) -> None:
    uses = (med(MK7, start=300, end=11, status="ended", daily=before), med(MK7, start=10, daily=now))
    assert with_inr(*uses)[RAISED].value is raised


def test_a_dose_that_only_may_be_higher_is_not_raised() -> None:
    uses = (med(MK7, start=300, end=11, status="ended", daily=50), med(MK7, start=10, daily_dose=Interval(40, 60)))
    assert with_inr(*uses)[RAISED].value is False


@pytest.mark.parametrize("unstated", ["before", "now"])
def test_a_change_between_entries_of_unstated_dose_is_unknown(unstated: str) -> None:
    uses = (
        med(MK7, start=300, end=11, status="ended", daily=None if unstated == "before" else 50),
        med(MK7, start=10, daily=None if unstated == "now" else 100),
    )
    assert why(with_inr(*uses)[RAISED]) == "unstated"


def test_a_product_taken_again_after_more_than_the_gap_is_new() -> None:
    uses = (med(MK7, start=400, end=101, status="ended", daily=100), med(MK7, start=10, daily=100))
    assert with_inr(*uses)[RAISED].value is True


def test_a_product_taken_again_within_the_gap_goes_on() -> None:
    uses = (med(MK7, start=400, end=100, status="ended", daily=100), med(MK7, start=10, daily=100))
    assert with_inr(*uses)[RAISED].value is False


def test_an_entry_still_active_leads_to_the_new_one_of_the_same_dose() -> None:
    assert with_inr(med(MK7, start=400, daily=100), med(MK7, start=10, daily=100))[RAISED].value is False


@pytest.mark.parametrize(("course_days", "raised"), [(30, False), (29, True), (None, True)])
def test_an_ended_entry_without_an_end_reaches_as_far_as_its_course(course_days: int | None, raised: bool) -> None:
    before = med(MK7, start=130, status="ended", course_days=course_days, daily=100)
    assert with_inr(before, med(MK7, start=10, daily=100))[RAISED].value is raised


def test_another_product_is_new_beside_an_old_one() -> None:
    assert with_inr(med(MK7, start=400, daily=100), med(D3_K2, start=10, daily=100))[RAISED].value is True


def test_a_product_of_unknown_start_may_be_new() -> None:
    assert why(with_inr(med(MK7, start=None))[RAISED]) == "unstated"


def test_a_product_of_unknown_start_that_ended_long_ago_is_not_new() -> None:
    assert with_inr(med(MK7, start=None, end=60, status="ended"))[RAISED].value is False


def test_what_is_new_for_certain_outweighs_what_may_be() -> None:
    new = med(D3_K2, start=5)
    assert with_inr(med(MK7, start=None), new)[RAISED] == Fact(True, (new,))


def test_without_an_inr_no_change_can_be_dated() -> None:
    assert why(facts(record(medications=(med(MK7, start=5),)))[RAISED]) == "absent"


@pytest.mark.parametrize("source", ["medication-requests", "medication-statements"])
def test_no_change_in_lists_that_were_not_read_is_not_a_no(source: Any) -> None:
    assert why(with_inr(unread=[source])[RAISED]) == "unread"
    assert why(with_inr(med(MK7, start=None), unread=[source])[RAISED]) == "unread"


def test_a_change_that_was_found_stands_whatever_was_not_read() -> None:
    assert with_inr(med(MK7, start=5), unread=["medication-requests"])[RAISED].value is True


def test_vitamin_k_on_the_skin_is_no_change() -> None:
    assert with_inr(med(K1, start=5, route="topical"))[RAISED].value is False


# Reversal doses


def test_a_reversal_dose_of_any_age_is_left_out_only_where_asked() -> None:
    dose = med(K1, start=12, single_dose=True, daily=2000, status="ended")
    table = facts(record(labs=[lab("inr", 1.4, 1), lab("inr", 8.1, 12)], medications=(dose,)))
    assert (table[RAISED].value, table[RAISED_WITHOUT_REVERSAL].value) == (True, False)


@pytest.mark.parametrize(("value", "days"), [(4.4, 12), (8.1, 16)])
def test_a_dose_without_a_high_inr_in_the_three_days_before_is_no_reversal(value: float, days: int) -> None:
    dose = med(K1, start=12, single_dose=True, daily=2000, status="ended")
    table = facts(record(labs=[lab("inr", 1.4, 1), lab("inr", value, days)], medications=(dose,)))
    assert table[RAISED_WITHOUT_REVERSAL].value is True


def test_a_course_of_a_week_is_no_reversal() -> None:
    course = med(K1, start=12, course_days=7, daily=2000)
    table = facts(record(labs=[lab("inr", 1.4, 1), lab("inr", 8.1, 12)], medications=(course,)))
    assert table[RAISED_WITHOUT_REVERSAL].value is True


# Stopped or reduced


@pytest.mark.parametrize(("ended", "lowered"), [(1, False), (2, True), (31, True), (32, False)])
def test_a_product_is_stopped_from_one_to_thirty_days_before_the_inr(ended: int, lowered: bool) -> None:
    assert with_inr(med(MK7, start=400, end=ended, status="ended"), value=4.0)[LOWERED].value is lowered


def test_an_active_entry_whose_end_has_passed_is_stopped() -> None:
    assert with_inr(med(MK7, start=400, end=10))[LOWERED].value is True


@pytest.mark.parametrize(("before", "now", "lowered"), [(100, 50, True), (100, 100, False), (50, 100, False)])
def test_an_entry_that_goes_on_counts_only_with_a_lower_dose(before: float, now: float, lowered: bool) -> None:
    uses = (med(MK7, start=300, end=11, status="ended", daily=before), med(MK7, start=10, daily=now))
    assert with_inr(*uses)[LOWERED].value is lowered


def test_a_product_taken_again_only_after_the_inr_was_stopped_before_it() -> None:
    uses = (med(MK7, start=300, end=20, status="ended", daily=100), med(MK7, start=2, daily=100))
    assert with_inr(*uses, days=5)[LOWERED].value is True


def test_an_ended_product_of_unknown_end_may_have_been_stopped() -> None:
    assert why(with_inr(med(MK7, start=400, status="ended"))[LOWERED]) == "unstated"


def test_a_product_begun_after_the_inr_was_not_stopped_before_it() -> None:
    assert with_inr(med(MK7, start=2, status="ended"), days=5)[LOWERED].value is False


def test_a_product_still_taken_is_not_stopped() -> None:
    assert with_inr(med(MK7, start=400))[LOWERED].value is False


def test_a_single_dose_never_stops() -> None:
    assert with_inr(med(K1, start=10, end=10, status="ended", single_dose=True, daily=5000))[LOWERED].value is False


# Which side of the target


@pytest.mark.parametrize(
    ("value", "low", "high"), [(1.99, True, False), (2.0, False, False), (3.0, False, False), (3.01, False, True)]
)
def test_a_change_explains_an_inr_on_its_own_side_only(value: float, low: bool, high: bool) -> None:
    table = with_inr(med(MK7, start=10), med(D3_K2, start=400, end=10, status="ended"), value=value)
    assert table["low_inr_after_more_vitamin_k"].value is low
    assert table["high_inr_after_less_vitamin_k"].value is high


def test_the_target_is_the_patients_own() -> None:
    table = with_inr(med(MK7, start=10), value=2.3, inr_goal=InrGoal(2.5, 3.5, "Goal/1"))
    assert table["low_inr_after_more_vitamin_k"].value is True


# How new the antagonist is


@pytest.mark.parametrize(("ended", "known"), [(180, True), (181, False)])
def test_an_antagonist_is_remembered_for_180_days(ended: int, known: bool) -> None:
    table = facts(record(medications=(med(WARFARIN, start=700, end=ended, status="ended"),)))
    assert table["vka_in_last_180_days"].value is known


@pytest.mark.parametrize(("begun", "new"), [(0, True), (14, True), (15, False)])
def test_an_antagonist_is_new_for_14_days(begun: int, new: bool) -> None:
    assert facts(record(medications=(med(WARFARIN, start=begun),)))["vka_just_started"].value is new


# Raised clotting time


@pytest.mark.parametrize("flag", ["H", "HH", ">", "HU"])
def test_every_high_flag_counts(flag: str) -> None:
    table = facts(record(labs=[lab("prothrombin-time", 19, flag=flag)]))
    assert table["prothrombin_time_is_raised"].value is True


@pytest.mark.parametrize("flag", ["L", "N", "A", None])
def test_no_other_flag_counts_as_high(flag: str | None) -> None:
    table = facts(record(labs=[lab("prothrombin-time", 19, flag=flag)]))
    assert table["prothrombin_time_is_raised"].value is False


def test_the_flag_of_a_prothrombin_time_is_not_asked_where_an_inr_is_known() -> None:
    table = facts(record(labs=[lab("prothrombin-time", 19, flag="H"), lab("inr", 1.2)]))
    assert (table["prothrombin_time_is_raised"].value, table["inr_is_raised"].value) == (False, False)


@pytest.mark.parametrize(("start", "end", "given"), [(2, 2, True), (3, 3, False), (1, None, True), (90, None, True)])
def test_vitamin_k_is_given_since_the_inr_from_its_very_day(start: int, end: int | None, given: bool) -> None:
    use = med(K1, start=start, end=end, status="active" if end is None else "ended")
    assert with_inr(use, days=2)["vitamin_k_given_since_inr"].value is given


def test_without_an_inr_nothing_is_given_since_it() -> None:
    assert why(facts(record(medications=(med(K1),)))["vitamin_k_given_since_inr"]) == "absent"


def test_a_multivitamin_does_not_treat_a_deficiency() -> None:
    assert with_inr(med("multivitamin-with-vitamin-k"))["vitamin_k_given_since_inr"].value is False


@pytest.mark.parametrize(
    ("concept", "ended", "fact", "recent"),
    [
        (WARFARIN, 14, "recent_vka_or_heparin", True),
        (WARFARIN, 15, "recent_vka_or_heparin", False),
        ("heparin-or-parenteral-anticoagulant", 14, "recent_vka_or_heparin", True),
        (DOAC, 7, "recent_doac", True),
        (DOAC, 8, "recent_doac", False),
    ],
)
def test_an_anticoagulant_explains_the_inr_for_a_while(concept: str, ended: int, fact: str, recent: bool) -> None:
    table = facts(record(medications=(med(concept, start=300, end=ended, status="ended"),)))
    assert table[fact].value is recent


# Antibiotic courses


def course(*uses: MedicationUse) -> Fact:
    return facts(record(medications=uses))["antibiotic_course"]


@pytest.mark.parametrize(("start", "days"), [(0, 1), (6, 7), (18, 19)])
def test_a_running_course_counts_today(start: int, days: int) -> None:
    assert course(med(ANTIBIOTIC, start=start)).value == point(days)


def test_an_ended_course_counts_its_first_and_last_day() -> None:
    found = course(med(ANTIBIOTIC, start=9, end=3, status="ended"))
    assert (found.value, found.on) == (point(7), ago(9))


@pytest.mark.parametrize(("next_start", "days"), [(3, 10), (1, 10), (0, 7)])
def test_products_up_to_two_days_apart_are_one_course(next_start: int, days: int) -> None:
    first = med(ANTIBIOTIC, start=9, end=3, status="ended")
    assert course(first, med(ANTIBIOTIC, start=next_start)).value == point(days)


def test_a_stated_course_ends_by_itself() -> None:
    assert course(med(ANTIBIOTIC, start=20, course_days=5)).value == point(5)


def test_an_ended_course_of_unknown_end_counts_its_first_day_only() -> None:
    assert course(med(ANTIBIOTIC, start=10, status="ended")).value == point(1)


def test_an_order_that_runs_on_is_not_counted_beyond_today() -> None:
    assert course(med(ANTIBIOTIC, start=2, end=-10)).value == point(3)


def test_a_course_of_unknown_start_has_no_length() -> None:
    assert why(course(med(ANTIBIOTIC, start=None))) == "unstated"


def test_no_antibiotic_is_a_course_of_no_days() -> None:
    assert course().value == point(0)


@pytest.mark.parametrize(("end", "days"), [(14, 10), (15, 0)])
def test_a_course_is_recent_for_14_days(end: int, days: int) -> None:
    assert course(med(ANTIBIOTIC, start=end + 9, end=end, status="ended")).value == point(days)


# Risk factors


@pytest.mark.parametrize(
    "concept",
    [
        *("cystic-fibrosis", "coeliac-disease", "cholestasis", "gastric-bypass", "short-bowel", "malnutrition"),
        *("parenteral-nutrition", "pancreatic-insufficiency", "anorexia-nervosa"),
    ],
)
def test_each_of_these_conditions_is_a_risk_beyond_liver_and_kidney(concept: str) -> None:
    table = facts(record(problems=(problem(concept),)))
    assert table["vitamin_k_deficiency_may_be_warned_of"].value is True
    assert table["vitamin_k_deficiency_condition"].value is True


@pytest.mark.parametrize(
    "concept",
    [
        *("chronic-kidney-disease", "chronic-kidney-disease-3-to-5", "dialysis"),
        *("chronic-liver-disease", "alcohol-use-disorder"),
    ],
)
def test_liver_and_kidney_disease_and_alcohol_are_a_risk_of_their_own_kind(concept: str) -> None:
    table = facts(record(problems=(problem(concept), problem("dialysis"), problem("chronic-liver-disease"))))
    assert table["vitamin_k_deficiency_risk"].value is True
    assert table["vitamin_k_deficiency_may_be_warned_of"].value is False


@pytest.mark.parametrize(("days", "warned_of"), [(6, False), (7, True)])
def test_a_week_without_food_is_a_risk(days: int, warned_of: bool) -> None:
    table = facts(record(problems=(problem("nil-by-mouth", since=ago(days)),)))
    assert table["vitamin_k_deficiency_may_be_warned_of"].value is warned_of


@pytest.mark.parametrize(("days", "warned_of"), [(30, False), (31, True), (None, False)])
def test_acute_liver_injury_lets_no_risk_carry_a_warning(days: int | None, warned_of: bool) -> None:
    injury = problem("acute-liver-injury", since=None if days is None else ago(days))
    table = facts(record(problems=(injury, problem("malnutrition"))))
    assert table["vitamin_k_deficiency_may_be_warned_of"].value is warned_of


def test_an_antibiotic_is_a_risk_but_no_condition() -> None:
    table = facts(record(medications=(med(ANTIBIOTIC, start=10),)))
    assert table["vitamin_k_deficiency_risk"].value is True
    assert table["vitamin_k_deficiency_condition"].value is False


def test_classes_of_bone_losing_medicines_count_once_each() -> None:
    uses = (med("systemic-glucocorticoid", start=90), med("proton-pump-inhibitor", start=365), med(WARFARIN, start=365))
    table = facts(record(medications=(*uses, med("proton-pump-inhibitor", start=800))))
    assert table["bone_losing_medicine_classes"].value == point(3)


# Doses in the wrong unit


@pytest.mark.parametrize(
    ("concept", "dose", "slip"),
    [
        (MK7, 1000, True),
        (MK7, 999, False),
        (D3_K2, 2000, True),
        (D3_K2, 100, False),
        (MK4, 15, True),
        (MK4, 45, True),
        (MK4, 44, False),
        (MK4, 45000, False),
        ("vitamin-k2-unspecified", 15, False),
        ("vitamin-k2-unspecified", 15000, False),
        (K1, 10000, False),
    ],
)
@pytest.mark.parametrize("member", ["daily_dose", "dose"])
def test_a_slip_is_a_dose_a_thousand_times_off(concept: str, dose: float, slip: bool, member: str) -> None:
    members: dict[str, Any] = {member: point(dose)}
    assert facts(record(orders=(draft(concept, **members),)))["selects_k2_with_unit_slip"].value is slip


def test_a_dose_range_that_only_may_reach_the_limit_is_no_slip() -> None:
    table = facts(record(orders=(draft(MK7, daily_dose=Interval(500, 2000)),)))
    assert table["selects_k2_with_unit_slip"].value is False


def test_a_product_that_names_menatetrenone_and_d3_is_judged_as_menatetrenone() -> None:
    both = draft(D3_K2, concepts=frozenset({D3_K2, MK4}), daily_dose=point(45000))
    assert facts(record(orders=(both,)))["selects_k2_with_unit_slip"].value is False


def test_a_draft_of_unstated_dose_is_no_slip() -> None:
    assert facts(record(orders=(draft(MK7),)))["selects_k2_with_unit_slip"].value is False


@pytest.mark.parametrize(("dose", "supplement"), [(None, True), (4999, True), (5000, False)])
def test_vitamin_k2_of_unstated_form_is_a_supplement_below_the_dose_of_menatetrenone(
    dose: float | None, supplement: bool
) -> None:
    table = facts(record(orders=(draft("vitamin-k2-unspecified", daily=dose),)))
    assert table["selects_k2_supplement"].value is supplement


# In words


@pytest.mark.parametrize(
    ("language", "end", "words"),
    [
        ("en", 10, "menaquinone-7 since 16 Oct 2025, ended on 10 Nov 2026"),
        ("zh", 10, "menaquinone-7，自2025年10月16日起，止于2026年11月10日"),
        ("en", 0, "menaquinone-7 since 16 Oct 2025"),
        ("en", -5, "menaquinone-7 since 16 Oct 2025"),
    ],
)
def test_a_product_no_longer_taken_is_named_with_its_last_day(language: str, end: int, words: str) -> None:
    assert Wording(knowledge(), language, TODAY).evidence(med(MK7, start=400, end=end)) == words


# How such facts may be written


@pytest.mark.parametrize(
    "members",
    [
        {"state": "raised", "within": "vitamin_k_change_window", "take": "exists"},
        {"state": "raised", "before": "latest_inr", "take": "exists"},
        {"state": "raised", "before": "latest_inr", "within": "w", "take": "highest_dose", "unit": "ug"},
        {"state": "active", "before": "latest_inr", "take": "exists"},
        {"state": "recent", "take": "exists"},
        {"state": "recent", "take": "exists", "within": "w", "since": {"fact": "latest_inr", "days": 0}},
    ],
)
def test_a_fact_about_a_change_needs_its_date_and_its_window(members: dict[str, Any]) -> None:
    words = {"label": {"en": "Change", "zh": "变化"}, "medication": [MK7], **members}
    with pytest.raises(ValidationError, match=r"state: |before goes with"):
        FactDefinition.model_validate(words)
