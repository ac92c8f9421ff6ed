"""Facts of the B12 rules: replacement and its course, windows around its start, anaemia by sex, prophylaxis."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cds_service.artifacts.integrity import check_links
from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.coding import SYSTEMS, Coding
from cds_service.errors import KnowledgeError
from cds_service.facts.fact import Fact, FactTable
from cds_service.quantity import Interval, point
from cds_service.record import LabResult, MedicationUse, Patient, PendingTest
from tests.support.kb import ago, draft, facts, knowledge, knowledge_with, lab, med, problem, record, rule

B12, IM, ENOXAPARIN = "cyanocobalamin", "hydroxocobalamin", "heparin-or-parenteral-anticoagulant"
SERUM = "serum-vitamin-b12"
ENOXAPARIN_CODE = Coding(SYSTEMS["rxnorm"], "854235")
HEPARIN_CODE, HEPARIN_CLASS = Coding(SYSTEMS["rxnorm"], "5224"), Coding(SYSTEMS["atc"], "B01AB")


def why(fact: Fact) -> str:
    assert fact.value is None
    assert fact.missing is not None
    return fact.missing.kind


def treated(*uses: MedicationUse, labs: tuple[LabResult, ...] = (), **more: Any) -> FactTable:
    return facts(record(medications=uses, labs=labs, **more))


def tablets(start: int | None = 100, daily: float | None = 1000, **more: Any) -> MedicationUse:
    return med(B12, start=start, daily=daily, route="oral", **more)


def injected(start: int, end: int | None = None, **more: Any) -> MedicationUse:
    return med(IM, start=start, end=end, route="im", dose=point(1000), **more)


# Replacement and its course


@pytest.mark.parametrize(("daily", "days"), [(499, 0), (500, 100), (501, 100)])
def test_a_course_needs_a_sufficient_dose(daily: float, days: int) -> None:
    assert treated(tablets(daily=daily))["b12_course"].value == point(days)


def test_a_dose_that_is_not_stated_leaves_open_whether_there_is_a_course() -> None:
    table = treated(tablets(daily=None))
    assert (table["b12_course"].value, table["takes_b12_therapy"].value) == (None, None)
    [use] = table["takes_b12_therapy"].evidence
    assert isinstance(use, MedicationUse)
    assert use.product == B12


def test_a_course_has_the_day_of_its_first_start() -> None:
    fact = treated(tablets(40), injected(80, 66, status="ended"))["b12_course"]
    assert (fact.value, fact.on) == (point(80), ago(80))


@pytest.mark.parametrize(("end", "days"), [(130, 150), (131, 40)])
def test_a_course_bridges_a_gap_of_ninety_days_and_no_more(end: int, days: int) -> None:
    assert treated(tablets(40), tablets(150, end=end, status="ended"))["b12_course"].value == point(days)


def test_a_small_dose_before_is_no_part_of_the_course() -> None:
    assert treated(tablets(40), tablets(700, 50, end=41, status="ended"))["b12_course"].value == point(40)


def test_another_vitamin_before_is_no_part_of_the_course() -> None:
    complex_ = med("b12-combination", start=700, end=41, status="ended")
    assert treated(tablets(40), complex_)["b12_course"].value == point(40)


@pytest.mark.parametrize(("ended", "days"), [(120, 200), (121, 0)])
def test_an_injection_counts_for_as_long_as_its_effect_may_last(ended: int, days: int) -> None:
    assert treated(injected(200, ended, status="ended"))["b12_course"].value == point(days)


def test_tablets_that_were_stopped_are_no_course_however_lately() -> None:
    assert treated(tablets(200, end=1, status="ended"))["b12_course"].value == point(0)


def test_a_course_without_a_start_is_of_unknown_length() -> None:
    assert why(treated(tablets(None))["b12_course"]) == "unstated"


def test_no_course_on_a_list_that_was_not_read_is_not_known() -> None:
    assert why(treated(unread=["medication-statements"])["b12_course"]) == "unread"


def test_the_course_and_the_plain_fact_agree_on_what_replacement_is() -> None:
    for uses in (
        (),
        (tablets(daily=499),),
        (tablets(),),
        (injected(200, 120, status="ended"),),
    ):
        table = treated(*uses)
        length = table["b12_course"].value
        assert isinstance(length, Interval)
        assert table["takes_b12_therapy"].value is (length.low > 0)


# Windows around the start


@pytest.mark.parametrize(("days", "tested"), [(73, False), (72, True), (71, True)])
def test_a_result_on_treatment_is_dated_from_day_28_on(days: int, tested: bool) -> None:
    table = treated(tablets(100), labs=(lab(SERUM, 300, days),))
    assert table["b12_tested_on_treatment"].value is tested
    assert (table["b12_on_treatment"].value == point(300)) is tested


def test_a_result_on_treatment_may_also_be_too_old() -> None:
    labs = (lab(SERUM, 300, 366),)
    table = treated(tablets(700), labs=labs)
    assert table["b12_tested_on_treatment"].value is True
    assert why(table["b12_on_treatment"]) == "absent"


@pytest.mark.parametrize(("days", "known"), [(281, False), (280, True), (100, True), (72, True), (71, False)])
def test_the_b12_of_the_start_lies_between_180_days_before_and_28_days_after(days: int, known: bool) -> None:
    fact = treated(tablets(100), labs=(lab(SERUM, 150, days),))["b12_at_start"]
    assert (fact.value == point(150)) is known


@pytest.mark.parametrize(("days", "known"), [(280, True), (93, True), (92, False)])
def test_the_blood_count_of_the_start_is_that_of_its_first_week_at_the_latest(days: int, known: bool) -> None:
    fact = treated(tablets(100), labs=(lab("haemoglobin", 90, days),))["haemoglobin_at_start"]
    assert (fact.value == point(90)) is known


def test_without_a_course_there_is_nothing_on_treatment() -> None:
    table = treated(labs=(lab(SERUM, 150, 1),))
    assert table["b12_on_treatment"].value is None
    assert table["b12_tested_on_treatment"].value is False


def test_the_lowest_b12_around_the_start_counts_however_it_rose_later() -> None:
    labs = (lab(SERUM, 700, 75), lab(SERUM, 150, 101), lab(SERUM, 220, 110))
    fact = treated(tablets(100), labs=labs)["b12_at_start"]
    assert (fact.value, fact.on) == (point(150), ago(101))


def test_a_result_below_a_limit_lies_lower_than_one_above_it() -> None:
    below = lab(SERUM, Interval(0, 150, high_open=True), 101)
    assert treated(tablets(100), labs=(lab(SERUM, 180, 100), below))["b12_at_start"].value == below.value


def test_of_two_equally_low_results_the_newer_one_counts() -> None:
    labs = (lab(SERUM, 150, 100), lab(SERUM, 150, 110))
    assert treated(tablets(100), labs=labs)["b12_at_start"].on == ago(100)


def test_an_unusable_result_around_the_start_is_not_the_lowest() -> None:
    assert why(treated(tablets(100), labs=(lab(SERUM, None, 101),))["b12_at_start"]) == "unusable"


@pytest.mark.parametrize(
    "known", [lab(SERUM, 150, 105), problem("vitamin-b12-deficiency"), problem("pernicious-anaemia")]
)
def test_a_deficiency_is_documented_by_a_result_or_a_problem(known: Any) -> None:
    if isinstance(known, LabResult):
        assert treated(tablets(), labs=(known,))["deficiency_documented"].value is True
    else:
        assert treated(tablets(), problems=(known,))["deficiency_documented"].value is True


def test_on_tablets_a_blood_count_is_no_follow_up_and_on_injections_it_is() -> None:
    counted = (lab("haemoglobin", 130, 50),)
    assert treated(tablets(), labs=counted)["follow_up_missing"].value is True
    assert treated(injected(100), labs=counted)["follow_up_missing"].value is False


def test_on_injections_a_blood_count_under_way_is_a_follow_up() -> None:
    count = PendingTest(frozenset({"complete-blood-count"}), "ServiceRequest/1", ago(3))
    assert treated(injected(100), pending=(count,))["follow_up_missing"].value is False
    assert treated(tablets(), pending=(count,))["follow_up_missing"].value is True


# Anaemia


@pytest.mark.parametrize(
    ("sex", "haemoglobin", "anaemic"),
    [
        ("male", 129.9, True),
        ("male", 130, False),
        ("female", 119.9, True),
        ("female", 120, False),
        ("female", 125, False),
        ("male", 119.9, True),
        (None, 119.9, True),
        (None, 120, None),
        (None, 129.9, None),
        (None, 130, False),
        ("other", 125, None),
        ("unknown", 125, None),
    ],
)
def test_anaemia_has_a_limit_for_each_sex_and_is_unknown_between_them(
    sex: str | None, haemoglobin: float, anaemic: bool | None
) -> None:
    patient = record(labs=[lab("haemoglobin", haemoglobin)])
    assert facts(replace(patient, patient=Patient("p1", sex=sex)))["anaemia"].value is anaemic


def test_without_a_haemoglobin_there_is_no_sign_of_anaemia() -> None:
    assert facts(record())["anaemia"].value is False


def test_a_sex_without_limits_of_its_own_is_unknown() -> None:
    assert why(facts(replace(record(), patient=Patient("p1", sex="other")))["sex"]) == "absent"


def test_a_condition_on_the_sex_names_one_that_can_be() -> None:
    check_links(knowledge_with(rule("one", {"fact": "sex", "is": "female"})))
    with pytest.raises(KnowledgeError, match="sex is never 'woman'"):
        check_links(knowledge_with(rule("one", {"fact": "sex", "is": "woman"})))
    with pytest.raises(KnowledgeError, match="sex is never 'above'"):
        check_links(knowledge_with(rule("one", {"fact": "sex", "is": "above"})))


def test_a_fact_that_is_a_word_has_no_unit() -> None:
    definition = {"label": {"en": "Sex", "zh": "性别"}, "patient": "sex"}
    assert FactDefinition.model_validate(definition).type == "word"
    with pytest.raises(ValueError, match="a quantity names its unit"):
        FactDefinition.model_validate({**definition, "unit": "1"})


# Heparin for prophylaxis


@pytest.mark.parametrize(
    ("product", "code", "milligrams", "treats"),
    [
        ("Enoxaparin 40 mg", None, 40, False),
        ("Enoxaparin", None, 40.1, True),
        ("依诺肝素钠注射液", None, 40, False),
        ("ENOXAPARIN 20 mg", None, 20, False),
        ("Lovenox 40 MG/0.4ML", None, 40, False),
        ("Lovenox 60 MG/0.6ML", None, 60, True),
        ("Clexane 40 mg", None, 40, False),
        ("克赛", None, 40, False),
        ("克赛", None, 40.1, True),
        ("Syringe", ENOXAPARIN_CODE, 40, False),
        ("Lovenox 40 MG/0.4ML", HEPARIN_CODE, 40, False),
        ("Clexane 40 mg", HEPARIN_CLASS, 40, False),
        ("Heparin", HEPARIN_CLASS, 40, True),
        ("Fondaparinux 2.5 mg", None, 2.5, False),
        ("Fondaparinux", None, 5, True),
        ("磺达肝癸钠注射液", None, 2.5, False),
        ("Arixtra", HEPARIN_CLASS, 2.5, False),
        ("Dalteparin 5000 IU", None, None, True),
        ("Fragmin", None, 5, True),
        ("Innohep", None, 5, True),
        ("Fraxiparine", None, 5, True),
        ("速碧林", None, 5, True),
        ("Enoxaparin", None, None, True),
        ("Argatroban", None, 1, True),
    ],
)
def test_a_heparin_is_for_treatment_unless_its_dose_is_known_to_be_prophylaxis(
    product: str, code: Coding | None, milligrams: float | None, treats: bool
) -> None:
    daily = None if milligrams is None else milligrams * 1000
    concepts = knowledge().terminology.concepts("medication", [code] if code else [], product)
    use = replace(med(ENOXAPARIN, product=product, daily=daily), concepts=concepts)
    table = treated(use)
    assert table["takes_heparin_for_treatment"].value is treats
    assert table["takes_heparin"].value is True


@pytest.mark.parametrize(
    ("substance", "units", "more", "prophylaxis"),
    [
        ("dalteparin", 5000, {}, True),
        ("dalteparin", 5001, {}, False),
        ("tinzaparin", 4500, {}, True),
        ("tinzaparin", 4501, {}, False),
        ("enoxaparin", 4000, {}, True),
        ("enoxaparin", 4001, {}, False),
        ("enoxaparin", 4000, {"daily": 60_000}, False),
        ("unfractionated-heparin", 15_000, {"route": "sc"}, True),
        ("unfractionated-heparin", 15_001, {"route": "sc"}, False),
        ("unfractionated-heparin", 15_000, {"route": "iv"}, False),
        ("unfractionated-heparin", 15_000, {}, False),
        ("fondaparinux", 100, {}, False),
    ],
)
def test_a_dose_in_units_is_compared_in_units(
    substance: str, units: float, more: dict[str, Any], prophylaxis: bool
) -> None:
    concepts = frozenset({ENOXAPARIN, substance})
    use = med(ENOXAPARIN, concepts=concepts, daily_units=point(units), **more)
    assert treated(use)["takes_heparin_for_treatment"].value is not prophylaxis


def test_a_product_of_two_substances_must_be_prophylaxis_by_both_limits() -> None:
    both = frozenset({ENOXAPARIN, "enoxaparin", "fondaparinux"})
    assert treated(replace(med(ENOXAPARIN, daily=2500), concepts=both))["takes_heparin_for_treatment"].value is False
    assert treated(replace(med(ENOXAPARIN, daily=2501), concepts=both))["takes_heparin_for_treatment"].value is True


# Drafts


@pytest.mark.parametrize(("route", "intramuscular"), [("im", True), ("parenteral", True), ("sc", False), ("iv", False)])
def test_an_injection_of_no_stated_kind_counts_as_intramuscular(route: Any, intramuscular: bool) -> None:
    table = facts(record(orders=(draft(IM, route=route, dose=point(1000)),)))
    assert table["selects_intramuscular_b12"].value is intramuscular
    assert table["selects_injected_b12"].value is True


@pytest.mark.parametrize(
    ("how", "high"),
    [
        ({"route": "oral", "daily": 1000.0}, False),
        ({"route": "oral", "daily": 1000.1}, True),
        ({"daily": 2500.0}, True),
        # What an injection of no stated rhythm comes to in a day is not known.
        ({"route": "im", "dose": point(999)}, None),
        ({"route": "im", "dose": point(999), "single_dose": True}, False),
        ({"route": "im", "dose": point(1000)}, True),
        ({"route": "im"}, None),
        ({"route": "oral"}, None),
    ],
)
def test_a_dose_is_high_by_mouth_above_and_by_injection_from_a_milligram(
    how: dict[str, Any], high: bool | None
) -> None:
    assert facts(record(orders=(draft(B12, **how),)))["selects_high_dose_b12"].value is high


def test_a_draft_that_is_not_selected_still_covers_folic_acid() -> None:
    table = facts(record(orders=(draft("folic-acid"), draft(B12, selected=False))))
    assert (table["selects_b12"].value, table["drafts_b12"].value) == (False, True)


def test_every_b12_product_of_the_facts_is_one_that_may_be_replacement() -> None:
    alone = knowledge().facts["b12_course"].medication or []
    for concept in alone:
        assert treated(med(concept, start=30, daily=1000))["b12_course"].value == point(30), concept
