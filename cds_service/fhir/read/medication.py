"""FHIR medication entries to MedicationUse: which product, is it taken, since when, how much.

MedicationRequest, MedicationStatement and MedicationAdministration of R4, R4B, R5 and STU3, and DSTU2's
MedicationOrder. An entry that says that the product is not used (draft, cancelled, intended, not taken, refused, in
error) is kept apart; one that does not say is kept as unclear.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import Concept, optional, parse_concept
from cds_service.fhir.dates import Moment, moment
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.read.dosage import Dosing, mass_of, read_dosing
from cds_service.fhir.read.product import Product, display_of, product_of
from cds_service.fhir.read.strength import Strength
from cds_service.fhir.read.timing import duration_days
from cds_service.fhir.reference import literal
from cds_service.fhir.shapes import (
    AdherenceShape,
    DispenseShape,
    MedicationEntry,
    PeriodShape,
    ReferenceShape,
)
from cds_service.gaps import GapKind, Note, NoteKind
from cds_service.quantity import tidy
from cds_service.record import ADMINISTRATION, MedicationUse, UseStatus

_REQUESTS = ("MedicationRequest", "MedicationOrder")
# Intents under which nothing was ordered yet; DSTU2 had no intents.
_NOT_ORDERED = frozenset(("proposal", "option"))
_ORDERED = frozenset((None, "order", "plan", "original-order", "reflex-order", "filler-order", "instance-order"))
# What the statuses of an entry mean. Any other status, and none, leaves it unclear.
_Said = Literal["active", "held", "ended", "unused"]
_NEVER: dict[str, _Said] = {ERRONEOUS: "unused", "cancelled": "unused", "draft": "unused"}
_ENDED: dict[str, _Said] = {"completed": "ended", "stopped": "ended", "ended": "ended"}
_REQUESTED: dict[str, _Said] = {**_NEVER, **_ENDED, "active": "active", "on-hold": "held"}
_STATED: dict[str, _Said] = {**_REQUESTED, "intended": "unused", "not-taken": "unused"}
_GIVEN: dict[str, _Said] = {**_NEVER, **_ENDED, "in-progress": "active", "not-done": "unused", "on-hold": "unused"}
_ADHERENCE: dict[str, _Said] = {
    "": "active",
    **dict.fromkeys(("taking", "taking-as-directed", "taking-not-as-directed"), "active"),
    **dict.fromkeys(("on-hold", "on-hold-as-directed", "on-hold-not-as-directed"), "held"),
    **dict.fromkeys(("stopped", "stopped-as-directed", "stopped-not-as-directed"), "ended"),
    "not-taking": "unused",
}
# Ended of itself: nobody is said to have stopped it.
_RAN_OUT = frozenset(("completed", "ended"))
# An order that is one of these is not signed any more. Signing an active order again is judged.
_PAST_ORDERS = frozenset((ERRONEOUS, "cancelled", "stopped", "completed", "ended"))


_entry = msgspec.json.Decoder(MedicationEntry)
_period = msgspec.json.Decoder(PeriodShape | None)
_dispense = msgspec.json.Decoder(DispenseShape | None)
_adherence = msgspec.json.Decoder(AdherenceShape | None)
_many = msgspec.json.Decoder(list[msgspec.Raw])
_references = msgspec.json.Decoder(list[ReferenceShape] | ReferenceShape | None)


class UnusedEntry(NamedTuple):
    """An entry that says that the product is not used."""

    use: MedicationUse


def read_medication(
    raw: msgspec.Raw, kind: str, reading: ReadContext, address: str
) -> MedicationUse | UnusedEntry | None:
    """One entry of the medication lists; None if it is not of this patient or of no interest.

    Raises:
        msgspec.DecodeError: it has not the shape of a medication resource.
    """
    entry = _entry.decode(raw)
    status = _status(entry, kind)
    if not reading.is_call_patient(kind, entry.subject, entry.patient):
        return None
    product = product_of(entry, reading, in_use=status is not None)
    if status is None:
        return UnusedEntry(_use(entry, kind, "unclear", product, reading, address)) if product.concepts else None
    if not product.known:
        reading.note_gap(kind, GapKind.MEDICINE_NOT_FOUND)
    if not product.concepts:
        reading.unmatched[kind, product.written] += 1
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


def _status(entry: MedicationEntry, kind: str) -> UseStatus | None:
    """What the entry says of itself; None if it says that the product is not used."""
    if entry.do_not_perform is True or entry.taken in ("n", "na"):
        return None
    if True in (entry.was_not_taken, entry.not_given, entry.was_not_given):
        return None
    if kind == ADMINISTRATION:
        said = _GIVEN.get(entry.status or "")
    elif kind in _REQUESTS:
        said = "unused" if entry.intent in _NOT_ORDERED else _REQUESTED.get(entry.status or "")
        if said == "active" and entry.intent not in _ORDERED:
            said = None
    elif entry.status == "recorded":
        said = _by_adherence(entry)
    else:
        said = _STATED.get(entry.status or "")
    if said is None:
        return "unclear"
    return None if said == "unused" else said


def _by_adherence(entry: MedicationEntry) -> _Said | None:
    """R5 says in `adherence` what `status` said before; a statement without it is one that the medicine is taken."""
    adherence = optional(_adherence, entry.adherence)
    return _ADHERENCE.get(parse_concept(adherence.code).code if adherence is not None else "")


def _use(
    entry: MedicationEntry, kind: str, status: UseStatus, product: Product, reading: ReadContext, address: str
) -> MedicationUse:
    # MedicationRequest has `dosageInstruction`; Epic's examples put the members of older versions beside it.
    raw = entry.dosage_instruction if bytes(entry.dosage_instruction) else entry.dosage
    dosing = read_dosing(raw, product.strength, product.name, product.form)
    if dosing.unreadable:
        reading.notes[Note(NoteKind.DOSAGE_UNREADABLE, kind)] += 1
    supply = optional(_dispense, entry.dispense_request) or DispenseShape()
    start, end, at_once = _dates(entry, kind, status, dosing, supply)
    recorded = _first(entry.authored_on, entry.date_written, entry.date_asserted)
    administered = kind == ADMINISTRATION
    return MedicationUse(
        concepts=product.concepts,
        product=product.name,
        resource=kind,
        reference=f"{kind}/{entry.id}" if entry.id else address,
        status=status,
        ran_out=status == "ended" and entry.status in _RAN_OUT,
        start=start.day if start else None,
        end=end.day if end else None,
        recorded=recorded.day if recorded else None,
        # An administration tells what was given then, not what is given on a day.
        daily_dose=None if administered else dosing.daily,
        daily_units=None if administered else dosing.units,
        dose=dosing.dose,
        reported_dose=dosing.reported,
        route=dosing.route,
        single_dose=dosing.single or (administered and at_once),
        as_needed=dosing.as_needed,
        course_days=dosing.course_days or _supplied_days(supply, dosing, product.strength),
        strength=product.strength.each,
        reasons=_reasons(entry, reading),
        rests_on=references_in(entry.based_on, entry.derived_from, entry.prior_prescription),
        partial_start=start.partial if start else False,
    )


def _dates(
    entry: MedicationEntry, kind: str, status: UseStatus, dosing: Dosing, supply: DispenseShape
) -> tuple[Moment | None, Moment | None, bool]:
    """First and last day, and whether the entry is of one moment (an `effectiveDateTime`).

    The start never stands in for the end, except of what was given at one moment.
    """
    if kind in _REQUESTS:
        start = dosing.start or _first(entry.authored_on, entry.date_written)
        validity = supply.validity_period if status == "ended" else None
        return start, dosing.end or moment(entry.date_ended) or moment(validity.end if validity else None), False
    at = _first(
        entry.effective_date_time,
        entry.occurence_date_time,
        entry.occurrence_date_time,
        entry.effective_time_date_time,
    )
    periods = (entry.effective_period, entry.occurence_period, entry.occurrence_period, entry.effective_time_period)
    for raw in periods:
        period = optional(_period, raw)
        if period is not None:
            return moment(period.start) or dosing.start, moment(period.end) or dosing.end, False
    given = kind == ADMINISTRATION and status != "active"
    return at or dosing.start, at if given else dosing.end, at is not None


def _first(*written: object) -> Moment | None:
    return next(filter(None, map(moment, written)), None)


def _supplied_days(supply: DispenseShape, dosing: Dosing, strength: Strength) -> float | None:
    """How long what may be handed over lasts, all repeats included."""
    days = duration_days(supply.expected_supply_duration)
    if days is None and supply.quantity is not None and dosing.daily is not None and dosing.daily.low > 0:
        amount = mass_of(supply.quantity, strength)
        days = None if amount is None else tidy(amount.high / dosing.daily.low)
    repeats = supply.number_of_repeats_allowed or 0
    return None if days is None or repeats < 0 else days * (1 + repeats)


def references_in(*written: msgspec.Raw) -> frozenset[str]:
    """The entries that members such as `basedOn` and `derivedFrom` lead to, as `Type/id`."""
    found = []
    for raw in written:
        references = optional(_references, raw) or []
        found += references if isinstance(references, list) else [references]
    parts = (literal(one.reference) for one in found if one.reference)
    return frozenset(f"{part.type}/{part.id}" for part in parts if part is not None)


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
