"""HL7's own R4 examples, sound and broken, through every service: no fault, no exception, only documented replies."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from cds_service.sandbox.patients import PREFETCH
from tests.support.log_file import LogFile
from tests.support.real_inputs import SAMPLES, Json, call, knowledge, rules, sample_request, shipped_service

pytestmark = pytest.mark.npm

OURS = "example-of-ours"
PATIENT: Json = {"resourceType": "Patient", "id": OURS, "gender": "female", "birthDate": "1950-05-01"}
KEY_OF = {kind: key for key, kind in PREFETCH.items()} | {"Medication": "medicationRequests"}
REQUESTS = ("MedicationRequest", "ServiceRequest")
# What stands in place of a member of a broken example.
WRONG: tuple[Any, ...] = (None, 7, ["x"], [{"reference": "Patient/x"}], {"coding": {"code": 5}}, [])
BROKEN_PER_TYPE = 150
SEED = 20261120

Examples = Iterator[tuple[str, Json]]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with shipped_service(tmp_path) as client:
        yield client


@pytest.fixture
def examples(r4_examples: Examples) -> list[tuple[str, Json]]:
    return list(r4_examples)


def of_patient(resource: Json, patient_id: str = OURS) -> Json:
    """The resource, and each that is in it, with a patient of our own as its subject."""
    changed = copy.deepcopy(resource)
    for each in [changed, *(entry.get("resource", {}) for entry in changed.get("entry", []))]:
        for member in ("subject", "patient"):
            if member in each:
                each[member] = {"reference": f"Patient/{patient_id}"}
    return changed


def bundle(*resources: Json) -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}


def requests_with(kind: str, resource: Json) -> Iterator[Json]:
    """Prefetches and drafts that hold the resource where resources of its type stand, the rest being read and empty."""
    empty: Json = {"patient": PATIENT, **{key: bundle() for key in PREFETCH}}
    if kind == "Patient":
        yield {"prefetch": empty | {"patient": resource}, "patient": resource.get("id")}
    elif kind == "Bundle":
        yield {"prefetch": empty | dict.fromkeys(PREFETCH, resource), "drafts": resource}
    else:
        yield {"prefetch": empty | {KEY_OF[kind]: bundle(resource)}}
        # A single resource where a list is asked for: some clients unwrap a search that found one.
        yield {"prefetch": empty | {KEY_OF[kind]: resource}}
    if kind in REQUESTS:
        yield {"prefetch": empty, "drafts": bundle(resource)}
    if kind == "Medication":
        order = {
            "resourceType": "MedicationRequest",
            "id": "order",
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{OURS}"},
            "medicationReference": {"reference": f"Medication/{resource.get('id')}"},
        }
        yield {"prefetch": empty | {KEY_OF[kind]: bundle(order, resource)}, "drafts": bundle(order, resource)}


def ask_every_service(client: FlaskClient, kind: str, resource: Json) -> Counter[int]:
    """Statuses of the replies, each of which is checked to be a documented and valid one."""
    statuses = Counter[int]()
    for content in requests_with(kind, resource):
        for service in knowledge().services.values():
            statuses[call(client, service.id, hook_call(service.hook, **content)).status_code] += 1
    return statuses


def hook_call(hook: str, prefetch: Json, patient: Any = None, drafts: Json | None = None) -> Json:
    context: Json = {"userId": "Practitioner/example", "patientId": patient if isinstance(patient, str) else OURS}
    if hook.startswith("encounter-"):
        context["encounterId"] = "example"
    if hook.startswith("order-"):
        context["draftOrders"] = drafts or bundle()
        context["selections"] = []
    return {"hook": hook, "hookInstance": str(UUID(int=SEED)), "context": context, "prefetch": prefetch}


def broken(examples: list[tuple[str, Json]], kind: str) -> list[tuple[str, Json]]:
    """A fixed sample of all ways to put something wrong in place of one member of one example."""
    egress_factory = [
        (name, resource, member, wrong)
        for name, resource in examples
        if resource["resourceType"] == kind
        for member in resource
        for wrong in WRONG
    ]
    chosen = random.Random(SEED).sample(egress_factory, min(BROKEN_PER_TYPE, len(egress_factory)))
    return [
        (f"{name} {member}={wrong!r}", {**of_patient(resource), member: wrong})
        for name, resource, member, wrong in chosen
    ]


def faults(log: LogFile) -> list[Json]:
    return [line for line in log.lines() if line["level"] == "error" or line["event"] == "fault"]


every_type = pytest.mark.parametrize("kind", ["Patient", "Medication", "Bundle", *PREFETCH.values()])


@every_type
def test_every_example_gets_a_valid_reply(
    client: FlaskClient, log: LogFile, examples: list[tuple[str, Json]], kind: str
) -> None:
    asked = Counter[int]()
    for _, resource in examples:
        if resource["resourceType"] == kind:
            asked += ask_every_service(client, kind, of_patient(resource))
            asked += ask_every_service(client, kind, resource)

    assert asked.total()
    assert faults(log) == []


@pytest.mark.row("PFD-15")
def test_no_sound_example_in_the_same_list_costs_a_patient_the_cards(
    client: FlaskClient, examples: list[tuple[str, Json]]
) -> None:
    """Beside a low B12, warfarin and MK-7 stands each example in turn, as one of the patient's own and as it is."""
    sample = next(sample for sample in SAMPLES if sample.id == "b12-and-warfarin")
    whole = sample_request(sample, prefetch=True)
    services_and_rules = {"vitamin-b12-patient-view": "b12-low", "vitamin-k-patient-view": "vka-vitk-concurrent"}
    lost = []
    for name, resource in examples:
        if (key := KEY_OF.get(resource["resourceType"])) is None:
            continue
        for each in (resource, of_patient(resource, sample.id)):
            request = copy.deepcopy(whole)
            request["prefetch"][key]["entry"] = [*request["prefetch"][key].get("entry", []), {"resource": each}]
            del request["prefetch"][key]["total"]
            for service, rule in services_and_rules.items():
                reply = call(client, service, request)
                if reply.status_code != 200 or rule not in rules(reply):
                    lost.append((name, service, reply.get_json()))

    assert lost == []


@every_type
def test_every_broken_example_gets_a_valid_reply(
    client: FlaskClient, log: LogFile, examples: list[tuple[str, Json]], kind: str
) -> None:
    for name, resource in broken(examples, kind):
        try:
            ask_every_service(client, kind, resource)
        except AssertionError as error:
            raise AssertionError(name) from error

    assert faults(log) == []
