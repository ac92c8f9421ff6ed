"""A site's overlay: what it changes, what it may not change, and how a fault in it is told."""

# ruff: noqa: E501  # a table of faults, one on a line

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.overlay import with_overlay
from cds_service.artifacts.review.check import check
from cds_service.cli.main import main
from cds_service.coding import ATC, Coding
from cds_service.errors import KnowledgeError
from cds_service.evaluate import Evaluator
from cds_service.fhir.bundle import ListResult, open_resource
from cds_service.fhir.read.record import read_record
from cds_service.fhir.write.orders import DraftContext, medication_request
from cds_service.hooks.call import make_answer
from cds_service.hooks.prefetch import prefetch_for
from cds_service.record import PatientRecord
from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url
from tests.support.fhir_parts import Resource, call, lists_of, patient, request, result, searchset
from tests.support.kb import NOW, TODAY, draft, evaluator, knowledge, lab, med, problem, record
from tests.support.labels import plain_label
from tests.support.overlays import HEAD, laid, mode
from tests.support.paths import ROOT
from tests.support.small_knowledge import write as write_small

EXAMPLE = ROOT / "docs" / "examples" / "site"
LIMIT = HEAD + "thresholds:\n  b12_low: {unit: pg/mL, value: 220, since: 2026-11-01, decision: us}\n"
LIMIT_LATER = LIMIT.replace("2026-11-01", "2027-01-01")
CODES = "system,code,match,concept\n"
LOW_LINE = "Look for the cause; measure intrinsic factor"
B12_CHART = "vitamin-b12-patient-view"


def outcomes(base: KnowledgeBase, patient_record: PatientRecord, *rules: str) -> dict[str, str]:
    evaluation = Evaluator(base).evaluate(patient_record, NOW, rules)
    return {decision.rule.id: decision.outcome for decision in evaluation.decisions}


def cards(base: KnowledgeBase, *resources: Resource, log: dict[str, Any] | None = None, language: Any = "en") -> Any:
    """The cards of the chart service for this patient."""
    circumstances = replace(call(language=language), log=log if log is not None else {"notes": {}})
    body = request(lists_of([patient(), *resources], B12_CHART))
    return make_answer(base, Settings())(B12_CHART, body, circumstances)["cards"]


def by_rule(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {card["extension"]["cds-service.rule"]["id"]: card for card in found}


LOW = result("o1", "2132-9", 150, "pg/mL")
BETWEEN = result("o1", "2132-9", 210, "pg/mL")


# --- limits ------------------------------------------------------------------------------------------------------


def test_a_limit_of_the_site_decides_from_its_day_on(tmp_path: Path) -> None:
    base = laid(tmp_path, LIMIT)
    patient_record = record(labs=[lab("serum-vitamin-b12", 210)])
    assert outcomes(base, patient_record, "b12-low") == {"b12-low": "speaks"}
    assert outcomes(knowledge(), patient_record, "b12-low") == {"b12-low": "silent"}
    assert [base.thresholds["b12_low"].at(date(2026, 10, 31)), base.thresholds["b12_low"].at(TODAY)] == [200, 220]


def test_a_limit_whose_day_has_not_come_changes_nothing_yet(tmp_path: Path) -> None:
    found = by_rule(cards(laid(tmp_path, LIMIT_LATER), LOW))
    assert "low is below 200 pg/mL." in found["b12-low"]["detail"]


def test_a_card_says_that_the_site_has_set_the_limit(tmp_path: Path) -> None:
    base = laid(tmp_path, LIMIT)
    assert "low is below 220 pg/mL (limit set by A clinic)." in by_rule(cards(base, BETWEEN))["b12-low"]["detail"]
    assert "低于220 pg/mL（A clinic设定的界值）" in by_rule(cards(base, BETWEEN, language="zh"))["b12-low"]["detail"]


def test_the_knowledge_that_an_overlay_is_laid_over_stays_as_it_was(tmp_path: Path) -> None:
    before = knowledge().thresholds["b12_low"].model_dump()
    laid(tmp_path, LIMIT)
    assert knowledge().thresholds["b12_low"].model_dump() == before
    assert knowledge().site_changes == {}


def test_a_limit_far_from_the_shipped_one_is_a_warning(tmp_path: Path) -> None:
    laid(tmp_path, LIMIT.replace("220", "2200"))
    _, findings = check(knowledge_dir(), TODAY, tmp_path)
    (found,) = [f for f in findings if f.where == f"{tmp_path.name}/overlay.yaml:8"]
    assert (found.level, found.what) == ("warning", "b12_low is 2200 pg/mL here and 200 pg/mL as shipped.")


def test_a_limit_near_the_shipped_one_is_no_warning(tmp_path: Path) -> None:
    laid(tmp_path, LIMIT)
    _, findings = check(knowledge_dir(), TODAY, tmp_path)
    assert not [f for f in findings if "overlay.yaml" in f.where]


# --- switches ----------------------------------------------------------------------------------------------------


def test_a_rule_that_is_off_is_not_judged(tmp_path: Path) -> None:
    patient_record = record(labs=[lab("serum-vitamin-b12", 150)])
    assert outcomes(laid(tmp_path, mode("b12-low", "off")), patient_record, "b12-low") == {}


@pytest.mark.parametrize(("word", "enabled"), [("off", False), ("on", True)])
def test_on_and_off_need_no_quotes_though_yaml_knows_them_as_other_words(
    word: str, enabled: bool, tmp_path: Path
) -> None:
    overlay = mode("b12-low", word).replace(f'"{word}"', word).replace('"on": 2026', "on: 2026")
    assert '"' not in overlay
    assert laid(tmp_path, overlay).rules["b12-low"].enabled is enabled


def test_a_rule_that_is_off_as_shipped_can_be_switched_on(tmp_path: Path) -> None:
    name = next(rule.id for rule in knowledge().rules.values() if not rule.enabled)
    assert outcomes(knowledge(), record(), name) == {}
    assert list(outcomes(laid(tmp_path, mode(name, "on")), record(), name)) == [name]


def test_data_that_only_rules_switched_off_need_are_not_asked_for(tmp_path: Path) -> None:
    service = knowledge().services[B12_CHART]
    off = "".join(f'  {rule}: {{decision: us, mode: "off"}}\n' for rule in service.rules)
    base = laid(tmp_path, HEAD + "rules:\n" + off)
    assert "labs" in [need.key for need in prefetch_for(knowledge(), service)]
    assert "labs" not in [need.key for need in prefetch_for(base, service)]


def test_a_rule_in_silent_mode_is_logged_and_not_shown(tmp_path: Path) -> None:
    log: dict[str, Any] = {"notes": {}}
    assert "b12-low" not in by_rule(cards(laid(tmp_path, mode("b12-low", "silent")), LOW, log=log))
    assert log["withheld"]["b12-low"] == "shadow"
    assert "b12-low" not in log["cards"]


def test_a_rule_in_silent_mode_that_does_not_hold_is_not_logged(tmp_path: Path) -> None:
    log: dict[str, Any] = {"notes": {}}
    cards(laid(tmp_path, mode("b12-low", "silent")), result("o1", "2132-9", 600, "pg/mL"), log=log)
    assert "b12-low" not in log.get("withheld", {})


def silenced_pair() -> tuple[str, str, PatientRecord]:
    """A rule, another that it silences, and a patient for whom both hold."""
    both = ("vka-menatetrenone", "vka-vitk-concurrent")
    products = (med("vitamin-k-antagonist"), med("menatetrenone", daily=45000))
    orders = (draft("menatetrenone", daily=45000),)
    return *both, record(medications=products, orders=orders)


def test_a_rule_in_silent_mode_silences_no_other(tmp_path: Path) -> None:
    first, second, patient_record = silenced_pair()
    shown = outcomes(knowledge(), patient_record, first, second)
    assert shown == {first: "speaks", second: "silenced"}
    counted = outcomes(laid(tmp_path, mode(first, "silent")), patient_record, first, second)
    assert counted == {first: "counted", second: "speaks"}


def test_a_rule_in_silent_mode_is_still_silenced_by_others(tmp_path: Path) -> None:
    first, second, patient_record = silenced_pair()
    found = outcomes(laid(tmp_path, mode(second, "silent")), patient_record, first, second)
    assert found == {first: "speaks", second: "silenced"}


def test_missing_data_of_a_rule_in_silent_mode_are_not_asked_of_the_client(tmp_path: Path) -> None:
    unread = record(unread=["observations"])
    assert outcomes(knowledge(), unread, "b12-low") == {"b12-low": "undecided"}
    assert outcomes(laid(tmp_path, mode("b12-low", "silent")), unread, "b12-low") == {"b12-low": "unknown"}


@pytest.mark.parametrize("word", ["off", "silent"])
def test_a_critical_card_that_nobody_will_see_is_a_warning(word: str, tmp_path: Path) -> None:
    laid(tmp_path, mode("vka-menatetrenone", word))
    _, findings = check(knowledge_dir(), TODAY, tmp_path)
    assert "nobody will see the critical card of vka-menatetrenone." in [f.what for f in findings]


# --- texts -------------------------------------------------------------------------------------------------------

TEXTS = (
    HEAD
    + f"""\
rules:
  b12-low:
    decision: us
    summary: {{en: Ours., zh: 本院。}}
    variants: {{pregnancy: {{summary: {{en: Ours in pregnancy., zh: 孕期。}}}}}}
    lines:
      - {{begins: "{LOW_LINE}", en: Find out why., zh: 查明病因。}}
    add_lines:
      - {{en: Call 4321., zh: 致电4321。}}
    override_reasons: [referred]
override_reasons:
  referred: {{en: Referred, zh: 已转诊}}
  disagree: {{en: I think otherwise, zh: 我有不同看法}}
"""
)


@pytest.mark.parametrize(
    ("language", "summary", "line", "added", "reasons"),
    [
        ("en", "Ours.", "Find out why.", "Call 4321. *(A clinic)*", {"Referred", "I think otherwise"}),
        ("zh", "本院。", "查明病因。", "致电4321。 *(A clinic)*", {"已转诊", "我有不同看法"}),
    ],
)
def test_a_card_speaks_the_words_of_the_site(
    language: str, summary: str, line: str, added: str, reasons: set[str], tmp_path: Path
) -> None:
    card = by_rule(cards(laid(tmp_path, TEXTS), LOW, language=language))["b12-low"]
    assert card["summary"] == summary
    assert line in card["detail"]
    assert LOW_LINE not in card["detail"]
    assert added in card["detail"]
    assert reasons <= {reason["display"] for reason in card["overrideReasons"]}


def test_a_variant_has_its_own_summary(tmp_path: Path) -> None:
    base = laid(tmp_path, TEXTS)
    pregnant = record(labs=[lab("serum-vitamin-b12", 150)], problems=(problem("pregnancy"),), born=date(1996, 1, 1))
    (decision,) = Evaluator(base).evaluate(pregnant, NOW, ["b12-low"]).firing
    assert decision.variant is not None
    assert decision.variant.summary is not None
    assert decision.variant.summary.en == "Ours in pregnancy."


def test_severity_conditions_and_sources_stay_as_shipped(tmp_path: Path) -> None:
    ours, shipped = laid(tmp_path, TEXTS).rules["b12-low"], knowledge().rules["b12-low"]
    assert (ours.when, ours.unless, ours.source) == (shipped.when, shipped.unless, shipped.source)
    assert ours.card is not None
    assert shipped.card is not None
    assert ours.card.indicator == shipped.card.indicator
    kept = ours.card.detail[: len(shipped.card.detail)]
    assert [(line.when, line.cites) for line in kept] == [(line.when, line.cites) for line in shipped.card.detail]


# --- regimens ----------------------------------------------------------------------------------------------------


def regimen(name: str) -> str:
    return f"{HEAD}regimens:\n  b12-im-regimen: {{use: {name}, decision: us}}\n"


def injections(base: KnowledgeBase, *more: Resource) -> list[Any]:
    """What the injection order drafts for somebody with low B12: the repeats of its steps."""
    order = base.orders["b12-im-regimen"]
    card = by_rule(cards(base, LOW, *more))["b12-low"]
    (draft_,) = [
        s["actions"][0]["resource"]
        for s in card["suggestions"]
        if plain_label(s["label"]) == order.label.en
    ]  # fmt: skip
    return [step["timing"]["repeat"] for step in draft_["dosageInstruction"]]


def test_the_regimen_of_the_national_formulary_is_three_times_a_week(tmp_path: Path) -> None:
    first, then = injections(laid(tmp_path, regimen("bnf")))
    assert (first["frequency"], first["period"], first["periodUnit"]) == (3, 1, "wk")
    assert first["boundsRange"]["high"]["value"] == 14
    assert (then["frequency"], then["period"], then["periodMax"], then["periodUnit"]) == (1, 2, 3, "mo")


def test_with_neurological_signs_it_is_every_other_day(tmp_path: Path) -> None:
    title = knowledge().value_sets["neurological-signs"].text[0]
    sign = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"text": title},
    }
    first, _ = injections(laid(tmp_path, regimen("bnf")), sign)
    assert (first["frequency"], first["period"], first["periodUnit"]) == (1, 2, "d")
    assert "boundsRange" not in first


def test_the_regimen_of_the_site_is_hydroxocobalamin_and_cites_its_source(tmp_path: Path) -> None:
    order = laid(tmp_path, regimen("bnf")).orders["b12-im-regimen"]
    assert order.source == ["G09"]
    for choice in order.medicine or ():
        drafted = medication_request(choice.medicine, "en")(DraftContext("Patient/p1", "2026-11-20T12:00:00Z", "why"))
        assert "B03BA03" in [c["code"] for c in drafted["medicationCodeableConcept"]["coding"] if c["system"] == ATC]


def test_the_regimen_called_seed_is_the_shipped_one(tmp_path: Path) -> None:
    assert laid(tmp_path, regimen("seed")).orders == knowledge().orders


# --- codes, names and units --------------------------------------------------------------------------------------

LOCAL = "urn:oid:2.999.1"


def local_result(code: str, unit: str = "pg/mL") -> Resource:
    made = result("o1", "", 150, unit)
    made["code"] = {"coding": [{"system": LOCAL, "code": code}]}
    made["valueQuantity"] = {"value": 150, "unit": unit}
    return made


def read(base: KnowledgeBase, *resources: Resource) -> PatientRecord:
    content = json.dumps(searchset(patient(), *resources)).encode()
    return read_record("p1", [ListResult((), open_resource(content).entries)], base.terminology, base.units)


def test_a_local_laboratory_code_is_read(tmp_path: Path) -> None:
    base = laid(tmp_path, "site: A clinic\n", CODES + f"{LOCAL},B12S,exact,serum-vitamin-b12\n")
    assert read(knowledge(), local_result("B12S")).labs == {}
    assert list(read(base, local_result("B12S")).labs) == ["serum-vitamin-b12"]


def test_a_local_result_without_a_unit_is_unusable_whatever_the_table_notes(tmp_path: Path) -> None:
    table = "system,code,match,concept,unit\n" + f"{LOCAL},B12S,exact,serum-vitamin-b12,pmol/L\n"
    base = laid(tmp_path, "site: A clinic\n", table)
    (found,) = read(base, local_result("B12S", "")).labs["serum-vitamin-b12"]
    assert (found.value, found.unusable) == (None, "no unit")


@pytest.mark.parametrize(
    ("rows", "code", "expected"),
    [
        ("W03,prefix", "W0312", True),
        ("W03,prefix", "W0412", False),
        ("W03,exact", "W0312", False),
        ("W03,prefix,W0399,exclude", "W0399", False),
    ],
)
def test_a_local_drug_code_is_matched_as_its_row_says(rows: str, code: str, expected: bool, tmp_path: Path) -> None:
    words = rows.split(",")
    lines = [f"{LOCAL},{words[i]},{words[i + 1]},vitamin-k-antagonist\n" for i in range(0, len(words), 2)]
    base = laid(tmp_path, "site: A clinic\n", CODES + "".join(lines))
    found = base.terminology.concepts("medication", [Coding(LOCAL, code)])
    assert ("vitamin-k-antagonist" in found) is expected


def test_a_table_as_a_spreadsheet_saves_it_is_read(tmp_path: Path) -> None:
    base = laid(tmp_path, "site: A clinic\n", "\ufeff" + (CODES + f"{LOCAL},X1,exact,inr\n").replace("\n", "\r\n"))
    assert base.terminology.concepts("observation", [Coding(LOCAL, "X1")]) == {"inr"}


def test_local_laboratory_codes_are_searched_for_and_drug_codes_are_not(tmp_path: Path) -> None:
    rows = f"{LOCAL},B12S,exact,serum-vitamin-b12\n{LOCAL},W1,exact,vitamin-k-antagonist\n{LOCAL},P,prefix,serum-vitamin-b12\n"
    base = laid(tmp_path, "site: A clinic\n", CODES + rows)
    (labs,) = [need for need in prefetch_for(base, base.services[B12_CHART]) if need.key == "labs"]
    (shipped,) = [need for need in prefetch_for(knowledge(), base.services[B12_CHART]) if need.key == "labs"]
    codes, known = (set(parse_qs(need.template)["code"][0].split(",")) for need in (labs, shipped))
    assert codes - known == {f"{LOCAL}|B12S"}
    assert known < codes


def test_a_code_with_signs_of_the_search_syntax_is_escaped(tmp_path: Path) -> None:
    base = laid(tmp_path, "site: A clinic\n", CODES + 'http://lab.example/x?a&b,"B,1|2&3",exact,serum-vitamin-b12\n')
    (labs,) = [need for need in prefetch_for(base, base.services[B12_CHART]) if need.key == "labs"]
    assert "http://lab.example/x%3Fa%26b|B%5C%2C1%5C%7C2%263" in labs.template
    assert parse_qs(labs.template.partition("?")[2])["_sort"] == ["-date"]


def test_a_local_name_and_a_local_unit_are_read(tmp_path: Path) -> None:
    overlay = (
        "site: A clinic\nsynonyms:\n  serum-vitamin-b12: {text: [Riverlab cobal], not_text: [riverlab cobal old]}\n"
    )
    overlay += "units:\n  - {spelling: pmol per l, ucum: pmol/L, for: [serum-vitamin-b12]}\n"
    base = laid(tmp_path, overlay)
    written = result("o1", "", 100, "") | {
        "code": {"text": "RIVERLAB Cobal"},
        "valueQuantity": {"value": 100, "unit": "pmol per L"},
    }
    (found,) = read(base, written).labs["serum-vitamin-b12"]
    assert found.value is not None
    assert found.value.low == pytest.approx(135.5, abs=0.1)
    assert read(base, written | {"code": {"text": "Riverlab cobal old"}}).labs == {}


def test_a_code_system_that_is_left_out_is_not_matched_by_its_codes(tmp_path: Path) -> None:
    base = laid(tmp_path, "site: A clinic\nleave_out: [atc]\n")
    warfarin = [Coding(ATC, "B01AA03")]
    assert knowledge().terminology.concepts("medication", warfarin)
    assert not base.terminology.concepts("medication", warfarin)
    assert base.terminology.concepts("medication", warfarin, "Warfarin")


# --- the version -------------------------------------------------------------------------------------------------


def test_the_version_names_the_knowledge_and_the_overlay(tmp_path: Path) -> None:
    assert re.fullmatch(re.escape(knowledge().version) + r"\.[0-9a-f]{12}", laid(tmp_path, LIMIT).version)


def test_every_change_of_the_folder_is_another_version(tmp_path: Path) -> None:
    versions = [
        laid(tmp_path, LIMIT).version,
        laid(tmp_path, LIMIT_LATER).version,
        laid(tmp_path, LIMIT_LATER, CODES).version,
        laid(tmp_path, LIMIT_LATER, CODES + f"{LOCAL},B12S,exact,serum-vitamin-b12\n").version,
    ]
    assert len(set(versions)) == 4
    assert laid(tmp_path, LIMIT_LATER, CODES).version == versions[2]


# --- faults ------------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """An overlay (after its heading) and what is said of its line that holds `at`."""

    text: str
    at: str
    says: str


RULE = "rules:\n  b12-low:\n    decision: us\n"
FAULTS = {
    "an unknown member": Fault("treshholds: {}\n", "treshholds", "Extra inputs"),
    "a limit that does not exist": Fault("thresholds:\n  b12_lo: {unit: pg/mL, value: 1, since: 2026-11-01, decision: us}\n", "b12_lo", "there is no threshold b12_lo"),
    "a limit in another unit": Fault("thresholds:\n  b12_low: {unit: pmol/L, value: 150, since: 2026-11-01, decision: us}\n", "b12_low", "b12_low is in pg/mL, not in pmol/L"),
    "a limit without a unit": Fault("thresholds:\n  b12_low: {value: 150, since: 2026-11-01, decision: us}\n", "b12_low", "unit: Field required"),
    "a limit nobody decided on": Fault("thresholds:\n  b12_low: {unit: pg/mL, value: 150, since: 2026-11-01}\n", "b12_low", "decision: Field required"),
    "a decision that is not told": Fault("thresholds:\n  b12_low: {unit: pg/mL, value: 150, since: 2026-11-01, decision: them}\n", "b12_low", "there is no decision them"),
    "a limit before the shipped one": Fault("thresholds:\n  b12_low: {unit: pg/mL, value: 150, since: 2025-11-20, decision: us}\n", "b12_low", "would never apply"),
    "a limit below nothing": Fault("thresholds:\n  b12_low: {unit: pg/mL, value: -1, since: 2026-11-01, decision: us}\n", "b12_low", "greater than or equal to 0"),
    "a limit without end": Fault("thresholds:\n  b12_low: {unit: pg/mL, value: .inf, since: 2026-11-01, decision: us}\n", "b12_low", "alike everywhere|finite number|valid number"),
    "a rule that does not exist": Fault("rules:\n  b12-lo: {decision: us, mode: silent}\n", "b12-lo", "there is no rule b12-lo"),
    "a rule nobody decided on": Fault("rules:\n  b12-low: {mode: silent}\n", "b12-low", "decision: Field required"),
    "a mode that does not exist": Fault(RULE + "    mode: quiet\n", "quiet", "Input should be"),
    "a change of nothing": Fault(RULE, "b12-low", "changes nothing"),
    "a severity": Fault(RULE + "    indicator: info\n", "indicator", "Extra inputs"),
    "a summary too long": Fault(RULE + f"    summary: {{en: {'x' * 140}, zh: 短}}\n", "summary", "at most 139"),
    "a text in one language": Fault(RULE + "    summary: {en: Low.}\n", "summary", "zh: Field required"),
    "a variant that does not exist": Fault(RULE + "    variants: {men: {summary: {en: A., zh: 甲。}}}\n", "variants", "no variant men"),
    "a line that does not exist": Fault(RULE + "    lines:\n      - {begins: Nothing begins so, en: A., zh: 甲。}\n", "begins", "no line of the rule begins so"),
    "a line that drops the result": Fault(RULE + '    lines:\n      - {begins: "B12 {latest", en: Low., zh: 低。}\n', "begins", "the line shows other evidence"),
    "a line with a placeholder of its own": Fault(RULE + '    lines:\n      - {begins: "' + LOW_LINE + '", en: "{age}", zh: "{age}"}\n', "begins", "the line shows other evidence"),
    "a line added with a placeholder": Fault(RULE + '    add_lines: [{en: "{age}", zh: "{age}"}]\n', "add_lines", "no {placeholders}"),
    "a claim that no card may make": Fault(RULE + "    add_lines: [{en: It has no side effects., zh: 好。}]\n", "b12-low", "claims that there are no side effects"),
    "words for a silence": Fault("rules:\n  doac-vitk-silent:\n    decision: us\n    summary: {en: A., zh: 甲。}\n", "doac-vitk-silent", "is a silence"),
    "a reason that does not exist": Fault(RULE + "    override_reasons: [nonsense]\n", "override_reasons", "override reason nonsense does not exist"),
    "a reason that nobody offers": Fault("override_reasons:\n  new: {en: New, zh: 新}\n", "new:", "no rule offers the reason new"),
    "a regimen of no order": Fault("regimens:\n  b12-oral-1000: {use: bnf, decision: us}\n", "b12-oral-1000", "no order b12-oral-1000 with a choice"),
    "a regimen that does not exist": Fault("regimens:\n  b12-im-regimen: {use: daily, decision: us}\n", "b12-im-regimen", "has no regimen daily"),
    "names for no concept": Fault("synonyms:\n  b13: {text: [B13 level]}\n", "b13", "there is no concept b13"),
    "a name of one letter": Fault("synonyms:\n  inr: {text: [I]}\n", "inr", "found in too many texts"),
    "a unit that measures something else": Fault("units:\n  - {spelling: drops, ucum: kg, for: [serum-vitamin-b12]}\n", "drops", "kg cannot be converted"),
    "a unit for no test": Fault("units:\n  - {spelling: u, ucum: pg/mL, for: [metformin]}\n", "spelling", "metformin is no laboratory test"),
    "a unit spelling that means another": Fault("units:\n  - {spelling: nmol/L, ucum: pmol/L}\n", "nmol/L", "means nmol/L already"),
    "a code system that results need": Fault("leave_out: [loinc]\n", "leave_out", "results are searched by LOINC"),
    "a code system that does not exist": Fault("leave_out: [icd-12]\n", "leave_out", "there is no code system icd-12"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_file_and_line(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    with pytest.raises(KnowledgeError) as caught:
        laid(tmp_path, HEAD + fault.text)
    line = (HEAD + fault.text)[: (HEAD + fault.text).rindex(fault.at)].count("\n") + 1
    assert re.search(fault.says.replace("{", r"\{"), caught.value.what)
    assert caught.value.where == f"{tmp_path.name}/overlay.yaml:{line}"
    assert caught.value.do.endswith(".")


CODE_FAULTS = {
    "no heading": (f"{LOCAL},B12S,exact,serum-vitamin-b12\n", 1, "the heading lacks code, concept, match, system"),
    "a column nobody knows": ("system,code,match,concept,unitt\n", 1, "the heading has the unknown unitt"),
    "a system that is no address": (CODES + "lab,B12S,exact,serum-vitamin-b12\n", 2, 'system "lab" is neither a URI'),
    "no system": (CODES + ",B12S,exact,serum-vitamin-b12\n", 2, 'system "" is neither a URI'),
    "no code": (CODES + f"{LOCAL},,exact,serum-vitamin-b12\n", 2, "needs a code"),
    "a match nobody knows": (CODES + f"{LOCAL},B12S,like,serum-vitamin-b12\n", 2, 'match "like" is unknown'),
    "no such concept": (CODES + f"{LOCAL},B12S,exact,b13\n", 2, "there is no concept b13"),
    "a row twice": (CODES + f"{LOCAL},B12S,exact,serum-vitamin-b12\n" * 2, 3, "the same row stands in line 2"),
    "a column too many": (CODES + f"{LOCAL},B12S,exact,serum-vitamin-b12,x\n", 2, "not the 4 columns"),
    "a column too few": (CODES + f"{LOCAL},B12S,exact\n", 2, "not the 4 columns"),
    "a unit of something else": ("system,code,match,concept,unit\n" + f"{LOCAL},B12S,exact,serum-vitamin-b12,kg\n", 2, "kg cannot be converted to pg/mL"),
    "a unit for a medicine": ("system,code,match,concept,unit\n" + f"{LOCAL},W,exact,metformin,mg\n", 2, "metformin has no unit"),
}  # fmt: skip


@pytest.mark.parametrize("name", CODE_FAULTS)
def test_a_fault_in_the_table_of_codes_is_told_with_its_line(name: str, tmp_path: Path) -> None:
    table, line, says = CODE_FAULTS[name]
    with pytest.raises(KnowledgeError, match=re.escape(says)) as caught:
        laid(tmp_path, "site: A clinic\n", table)
    assert caught.value.where == f"{tmp_path.name}/local_codes.csv:{line}"


def test_a_code_that_the_shipped_lists_exclude_is_told(tmp_path: Path) -> None:
    value_set = next(v for v in knowledge().terminology.value_sets.values() if v.kind == "observation" and v.excluded)
    system, code = sorted(value_set.excluded)[0]
    with pytest.raises(KnowledgeError, match=r":2: the shipped lists exclude this code"):
        laid(tmp_path, "site: A clinic\n", CODES + f"{system},{code},exact,{value_set.id}\n")


@pytest.mark.parametrize("name", ["overlay.yml", "local-codes.csv", "thresholds.yaml"])
def test_a_file_that_would_not_be_read_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(KnowledgeError, match=rf"{name}:1: is not read"):
        laid(tmp_path, "site: A clinic\n")


def test_a_folder_without_an_overlay_is_told(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"/overlay.yaml:1: is not there"):
        with_overlay(knowledge(), tmp_path)


# --- the doors ---------------------------------------------------------------------------------------------------


def run(*words: str, given: str | None = None) -> str:
    done = CliRunner().invoke(main, list(words), input=given)
    assert done.exit_code == 0, done.output
    return done.output


def bundle(*resources: Resource) -> str:
    return json.dumps(searchset(patient(), *resources))


def test_the_worked_example_of_the_documentation_loads_without_findings_of_its_own() -> None:
    base = load_knowledge(site=EXAMPLE)
    assert base.site == "Riverside Hospital"
    _, findings = check(knowledge_dir(), TODAY, EXAMPLE)
    assert [f for f in findings if f.level == "error" or f.where.startswith("site/")] == []


def test_evaluate_names_the_rules_that_it_counts_without_showing_them() -> None:
    vegan = run("sample", "b12-borderline-vegan")
    assert "counted" not in run("evaluate", "-", given=vegan)
    shown = run("evaluate", "--site", str(EXAMPLE), "-", given=vegan)
    assert "counted, not shown: b12-borderline\n0 cards" in shown


def test_evaluate_shows_the_cards_of_the_site() -> None:
    words = ("evaluate", "--site", str(EXAMPLE), "--as-of", TODAY.isoformat(), "-")
    shown = run(*words, given=bundle(BETWEEN))
    assert "Serum B12 is below our lower limit" in shown
    assert "limit set by Riverside Hospital" in shown


def test_explain_says_who_decided() -> None:
    words = ("explain", "--site", str(EXAMPLE), "--as-of", TODAY.isoformat(), "--rule", "b12-low")
    shown = run(*words, "-", given=bundle(BETWEEN))
    assert "below b12_low 220 pg/mL [Riverside Hospital: Head of laboratory medicine" in shown
    (node,) = json.loads(run(*words, "--json", "-", given=bundle(BETWEEN)))
    assert node["site"]["at"].startswith("site/overlay.yaml:")
    assert "2026-10-12" in node["site"]["decided"]


def test_check_names_the_fault_of_an_overlay(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text(HEAD + FAULTS["a rule that does not exist"].text)
    done = CliRunner().invoke(main, ["check", "--site", str(tmp_path)])
    assert done.exit_code == 1
    assert f"{tmp_path.name}/overlay.yaml:8: error: there is no rule b12-lo." in done.output


def test_the_service_answers_with_the_overlay_of_its_setting(tmp_path: Path) -> None:
    settings = Settings(open=True, site=EXAMPLE, database_url=sqlite_url(tmp_path))
    client = create_app(settings).test_client()
    shown = client.get("/").get_json()["knowledge"]
    assert shown == load_knowledge(site=EXAMPLE).version
    assert client.get("/cds-services").headers["X-Knowledge-Version"] == shown


def test_an_overlay_fits_any_knowledge_folder_it_is_written_for(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/overlay.yaml").write_text(mode("low", "silent"))
    base = load_knowledge(write_small(tmp_path / "knowledge"), tmp_path / "site")
    assert base.rules["low"].silent
    assert not evaluator().knowledge.rules["b12-low"].silent
