"""Matches codes and texts of a record to the concepts of the knowledge, by value sets."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from cds_service.coding import NDC, Coding, system_uri

Kind = Literal["observation", "medication", "condition"]

# Dashes and apostrophes are written in many ways, and mean the same in a name.
_SAME = str.maketrans({**dict.fromkeys("‐‑‒–—―−", "-"), **dict.fromkeys("‘’ʼ", "'")})
# What denies the condition whose name it stands right before, with a usual adjective or none between them.
_DENIED = re.compile(
    r"(?<![a-z0-9])(no|not|not an?|non|without|never|neither|nor|absent)[ -]"
    r"((recent|current|acute|active|chronic|significant|overt|obvious|major|severe|documented|previous|prior|other) )?$"
    "|(无|非|未|不|没有)$"
)
_LONGEST_DENIAL = 30


@dataclass(frozen=True, slots=True)
class Analyte:
    """Units and plausible values of the results of an observation value set.

    Attributes:
        unit: canonical UCUM unit.
        molar_mass: g/mol, converts between mass and amount of substance; None if no conversion is wanted.
        least_range_top: a result whose own reference range ends at or below this, in the canonical unit, is one of
            another test (active B12 under the name of total B12); None if ranges are not looked at.
        low, high: plausible values in the canonical unit, inclusive; outside them a result is unusable.
        refused_units: UCUM units in which this analyte is never reported.
        ratio: a dimensionless number (INR): no unit, `1`, `{INR}`, `{ratio}` and `INR` are accepted.
    """

    unit: str
    molar_mass: float | None = None
    low: float | None = None
    high: float | None = None
    refused_units: frozenset[str] = frozenset()
    ratio: bool = False
    least_range_top: float | None = None


@dataclass(frozen=True, slots=True)
class ConceptCodes:
    """One value set in the form that matching needs.

    Attributes:
        codes: (system URI, code) pairs matched exactly.
        prefixes: (system URI, prefix) pairs; every code of that system with the prefix belongs to the concept.
        excluded: similar codes that never belong to the concept.
        texts: synonyms, matched as a whole word (Latin script) or as a substring (Chinese);
            " ... " inside one stands for anything in between ("D3 ... K2").
        not_texts: if the text contains one of these, the synonyms are ignored.
        lifelong: a condition that holds also when an entry marks it inactive.
        instead_of: a value set of which a code does not count where a code or the wording belongs to this one ("active
            B12" under a code of total B12).
        part_of: the wider value set whose codes leave it to the text whether this one is meant.
        preferred: the code to write when an entry of this concept is made (draft orders, sample patients).
        title: the name for people, by language.
    """

    id: str
    kind: Kind
    codes: frozenset[tuple[str, str]] = frozenset()
    prefixes: frozenset[tuple[str, str]] = frozenset()
    excluded: frozenset[tuple[str, str]] = frozenset()
    texts: tuple[str, ...] = ()
    not_texts: tuple[str, ...] = ()
    lifelong: bool = False
    part_of: str | None = None
    instead_of: str | None = None
    analyte: Analyte | None = None
    preferred: Coding | None = None
    title: Mapping[str, str] = field(default_factory=dict)


class Terminology:
    """All value sets, prepared for matching. Results are cached per coding and text (bounded)."""

    def __init__(self, value_sets: Iterable[ConceptCodes]) -> None:
        self.value_sets = {value_set.id: value_set for value_set in value_sets}
        self._matchers = {
            kind: _Matcher(self.value_sets.values(), kind) for kind in ("observation", "medication", "condition")
        }

    def concepts(self, kind: Kind, codings: Sequence[Coding], text: str = "") -> frozenset[str]:
        """The value sets that a CodeableConcept belongs to.

        Every coding counts. If no coding is known, the text and the displays of the codings decide: a local code with
        the text "Warfarin 3 mg" is warfarin. They also decide if the codings name a whole value set and none of its
        parts: a heparin with the text "Lovenox" is enoxaparin. With an excluded code the result is empty. Wording never
        turns a code into another product or test but where a value set says so (`instead_of`), and that takes it out.
        """
        return self._matchers[kind].concepts(tuple(codings), text)

    def without_names(self, concept: str, text: str) -> str:
        """A text without the names of a value set: what an allergy is to, when the word allergy is taken away."""
        plain = normalised(text)
        for name in _names(self.value_sets[concept].texts) if concept in self.value_sets else ():
            plain = name.removed(plain)
        return plain

    def with_codes(self, codes: Mapping[tuple[Kind, str, str], frozenset[str]]) -> Terminology:
        """A copy with more codes (kind, system URI, code); it shares the prepared synonyms, but not the cache."""
        made = copy.copy(self)
        made._matchers = {
            kind: matcher.with_codes({(system, code): ids for (of, system, code), ids in codes.items() if of == kind})
            for kind, matcher in self._matchers.items()
        }
        return made

    def excludes(self, concept: str, text: str) -> bool:
        """Whether a text has one of the words with which a name does not mean this value set (`not_texts`)."""
        return self._matchers[self.value_sets[concept].kind].excludes(concept, text)

    def analyte(self, concept: str) -> Analyte | None:
        return self.value_sets[concept].analyte


class _Matcher:
    def __init__(self, value_sets: Iterable[ConceptCodes], kind: str) -> None:
        mine = [value_set for value_set in value_sets if value_set.kind == kind]
        exact: dict[tuple[str, str], set[str]] = {}
        prefixes: dict[str, list[tuple[str, str]]] = {}
        for value_set in mine:
            for key in value_set.codes:
                exact.setdefault(key, set()).add(value_set.id)
            for system, prefix in value_set.prefixes:
                prefixes.setdefault(system, []).append((prefix, value_set.id))
        self._exact = {key: frozenset(ids) for key, ids in exact.items()}
        self._prefixes = prefixes
        self._whole = {value_set.id: value_set.part_of for value_set in mine if value_set.part_of}
        self._may_be_denied = kind == "condition"
        self._instead = {value_set.id: value_set.instead_of for value_set in mine if value_set.instead_of}
        self._excluded = frozenset[tuple[str, str]]().union(*(value_set.excluded for value_set in mine))
        self._texts = [
            (value_set.id, _prepared(value_set.texts), _prepared(value_set.not_texts))
            for value_set in mine
            if value_set.texts
        ]
        self._remember()

    def _remember(self) -> None:
        self.concepts = lru_cache(maxsize=8192)(self._concepts)
        self._coded = lru_cache(maxsize=8192)(self._of_code)

    def with_codes(self, codes: Mapping[tuple[str, str], frozenset[str]]) -> _Matcher:
        made = copy.copy(self)
        plain = {_plain(*key): ids for key, ids in codes.items()}
        made._exact = {**self._exact, **{key: self._exact.get(key, frozenset()) | ids for key, ids in plain.items()}}
        made._remember()
        return made

    def _concepts(self, codings: tuple[Coding, ...], text: str) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for coding in codings:
            key = (system_uri(coding.system), coding.code)
            if key in self._excluded:
                return frozenset()
            found |= self._coded(*key)
        # Wholes of which the codes name no part.
        wholes = (found & {*self._whole.values()}) - {self._whole.get(concept) for concept in found}
        if found and not wholes and found.isdisjoint(self._instead.values()):
            return found
        written = " | ".join(normalised(part) for part in (text, *(coding.display for coding in codings)) if part)
        named = self._of_text(written) if written else frozenset[str]()
        if not found:
            found = named
        else:
            found = found.union(concept for concept in named if self._whole.get(concept) in wholes)
            found = found.union(concept for concept in named if self._instead.get(concept) in found)
        return found - {self._instead.get(concept) for concept in found}

    def excludes(self, concept: str, text: str) -> bool:
        written = _Written(normalised(text))
        return any(
            name.spans(written)
            for one, _, exclusions in self._texts
            if one == concept
            for name in written.may_hold(exclusions)
        )

    def _of_code(self, system: str, code: str) -> frozenset[str]:
        system, code = _plain(system, code)
        found = self._exact.get((system, code), frozenset())
        return found.union(concept for prefix, concept in self._prefixes.get(system, ()) if code.startswith(prefix))

    def _of_text(self, written: str) -> frozenset[str]:
        text = _Written(written)
        return frozenset(
            concept
            for concept, names, exclusions in self._texts
            if self._named(text.may_hold(names), text)
            and not any(name.spans(text) for name in text.may_hold(exclusions))
        )

    def _named(self, names: list[_Name], text: _Written) -> bool:
        """Whether the text has one of the names. A condition may be denied in a word, and then the shorter names in its
        name are, too; "no warfarin" is nobody's product.
        """
        found = [span for name in names for span in name.spans(text)]
        if not self._may_be_denied:
            return bool(found)
        denied = [span for span in found if _is_denied(text.plain, span[0])]
        return any(not any(low <= start and end <= high for low, high in denied) for start, end in found)


def _is_denied(text: str, start: int) -> bool:
    return _DENIED.search(text, max(start - _LONGEST_DENIAL, 0), start) is not None


def _plain(system: str, code: str) -> tuple[str, str]:
    """The code for comparison; the hyphens of an NDC are not significant."""
    return system, code.replace("-", "") if system == NDC else code


def normalised(text: str) -> str:
    """The text for comparison: NFKC, lower case, plain dashes and apostrophes, one space between words."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_SAME).casefold().split())


class _Name:
    """A name of a value set: a word boundary at an end in Latin script, none at another end.

    Beside " ... ", which stands for anything, a piece may be glued to a number ("D3K2") or an ending ("aktives B12"),
    but its first letter begins a word.
    """

    __slots__ = ("_pattern", "part")

    def __init__(self, synonym: str) -> None:
        pieces = normalised(synonym).split(" ... ")
        before = r"(?<![a-z0-9])" if pieces[0][0].isascii() else ""
        after = r"(?![a-z0-9])" if pieces[-1][-1].isascii() else ""
        inner = ".*".join(
            (r"(?<![a-z])" if i and piece[0].isascii() else "") + _spaced(piece) for i, piece in enumerate(pieces)
        )
        self._pattern = re.compile(before + inner + after)
        self.part = _squeezed(pieces[0])

    def spans(self, text: _Written) -> list[tuple[int, int]]:
        """Where in the text this name stands."""
        return [found.span() for found in self._pattern.finditer(text.plain)]

    def removed(self, plain: str) -> str:
        return self._pattern.sub(" ", plain)


def _spaced(piece: str) -> str:
    """The pattern of a piece, with or without its blanks."""
    return re.escape(piece).replace(r"\ ", r"\s*")


class _Written:
    """A text that names are looked for in."""

    def __init__(self, plain: str) -> None:
        self.plain = plain
        self._squeezed = _squeezed(plain)

    def may_hold(self, names: Sequence[tuple[str, _Name]]) -> list[_Name]:
        """Those of the names that a search for plain characters does not rule out: of most texts, hardly any."""
        squeezed = self._squeezed
        return [name for part, name in names if part in squeezed]


def _squeezed(text: str) -> str:
    return text.replace(" ", "")


@lru_cache(maxsize=16)
def _names(texts: tuple[str, ...]) -> tuple[_Name, ...]:
    return tuple(map(_Name, texts))


def _prepared(texts: Iterable[str]) -> list[tuple[str, _Name]]:
    """Names with the characters that a text must hold if it has the name."""
    return [(name.part, name) for name in map(_Name, texts)]
