"""Medicines told by a reference alone are fetched, once and no more; without access they stay unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.hooks.call import make_answer
from cds_service.settings import Settings
from tests.support.fault_server import FaultServer, fault_server, resource, status
from tests.support.fhir_parts import (
    MK7,
    WARFARIN,
    Resource,
    call,
    lists_of,
    order,
    patient,
    request,
    searchset,
    statement,
)
from tests.support.kb import knowledge

VIEW, SIGN = "vitamin-k-patient-view", "vitamin-k-order-sign"
WARFARIN_M7 = {"resourceType": "Medication", "id": "m7", "code": WARFARIN}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        running.routes["Medication/m7"] = resource(WARFARIN_M7)
        yield running


def referring(reference: str, **more: Any) -> Resource:
    """A statement that says nothing of its medicine but where to find it."""
    told = statement("by-reference", {}) | {"medicationReference": {"reference": reference} | more}
    del told["medicationCodeableConcept"]
    return told


def answered(server: FaultServer, told: Resource, service: str = VIEW, **more: Any) -> list[str]:
    answer = make_answer(knowledge(), Settings(fhir_allow=(server.base,)))
    prefetch = lists_of([patient(), statement("mk7", MK7), told], service)
    body = request(prefetch, **({"fhir_server": server.base, "fhir_token": "secret"} | more))
    reply = answer(service, body, call(on_missing_data="card"))
    return [card["extension"]["cds-service.rule"]["id"] for card in reply["cards"]]


def paths(server: FaultServer) -> list[str]:
    return [path.removeprefix("/fhir/") for path, _ in server.seen]


@pytest.mark.parametrize("reference", ["Medication/m7", "Medication/m7/_history/2", "{base}/Medication/m7"])
def test_a_medicine_told_by_a_reference_alone_is_fetched(server: FaultServer, reference: str) -> None:
    told = referring(reference.format(base=server.base))
    assert answered(server, told) == ["vka-vitk-concurrent"]
    assert paths(server) == ["Medication/m7"]
    assert server.seen[0][1] == "Bearer secret"


def test_a_medicine_that_has_a_name_is_not_fetched(server: FaultServer) -> None:
    assert answered(server, referring("Medication/m7", display="Warfarin 5 mg tablet")) == ["vka-vitk-concurrent"]
    assert paths(server) == []


def test_a_medicine_on_another_server_is_not_fetched(server: FaultServer) -> None:
    assert answered(server, referring("https://other.example/fhir/Medication/m7")) == ["data-incomplete"]
    assert paths(server) == []


def test_a_medicine_that_cannot_be_fetched_leaves_the_rules_undecided(server: FaultServer) -> None:
    server.routes["Medication/m7"] = status(404)
    assert answered(server, referring("Medication/m7")) == ["data-incomplete"]


def test_a_medicine_is_not_fetched_without_authorization(server: FaultServer) -> None:
    assert answered(server, referring("Medication/m7"), fhir_token=None) == ["data-incomplete"]
    assert paths(server) == []


def test_a_drafted_medicine_told_by_a_reference_alone_is_fetched(server: FaultServer) -> None:
    draft = order("d1", {}) | {"medicationReference": {"reference": "Medication/m7"}}
    del draft["medicationCodeableConcept"]
    drafts = searchset(draft) | {"type": "collection"}
    found = answered(server, statement("other", {"text": "Calcium 500 mg"}), SIGN, hook="order-sign", drafts=drafts)
    assert found == ["vka-started-on-vitk"]
