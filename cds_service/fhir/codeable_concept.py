"""CodeableConcepts as bytes to codings and text, each distinct one decoded and resolved once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeVar

import msgspec

from cds_service.coding import Coding
from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.shapes import ConceptShape, ReferenceShape
from cds_service.terminology import Kind, Terminology

T = TypeVar("T")

# Only JSON up to this size is cached, so that the caches stay small.
CACHED_BYTES = 2048
_TEXT = 500
_NONE = (b"", b"null")

_concept = msgspec.json.Decoder(ConceptShape | list[ConceptShape] | str | None)
_reference = msgspec.json.Decoder(ReferenceShape | None)


class Concept(NamedTuple):
    """What a record wrote for a concept: its codings and its text (capped)."""

    codings: tuple[Coding, ...] = ()
    text: str = ""

    @property
    def label(self) -> str:
        """The wording a person would recognise: the text, else the first display, else the first code."""
        return (
            self.text
            or next((c.display for c in self.codings if c.display), "")
            or next((c.code for c in self.codings if c.code), "")
        )

    @property
    def code(self) -> str:
        """The first code, or the text, in lower case: for status codes, which STU3 writes as plain strings."""
        return (next((c.code for c in self.codings if c.code), "") or self.text).lower()


def parse_concept(raw: msgspec.Raw) -> Concept:
    """A CodeableConcept, R5 CodeableReference, list of them, or string; raises msgspec.DecodeError if it is none."""
    written = bytes(raw)
    if written in _NONE:
        return Concept()
    return _cached(written) if len(written) <= CACHED_BYTES else _read(written)


def concepts_of(terminology: Terminology, kind: Kind, raw: msgspec.Raw) -> frozenset[str]:
    """The value sets that a CodeableConcept belongs to; raises msgspec.DecodeError if it cannot be read."""
    written = bytes(raw)
    if written in _NONE:
        return frozenset()
    if len(written) <= CACHED_BYTES:
        return _cached_concepts(terminology, kind, written)
    return terminology.concepts(kind, *_read(written))


def read_reference(raw: msgspec.Raw) -> ReferenceShape:
    """A Reference; an empty one if it is missing or unreadable."""
    if not bytes(raw):
        return ReferenceShape()
    try:
        return _reference.decode(raw) or ReferenceShape()
    except UNREADABLE:
        return ReferenceShape()


def optional(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw) -> T | None:
    """A nice-to-have member; None if it is missing or has an odd shape."""
    if not bytes(raw):
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        return None


def capped(text: str | None) -> str:
    """Text on one line, at most 500 characters of it; an ellipsis says that there was more."""
    if not text:
        return ""
    if len(text) <= _TEXT:
        return " ".join(text.split())
    # At the end of a word, so that no other word is read into the cut one; a word without end is cut all the same.
    whole, _, _ = text[:_TEXT].rpartition(" ")
    return " ".join((whole or text[: _TEXT - 1]).split()) + "…"


@lru_cache(maxsize=8192)
def _cached_concepts(terminology: Terminology, kind: Kind, written: bytes) -> frozenset[str]:
    return terminology.concepts(kind, *_cached(written))


def _read(written: bytes) -> Concept:
    shape = _concept.decode(written)
    if shape is None:
        return Concept()
    if isinstance(shape, str):
        return Concept((), capped(shape))
    codings: list[Coding] = []
    texts: list[str] = []
    for one in shape if isinstance(shape, list) else [shape]:
        if bytes(one.concept) not in _NONE:
            inner = _read(bytes(one.concept))
            codings += inner.codings
            texts.append(inner.text)
        codings += [Coding(c.system or "", c.code or "", capped(c.display)) for c in one.coding or ()]
        texts.append(capped(one.text))
    return Concept(tuple(codings), " | ".join(text for text in texts if text))


_cached = lru_cache(maxsize=8192)(_read)
