"""FHIR AllergyIntolerance of any version, and Conditions such as "anaphylaxis to hydroxocobalamin", to reactions."""

from __future__ import annotations

from functools import partial

import msgspec

from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import optional, parse_concept
from cds_service.fhir.dates import first_day
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.shapes import AllergyShape, ConditionShape, ReactionShape
from cds_service.record import Allergy

# What is refuted, and what was tested again and is over; an allergy that is only suspected counts.
_NO_ALLERGY = frozenset(("refuted", ERRONEOUS, "inactive", "resolved"))
_SEVERE = frozenset(("high", "crith", "severe", "24484000"))
# Value sets of conditions: what says that an entry is of a reaction, and of a severe one.
HYPERSENSITIVITY, ANAPHYLAXIS = "hypersensitivity", "anaphylaxis"

_allergy = msgspec.json.Decoder(AllergyShape)
_reactions = msgspec.json.Decoder(list[ReactionShape] | None)


def read_allergy(raw: msgspec.Raw, reading: ReadContext, address: str) -> Allergy | None:
    """An AllergyIntolerance; None if it does not count, is not of this patient, or of nothing the knowledge names."""
    allergy = _allergy.decode(raw)
    statuses = (allergy.status, allergy.clinical_status, allergy.verification_status)
    if not _NO_ALLERGY.isdisjoint(parse_concept(status).code for status in statuses):
        return None
    reactions = optional(_reactions, allergy.reaction) or []
    written = (allergy.code, allergy.substance, *(reaction.substance for reaction in reactions))
    concepts = frozenset[str]().union(*(_products(one, reading) for one in written))
    if not concepts or not reading.is_call_patient("AllergyIntolerance", allergy.patient, allergy.subject):
        return None
    days = (allergy.onset_date_time, allergy.recorded_date, allergy.asserted_date)
    return Allergy(
        concepts=concepts,
        text=next((label for one in written if (label := parse_concept(one).label)), ""),
        reference=f"AllergyIntolerance/{allergy.id}" if allergy.id else address,
        since=first_day(*days),
        severe=(allergy.criticality or "").lower() in _SEVERE or any(_is_severe(one, reading) for one in reactions),
    )


def allergy_of(condition: ConditionShape, reading: ReadContext, reference: str) -> Allergy | None:
    """A Condition of this patient that tells of a reaction to a product that the knowledge names."""
    told = reading.concepts("condition", condition.code)
    concepts = _products(condition.code, reading) if HYPERSENSITIVITY in told else frozenset[str]()
    if not concepts:
        return None
    severe = ANAPHYLAXIS in told or parse_concept(condition.severity).code in _SEVERE
    return Allergy(concepts, parse_concept(condition.code).label, reference, severe=severe)


def _products(raw: msgspec.Raw, reading: ReadContext) -> frozenset[str]:
    """The products that a reaction was to. A text with the word allergy names no medicine, so that is taken away."""
    codings, text = parse_concept(raw)
    bare = partial(reading.terminology.without_names, HYPERSENSITIVITY)
    return reading.terminology.concepts(
        "medication", [one._replace(display=bare(one.display)) for one in codings], bare(text)
    )


def _is_severe(reaction: ReactionShape, reading: ReadContext) -> bool:
    if (reaction.severity or "").lower() in _SEVERE:
        return True
    try:
        return ANAPHYLAXIS in reading.concepts("condition", reaction.manifestation)
    except UNREADABLE:
        return False
