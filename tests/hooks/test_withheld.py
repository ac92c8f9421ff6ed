"""Why a rule has no card: each reason, as the code that withholds the card states it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cds_service.artifacts.schema import Rule
from cds_service.evaluate import Evaluation, Evaluator
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.call import make_answer
from cds_service.hooks.cards.card_maker import CardContext, CardMaker, CardOutcome
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.languages import Language
from cds_service.present.explanation.explanation import worded
from cds_service.record import PatientRecord
from cds_service.rules.withheld import Reason, Withheld, by_decision
from cds_service.settings import Settings
from tests.support.fhir_parts import call, patient, request, searchset
from tests.support.kb import NOW, knowledge, knowledge_with, problem, record, rule

ALWAYS = {"fact": "patient_is_alive", "is": True}

PALLIATIVE = "palliative-care"
B12 = "vitamin-b12-patient-view"
PALLIATIVE_CARE = {
    "resourceType": "Condition",
    "id": "c1",
    "subject": {"reference": "Patient/p1"},
    "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z51.5"}]},
}


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


@pytest.mark.parametrize(
    ("language", "said", "limit"),
    [
        ("en", "information is left out for this patient (Palliative or hospice care: yes)", "three cards"),
        ("zh", "此患者不显示信息提示", "最多显示三张"),
    ],
)
def test_with_two_warnings_and_the_card_of_missing_data_palliative_care_is_still_the_reason(
    language: Language, said: str, limit: str
) -> None:
    """Three cards are shown, so a guess from their number would name the limit of three."""
    rules = [one("warn-1"), one("warn-2", priority=2), one("note", "info")]
    hanging = one("hanging", when={"fact": "takes_vka", "is": True}, priority=3)
    service = replace(knowledge().services[B12], rules=(*(each.id for each in rules), hanging.id))
    small = replace(knowledge_with(*rules, hanging), services={B12: service})
    sent = {"patient": patient(), "conditions": searchset(PALLIATIVE_CARE)}
    reply = worded(small, make_answer(small, Settings()))(B12, request(sent), call(language, explain=True))
    shown = [card["extension"]["cds-service.rule"]["id"] for card in reply["cards"]]
    assert shown == ["warn-1", "warn-2", "data-incomplete"]
    (note,) = [node for node in reply["extension"]["cds-service.explain"] if node["rule"] == "note"]
    assert said in note["text"]
    assert limit not in note["text"]
