"""The laboratory's own reference range of a result: its words, and its ends where they can be read."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import msgspec

from cds_service.fhir.codeable_concept import capped, optional
from cds_service.fhir.shapes import LabRangeShape

_ranges = msgspec.json.Decoder(list[LabRangeShape] | None)
# "145-569 pmol/L", "<150", "≥ 200 pg/mL".
_WRITTEN = re.compile(
    r"(?:(?P<low>\d{1,9}(?:\.\d{1,9})?)\s*[-–~]\s*(?P<high>\d{1,9}(?:\.\d{1,9})?)"
    r"|(?P<sign>[<>≤≥]=?)\s*(?P<one>\d{1,9}(?:\.\d{1,9})?))\s*(?P<unit>\D.{0,40})?"
)


class LabRange(NamedTuple):
    """A reference range. `low`, `high`: its ends in `unit`, None where open or not readable; "" means no unit."""

    text: str
    low: float | None = None
    high: float | None = None
    unit: str = ""


@lru_cache(maxsize=2048)
def lab_range_of(written: bytes) -> LabRange | None:
    """The first range of `Observation.referenceRange` that says something; one without a text is worded from its ends.

    Args:
        written: the member as JSON, or a part of it if it is very long.
    """
    for one in optional(_ranges, msgspec.Raw(written)) or ():
        low = one.low.value if one.low else None
        high = one.high.value if one.high else None
        unit = capped(
            next((q.unit or q.code for q in (one.low, one.high) if q is not None and (q.unit or q.code)), None)
        )
        if one.text:
            text = capped(one.text)[:100]
            return read_range(text) if low is None and high is None else LabRange(text, low, high, unit)
        if low is not None and high is not None:
            return LabRange(f"{low:.15g}–{high:.15g} {unit}".strip(), low, high, unit)
        if low is not None:
            return LabRange(f"≥{low:.15g} {unit}".strip(), low, None, unit)
        if high is not None:
            return LabRange(f"≤{high:.15g} {unit}".strip(), None, high, unit)
    return None


def read_range(text: str) -> LabRange:
    """A range from its words; without ends if they are not understood.

    >>> read_range("145-569 pmol/L")
    LabRange(text='145-569 pmol/L', low=145.0, high=569.0, unit='pmol/L')
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        return LabRange(text)
    unit = (match["unit"] or "").strip()
    if match["one"] is None:
        return LabRange(text, float(match["low"]), float(match["high"]), unit)
    one = float(match["one"])
    return LabRange(text, None, one, unit) if match["sign"][0] in "<≤" else LabRange(text, one, None, unit)
