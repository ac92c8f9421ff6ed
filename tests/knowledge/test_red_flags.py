"""A red flag in a record stays one: what could explain it away may lower a card, and never takes it off the screen.

Ten invented patients, each with one red flag, and what usually silences advice. Nothing of it may silence these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.artifacts.worked_patients import WorkedPatient
from tests.support.worked_service import Outcome, WorkedService, noon, rule_id, service

__all__ = ["service"]

Json = dict[str, Any]

SIGNS = "neurological-signs@-30d"
WARFARIN = {"drug": "vitamin-k-antagonist", "daily": "4 mg", "start": "-300d"}

FLAGS: dict[str, Json] = {
    "very low B12 with neurological signs": {
        "labs": [["serum-vitamin-b12", 90, "pg/mL", "-10d"]],
        "conditions": [SIGNS],
    },
    "low active B12 with neurological signs": {
        "labs": [["active-vitamin-b12", 15, "pmol/L", "-10d"]],
        "conditions": [SIGNS],
    },
    "high MMA with neurological signs": {
        "labs": [["serum-vitamin-b12", 240, "pg/mL", "-10d"], ["methylmalonic-acid", 3.6, "umol/L", "-10d"]],
        "conditions": [SIGNS],
    },
    "nitrous oxide with neurological signs": {"conditions": ["nitrous-oxide-misuse@-30d", SIGNS]},
    "subacute combined degeneration": {"conditions": ["subacute-combined-degeneration@-20d"]},
    "menatetrenone on an antagonist": {
        "medications": [WARFARIN, {"drug": "menatetrenone", "daily": "45 mg", "start": "-20d"}],
    },
    "very high INR after MK-7": {
        "labs": [["inr", 9, "1", "-1d"]],
        "medications": [
            WARFARIN,
            {"drug": "menaquinone-7", "daily": "100 ug", "start": "-200d", "end": "-10d", "status": "stopped"},
        ],
    },
    "cyanocobalamin with Leber's neuropathy": {
        "conditions": ["leber-optic-neuropathy"],
        "drafts": [{"drug": "cyanocobalamin", "daily": "1 mg", "route": "oral"}],
    },
    "folic acid beside a low B12": {
        "labs": [["serum-vitamin-b12", 130, "pg/mL", "-10d"]],
        "drafts": [{"drug": "folic-acid", "daily": "5 mg", "route": "oral"}],
    },
}  # fmt: skip
OF_VITAMIN_K = ("menatetrenone on an antagonist", "very high INR after MK-7")

Change = Callable[[Json], None]


def _with(member: str, *entries: Any) -> Change:
    def change(patient: Json) -> None:
        patient[member] = [*patient.get(member, []), *entries]

    return change


def _pregnant(patient: Json) -> None:
    patient["patient"] = {"age": 30, "sex": "female"}
    _with("conditions", "pregnancy@-60d")(patient)


def _of_unknown_age(patient: Json) -> None:
    patient["patient"] = {"age": None, "sex": "male"}


def _same_tests_pending(patient: Json) -> None:
    tests = [test for test, *_ in patient.get("labs", [])] or ["serum-vitamin-b12"]
    _with("pending", *(f"{test}@-2d" for test in tests))(patient)


def _newer_results_unusable(patient: Json) -> None:
    _with("labs", *({"test": test, "value": None, "date": "-1d"} for test, *_ in patient.get("labs", [])))(patient)


def _withdrawn_twins(patient: Json) -> None:
    """Beside each result the same one a day later, entered in error."""
    twins = [
        {"test": test, "value": value, "unit": unit, "date": "-1d", "status": "entered-in-error"}
        for test, value, unit, _ in patient.get("labs", [])
    ]
    _with("labs", *twins)(patient)


_UNNAMED_B12 = {"drug": "cyanocobalamin", "text": "Vitamin B12 tablets", "code": {"system": "", "code": "b12"}}
SUPPRESSORS: dict[str, Change] = {
    "pregnancy": _pregnant,
    "slightly low eGFR": _with("labs", ["egfr", 58, "mL/min/{1.73_m2}", "-5d"]),
    "B12 of unknown dose": _with("medications", _UNNAMED_B12 | {"route": "oral", "start": "-100d"}),
    "B12 injection ordered ten years ago": _with(
        "medications", {"drug": "hydroxocobalamin", "dose": "1 mg", "route": "im", "as": "order", "start": "-3650d"}
    ),
    "same tests pending": _same_tests_pending,
    "withdrawn twins": _withdrawn_twins,
    "unknown age": _of_unknown_age,
    "palliative care": _with("conditions", "palliative-care@-10d"),
    "newer results unusable": _newer_results_unusable,
    "direct oral anticoagulant": _with("medications", {"drug": "direct-oral-anticoagulant", "start": "-30d"}),
}


def patient_with(flag: Json, change: Change | None = None) -> WorkedPatient:
    told: Json = {
        "id": "flagged",
        "name": {"en": "A red flag.", "zh": "警示征象。"},
        "patient": {"age": 66, "sex": "male"},
        "hook": "order-sign" if "drafts" in flag else "patient-view",
        "expect": {},
        **flag,
    }
    if change is not None:
        change(told)
    return WorkedPatient.model_validate(told)


def cards_on_the_flag(outcome: Outcome, flag: str) -> list[str]:
    topic = "vitamin-k" if flag in OF_VITAMIN_K else "vitamin-b12"
    cards = [
        card for name, response in outcome.responses.items() if name.startswith(topic) for card in response["cards"]
    ]
    return [rule_id(card) for card in cards if card["indicator"] != "info"]


@pytest.mark.parametrize("flag", FLAGS)
def test_a_red_flag_speaks(service: WorkedService, flag: str) -> None:
    assert cards_on_the_flag(service.ask(patient_with(FLAGS[flag])), flag)


@pytest.mark.parametrize("suppressor", SUPPRESSORS)
@pytest.mark.parametrize("flag", FLAGS)
def test_nothing_that_silences_advice_silences_a_red_flag(service: WorkedService, flag: str, suppressor: str) -> None:
    assert cards_on_the_flag(service.ask(patient_with(FLAGS[flag], SUPPRESSORS[suppressor])), flag)


# The lists that hold a red flag; without one of them there is no flag to see.
_HOLD: dict[str, tuple[str, ...]] = {
    "labs": ("labs",),
    "conditions": ("conditions",),
    "medications": ("medicationStatements", "medicationRequests"),
    "drafts": (),
}


def _each_unsent() -> Iterator[tuple[str, str]]:
    lists = (
        "labs",
        "medicationRequests",
        "medicationStatements",
        "conditions",
        "procedures",
        "serviceRequests",
        "goals",
    )
    for flag, told in FLAGS.items():
        holding = {key for member in told for key in _HOLD[member]}
        yield from ((flag, key) for key in lists if key not in holding)


@pytest.mark.parametrize(("flag", "unsent"), list(_each_unsent()))
def test_a_list_that_is_not_sent_silences_no_red_flag_of_another(
    service: WorkedService, flag: str, unsent: str
) -> None:
    patient = patient_with(FLAGS[flag])
    request = service.request(patient, service.resources(patient))
    del request["prefetch"][unsent]
    topic = "vitamin-k" if flag in OF_VITAMIN_K else "vitamin-b12"
    assert cards_on_the_flag(service.ask_with(patient, request, noon(patient), topic=topic), flag)


# --- A mechanical valve: here the flag is what must not be offered --------------------------------------------------


@pytest.mark.parametrize("suppressor", SUPPRESSORS)
def test_no_dose_of_vitamin_k_is_shown_to_a_patient_with_a_mechanical_valve(
    service: WorkedService, suppressor: str
) -> None:
    told = {"labs": [["inr", 2.6, "1", "-2d"]], "conditions": ["mechanical-heart-valve", "malnutrition"]}
    for card in service.ask(patient_with(told, SUPPRESSORS[suppressor])).cards:
        offered = " ".join(one["label"] for one in card.get("suggestions", []))
        assert "vitamin K1" not in offered
        assert "phytomenadione" not in card.get("detail", "").lower()
        assert " mg" not in card.get("detail", "")
