"""The sample patients with their resources broken in every way: always answered, never with advice out of garbage."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.fuzz.bodies import CANARY, Json, broken, calls, places, sample_patients
from tests.fuzz.fuzzers import FOUND, fuzzing

Ask = Callable[[Any], list[TestResponse]]
CALLS = calls(sample_patients())
NOTHING = {"resourceType": "Bundle", "type": "searchset", "total": 0}


def rules(answers: list[TestResponse]) -> set[str]:
    """The rules that speak; a card that only says what could not be read is no advice."""
    cards = [card for answer in answers if answer.status_code == 200 for card in answer.json["cards"]]
    return {card["extension"]["cds-service.rule"]["id"] for card in cards} - {"data-incomplete"}


def results(body: Json) -> list[Json]:
    return [entry["resource"] for entry in body["prefetch"]["labs"].get("entry", [])]


@pytest.mark.row("REQ-14", "PFD-15", "TOY-05")
@fuzzing
@given(body=broken(CALLS))
def test_broken_resources_are_answered(ask: Ask, body: Json) -> None:
    ask(body)


@pytest.mark.row("REQ-14")
@fuzzing
@given(
    number=st.integers(0, len(CALLS) - 1),
    where=st.integers(0, 10**6),
    what=st.binary(max_size=6),
    length=st.integers(0, 40),
)
def test_calls_with_bytes_changed_are_answered(ask: Ask, number: int, where: int, what: bytes, length: int) -> None:
    text = json.dumps(CALLS[number]).encode()
    where %= len(text)
    ask(text[:where] + what + text[where + length :])


def _unit(result: Json) -> None:
    quantity = result.get("valueQuantity", {})
    if quantity.get("code") == "1":
        quantity |= {"unit": "%", "code": "%"}  # a ratio has no unit to lose
        return
    for name in ("unit", "code", "system"):
        quantity.pop(name, None)


def _value(result: Json) -> None:
    result["valueQuantity"] = {"value": CANARY, "unit": "pg/mL"}


def _other_unit(result: Json) -> None:
    result["valueQuantity"] = result.get("valueQuantity", {}) | {"unit": "lightyear", "code": "[ly]"}


def _erroneous(result: Json) -> None:
    result["status"] = "entered-in-error"


def _somebody_else(result: Json) -> None:
    result["subject"] = {"reference": "Patient/somebody-else"}


def _infinite(result: Json) -> None:
    result["valueQuantity"] = result.get("valueQuantity", {}) | {"value": 10**400}


SPOILT = [_unit, _value, _other_unit, _erroneous, _somebody_else, _infinite]


@pytest.mark.row("TOY-01")
@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_results_that_cannot_be_used_make_no_card_speak(ask: Ask, number: int, spoil: Callable[[Json], None]) -> None:
    """Cards that remain are those that speak without any result as well."""
    body, without, unread = (deepcopy(CALLS[number]) for _ in range(3))
    for result in results(body):
        spoil(result)
    without["prefetch"]["labs"] = NOTHING
    del unread["prefetch"]["labs"]
    assert rules(ask(body)) <= rules(ask(without)) | rules(ask(unread))


def test_the_same_calls_unspoilt_speak_of_results(ask: Ask) -> None:
    """Else the silence of the spoilt ones would mean nothing."""
    silent = [body | {"prefetch": body["prefetch"] | {"labs": NOTHING}} for body in CALLS]
    assert sum(rules(ask(body)) > rules(ask(less)) for body, less in zip(CALLS, silent, strict=True)) >= 6


@pytest.mark.row("CTX-09", "TOY-09")
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_chart_of_somebody_else_makes_no_card_speak(ask: Ask, number: int) -> None:
    body = deepcopy(CALLS[number])
    for container, key in list(places(body["prefetch"])):
        if isinstance(container, dict) and key in ("subject", "patient") and isinstance(container[key], dict):
            container[key] = {"reference": "Patient/somebody-else"}
    empty = deepcopy(CALLS[number])
    empty["prefetch"] = {key: value if key == "patient" else NOTHING for key, value in empty["prefetch"].items()}
    assert rules(ask(body)) <= rules(ask(empty))


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.json")), ids=lambda path: path.stem)
def test_what_a_fuzzer_found_once_is_answered(ask: Ask, path: Any) -> None:
    """Cases that failed, kept by `make fuzz`."""
    text = path.read_bytes()
    try:
        ask(json.loads(text))
    except ValueError:
        ask(text)
