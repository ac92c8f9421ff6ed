"""Every worked patient beside a rule, through the whole service: exactly the cards that the patient must get."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.hooks.response_models import HookResponse
from tests.support.worked_service import (
    BESIDE,
    WORKED,
    Outcome,
    WorkedService,
    complaints,
    complaints_of_silence,
    each_worked_patient,
    rule_id,
    service,
)

__all__ = ["service"]

# Dates are written in the order of the language; everything else that is a number must be the same in both.
_DATE = re.compile(r"\d{1,2} [A-Z][a-z]{2,3} \d{4}|\d{4}年\d{1,2}月\d{1,2}日")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@each_worked_patient
def test_a_worked_patient_gets_exactly_the_expected_cards(service: WorkedService, worked: WorkedPatient) -> None:
    outcome = service.ask(worked, trace=True)
    assert list(complaints(service, outcome, worked)) == []
    _is_a_valid_answer(outcome)


def _is_a_valid_answer(outcome: Outcome) -> None:
    for response in outcome.responses.values():
        HookResponse.model_validate(response)
        _has_nothing_empty(response)
        for card in response["cards"]:
            assert len(card["summary"]) < 140
            suggestions = card.get("suggestions", [])
            assert ("selectionBehavior" in card) == bool(suggestions)
            if card.get("selectionBehavior") == "at-most-one":
                assert sum(suggestion.get("isRecommended", False) for suggestion in suggestions) <= 1
            for action in (action for suggestion in suggestions for action in suggestion["actions"]):
                if "resource" in action:
                    get_fhir_model_class(action["resource"]["resourceType"]).model_validate(action["resource"])


def _has_nothing_empty(value: Any, path: str = "response") -> None:
    """Members are left out rather than null or empty; only `cards` may be an empty array."""
    assert value is not None, path
    if isinstance(value, dict | list | str):
        assert value or path == "response.cards", path
    if isinstance(value, dict):
        for name, member in value.items():
            _has_nothing_empty(member, f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            _has_nothing_empty(member, f"{path}[]")


@each_worked_patient
def test_chinese_cards_say_the_same_with_the_same_numbers(service: WorkedService, worked: WorkedPatient) -> None:
    english, chinese = service.ask(worked).by_rule, service.ask(worked, language="zh").by_rule
    assert list(english) == list(chinese)
    for rule, card in english.items():
        twin = chinese[rule]
        assert (card["indicator"], service.offered(card)) == (twin["indicator"], service.offered(twin, "zh"))
        assert _numbers(card["detail"]) == _numbers(twin["detail"])
        assert re.search(r"[一-鿿]", twin["summary"])


def _numbers(text: str) -> Counter[str]:
    return Counter(_NUMBER.findall(_DATE.sub("", text)))


def test_worked_patients_name_only_rules_and_orders_that_exist(service: WorkedService) -> None:
    rules = service.knowledge.rules.keys()
    for worked in WORKED:
        assert worked.expect.keys() | set(worked.silent) | worked.undecided.keys() <= rules, worked.id
        for expected in worked.expect.values():
            assert {*expected.suggest, *expected.forbid} <= service.knowledge.orders.keys(), worked.id


def test_no_two_worked_patients_have_one_id_or_one_name() -> None:
    assert [i for i, n in Counter(worked.id for worked in WORKED).items() if n > 1] == []
    for patients in BESIDE.values():
        assert [name for name, n in Counter(worked.name.en for worked in patients).items() if n > 1] == []
        assert [
            name for name, n in Counter(worked.name.in_language("zh") for worked in patients).items() if n > 1
        ] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_name_of_a_worked_patient_is_one_sentence(language: str) -> None:
    for worked in WORKED:
        name = worked.name.in_language(language)
        assert name.endswith("。" if language == "zh" else "."), worked.id


def test_every_rule_has_a_patient_who_gets_its_card_and_one_who_does_not(service: WorkedService) -> None:
    for rule, patients in BESIDE.items():
        if service.knowledge.rules[rule].kind == "rule":
            assert any(rule in worked.expect for worked in patients), rule
            assert any(rule not in worked.expect for worked in patients), rule


def test_every_variant_of_a_rule_with_patients_is_shown_to_one_of_them(service: WorkedService) -> None:
    shown = {
        (rule_id(card), card["extension"]["cds-service.rule"].get("variant"))
        for worked in WORKED
        for card in service.ask(worked).cards
    }
    for rule in (service.knowledge.rules[name] for name in BESIDE):
        for variant in (*rule.variants, None) if rule.card else ():
            assert (rule.id, variant.id if variant else None) in shown


def test_every_silencing_of_a_rule_with_patients_happens_or_cannot(service: WorkedService) -> None:
    """Each `silenced_by` is either seen at work, or the two conditions exclude each other."""
    seen = {
        (rule, node["silencedBy"])
        for worked in WORKED
        for rule, node in service.ask(worked, trace=True).explained.items()
        if "silencedBy" in node
    }
    # A B12 is low or not low; an antagonist is taken or not taken.
    exclusive = {
        ("b12-borderline", "b12-low"),
        ("b12-metabolites-confounded", "b12-low"),
        ("vka-started-on-vitk", "vka-vitk-started"),
        ("vka-diet-consistency", "vka-vitk-started"),
        ("vka-diet-consistency", "vka-vitk-started"),
    }
    rules = service.knowledge.rules
    stated = {
        (rule, silencer)
        for rule in BESIDE
        for silencer in rules[rule].silenced_by
        if silencer in BESIDE and set(rules[rule].hooks) & set(rules[silencer].hooks)
    }
    assert stated - seen == exclusive & stated


def test_a_silence_holds_for_the_patients_beside_it_whom_it_keeps_quiet(service: WorkedService) -> None:
    for beside, patients in BESIDE.items():
        for worked in patients:
            outcome = service.ask(worked, trace=True)
            assert list(complaints_of_silence(service, outcome, worked, beside)) == [], worked.id


@pytest.mark.parametrize(
    ("patient", "recommended"),
    [
        ("V01", ["b12-oral-1000"]),
        ("V97", ["b12-im-regimen"]),
        ("b12-low.neuropathy", ["b12-im-regimen"]),
        ("b12-low.leber", ["b12-oral-1000"]),
        ("V12", ["b12-im-regimen"]),
        ("V13", ["b12-oral-1000"]),
        ("V17", ["order-mma"]),
        ("V05", ["order-mma"]),
        ("V15", []),
        ("V38", ["remove-vitk"]),
        ("V67", ["order-inr"]),
        ("V37", ["remove-vitk"]),
        ("V66", ["order-inr"]),
        ("vka-vitk-started.k1-100-ug", []),
        ("V43", ["order-inr"]),
        ("V83", ["order-inr"]),
    ],
)
def test_what_is_recommended(service: WorkedService, patient: str, recommended: list[str]) -> None:
    """Injections where swallowing may fail or waiting may harm; never to stop vitamin K, for the INR then rises."""
    (worked,) = (worked for worked in WORKED if worked.id == patient)
    (card,) = service.ask(worked).cards
    pairs = zip(service.offered(card), card.get("suggestions", []), strict=True)
    assert [key for key, suggestion in pairs if suggestion.get("isRecommended")] == recommended
