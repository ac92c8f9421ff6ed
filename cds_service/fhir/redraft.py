"""A draft as the client sent it to the same draft with one thing changed: its status, its product or its dose's unit.

A CDS Hooks `update` replaces the whole resource, so every element that is not changed stays as it was written. Only
the narrative goes, because it would still tell the old state.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cds_service.artifacts.schema import Product
from cds_service.coding import SYSTEMS, UCUM
from cds_service.fhir.bundle import UNREADABLE

Json = dict[str, Any]
_draft = msgspec.json.Decoder(Json)


def held(written: bytes) -> Json | None:
    """The draft with status on-hold; None if it has no id by which the client could find it."""
    draft = _opened(written)
    if draft is None:
        return None
    draft.pop("_status", None)
    return draft | {"status": "on-hold"}


def replaced(written: bytes, product: Product, language: str) -> Json | None:
    """The draft with another product and the dosage it had; None if it has no id by which the client could find it."""
    draft = _opened(written)
    if draft is None:
        return None
    concept: Json = {"text": product.text.in_language(language)}
    if product.codings:
        codings = [{"system": SYSTEMS[c.system], "code": c.code, "display": c.display} for c in product.codings]
        concept = {"coding": codings, **concept}
    # FHIR R5 writes `medication` as a CodeableReference; R4 and before have medication[x].
    name, value = ("medication", {"concept": concept}) if "medication" in draft else (_CONCEPT, concept)
    old = draft.get("medicationReference")
    if isinstance(draft.get("medication"), dict):
        old = draft["medication"].get("reference")
    changed = {key: one for key, one in draft.items() if key not in _MEDICATION} | {name: value}
    return _without_orphan(changed, old)


def unit_corrected(written: bytes, unit: Literal["mg", "ug"], language: str) -> Json | None:
    """The draft with its dose in another unit and the number left out, for somebody to fill in.

    A Quantity without a value is valid FHIR, and nobody can sign such a dose by oversight. What the dosage said in
    words stays readable behind the request to confirm it. None if the draft has no id.
    """
    draft = _opened(written)
    if draft is None:
        return None
    dosages = draft.get("dosageInstruction")
    instructions = [one for one in dosages if isinstance(one, dict)] if isinstance(dosages, list) else []
    return draft | {"dosageInstruction": [_to_confirm(one, unit, language) for one in instructions or [{}]]}


def _to_confirm(dosage: Json, unit: Literal["mg", "ug"], language: str) -> Json:
    quantity = {"unit": _SHOWN[unit], "system": UCUM, "code": unit}
    text = _CONFIRM[language].format(_SHOWN[unit])
    if isinstance(old := dosage.get("text"), str):
        text += _WRITTEN[language].format(old)
    # FHIR R4 and later keep the dose in doseAndRate, STU3 and before in the dosage itself.
    dose: Json = {"doseAndRate": [{"doseQuantity": quantity}]}
    if "doseQuantity" in dosage or "doseRange" in dosage:
        dose = {"doseQuantity": quantity}
    return {key: one for key, one in dosage.items() if key not in _DOSE} | {"text": text} | dose


_SHOWN = {"mg": "mg", "ug": "µg"}
_CONFIRM = {"en": "Dose to be confirmed, in {}.", "zh": "剂量待确认，单位{}。"}
_WRITTEN = {"en": " As first written: {}", "zh": "原文：{}"}
# What says how much: all of it would contradict the dose to be filled in.
_DOSE = frozenset(
    (
        *("text", "_text", "doseAndRate", "doseQuantity", "doseRange"),
        *("maxDosePerPeriod", "maxDosePerAdministration", "maxDosePerLifetime"),
    )
)
_CONCEPT = "medicationCodeableConcept"
_MEDICATION = frozenset((_CONCEPT, "medicationReference", "medication"))


def _opened(written: bytes) -> Json | None:
    try:
        draft = _draft.decode(written)
    except UNREADABLE:
        # What the rules do not read was skipped until now, so this is the first look at it.
        return None
    if not isinstance(draft.get("id"), str):
        return None
    draft.pop("text", None)
    return draft


def _without_orphan(draft: Json, old: Any) -> Json:
    """FHIR, DomainResource dom-3: a contained resource that nothing refers to any more must not stay."""
    reference = old.get("reference") if isinstance(old, dict) else None
    contained = draft.get("contained")
    if not isinstance(reference, str) or not reference.startswith("#") or not isinstance(contained, list):
        return draft
    kept = [one for one in contained if not (isinstance(one, dict) and f"#{one.get('id')}" == reference)]
    rest = {key: one for key, one in draft.items() if key != "contained"}
    return rest | {"contained": kept} if kept else rest
