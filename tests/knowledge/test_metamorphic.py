"""Worked patients told in another way get the same cards; told without what a card rests on, they lose it."""

from __future__ import annotations

import copy
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.artifacts.vocabulary import Condition
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.sandbox.patients import PREFETCH
from tests.support.rewritten import REWRITINGS, b12_in, b12_preliminary, lists, recoded, shifted
from tests.support.worked_service import (
    WORKED,
    Outcome,
    WorkedService,
    noon,
    over_files,
    rule_id,
    service,
    signature,
)

__all__ = ["service"]

# The session's service is made once and holds no patient data, so examples may share it.
bounded = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
any_patient = st.sampled_from(WORKED)
each_with_b12 = over_files(lambda w: any(lab.test == "serum-vitamin-b12" for lab in w.labs))
each_with_antagonist = over_files(
    lambda w: any(use.drug == "vitamin-k-antagonist" for use in (*w.medications, *w.drafts))
)


def request_of(service: WorkedService, worked: WorkedPatient) -> dict[str, Any]:
    return copy.deepcopy(service.request(worked, service.resources(worked)))


def ask(service: WorkedService, worked: WorkedPatient, request: dict[str, Any], days: int = 0) -> Outcome:
    return service.ask_with(worked, request, noon(worked) + timedelta(days=days))


@bounded
@given(worked=any_patient, random=st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(service: WorkedService, worked: WorkedPatient, random: Any) -> None:
    request = request_of(service, worked)
    for bundle in lists(request):
        if "entry" in bundle:
            random.shuffle(bundle["entry"])
    assert signature(service, ask(service, worked, request)) == service.as_written(worked)


@pytest.mark.row("CTX-09")
@bounded
@given(worked=any_patient, other=any_patient)
def test_resources_of_another_patient_do_not_matter(
    service: WorkedService, worked: WorkedPatient, other: WorkedPatient
) -> None:
    if other.id == worked.id:
        other = next(patient for patient in WORKED if patient.id != worked.id)
    request, foreign = request_of(service, worked), service.resources(other)
    for key, kind in PREFETCH.items():
        bundle = request["prefetch"][key]
        if not bundle.get("entry"):
            continue  # a list of somebody else's entries alone counts as not read
        entries = [*({"resource": resource} for resource in foreign.by_type[kind]), *bundle["entry"]]
        bundle.update(entry=entries, total=len(entries))
    assert signature(service, ask(service, worked, request)) == service.as_written(worked)


@bounded
@given(worked=any_patient, days=st.integers(-3000, 3000))
def test_only_the_distance_of_dates_matters(service: WorkedService, worked: WorkedPatient, days: int) -> None:
    request = shifted(request_of(service, worked), days)
    assert signature(service, ask(service, worked, request, days)) == service.as_written(worked)


@bounded
@given(worked=any_patient, random=st.randoms(use_true_random=False))
def test_the_code_system_does_not_matter(service: WorkedService, worked: WorkedPatient, random: Any) -> None:
    request = request_of(service, worked)
    recoded(request, service.knowledge.terminology, random)
    assert signature(service, ask(service, worked, request)) == service.as_written(worked)


def test_most_worked_patients_can_be_told_in_another_code_system(service: WorkedService) -> None:
    told = [recoded(request_of(service, w), service.knowledge.terminology, Random(1)) for w in WORKED]
    assert sum(count > 0 for count in told) > len(WORKED) / 2


@pytest.mark.row("TOY-08", "TOY-05")
@pytest.mark.parametrize("rewriting", REWRITINGS)
@over_files()
def test_another_shape_of_the_same_record_gets_the_same_cards(
    service: WorkedService, worked: WorkedPatient, rewriting: str
) -> None:
    request = request_of(service, worked)
    REWRITINGS[rewriting](request)
    assert signature(service, ask(service, worked, request)) == service.as_written(worked)


@pytest.mark.parametrize("unit", ["pmol/L", "ng/L", "ng/dL"])
@each_with_b12
def test_the_unit_of_b12_does_not_matter(service: WorkedService, worked: WorkedPatient, unit: str) -> None:
    request = request_of(service, worked)
    b12_in(request, unit, service.knowledge)
    assert signature(service, ask(service, worked, request)) == service.as_written(worked)


@over_files()
def test_nothing_is_shown_for_the_deceased(service: WorkedService, worked: WorkedPatient) -> None:
    request = request_of(service, worked)
    request["prefetch"]["patient"].pop("deceasedBoolean", None)
    request["prefetch"]["patient"]["deceasedDateTime"] = worked.as_of.isoformat()
    assert ask(service, worked, request).cards == []


@over_files()
def test_at_the_age_of_17_only_rules_for_every_age_speak(service: WorkedService, worked: WorkedPatient) -> None:
    request = request_of(service, worked)
    request["prefetch"]["patient"]["birthDate"] = worked.as_of.replace(year=worked.as_of.year - 17).isoformat()
    at_every_age = {rule.id for rule in service.knowledge.rules.values() if rule.applies}
    assert {rule_id(card) for card in ask(service, worked, request).cards} <= at_every_age


@each_with_b12
def test_a_preliminary_b12_carries_no_card(service: WorkedService, worked: WorkedPatient) -> None:
    request = request_of(service, worked)
    b12_preliminary(request, service.knowledge)
    resting_on_b12 = {
        rule.id
        for rule in service.knowledge.rules.values()
        if any(_rests_on(rule.when, fact) for fact in ("b12_is_low", "b12_is_borderline", "b12_looks_normal"))
    }
    assert resting_on_b12
    assert not {rule_id(card) for card in ask(service, worked, request).cards} & resting_on_b12


def _rests_on(when: Condition, fact: str) -> bool:
    """Whether a condition cannot be true unless this fact is."""
    if when.fact is not None:
        return when.fact == fact and when.is_ is True
    if when.all is not None:
        return any(_rests_on(part, fact) for part in when.all)
    return when.any is not None and all(_rests_on(part, fact) for part in when.any)


@each_with_antagonist
def test_a_direct_oral_anticoagulant_instead_removes_every_card_about_antagonists(
    service: WorkedService, worked: WorkedPatient
) -> None:
    swapped = worked.model_copy(
        update={
            "medications": [_swapped(use) for use in worked.medications],
            "drafts": [_swapped(draft) for draft in worked.drafts],
        }
    )
    assert not [rule for rule in service.ask(swapped).by_rule if rule.startswith("vka-")]


def _swapped(use: Any) -> Any:
    if use.drug != "vitamin-k-antagonist":
        return use
    return use.model_copy(update={"drug": "direct-oral-anticoagulant", "text": None, "code": None})


def test_every_worked_patient_that_fails_is_named_and_the_others_are_checked() -> None:
    checked: list[str] = []

    @over_files()
    def test(worked: WorkedPatient) -> None:
        checked.append(worked.id)
        assert worked.id == second

    patients = WORKED[:3]
    first, second, third = (worked.id for worked in patients)
    with pytest.raises(ExceptionGroup, match="2 of 3") as found:
        test(worked=patients)
    assert checked == [first, second, third]
    named = [failure.__notes__ for failure in found.value.exceptions]
    assert named == [[f"worked patient: {first}"], [f"worked patient: {third}"]]
