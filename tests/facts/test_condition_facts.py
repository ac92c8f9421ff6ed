"""Facts over conditions that the shipped rules rest on: time, explanation, age and what a valve may be."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from cds_service.record import Problem
from tests.support.kb import TODAY, ago, facts, problem, record

SIGNS = ["diabetic-neuropathy", "hereditary-neuropathy", "inflammatory-neuropathy", "alcohol-neuropathy"]
SIGNS += ["mononeuropathy", "stroke-sequelae"]


def value(name: str, *problems: Problem, **more: Any) -> object:
    return facts(record(problems=problems, **more))[name].value


def aged(years: int) -> date:
    return TODAY.replace(year=TODAY.year - years)


@pytest.mark.parametrize(
    ("name", "concept", "days"),
    [
        ("active_bleeding", "active-bleeding", 14),
        ("urgent_reversal_reason", "urgent-procedure", 14),
        ("bleeding_sign", "bleeding-signs", 30),
        ("bleeding_sign", "active-bleeding", 30),
        ("pregnant", "pregnancy", 300),
        ("recent_red_cell_transfusion", "red-cell-transfusion", 30),
        ("recent_chemotherapy", "chemotherapy", 180),
        ("acute_liver_injury", "acute-liver-injury", 30),
    ],
)
def test_what_passes_counts_until_its_last_day_and_without_a_date(name: str, concept: str, days: int) -> None:
    assert value(name, problem(concept, since=ago(days))) is True
    assert value(name, problem(concept, since=ago(days + 1))) is False
    assert value(name, problem(concept, since=ago(days + 1), recorded=ago(days))) is True
    assert value(name, problem(concept)) is True
    assert value(name, problem(concept, current=False)) is False


@pytest.mark.parametrize("explanation", SIGNS)
def test_an_explained_sign_is_a_sign_but_asks_for_no_test_on_account_of_age(explanation: str) -> None:
    # The text names a neuropathy, so that the entry belongs to both value sets.
    sign = problem("neurological-signs", explanation)
    assert value("neurological_signs", sign, born=aged(90)) is True
    assert value("neurological_sign_unexplained", sign) is False
    assert value("neurological_sign_and_risk", sign, born=aged(90)) is False
    assert value("neurological_sign_and_risk", sign, problem("coeliac-disease"), born=aged(40)) is True


def test_an_unexplained_sign_beside_an_explained_one_counts_by_itself() -> None:
    signs = problem("mononeuropathy"), problem("neurological-signs")
    assert value("neurological_sign_and_risk", *signs, born=aged(60)) is True


@pytest.mark.parametrize(
    ("years", "concept", "counts"),
    [
        (59, "neurological-signs", False),
        (60, "neurological-signs", True),
        (60, "osteoporosis", True),
        (60, "osteopenia", False),
        (60, "diabetic-neuropathy", False),
        (74, "osteopenia", False),
        (75, "osteopenia", True),
    ],
)
def test_age_counts_from_60_with_a_sign_or_osteoporosis_and_by_itself_from_75(
    years: int, concept: str, counts: bool
) -> None:
    assert value("older_age", problem(concept), born=aged(years)) is counts


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        ((), False),
        ((problem("mechanical-heart-valve", "prosthetic-heart-valve"),), True),
        ((problem("prosthetic-heart-valve"),), None),
        ((problem("mechanical-heart-valve", "prosthetic-heart-valve", current=False),), False),
        ((problem("mechanical-heart-valve", "prosthetic-heart-valve", certain=False),), None),
    ],
)
def test_a_valve_whose_kind_is_not_stated_may_be_mechanical(
    problems: tuple[Problem, ...], expected: bool | None
) -> None:
    assert value("mechanical_valve", *problems) is expected
    assert value("anticoagulation_known_otherwise", *problems) is expected
    assert value("vitamin_k_dose_may_be_shown", *problems) is (None if expected is None else not expected)


@pytest.mark.parametrize(
    ("sex", "years", "counts"),
    [("female", 17, False), ("female", 18, True), ("female", 50, True), ("female", 51, False), ("male", 30, False)],
)
def test_who_is_of_childbearing_age(sex: str, years: int, counts: bool) -> None:
    patient = record(born=aged(years))
    patient = replace(patient, patient=replace(patient.patient, sex=sex))
    assert facts(patient)["childbearing_age"].value is counts


@pytest.mark.parametrize("concept", ["haemolysis", "dialysis", "pregnancy", "preconception-care"])
def test_folic_acid_must_go_on_for_these(concept: str) -> None:
    assert value("folic_acid_must_go_on", problem(concept)) is True


def test_a_provisional_pernicious_anaemia_is_neither_confirmed_nor_absent() -> None:
    provisional = problem("pernicious-anaemia", certain=False)
    assert value("pernicious_anaemia", provisional) is None
    assert value("pernicious_anaemia_unconfirmed", provisional) is True
    assert value("pernicious_anaemia_unconfirmed", problem("pernicious-anaemia")) is False


@pytest.mark.parametrize("concept", ["leber-optic-neuropathy", "tobacco-amblyopia", "leber-in-family"])
def test_an_optic_nerve_at_risk_is_known_by_disease_habit_or_family(concept: str) -> None:
    assert value("optic_nerve_at_risk", problem(concept)) is True
