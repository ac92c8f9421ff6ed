"""The trace in words: every worked patient of every rule, in both languages, and the sentences that matter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import cds_service
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.facts.fact import Evidence
from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.languages import LANGUAGES, Language
from cds_service.present.explanation.clauses import Clauses, interval
from cds_service.present.explanation.explanation import ExplanationWriter, worded
from cds_service.present.explanation.texts import reason_said, unusable_said
from cds_service.quantity import Interval
from cds_service.record import InrGoal, PatientRecord, PendingTest
from cds_service.rules.explain import evidence, explain
from cds_service.rules.withheld import Reason
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url
from tests.support.kb import NOW, draft, evaluator, knowledge, lab, med, problem, record
from tests.support.worked_service import WORKED, Outcome, WorkedService, noon, over_files, rule_id, service

__all__ = ["service"]

Node = dict[str, Any]

# Names of tests, vitamins and codes that Chinese writes in Latin letters, and units.
_NAMES = {"B12", "B", "K", "K1", "K2", "K3", "K4", "D", "D3", "MK-7", "MMA", "INR", "MCV", "eGFR", "H2", "Leber"}
_UNITS = {
    "pg/mL",
    "ng/mL",
    "µmol/L",
    "mmol/L",
    "g/L",
    "fL",
    "mL/min/1.73",
    "m²",
    "mg",
    "µg",
    "pmol/L",
    "L",
}  # the last of 10⁹/L
_WORD = re.compile(r"[A-Za-zµ][A-Za-z0-9µ²./-]*")
_FACT_ID = re.compile(r"\b[a-z0-9]+_[a-z0-9_]+\b")


def nodes_in(value: Any) -> Iterator[Node]:
    """Every mapping below, the value itself included."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from nodes_in(one)


def told(worked: WorkedPatient, service: WorkedService, language: Language) -> list[Node]:
    return told_of(service.ask(worked, language=language, trace=True), worked, service, language)


def told_of(outcome: Outcome, worked: WorkedPatient, service: WorkedService, language: Language) -> list[Node]:
    writer = ExplanationWriter(service.knowledge, language)
    trace: list[Node] = []
    for name in outcome.responses:
        one = service.knowledge.services[name]
        nodes = [outcome.explained[rule] for rule in one.rules if rule in outcome.explained]
        trace += writer.write(one, nodes, outcome.withheld, noon(worked).date())
    return trace


def of(patient: PatientRecord, rule: str, language: Language = "en", service: str = "vitamin-b12-patient-view") -> Node:
    """The trace of one rule for a small record."""
    one = knowledge().services[service]
    evaluation = evaluator().evaluate(patient, NOW, one.rules)
    nodes = explain(knowledge(), evaluation.facts, evaluation.decisions)
    trace = ExplanationWriter(knowledge(), language).write(one, nodes, {}, NOW.date())
    return next(node for node in trace if node["rule"] == rule)


def clauses_of(node: Node) -> list[Node]:
    return [part for name in ("applies", "when", "unless") for part in nodes_in(node.get(name)) if "outcome" in part]


@pytest.mark.slow
@over_files()
def test_every_clause_of_a_worked_patient_is_a_sentence_in_both_languages(
    service: WorkedService, worked: WorkedPatient
) -> None:
    pairs = zip(nodes_in(told(worked, service, "en")), nodes_in(told(worked, service, "zh")), strict=True)
    texts = {
        ("reference" in one, one["text"], other["text"]) for one, other in pairs if {"outcome", "reference"} & {*one}
    }
    for of_the_record, english, chinese in texts:
        for text in (english, chinese):
            assert text.strip()
            assert not re.search(r"\b(None|True|False|nan|inf)\b|[{}]", text), text
            assert not _FACT_ID.search(text), text
        # An entry of the record keeps its own words, in the language it was written in.
        if not of_the_record:
            assert not re.search(r"[一-鿿]", english), english
            assert [word for word in _WORD.findall(chinese) if word not in _NAMES | _UNITS] == [], chinese


@pytest.mark.slow
@over_files()
def test_a_rule_says_that_it_speaks_exactly_when_its_card_is_there(
    service: WorkedService, worked: WorkedPatient
) -> None:
    outcome = service.ask(worked, trace=True)
    trace = told_of(outcome, worked, service, "en")
    said = {node["rule"] for node in trace if node["text"] == "Speaks: all it asks for holds."}
    assert said == {rule_id(card) for card in outcome.cards}


def test_words_add_to_a_trace_and_change_nothing_of_it(service: WorkedService) -> None:
    for worked in WORKED[::25]:
        plain = service.ask(worked, trace=True).explained
        judged = {node["rule"]: node for node in told(worked, service, "zh") if node["outcome"] != "off"}
        assert judged.keys() == plain.keys()
        for rule, node in judged.items():
            _is_kept(plain[rule], node)


def _is_kept(plain: Any, worded: Any) -> None:
    if isinstance(plain, dict):
        for name, member in plain.items():
            # An entry of the record that is text, such as a condition, is cleaned for showing.
            if name != "text":
                _is_kept(member, worded[name])
    elif isinstance(plain, list):
        for one, other in zip(plain, worded, strict=True):
            _is_kept(one, other)
    else:
        assert plain == worded


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Silent because: Serum vitamin B12: 250 pg/mL on 17 Nov 2026 (asked for: below 200 pg/mL)."),
        ("zh", "静默，原因：血清维生素B12：250 pg/mL，2026年11月17日（条件：低于200 pg/mL）。"),
    ],
)
def test_a_silent_rule_names_the_clause_that_decided_it(language: Language, text: str) -> None:
    patient = record(labs=[lab("serum-vitamin-b12", 250, 3)])
    assert of(patient, "b12-low", language)["text"] == text


def test_a_rule_with_an_unknown_says_what_was_looked_for_and_how_far_back() -> None:
    node = of(record(), "b12-low")
    assert node["outcome"] == "unknown"
    assert "Serum vitamin B12: unknown, no usable result in the last 365 days" in node["text"]


def test_an_undecided_rule_names_the_list_that_could_not_be_read() -> None:
    node = of(record(unread=["observations"]), "b12-low")
    assert node["text"].startswith("Cannot be decided, because data could not be read: ")
    assert "Laboratory results could not be read" in node["text"]
    assert "检验结果未能读取" in of(record(unread=["observations"]), "b12-low", "zh")["text"]


def test_a_rule_outside_its_scope_says_for_whom_it_is() -> None:
    assert of(record(born=NOW.date()), "b12-low")["text"] == (
        "Not meant for this patient: Age: 0 years (asked for: at least 18 years)."
    )


def test_a_silenced_rule_names_the_other_by_its_title() -> None:
    patient = record(
        medications=(med("vitamin-k-antagonist"),),
        orders=(draft("menatetrenone", daily=45_000),),
    )
    node = of(patient, "vka-vitk-started", service="vitamin-k-order-sign")
    assert (node["outcome"], node["silencedBy"]) == ("silenced", "vka-menatetrenone")
    assert node["text"].endswith(f"takes precedence: {knowledge().rules['vka-menatetrenone'].title.en}.")


def test_a_rule_that_is_switched_off_is_in_the_trace() -> None:
    off = [rule.id for rule in knowledge().rules.values() if not rule.enabled]
    service = next(one for one in knowledge().services.values() if set(off) & set(one.rules))
    rule = next(rule for rule in off if rule in service.rules)
    node = of(record(), rule, service=service.id)
    assert (node["outcome"], node["text"]) == ("off", "Switched off.")
    assert node["title"] == knowledge().rules[rule].title.en


@pytest.mark.parametrize(
    ("reason", "said"),
    [(Reason.OVER_LIMIT, "three cards at most"), (Reason.INFO_SUPPRESSED, "Palliative or hospice care: yes")],
)
def test_a_rule_that_speaks_without_a_card_says_why(reason: Reason, said: str) -> None:
    service = knowledge().services["vitamin-b12-patient-view"]
    node = {"rule": "b12-borderline", "outcome": "speaks"}
    (first, *_) = ExplanationWriter(knowledge(), "en").write(service, [node], {node["rule"]: reason}, NOW.date())
    assert first["text"].startswith("Speaks, but its card is not shown: ")
    assert said in first["text"]


def test_a_set_aside_card_says_until_when_and_why() -> None:
    service = knowledge().services["vitamin-b12-patient-view"]
    rest = {"until": "2026-12-01", "on": "2026-11-01", "reason": "patient-declines", "text": "snoozed"}
    node = {"rule": "b12-low", "outcome": "snoozed", "snoozed": rest}
    (first, *_) = ExplanationWriter(knowledge(), "en").write(service, [node], {}, NOW.date())
    assert first["text"] == "Not shown until 1 Dec 2026: its card was set aside on 1 Nov 2026 (Patient declines)."
    (first, *_) = ExplanationWriter(knowledge(), "zh").write(service, [node], {}, NOW.date())
    assert first["text"] == first["snoozed"]["text"]
    assert "患者拒绝" in first["text"]


def test_a_limit_has_its_name_its_number_and_its_sources() -> None:
    node = of(record(labs=[lab("serum-vitamin-b12", 150, 3)]), "b12-low")
    limit = next(
        part["limit"] for part in clauses_of(node) if part.get("fact") == "latest_serum_b12" and "limit" in part
    )
    assert limit["text"] == "Low serum B12: 200 pg/mL"
    assert [(one["id"], one["page"]) for one in limit["sources"]] == [("S0-25", "statements")]
    assert limit["sources"][0]["document"] == knowledge().source_of("S0-25").short.en


def test_a_limit_that_a_site_has_set_says_so() -> None:
    limit = {"name": "b12_low", "value": 150, "unit": "pg/mL", "source": ["S0-25"], "decided": "2026-01-01 Board"}
    value = {"value": 90, "unit": "pg/mL"}
    node = {"outcome": "yes", "fact": "latest_serum_b12", "test": "below", "limit": limit, "value": value}
    assert Clauses(knowledge(), "en", NOW.date()).told(node)["limit"]["text"].endswith("150 pg/mL, set by the site")


def test_the_sources_of_a_rule_say_what_they_state() -> None:
    node = of(record(), "b12-low", "zh")
    assert [one["id"] for one in node["sources"]] == node["statements"]
    assert node["sources"][0]["text"] == knowledge().statements[node["statements"][0]].text.in_language("zh")


def test_evidence_leads_to_the_entry_of_the_record_and_a_draft_to_none() -> None:
    patient = record(
        medications=(med("vitamin-k-antagonist", daily=5000),),
        orders=(draft("menatetrenone", daily=45_000),),
    )
    node = of(patient, "vka-menatetrenone", service="vitamin-k-order-sign")
    found = {item["reference"]: item for item in nodes_in(node) if "product" in item}
    taken = found["MedicationStatement/vitamin-k-antagonist-10"]
    assert taken["ref"] == taken["reference"]
    assert taken["text"] == "vitamin-k-antagonist, 5 mg a day, since 10 Nov 2026"
    (drafted,) = (item for item in found.values() if item.get("draft"))
    assert "ref" not in drafted
    assert drafted["text"] == "menatetrenone, 45 mg a day (draft)"


def test_entries_of_every_kind_have_words() -> None:
    clauses = Clauses(knowledge(), "en", NOW.date())
    entries: list[Evidence] = [
        lab("serum-vitamin-b12", 150, 3, reported="150 pg/mL", flag="L"),
        lab("inr", 2.5, 3, reported="2.5 {INR}"),
        lab("serum-vitamin-b12", None, 3, reported="150"),
        med("warfarin-like", end=2, reported_dose="as directed"),
        problem("pernicious-anaemia", since=date(2020, 1, 2)),
        PendingTest(frozenset({"methylmalonic-acid"}), "ServiceRequest/1", date(2026, 11, 1)),
        PendingTest(frozenset({"methylmalonic-acid"}), "Observation/1", None, "result in progress"),
        InrGoal(2, 3, "Goal/1"),
    ]
    assert [clauses.entry(evidence(entry)) for entry in entries] == [
        "Serum vitamin B12 (total) 150 pg/mL, 17 Nov 2026, flagged L",
        "International normalised ratio (INR) 2.5, 17 Nov 2026",
        "Serum vitamin B12 (total) 150, 17 Nov 2026, not usable: no unit",
        "warfarin-like, as directed, since 10 Nov 2026, until 18 Nov 2026",
        "pernicious-anaemia, since 2 Jan 2020",
        "Methylmalonic acid (serum or plasma) ordered, 1 Nov 2026",
        "Methylmalonic acid (serum or plasma) in progress",
        "target 2 to 3",
    ]


@pytest.mark.parametrize("bounds", [Interval(1, 3), Interval(0, 150, high_open=True), Interval(2, 9, low_open=True)])
def test_a_number_comes_back_from_the_trace_as_it_was(bounds: Interval) -> None:
    patient = record(labs=[lab("serum-vitamin-b12", bounds)])
    node = next(part for part in clauses_of(of(patient, "b12-low")) if part.get("fact") == "latest_serum_b12")
    assert interval(node["value"]) == bounds


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_for_a_missing_fact_has_words(language: Language) -> None:
    """The reasons stand as literals where facts are derived."""
    root = Path(cds_service.__file__).parent
    reasons = {
        call.args[1].value
        for path in (*(root / "facts").glob("*.py"), *(root / "rules").glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("Missing", "unknown")
        if isinstance(call.args[1], ast.Constant) and isinstance(call.args[1].value, str)
    }
    assert len(reasons) > 5
    for reason in reasons:
        assert reason_said(f"absent: {reason}", language)
        assert reason_said(f"unread: {reason}", language)


def test_only_an_answer_with_a_trace_is_put_into_words() -> None:
    trace = [{"rule": "b12-low", "outcome": "counted"}]
    replies: Iterator[dict[str, Any]] = iter(
        [{"cards": [], "extension": {}}, {"cards": [], "extension": {"cds-service.explain": trace}}]
    )
    answer = worded(knowledge(), lambda service, request, call: next(replies))
    request = HookRequest("patient-view", "", "p1", "")
    call = CallContext(ClientProfile(name="tests"), "zh", NOW)
    assert answer("vitamin-b12-patient-view", request, call)["extension"] == {}
    told_ = answer("vitamin-b12-patient-view", request, call)["extension"]["cds-service.explain"]
    assert told_[0]["text"] == "条件成立，但本机构仅判断与计数，不显示。"
    assert {node["outcome"] for node in told_[1:]} == {"off"}


def test_the_shipped_service_tells_its_trace_in_the_language_of_the_call(
    service: WorkedService, tmp_path: Path
) -> None:
    settings = Settings(open=True, explain=True, database_url=sqlite_url(tmp_path))
    client = create_app(settings).test_client()
    worked = WORKED[0]
    request = service.request(worked, service.resources(worked))
    path = f"/cds-services/vitamin-b12-{worked.hook}"
    reply = client.post(path, json=request, headers={"Accept-Language": "zh"}).get_json()
    trace = reply["extension"]["cds-service.explain"]
    assert {node["rule"] for node in trace} == set(knowledge().services[path.rpartition("/")[2]].rules)
    assert all(re.search(r"[一-鿿]", node["text"]) for node in nodes_in(trace) if "outcome" in node)


def test_why_a_result_is_unusable_has_words() -> None:
    assert unusable_said("no unit", "zh") == "无单位"
