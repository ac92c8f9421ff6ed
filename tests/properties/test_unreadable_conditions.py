"""A date or a verification of a condition that cannot be read never turns a finding into its absence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.facts.fact import FactTable
from cds_service.fhir.bundle import Entry, ListResult
from cds_service.fhir.read.record import read_record
from cds_service.quantity import Interval
from cds_service.record_lists import RECORD_LISTS
from cds_service.rules.derive import derivers, limits
from cds_service.sandbox.patients import WorkedResources
from tests.support.kb import knowledge
from tests.support.worked_service import WORKED, WorkedService, noon, service

__all__ = ["service"]

FINDINGS = [name for name, fact in knowledge().facts.items() if fact.condition and not fact.unconfirmed]
DERIVERS = derivers(knowledge())
DATES = ("onsetDateTime", "recordedDate", "performedDateTime")
TYPES = ("Condition", "Procedure")


def with_dates(written: object) -> Callable[[dict[str, Any]], None]:
    def change(resource: dict[str, Any]) -> None:
        for member in DATES:
            if member in resource:
                resource[member] = written

    return change


def without_dates(resource: dict[str, Any]) -> None:
    for member in DATES:
        resource.pop(member, None)


def with_verification(written: object) -> Callable[[dict[str, Any]], None]:
    def change(resource: dict[str, Any]) -> None:
        if "verificationStatus" in resource:
            resource["verificationStatus"] = written

    return change


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "dates left out": without_dates,
    "dates in words": with_dates("last spring"),
    "dates that are numbers": with_dates(20250101),
    "dates that are no days": with_dates("2025-02-31"),
    "verification in words": with_verification({"text": "see letter"}),
    "verification of another kind": with_verification({"coding": [{"code": "unknown"}]}),
    "verification that is a number": with_verification(1),
    "verification that is provisional": with_verification({"coding": [{"code": "provisional"}]}),
}


def found(
    worked: WorkedPatient, resources: WorkedResources, change: Callable[[dict[str, Any]], None] | None
) -> set[str]:
    """The findings that are not denied; without a change, those that are sure."""
    lists = [ListResult((), [Entry(msgspec.Raw(json.dumps(resources.patient).encode()), "", "Patient")])]
    for row in RECORD_LISTS:
        entries = copy.deepcopy(resources.by_type[row.type])
        if change is not None and row.type in TYPES:
            for resource in entries:
                change(resource)
        raw = [Entry(msgspec.Raw(json.dumps(one).encode()), "", row.type) for one in entries]
        lists.append(ListResult((row.source,), raw))
    record = read_record(worked.id, lists, knowledge().terminology, knowledge().units)
    at = noon(worked)
    table = FactTable(record.known_on(at.date()), at, DERIVERS, limits(knowledge(), at.date()))
    values = {name: table[name].value for name in FINDINGS}
    sure = {name for name, value in values.items() if value is True or isinstance(value, Interval)}
    return sure if change is None else sure | {name for name, value in values.items() if value is None}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_cannot_be_read_of_a_condition_never_makes_it_absent(
    change: Callable[[dict[str, Any]], None], service: WorkedService
) -> None:
    lost: dict[str, set[str]] = {}
    for worked in WORKED:
        if worked.conditions or worked.procedures:
            resources = service.resources(worked)
            if gone := found(worked, resources, None) - found(worked, resources, change):
                lost[worked.id] = gone
    assert lost == {}
