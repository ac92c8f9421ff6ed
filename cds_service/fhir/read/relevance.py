"""Whether a resource that could not be decoded may be relevant to its list."""

from __future__ import annotations

from typing import Any

import msgspec

from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import Concept, parse_concept
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.record_lists import by_type

_TELLING = ("code", "medicationCodeableConcept", "medication", "description", "substance")


def may_be_relevant(kind: str, raw: msgspec.Raw, reading: ReadContext) -> bool:
    """A second, lenient look at a resource that could not be decoded: is it certainly none of ours?"""
    try:
        members: Any = msgspec.json.decode(raw)
    except UNREADABLE:
        return True
    if members.get("status") == ERRONEOUS or _of_somebody_else(
        members.get("subject") or members.get("patient"), reading
    ):
        return False
    components = members.get("component") or []
    if not isinstance(components, list):
        return True
    told = [written for member in _TELLING if (written := _leniently(members.get(member))) is not None]
    told += [_leniently(part.get("code")) or Concept() for part in components if isinstance(part, dict)]
    about = by_type()[kind].concepts
    readable = bool(told) and all(written.label for written in told)
    return not readable or any(reading.terminology.concepts(about, *written) for written in told)


def _leniently(concept: Any) -> Concept | None:
    """What can be made out of a CodeableConcept of any shape; an empty one if nothing can; None if there is none."""
    if concept is None:
        return None
    try:
        return parse_concept(msgspec.Raw(msgspec.json.encode(concept)))
    except UNREADABLE:
        return Concept()


def _of_somebody_else(subject: Any, reading: ReadContext) -> bool:
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return isinstance(reference, str) and reading.patient_matcher.is_patient(reference) is False
