"""No card speaks of a dose of vitamin K where a vitamin K antagonist was ever listed, or a mechanical valve is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.artifacts.worked_patients import WorkedPatient
from tests.support.worked_service import WorkedService, service

__all__ = ["service"]

# As the card prints it: a deficiency is treated with 5 to 10 mg by mouth, or 1 mg into a vein.
_DOSE = {"en": re.compile(r"mg by mouth|\d mg IV"), "zh": re.compile(r"口服\d|静脉\W*缓慢\W*\d")}

_ANTAGONISTS = st.sampled_from(
    [
        {"drug": "vitamin-k-antagonist"},
        {"drug": "vitamin-k-antagonist", "text": "Acenocoumarol 1 mg"},
        {"drug": "phenprocoumon", "text": "Marcumar 3 mg"},
        {"drug": "vitamin-k-antagonist", "text": "Fluindione 20 mg"},
        {"text": "华法林钠片 2.5 mg"},
    ]
)
_STATUSES = st.sampled_from(
    ["active", "on-hold", "stopped", "completed", "unknown", "entered-in-error", "cancelled", "as told"]
)
_DAYS = st.fixed_dictionaries(
    {}, optional={"start": st.sampled_from(["-3d", "-40d", "-900d", "-15y"]), "end": st.just("-2d")}
)
_BLEEDING = st.sampled_from([[], ["active-bleeding@-1d"]])
_VALVES = st.sampled_from(
    [
        {"conditions": ["mechanical-heart-valve"]},
        {"conditions": ["prosthetic-heart-valve"]},
        {"procedures": [{"concept": "mechanical-heart-valve", "date": "-5y"}]},
    ]
)
_INRS = st.sampled_from([1.5, 2.6, 4.4, 5.2, 9.0])


def _patient(inr: float, conditions: list[Any], **members: Any) -> WorkedPatient:
    return WorkedPatient.model_validate(
        {
            "id": "dose-of-vitamin-k",
            "name": {"en": "A raised INR in cystic fibrosis.", "zh": "囊性纤维化伴INR升高。"},
            "patient": {"age": 34, "sex": "female"},
            "labs": [["inr", inr, "1", "-1d"]],
            "conditions": ["cystic-fibrosis", *conditions],
            "hook": "patient-view",
            "expect": {},
            **members,
        }
    )


def _says_a_dose(service: WorkedService, worked: WorkedPatient) -> bool:
    return any(
        dose.search(card["detail"])
        for language, dose in _DOSE.items()
        for card in service.ask(worked, language=language).cards
        if "detail" in card
    )


@settings(deadline=None)
@given(_ANTAGONISTS, _STATUSES, _DAYS, _INRS, _BLEEDING)
def test_no_dose_is_shown_where_an_antagonist_was_ever_listed(
    service: WorkedService,
    antagonist: dict[str, Any],
    status: str,
    days: dict[str, Any],
    inr: float,
    bleeding: list[Any],
) -> None:
    listed = {**antagonist, **days, "status": status}
    assert not _says_a_dose(service, _patient(inr, bleeding, medications=[listed]))


@settings(deadline=None)
@given(_VALVES, _INRS, _BLEEDING)
def test_no_dose_is_shown_where_a_valve_is_or_may_be_mechanical(
    service: WorkedService, valve: dict[str, Any], inr: float, bleeding: list[Any]
) -> None:
    conditions = [*bleeding, *valve.get("conditions", [])]
    assert not _says_a_dose(service, _patient(inr, conditions, procedures=valve.get("procedures", [])))


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        pytest.param({"start": "-1y"}, False, id="in use"),
        pytest.param({"start": "-1y", "status": "on-hold"}, False, id="on hold"),
        pytest.param({"start": "-1y", "status": "stopped"}, False, id="stopped on an unknown day"),
        pytest.param({"start": "-1y", "status": "unknown"}, False, id="of unknown status"),
        pytest.param({"start": "-1y", "end": "-7d", "status": "stopped"}, False, id="stopped seven days ago"),
        pytest.param({"start": "-1y", "end": "-8d", "status": "stopped"}, True, id="surely over"),
        pytest.param(None, True, id="never"),
    ],
)
def test_after_another_anticoagulant_a_dose_waits_until_it_is_surely_over(
    service: WorkedService, other: dict[str, Any] | None, shown: bool
) -> None:
    medications = [] if other is None else [{"drug": "direct-oral-anticoagulant", "daily": "10 mg", **other}]
    assert _says_a_dose(service, _patient(2.6, [], medications=medications)) is shown
