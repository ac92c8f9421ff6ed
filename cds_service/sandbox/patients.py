"""Turns a worked patient into FHIR R4 resources, a prefetch and a CDS Hooks request.

The results are plain JSON data, valid R4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import NAMESPACE_URL, uuid5

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.json_types import Json
from cds_service.record_lists import RECORD_LISTS, lists_asked_for
from cds_service.sandbox.entries import EntryWriter, filled
from cds_service.terminology import Terminology

# Prefetch key to the resource type it holds; the Patient comes under "patient".
PREFETCH = {row.key: row.type for row in lists_asked_for()}
TYPES = ("Patient", *(row.type for row in RECORD_LISTS if row.in_sandbox))


@dataclass(frozen=True, slots=True)
class WorkedResources:
    """The resources of one worked patient.

    Attributes:
        by_type: resources per FHIR type, in the order of the worked patient; empty for a type without any.
        drafts: the draft orders as a Bundle, None if the hook has none.
        selections: of the drafts, those that are selected, e.g. "MedicationRequest/V40-draft-1".
    """

    patient: Json
    by_type: dict[str, list[Json]]
    drafts: Json | None
    selections: list[str]

    @property
    def all(self) -> list[Json]:
        """Patient and charted resources, without the drafts."""
        return [self.patient, *(resource for resources in self.by_type.values() for resource in resources)]


def patient_resources(
    worked: WorkedPatient, terminology: Terminology, as_of: date | datetime | None = None
) -> WorkedResources:
    """A worked patient as FHIR R4 resources.

    Args:
        as_of: the day (hours count from its noon, UTC) or the instant to which relative dates refer; by default
            the worked patient's own day.
    Raises:
        KnowledgeError: the worked patient names a value set that is unknown or of another kind.
    """
    writer = EntryWriter(worked.id, terminology, as_of or worked.as_of)
    by_type: dict[str, list[Json]] = {kind: [] for kind in TYPES[1:]}
    written = [writer.lab(lab, f"lab-{n}") for n, lab in enumerate(worked.labs, 1)]
    written += [writer.medication(use, f"medication-{n}") for n, use in enumerate(worked.medications, 1)]
    written += [writer.condition(problem, f"condition-{n}") for n, problem in enumerate(worked.conditions, 1)]
    written += [writer.procedure(problem, f"procedure-{n}") for n, problem in enumerate(worked.procedures, 1)]
    written += [writer.relative(problem, f"family-{n}") for n, problem in enumerate(worked.family, 1)]
    written += [writer.allergy(allergy, f"allergy-{n}") for n, allergy in enumerate(worked.allergies, 1)]
    written += [writer.test(test, f"order-{n}") for n, test in enumerate(worked.pending, 1)]
    if worked.goals.inr is not None:
        written.append(writer.goal(*worked.goals.inr))
    for resource in written:
        by_type[resource["resourceType"]].append(resource)
    drafts = [(writer.draft(draft, f"draft-{n}"), draft.selected) for n, draft in enumerate(worked.drafts, 1)]
    return WorkedResources(
        patient=writer.patient(worked.patient),
        by_type=by_type,
        drafts=_bundle("collection", [order for order, _ in drafts]) if drafts else None,
        selections=[f"{order['resourceType']}/{order['id']}" for order, selected in drafts if selected],
    )


def prefetch_of(resources: WorkedResources) -> dict[str, Json]:
    """The resources as a CDS client would prefetch them: the Patient, and one searchset Bundle per list."""
    return {
        "patient": resources.patient,
        **{key: _bundle("searchset", resources.by_type[kind]) for key, kind in PREFETCH.items()},
    }


def hook_request(
    worked: WorkedPatient,
    resources: WorkedResources,
    *,
    prefetch: Mapping[str, Json] | None = None,
    fhir_server: str | None = None,
    hook_instance: str | None = None,
) -> Json:
    """The CDS Hooks request that opens this patient's chart or orders.

    Args:
        prefetch: what to put into the request, e.g. `prefetch_of(resources)`; None leaves the member out.
        fhir_server: base URL of the FHIR server the request names; None leaves it out.
        hook_instance: a UUID; by default derived from patient and hook.
    """
    context: Json = {"userId": "Practitioner/sample-practitioner", "patientId": worked.id}
    if worked.hook.startswith("encounter-"):
        context["encounterId"] = f"{worked.id}-encounter"
    if worked.hook == "order-select":
        context["selections"] = list(resources.selections)
    if worked.hook.startswith("order-"):
        context["draftOrders"] = resources.drafts or _bundle("collection", [])
    request: Json = {
        "hook": worked.hook,
        "hookInstance": hook_instance or str(uuid5(NAMESPACE_URL, f"{worked.id}/{worked.hook}")),
        "context": context,
    }
    if fhir_server is not None:
        request["fhirServer"] = fhir_server
    if prefetch is not None:
        request["prefetch"] = dict(prefetch)
    return request


def _bundle(kind: str, resources: Sequence[Json]) -> Json:
    # FHIR has no empty arrays: a Bundle without entries has no `entry`.
    entries = [{"resource": resource} for resource in resources]
    total = len(entries) if kind == "searchset" else None
    return filled(resourceType="Bundle", type=kind, total=total, entry=entries or None)
