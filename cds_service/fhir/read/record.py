"""FHIR resources of any version to PatientRecord: entry by entry, so that a bad one falls alone and is counted.

No clock stands here: entries keep the status and the dates they state, and the facts judge them as of a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import assert_never

import msgspec

from cds_service.errors import TooLarge, Unprocessable
from cds_service.fhir.bundle import MAX_ENTRIES, UNREADABLE, Entry, ListResult, open_resource, resource_type
from cds_service.fhir.dates import moment
from cds_service.fhir.read.allergy import read_allergy
from cds_service.fhir.read.context import ReadContext
from cds_service.fhir.read.dispense import read_dispense
from cds_service.fhir.read.drafts import read_drafts, selected
from cds_service.fhir.read.medication import UnusedEntry, read_medication
from cds_service.fhir.read.observation import read_observation
from cds_service.fhir.read.problems import (
    DatedGoal,
    read_condition,
    read_family_history,
    read_goal,
    read_procedure,
    read_service_request,
)
from cds_service.fhir.read.relevance import may_be_relevant
from cds_service.fhir.reference import Medications, PatientMatcher, literal, normal_base
from cds_service.fhir.shapes import PatientShape
from cds_service.gaps import GapKind, Gaps, Note, NoteKind
from cds_service.record import (
    Allergy,
    Dispense,
    LabResult,
    ListName,
    MedicationUse,
    Patient,
    PatientRecord,
    PendingTest,
    Problem,
    Source,
    Unmatched,
)
from cds_service.record_lists import by_type
from cds_service.terminology import Terminology

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_patient = msgspec.json.Decoder(PatientShape)


@dataclass(slots=True)
class _Lists:
    """The lists of a record while they grow."""

    labs: dict[str, list[LabResult]] = field(default_factory=dict)
    medications: list[MedicationUse] = field(default_factory=list)
    dispensed: list[Dispense] = field(default_factory=list)
    unused: list[MedicationUse] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    family: list[Problem] = field(default_factory=list)
    allergies: list[Allergy] = field(default_factory=list)
    pending: list[PendingTest] = field(default_factory=list)
    goals: list[DatedGoal] = field(default_factory=list)
    seen: set[object] = field(default_factory=set)


def read_record(
    patient_id: str,
    obtained: Sequence[ListResult],
    terminology: Terminology,
    units: Mapping[str, str],
    *,
    drafts: bytes | msgspec.Raw | None = None,
    selections: Sequence[str] | None = None,
    fhir_server: str | None = None,
) -> PatientRecord:
    """One patient's record from the resources at hand.

    Args:
        patient_id: id of the patient of the call; every resource must be of this patient or is left out.
        obtained: what was sent or fetched, the Patient among it.
        terminology, units: value sets; unit spellings to UCUM codes (`concept:spelling` for one analyte only).
        drafts: `context.draftOrders`; None if the hook has none.
        selections: `context.selections`; None or matching nothing: all drafts count as selected.
        fhir_server: base URL of the EHR's FHIR server, to know its absolute references.
    Returns:
        The record; what could not be read is in `unread`, `incomplete` and `notes`.
    Raises:
        Unprocessable: the Patient is not among the resources, or is somebody else.
        TooLarge: more draft orders than anybody has in hand.
    """
    entries = [(_type(entry), entry, held.sources) for held in obtained for entry in held.entries]
    server = normal_base(fhir_server) if fhir_server else None
    patient, addresses = _read_patient(patient_id, entries)
    drafted = open_resource(drafts) if drafts is not None else None
    if drafted is not None and drafted.too_many:
        path = "context.draftOrders"
        raise TooLarge(f"{path} has more than {MAX_ENTRIES} entries. Send the orders in hand.", expression=path)
    medications = Medications(server)
    medications.add(entry for kind, entry, _ in entries if kind == "Medication")
    if drafted is not None:
        medications.add(entry for entry in drafted.entries if _type(entry) == "Medication")
    reading = ReadContext(terminology, units, PatientMatcher(patient_id, server, addresses), medications)
    lists = _Lists()
    # Medicines last: their reasons may refer to Conditions.
    late: list[tuple[ListName, str, Entry]] = []
    rows = by_type()
    for kind, entry, _ in entries:
        row = rows.get(kind)
        if row is None:
            continue
        if row.concepts == "medication":
            late.append((row.source, kind, entry))
        else:
            _read_one(row.source, kind, entry, reading, lists)
    reading.read_unmatched()
    reading.reasons = {problem.reference: problem.concepts for problem in lists.problems}
    for source, kind, entry in late:
        _read_one(source, kind, entry, reading, lists)
    orders = None
    if drafted is not None:
        if drafted.unreadable or not drafted.resource_type:
            reading.notes[Note(NoteKind.DRAFT_NOT_OPENED)] += max(drafted.unreadable, 1)
            reading.note_list_gap("draft-orders", GapKind.DRAFT_NOT_OPENED)
        orders = selected(read_drafts(drafted.entries, reading), selections)
    unread, incomplete = _states(obtained, reading)
    return PatientRecord(
        patient=patient,
        labs={concept: tuple(sorted(results, key=_recency, reverse=True)) for concept, results in lists.labs.items()},
        medications=tuple(lists.medications),
        dispensed=tuple(lists.dispensed),
        unused=tuple(lists.unused),
        problems=tuple(lists.problems),
        family=tuple(lists.family),
        allergies=tuple(lists.allergies),
        pending=tuple(lists.pending),
        inr_goal=max(lists.goals, key=lambda dated: dated.since).goal if lists.goals else None,
        orders=orders,
        unread=unread,
        incomplete=incomplete,
        notes=dict(reading.notes),
        unmatched=tuple(Unmatched(kind, *written, count) for (kind, written), count in reading.unmatched.items()),
        lookups=tuple(sorted(reading.lookups)),
    )


def _type(entry: Entry) -> str:
    return entry.resource_type or resource_type(entry.resource)


def _read_patient(
    patient_id: str, entries: Iterable[tuple[str, Entry, tuple[Source, ...]]]
) -> tuple[Patient, frozenset[str]]:
    """The Patient of the call, and the addresses that Bundles gave it.

    A Patient that came with a search (`_include`) may be somebody else; the one asked for may not.
    """
    patient: Patient | None = None
    addresses: set[str] = set()
    for kind, entry, sources in entries:
        if kind != "Patient":
            continue
        try:
            shape = _patient.decode(entry.resource)
        except UNREADABLE:
            shape = PatientShape()
        if shape.id == patient_id:
            patient = patient or _patient_of(patient_id, shape)
            address = entry.full_url.partition("/_history/")[0]
            if address and _may_be_of(address, patient_id):
                addresses.add(address)
        elif not sources:
            raise Unprocessable("The Patient resource is not the patient of the context, so no advice can be given.")
    if patient is None:
        raise Unprocessable(
            "The Patient resource is missing. Send it as prefetch, or give access to a FHIR server that has it."
        )
    return patient, frozenset(addresses)


def _may_be_of(address: str, patient_id: str) -> bool:
    """Whether the Patient's entry may bear this address: a urn says nothing else, a URL must say the same id."""
    parts = literal(address)
    return address.startswith("urn:") if parts is None else (parts.type, parts.id) == ("Patient", patient_id)


def _patient_of(patient_id: str, shape: PatientShape) -> Patient:
    born = moment(shape.birth_date)
    # `deceasedBoolean: false` is alive; any deceasedDateTime, even one that cannot be read, is not.
    deceased = (
        shape.deceased_boolean is True or shape.deceased_boolean == "true" or shape.deceased_date_time is not None
    )
    return Patient(
        patient_id, born.day if born else None, shape.gender if isinstance(shape.gender, str) else None, deceased
    )


def _read_one(source: ListName, kind: str, entry: Entry, reading: ReadContext, lists: _Lists) -> None:
    """Reads one entry into its list; one that cannot be read leaves a gap there, if it may be relevant."""
    raw, address = entry.resource, entry.full_url or kind
    try:
        match source:
            case "observations":
                for result in read_observation(raw, reading, address):
                    _keep(result, lists)
            case "medication-requests" | "medication-statements" | "medication-administrations":
                _keep(read_medication(raw, kind, reading, address), lists)
            case "conditions":
                for problem in read_condition(raw, reading, address):
                    _keep(problem, lists)
            case "procedures":
                _keep(read_procedure(raw, reading, address), lists)
            case "service-requests":
                _keep(read_service_request(raw, kind, reading, address), lists)
            case "goals":
                _keep(read_goal(raw, reading, address), lists)
            case "medication-dispenses":
                _keep(read_dispense(raw, reading, address), lists)
            case "family-history":
                lists.family += read_family_history(raw, reading, address)
            case "allergies":
                _keep(read_allergy(raw, reading, address), lists)
            case _:
                assert_never(source)
    except UNREADABLE:
        if may_be_relevant(kind, raw, reading):
            reading.note_gap(kind, GapKind.RESOURCE_UNREADABLE)


_Found = LabResult | MedicationUse | UnusedEntry | Dispense | Problem | PendingTest | DatedGoal


def _keep(found: _Found | None, lists: _Lists) -> None:
    """Adds it to its list, once: two prefetch keys, or two pages, may bring the same resource."""
    if found is None:
        return
    if isinstance(found, DatedGoal):
        lists.goals.append(found)
        return
    if isinstance(found, UnusedEntry):
        lists.unused.append(found.use)
        return
    if "/" in found.reference:
        # One Observation may hold several results, in its components.
        key: object = found.reference
        if isinstance(found, LabResult):
            key = found.reference, found.concept, found.reported
        elif isinstance(found, Allergy):
            # A Condition may be a problem and tell of an allergy, too.
            key = found.reference, "allergy"
        if key in lists.seen:
            return
        lists.seen.add(key)
    if isinstance(found, LabResult):
        lists.labs.setdefault(found.concept, []).append(found)
    elif isinstance(found, MedicationUse):
        lists.medications.append(found)
    elif isinstance(found, Dispense):
        lists.dispensed.append(found)
    elif isinstance(found, Allergy):
        lists.allergies.append(found)
    elif isinstance(found, Problem):
        lists.problems.append(found)
    else:
        lists.pending.append(found)


def _recency(result: LabResult) -> tuple[bool, int, datetime, datetime]:
    """Newest by day, then by instant, then by issue; undated results come last."""
    day = result.effective.toordinal() if result.effective else 0
    return result.effective is not None, day, result.effective_at or _LONG_AGO, result.issued or _LONG_AGO


def _states(obtained: Sequence[ListResult], reading: ReadContext) -> tuple[dict[Source, Gaps], dict[Source, Gaps]]:
    """Which lists could not be read at all, and which only in part. One failed key of several makes a list unread."""
    unread: dict[Source, Gaps] = {}
    incomplete = reading.incomplete()
    for held in obtained:
        for source in held.sources:
            if held.unread:
                unread.setdefault(source, held.unread)
            if held.incomplete:
                incomplete[source] = (*held.incomplete, *incomplete.get(source, ()))
    return unread, incomplete
