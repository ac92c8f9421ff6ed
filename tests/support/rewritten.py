"""Requests of worked patients rewritten: other order, other dates, other units, other FHIR versions; same meaning.

Every function takes a CDS Hooks request as JSON data and changes it in place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.coding import UCUM, Coding
from cds_service.quantity import factor
from cds_service.terminology import Kind, Terminology

Json = dict[str, Any]

_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(T.*)?")
_TAKING = {"active": "taking", "completed": "stopped", "stopped": "stopped", "not-taken": "not-taking"}


def lists(request: Json) -> Iterator[Json]:
    """The Bundles of the request: prefetched lists, then the drafts."""
    yield from (value for value in request["prefetch"].values() if value["resourceType"] == "Bundle")
    if "draftOrders" in request["context"]:
        yield request["context"]["draftOrders"]


def resources(request: Json, *types: str) -> Iterator[Json]:
    """The resources of these types in all Bundles."""
    for bundle in lists(request):
        for entry in bundle.get("entry", []):
            if entry["resource"]["resourceType"] in types:
                yield entry["resource"]


def each_entry_twice(request: Json) -> None:
    for bundle in request["prefetch"].values():
        if bundle.get("entry"):
            bundle["entry"] = [*bundle["entry"], *bundle["entry"]]
            bundle["total"] *= 2


def shifted(value: Any, days: int) -> Any:
    """The value with every full date in it moved by so many days."""
    if isinstance(value, dict):
        return {name: shifted(member, days) for name, member in value.items()}
    if isinstance(value, list):
        return [shifted(member, days) for member in value]
    if isinstance(value, str) and (written := _DATE.fullmatch(value)):
        return (date.fromisoformat(written[1]) + timedelta(days=days)).isoformat() + (written[2] or "")
    return value


_CODED: dict[str, Kind] = {
    "Observation": "observation",
    "ServiceRequest": "observation",
    "Condition": "condition",
    "Procedure": "condition",
    "MedicationRequest": "medication",
    "MedicationStatement": "medication",
}


def recoded(request: Json, terminology: Terminology, random: Random) -> int:
    """Writes codes of our value sets as codes of another system for the very same concepts; tells how many."""
    changed = 0
    for resource in resources(request, *_CODED):
        kind = _CODED[resource["resourceType"]]
        concept = resource.get("medicationCodeableConcept" if kind == "medication" else "code") or {}
        for coding in concept.get("coding", ())[:1]:
            others = _same_in_another_system(terminology, kind, Coding(coding.get("system", ""), coding["code"]))
            if others:
                system, code = random.choice(others)
                # The words stay: they tell the strength of a product, and people read them.
                concept.setdefault("text", coding.get("display", ""))
                concept["coding"] = [{"system": system, "code": code}]
                changed += 1
    return changed


@lru_cache(maxsize=1024)
def _same_in_another_system(terminology: Terminology, kind: Kind, coding: Coding) -> list[tuple[str, str]]:
    meant = terminology.concepts(kind, [coding])
    codes = {key for concept in meant for key in terminology.value_sets[concept].codes if key[0] != coding.system}
    return sorted(key for key in codes if terminology.concepts(kind, [Coding(*key)]) == meant)


def b12_in(request: Json, unit: str, knowledge: KnowledgeBase) -> None:
    """Writes every B12 in pg/mL, ng/L or pmol/L in another of the units that laboratories use."""
    analyte = knowledge.value_sets["serum-vitamin-b12"].analyte
    assert analyte is not None
    codes = {code for _, code in knowledge.terminology.value_sets["serum-vitamin-b12"].codes}
    for observation in resources(request, "Observation"):
        quantity = observation.get("valueQuantity", {})
        if not codes & {coding["code"] for coding in observation["code"].get("coding", [])}:
            continue
        if quantity.get("unit") not in ("pg/mL", "ng/L", "pmol/L"):
            continue
        there = factor(quantity["unit"], "pg/mL", analyte.molar_mass)
        back = factor(unit, "pg/mL", analyte.molar_mass)
        assert there is not None
        assert back is not None
        quantity.update(value=_dividing(quantity["value"] * there, back), unit=unit, system=UCUM, code=unit)


def _dividing(value: float, by: float) -> float:
    """The number that times `by` is exactly the value; a plain division can miss it by the last bit."""
    near = value / by
    for candidate in (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)):
        if candidate * by == value:
            return candidate
    return near


def as_r5(request: Json) -> None:
    """MedicationRequest, MedicationStatement, Procedure and contained Medication in their R5 shapes."""
    for entry in resources(request, "MedicationRequest", "MedicationStatement"):
        if "medicationCodeableConcept" in entry:
            entry["medication"] = {"concept": entry.pop("medicationCodeableConcept")}
        else:
            entry["medication"] = {"reference": entry.pop("medicationReference")}
        if "reasonCode" in entry:
            entry["reason"] = [{"concept": concept} for concept in entry.pop("reasonCode")]
        for dosage in (*entry.get("dosageInstruction", []), *entry.get("dosage", [])):
            if "asNeededBoolean" in dosage:
                dosage["asNeeded"] = dosage.pop("asNeededBoolean")
        for medication in entry.get("contained", []):
            _r5_medication(medication)
        if entry["resourceType"] == "MedicationStatement" and entry["status"] in _TAKING:
            entry["adherence"] = {"code": {"coding": [{"code": _TAKING[entry["status"]]}]}}
            entry["status"] = "recorded"
    for procedure in resources(request, "Procedure"):
        if "performedDateTime" in procedure:
            procedure["occurrenceDateTime"] = procedure.pop("performedDateTime")


def _r5_medication(medication: Json) -> None:
    if "form" in medication:
        medication["doseForm"] = medication.pop("form")
    for ingredient in medication.get("ingredient", []):
        ingredient["item"] = {"concept": ingredient.pop("itemCodeableConcept")}
        ingredient["strengthRatio"] = ingredient.pop("strength")


def as_stu3(request: Json) -> None:
    """Medication entries, Observations and Conditions in their STU3 shapes."""
    for entry in resources(request, "MedicationRequest", "MedicationStatement"):
        for dosage in (*entry.get("dosageInstruction", []), *entry.get("dosage", [])):
            for rate in dosage.pop("doseAndRate", []):
                dosage.update(rate)
        for medication in entry.get("contained", []):
            for ingredient in medication.get("ingredient", []):
                ingredient["amount"] = ingredient.pop("strength")
        if entry["resourceType"] == "MedicationStatement":
            entry["taken"] = "n" if entry["status"] == "not-taken" else "y"
            if entry["status"] == "not-taken":
                entry["status"] = "active"
    for observation in resources(request, "Observation"):
        if "interpretation" in observation:
            (observation["interpretation"],) = observation["interpretation"]
    for condition in resources(request, "Condition"):
        for status in ("clinicalStatus", "verificationStatus"):
            if status in condition:
                condition[status] = condition[status]["coding"][0]["code"]


def b12_preliminary(request: Json, knowledge: KnowledgeBase) -> None:
    """Sets every result of total and of active B12 to preliminary."""
    sets = [knowledge.terminology.value_sets[name] for name in ("serum-vitamin-b12", "active-vitamin-b12")]
    codes = {code for each in sets for _, code in each.codes}
    for observation in resources(request, "Observation"):
        if codes & {coding["code"] for coding in observation["code"].get("coding", [])}:
            observation["status"] = "preliminary"


REWRITINGS: dict[str, Callable[[Json], None]] = {"twice": each_entry_twice, "R5": as_r5, "STU3": as_stu3}
