"""FHIR MedicationAdministration of R4, R4B, R5, STU3 and DSTU2: what was given, which is also what was in use."""

from __future__ import annotations

import msgspec

from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.read.medication import GIVEN, read_medication
from cds_service.fhir.read.relevance import may_be_relevant
from cds_service.fhir.shapes import MedicationEntry
from cds_service.gaps import GapKind
from cds_service.record import ADMINISTRATION, MedicationUse

_NOT_GIVEN = frozenset(("not-done", "on-hold", ERRONEOUS))

_entry = msgspec.json.Decoder(MedicationEntry)


def read_administration(raw: msgspec.Raw, reading: ReadContext, address: str) -> MedicationUse | None:
    """What was given; None if nothing was, if it is not of this patient, or of no interest.

    An entry of which nobody can tell whether it was given leaves a gap among the administrations.

    Raises:
        msgspec.DecodeError: it has not the shape of a MedicationAdministration.
    """
    entry = _entry.decode(raw)
    stated = entry.status is None or entry.status in GIVEN or entry.status in _NOT_GIVEN
    if not stated and True not in (entry.not_given, entry.was_not_given):
        if may_be_relevant(ADMINISTRATION, raw, reading):
            reading.note_list_gap("medication-administrations", GapKind.STATUS_MISSING, ADMINISTRATION)
        return None
    return read_medication(raw, ADMINISTRATION, reading, address)
