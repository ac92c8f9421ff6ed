"""Every road to a record looks up references and treats unread lists alike: prefetch, server, page, sandbox, file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest
from requests.utils import requote_uri

from cds_service.egress.egress import Egress
from cds_service.errors import NotFound
from cds_service.fhir.bundle import Entry, ListResult, open_resource
from cds_service.fhir.read.gather import BundleSource, RecordSource, gather
from cds_service.fhir.read.record import read_record
from cds_service.gaps import Gap, GapKind
from cds_service.hooks.complete_prefetch import RequestSource
from cds_service.hooks.prefetch import needs_of_all
from cds_service.record import PatientRecord
from cds_service.sandbox.fhir_api import SamplePatients
from cds_service.web.viewer.charts import ChartSource
from cds_service.web.viewer.fhir_sources import Embedded, Remote
from tests.support.fault_server import FaultServer, fault_server, resource, status
from tests.support.fhir_parts import SUBJECT, WARFARIN, Resource, patient, request, searchset
from tests.support.kb import knowledge

NEEDS = needs_of_all(knowledge())
ROADS = ("prefetch", "server", "page", "sandbox", "file")
WARFARIN_M7 = {"resourceType": "Medication", "id": "m7", "code": WARFARIN}
REFERRING = {
    "resourceType": "MedicationRequest",
    "id": "r1",
    "status": "active",
    "intent": "order",
    "subject": SUBJECT,
    "medicationReference": {"reference": "Medication/m7"},
}


class Samples:
    """Stands for the sample patients: these resources, and an empty search for every other type."""

    def __init__(self, resources: Sequence[Resource], failing: str | None) -> None:
        self.resources, self.failing = resources, failing

    def read(self, kind: str, resource_id: str) -> Resource:
        for one in self.resources:
            if (one["resourceType"], one["id"]) == (kind, resource_id):
                return one
        raise NotFound("no such resource")

    def search(self, base: str, kind: str, parameters: Sequence[tuple[str, str]]) -> Resource:
        if kind == self.failing:
            raise NotFound("no such type")
        return searchset(*(one for one in self.resources if one["resourceType"] == kind))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def lists(resources: Sequence[Resource], failing: str | None) -> dict[str, Resource]:
    """What answers each need, by key; nothing for the type that fails."""
    found = {need.key: searchset(*(r for r in resources if r["resourceType"] == need.type)) for need in NEEDS}
    return {"patient": patient()} | {
        need.key: found[need.key] for need in NEEDS if need.sources and need.type != failing
    }


def source(road: str, server: FaultServer, resources: Sequence[Resource], failing: str | None) -> RecordSource:
    everything = [patient(), *resources]
    held = lists(everything, failing)
    egress = Egress((server.base,))
    for need in NEEDS:
        server.routes[requote_uri(need.query("p1"))] = resource(held[need.key]) if need.key in held else status(500)
    medicines = [one for one in resources if one["resourceType"] == "Medication"]
    server.routes["Medication/m7"] = resource(medicines[0]) if medicines else status(404)
    if road == "file":
        return BundleSource(open_resource(json.dumps(searchset(*everything)).encode()).entries)
    if road in ("prefetch", "server"):
        body = request(held if road == "prefetch" else {}, fhir_server=server.base, fhir_token="secret")
        return RequestSource(NEEDS, body, egress, False, time.monotonic() + 5)
    if road == "page":
        return ChartSource(Remote("far", "far", server.base, egress), NEEDS, "p1")
    samples = cast(SamplePatients, Samples(everything, failing))
    return ChartSource(Embedded(samples, lambda: server.base), NEEDS, "p1")


def gathered(road: str, server: FaultServer, *resources: Resource, failing: str | None = None) -> PatientRecord:
    def read(obtained: Sequence[ListResult]) -> PatientRecord:
        terminology, units = knowledge().terminology, knowledge().units
        return read_record("p1", obtained, terminology, units, fhir_server=server.base)

    return gather(source(road, server, resources, failing), read).record


@pytest.mark.parametrize("road", ROADS)
def test_a_medicine_told_by_a_reference_is_known_on_every_road(road: str, server: FaultServer) -> None:
    record = gathered(road, server, REFERRING, WARFARIN_M7)
    assert ["vitamin-k-antagonist" in use.concepts for use in record.medications] == [True]
    assert (record.unread, record.incomplete) == ({}, {})


@pytest.mark.parametrize("road", ROADS)
def test_a_medicine_that_cannot_be_had_leaves_its_list_incomplete_on_every_road(road: str, server: FaultServer) -> None:
    record = gathered(road, server, REFERRING)
    assert record.medications == ()
    assert list(record.incomplete) == ["medication-requests"]
    assert record.lookups == ("Medication/m7",)


@pytest.mark.parametrize("road", [road for road in ROADS if road != "file"])
def test_a_list_that_fails_is_unread_and_one_with_a_default_is_read_on_every_road(
    road: str, server: FaultServer
) -> None:
    assert list(gathered(road, server, failing="Condition").unread) == ["conditions"]
    assert gathered(road, server, failing="Goal").unread == {}


GONE = (Gap(GapKind.NOT_SENT),)


class Counting:
    """A source whose every entry refers to another medicine; counts what it is asked for."""

    asked: Sequence[str] = ()

    def lists(self) -> Sequence[ListResult]:
        return [ListResult(("goals",), unread=GONE), ListResult(("conditions",), unread=GONE)]

    def references(self, references: Sequence[str]) -> Sequence[Entry]:
        self.asked = references
        return ()


def test_no_more_than_fifty_references_are_looked_up_and_once() -> None:
    wanted: Mapping[str, Any] = {"lookups": tuple(f"Medication/m{number}" for number in range(80))}
    counting, reads = Counting(), []

    def read(obtained: Sequence[ListResult]) -> PatientRecord:
        reads.append([one.unread for one in obtained])
        return PatientRecord(cast(Any, None), **wanted)

    gather(counting, read)
    assert len(counting.asked) == 50
    assert reads == [[(), GONE]]
