"""The figures of a text: numbers with what they measure, so that those of two texts can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isclose

# How units are written in texts, and as UCUM codes of thresholds: what they measure, and how many of its base unit.
_MASS = {"g": 1e6, "mg": 1e3, "µg": 1.0, "ug": 1.0, "mcg": 1.0, "microgram": 1.0, "micrograms": 1.0, "微克": 1.0}
_AMOUNT = {"mmol/L": 1e3, "µmol/L": 1.0, "umol/L": 1.0, "nmol/L": 1e-3, "pmol/L": 1e-6}
_CONCENTRATION = {"g/L": 1e9, "g/dL": 1e10, "µg/L": 1e3, "ng/mL": 1e3, "pg/mL": 1.0, "ng/L": 1.0}
_TIME = {
    **dict.fromkeys(("h", "hour", "hours", "小时"), 1 / 24),
    **dict.fromkeys(("d", "day", "days", "天", "日"), 1.0),
    **dict.fromkeys(("wk", "week", "weeks", "周"), 7.0),
    **dict.fromkeys(("mo", "month", "months", "个月", "月"), 365.25 / 12),
    **dict.fromkeys(("a", "year", "years", "年", "岁"), 365.25),
}
_UNITS = {
    **{unit: ("mass", size) for unit, size in _MASS.items()},
    **{unit: ("amount", size) for unit, size in _AMOUNT.items()},
    **{unit: ("concentration", size) for unit, size in _CONCENTRATION.items()},
    **{unit: ("time", size) for unit, size in _TIME.items()},
    "%": ("share", 1.0),
}
# Words of "three weeks", "the fifth week", "三个月", "第五周": only before a span of time do they state a figure.
_WORDS = {
    word: float(value)
    for value, words in enumerate(
        (
            "one first 一",
            "two second 二 两",
            "three third 三",
            "four fourth 四",
            "five fifth 五",
            "six sixth 六",
            "seven seventh 七",
            "eight eighth 八",
            "nine ninth 九",
            "ten tenth 十",
            "eleven eleventh 十一",
            "twelve twelfth 十二",
        ),
        start=1,
    )
    for word in words.split()
}


def _any_of(words: Iterable[str]) -> str:
    """A pattern of words, the longest first; one that ends in a Latin letter ends there."""
    ordered = sorted(words, key=len, reverse=True)
    return "|".join(re.escape(one) + (r"(?![A-Za-z])" if re.search("[A-Za-z]$", one) else "") for one in ordered)


# A lone letter is a unit only in the code of a threshold: "3 a", "4 d" stand in no sentence.
_UNIT = _any_of(unit for unit in _UNITS if len(unit) > 1 or not unit.isascii() or unit in "%gh")
_SPAN = _any_of(unit for unit in _TIME if len(unit) > 2 or not unit.isascii())
# Digits that belong to a name are no figure: B12, MK-7, NG239, m.11778; nor is the base of a power, 10⁹.
_FIGURE = re.compile(
    rf"""
    (?<![A-Za-z\d.])(?<![A-Za-z]-)
    (?P<digits>\d+(?:[\ ,]\d{{3}}(?!\d))*(?:\.\d+)?)(?![\d⁰-⁹²³])
    (?:\s?(?P<unit>{_UNIT}))?
    | (?<![A-Za-z])(?P<word>{_any_of(_WORDS)})\s?(?P<span>{_SPAN})
    """,
    re.IGNORECASE | re.VERBOSE,
)
# "5 to 10 mg", "3–7 days", "180 and 350 ng/L": the unit behind the last number is that of the ones before it.
_JOINED = re.compile(r"\s*(?:to|and|or|–|,|、|至|与|或|和|到)\s*")
# From here on a number before 年 is a calendar year, not a span of time.
_FIRST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it is written, and what it is worth in the base unit of what it measures ("" for a bare number)."""

    written: str
    measures: str
    size: float

    def equals(self, other: Figure) -> bool:
        """Whether both say the same; months and years do not hold whole weeks, so spans of time may differ by 2 %."""
        tolerance = 0.02 if self.measures == "time" else 1e-9
        return self.measures == other.measures and isclose(self.size, other.size, rel_tol=tolerance)


def figures(text: str) -> list[Figure]:
    """The figures that a text states, in its order."""
    found: list[Figure] = []
    matches = list(_FIGURE.finditer(text))
    unit, begins = "", len(text)
    for match in reversed(matches):
        own = match["unit"] or match["span"]
        if own is None and not _JOINED.fullmatch(text, match.end(), begins):
            unit = ""
        unit, begins = own or unit, match.start()
        number = _WORDS[match["word"].lower()] if match["word"] else float(re.sub("[ ,]", "", match["digits"]))
        if unit == "年" and number >= _FIRST_YEAR:
            unit = ""
        found.append(_figure(match[0], number, unit))
    return found[::-1]


def limit_figure(value: float, unit: str) -> Figure:
    """A threshold's value, whose unit is a UCUM code."""
    return _figure(f"{value:g}" if unit == "1" else f"{value:g} {unit}", value, unit)


def stated(figure: Figure, text: str) -> bool:
    """Whether a text states the figure."""
    return any(figure.equals(other) for other in figures(text))


def _figure(written: str, number: float, unit: str) -> Figure:
    measures, size = _UNITS.get(unit) or _UNITS.get(unit.lower()) or ("", 1.0)
    return Figure(written.strip(), measures, number * size)
