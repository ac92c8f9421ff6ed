"""Invariant 3 over the whole table of record lists: a list that was not read makes facts unknown, never no or 0."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
import pytest
from msgspec.structs import replace

from cds_service.artifacts.walk import facts_behind
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.facts.fact import Fact, FactTable, Value
from cds_service.fhir.bundle import Entry, ListResult
from cds_service.fhir.read.record import read_record
from cds_service.quantity import Interval
from cds_service.record import PatientRecord
from cds_service.record_lists import RECORD_LISTS, RecordList
from cds_service.rules.derive import derivers, limits
from cds_service.sandbox.patients import WorkedResources
from tests.support.kb import UNAUTHORIZED, facts, knowledge, record
from tests.support.worked_service import WORKED, WorkedService, noon, service

__all__ = ["service"]

STATES = ("unread", "incomplete")
DERIVERS = derivers(knowledge())
# A product is exempt from a warning (a reversal, a renewal) only if the reason for it is on record. Where the
# reason was not read the product counts, and the warning comes; facts that rest on such an exemption are left out here.
EXEMPTIONS = {"reversal", "past_reversal", "reversal_of_unstated_length", "unchanged_renewal"}
CAUTIOUS = {
    name
    for name in knowledge().facts
    for behind in facts_behind(knowledge(), {name})
    if EXEMPTIONS & {*knowledge().facts[behind].except_, knowledge().facts[behind].only}
}


def all_facts(patient: PatientRecord) -> Mapping[str, Fact]:
    table = facts(patient)
    return {name: table[name] for name in knowledge().facts}


def lists_read_by(name: str) -> set[str]:
    """The kinds of lists that a fact is made from, by its own definition."""
    definition = knowledge().facts[name]
    match definition.origin:
        case "observation":
            return {"laboratory"}
        case "medication":
            return {"medication"} if definition.state not in ("selected", "drafted") else set()
        case "condition":
            performed = any(knowledge().value_sets[one].performed for one in definition.condition or ())
            return {"problem", "procedure"} if performed else {"problem"}
        case "family":
            return {"family"}
        case "allergy":
            return {"allergy", "problem"}
        case "pending":
            return {"order", "laboratory"}
    return set()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("row", RECORD_LISTS, ids=lambda row: row.source)
def test_a_fact_over_a_list_that_was_not_read_is_unknown_unless_the_list_has_a_default(
    row: RecordList, state: str
) -> None:
    """With every list read and empty, such facts are no, 0 or absent."""
    readers = [name for name in knowledge().facts if row.kind in lists_read_by(name)]
    decided = all_facts(record())
    assert all(fact.value in (False, Interval(0, 0), None) for name, fact in decided.items() if name in readers)
    short = all_facts(replace(record(), **{state: {row.source: "HTTP 500"}}))
    for name in readers:
        if row.default is not None:
            assert short[name].value == decided[name].value, name
        else:
            assert short[name].value is None, name
            missing = short[name].missing
            assert missing is not None, name
            if knowledge().facts[name].since is None and knowledge().facts[name].before is None:
                assert (missing.unread, missing.awaited) == (True, row.awaited), name
    assert bool(readers) == (row.kind not in ("goal", "dispense", "administration"))


def values(patient: PatientRecord, worked: WorkedPatient) -> dict[str, Value | None]:
    at = noon(worked)
    table = FactTable(patient.known_on(at.date()), at, DERIVERS, limits(knowledge(), at.date()))
    return {name: table[name].value for name in DERIVERS}


def read(
    worked: WorkedPatient, resources: WorkedResources, row: RecordList | None = None, *, unread: bool = False
) -> PatientRecord:
    """The record without the entries of a list, which was read and is empty, or was not read."""
    lists = [ListResult((), [Entry(msgspec.Raw(json.dumps(resources.patient).encode()), "", "Patient")])]
    for other in RECORD_LISTS:
        raw = [] if other is row else [json.dumps(one).encode() for one in resources.by_type[other.type]]
        entries = [Entry(msgspec.Raw(one), "", other.type) for one in raw]
        lists.append(ListResult((other.source,), entries, (UNAUTHORIZED,) if unread and other is row else ()))
    drafts = None if resources.drafts is None else json.dumps(resources.drafts).encode()
    return read_record(worked.id, lists, knowledge().terminology, knowledge().units, drafts=drafts)


def is_denied(said: Value | None) -> bool:
    """Whether a fact is said not to be: no, or an amount of nothing."""
    return said is False or said == Interval(0, 0)


@pytest.mark.parametrize("row", [row for row in RECORD_LISTS if row.default is None], ids=lambda row: row.source)
def test_what_a_worked_patient_loses_with_an_unread_list_is_unknown_and_never_denied(
    row: RecordList, service: WorkedService
) -> None:
    """What the entries of a list establish is not said to be no, or 0, when that list was not read."""
    wrong: dict[str, list[str]] = {}
    for worked in WORKED:
        resources = service.resources(worked)
        if not resources.by_type[row.type]:
            continue
        unread = values(read(worked, resources, row, unread=True), worked)
        whole = values(read(worked, resources), worked)
        for name, truth in whole.items():
            if name in CAUTIOUS or truth is None or is_denied(truth):
                continue
            if is_denied(unread[name]):
                wrong.setdefault(name, []).append(f"{worked.id}: {truth} said to be {unread[name]}")
    assert wrong == {}
