"""FHIR Observations to laboratory results: one unit per analyte, or a reason why there is no value.

A unit is never guessed and a missing value never means normal: what cannot be used is kept with `unusable`
set, so that it neither fires a rule nor counts as tested, and `explain` can say why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from cds_service.coding import UCUM, system_uri
from cds_service.fhir.bundle import UNREADABLE
from cds_service.fhir.codeable_concept import capped, concepts_of, optional, parse_concept
from cds_service.fhir.dates import Moment, moment
from cds_service.fhir.lab_range import LabRange, lab_range_of
from cds_service.fhir.read.context import ReadContext
from cds_service.fhir.shapes import (
    ObservationHead,
    ObservationShape,
    QuantityShape,
    ReferenceShape,
    ResultShape,
)
from cds_service.gaps import Note, NoteKind
from cds_service.quantity import Interval, compared, factor, is_ratio_unit
from cds_service.record import LabResult, PendingTest
from cds_service.terminology import Analyte

_USABLE = frozenset(("final", "amended", "corrected"))
_IN_PROGRESS = frozenset(("preliminary", "registered"))
_READ = _USABLE | _IN_PROGRESS

_LONGEST_UNIT = 40
_MOST_UNITS = 64
_LONGEST_RANGE = 4096

# "<150 pg/mL", "≥ 2000", "147", "150 pg/mL (L)": a comparator, a plain decimal, and the rest is the unit.
# A decimal comma stays unread: "1,234" may be either. NFKC has made full-width signs and digits plain by then.
_NUMBER_IN_TEXT = re.compile(r"(<=|>=|<|>|≤|≥)?\s{0,3}(\d{1,9}(?:\.\d{1,9})?)(?![\d.,^*])\s{0,3}(.{0,40})")
# The laboratory's flag behind number and unit, in brackets or after a blank. A single letter without brackets needs a
# unit with a stroke before it: "5 mmol L" may mean per litre.
_FLAG_IN_TEXT = re.compile(
    r"(.*?)\s{0,3}[(\[*]{1,2}\s?(LL|L|HH|H|N|low|high|normal|偏低|偏高|低|高|正常|↓|↑)\s?[)\]*]{0,2}"
    r"|(.*/\S+|)\s{1,3}(LL|L|HH|H|low|high|normal|偏低|偏高|低|高|正常)|(.*?)\s{0,3}(↓|↑)",
    re.IGNORECASE,
)
_COMPARATORS = {"≤": "<=", "≥": ">="}

# HL7 v3 ObservationInterpretation; words are for laboratories that send text only.
_FLAG_WORDS = {
    **dict.fromkeys(("low", "偏低", "低", "↓"), "L"),
    **dict.fromkeys(("critical low", "critically low"), "LL"),
    **dict.fromkeys(("high", "偏高", "高", "↑"), "H"),
    **dict.fromkeys(("critical high", "critically high"), "HH"),
    **dict.fromkeys(("normal", "正常"), "N"),
}

_head = msgspec.json.Decoder(ObservationHead)
_body = msgspec.json.Decoder(ObservationShape)
_reference = msgspec.json.Decoder(ReferenceShape | None)
_foci = msgspec.json.Decoder(list[ReferenceShape])


def read_observation(raw: msgspec.Raw, reading: ReadContext, address: str) -> Sequence[LabResult | PendingTest]:
    """The results in one Observation and its components, or the test in progress that it announces.

    Args:
        address: what to call it if it has no id.
    Raises:
        msgspec.DecodeError: it has not the shape of an Observation.
    """
    head = _head.decode(raw)
    if head.status not in _READ:
        return ()
    terminology = reading.terminology
    concepts = concepts_of(terminology, "observation", head.code)
    if head.component:
        for part in head.component:
            concepts = concepts | concepts_of(terminology, "observation", part.code)
    if not concepts:
        reading.count_unmatched("Observation", head.code)
        return ()
    body = _body.decode(raw)
    if not reading.is_call_patient("Observation", body.subject) or _is_about_another(body, reading):
        return ()
    reference = f"Observation/{body.id}" if body.id else address
    issued = moment(body.issued)
    when = _when(body) or issued
    if head.status in _IN_PROGRESS:
        return (PendingTest(concepts, reference, when.day if when else None, "result in progress"),)
    specimen = _specimen(body)
    panel = bool(body.component or bytes(body.has_member) or bytes(body.related))
    results: list[LabResult | PendingTest] = []
    for result in (body, *(body.component or ())):
        if result is body and panel and not _holds_value(body):
            continue
        # Without components, what told that the Observation matters is all there is.
        mine = concepts_of(terminology, "observation", result.code) if head.component else concepts
        for concept in sorted(mine):
            analyte = terminology.analyte(concept)
            if analyte is not None and not (specimen and terminology.excludes(concept, specimen)):
                at = issued.at if issued else None
                results.append(_result(result, concept, analyte, reading, reference, when, at))
    return results


def _is_about_another(body: ObservationShape, reading: ReadContext) -> bool:
    """Whether `focus` names anything but the patient: FHIR R4 has it for results in a mother's chart that are her
    unborn child's, of an implant, a donor.
    """
    focus = bytes(body.focus)
    if focus in (b"", b"null", b"[]"):
        return False
    named = optional(_foci, body.focus) or [ReferenceShape()]
    if all(one.reference is not None and reading.patient_matcher.is_patient(one.reference) for one in named):
        return False
    reading.notes[Note(NoteKind.OTHER_FOCUS, "Observation")] += 1
    return True


def _when(body: ObservationShape) -> Moment | None:
    """When the sample was taken; the time of issue is for the caller to fall back to."""
    when = moment(body.effective_date_time) or moment(body.effective_instant)
    period = body.effective_period
    return when or (period and (moment(period.end) or moment(period.start))) or None


def _specimen(body: ObservationShape) -> str:
    """What the sample is called where it is referred to ("Urine"); "" if it is not named there."""
    named = optional(_reference, body.specimen)
    return capped(named.display) if named is not None else ""


def _holds_value(result: ResultShape) -> bool:
    values = (result.value_quantity, result.value_string, result.value_integer)
    return any(value is not None for value in values) or bool(bytes(result.data_absent_reason))


def _result(
    result: ResultShape,
    concept: str,
    analyte: Analyte,
    reading: ReadContext,
    reference: str,
    when: Moment | None,
    issued: datetime | None,
) -> LabResult:
    quantity, said = _written_value(result)
    value, unusable, reported = _value(result, quantity, concept, analyte, reading)
    lab_range = lab_range_of(bytes(result.reference_range)[:_LONGEST_RANGE])
    lab_low, lab_high = _in_unit(lab_range, quantity, concept, analyte, reading)
    if value is not None and lab_high is not None and lab_high <= (analyte.least_range_top or 0):
        value, unusable = None, "the range is one of another test"
    if unusable is None and when is None:
        value, unusable = None, "no date"
    if unusable is not None:
        reading.notes[Note(NoteKind.RESULT_UNUSABLE, concept, unusable)] += 1
    return LabResult(
        concept=concept,
        value=value,
        reported=reported,
        effective=when.day if when else None,
        reference=reference,
        unusable=unusable,
        effective_at=when.at if when else None,
        issued=issued,
        lab_range=lab_range.text if lab_range else None,
        lab_low=lab_low,
        lab_high=lab_high,
        flag=_flag(result.interpretation) or said,
        partial_date=when.partial if when else False,
    )


def _written_value(result: ResultShape) -> tuple[QuantityShape | None, str | None]:
    """The value as a quantity, if it is or holds one, and the flag that stands beside it in a text."""
    if result.value_quantity is not None or result.value_string is None:
        number = result.value_integer
        return result.value_quantity or (None if number is None else QuantityShape(value=float(number))), None
    return _quantity_in_text(result.value_string)


def _value(
    result: ResultShape, quantity: QuantityShape | None, concept: str, analyte: Analyte, reading: ReadContext
) -> tuple[Interval | None, str | None, str]:
    """The value in the analyte's unit, or why there is none; and the value as the laboratory wrote it."""
    if quantity is None and result.value_string is not None:
        return None, "no number", capped(result.value_string)[:80]
    reported = _as_written(quantity) if quantity is not None else ""
    if bytes(result.data_absent_reason) not in (b"", b"null"):
        return None, "data absent", reported
    if quantity is None or quantity.value is None:
        return None, "no value", reported
    written = compared(quantity.comparator, quantity.value)
    if written is None:
        return None, "comparator not understood", reported
    multiplier = _multiplier(quantity, concept, analyte, reading)
    if isinstance(multiplier, str):
        return None, multiplier, reported
    value = written if multiplier == 1.0 else written.times(multiplier)
    stated = value.high if quantity.comparator in ("<", "<=") else value.low
    if stated < 0 or (analyte.high is not None and stated > analyte.high):
        return None, "implausible", reported
    # "<20" is what an assay says at its limit of detection; a plain 19 is a slip.
    if value.is_point and analyte.low is not None and stated < analyte.low:
        return None, "implausible", reported
    return value, None, reported


def _multiplier(quantity: QuantityShape, concept: str, analyte: Analyte, reading: ReadContext) -> float | str:
    """What the written number is multiplied with to be in the analyte's unit, or why that cannot be known.

    `Quantity.code` counts when its system is UCUM, else the text in `unit`; the two may not contradict each other.
    """
    code = (quantity.code or "").strip() if system_uri(quantity.system or "") == UCUM else ""
    text = (quantity.unit or "").strip()
    if analyte.ratio:
        return 1.0 if is_ratio_unit(code) and is_ratio_unit(text) else "unit not convertible"
    if not code and not text:
        return "no unit"
    by_code = _factor(code, concept, analyte, reading) if code else None
    by_text = _factor(text, concept, analyte, reading) if text else None
    found = by_code if code else by_text
    if found is None:
        return "unit not convertible"
    if code and text and by_text != found and (by_text is not None or _known(text, concept, reading)):
        return "unit code and unit text contradict each other"
    if (code or text) == analyte.unit:
        return found
    refused = (factor(unit, analyte.unit, analyte.molar_mass) for unit in analyte.refused_units)
    return "unit never used for this analyte" if found in refused else found


def _factor(unit: str, concept: str, analyte: Analyte, reading: ReadContext) -> float | None:
    if unit == analyte.unit:
        return 1.0
    listed = alias(unit, concept, reading.units)
    if listed is None and not _may_be_asked(unit, reading):
        return None
    return factor(listed or unit, analyte.unit, analyte.molar_mass)


def _known(text: str, concept: str, reading: ReadContext) -> bool:
    """Whether a unit text that does not convert is a unit at all (else it is a remark, and no contradiction)."""
    if alias(text, concept, reading.units) is not None:
        return True
    # A unit that UCUM can read converts to itself; the brackets keep the library from being spared the reading.
    return _may_be_asked(text, reading) and factor(text, f"({text})") is not None


def _may_be_asked(unit: str, reading: ReadContext) -> bool:
    """The UCUM library takes milliseconds for a unit it has not seen: a call may show it only so many."""
    if len(unit) > _LONGEST_UNIT or (unit not in reading.units_asked and len(reading.units_asked) >= _MOST_UNITS):
        return False
    reading.units_asked.add(unit)
    return True


def alias(unit: str, concept: str, units: Mapping[str, str]) -> str | None:
    """The UCUM code of a unit spelling; None if the table does not list it.

    Asked as written, then after NFKC with either micro sign or `u`, then in lower case; a spelling that means
    this only for one analyte is listed as `concept:spelling`.
    """
    plain = unicodedata.normalize("NFKC", unit)
    for spelling in (unit, plain, plain.replace("μ", "µ"), plain.replace("μ", "u"), plain.casefold().replace("μ", "u")):
        found = units.get(f"{concept}:{spelling}") or units.get(spelling)
        if found is not None:
            return found
    return None


def _quantity_in_text(text: str) -> tuple[QuantityShape | None, str | None]:
    """Number, unit and flag in a text; without a number the flag may be all it says ("Low", 偏低)."""
    plain = unicodedata.normalize("NFKC", text[:100]).strip()
    if plain.casefold() in _FLAG_WORDS:
        return None, _FLAG_WORDS[plain.casefold()]
    match = _NUMBER_IN_TEXT.fullmatch(plain)
    if match is None:
        return None, None
    comparator, number, rest = match.groups()
    unit, flag = rest.strip(), None
    if found := _FLAG_IN_TEXT.fullmatch(rest.rstrip()):
        unit, word = next((a, b) for a, b in zip(found.groups()[::2], found.groups()[1::2], strict=True) if b)
        unit, flag = (unit or "").strip(), _FLAG_WORDS.get(word.casefold()) or word.upper()
    sign = _COMPARATORS.get(comparator, comparator)
    return QuantityShape(value=float(number), comparator=sign, unit=unit or None), flag


def _in_unit(
    lab_range: LabRange | None, quantity: QuantityShape | None, concept: str, analyte: Analyte, reading: ReadContext
) -> tuple[float | None, float | None]:
    """The ends of the laboratory's range in the analyte's unit. A range without a unit has that of the value."""
    if lab_range is None:
        return None, None
    if lab_range.unit:
        multiplier = _multiplier(QuantityShape(unit=lab_range.unit), concept, analyte, reading)
    else:
        multiplier = "no unit" if quantity is None else _multiplier(quantity, concept, analyte, reading)
    if isinstance(multiplier, str):
        return None, None
    ends = (lab_range.low, lab_range.high)
    low, high = (None if end is None else end * multiplier for end in ends)
    return low, high


def _as_written(quantity: QuantityShape) -> str:
    number = "" if quantity.value is None else f"{quantity.value:.15g}"
    unit = capped(quantity.unit or quantity.code)[:_LONGEST_UNIT]
    return f"{(quantity.comparator or '')[:10]}{number} {unit}".strip()


def _flag(raw: msgspec.Raw) -> str | None:
    """The first interpretation: R4 sends a list of them, STU3 one."""
    if not bytes(raw):
        return None
    try:
        written = parse_concept(raw)
    except UNREADABLE:
        return None
    code = next((coding.code for coding in written.codings if coding.code), "")
    return code.upper()[:10] or _FLAG_WORDS.get(written.text.casefold()) or None
