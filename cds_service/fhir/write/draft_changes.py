"""A draft as the client sent it to the same draft with one thing changed: its status, its product or its dose's unit.

A CDS Hooks `update` replaces the whole resource, so every element that is not changed stays as it was written, numbers
to the last digit. Only the narrative goes, because it would still tell the old state. A MedicationRequest keeps the
shape of its FHIR version; the MedicationOrder of DSTU2 is another resource and is not written by this service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from cds_service.artifacts.schema import Product
from cds_service.coding import SYSTEMS, UCUM
from cds_service.fhir.bundle import UNREADABLE
from cds_service.json_types import Json
from cds_service.languages import Language
from cds_service.texts import Texts

_draft = msgspec.json.Decoder(Json)


def put_on_hold(written: bytes) -> Json | None:
    """The draft with status on-hold; None if it has no id by which the client could find it."""
    draft = _opened(written)
    if draft is None:
        return None
    draft.pop("_status", None)
    return draft | {"status": "on-hold"}


def replace_product(written: bytes, product: Product, language: Language) -> Json | None:
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
    old = {key: draft[key] for key in _MEDICATION if key in draft}
    changed = {key: one for key, one in draft.items() if key not in _MEDICATION} | {name: value}
    return _without_orphans(changed, old)


def clear_dose(written: bytes, unit: Literal["mg", "ug"], language: Language) -> Json | None:
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


def _to_confirm(dosage: Json, unit: Literal["mg", "ug"], language: Language) -> Json:
    quantity = {"unit": _SHOWN[unit], "system": UCUM, "code": unit}
    text = _say("confirm_dose", language, unit=_SHOWN[unit])
    if isinstance(old := dosage.get("text"), str):
        text += _say("written_dose", language, text=old)
    # FHIR R4 and later keep the dose in doseAndRate, STU3 and before in the dosage itself.
    dose: Json = {"doseAndRate": [{"doseQuantity": quantity}]}
    if "doseQuantity" in dosage or "doseRange" in dosage:
        dose = {"doseQuantity": quantity}
    return {key: one for key, one in dosage.items() if key not in _DOSE} | {"text": text} | dose


_SHOWN = {"mg": "mg", "ug": "µg"}
_say = Texts("cards").get
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
        # What the rules do not read was skipped until now, so this is the first look at it.
        shape = _draft.decode(written)
        if not isinstance(shape.get("id"), str) or shape.get("resourceType") != "MedicationRequest":
            return None
        draft: Json = json.loads(written, parse_float=_exact)
    except UNREADABLE:
        return None
    draft.pop("text", None)
    return draft


def _exact(written: str) -> float | msgspec.Raw:
    """A number that is written back as it was written: in FHIR 1.50 says more than 1.5 (decimal, precision)."""
    number = float(written)
    return number if repr(number) == written else msgspec.Raw(written.encode())


def _without_orphans(draft: Json, old: Json) -> Json:
    """FHIR, DomainResource dom-3: contained resources that nothing refers to any more must not stay.

    Only what was there for the old product goes: a Medication, and the ingredients that it alone refers to.
    """
    contained = draft.get("contained")
    if not isinstance(contained, list):
        return draft
    rest = {key: one for key, one in draft.items() if key != "contained"}
    orphans = _reached(old, contained) - _reached(rest, contained)
    kept = [one for one in contained if not (isinstance(one, dict) and one.get("id") in orphans)]
    return rest | {"contained": kept} if kept else rest


def _reached(start: Json, contained: list[Any]) -> set[str]:
    """The ids of contained resources that can be reached from `start`, over one another too."""
    by_id = {one["id"]: one for one in contained if isinstance(one, dict) and isinstance(one.get("id"), str)}
    found: set[str] = set()
    waiting = [*_local(start)]
    while waiting:
        name = waiting.pop()
        if name in by_id and name not in found:
            found.add(name)
            waiting += _local(by_id[name])
    return found


def _local(value: Any) -> Iterator[str]:
    """The ids that references to contained resources (`#id`) name, at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            reference = one.get("reference")
            if isinstance(reference, str) and reference.startswith("#"):
                yield reference[1:]
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
