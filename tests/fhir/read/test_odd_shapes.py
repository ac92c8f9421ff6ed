"""Whatever stands in one member of one resource: reading goes on, and the other resources are read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from cds_service.coding import LOINC, RXNORM
from cds_service.fhir.bundle import Entry, ListResult, open_resource
from cds_service.fhir.read.record import read_record
from tests.support.reasons import incomplete, notes
from tests.support.small_terminology import (
    ME,
    PATIENT,
    TERMINOLOGY,
    UNITS,
    bundle,
    observation,
    read,
    request,
    statement,
)

ODD: tuple[object, ...] = (7, -1.5, True, "x", "", [], {}, None, [7], [None], {"a": 1}, [{}], [[]], "é" * 3000, 1e300)
DOSAGE = {
    "text": "5 mg daily",
    "sequence": 1,
    "asNeededBoolean": False,
    "route": {"coding": [{"system": "http://snomed.info/sct", "code": "26643006"}]},
    "timing": {
        "event": ["2026-01-01"],
        "code": {"coding": [{"code": "QD"}]},
        "repeat": {
            "frequency": 1,
            "frequencyMax": 2,
            "period": 1,
            "periodMax": 2,
            "periodUnit": "d",
            "count": 3,
            "when": ["MORN"],
            "timeOfDay": ["08:00:00"],
            "dayOfWeek": ["mon"],
            "boundsPeriod": {"start": "2026-01-01", "end": "2026-02-01"},
            "boundsDuration": {"value": 3, "code": "d"},
        },
    },
    "doseAndRate": [
        {
            "doseQuantity": {"value": 5, "unit": "mg"},
            "doseRange": {"low": {"value": 1, "unit": "mg"}, "high": {"value": 2, "unit": "mg"}},
        }
    ],
}
INR = {"coding": [{"system": LOINC, "code": "6301-6", "display": "INR"}], "text": "INR"}
RESOURCES: tuple[dict[str, Any], ...] = (
    observation(
        code=INR,
        issued="2026-05-01T00:00:00Z",
        effectivePeriod={"start": "2026-05-01", "end": "2026-05-02"},
        interpretation=[{"coding": [{"code": "L"}]}],
        referenceRange=[{"low": {"value": 2}, "high": {"value": 3}, "text": "2-3"}],
        dataAbsentReason={"text": "x"},
        component=[{"code": INR, "valueQuantity": {"value": 2}}],
    ),
    request(
        dosageInstruction=[DOSAGE],
        reasonCode=[{"text": "over-anticoagulation"}],
        reasonReference=[{"reference": "Condition/c1"}],
        dispenseRequest={"expectedSupplyDuration": {"value": 30, "unit": "d"}},
        medicationReference={"reference": "#m", "display": "Warfarin"},
        contained=[
            {
                "resourceType": "Medication",
                "id": "m",
                "code": {"coding": [{"system": RXNORM, "code": "855332"}]},
                "form": {"text": "tablet"},
                "ingredient": [
                    {
                        "itemCodeableConcept": {"text": "Warfarin"},
                        "strength": {"numerator": {"value": 5, "unit": "mg"}, "denominator": {"value": 1}},
                    }
                ],
            }
        ],
    ),
    statement(
        dosage=[DOSAGE], effectivePeriod={"start": "2026-01-01"}, taken="y", adherence={"code": {"text": "taking"}}
    ),
    {
        "resourceType": "Condition",
        "id": "c1",
        "subject": ME,
        "code": {"text": "gastric bypass"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "onsetPeriod": {"start": "2020"},
    },
    {
        "resourceType": "Procedure",
        "id": "x1",
        "subject": ME,
        "status": "completed",
        "code": {"text": "gastric bypass"},
        "performedPeriod": {"start": "2020"},
    },
    {"resourceType": "ServiceRequest", "id": "t1", "subject": ME, "status": "active", "intent": "order", "code": INR},
    {
        "resourceType": "Goal",
        "id": "g1",
        "subject": ME,
        "lifecycleStatus": "active",
        "description": {"text": "INR"},
        "target": [{"measure": INR, "detailRange": {"low": {"value": 2}, "high": {"value": 3}}}],
    },
)


def variants(value: Any) -> Iterator[Any]:
    """The value with each of its parts, at every depth, replaced by each odd thing in turn."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        if key == "resourceType":
            continue
        for other in (*ODD, *variants(part)):
            changed = copy.copy(value)
            changed[key] = other
            yield changed


@pytest.mark.row("PFD-15", "TOY-05")
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource["resourceType"])
def test_no_shape_of_any_member_costs_another_resource(resource: dict[str, Any]) -> None:
    sound = observation(id="sound")
    for changed in variants(resource):
        record = read(changed, sound, drafts=[changed, {"resourceType": "NutritionOrder", "id": "sound"}])
        assert "Observation/sound" in [result.reference for result in record.labs["serum-vitamin-b12"]]
        assert record.orders is not None
        assert "NutritionOrder/sound" in [order.reference for order in record.orders]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource["resourceType"])
def test_the_unchanged_resource_is_read(resource: dict[str, Any]) -> None:
    record = read(resource)
    read_things = (record.labs, record.medications, record.problems, record.pending, record.inr_goal)
    assert any(read_things)
    assert (record.incomplete, [note for note in notes(record) if "could not" in note]) == ({}, [])


@pytest.mark.row("TOY-24")
def test_brackets_nested_too_deep_cost_only_their_own_resource() -> None:
    deep = b'{"resourceType": "Observation", "id": "deep", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    patient = ListResult((), open_resource(bundle([PATIENT])).entries)
    entries = [*open_resource(bundle([observation()])).entries, Entry(msgspec.Raw(deep))]
    record = read_record("p1", (patient, ListResult(("observations",), entries)), TERMINOLOGY, UNITS)
    assert record.labs
    assert incomplete(record) == {"observations": "1 × Observation could not be read"}
