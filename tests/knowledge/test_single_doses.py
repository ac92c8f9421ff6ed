"""A one-off dose of vitamin K, of any product and beside any antagonist, is never spoken of as continued intake."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.artifacts.worked_patients import WorkedPatient
from tests.support.worked_service import WorkedService, service

__all__ = ["service"]

_CONTINUED = {
    "en": re.compile(r"every day|same dose|stop the product|in 7 days|vegetables", re.IGNORECASE),
    "zh": re.compile(r"每日剂量固定|停用该产品|7 ?天后|蔬菜"),
}
_PRODUCTS = ("phytomenadione", "vitamin-k-unspecified", "menadione-derivative", "menaquinone-7")
_DOSES = st.sampled_from(["50 ug", "500 ug", "999 ug", "1 mg", "5 mg", "10 mg"])
_SINGLE = st.fixed_dictionaries(
    {
        "drug": st.sampled_from(_PRODUCTS),
        "dose": _DOSES,
        "route": st.sampled_from(["oral", "iv", "im", None]),
        "once": st.just(True),
    }
)
_INRS = st.sampled_from([[], [["inr", 1.3, "1", "-0d"]], [["inr", 2.4, "1", "-1d"]], [["inr", 5.2, "1", "-20d"]]])
_TAKEN = st.sampled_from(["active", "on-hold"])


def _patient(hook: str, **members: Any) -> WorkedPatient:
    return WorkedPatient.model_validate(
        {
            "id": "single-dose",
            "name": {"en": "One dose of vitamin K.", "zh": "单次维生素K。"},
            "patient": {"age": 70, "sex": "male"},
            "hook": hook,
            "expect": {},
            **members,
        }
    )


def _continued_words(service: WorkedService, worked: WorkedPatient) -> list[str]:
    return [
        found[0]
        for language, continued in _CONTINUED.items()
        for rule, card in service.ask(worked, language=language).by_rule.items()
        if rule.startswith("vka-")
        for text in (card["summary"], card["detail"])
        if (found := continued.search(text))
    ]


def _antagonist(status: str) -> dict[str, Any]:
    return {"drug": "vitamin-k-antagonist", "daily": "3 mg", "start": "-2y", "status": status}


@settings(deadline=None)
@given(_SINGLE, _INRS, _TAKEN)
def test_a_single_dose_that_is_drafted_is_not_told_to_be_taken_every_day(
    service: WorkedService, single: dict[str, Any], labs: list[Any], status: str
) -> None:
    worked = _patient("order-sign", labs=labs, medications=[_antagonist(status)], drafts=[single])
    assert _continued_words(service, worked) == []


@settings(deadline=None)
@given(_SINGLE, _INRS, _TAKEN, st.integers(1, 40))
def test_a_single_dose_that_was_given_is_not_told_to_be_taken_every_day(
    service: WorkedService, single: dict[str, Any], labs: list[Any], status: str, days: int
) -> None:
    taken = {**single, "start": f"-{days}d"}
    worked = _patient("patient-view", labs=labs, medications=[_antagonist(status), taken])
    assert _continued_words(service, worked) == []


@settings(deadline=None)
@given(_SINGLE, _INRS, st.integers(1, 40))
def test_an_antagonist_begun_after_a_single_dose_leaves_nothing_to_stop(
    service: WorkedService, single: dict[str, Any], labs: list[Any], days: int
) -> None:
    taken = {**single, "start": f"-{days}d"}
    draft = {"drug": "vitamin-k-antagonist", "daily": "3 mg", "route": "oral"}
    worked = _patient("order-sign", labs=labs, medications=[taken], drafts=[draft])
    cards = service.ask(worked).by_rule
    assert "stop-vitk" not in [offer for card in cards.values() for offer in service.offered(card)]
    if "vka-started-on-vitk" in cards:
        assert _continued_words(service, worked) == []


@pytest.mark.parametrize("hook", ["order-sign", "patient-view"])
def test_the_words_of_continued_intake_stand_beside_a_daily_dose(service: WorkedService, hook: str) -> None:
    daily = {"drug": "menaquinone-7", "daily": "100 ug", "route": "oral", "start": "-10d"}
    antagonist = _antagonist("active")
    if hook == "order-sign":
        worked = _patient(hook, medications=[antagonist], drafts=[daily])
    else:
        worked = _patient(hook, medications=[antagonist, daily])
    assert _continued_words(service, worked)
