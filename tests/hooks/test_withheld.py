"""Why a rule has no card: each reason, as the code that withholds the card states it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cds_service.artifacts.schema import Rule
from cds_service.evaluate import Evaluation, Evaluator
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.cards import CardContext, CardMaker, CardOutcome
from cds_service.hooks.client_capabilities import ClientCapabilities
from cds_service.record import PatientRecord
from cds_service.rules.withheld import Reason, Withheld, by_decision, note_withheld
from tests.support.kb import NOW, knowledge_with, problem, record, rule

ALWAYS = {"fact": "patient_is_alive", "is": True}

PALLIATIVE = "palliative-care"


def one(name: str, indicator: str = "warning", priority: int = 1, **more: Any) -> Rule:
    return rule(name, more.pop("when", ALWAYS), priority=priority, card={"indicator": indicator}, **more)


def evaluated(rules: Sequence[Rule], patient: PatientRecord) -> Evaluation:
    return Evaluator(knowledge_with(*rules)).evaluate(patient, NOW, [each.id for each in rules])


def made(rules: Sequence[Rule], patient: PatientRecord, *, chart: bool = True) -> CardOutcome:
    evaluation = evaluated(rules, patient)
    context = CardContext(
        evaluation.facts, DraftContext("Patient/p1", "2026-11-20", ""), ClientCapabilities(chart=chart), lambda: "id"
    )
    return CardMaker(knowledge_with(*rules)).cards(evaluation.firing, context)


def test_an_opened_chart_withholds_information_over_three_cards() -> None:
    rules = [one(f"warn-{n}", priority=n + 1) for n in range(3)] + [one("info-1", "info"), one("info-2", "info")]
    outcome = made(rules, record())
    assert len(outcome.cards) == 3
    assert set(outcome.withheld) == {Withheld("info-1", Reason.OVER_LIMIT), Withheld("info-2", Reason.OVER_LIMIT)}
    assert made(rules, record(), chart=False).withheld == ()


def test_a_palliative_patient_gets_no_information_whatever_the_number_of_cards() -> None:
    """Three warnings or none: the reason is palliative care, never the limit of three cards."""
    patient = record(problems=[problem(PALLIATIVE)])
    for warnings in (0, 2, 3):
        rules = [one(f"warn-{n}", priority=n + 1) for n in range(warnings)] + [one("info-1", "info")]
        outcome = made(rules, patient)
        assert outcome.withheld == (Withheld("info-1", Reason.INFO_SUPPRESSED),)
        assert len(outcome.cards) == warnings


def test_what_a_decision_withholds_is_named_by_the_decision() -> None:
    low = {"fact": "palliative_care", "is": True}
    rules = [
        one("shadow", silent=True),
        one("first"),
        one("second", silenced_by=["first"]),
        one("open", when=low),
    ]
    evaluation = evaluated(rules, record(unread=["conditions"]))
    assert {each.rule: each.reason for each in by_decision(evaluation.decisions)} == {
        "shadow": Reason.SHADOW,
        "second": Reason.SILENCED,
        "open": Reason.DATA_MISSING,
    }


@pytest.mark.parametrize("reason", Reason)
def test_the_trace_of_a_withheld_rule_has_the_reason(reason: Reason) -> None:
    nodes = [{"rule": "one", "outcome": "speaks"}, {"rule": "two", "outcome": "speaks"}]
    note_withheld(nodes, [Withheld("two", reason)])
    assert [node.get("withheld") for node in nodes] == [None, reason.value]
