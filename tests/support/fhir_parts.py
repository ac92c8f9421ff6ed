"""FHIR resources of one invented patient, and hook requests that carry them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.hooks.prefetch import prefetch_for
from cds_service.security.clients import ClientProfile
from tests.support.kb import NOW, ago, knowledge

Resource = dict[str, Any]
SUBJECT = {"reference": "Patient/p1"}
# RxNorm and LOINC codes as records carry them.
WARFARIN, MK7 = {"text": "Warfarin 5 mg tablet"}, {"text": "Vitamin K2 (MK-7) 100 µg capsule"}


def patient(**more: Any) -> Resource:
    return {"resourceType": "Patient", "id": "p1", "birthDate": "1950-01-01"} | more


def statement(name: str, medicine: Mapping[str, Any], days: int = 30, **more: Any) -> Resource:
    return {
        "resourceType": "MedicationStatement",
        "id": name,
        "status": "active",
        "subject": SUBJECT,
        "medicationCodeableConcept": dict(medicine),
        "effectivePeriod": {"start": ago(days).isoformat()},
    } | more


def order(name: str, medicine: Mapping[str, Any], **more: Any) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "draft",
        "intent": "order",
        "subject": SUBJECT,
        "medicationCodeableConcept": dict(medicine),
    } | more


def result(name: str, loinc: str, value: float, unit: str, days: int = 3) -> Resource:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "subject": SUBJECT,
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "effectiveDateTime": ago(days).isoformat(),
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def searchset(*resources: Resource, **more: Any) -> Resource:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]} | more


def lists_of(resources: Sequence[Resource], service: str) -> dict[str, Resource]:
    """These resources as the full prefetch of a service."""
    found: dict[str, Resource] = {}
    for need in prefetch_for(knowledge(), knowledge().services[service]):
        mine = [r for r in resources if r["resourceType"] == need.type]
        found[need.key] = searchset(*mine) if need.sources else mine[0]
    return found


def request(
    prefetch: Mapping[str, Any], *, hook: str = "patient-view", drafts: Resource | None = None, **more: Any
) -> HookRequest:
    fields: dict[str, Any] = {
        "hook": hook,
        "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "patient_id": "p1",
        "user_id": "Practitioner/7",
        "prefetch": {key: msgspec.Raw(json.dumps(value).encode()) for key, value in prefetch.items()},
        "draft_orders": None if drafts is None else msgspec.Raw(json.dumps(drafts).encode()),
    }
    return HookRequest(**(fields | more))


def call(language: Any = "en", **profile: Any) -> CallContext:
    return CallContext(ClientProfile(name="test", **profile), language, NOW, {"notes": {}})


def without_ids(value: Any) -> Any:
    """A reply without the ids that are new in every call."""
    if isinstance(value, dict):
        return {key: without_ids(inner) for key, inner in value.items() if key != "uuid"}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


def is_uuid(text: str) -> bool:
    return str(UUID(text)) == text
