"""Missing is never no: a medicine whose status, dose or day cannot be read is not taken for one that is not used.

Over all worked patients as FHIR: whatever a medicine establishes is not denied when a member of its entry becomes
unreadable, and one whose day is moved ten years back establishes no more than before.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.facts.fact import FactTable, Value
from cds_service.fhir.bundle import Entry, ListResult
from cds_service.fhir.read.record import read_record
from cds_service.quantity import Interval
from cds_service.record_lists import RECORD_LISTS
from cds_service.rules.derive import derivers, limits
from cds_service.sandbox.patients import WorkedResources
from tests.support.kb import knowledge
from tests.support.worked_service import WORKED, WorkedService, noon, service

__all__ = ["service"]

DERIVERS = derivers(knowledge())
MEDICINES = ("MedicationRequest", "MedicationStatement")
# Facts of the use of a product that is stated, not of what is drafted or compared with it.
STATES = {"active", "held", "recent", "given", "listed", "perhaps_active"}
TAKEN = [
    name
    for name, fact in knowledge().facts.items()
    if fact.medication
    and fact.state in STATES
    and fact.take in ("exists", "daily_total", "highest_daily_total")
    # A product with a known dose is one fact, one of unknown dose another.
    and fact.dose is None
    and not {"reversal", "past_reversal", "single_dose", "replacement", "unclear_b12"} & {*fact.except_, fact.only}
]
COVER = "takes_b12_therapy"


def unreadable_status(entry: dict[str, Any]) -> None:
    entry["status"] = "as told"


def no_status(entry: dict[str, Any]) -> None:
    del entry["status"]


def unreadable_dosage(entry: dict[str, Any]) -> None:
    for member in ("dosageInstruction", "dosage"):
        for dosage in entry.get(member, ()):
            route = {"route": dosage["route"]} if "route" in dosage else {}
            dosage.clear()
            dosage.update(route, text="as told by the nurse")


def unreadable_end(entry: dict[str, Any]) -> None:
    if "end" in entry.get("effectivePeriod", {}):
        entry["effectivePeriod"]["end"] = "some day"
    for dosage in entry.get("dosageInstruction", ()):
        bounds = dosage.get("timing", {}).get("repeat", {})
        bounds.pop("boundsPeriod", None)


def values(worked: WorkedPatient, resources: WorkedResources) -> Mapping[str, Value | None]:
    at = noon(worked)
    lists = [ListResult((), [Entry(msgspec.Raw(json.dumps(resources.patient).encode()), "", "Patient")])]
    for row in RECORD_LISTS:
        raw = [msgspec.Raw(json.dumps(one).encode()) for one in resources.by_type[row.type]]
        lists.append(ListResult((row.source,), [Entry(one, "", row.type) for one in raw], ()))
    drafts = None if resources.drafts is None else json.dumps(resources.drafts).encode()
    record = read_record(worked.id, lists, knowledge().terminology, knowledge().units, drafts=drafts)
    table = FactTable(record.known_on(at.date()), at, DERIVERS, limits(knowledge(), at.date()))
    return {name: table[name].value for name in (*TAKEN, COVER)}


def changed(resources: WorkedResources, change: Callable[[dict[str, Any]], None]) -> Iterator[WorkedResources]:
    """The patient once for each medicine, with that one changed."""
    for kind in MEDICINES:
        for index in range(len(resources.by_type[kind])):
            other = copy.deepcopy(resources)
            change(other.by_type[kind][index])
            yield other


def with_medicines(service: WorkedService) -> Iterator[tuple[WorkedPatient, WorkedResources]]:
    for worked in WORKED[::3]:
        resources = service.resources(worked)
        if any(resources.by_type[kind] for kind in MEDICINES):
            yield worked, resources


def denied(before: Value | None, after: Value | None) -> bool:
    if before is True:
        return after is False
    if isinstance(before, Interval) and before.low > 0:
        return isinstance(after, Interval) and after.high == 0
    return False


@pytest.mark.slow
@pytest.mark.parametrize("change", [unreadable_status, no_status, unreadable_dosage, unreadable_end])
def test_what_becomes_unreadable_is_not_denied(
    change: Callable[[dict[str, Any]], None], service: WorkedService
) -> None:
    wrong: dict[str, list[str]] = {}
    judged = 0
    for worked, resources in with_medicines(service):
        before = values(worked, resources)
        for other in changed(resources, change):
            judged += 1
            for name, after in values(worked, other).items():
                if denied(before[name], after):
                    wrong.setdefault(name, []).append(f"{worked.id}: {before[name]} became {after}")
    assert judged > 100
    assert {name: cases[:3] for name, cases in wrong.items()} == {}


_DAY = re.compile(r'"(\d{4})(-\d\d-\d\d)')


def ten_years_earlier(entry: dict[str, Any]) -> None:
    moved = _DAY.sub(lambda day: f'"{int(day[1]) - 10}{day[2].replace("-02-29", "-02-28")}', json.dumps(entry))
    entry.update(json.loads(moved))


STRENGTH = {False: 0, None: 1, True: 2}


@pytest.mark.slow
def test_a_medicine_of_ten_years_earlier_is_no_surer_treatment(service: WorkedService) -> None:
    stronger = []
    for worked, resources in with_medicines(service):
        medicines = sum(len(resources.by_type[kind]) for kind in MEDICINES)
        if medicines != 1:
            continue
        before = values(worked, resources)[COVER]
        for other in changed(resources, ten_years_earlier):
            after = values(worked, other)[COVER]
            assert before is None or isinstance(before, bool)
            assert after is None or isinstance(after, bool)
            if STRENGTH[after] > STRENGTH[before]:
                stronger.append(f"{worked.id}: {before} became {after}")
    assert stronger == []
