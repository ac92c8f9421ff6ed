"""No two cards of one patient say the opposite of each other, over all hooks and for every pair of rules.

Besides the worked patients, each pair of rules gets a generated patient: one who has what both rules speak of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from itertools import combinations, product
from typing import Any, NamedTuple

import msgspec
import pytest

from cds_service.artifacts.worked_patients import AS_OF, WorkedPatient
from cds_service.fhir.bundle import Entry, ListResult
from cds_service.fhir.read.record import read_record
from cds_service.record import PatientRecord
from cds_service.record_lists import RECORD_LISTS
from tests.support.worked_service import BESIDE, WORKED, WorkedService, noon, service

pytestmark = pytest.mark.slow

__all__ = ["service"]

CHART_HOOKS = ("patient-view", "encounter-start", "encounter-discharge")


class Told(NamedTuple):
    """One card: its rule and variant, what it offers and recommends, and all that it says."""

    rule: str
    variant: str
    offered: frozenset[str]
    recommended: frozenset[str]
    text: str

    def __str__(self) -> str:
        return f"{self.rule}/{self.variant}"


Said = Callable[[Told], bool]


def recommends(*orders: str) -> Said:
    return lambda card: not card.recommended.isdisjoint(orders)


def offers(*orders: str) -> Said:
    return lambda card: not card.offered.isdisjoint(orders)


def says(pattern: str) -> Said:
    found = re.compile(pattern)
    return lambda card: found.search(card.text) is not None


# Both halves may be true of two cards, or of one.
CONTRADICTIONS: dict[str, tuple[Said, Said]] = {
    "B12 injected and B12 swallowed, each recommended": (
        recommends("b12-im-regimen", "b12-sc-regimen"),
        recommends("b12-oral-1000", "b12-sl-1000"),
    ),
    "an injection into a muscle recommended, and none to be given": (
        recommends("b12-im-regimen"),
        says(r"(?i)\b(no injection into a muscle|do not give IM)"),
    ),
    "folic acid held and continued": (offers("hold-folate"), says(r"(?i)\bcontinue folic acid|folic acid goes on")),
    "cyanocobalamin replaced and cyanocobalamin begun": (
        offers("replace-hydroxocobalamin"),
        offers("b12-sc-regimen"),
    ),
    "a dose of vitamin K beside an antagonist": (says(r"mg by mouth, or .* IV"), says(r"(Antagonist|On hold): ")),
    "no anticoagulant on the list, and one named": (
        says(r"(?i)no anticoagulant is on the list|no anticoagulant on the list, risk"),
        says(r"(Antagonist|On hold|On an anticoagulant \(|Anticoagulant): "),
    ),
    "no B12 on the list, and one named": (
        says(r"no replacement is on the list|no replacement on the list|none is on the list"),
        says(r"B12 on the list, dose or use unclear"),
    ),
    "treat without waiting, and interpret first": (says(r"(?i)do not wait"), says(r"(?i)interpret before giving B12")),
}


def _both(one: WorkedPatient, other: WorkedPatient) -> WorkedPatient:
    """The first patient, who has what the other has, too."""
    lists = ("labs", "conditions", "procedures", "family", "allergies", "medications", "pending", "drafts")
    joined = {name: [*getattr(one, name), *getattr(other, name)] for name in lists}
    return one.model_copy(update={**joined, "id": "both", "enable": sorted({*one.enable, *other.enable})})


def _told_most(service: WorkedService) -> dict[tuple[str, str], WorkedPatient]:
    """For each variant of each rule its first patient, of those who are judged on the usual day."""
    found: dict[tuple[str, str], WorkedPatient] = {}
    for rule, patients in BESIDE.items():
        for worked in patients:
            if rule in worked.expect and worked.as_of == AS_OF:
                card = service.ask(worked).by_rule[rule]
                found.setdefault((rule, _variant(card)), worked)
    return found


def _variant(card: dict[str, Any]) -> str:
    return str(card["extension"].get("cds-service.rule", {}).get("variant", ""))


@cache
def patients(service: WorkedService) -> dict[str, WorkedPatient]:
    """All worked patients, and one for each pair of variants of two rules, by name."""
    named = {worked.id: worked for worked in WORKED}
    for ((rule, variant), one), ((other_rule, other_variant), other) in combinations(_told_most(service).items(), 2):
        if rule != other_rule:
            named[f"{rule}/{variant} and {other_rule}/{other_variant}"] = _both(one, other)
    return named


def at_every_hook(worked: WorkedPatient) -> Iterator[WorkedPatient]:
    """The patient at each hook: with the drafts where orders are written, without them where a chart is opened."""
    for hook in CHART_HOOKS:
        yield worked.model_copy(update={"hook": hook, "drafts": []})
    if worked.drafts:
        yield worked.model_copy(update={"hook": "order-sign"})


@cache
def cards_of(service: WorkedService, name: str) -> tuple[Told, ...]:
    """What the patient's cards say, over all hooks; each once."""
    told = {
        Told(
            rule,
            _variant(card),
            frozenset(service.offered(card)),
            frozenset(service.recommended(card)),
            f"{card['summary']}\n{card.get('detail', '')}",
        ): None
        for at_hook in at_every_hook(patients(service)[name])
        for rule, card in service.ask(at_hook).by_rule.items()
    }
    return tuple(told)


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_no_two_cards_of_a_patient_contradict_each_other(service: WorkedService, contradiction: str) -> None:
    one, other = CONTRADICTIONS[contradiction]
    found = [
        f"{name}: {first} against {second}"
        for name in patients(service)
        for first, second in product(filter(one, cards_of(service, name)), filter(other, cards_of(service, name)))
    ]
    assert found == []


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_each_half_of_a_contradiction_is_said_to_somebody(service: WorkedService, contradiction: str) -> None:
    """A half that nobody is told would make its contradiction a test of nothing."""
    for half in CONTRADICTIONS[contradiction]:
        assert any(half(card) for name in patients(service) for card in cards_of(service, name))


def test_a_card_of_a_single_dose_says_nothing_of_every_day(service: WorkedService) -> None:
    continued = says(r"(?i)same dose every day|in 7 days")
    single = [
        (name, card)
        for name in patients(service)
        for card in cards_of(service, name)
        if card.variant.startswith("single-dose")
    ]
    assert single
    assert [f"{name}: {card}" for name, card in single if continued(card)] == []


def test_no_test_is_ordered_whose_result_is_still_fresh(service: WorkedService) -> None:
    wrong = []
    for name, worked in patients(service).items():
        record = _record(service, worked)
        for card in cards_of(service, name):
            for key in sorted(card.offered):
                test = service.knowledge.orders[key].test
                if test is None or test.due_in is not None or test.fresh_within is None:
                    continue
                days = service.knowledge.thresholds[test.fresh_within].at(worked.as_of)
                since = worked.as_of - timedelta(days=days)
                if any(_resulted(record, concept, since) for concept in (test.observation, *test.also_fresh)):
                    wrong.append(f"{name}: {card} offers {key}")
    assert wrong == []


def _resulted(record: PatientRecord, concept: str, since: Any) -> bool:
    return any(
        result.value is not None and result.effective is not None and result.effective >= since
        for result in record.labs.get(concept, ())
    )


def _record(service: WorkedService, worked: WorkedPatient) -> PatientRecord:
    resources = service.resources(worked)
    lists = [ListResult((), [Entry(msgspec.Raw(msgspec.json.encode(resources.patient)), "", "Patient")])]
    for row in RECORD_LISTS:
        entries = [Entry(msgspec.Raw(msgspec.json.encode(one)), "", row.type) for one in resources.by_type[row.type]]
        lists.append(ListResult((row.source,), entries, ()))
    record = read_record(worked.id, lists, service.knowledge.terminology, service.knowledge.units)
    return record.known_on(noon(worked).date())
