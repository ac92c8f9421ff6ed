"""No figure that nobody states, no limit without its number or its note, no literature behind what is on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.artifacts.evidence import DatedValue, Threshold
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.review.attribution import misattributions
from cds_service.artifacts.review.figures import Figure, figures, limit_figure, stated
from cds_service.artifacts.review.finding import Finding
from cds_service.artifacts.text import Plain
from cds_service.languages import LANGUAGES
from tests.support.kb import knowledge, knowledge_with, rule

WHEN = {"fact": "takes_vka", "is": True}
# Statements that state figures, and one that states none.
STATING = [one for one in knowledge().statements.values() if figures(one.text.en)]
SILENT = "S4-20"


def of_line(en: str, zh: str, *cites: str) -> list[Finding]:
    """What is told of a rule whose card has this one line."""
    return of_card(detail=[{"part": "found", "en": en, "zh": zh, "cites": list(cites)}])


def of_card(**card: Any) -> list[Finding]:
    return list(misattributions(knowledge_with(rule("wrong", WHEN, source=[SILENT], card=card))))


def of_limit(base: KnowledgeBase, **changes: Any) -> list[str]:
    """What is told of the limit of a low B12, whose source states 200 pg/mL, after these changes."""
    limit = base.thresholds["b12_low"].model_copy(update=changes)
    alone = replace(base, rules={}, orders={}, thresholds={"b12_low": limit})
    return [found.what for found in misattributions(alone)]


# --- our knowledge -----------------------------------------------------------------------------------------------


def test_the_shipped_knowledge_attributes_nothing_wrongly() -> None:
    assert [str(finding) for finding in misattributions(knowledge())] == []


# --- figures of lines and summaries ------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", STATING, ids=lambda one: one.id)
def test_a_figure_is_told_unless_a_cited_statement_states_it(statement: Any) -> None:
    said = {language: statement.text.in_language(language) for language in ("en", "zh")}
    assert of_line(said["en"], said["zh"], statement.id) == []
    told = [found.what for found in of_line(said["en"], said["zh"], SILENT)]
    for figure in {one.written for text in said.values() for one in figures(text)}:
        assert any(one.startswith(f"`{figure}` in the line ") for one in told), figure


@pytest.mark.parametrize(
    ("en", "zh", "cites", "told"),
    [
        ("Give 10 mg by mouth.", "口服10 mg。", ["G35"], []),
        ("Give 100 mg by mouth.", "口服10 mg。", ["G35"], ["100 mg"]),
        ("Give 10 mg by mouth.", "口服10 µg。", ["G35"], ["10 µg"]),
        ("Give 10 mg by mouth.", "口服10 mg。", [], ["10 mg", "10 mg"]),
        ("Give 10000 µg by mouth.", "口服10000 µg。", ["G35"], []),
        ("Check within 48 hours.", "两天内复查。", ["G10"], []),
        ("Check in the third week.", "第三周复查。", ["G10"], ["third week", "三周"]),
        ("A review of 2016.", "2016年综述。", ["G24"], []),
        ("A review of 2017.", "2017年综述。", ["G24"], ["2017", "2017年"]),
        ("K1 and MK-7 in two doses, B12 by two routes.", "K1与MK-7分两次，B12两种途径。", [], []),
        ("Below {b12_low}.", "低于{b12_low}。", [], []),
    ],
)
def test_a_figure_of_a_line_is_measured_against_what_the_line_cites(
    en: str, zh: str, cites: list[str], told: list[str]
) -> None:
    assert [found.what.split("`")[1] for found in of_line(en, zh, *cites)] == told


def test_a_limit_that_a_line_prints_may_stand_in_it_as_a_figure_too() -> None:
    line = {"part": "mind", "en": "Below {b12_low}; 200 pg/mL.", "zh": "低于{b12_low}；200 pg/mL。"}
    assert list(misattributions(knowledge_with(rule("right", WHEN, card={"detail": [line]})))) == []


def test_a_figure_of_a_summary_is_told_unless_the_rule_rests_on_it() -> None:
    wrong = {"en": "Raised above 77 pg/mL.", "zh": "高于77 pg/mL。"}
    assert [found.what.split("`")[1] for found in of_card(summary=wrong)] == ["77 pg/mL", "77 pg/mL"]
    low = {"en": "B12 is below 200 pg/mL.", "zh": "B12低于200 pg/mL。"}
    assert list(misattributions(knowledge_with(rule("right", WHEN, card={"summary": low})))) == []
    # The number by which the rule decides is one that it rests on.
    decides = {"fact": "latest_serum_b12", "below": "b12_pregnancy_floor"}
    limit = {"en": "B12 is below 100 pg/mL.", "zh": "B12低于100 pg/mL。"}
    assert (
        list(misattributions(knowledge_with(rule("right", decides, source=["S0-29"], card={"summary": limit})))) == []
    )


# --- literature behind the record --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "Signs on record: {b12_sign}.",
        "**Last INR: {latest_inr}.**",
        "Haemoglobin {latest_haemoglobin}, MCV {latest_mcv}.",
        "Vitamin K begun in the {vitamin_k_change_window} before it: {vitamin_k_raised_before_inr}.",
        "No INR is on record.",
        "No potassium of the last {potassium_recent} is on record.",
        "Last INR: {latest_inr}. No vitamin K antagonist is on the list.",
    ],
)
def test_a_line_that_only_tells_what_is_on_record_may_cite_nothing(words: str) -> None:
    assert of_line(words, words) == []
    assert [(found.level, found.do) for found in of_line(words, words, SILENT)] == [
        ("error", "Drop its `cites`; what the rule rests on stands in its `source`.")
    ]


@pytest.mark.parametrize(
    "words",
    [
        "Serum B12 {latest_serum_b12}, below {b12_low}.",
        "Metformin: {long_term_metformin}; it lowers the uptake of B12.",
        "Folic acid is being taken ({takes_folic_acid_that_masks}): it can hide the anaemia.",
        "No INR is on record. Measure it before the next dose.",
        "There is no need to avoid vegetables.",
        "Nobody knows.",
    ],
)
def test_a_line_that_claims_something_may_cite_what_says_so(words: str) -> None:
    assert [found for found in of_line(words, words, SILENT) if found.level == "error"] == []


# --- orders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b12-im-regimen", "b12-oral-1000", "b12-sl-1000"])
def test_a_dose_or_interval_of_an_order_that_its_source_does_not_state_is_told(name: str) -> None:
    base, right = knowledge(), knowledge().orders[name]
    wrong = right.model_copy(update={"source": [SILENT]})
    found = list(misattributions(replace(base, rules={}, thresholds={}, orders={name: wrong})))
    assert {one.where for one in found} == {base.where[f"order:{name}"]}
    assert any("1000" in one.what for one in found)
    assert list(misattributions(replace(base, rules={}, thresholds={}, orders={name: right}))) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_note_of_a_test_states_no_interval_of_its_own(language: str) -> None:
    order = knowledge().orders["order-inr"]
    assert order.test is not None
    note = Plain.model_validate(
        {"en": "Again.", "zh": "复查。"} | {language: {"en": "In 7 days.", "zh": "7天后。"}[language]}
    )
    wrong = order.model_copy(update={"test": order.test.model_copy(update={"note": note})})
    told = list(misattributions(replace(knowledge(), rules={}, thresholds={}, orders={"order-inr": wrong})))
    assert len(told) == 1


# --- numbers of limits -------------------------------------------------------------------------------------------


def test_a_limit_whose_source_states_another_number_is_told() -> None:
    base = knowledge()
    assert of_limit(base) == []
    changed = [DatedValue(since=date(2025, 11, 20), value=300)]
    assert of_limit(base, values=changed) == [
        "no source of b12_low states 300 pg/mL, and its note does not say `convention` and `约定`."
    ]
    assert of_limit(base, source=["S0-29"]) != []
    assert of_limit(base, unit="umol/L") != []


@pytest.mark.parametrize(
    ("en", "zh", "told"),
    [
        ("A convention of this service.", "为本服务的约定。", []),
        ("A convention of this service.", "由本服务决定。", ["`约定`"]),
        ("A choice of this service.", "为本服务的约定。", ["`convention`"]),
        ("Usual.", "常用。", ["`convention` and `约定`"]),
    ],
)
def test_a_note_says_in_every_language_that_a_number_is_a_convention(en: str, zh: str, told: list[str]) -> None:
    changed = [DatedValue(since=date(2025, 11, 20), value=300)]
    found = of_limit(knowledge(), values=changed, note=Plain.model_validate({"en": en, "zh": zh}))
    assert [one.rpartition("does not say ")[2].rstrip(".") for one in found] == told


def test_a_number_that_a_site_has_set_is_no_misattribution() -> None:
    shipped = knowledge().thresholds["b12_low"].values
    own = DatedValue(since=date(2026, 1, 1), value=180, decided="A. Owner, 2026-01-01: local assay")
    assert of_limit(knowledge(), values=[*shipped, own]) == []


@given(value=st.integers(1, 9999).filter(lambda value: value not in (200, 900)))
def test_whatever_the_number_a_limit_that_its_source_does_not_state_is_told(value: int) -> None:
    assert len(of_limit(knowledge(), values=[DatedValue(since=date(2025, 11, 20), value=value)])) == 1


# --- figures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5 to 10 mg or 45 000 µg", [("mass", 5000), ("mass", 10000), ("mass", 45000)]),
        ("180 and 350 ng/L", [("concentration", 180), ("concentration", 350)]),
        ("每日500–2000 µg，每月一次", [("mass", 500), ("mass", 2000)]),
        ("in the fifth week, after 48 h", [("time", 35), ("time", 2)]),
        ("第五周，48小时", [("time", 35), ("time", 2)]),
        ("INR 4.5 to 10 without bleeding", [("", 4.5), ("", 10)]),
        ("0.5 % against 3.3 %", [("share", 0.5), ("share", 3.3)]),
        ("2019年荟萃分析", [("", 2019)]),
        ("B12, MK-7, NG239, m.11778G>A, 10⁹/L, two routes, once daily", []),
    ],
)
def test_figures_are_numbers_with_what_they_measure(text: str, found: list[tuple[str, float]]) -> None:
    assert [one.measures for one in figures(text)] == [measures for measures, _ in found]
    assert [one.size for one in figures(text)] == pytest.approx([size for _, size in found])


@given(number=st.integers(1, 900), other=st.integers(1, 900))
def test_a_limit_is_stated_by_a_text_with_its_number_in_its_unit_and_by_no_other(number: int, other: int) -> None:
    texts = {"ug": f"about {number} µg", "umol/L": f"about {number} µmol/L", "1": f"about {number}"}
    for unit, text in texts.items():
        assert stated(limit_figure(number, unit), text)
        assert stated(limit_figure(other, unit), text) == (number == other)
        assert not any(stated(limit_figure(number, unit), said) for one, said in texts.items() if one != unit)


def test_months_and_weeks_state_the_days_of_a_limit() -> None:
    for days, text in ((14, "2 weeks"), (90, "every 3 months"), (365, "12 months"), (730, "2 to 3 years")):
        assert stated(limit_figure(days, "d"), text), text
    assert not stated(limit_figure(28, "d"), "a month, or 1 month")


def test_every_language_that_must_have_texts_has_a_word_for_a_convention() -> None:
    full = {language for language, row in LANGUAGES.items() if not row.partial}
    unmarked = Threshold(
        label=Plain.model_validate({"en": "Limit", "zh": "界值"}),
        unit="d",
        values=[DatedValue(since=date(2025, 1, 1), value=3)],
        source=["S4-20"],
    )
    base = replace(knowledge(), rules={}, thresholds={"b12_low": unmarked})
    (told,) = misattributions(base)
    assert told.what.count("`") == 2 * len(full)


def test_a_figure_keeps_how_it_is_written() -> None:
    assert figures("at 2.50 mg") == [Figure("2.50 mg", "mass", 2500)]
