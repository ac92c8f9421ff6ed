"""FHIR Dosages to micrograms at one time and a day: structured members first, plain text next, doubt is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from cds_service.coding import SNOMED, UCUM, system_uri
from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import CACHED_BYTES, capped, parse_concept
from cds_service.fhir.dates import Moment
from cds_service.fhir.read.dose_text import TextDose, read_dose_text
from cds_service.fhir.read.dose_words import measured, route_in_text, route_of_form
from cds_service.fhir.read.strength import IN_UNITS, Strength
from cds_service.fhir.read.timing import Frequency, read_timing
from cds_service.fhir.shapes import DosageShape, DoseAndRateShape, QuantityShape, RangeShape
from cds_service.quantity import Interval, point, tidy
from cds_service.record import Route

_SNOMED_ROUTES: dict[str, Route] = {
    "26643006": "oral",
    "37839007": "sublingual",
    "54471007": "sublingual",  # buccal
    "46713006": "nasal",
    "78421000": "im",
    "34206005": "sc",
    "47625008": "iv",
    "6064005": "topical",
    "54485002": "topical",  # ophthalmic
    "448598008": "topical",  # cutaneous and mucosal
}
# HL7 v3 RouteOfAdministration and the abbreviations that EHRs use as codes.
_CODED_ROUTES: dict[str, Route] = {
    "po": "oral",
    "oral": "oral",
    "sl": "sublingual",
    "nasal": "nasal",
    "im": "im",
    "sc": "sc",
    "sq": "sc",
    "subcut": "sc",
    "iv": "iv",
    "ivpush": "iv",
    "top": "topical",
    "topical": "topical",
}
_UCUM_UNITS = {
    "ng": ("ug", 0.001),
    "ug": ("ug", 1.0),
    "mg": ("ug", 1e3),
    "g": ("ug", 1e6),
    "mL": ("ml", 1.0),
    "ml": ("ml", 1.0),
    "L": ("ml", 1e3),
    "[drp]": ("drop", 1.0),
    **dict.fromkeys(("[iU]", "[IU]", "U"), ("iu", 1.0)),
    **dict.fromkeys(("k[iU]", "k[IU]", "kU"), ("iu", 1e3)),
    **dict.fromkeys(("{tbl}", "{tablet}", "{tab}", "{pill}", "{capsule}", "{cap}"), ("each", 1.0)),
}
_REPORTED = 200

_dosages = msgspec.json.Decoder(list[DosageShape] | DosageShape | None)


@dataclass(frozen=True, slots=True)
class Dosing:
    """All dosage instructions of one entry together; the attributes are those of MedicationUse."""

    daily: Interval | None = None
    units: Interval | None = None
    dose: Interval | None = None
    reported: str = ""
    route: Route | None = None
    single: bool = False
    as_needed: bool = False
    course_days: float | None = None
    start: Moment | None = None
    end: Moment | None = None
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class _One:
    """One dosage instruction."""

    daily: Interval | None
    units: Interval | None
    dose: Interval | None
    reported: str
    route: Route | None
    frequency: Frequency
    single: bool
    as_needed: bool
    course_days: float | None


def read_dosing(raw: msgspec.Raw, strength: Strength, product: str, form: str = "") -> Dosing:
    """What is taken, from the dosage members of an entry.

    Args:
        raw: `dosageInstruction` or `dosage`, a list of Dosages or one.
        strength: of the product, for doses in tablets or millilitres.
        product, form: the product's name and pharmaceutical form, for the route.
    Returns:
        The dosing; `unreadable` if the member has not the shape of a Dosage.
    """
    written = bytes(raw)
    return (
        _cached(written, strength, product, form)
        if len(written) <= CACHED_BYTES
        else _read(written, strength, product, form)
    )


def _read(written: bytes, strength: Strength, product: str, form: str) -> Dosing:
    try:
        shape = _dosages.decode(written) if written else None
        dosages = [] if shape is None else shape if isinstance(shape, list) else [shape]
        ones = [_read_one(dosage, strength) for dosage in dosages]
    except UNREADABLE:
        return Dosing(route=_implied_route(product, form), unreadable=True)
    if not ones:
        return Dosing(route=_implied_route(product, form))
    routes = {one.route for one in ones if one.route is not None}
    starts = [one.frequency.start for one in ones if one.frequency.start is not None]
    ends = [one.frequency.end for one in ones if one.frequency.end is not None]
    doses = {one.dose for one in ones}
    courses = {one.course_days for one in ones}
    return Dosing(
        daily=_together(dosages, ones, [one.daily for one in ones]),
        units=_together(dosages, ones, [one.units for one in ones]),
        dose=doses.pop() if len(doses) == 1 else None,
        reported=capped("; ".join(one.reported for one in ones if one.reported))[:_REPORTED],
        route=routes.pop() if len(routes) == 1 else None if routes else _implied_route(product, form),
        single=len(ones) == 1 and ones[0].single,
        as_needed=any(one.as_needed for one in ones),
        course_days=courses.pop() if len(courses) == 1 else None,
        start=min(starts) if starts else None,
        end=max(ends) if len(ends) == len(ones) else None,
    )


# The same few dosages come again and again; longer ones are read every time, so that the memory stays bounded.
_cached = lru_cache(maxsize=4096)(_read)


def _together(
    dosages: Sequence[DosageShape], ones: Sequence[_One], daily: Sequence[Interval | None]
) -> Interval | None:
    """The daily doses added up; unknown if one is, or if they follow each other with different doses."""
    total: Interval | None = None
    for dose in daily:
        if dose is None:
            return None
        total = dose if total is None else total.plus(dose)
    # Different sequence numbers: one instruction after the other, and which one is reached is not known.
    if len({dosage.sequence for dosage in dosages}) > 1 or any(one.frequency.end for one in ones[:-1]):
        return daily[0] if len(set(daily)) == 1 else None
    return total


def _read_one(dosage: DosageShape, strength: Strength) -> _One:
    text = read_dose_text(dosage.text) if dosage.text else TextDose()
    frequency = read_timing(dosage.timing)
    single = frequency.single or (frequency.per_day is None and not frequency.contradictory and text.single)
    as_needed = _as_needed(dosage) or text.as_needed
    dose = None if as_needed else _dose(dosage, text, strength)
    units = None if as_needed else _dose(dosage, text, IN_UNITS)
    return _One(
        daily=_daily(dose, frequency, text, single=single),
        units=_daily(units, frequency, text, single=single),
        dose=dose,
        reported=capped(dosage.text) or _in_words(dosage, frequency),
        route=_route(dosage),
        frequency=frequency,
        single=single,
        as_needed=as_needed,
        course_days=frequency.course_days or text.course_days,
    )


def _daily(dose: Interval | None, frequency: Frequency, text: TextDose, *, single: bool) -> Interval | None:
    """Dose times frequency. A dose given once is what is given on its day."""
    if dose is None or frequency.contradictory:
        return None
    if single:
        return dose
    per_day = frequency.per_day
    if per_day is None and text.per_day is not None:
        per_day = point(text.per_day)
    if per_day is None:
        return None
    return Interval(tidy(dose.low * per_day.low), tidy(dose.high * per_day.high))


def _as_needed(dosage: DosageShape) -> bool:
    """Anything but a plain false: a reason to take it (R4 `asNeededCodeableConcept`, R5 `asNeededFor`) is one too."""
    flags = (dosage.as_needed, dosage.as_needed_boolean, dosage.as_needed_codeable_concept, dosage.as_needed_for)
    return any(flag is not None and flag is not False and flag != [] for flag in flags)


def _dose(dosage: DosageShape, text: TextDose, strength: Strength) -> Interval | None:
    """Micrograms at one time; a structured dose that cannot be read is not made up for by the text."""
    structured: list[QuantityShape | RangeShape] = [
        dose for part in _doses(dosage) for dose in (part.dose_quantity, part.dose_range) if dose is not None
    ]
    if not structured:
        older = (
            dosage.dose_quantity,
            dosage.dose_range,
            dosage.dose,
            dosage.quantity_quantity,
            dosage.quantity_range,
            dosage.quantity,
        )
        structured = [dose for dose in older if dose is not None]
    if structured:
        # Several are the ordered and the calculated dose: one dose, said twice.
        doses = {_structured_dose(dose, strength) for dose in structured}
        return doses.pop() if len(doses) == 1 else None
    return None if text.amount is None else strength.mass(text.amount, text.unit)


def _structured_dose(dose: QuantityShape | RangeShape, strength: Strength) -> Interval | None:
    if isinstance(dose, QuantityShape):
        return mass_of(dose, strength)
    low = mass_of(dose.low, strength) if dose.low is not None else None
    high = mass_of(dose.high, strength) if dose.high is not None else None
    return Interval(low.low, high.high) if low is not None and high is not None and low.low <= high.high else None


def mass_of(quantity: QuantityShape, strength: Strength) -> Interval | None:
    """An amount of a product in micrograms; None if its unit does not tell."""
    kind = unit_of(quantity)
    if kind is None or quantity.value is None or quantity.value <= 0 or quantity.comparator:
        return None
    return strength.mass(point(tidy(quantity.value * kind[1])), kind[0])


def unit_of(quantity: QuantityShape) -> tuple[str, float] | None:
    """Kind and size of a Quantity's unit ("ug" 1000.0 for mg); None if unknown, or if code and text disagree."""
    system, code = system_uri(quantity.system or ""), (quantity.code or "").strip()
    by_code = None
    if code and system == UCUM:
        # A code that we do not know (a rate, international units, "1") is not overruled by its text.
        by_code = _UCUM_UNITS.get(code)
        if by_code is None and not code.startswith("{"):
            return None
    elif code and system:
        by_code = measured(code[:40])
    by_text = measured(quantity.unit[:40]) if quantity.unit else None
    if by_code is not None and by_text is not None and by_code != by_text:
        return None
    return by_code or by_text


def _route(dosage: DosageShape) -> Route | None:
    written = parse_concept(dosage.route)
    for coding in written.codings:
        if system_uri(coding.system) == SNOMED and coding.code in _SNOMED_ROUTES:
            return _SNOMED_ROUTES[coding.code]
    for coding in written.codings:
        if system_uri(coding.system) != SNOMED and coding.code.lower() in _CODED_ROUTES:
            return _CODED_ROUTES[coding.code.lower()]
    words = " ".join((written.text, *(coding.display for coding in written.codings)))
    return route_in_text(words) or (route_in_text(dosage.text) if dosage.text and not words.strip() else None)


def _implied_route(product: str, form: str) -> Route | None:
    """By the form of the product: "sublingual tablet", "nasal spray", "注射液" (parenteral), "胶囊" (oral)."""
    for words in (form, product):
        implied = route_in_text(words) or route_of_form(words) if words else None
        if implied is not None:
            return implied
    return None


def _doses(dosage: DosageShape) -> list[DoseAndRateShape]:
    """What `doseAndRate` holds; the order-select page of CDS Hooks shows one object in place of the list."""
    given = dosage.dose_and_rate or []
    return given if isinstance(given, list) else [given]


def _in_words(dosage: DosageShape, frequency: Frequency) -> str:
    quantities = [part.dose_quantity for part in _doses(dosage) if part.dose_quantity is not None]
    quantity = next(
        iter(
            (*quantities, *(q for q in (dosage.dose_quantity, dosage.dose, dosage.quantity_quantity) if q is not None))
        ),
        None,
    )
    amount = ""
    if quantity is not None and quantity.value is not None:
        amount = f"{quantity.value:.15g} {capped(quantity.unit or quantity.code)[:40]}".strip()
    return f"{amount} {frequency.words}".strip()
