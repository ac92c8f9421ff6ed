"""Which product a medication entry names, with its strength and form: by codes, text, reference or ingredients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import (
    CACHED_BYTES,
    Concept,
    concepts_of,
    optional,
    parse_concept,
    read_reference,
)
from cds_service.fhir.read.context import ReadContext
from cds_service.fhir.read.dosage import unit_of
from cds_service.fhir.read.strength import UNKNOWN, Strength, strength_in_name, strength_of_ratio
from cds_service.fhir.shapes import (
    DrugProductShape,
    IngredientShape,
    MedicationEntry,
    MedicationShape,
    QuantityShape,
    RatioShape,
    ReferenceShape,
)
from cds_service.gaps import Note, NoteKind
from cds_service.terminology import Terminology


class _CodeableReference(msgspec.Struct):
    reference: msgspec.Raw = msgspec.Raw(b"")


_codeable_reference = msgspec.json.Decoder(_CodeableReference | None)
_ingredients = msgspec.json.Decoder(list[IngredientShape] | None)
_drug_product = msgspec.json.Decoder(DrugProductShape | None)


class Product(NamedTuple):
    """A product as an entry names it.

    Attributes:
        known: False if the reference leads nowhere, so that it might be anything.
        by_text: named by a text alone, without any code.
        written: all codes and texts, of a product that no value set names.
    """

    concepts: frozenset[str]
    name: str
    form: str
    strength: Strength
    known: bool = True
    by_text: bool = False
    written: Concept = Concept()


def product_of(entry: MedicationEntry, reading: ReadContext, *, may_be_blank: bool = False) -> Product:
    """The product, from codes and text, from the Medication referred to, or from the reference's display."""
    raw, reference = entry.medication_codeable_concept, read_reference(entry.medication_reference)
    if bytes(entry.medication):  # R5: a CodeableReference
        raw = entry.medication
        inner = optional(_codeable_reference, raw)
        reference = read_reference(inner.reference) if inner is not None else reference
    if reference.reference or reference.display or len(written := bytes(raw)) > CACHED_BYTES:
        medication = reading.medications.find(reference.reference, entry.contained) if reference.reference else None
        product = _recognised(reading.terminology, parse_concept(raw), display_of(reference), medication)
    else:
        product = _recognised_by_code(reading.terminology, written)
    if not product.concepts and product.by_text:
        reading.notes[Note(NoteKind.MEDICINE_NOT_KNOWN)] += 1
    if not reference.reference:
        return product._replace(known=True) if may_be_blank else product
    if not product.known and (address := reading.medications.address(reference.reference)):
        reading.lookups.add(address)
    return product


@lru_cache(maxsize=4096)
def _recognised_by_code(terminology: Terminology, written: bytes) -> Product:
    """Most products are named by a CodeableConcept alone, the same ones again and again: each is recognised once."""
    return _recognised(terminology, parse_concept(msgspec.Raw(written)), "", None)


def _recognised(
    terminology: Terminology, written: Concept, display: str, medication: MedicationShape | None
) -> Product:
    """The product that all its names together mean, and its strength by its ingredient or else by a name."""
    told = parse_concept(medication.code) if medication is not None else Concept()
    texts = [text for text in (written.text, told.text, display) if text]
    codings = (*written.codings, *told.codings)
    concepts = terminology.concepts("medication", codings, " | ".join(texts))
    ingredients = _ingredients_of(medication) if medication is not None else []
    parts = [(one, _ingredient_concepts(one, terminology)) for one in ingredients]
    if not concepts:
        concepts = frozenset[str]().union(*(found for _, found in parts))
    name = next((text for text in (*texts, *(c.display for c in codings)) if text), "")
    by_text = bool(texts) and not codings
    known = bool(texts or parts or any(coding.code or coding.display for coding in codings))
    if not concepts:
        return Product(concepts, name, "", UNKNOWN, known, by_text, Concept(codings, " | ".join(texts)))
    strength = _strength(parts, concepts)
    if strength == UNKNOWN:
        names = dict.fromkeys((*texts, *(coding.display for coding in codings)))
        found = (strength_in_name(text, terminology, concepts) for text in names if text)
        strength = next((one for one in found if one != UNKNOWN), UNKNOWN)
    return Product(concepts, name, _form(medication), strength, known, by_text)


def display_of(reference: ReferenceShape) -> str:
    """What a reference says of its target in words, on one line."""
    return " ".join((reference.display or "")[:500].split())


def _ingredients_of(medication: MedicationShape) -> list[IngredientShape]:
    older = optional(_drug_product, medication.product)
    return (
        optional(_ingredients, medication.ingredient)
        or (optional(_ingredients, older.ingredient) if older else None)
        or []
    )


def _ingredient_concepts(ingredient: IngredientShape, terminology: Terminology) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for raw in (ingredient.item_codeable_concept, ingredient.item):
        try:
            found |= concepts_of(terminology, "medication", raw)
        except UNREADABLE:
            continue
    return found


def _strength(parts: Sequence[tuple[IngredientShape, frozenset[str]]], concepts: frozenset[str]) -> Strength:
    """The strength of the one ingredient that makes the product what it is for the knowledge."""
    mine = [one for one, found in parts if found & concepts] or [one for one, found in parts if found]
    if not mine and len(parts) == 1:
        mine = [parts[0][0]]
    if len(mine) != 1:
        return UNKNOWN
    ratio = mine[0].strength or mine[0].strength_ratio or mine[0].amount
    if ratio is None and mine[0].strength_quantity is not None:
        ratio = RatioShape(mine[0].strength_quantity, QuantityShape(value=1.0))
    if ratio is None or ratio.numerator is None or ratio.denominator is None:
        return UNKNOWN
    return strength_of_ratio(_sized(ratio.numerator), _sized(ratio.denominator, plain="each"))


def _sized(quantity: QuantityShape, plain: str | None = None) -> tuple[str, float] | None:
    """Kind of unit and amount in it; `plain`: the kind of a number without a unit (or UCUM's "1")."""
    if quantity.value is None or quantity.comparator:
        return None
    if plain is not None and not quantity.unit and quantity.code in (None, "", "1"):
        return plain, quantity.value
    kind = unit_of(quantity)
    return None if kind is None else (kind[0], quantity.value * kind[1])


def _form(medication: MedicationShape | None) -> str:
    if medication is None:
        return ""
    older = optional(_drug_product, medication.product)
    for raw in (medication.form, medication.dose_form, older.form if older else msgspec.Raw(b"")):
        try:
            written = parse_concept(raw)
        except UNREADABLE:
            continue
        if written.label:
            return written.label
    return ""
