"""A draft as the client sent it to the same draft with one thing changed: put on hold, or with another product.

A CDS Hooks `update` replaces the whole resource, so every element that is not changed stays as it was written. Only
the narrative goes, because it would still tell the old state.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cds_service.artifacts.schema import Product
from cds_service.coding import SYSTEMS

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
    changed = {key: one for key, one in draft.items() if key not in _MEDICATION} | {name: value}
    return _without_orphan(changed, old)


_CONCEPT = "medicationCodeableConcept"
_MEDICATION = frozenset((_CONCEPT, "medicationReference", "medication"))


def _opened(written: bytes) -> Json | None:
    draft = _draft.decode(written)
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
