"""What we write: draft ServiceRequests, MedicationRequests and Tasks (FHIR R4), from the suggestion catalogue.

Nothing here acts by itself: every resource has status `draft` and intent `proposal`, and a clinician signs it.
The schema of the catalogue (`artifacts/schema.py`) admits only codes, doses and schedules that FHIR can hold, and tests
validate every draft with fhir.resources. Per call only references, dates and texts are filled in, and those are checked
where they enter the service.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cds_service.artifacts.schema import CodeRef, LabOrder, Medicine, Step
from cds_service.coding import SNOMED, SYSTEMS, UCUM
from cds_service.fhir.reference import leads_somewhere
from cds_service.record import Private

_LABORATORY = {"coding": [{"system": SNOMED, "code": "108252007", "display": "Laboratory procedure"}]}
# SNOMED CT route concepts (Global Patient Set).
_ROUTES = {
    "oral": {"system": SNOMED, "code": "26643006", "display": "Oral route"},
    "sublingual": {"system": SNOMED, "code": "37839007", "display": "Sublingual route"},
    "sc": {"system": SNOMED, "code": "34206005", "display": "Subcutaneous route"},
    "im": {"system": SNOMED, "code": "78421000", "display": "Intramuscular route"},
}
# FHIR, string: no characters below 32 except tab and line ends.
_NO_STRING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ABORT = {
    "system": "http://hl7.org/fhir/CodeSystem/task-code",
    "code": "abort",
    "display": "Mark the focal resource as no longer active",
}


class DraftContext(Private, frozen=True):
    """Whom and what a draft is for.

    Attributes:
        patient, encounter, author: references, e.g. "Patient/123"; encounter and author may be unknown.
        authored: the moment, as a FHIR dateTime with offset.
        reason: why, in words of ours.
        supporting: references of the record that the reason rests on, e.g. "Observation/o17".
        urgent: the card that offers the draft is a critical one, so the draft is to be acted on promptly.
    """

    patient: str
    authored: str
    reason: str
    encounter: str | None = None
    author: str | None = None
    supporting: tuple[str, ...] = ()
    urgent: bool = False


# What of a draft is the same for every patient is made once; this fills in the rest.
Draft = Callable[[DraftContext], dict[str, Any]]


def service_request(order: LabOrder, language: str) -> Draft:
    """A draft order for a laboratory test."""
    test = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "category": [_LABORATORY],
        "code": {"coding": [_coding(code) for code in order.codings], "text": order.text.in_language(language)},
    }
    note = {"note": [{"text": order.note.in_language(language)}]} if order.note else {}

    def draft(draft_context: DraftContext) -> dict[str, Any]:
        return {**test, **_about(draft_context, "subject"), **_why(draft_context, "supportingInfo"), **note}

    return draft


def medication_request(medicine: Medicine, language: str) -> Draft:
    """A draft prescription with its whole schedule, step by step."""
    text = medicine.text.in_language(language)
    product = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "proposal",
        "medicationCodeableConcept": {"coding": [_coding(code) for code in medicine.codings], "text": text}
        if medicine.codings
        else {"text": text},
    }
    schedule = [_dosage(number, step, medicine, language) for number, step in enumerate(medicine.schedule, start=1)]

    def draft(draft_context: DraftContext) -> dict[str, Any]:
        why = _why(draft_context, "supportingInformation")
        return {**product, **_about(draft_context, "subject"), **why, "dosageInstruction": schedule}

    return draft


def stop_task(reference: str, product: str, label: str, draft_context: DraftContext) -> dict[str, Any]:
    """A proposal to stop something that is taken: a draft Task to abort it, for orders and statements alike.

    Args:
        product: its name as the record writes it; "" if the record has codes only.
    """
    product = _NO_STRING.sub("", product).strip()
    focus: dict[str, Any] = {"reference": reference} if leads_somewhere(reference) else {}
    if product:
        focus["display"] = product
    # FHIR R4 has room for one reason in a Task: what speaks against the product, not the product.
    because = next((one for one in draft_context.supporting if one != reference), None)
    return {
        "resourceType": "Task",
        "status": "draft",
        "intent": "proposal",
        "code": {"coding": [_ABORT], "text": label},
        "description": f"{label}: {product}" if product else label,
        **({"focus": focus} if focus else {}),
        **_about(draft_context, "for"),
        "reasonCode": {"text": draft_context.reason},
        **({"reasonReference": {"reference": because}} if because else {}),
    }


def _about(draft_context: DraftContext, subject: str) -> dict[str, Any]:
    about: dict[str, Any] = {subject: {"reference": draft_context.patient}, "authoredOn": draft_context.authored}
    if draft_context.encounter:
        about["encounter"] = {"reference": draft_context.encounter}
    if draft_context.author:
        about["requester"] = {"reference": draft_context.author}
    if draft_context.urgent:
        about["priority"] = "urgent"
    return about


def _why(draft_context: DraftContext, supporting: str) -> dict[str, Any]:
    """The reason in words, the results and conditions that are it, and what else it rests on.

    `supporting`: the member for the latter, which the resource types call differently.
    """
    why: dict[str, Any] = {"reasonCode": [{"text": draft_context.reason}]}
    # Request resources of FHIR R4 take an Observation or a Condition as their reason, and no medicine or procedure.
    reasons = [one for one in draft_context.supporting if one.startswith(_REASONS)]
    others = [one for one in draft_context.supporting if not one.startswith(_REASONS)]
    for member, references in (("reasonReference", reasons), (supporting, others)):
        if references:
            why[member] = [{"reference": reference} for reference in references]
    return why


_REASONS = ("Observation/", "Condition/")


def _coding(code: CodeRef) -> dict[str, str]:
    return {"system": SYSTEMS[code.system], "code": code.code, "display": code.display}


def _dosage(number: int, step: Step, medicine: Medicine, language: str) -> dict[str, Any]:
    repeat: dict[str, Any] = {"frequency": step.times, "period": step.every, "periodUnit": step.unit}
    if step.every_to:
        repeat["periodMax"] = step.every_to
    if step.for_days:
        low, high = step.for_days
        repeat["boundsRange"] = {
            "low": {"value": low, "unit": "d", "system": UCUM, "code": "d"},
            "high": {"value": high, "unit": "d", "system": UCUM, "code": "d"},
        }
    dose = medicine.dose
    return {
        "sequence": number,
        "text": step.text.in_language(language),
        "timing": {"repeat": repeat},
        "route": {"coding": [_ROUTES[medicine.route]]},
        "doseAndRate": [{"doseQuantity": {"value": dose.value, "unit": dose.unit, "system": UCUM, "code": dose.unit}}],
    }
