"""Plain dosage texts to amount and frequency, in English, Latin abbreviations and Chinese; doubt gives nothing.

The text is taken apart piece by piece: lengths of course, frequencies, routes, the amount. What is left over may
hold no digit and none of the words that make a dosage conditional or changing; else the text says nothing usable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cds_service.fhir.read.dose_words import COUNTED, DROPS, MASSES, UNITS, VOLUMES, alternatives, measured
from cds_service.quantity import Interval, point, tidy
from cds_service.terminology import normalised

_LONGEST = 500

_HALVES = ("half a", "half an", "half", "半", "½", "1⁄2", "1/2")
_COUNTS = (
    ("a", "an", "one", "once", "一"),
    ("two", "twice", "二", "两"),
    ("three", "thrice", "三"),
    ("four", "四"),
    ("five", "五"),
    ("six", "六"),
)
_NUMBER_WORDS = {
    **dict.fromkeys(_HALVES, 0.5),
    **{word: float(number) for number, words in enumerate(_COUNTS, 1) for word in words},
}
_N = r"(\d{1,3}|one|two|three|four|five|six|一|二|两|三|四|五|六)"

_UNIT_WORDS = "|".join(
    re.escape(word) for word in sorted((*MASSES, *COUNTED, *VOLUMES, *DROPS, *UNITS), key=len, reverse=True)
)
_DIGITS = r"\d{1,7}(?:,\d{3})*(?:\.\d{1,6})?"
_AMOUNT = re.compile(
    rf"(?<![a-z0-9./-])({_DIGITS}|half an?|half|one|two|three|four|1⁄2|½|1/2|半|一|二|两|三|四)"
    rf"(?:\s?(?:-|–|~|to|至|到)\s?({_DIGITS}))?\s?({_UNIT_WORDS})(?![a-z/])"
)

_AS_NEEDED = alternatives(
    r"\bprn\b",
    r"\bp\.r\.n\b",
    r"\b(?:as|if|when) (?:needed|required|necessary)\b",
    "必要时|按需|需要时",
)
# Conditions, changes and alternatives: a text with one of these is more than a dose and a frequency.
_DOUBT = alternatives(
    r"\b(?:then|followed by|divided|according|inr|as directed|or|max|maximum|up to|except|hold|skip|until|unless)\b",
    r"\b(?:increas|decreas|reduc|titrat|taper|adjust|alternat)\w{0,5}\b",
    r"\b(?:mon|tues?|wed|thur?s?|fri|sat|sun|\w{3,6}day)\b",
    "或|改为|分次|分[二两三四]次|然后|之后|逐渐|递增|递减|加量|减量|增加|减少|调整|遵医嘱|根据|不超过|最多|最大|交替|除外|直到",
    "(?:周|星期)[一二三四五六日]",
)

_DAILY = r"(?:a day|per day|each day|every day|daily|/ ?d(?:ay)?\b|/ ?24 ?h\b)"
_WEEKLY = r"(?:a week|per week|each week|every week|weekly|/ ?w(?:ee)?k\b)"
_A_WEEK = tidy(1 / 7)
_HOURS = rf"{_N} ?(?:hours?|hrs?|h)\b"
_ONE_TIME = "(?:1次|一次)?"


class _Rate(NamedTuple):
    """A way to write a frequency; with `times` the number in it multiplies, with `every` it divides."""

    pattern: re.Pattern[str]
    per_day: float | None = None
    times: bool = False
    every: float | None = None


# Earlier ones take their text away from later ones. Neither `per_day` nor `every`: in months.
_FREQUENCIES = (
    _Rate(
        alternatives(
            "every other day",
            "(?:on )?alternate days?",
            "every second day",
            r"\bq\.?o\.?d\b\.?",
            r"\beod\b",
            f"隔[日天]{_ONE_TIME}",
        ),
        0.5,
    ),
    _Rate(
        alternatives(
            "(?:每|1|一)(?:日|天)早晚各?[1一]?次?",
            "早晚各[1一]次",
            "morning and (?:night|evening)",
            r"\bb\.?i\.?d\b\.?",
            r"\bq12h\b",
            r"\bbd\b",
        ),
        2.0,
    ),
    _Rate(alternatives("早中晚各[1一]次", r"\bt\.?i\.?d\b\.?", r"\btds\b", r"\bq8h\b"), 3.0),
    _Rate(alternatives(r"\bq\.?i\.?d\b\.?", r"\bqds\b", r"\bq6h\b"), 4.0),
    _Rate(alternatives(rf"{_N} ?(?:times|x|×) ?{_DAILY}"), 1.0, times=True),
    _Rate(alternatives(rf"{_N} ?(?:times|x|×) ?{_WEEKLY}"), _A_WEEK, times=True),
    _Rate(alternatives(rf"\b(once|twice|thrice) ?{_DAILY}"), 1.0, times=True),
    _Rate(alternatives(rf"\b(once|twice|thrice) ?{_WEEKLY}"), _A_WEEK, times=True),
    _Rate(alternatives(rf"(?:每|1|一)?[日天](?:服用?|口服)?{_N}次", rf"{_N}次 ?/ ?(?:日|天|d\b)"), 1.0, times=True),
    _Rate(alternatives(rf"(?:每|1|一)?(?:周|星期){_N}次", rf"{_N}次 ?/ ?(?:周|星期)"), _A_WEEK, times=True),
    _Rate(alternatives(rf"every {_HOURS}", rf"\bq ?{_HOURS}", rf"每{_N}个?小时{_ONE_TIME}"), every=1 / 24),
    _Rate(alternatives(rf"every {_N} ?days\b", rf"\bq ?{_N} ?d\b", rf"每{_N}[日天]{_ONE_TIME}"), every=1.0),
    _Rate(
        alternatives(rf"every {_N} ?(?:weeks|wks)\b", rf"\bq ?{_N} ?wk?\b", rf"每{_N}(?:周|星期){_ONE_TIME}"),
        every=7.0,
    ),
    _Rate(alternatives(rf"every {_N} ?months\b", rf"\bq ?{_N} ?mo\b", rf"每{_N}个?月{_ONE_TIME}")),
    _Rate(
        alternatives(
            "(?:once |one time )?(?:a month|per month|each month|every month|monthly)",
            r"\bqm(?:onth)?\b",
            f"每个?月{_ONE_TIME}",
        )
    ),
    _Rate(
        alternatives(
            "(?:once )?(?:weekly|every week|each week|per week|a week)",
            r"\bqwk?\b",
            f"每(?:周|星期)(?![一二三四五六日]){_ONE_TIME}",
        ),
        _A_WEEK,
    ),
    _Rate(
        alternatives(
            r"\b[qo]\.?d\b\.?",
            r"\b(?:qam|qpm|qhs|qn|hs|nocte|mane|om)\b",
            # Omni nocte; inside a sentence it is the English word.
            r"\bon$",
            r"(?:once )?(?:every|each) ?(?:morning|evening|night|day)",
            r"(?:once )?(?:daily|a day|per day|nightly)",
            "at (?:bedtime|night)",
            "in the (?:morning|evening)",
            r"/ ?d(?:ay)?\b",
            "/ ?[日天]",
            f"每[日天晚早晨]{_ONE_TIME}",
            "睡前",
        ),
        1.0,
    ),
)
# Each is one time of the day, however often it is named.
_PARTS_OF_DAY = (
    alternatives("morning", "breakfast", "早|晨"),
    alternatives(r"\bnoon", "lunch", "午"),
    alternatives("afternoon"),
    alternatives("evening", "night", "bedtime", "dinner", "supper", "晚|睡前"),
)

# "1-0-1": how many in the morning, at noon, in the evening and perhaps at night.
_TIMES = r"(1⁄2|1/2|\d)"
_SCHEME = re.compile(rf"(?<![\w./-]){_TIMES}-{_TIMES}-{_TIMES}(?:-{_TIMES})?(?![\w/⁄-]|\.\d)")
# The amount of a day in equal parts.
_DIVIDED = alternatives(
    rf"\b(?:in|divided into|as) {_N} (?:equally )?(?:divided )?doses\b", rf"分(?:成|为)?{_N}次(?:服用?|口服)?"
)
# "One to be taken", "take 2", "1": a number of whatever the product comes in.
_BARE_COUNT = re.compile(
    r"[\s,.;:]*(?:please )?(?:(?:to )?(?:take|give|use|swallow) )?(\d|1⁄2|½|1/2|half|one|two|three|four|半|一|两)"
    r"(?: to be (?:taken|given|used|swallowed))?(?:[\s,.;]|by mouth|orally|\bp\.?o\b|under the tongue|sublingual(?:ly)?"
    r"|swallowed whole|(?:with|after|before) (?:food|meals?|breakfast|lunch|dinner|water)|口服|舌下|[餐饭][前后中])*"
)

_SINGLE = alternatives(
    r"\b(?:stat|st|single dose|one[- ]time(?: dose)?|one dose only|once only|once now|x ?1(?: dose)?)\b",
    "单次|一次性|立即|即刻",
)
# How long an infusion runs, and at what hour a dose is taken, changes neither dose nor frequency.
_BESIDE = alternatives(
    r"\bover \d{1,3}(?: ?(?:-|to) ?\d{1,3})? ?(?:minutes?|mins?|hours?|hrs?|h)\b",
    r"\bat \d{1,2}(?::\d\d)? ?(?:am|pm|a\.m\.|p\.m\.)",
)
_ONCE = re.compile(r"\bonce\b")
_COURSE = alternatives(
    rf"\b(?:for|x|×)\s?{_N}\s?(days?|d|weeks?|wks?|months?)\b",
    rf"(?:共|疗程|连用|连续|×|x|用)\s?:?{_N}\s?个?(天|日|周|星期|月)",
    rf"\b{_N}[- ](day|week) course",
)
_DAYS = {
    **dict.fromkeys(("day", "d", "天", "日"), 1.0),
    **dict.fromkeys(("week", "wk", "周", "星期"), 7.0),
    **dict.fromkeys(("month", "月"), 30.0),
}


@dataclass(frozen=True, slots=True)
class TextDose:
    """What a dosage text says beyond doubt.

    Attributes:
        amount, unit: at one time; unit is "ug" (micrograms), "each" (tablets, capsules ...), "ml" or "drop".
        per_day: times a day; None: not stated, or in months, which have no fixed length.
        as_needed: the amount of a day cannot be known.
        doubtful: more is said than was understood: conditions, changes, several amounts.
    """

    amount: Interval | None = None
    unit: str = ""
    per_day: float | None = None
    single: bool = False
    as_needed: bool = False
    doubtful: bool = False
    course_days: float | None = None


@lru_cache(maxsize=4096)
def read_dose_text(text: str) -> TextDose:
    """A dosage text in parts; an empty TextDose where it leaves doubt.

    >>> read_dose_text("15 mg tid").per_day
    3.0
    """
    if len(text) > _LONGEST:
        return TextDose(doubtful=True)
    rest, course = _take_course(_BESIDE.sub(" ", normalised(text)))
    rest, scheme = _take_scheme(rest)
    named = sum(1 for part in _PARTS_OF_DAY if part.search(rest))
    rest, rates = _take_frequencies(rest)
    single = bool(_SINGLE.search(rest)) or (not rates and bool(_ONCE.search(rest)))
    rest = _ONCE.sub(" ", _SINGLE.sub(" ", rest))
    if _AS_NEEDED.search(rest):
        return TextDose(as_needed=True)
    rest, parts = _take_parts(rest)
    amounts = [_amount(*found) for found in _AMOUNT.findall(rest)]
    rest = _AMOUNT.sub(" ", rest)
    if scheme is not None:
        amounts, rates = _by_scheme(scheme, amounts, rates)
    elif not amounts and (bare := _BARE_COUNT.fullmatch(rest)) is not None:
        amounts, rest = [(point(_number(bare[1])), "each")], ""
    amount, unit = _one_amount(amounts)
    if parts is not None and amount is not None and rates == [1.0]:
        # What is said is the amount of a day.
        amount, rates, parts = amount.times(1 / parts), [parts], None
    per_day = rates[0] if rates else None
    if (
        _DOUBT.search(rest)
        or any(character.isdigit() for character in rest)
        or (amounts and not unit)
        or len(set(rates)) > 1
        or (single and rates)
        or parts is not None
        # "one in the morning and one at night": two times of the day, and only one frequency read.
        or (named > 1 and (per_day is None or named > per_day))
    ):
        return TextDose(doubtful=True)
    return TextDose(amount, unit, per_day, single=single, course_days=course)


def _take_scheme(text: str) -> tuple[str, list[float] | None]:
    """The text without "1-0-1", and how many each time."""
    match = _SCHEME.search(text)
    if match is None:
        return text, None
    return text[: match.start()] + " " + text[match.end() :], [_number(part) for part in match.groups() if part]


def _by_scheme(
    counts: list[float], amounts: list[tuple[Interval | None, str]], rates: list[float | None]
) -> tuple[list[tuple[Interval | None, str]], list[float | None]]:
    """Amounts and rates of "1-0-1"; beside another frequency or amount it says nothing that is sure."""
    taken = [count for count in counts if count]
    if rates or not taken or len(amounts) > 1 or (amounts and set(taken) != {1.0}):
        return [(None, "")], rates
    if len(set(taken)) > 1:
        return [(point(sum(taken)), "each")], [1.0]
    return amounts or [(point(taken[0]), "each")], [float(len(taken))]


def _take_parts(text: str) -> tuple[str, float | None]:
    """The text without "in 3 divided doses", and how many they are."""
    match = _DIVIDED.search(text)
    if match is None:
        return text, None
    number = next(part for part in match.groups() if part)
    return text[: match.start()] + " " + text[match.end() :], _number(number)


def _amount(low: str, high: str, unit: str) -> tuple[Interval | None, str]:
    kind = measured(unit)
    if kind is None:  # international units: another quantity for every substance
        return None, ""
    first = _number(low) * kind[1]
    last = _number(high) * kind[1] if high else first
    return (Interval(tidy(first), tidy(last)), kind[0]) if first <= last else (None, "")


def _one_amount(amounts: list[tuple[Interval | None, str]]) -> tuple[Interval | None, str]:
    """The amount; of "1 tablet (5 mg)" and "2 mL (100 micrograms)" the mass; nothing where it could be either."""
    if len(amounts) == 1:
        return amounts[0]
    if len(amounts) == 2:
        (first, kind), (second, other) = sorted(amounts, key=lambda amount: amount[1] == "ug")
        if other == "ug" and (kind == "ml" or (kind == "each" and first == point(1.0))):
            return second, other
    return None, ""


def _number(written: str) -> float:
    if written in _NUMBER_WORDS:
        return _NUMBER_WORDS[written]
    return float(written.replace(",", ""))


def _take_course(text: str) -> tuple[str, float | None]:
    match = _COURSE.search(text)
    if match is None:
        return text, None
    number, unit = (part for part in match.groups() if part)
    return text[: match.start()] + " " + text[match.end() :], _number(number) * _DAYS[unit.rstrip("s")]


def _take_frequencies(text: str) -> tuple[str, list[float | None]]:
    """The text without its frequencies, and these as times a day (None: known, but in months)."""
    rates: list[float | None] = []
    for pattern, per_day, times, every in _FREQUENCIES:
        for match in pattern.finditer(text):
            number = next((_number(part) for part in match.groups() if part), None)
            if every is not None and number:
                rates.append(tidy(1 / (every * number)))
            elif times and number:
                rates.append(tidy((per_day or 0.0) * number))
            else:
                rates.append(per_day)
        text = pattern.sub(" ", text)
    return text, rates
