"""FHIR medication entries to MedicationUse: which product, is it taken, since when, how much.

MedicationRequest, MedicationStatement and MedicationAdministration of R4, R4B, R5 and STU3, and DSTU2's
MedicationOrder. What is not taken (draft, on hold, cancelled, intended, not taken, unknown, refused) is not here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import Concept, optional, parse_concept
from cds_service.fhir.dates import Moment, moment
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.read.dosage import Dosing, read_dosing
from cds_service.fhir.read.product import Product, display_of, product_of
from cds_service.fhir.read.timing import duration_days
from cds_service.fhir.shapes import AdherenceShape, DispenseShape, MedicationEntry, PeriodShape, ReferenceShape
from cds_service.gaps import GapKind, Note, NoteKind
from cds_service.record import ADMINISTRATION, MedicationUse

# Intents under which a medicine is really to be taken; DSTU2 had none.
_ORDERED = frozenset((None, "order", "plan", "original-order", "reflex-order", "filler-order", "instance-order"))
_REQUESTS = ("MedicationRequest", "MedicationOrder")
_Status = Literal["active", "ended"]
_REQUESTED: dict[str | None, _Status] = {"active": "active", "completed": "ended", "stopped": "ended", "ended": "ended"}
_STATED: dict[str | None, _Status] = {"active": "active", "completed": "ended", "stopped": "ended"}
GIVEN: dict[str | None, _Status] = {"in-progress": "active", "completed": "ended", "stopped": "ended"}
_TAKING = frozenset(("taking", "taking-as-directed", "taking-not-as-directed"))
_STOPPED = frozenset(("stopped", "stopped-as-directed", "stopped-not-as-directed"))
# An order that is one of these is not signed any more. Signing an active order again is judged.
_PAST_ORDERS = frozenset((ERRONEOUS, "cancelled", "stopped", "completed", "ended"))

_entry = msgspec.json.Decoder(MedicationEntry)
_period = msgspec.json.Decoder(PeriodShape | None)
_dispense = msgspec.json.Decoder(DispenseShape | None)
_adherence = msgspec.json.Decoder(AdherenceShape | None)
_many = msgspec.json.Decoder(list[msgspec.Raw])
_references = msgspec.json.Decoder(list[ReferenceShape] | ReferenceShape | None)


def read_medication(raw: msgspec.Raw, kind: str, reading: ReadContext, address: str) -> MedicationUse | None:
    """One entry of the medication lists; None if it is not of this patient, not taken, or of no interest.

    Raises:
        msgspec.DecodeError: it has not the shape of a medication resource.
    """
    entry = _entry.decode(raw)
    status = _status(entry, kind)
    # Without a status nobody can say whether it is taken: that is neither yes nor no (HL7's PDDI examples have such).
    unclear = status is None and entry.status is None and (entry.intent in _ORDERED or kind not in _REQUESTS)
    if (status is None and not unclear) or entry.do_not_perform is True:
        return None
    if not reading.is_call_patient(kind, entry.subject, entry.patient):
        return None
    product = product_of(entry, reading)
    if not product.known:
        reading.note_gap(kind, GapKind.MEDICINE_NOT_FOUND)
    if not product.concepts:
        reading.unmatched[kind, product.written] += 1
        return None
    if status is None:
        reading.note_gap(kind, GapKind.STATUS_MISSING)
        return None
    return _use(entry, kind, status, product, reading, address)


def read_draft(
    raw: msgspec.Raw, kind: str, reading: ReadContext, address: str
) -> tuple[str, MedicationUse | None] | None:
    """A drafted medicine: its reference, and the use if the knowledge names it; None if it is not to be judged."""
    entry = _entry.decode(raw)
    if entry.status in _PAST_ORDERS or entry.do_not_perform is True:
        return None
    # The EHR itself holds the session's drafts for this patient; some clients leave the subject out.
    if not reading.is_call_patient(kind, entry.subject, entry.patient, missing=True):
        return None
    reference = f"{kind}/{entry.id}" if entry.id else address
    # While an order is being written it may have no medicine yet (CDS Hooks, order-select).
    product = product_of(entry, reading, may_be_blank=True)
    if not product.known:
        reading.note_list_gap("draft-orders", GapKind.DRAFT_MEDICINE_NOT_FOUND)
    if not product.concepts and product.written != Concept():
        reading.unmatched[kind, product.written] += 1
    return reference, _use(entry, kind, "draft", product, reading, reference) if product.concepts else None


def _status(entry: MedicationEntry, kind: str) -> _Status | None:
    """Active or ended, as the entry says of itself; None if it is neither, or says that nothing was taken."""
    if kind in _REQUESTS:
        if entry.intent not in _ORDERED:
            return None
        return _REQUESTED.get(entry.status)
    if entry.taken in ("n", "na") or True in (entry.was_not_taken, entry.not_given, entry.was_not_given):
        return None
    if kind == ADMINISTRATION:
        return GIVEN.get(entry.status)
    if entry.status == "recorded":
        return _by_adherence(entry)
    return _STATED.get(entry.status)


def _by_adherence(entry: MedicationEntry) -> _Status | None:
    """R5 says in `adherence` what `status` said before; a statement without it is one that the medicine is taken."""
    adherence = optional(_adherence, entry.adherence)
    code = parse_concept(adherence.code).code if adherence is not None else ""
    if not code or code in _TAKING:
        return "active"
    return "ended" if code in _STOPPED else None


def _use(
    entry: MedicationEntry,
    kind: str,
    status: _Status | Literal["draft"],
    product: Product,
    reading: ReadContext,
    address: str,
) -> MedicationUse:
    # MedicationRequest has `dosageInstruction`; Epic's examples put the members of older versions beside it.
    raw = entry.dosage_instruction if bytes(entry.dosage_instruction) else entry.dosage
    dosing = read_dosing(raw, product.strength, product.name, product.form)
    if dosing.unreadable:
        reading.notes[Note(NoteKind.DOSAGE_UNREADABLE, kind)] += 1
    start, end, at_once = _dates(entry, kind, status, dosing)
    course = dosing.course_days
    if course is None:
        dispense = optional(_dispense, entry.dispense_request)
        course = duration_days(dispense.expected_supply_duration) if dispense is not None else None
    administered = kind == ADMINISTRATION
    return MedicationUse(
        concepts=product.concepts,
        product=product.name,
        resource=kind,
        reference=f"{kind}/{entry.id}" if entry.id else address,
        status=status,
        start=start.day if start else None,
        end=end.day if end else None,
        # An administration tells what was given then, not what is given on a day.
        daily_dose=None if administered else dosing.daily,
        dose=dosing.dose,
        reported_dose=dosing.reported,
        route=dosing.route,
        single_dose=dosing.single or (administered and at_once),
        course_days=course,
        strength=product.strength.each,
        reasons=_reasons(entry, reading),
        partial_start=start.partial if start else False,
    )


def _dates(entry: MedicationEntry, kind: str, status: str, dosing: Dosing) -> tuple[Moment | None, Moment | None, bool]:
    """First and last day, and whether the entry is of one moment (an `effectiveDateTime`)."""
    if kind in ("MedicationRequest", "MedicationOrder"):
        start = dosing.start or moment(entry.authored_on) or moment(entry.date_written)
        return start, dosing.end or moment(entry.date_ended), False
    moments = (
        entry.effective_date_time,
        entry.occurence_date_time,
        entry.occurrence_date_time,
        entry.effective_time_date_time,
    )
    at = next(filter(None, map(moment, moments)), None)
    periods = (entry.effective_period, entry.occurence_period, entry.occurrence_period, entry.effective_time_period)
    for raw in periods:
        period = optional(_period, raw)
        if period is not None:
            return moment(period.start), moment(period.end), False
    # One date on an entry that has ended is all that is known of both its ends.
    return at, at if status == "ended" else None, at is not None


def _reasons(entry: MedicationEntry, reading: ReadContext) -> frozenset[str]:
    """Condition value sets of the stated reasons: codes, texts, and the Conditions referred to."""
    found: frozenset[str] = frozenset()
    for raw in (entry.reason_code, entry.reason_codeable_concept, entry.reason_for_use_codeable_concept, entry.reason):
        if not bytes(raw):
            continue
        for one in optional(_many, raw) or [raw]:
            try:
                found |= reading.concepts("condition", one)
            except UNREADABLE:
                reading.notes[Note(NoteKind.REASON_UNREADABLE)] += 1
    references = optional(_references, entry.reason_reference) or []
    for reference in references if isinstance(references, list) else [references]:
        if reference.display:
            found |= reading.terminology.concepts("condition", (), display_of(reference))
        if reference.reference:
            found |= reading.reasons.get(reference.reference.partition("/_history/")[0], frozenset())
    return found
