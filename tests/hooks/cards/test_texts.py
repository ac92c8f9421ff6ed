"""Words: dates, numbers, units and facts as a clinician reads them, in English and Chinese, safe in Markdown."""

from __future__ import annotations

from datetime import date
from math import inf
from typing import Any

import pytest

from cds_service.facts.fact import Evidence, Fact, Missing
from cds_service.hooks.cards.texts import Wording, clean, day, escaped, number, quantity
from cds_service.quantity import Interval, point
from cds_service.record import InrGoal, Patient, PendingTest
from tests.support.kb import TODAY, ago, facts, knowledge, lab, med, problem, record

B12 = "serum-vitamin-b12"


def worded(language: str) -> Wording:
    return Wording(knowledge(), language, TODAY)


def evidence(item: Evidence, language: str = "en", **more: Any) -> str:
    return worded(language).evidence(item, **more)


@pytest.mark.parametrize(("language", "text"), [("en", "5 Jan 2026"), ("zh", "2026年1月5日")])
def test_a_date_is_written_as_the_language_writes_it(language: str, text: str) -> None:
    assert day(date(2026, 1, 5), language) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (182.0, "182"),
        (0.4, "0.4"),
        (199.1537, "199.2"),
        (0.27130, "0.2713"),
        (1355.37, "1,355"),
        (60_000.0, "60,000"),
        (0.0, "0"),
    ],
)
def test_a_number_has_four_significant_digits_at_most_and_whole_ones_stay_whole(value: float, text: str) -> None:
    assert [number(value, language) for language in ("en", "zh")] == [text, text]


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (point(182), "182 pg/mL"),
        (Interval(0, 150, high_open=True), "<150 pg/mL"),
        (Interval(0, 150), "0–150 pg/mL"),
        (Interval(2000, inf), "≥2,000 pg/mL"),
        (Interval(2000, inf, low_open=True), ">2,000 pg/mL"),
        (Interval(50, 100), "50–100 pg/mL"),
    ],
)
def test_an_interval_is_written_with_its_sign(interval: Interval, text: str) -> None:
    assert quantity(interval, "pg/mL", "en") == text


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (999.0, "ug", "999 µg", "999 µg"),
        (1000.0, "ug", "1 mg", "1 mg"),
        (45_000.0, "ug", "45 mg", "45 mg"),
        (15.0, "umol/L", "15 µmol/L", "15 µmol/L"),
        (60.0, "mL/min/{1.73_m2}", "60 mL/min/1.73 m²", "60 mL/min/1.73 m²"),
        (2.5, "1", "2.5", "2.5"),
        (90.0, "d", "90 days", "90 天"),
        (72.0, "h", "72 hours", "72 小时"),
        (60.0, "a", "60 years", "60 岁"),
    ],
)
def test_units_are_written_as_people_write_them(value: float, unit: str, english: str, chinese: str) -> None:
    assert [quantity(point(value), unit, language) for language in ("en", "zh")] == [english, chinese]


@pytest.mark.row("TOK-03")
@pytest.mark.parametrize(
    ("language", "text"), [("en", " 150 pg/mL on 10 Nov 2026"), ("zh", " 150 pg/mL，2026年11月10日")]
)
def test_a_result_shows_what_the_laboratory_wrote_and_its_day(language: str, text: str) -> None:
    result = lab(B12, 150, 10, reported="150 pg/mL")
    title = knowledge().terminology.value_sets[B12].title[language]
    assert evidence(result, language) == title + text
    assert evidence(result, language, labelled=False) == text.strip()


@pytest.mark.parametrize(("language", "text"), [("en", " = 199.2 pg/mL on"), ("zh", "，即199.2 pg/mL，")])
def test_a_result_in_another_unit_shows_the_canonical_value_too(language: str, text: str) -> None:
    result = lab(B12, 199.2, 10, reported="147 pmol/L")
    shown = evidence(result, language, labelled=False)
    assert shown.startswith("147 pmol/L" + text)


@pytest.mark.parametrize("reported", ["150 pg/mL", "150 PG/ML", "<150 pg/ml"])
def test_a_result_in_the_canonical_unit_is_not_said_twice(reported: str) -> None:
    assert "=" not in evidence(lab(B12, 150, 10, reported=reported))


@pytest.mark.parametrize("reported", ["15 µmol/L", "15 μmol/L", "15 umol/L"])
def test_either_micro_sign_is_the_canonical_unit(reported: str) -> None:
    assert "=" not in evidence(lab("homocysteine", 15, 10, reported=reported))


def test_a_ratio_is_written_without_a_unit() -> None:
    assert evidence(lab("inr", 2.5, 10, reported="2.5 {INR}"), labelled=False) == "2.5 on 10 Nov 2026"


def test_an_unusable_result_is_written_as_reported() -> None:
    assert evidence(lab(B12, None, None, reported="147"), labelled=False) == "147"


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", ", flagged L (laboratory range 180–900)"), ("zh", "，标记L（实验室范围180–900）")],
)
def test_the_laboratorys_flag_and_range_are_shown(language: str, text: str) -> None:
    result = lab(B12, 210, 10, reported="210 pg/mL", flag="L", lab_range="180–900")
    assert evidence(result, language).endswith(text)


@pytest.mark.parametrize(
    ("use", "english", "chinese"),
    [
        (med("x", daily=45_000), "x, 45 mg a day since 10 Nov 2026", "x，每日45 mg，自2026年11月10日起"),
        (med("x", start=None), "x", "x"),
        (med("x", reported_dose="1 prn"), "x, 1 prn since 10 Nov 2026", "x，1 prn，自2026年11月10日起"),
        (med("x", daily=9, single_dose=True, reported_dose="9"), "x, 9 since 10 Nov 2026", "x，9，自2026年11月10日起"),
    ],
)  # fmt: skip
def test_a_product_shows_its_dose_and_start(use: Any, english: str, chinese: str) -> None:
    assert [evidence(use, language) for language in ("en", "zh")] == [english, chinese]


@pytest.mark.parametrize(
    ("item", "english", "chinese"),
    [
        (problem("x", since=ago(10)), "x since 10 Nov 2026", "x，自2026年11月10日起"),
        (PendingTest(frozenset(), "ServiceRequest/s", ago(10)), "ordered on 10 Nov 2026", "已开具，2026年11月10日"),
        (PendingTest(frozenset(), "ServiceRequest/s", None), "ordered", "已开具"),
        (InrGoal(2.5, 3.5, "Goal/g"), "target 2.5 to 3.5", "目标2.5–3.5"),
        (Patient("p1", date(1950, 1, 1)), "age 76", "年龄76岁"),
    ],
)
def test_other_evidence_has_its_words(item: Evidence, english: str, chinese: str) -> None:
    assert [evidence(item, language) for language in ("en", "zh")] == [english, chinese]


@pytest.mark.parametrize(
    ("language", "absent", "unread"), [("en", "not recorded", "not read"), ("zh", "未记录", "未能读取")]
)
def test_missing_and_not_read_are_different_words(language: str, absent: str, unread: str) -> None:
    shown = [
        worded(language).placeholder("latest_serum_b12", facts(patient))
        for patient in (record(), record(unread=["observations"]), record(incomplete=["observations"]))
    ]
    assert shown == [absent, unread, unread]


def test_an_unusable_result_counts_as_not_recorded() -> None:
    assert worded("en").placeholder("latest_serum_b12", facts(record(labs=[lab(B12, None)]))) == "not recorded"


@pytest.mark.parametrize(("language", "text"), [("en", "365 days"), ("zh", "365 天")])
def test_a_limit_is_printed_with_its_unit(language: str, text: str) -> None:
    assert worded(language).placeholder("b12_low", facts(record())) == "200 pg/mL"
    assert worded(language).placeholder("b12_max_age", facts(record())) == text


def test_a_fact_without_evidence_prints_its_value() -> None:
    words, table = worded("en"), facts(record())
    assert words.placeholder("takes_vka", table) == "no"
    assert words.placeholder("patient_is_alive", table) == "yes"
    assert words.placeholder("metformin_duration", table) == "0 days"
    assert words.fact("inr_against_target", Fact("above")) == "above"
    assert words.fact("takes_vka", Fact(None, missing=Missing("unstated", "x"))) == "not recorded"


def test_a_named_condition_prints_the_evidence_that_bears_it_each_once() -> None:
    patient = record(
        labs=[lab("mcv", 104, 10, reported="104 fL")], problems=(problem("neurological-signs", text="Ataxia"),)
    )
    shown = worded("en").placeholder("b12_sign", facts(patient))
    title = knowledge().terminology.value_sets["mcv"].title["en"]
    assert shown == f"Ataxia; {title} 104 fL on 10 Nov 2026"


def test_several_products_are_parted_as_the_language_parts_them() -> None:
    patient = record(medications=(med("menaquinone-7", start=None), med("phytomenadione", start=None)))
    assert worded("en").placeholder("takes_vitamin_k", facts(patient)) == "menaquinone-7; phytomenadione"
    assert worded("zh").placeholder("takes_vitamin_k", facts(patient)) == "menaquinone-7；phytomenadione"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "phytomenadione, 60 µg a day; multivitamin-with-vitamin-k, 80 µg a day; together 140 µg a day"),
        ("zh", "phytomenadione，每日60 µg；multivitamin-with-vitamin-k，每日80 µg；合计每日140 µg"),
    ],
)
def test_a_sum_is_written_behind_each_of_its_parts(language: str, text: str) -> None:
    parts = (("phytomenadione", 60), ("multivitamin-with-vitamin-k", 80))
    patient = record(medications=tuple(med(name, start=None, daily=dose) for name, dose in parts))
    assert worded(language).placeholder("active_k1_together", facts(patient)) == text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "**bold**",
        "`code`",
        "a|b",
        "# head",
        "![i](x)",
        "~~x~~",
        "a_b_c",
    ],
)
def test_text_of_a_record_is_never_markup(text: str) -> None:
    shown = escaped(text)
    assert "<" not in shown
    for sign in "*_`[]#|~!":
        assert shown.count(sign) == shown.count("\\" + sign)


@pytest.mark.parametrize("text", ["https://evil.example", "www.evil.example", "a@evil.example"])
def test_an_address_in_a_record_is_no_link(text: str) -> None:
    assert "\u200b" in escaped(text)
    assert not any(bare in escaped(text) for bare in ("://e", "www.e", "@e"))


def test_text_of_a_record_is_one_plain_line_of_bounded_length() -> None:
    assert clean("a\n b\t\u202ec\x00d") == "a b cd"
    assert len(clean("x" * 500)) == 160
    assert clean("x" * 500).endswith("…")
