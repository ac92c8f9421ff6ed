"""How many micrograms are in a tablet, a millilitre or a drop: from a Medication's ingredients or a product's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cds_service.fhir.read.dose_words import COUNTED, DROPS, MASSES, VOLUMES, measured
from cds_service.quantity import Interval, tidy
from cds_service.terminology import Terminology, normalised

_MASS = "|".join(sorted(MASSES, key=len, reverse=True))
_COUNT = "|".join(sorted((re.escape(word) for word in (*COUNTED, *DROPS, *VOLUMES)), key=len, reverse=True))
_NUMBER = r"(\d{1,7}(?:,\d{3})?(?:\.\d{1,6})?)"
_START = r"(?<![a-z0-9./-])"
# "1 mg/ml", "10 mg per 5 ml", "100 ug/drop"; a mass alone; "1ml:0.5mg"; a volume that is not a denominator.
_CONCENTRATION = re.compile(
    rf"{_START}{_NUMBER} ?({_MASS}) ?(?:/|per|每) ?(\d{{1,4}}(?:\.\d{{1,4}})?)? ?({_COUNT})(?![a-z])"
)
_PACKED = re.compile(rf"{_START}{_NUMBER} ?(ml|毫升) ?[::] ?{_NUMBER} ?({_MASS})(?![a-z])")
_PLAIN_MASS = re.compile(rf"{_START}{_NUMBER} ?({_MASS})(?![a-z/])")
_VOLUME = re.compile(rf"{_START}{_NUMBER} ?(ml|毫升)(?![a-z:])")
# Several per dose, or per 100 g: not the content of one.
_PER_SEVERAL = re.compile(r"(?:per|each|每) ?\d|/ ?\d{2,}|%")
# What joins the parts of a combination; RxNorm writes " / ". Numbers keep their own slashes and commas.
_JOINTS = re.compile(r"\s/\s|[+&、;]|,(?! ?\d)|\band\b|\bwith\b|和|与|及|加")
_ANY_MASS = re.compile(rf"(?<![a-z0-9.]){_NUMBER} ?(?:{_MASS})(?![a-z])")
_LAST_NUMBER = re.compile(r"^.*\d ?(?:iu|units?|国际单位|单位|%)")
_LONGEST = 500

# "25 mcg/75 mcg per drop", "1000 iu + 45 ug": amounts that belong to the ingredients named before them, in their order.
_QUANTITY = rf"{_NUMBER} ?({_MASS}|iu|units?|国际单位|单位)?(?![a-z0-9.])"
_SERIES = re.compile(rf"{_START}{_QUANTITY}(?: ?[/+&、] ?{_QUANTITY})+")
_ONE_OF_SERIES = re.compile(_QUANTITY)
_PER_UNIT = re.compile(rf" ?(?:/|per|each|每) ?(\d{{1,2}})? ?({_COUNT})(?![a-z])")
_VITAMIN = re.compile(r"(?<![a-z0-9])(?:[abcdek]-?\d{0,2}|mk-?\d{1,2})(?![a-z0-9])")
# A mass behind one of these names may be of any of their parts.
_COMBINATIONS = frozenset(
    ("vitamin-d3-k2", "b12-combination", "multivitamin-with-vitamin-k", "parenteral-multivitamin-with-vitamin-k")
)
# Inside a combination the vitamins go by their letters.
_SHORT_NAME = re.compile(r"(?<![a-z0-9])(?:k[1-4]?|mk-?[47]|b-?12)(?![a-z0-9])|维生素(?:k|b12)")
_SHORTLY = frozenset(("by its letter",))
_UNTOLD = (frozenset(), *(frozenset((one,)) for one in _COMBINATIONS))


@dataclass(frozen=True, slots=True)
class Strength:
    """Micrograms per unit ("each": a tablet, an ampoule), per millilitre and per drop; None: not known.

    measure: in what an amount is counted: "ug", or "iu" for what has no mass.
    """

    each: float | None = None
    ml: float | None = None
    drop: float | None = None
    measure: str = "ug"

    def mass(self, amount: Interval, unit: str) -> Interval | None:
        """An amount in micrograms; its unit is "ug", "each", "ml" or "drop"."""
        if unit == self.measure:
            return amount
        per = {"each": self.each, "ml": self.ml, "drop": self.drop}.get(unit)
        return None if per is None else amount.times(per)


IN_UNITS = Strength(measure="iu")
UNKNOWN = Strength()


@lru_cache(maxsize=4096)
def strength_in_name(name: str, terminology: Terminology, concepts: frozenset[str]) -> Strength:
    """The strength that a product's name states for the substance that the product is known for.

    Of a combination ("D3 2000 IU + K2 100 µg") the part that names a substance of the knowledge counts; if several
    do, the one part that belongs to `concepts`. More than one mass in that part: unknown.
    """
    written = normalised(name[:_LONGEST])
    paired = _paired(written, terminology, concepts)
    if paired is not None:
        return paired
    parts = [part for part in _JOINTS.split(written) if part.strip()]
    if len(parts) > 1:
        named = [(part, found) for part in parts if _ANY_MASS.search(part) and (found := _named(part, terminology))]
        if len(named) > 1:
            own = [(part, found) for part, found in named if found & concepts]
            named = own or [(part, found) for part, found in named if _SHORT_NAME.search(part)]
        parts = [part for part, _ in named]
    if len(parts) != 1:
        return UNKNOWN
    if concepts & _COMBINATIONS and _named(_before_mass(parts[0]), terminology) in _UNTOLD:
        return UNKNOWN
    return _one_part(parts[0])


def _paired(written: str, terminology: Terminology, concepts: frozenset[str]) -> Strength | None:
    """The strength of our ingredient in "d3/k2 25 mcg/75 mcg per drop"; None if the name is not written like that."""
    series = _SERIES.search(written)
    if series is None:
        return None
    amounts = _ONE_OF_SERIES.findall(series[0])
    unit = amounts[-1][1]
    names = _ingredients(written[: series.start()], len(amounts))
    if not unit or names is None:
        return None
    found = [(_named(name, terminology), amount) for name, amount in zip(names, amounts, strict=True)]
    ours = [amount for named, amount in found if named & concepts]
    ours = ours or [amount for (named, amount), name in zip(found, names, strict=True) if _SHORT_NAME.search(name)]
    ours = ours or [amount for named, amount in found if named]
    if len(ours) != 1 or (ours[0][1] or unit) not in MASSES:
        return UNKNOWN
    micrograms = tidy(_number(ours[0][0]) * MASSES[ours[0][1] or unit])
    per = _PER_UNIT.match(written[series.end() :])
    kind = measured(per[2]) if per is not None else ("each", 1.0)
    if kind is None:
        return UNKNOWN
    return _per(kind[0], tidy(micrograms / (_number(per[1]) if per is not None and per[1] else 1.0) / kind[1]))


def _ingredients(before: str, count: int) -> list[str] | None:
    """The names before a series of amounts, if there are as many: parted by signs, else by the letters of vitamins."""
    parts = [part for part in re.split(r"[/+&,、]|\band\b|\bwith\b|和|与|及|加", before) if part.strip()]
    if len(parts) == count:
        return parts
    letters = _VITAMIN.findall(before)
    return letters if len(letters) == count else None


def _named(part: str, terminology: Terminology) -> frozenset[str]:
    """The value sets of a part of a name; "K2" or "B12" alone names none of them, and yet says which part it is."""
    found = terminology.concepts("medication", (), part)
    return found or (_SHORTLY if _SHORT_NAME.search(part) else found)


def _before_mass(part: str) -> str:
    """The words that stand between the last number and the mass: "k2" in "d3 400 iu k2 45 ug"."""
    mass = _ANY_MASS.search(part)
    return _LAST_NUMBER.sub("", part[: mass.start()] if mass else part)


def strength_of_ratio(numerator: tuple[str, float] | None, denominator: tuple[str, float] | None) -> Strength:
    """A Medication's `ingredient.strength`: a mass over a count, a volume or drops, each as (kind, amount)."""
    if numerator is None or numerator[0] != "ug" or denominator is None or denominator[1] <= 0:
        return UNKNOWN
    return _per(denominator[0], tidy(numerator[1] / denominator[1]))


def _per(kind: str, micrograms: float) -> Strength:
    match kind:
        case "each":
            return Strength(each=micrograms)
        case "ml":
            return Strength(ml=micrograms)
        case "drop":
            return Strength(drop=micrograms)
    return UNKNOWN


def _one_part(text: str) -> Strength:
    """The strength in a text that speaks of one substance; unknown if it states more than one mass."""
    if _counts_masses(text) != 1:
        return UNKNOWN
    packed = _PACKED.search(text)
    if packed is not None:
        volume, _, number, unit = packed.groups()
        micrograms = _number(number) * MASSES[unit]
        return Strength(each=tidy(micrograms), ml=tidy(micrograms / _number(volume)) if _number(volume) else None)
    concentration = _CONCENTRATION.search(text)
    if concentration is not None:
        number, unit, count, denominator = concentration.groups()
        kind = measured(denominator)
        per = (_number(count) if count else 1.0) * (kind[1] if kind else 1.0)
        if kind is None or per <= 0 or (kind[0] == "each" and count):
            return UNKNOWN
        strength = _per(kind[0], tidy(_number(number) * MASSES[unit] / per))
        volumes = _VOLUME.findall(text[: concentration.start()] + " " + text[concentration.end() :])
        if strength.ml is not None and len(volumes) == 1:  # "1 ML cyanocobalamin 1 MG/ML Injection": an ampoule of 1 mL
            return Strength(each=tidy(strength.ml * _number(volumes[0][0])), ml=strength.ml)
        return strength
    mass = _PLAIN_MASS.search(text)
    if mass is None or _PER_SEVERAL.search(text) or _VOLUME.search(text):
        return UNKNOWN
    return Strength(each=tidy(_number(mass[1]) * MASSES[mass[2]]))


def _counts_masses(text: str) -> int:
    return len(_ANY_MASS.findall(text))


def _number(written: str) -> float:
    return float(written.replace(",", ""))
