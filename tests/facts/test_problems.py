"""Conditions to facts: what counts as current, in which time, how certain, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.facts.fact import Fact, FactTable
from cds_service.quantity import point
from cds_service.record import PatientRecord, Problem
from cds_service.rules.derive import derivers
from tests.support.kb import NOW, ago, knowledge, knowledge_with, problem, record

LIMITS = {"window": 14.0}


def fact(patient: PatientRecord, definition: Mapping[str, Any]) -> Fact:
    made = FactDefinition.model_validate({"label": {"en": "A fact", "zh": "事实"}, **definition})
    table = FactTable(patient, NOW, derivers(knowledge_with(facts={**knowledge().facts, "asked": made})), LIMITS)
    return table["asked"]


def told(*problems: Problem, **definition: Any) -> Fact:
    return fact(record(problems=problems), {"condition": ["active-bleeding"], **definition})


def bleeding(**members: Any) -> Problem:
    return problem("active-bleeding", **members)


@pytest.mark.parametrize(
    ("members", "counts"),
    [
        ({"since": ago(14)}, True),
        ({"since": ago(15)}, False),
        ({"since": ago(1500), "recorded": ago(14)}, True),  # an old bleeding that is entered again
        ({"since": ago(15), "recorded": ago(15)}, False),
        ({}, True),  # nobody who treats a bleeding is interrupted for want of a date
        ({"since": ago(-3)}, True),  # a day that has not come is no date
        ({"current": False}, False),
        ({"since": ago(1), "current": False}, False),
    ],
)
def test_a_condition_in_a_window_counts_by_onset_or_entry_and_without_a_date(
    members: dict[str, Any], counts: bool
) -> None:
    assert told(bleeding(**members), within="window").value is counts


def test_a_provisional_diagnosis_leaves_the_fact_unknown_and_a_confirmed_one_beside_it_settles_it() -> None:
    open_ = told(bleeding(certain=False))
    assert (open_.value, open_.missing and open_.missing.kind) == (None, "unclear")
    assert open_.missing is not None
    assert not open_.missing.may_exist
    assert told(bleeding(certain=False), bleeding(reference="Condition/2")).value is True


def test_only_unconfirmed_is_asked_for_apart_from_a_confirmed_diagnosis() -> None:
    assert told(bleeding(certain=False), unconfirmed=True).value is True
    assert told(bleeding(), unconfirmed=True).value is False
    assert told(bleeding(certain=False), bleeding(reference="Condition/2"), unconfirmed=True).value is False
    assert told(unconfirmed=True).value is False


def test_beside_an_incomplete_list_a_provisional_diagnosis_may_still_be_settled() -> None:
    patient = record(problems=(bleeding(certain=False),), incomplete=("conditions",))
    missing = fact(patient, {"condition": ["active-bleeding"]}).missing
    assert missing is not None
    assert missing.may_exist


def test_an_entry_that_also_belongs_to_a_set_left_out_does_not_count() -> None:
    both = problem("active-bleeding", "pregnancy")
    assert told(both, without=["pregnancy"]).value is False
    assert told(both, bleeding(reference="Condition/2"), without=["pregnancy"]).value is True


def test_the_days_since_a_condition_are_counted_from_its_latest_or_its_earliest_date() -> None:
    found = (bleeding(since=ago(40), recorded=ago(10)), bleeding(since=ago(20), reference="Condition/2"))
    latest, first = (told(*found, take=take, unit="d") for take in ("days_since_last_date", "days_since_onset"))
    assert (latest.value, latest.on) == (point(10), ago(10))
    assert (first.value, first.on) == (point(40), ago(40))


@pytest.mark.parametrize(
    ("found", "kind"), [((), "absent"), ((bleeding(),), "unstated"), ((bleeding(certain=False),), "unclear")]
)
def test_days_since_a_condition_that_is_not_there_or_not_dated_are_unknown(
    found: tuple[Problem, ...], kind: str
) -> None:
    days = told(*found, take="days_since_last_date", unit="d")
    assert days.value is None
    assert days.missing is not None
    assert days.missing.kind == kind
