"""The session's draft orders (`context.draftOrders`) to DraftOrders, with the selected ones marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from cds_service.fhir.bundle import UNREADABLE, Entry, resource_type
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.read.medication import read_draft
from cds_service.fhir.read.problems import read_draft_test
from cds_service.fhir.read.relevance import may_be_relevant
from cds_service.fhir.reference import literal
from cds_service.fhir.shapes import OtherShape
from cds_service.gaps import GapKind, Note, NoteKind
from cds_service.record import DraftOrder
from cds_service.record_lists import by_source, filled_by

_MEDICATION_ORDERS = by_source()["medication-requests"].types
_TEST_ORDERS = by_source()["service-requests"].types
# Drafts that no rule judges; they may be the selected ones all the same.
_OTHER_ORDERS = frozenset(
    (
        "Appointment",
        "CommunicationRequest",
        "DeviceRequest",
        "DiagnosticOrder",
        "ImmunizationRecommendation",
        "NutritionOrder",
        "RequestGroup",
        "RequestOrchestration",
        "SupplyRequest",
        "VisionPrescription",
    )
)


_other = msgspec.json.Decoder(OtherShape)


def read_drafts(entries: Sequence[Entry], reading: ReadContext) -> tuple[DraftOrder, ...]:
    """The orders in the Bundle, none marked as selected yet; Medications in it are no orders."""
    orders: list[DraftOrder] = []
    for number, entry in enumerate(entries, 1):
        kind = entry.resource_type or resource_type(entry.resource)
        try:
            order = _read_draft(kind, entry, entry.full_url or f"{kind}/#{number}", reading)
        except UNREADABLE:
            reading.notes[Note(NoteKind.DRAFT_UNREADABLE, kind)] += 1
            if filled_by(kind) and may_be_relevant(kind, entry.resource, reading):
                if kind in _MEDICATION_ORDERS:
                    reading.note_list_gap("draft-orders", GapKind.DRAFT_UNREADABLE)
                else:
                    reading.note_gap(kind, GapKind.DRAFT_UNREADABLE, resource="")
            continue
        if order is not None:
            orders.append(order)
    return tuple(orders)


def _read_draft(kind: str, entry: Entry, address: str, reading: ReadContext) -> DraftOrder | None:
    if kind in _MEDICATION_ORDERS:
        medicine = read_draft(entry.resource, kind, reading, address)
        if medicine is None:
            return None
        reference, use = medicine
        # Only a draft that can be judged is worth keeping for a suggestion.
        return DraftOrder(reference, selected=False, use=use, written=bytes(entry.resource) if use else b"")
    if kind in _TEST_ORDERS:
        test = read_draft_test(entry.resource, kind, reading, address)
        return None if test is None else DraftOrder(test[0], selected=False, tests=test[1])
    if kind in _OTHER_ORDERS:
        other = _other.decode(entry.resource)
        if other.status != ERRONEOUS and reading.is_call_patient(kind, other.subject, other.patient, missing=True):
            return DraftOrder(f"{kind}/{other.id}" if other.id else address, selected=False)
    return None


def selected(orders: tuple[DraftOrder, ...], selections: Sequence[str] | None) -> tuple[DraftOrder, ...]:
    """Marks the selected orders: `Type/id`, an absolute URL or a bare id; all, if none is named or none is found."""
    wanted = set[str]()
    for selection in selections or ():
        parts = literal(selection)
        wanted.add(f"{parts.type}/{parts.id}" if parts is not None else selection)
    chosen = {
        order.reference for order in orders if order.reference in wanted or order.reference.rpartition("/")[2] in wanted
    }
    return tuple(replace(order, selected=not chosen or order.reference in chosen) for order in orders)
