"""The chart of the page: what stands in it, in which words, and that nothing is left out silently."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from cds_service.fhir.read import observation
from cds_service.gaps import Gap, GapKind
from cds_service.hooks.prefetch import needs_of_all, prefetch_for
from cds_service.present.chart.chart import EXPOSURES, ChartExtras, chart
from cds_service.present.chart.series import TRENDS, as_written, flag_of, own_range
from cds_service.present.chart.texts import chart_say
from cds_service.quantity import Interval, point
from cds_service.record import InrGoal, LabResult, Patient, PatientRecord, PendingTest, Unmatched
from cds_service.texts import Texts
from tests.support.kb import NOW, ago, facts, knowledge, lab, med, problem, record

Json = dict[str, Any]


def charted(patient: PatientRecord, language: str = "en", **beside: Any) -> Json:
    made = chart(knowledge(), facts(patient), ChartExtras(**beside), language)
    return msgspec.json.decode(msgspec.json.encode(made), type=dict)


def curve(patient: PatientRecord, analyte: str) -> Json:
    found: Json
    (found,) = [one for one in charted(patient)["series"] if one["analyte"] == analyte]
    return found


def b12(value: float, days: int | None = 1, **more: Any) -> LabResult:
    return lab("serum-vitamin-b12", value, days, **({"reported": f"{value:g} pg/mL"} | more))


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("147 pmol/L", (None, 147.0, "pmol/L")),
        ("<150 pg/mL", ("<", 150.0, "pg/mL")),
        (">=2000 pg/mL", (">=", 2000.0, "pg/mL")),
        ("0.4 umol/L", (None, 0.4, "µmol/L")),
        ("2.3", (None, 2.3, "")),
        ("haemolysed", (None, None, "")),
        ("", (None, None, "")),
    ],
)
def test_a_result_is_shown_as_the_laboratory_wrote_it(reported: str, expected: tuple[Any, ...]) -> None:
    assert as_written(lab("serum-vitamin-b12", 100, reported=reported)) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("200–900 pg/mL", (200.0, 900.0)),
        ("200 - 900", (200.0, 900.0)),
        ("≤15 pg/mL", (None, 15.0)),
        ("≥200 pg/mL", (200.0, None)),
        ("> 3.5", (3.5, None)),
        ("145–637 pmol/L", (None, None)),
        ("negative", (None, None)),
        (None, (None, None)),
    ],
)
def test_a_range_counts_only_in_the_unit_of_its_result(
    written: str | None, expected: tuple[float | None, float | None]
) -> None:
    assert own_range(b12(300, lab_range=written), knowledge()) == expected


def test_two_spellings_of_one_unit_are_one_unit() -> None:
    assert own_range(b12(300, reported="300 PG/ML", lab_range="200–900 pg/ml"), knowledge()) == (200.0, 900.0)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"flag": "LL"}, "low"),
        ({"flag": "H"}, "high"),
        ({"flag": "N", "lab_low": 400.0, "lab_high": 900.0}, None),
        ({"lab_low": 400.0, "lab_high": 900.0}, "low"),
        ({"lab_low": 100.0, "lab_high": 250.0}, "high"),
        ({"lab_low": 200.0, "lab_high": 900.0}, None),
        ({}, None),
    ],
)
def test_the_flag_is_the_laboratorys_own_and_else_what_its_range_says(more: Json, expected: str | None) -> None:
    assert flag_of(b12(300, **more)) == expected


def test_a_result_above_the_limit_of_the_assay_is_not_flagged_low_by_its_range() -> None:
    above = lab("serum-vitamin-b12", Interval(100, float("inf")), reported=">100 pg/mL", lab_low=200.0)
    assert flag_of(above) is None


def test_results_stand_newest_first_and_undated_ones_last() -> None:
    rows = charted(record(labs=[b12(300, 5), lab("inr", 2.1, 1), b12(280, None)]))["results"]
    assert [row["date"] for row in rows] == [ago(1).isoformat(), ago(5).isoformat(), None]


def test_a_result_that_cannot_be_used_is_there_and_says_why_in_both_languages() -> None:
    patient = record(labs=[b12(300), lab("serum-vitamin-b12", None, reported="300", unusable="no unit")])
    assert [row["unusable"] for row in charted(patient)["results"]] == [None, "no unit"]
    assert [row["unusable"] for row in charted(patient, "zh")["results"]] == [None, "无单位"]


def test_a_result_of_tomorrow_is_shown_as_unusable_and_not_drawn() -> None:
    made = charted(record(labs=[b12(300, -1)]))
    assert made["results"][0]["unusable"] == "dated in the future"
    assert made["series"] == []


def test_every_reason_of_the_reader_has_words_in_both_languages() -> None:
    """The reader's reasons are plain strings in its source; a new one must not reach a reader untranslated."""
    source = inspect.getsource(observation._value) + inspect.getsource(observation._multiplier)
    reasons = set(re.findall(r'(?:None, |return |else )"([a-z ]{4,})"', source)) | {"no date"}
    reasons |= {"unit code and unit text contradict each other", "unit never used for this analyte"}
    assert len(reasons) == 10
    assert [reason for reason in reasons if not Texts("reasons").has(reason)] == []


def test_all_words_of_the_chart_are_there_twice_and_differ() -> None:
    assert all(text["en"] != text["zh"] for text in Texts("chart").by_key().values())


def test_a_value_in_another_unit_is_told_as_the_rules_compare_it() -> None:
    (row,) = charted(record(labs=[b12(200.6, reported="148 pmol/L")]))["results"]
    assert (row["value"], row["unit"], row["converted"]) == (148.0, "pmol/L", "200.6 pg/mL")
    assert "converted" not in charted(record(labs=[b12(200)]))["results"][0]


def test_an_inr_has_no_unit() -> None:
    (row,) = charted(record(labs=[lab("inr", 2.3, reported="2.3 {INR}")]))["results"]
    assert (row["analyte"], row["reported"], row["unit"]) == ("inr", "2.3", "")


# --- curves -----------------------------------------------------------------------------------------------------------


def test_only_analytes_with_a_point_have_a_curve_and_they_stand_in_their_order() -> None:
    patient = record(labs=[lab("inr", 2.3), b12(150), lab("mcv", None, unusable="no unit")])
    assert [one["analyte"] for one in charted(patient)["series"]] == ["b12", "inr"]


def test_the_points_are_in_the_unit_of_the_rules_oldest_first() -> None:
    patient = record(labs=[b12(147 * 1.35537, 1, reported="147 pmol/L"), b12(300, 9)])
    points = curve(patient, "b12")["points"]
    assert [point["date"] for point in points] == [ago(9).isoformat(), ago(1).isoformat()]
    assert points[1]["value"] == pytest.approx(199.24, abs=0.01)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (point(150.0), (150.0, None)),
        (Interval(0, 150, high_open=True), (150.0, "<")),
        (Interval(0, 150), (150.0, "<=")),
        (Interval(2000, float("inf")), (2000.0, ">=")),
        (Interval(2000, float("inf"), low_open=True), (2000.0, ">")),
    ],
)
def test_a_result_beyond_the_assay_is_drawn_at_its_limit_with_its_sign(
    interval: Interval, expected: tuple[float, str | None]
) -> None:
    (drawn,) = curve(record(labs=[lab("serum-vitamin-b12", interval)]), "b12")["points"]
    assert (drawn["value"], drawn["comparator"]) == expected


def test_units_to_switch_to_come_with_factors_from_the_first() -> None:
    units = {unit["unit"]: unit["factor"] for unit in curve(record(labs=[b12(150)]), "b12")["units"]}
    assert units == {"pg/mL": 1.0, "pmol/L": pytest.approx(0.7378, abs=1e-4)}
    haemoglobin = curve(record(labs=[lab("haemoglobin", 120, reported="120 g/L")]), "haemoglobin")
    assert haemoglobin["units"][1] == {"unit": "g/dL", "factor": 0.1}


def test_the_band_is_the_newest_range_of_the_laboratory_in_the_unit_of_the_curve() -> None:
    newest = b12(200, 1, reported="147.56 pmol/L", lab_range="145–637 pmol/L")
    band = curve(record(labs=[newest, b12(300, 9, lab_range="200–900")]), "b12")["band"]
    assert (round(band["low"]), round(band["high"])) == (197, 863)


def test_without_a_range_there_is_no_band() -> None:
    assert curve(record(labs=[b12(300)]), "b12")["band"] is None


def test_the_band_of_an_inr_is_the_patients_own_target_if_there_is_one() -> None:
    usual = curve(record(labs=[lab("inr", 2.3)]), "inr")["band"]
    own = curve(record(labs=[lab("inr", 2.3)], inr_goal=InrGoal(2.5, 3.5, "Goal/1")), "inr")["band"]
    assert usual == {"low": 2.0, "high": 3.0, "label": "usual target range"}
    assert own == {"low": 2.5, "high": 3.5, "label": "the patient's own target"}


def test_the_limits_are_those_of_the_rules_with_label_source_and_rules() -> None:
    limits = {limit["name"]: limit for limit in curve(record(labs=[b12(150)]), "b12")["limits"]}
    low = limits["b12_low"]
    assert (low["value"], low["statements"]) == (200.0, ["S0-25"])
    assert low["label"]
    assert low["source"]
    assert "b12-low" in low["rules"]
    assert "b12_max_age" not in limits
    assert [limit["value"] for limit in limits.values()] == sorted(limit["value"] for limit in limits.values())


@pytest.mark.parametrize(
    ("sex", "shown", "hidden"),
    [
        ("male", "haemoglobin_low_men", "haemoglobin_low_women"),
        ("female", "haemoglobin_low_women", "haemoglobin_low_men"),
    ],
)
def test_the_limit_of_the_other_sex_is_not_drawn(sex: str, shown: str, hidden: str) -> None:
    patient = msgspec.structs.replace(
        record(labs=[lab("haemoglobin", 110, reported="110 g/L")]), patient=Patient("p1", sex=sex)
    )
    names = {limit["name"] for limit in curve(patient, "haemoglobin")["limits"]}
    assert shown in names
    assert hidden not in names


def test_a_limit_that_a_rule_uses_by_a_named_condition_is_drawn() -> None:
    limits = curve(record(labs=[lab("haemoglobin", 110, reported="110 g/L")]), "haemoglobin")["limits"]
    assert "haemoglobin_severe" in {limit["name"] for limit in limits}


# --- medicines and problems -------------------------------------------------------------------------------------------


def test_a_medicine_has_dates_dose_and_route_in_words() -> None:
    patient = record(medications=(med("menaquinone-7", start=60, daily=90, route="oral"),))
    (row,) = charted(patient)["medicines"]
    assert (row["start"], row["end"], row["ongoing"]) == (ago(60).isoformat(), None, True)
    assert (row["dose"], row["route"], row["kind"]) == ("90 µg a day", "by mouth", "list")
    (row,) = charted(patient, "zh")["medicines"]
    assert (row["dose"], row["route"]) == ("每日90 µg", "口服")


def test_a_single_dose_is_called_so() -> None:
    use = med("phytomenadione", single_dose=True, dose=point(5000.0))
    assert charted(record(medications=(use,)))["medicines"][0]["dose"] == "5 mg once"


def test_a_dose_that_is_not_known_says_why() -> None:
    silent, vague = med("vitamin-d3-k2", start=5), med("vitamin-d3-k2", start=9, reported_dose="1 capsule a day")
    rows = charted(record(medications=(silent, vague)))["medicines"]
    assert [row["dose"] for row in rows] == [None, None]
    assert rows[0]["doseUnknown"] == "no dose is stated"
    assert rows[1]["doseUnknown"].endswith("as written: 1 capsule a day")


@pytest.mark.parametrize("route", ["oral", "sublingual", "nasal", "im", "sc", "iv", "parenteral", "topical"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_route_has_words(route: str, language: str) -> None:
    patient = record(medications=(med("cyanocobalamin", route=route),))
    assert charted(patient, language)["medicines"][0]["route"] not in (None, route)


@pytest.mark.parametrize(
    ("status", "state"), [("active", "ongoing"), ("held", "held"), ("unclear", "unclear"), ("ended", "ended")]
)
def test_a_medicine_on_hold_or_without_a_status_is_not_said_to_have_ended(status: str, state: str) -> None:
    (row,) = charted(record(medications=(med("metformin", start=400, status=status),)))["medicines"]
    assert row["state"] == state


def test_an_ended_medicine_is_not_ongoing_and_is_still_an_exposure() -> None:
    ended = med("metformin", start=400, end=30, status="ended")
    made = charted(record(medications=(ended, med("proton-pump-inhibitor"))))
    assert [(one["group"], one["ongoing"]) for one in made["exposures"]] == [
        ("metformin", False),
        ("acid suppressant", True),
    ]


def test_every_exposure_and_curve_is_a_value_set_of_the_knowledge_that_is_asked_for() -> None:
    known = knowledge().terminology.value_sets
    for concepts in EXPOSURES.values():
        assert all(known[concept].kind == "medication" for concept in concepts)
    (labs,) = [need for need in needs_of_all(knowledge()) if need.key == "labs"]
    for concept, _ in TRENDS.values():
        preferred = known[concept].preferred
        assert preferred is not None
        assert f"{preferred.system}|{preferred.code}" in labs.template


@pytest.mark.parametrize(
    ("group", "product"),
    [
        ("metformin", "metformin"),
        ("acid suppressant", "proton-pump-inhibitor"),
        ("b12", "cyanocobalamin"),
        ("vitamin K", "phytomenadione"),
    ],
)
def test_a_product_that_a_rule_counts_with_a_group_is_drawn_with_it(group: str, product: str) -> None:
    counted = [set(fact.medication) for fact in knowledge().facts.values() if fact.medication]
    together = [concepts for concepts in counted if product in concepts]
    assert together
    assert set().union(*together) <= EXPOSURES[group]


def test_what_all_services_need_is_what_each_of_them_needs() -> None:
    whole = {need.key: need for need in needs_of_all(knowledge())}
    for service in knowledge().services.values():
        for need in prefetch_for(knowledge(), service):
            codes = set(re.findall(r"\|([^,&]+)", need.template))
            assert codes <= set(re.findall(r"\|([^,&]+)", whole[need.key].template))


def test_problems_tell_since_when_and_until_when_and_whose_they_are() -> None:
    mine = problem("pernicious-anaemia", since=ago(900), current=False)
    patient = record(problems=(mine,), family=(problem("pernicious-anaemia", reference="FamilyMemberHistory/1"),))
    rows = charted(patient, ended={"Condition/pernicious-anaemia": ago(3)})["problems"]
    assert [(row["status"], row["since"], row["until"]) for row in rows] == [
        ("past", ago(900).isoformat(), ago(3).isoformat()),
        ("family", None, None),
    ]


def test_an_entry_without_an_id_has_no_reference_to_lead_to() -> None:
    rows = charted(record(problems=(problem("pernicious-anaemia", reference="urn:uuid:1"),)))["problems"]
    assert rows[0]["ref"] is None


def test_text_of_the_record_is_one_line_without_hidden_signs() -> None:
    use = med("metformin", product="Met\u202eformin\n\u200b 500 mg")
    assert charted(record(medications=(use,)))["medicines"][0]["text"] == "Metformin 500 mg"


# --- what could not be read -------------------------------------------------------------------------------------------


def test_lists_that_could_not_be_read_are_told_in_both_languages() -> None:
    patient = record(unread=["conditions"], incomplete=["observations"])
    assert charted(patient)["notes"] == [
        "Problems and diagnoses could not be read: HTTP 401",
        "Laboratory results are not complete: page 2: HTTP 500",
    ]
    assert charted(patient, "zh")["notes"][0] == "问题与诊断未能读取：HTTP 401"


def test_a_note_names_the_cause_of_a_failed_fetch_and_not_the_fetch() -> None:
    gap = Gap(GapKind.FETCH_FAILED, cause=Gap(GapKind.TIMED_OUT))
    patient = msgspec.structs.replace(record(), unread={"conditions": (gap,)})
    assert charted(patient)["notes"] == ["Problems and diagnoses could not be read: timed out"]
    assert charted(patient, "zh")["notes"] == ["问题与诊断未能读取：超时"]


def test_entries_that_no_rule_asks_about_are_counted() -> None:
    patient = record(unmatched=(Unmatched("Observation", (), "ferritin", 3), Unmatched("Condition", (), "gout", 1)))
    assert charted(patient)["notes"] == [chart_say("unnamed", "en", number=4)]


def test_tests_that_are_under_way_are_there() -> None:
    pending = PendingTest(frozenset({"methylmalonic-acid"}), "ServiceRequest/7", ago(2))
    (row,) = charted(record(pending=(pending,)))["pending"]
    assert (row["ref"], row["since"], row["kind"]) == ("ServiceRequest/7", ago(2).isoformat(), "order")
    assert row["text"].startswith("Methylmalonic acid")


def test_the_chart_of_a_later_day_has_an_older_patient() -> None:
    patient = record()
    later = chart(knowledge(), facts(patient, NOW + timedelta(days=60)), ChartExtras(name="Ada"), "en")
    assert (charted(patient)["patient"]["age"], later["patient"]["age"]) == (76, 77)
    assert later["patient"]["name"] == "Ada"
