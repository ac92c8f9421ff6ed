"""Explanations: every clause says fact, value, unit, date, evidence and limit, or why it cannot tell."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from cds_service.quantity import Interval
from cds_service.record import PatientRecord, Source
from cds_service.rules.explain import as_lines, clause, explain
from tests.support.kb import NOW, condition, evaluator, facts, knowledge, lab, med, problem, record

B12 = "serum-vitamin-b12"
LOW = {"fact": "latest_serum_b12", "below": "b12_low"}


def explained(words: dict[str, Any], patient: PatientRecord) -> dict[str, Any]:
    return clause(knowledge(), facts(patient), condition(words))


def decided(rule: str, patient: PatientRecord) -> dict[str, Any]:
    evaluation = evaluator().evaluate(patient, NOW, [rule])
    return explain(knowledge(), evaluation.facts, evaluation.decisions)[0]


def test_a_comparison_shows_value_unit_date_limit_and_source() -> None:
    result = lab(B12, 150, 3, reported="150 pg/mL")
    assert explained(LOW, record(labs=[result])) == {
        "outcome": "yes",
        "fact": "latest_serum_b12",
        "test": "below",
        "limit": {"name": "b12_low", "value": 200, "unit": "pg/mL", "source": ["S0-25"]},
        "value": {"value": 150, "unit": "pg/mL"},
        "date": "2026-11-17",
        "evidence": [{"reference": result.reference, "concept": B12, "reported": "150 pg/mL", "date": "2026-11-17"}],
    }


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (Interval(0, 150, high_open=True), {"atLeast": 0, "below": 150, "unit": "pg/mL"}),
        (Interval(100, 150), {"atLeast": 100, "atMost": 150, "unit": "pg/mL"}),
        (Interval(2000, inf), {"atLeast": 2000, "unit": "pg/mL"}),
        (Interval(2000, inf, low_open=True), {"above": 2000, "unit": "pg/mL"}),
    ],
)
def test_an_interval_shows_both_its_ends(interval: Interval, shown: dict[str, Any]) -> None:
    assert explained(LOW, record(labs=[lab(B12, interval)]))["value"] == shown


def test_an_unusable_result_is_shown_with_its_reason() -> None:
    node = explained(LOW, record(labs=[lab(B12, None)]))
    assert (node["outcome"], node["because"]) == ("unknown", "unusable: no unit")
    assert node["evidence"][0]["unusable"] == "no unit"
    assert "value" not in node


@pytest.mark.parametrize(("unread", "because"), [([], "absent: "), (["observations"], "unread: observations")])
def test_what_is_unknown_says_whether_it_was_looked_for(unread: list[Source], because: str) -> None:
    assert explained(LOW, record(unread=unread))["because"].startswith(because)


def test_a_named_condition_is_explained_down_to_its_facts() -> None:
    patient = record(problems=(problem("pernicious-anaemia"),), labs=[lab("mcv", 101)])
    node = explained({"fact": "b12_sign", "is": True}, patient)
    parts = {part["fact"]: part for part in node["definition"]["any"]}
    assert parts["neurological_signs"]["outcome"] == "no"
    assert parts["macrocytosis"]["definition"]["all"][1]["value"] == {"value": 101, "unit": "fL"}


def test_products_conditions_and_the_patient_are_named_as_evidence() -> None:
    patient = record(medications=(med("vitamin-k-antagonist"),), problems=(problem("pregnancy"),))
    product = explained({"fact": "takes_vka", "is": True}, patient)["evidence"]
    assert product == [
        {
            "reference": "MedicationStatement/vitamin-k-antagonist-10",
            "product": "vitamin-k-antagonist",
            "start": "2026-11-10",
        }
    ]
    assert explained({"fact": "pregnant", "is": True}, patient)["evidence"][0]["text"] == "pregnancy"
    assert explained({"fact": "age", "known": True}, patient)["evidence"] == [{"reference": "Patient/p1"}]


def test_a_rule_is_explained_with_version_place_and_statements() -> None:
    node = decided("b12-low", record(labs=[lab(B12, 150)]))
    assert node["outcome"] == "speaks"
    assert node["version"] == knowledge().rules["b12-low"].version
    assert node["at"] == "vitamin-b12/b12-low.yaml:1"
    assert node["statements"] == knowledge().rules["b12-low"].source


def test_a_rule_outside_its_scope_is_explained_by_the_scope() -> None:
    node = decided("b12-low", record(born=NOW.date()))
    assert node["outcome"] == "not applicable"
    assert node["applies"]["outcome"] == "no"
    assert "when" not in node


def test_a_silenced_rule_names_its_silencer() -> None:
    patient = record(medications=(med("vitamin-k-antagonist"), med("menatetrenone", daily=45_000)))
    evaluation = evaluator().evaluate(patient, NOW, ["vka-menatetrenone", "vka-vitk-concurrent"])
    nodes = {node["rule"]: node for node in explain(knowledge(), evaluation.facts, evaluation.decisions)}
    assert nodes["vka-menatetrenone"]["variant"] == "already-taken"
    assert nodes["vka-vitk-concurrent"]["silencedBy"] == "vka-menatetrenone"


def test_every_shipped_rule_can_be_explained_as_json_and_as_lines() -> None:
    patient = record(
        labs=[lab(B12, 150), lab("inr", Interval(0, 3, high_open=True)), lab("mcv", None)],
        medications=(med("vitamin-k-antagonist"), med("menaquinone-7", start=None)),
        problems=(problem("pernicious-anaemia", since=NOW.date()),),
        orders=(),
        unread=["goals"],
    )
    evaluation = evaluator().evaluate(patient, NOW, list(knowledge().rules))
    nodes = explain(knowledge(), evaluation.facts, evaluation.decisions)
    assert json.loads(json.dumps(nodes, allow_nan=False)) == nodes
    text = "\n".join(as_lines(nodes))
    assert {node["rule"] for node in nodes} == {line.split(":")[0] for line in text.split("\n") if line[0] != " "}


def test_a_line_holds_fact_value_limit_date_outcome_and_reference() -> None:
    lines = list(as_lines([decided("b12-low", record(labs=[lab(B12, 150, 3)]))]))
    assert lines[0].startswith("b12-low: speaks    vitamin-b12/b12-low.yaml:1")
    assert lines[2] == "    b12_is_low  = True  is True  -> yes  Observation/serum-vitamin-b12-3"
    assert (
        "latest_serum_b12  = 150 pg/mL  below b12_low 200 pg/mL [S0-25]  2026-11-17  -> yes"
        "  Observation/serum-vitamin-b12-3" in "\n".join(lines)
    )


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (Interval(0.0, 150.0, high_open=True), "= 0 to 150 pg/mL"),
        (Interval(2000.0, inf), "= 2000 to unbounded pg/mL"),
    ],
)
def test_a_line_shows_an_interval_from_end_to_end(interval: Interval, shown: str) -> None:
    assert shown in "\n".join(as_lines([decided("b12-low", record(labs=[lab(B12, interval)]))]))


def test_a_line_says_why_a_fact_is_unknown() -> None:
    lines = "\n".join(as_lines([decided("b12-low", record(unread=["observations"]))]))
    assert "-> unknown  because unread: observations" in lines
