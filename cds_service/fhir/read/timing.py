"""FHIR Timing to doses a day, length of course and bounds; what is ambiguous is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from cds_service.fhir.codeable_concept import parse_concept
from cds_service.fhir.dates import Moment, moment
from cds_service.fhir.read.dose_text import read_dose_text
from cds_service.fhir.shapes import QuantityShape, RepeatShape, TimingShape
from cds_service.quantity import Interval, point, tidy

# Days of a UCUM or FHIR unit of time. Months and years have no fixed length: a dose per month is no dose per day.
_DAYS = {"s": 1 / 86400, "min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0}
_COURSE_DAYS = {
    **_DAYS,
    **dict.fromkeys(("hour", "hours", "小时"), 1 / 24),
    **dict.fromkeys(("day", "days", "天", "日"), 1.0),
    **dict.fromkeys(("week", "weeks", "周"), 7.0),
    **dict.fromkeys(("mo", "month", "months", "月", "个月"), 30.0),
    **dict.fromkeys(("a", "year", "years", "年"), 365.0),
}
_UNIT_NAMES = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "wk": "weeks", "mo": "months", "a": "years"}

# HL7 v3 GTSAbbreviation, times a day. MO has no fixed length, so it is not here.
_CODES = {
    **dict.fromkeys(("qd", "qam", "qpm", "am", "pm", "bed", "hs", "qhs", "q24h", "daily"), 1.0),
    **dict.fromkeys(("bid", "q12h"), 2.0),
    **dict.fromkeys(("tid", "q8h"), 3.0),
    **dict.fromkeys(("qid", "q6h"), 4.0),
    "q4h": 6.0,
    "q3h": 8.0,
    "q2h": 12.0,
    "q1h": 24.0,
    "qod": 0.5,
    "wk": tidy(1 / 7),
}
# "With meals" does not say with how many.
_WHEN_UNCOUNTED = frozenset(("C", "AC", "PC", "IMD"))


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often, how long, and from when to when.

    Attributes:
        per_day: times a day; None: not stated, ambiguous, or in months.
        contradictory: code and structure say different things; no text may settle that.
        words: the frequency as a person would read it.
    """

    per_day: Interval | None = None
    single: bool = False
    contradictory: bool = False
    course_days: float | None = None
    start: Moment | None = None
    end: Moment | None = None
    words: str = ""


def read_timing(timing: TimingShape | None) -> Frequency:
    """A Timing of any FHIR version; raises msgspec.DecodeError if its code is no CodeableConcept."""
    if timing is None:
        return Frequency()
    repeat = timing.repeat or RepeatShape()
    events = [found for found in map(moment, timing.event or ()) if found is not None]
    period = repeat.bounds_period
    start = moment(period.start) if period else None
    end = moment(period.end) if period else None
    by_code, code_words, single_by_code = _of_code(timing)
    stated = _states_a_rate(repeat)
    by_structure = _of_repeat(repeat) if stated else None
    contradictory = stated and by_code is not None and (by_structure is None or by_structure != by_code)
    once = repeat.count == 1 and repeat.count_max in (None, 1)
    per_day = by_structure if stated else by_code
    return Frequency(
        per_day=None if contradictory else per_day,
        # Several instants are so many doses; how they relate to a day is not said.
        single=once or len(timing.event or ()) == 1 or single_by_code,
        contradictory=contradictory or (stated and by_structure is None) or len(timing.event or ()) > 1,
        course_days=_course(repeat, start, end),
        start=start or (min(events) if events else None),
        end=end,
        words=_words(repeat, by_structure) or code_words,
    )


def duration_days(quantity: QuantityShape | None) -> float | None:
    """A Duration in days, months of 30 and years of 365 days; None if there is none or its unit is not one of time."""
    if quantity is None or quantity.value is None or quantity.comparator or quantity.value <= 0:
        return None
    days = _COURSE_DAYS.get((quantity.code or "").strip()) or _COURSE_DAYS.get((quantity.unit or "").strip().casefold())
    return None if days is None else tidy(quantity.value * days)


def _course(repeat: RepeatShape, start: Moment | None, end: Moment | None) -> float | None:
    stated = duration_days(repeat.bounds_duration)
    if stated is None and repeat.bounds_range is not None:
        stated = duration_days(repeat.bounds_range.high)
    if stated is None and start is not None and end is not None and not (start.partial or end.partial):
        # Both days count: from Monday to Wednesday are three days.
        return float((end.day - start.day).days + 1) if end.day >= start.day else None
    return stated


def _states_a_rate(repeat: RepeatShape) -> bool:
    members = (repeat.frequency, repeat.period, repeat.when, repeat.time_of_day, repeat.day_of_week)
    return any(member is not None and member != [] for member in members) and not (
        repeat.count == 1 and repeat.frequency in (None, 1) and repeat.period is None
    )


def _of_repeat(repeat: RepeatShape) -> Interval | None:
    """Times a day by frequency, period, named times of the day and days of the week."""
    when = [repeat.when] if isinstance(repeat.when, str) else repeat.when or []
    times = repeat.time_of_day or []
    named = len(times) or len(when)
    unit = repeat.period_unit or repeat.period_units
    if repeat.period is None and named:
        # Times of the day come back every day; "with meals" alone does not say how often.
        per_period, days = _named(repeat, when, named), 1.0
    else:
        # A period without a frequency holds one dose, by the definition of Timing.repeat.frequency.
        if repeat.period is None or repeat.period <= 0 or unit not in _DAYS:
            return None
        per_period, days = _named(repeat, when, named), repeat.period * _DAYS[unit]
    if per_period is None:
        return None
    longest = days if repeat.period_max is None or unit not in _DAYS else repeat.period_max * _DAYS[unit]
    if longest < days:
        return None
    rate = Interval(tidy(per_period.low / longest), tidy(per_period.high / days))
    return _on_days_of_week(rate, repeat)


def _named(repeat: RepeatShape, when: list[str], named: int) -> Interval | None:
    """Doses in one period: the frequency, or the count of named times; None if the two disagree."""
    if repeat.frequency is not None:
        if repeat.frequency <= 0 or (named > 1 and named != repeat.frequency):
            return None
        highest = repeat.frequency if repeat.frequency_max is None else repeat.frequency_max
        return Interval(repeat.frequency, highest) if highest >= repeat.frequency else None
    if any(one in _WHEN_UNCOUNTED for one in when):
        return None
    return point(float(named or 1))


def _on_days_of_week(rate: Interval, repeat: RepeatShape) -> Interval | None:
    days = len(set(repeat.day_of_week or ()))
    if days in (0, 7):
        return rate
    unit = repeat.period_unit or repeat.period_units
    if repeat.period in (None, 1) and unit in (None, "d"):
        return rate.times(days / 7)
    # "Three times a week, on Monday, Wednesday and Friday" says the same twice; anything else is open.
    if repeat.period == 1 and unit == "wk" and repeat.frequency in (None, 1, days):
        return point(tidy(days / 7))
    return None


def _of_code(timing: TimingShape) -> tuple[Interval | None, str, bool]:
    written = parse_concept(timing.code)
    for coding in written.codings:
        rate = _CODES.get(coding.code.lower())
        if rate is not None:
            return point(rate), written.text or coding.display or coding.code, False
    said = read_dose_text(written.label) if written.label else None
    if said is None or said.doubtful or said.as_needed or said.amount is not None:
        return None, written.label, False
    return (None if said.per_day is None else point(said.per_day)), written.label, said.single


def _words(repeat: RepeatShape, rate: Interval | None) -> str:
    if repeat.count == 1:
        return "once"
    if rate is not None and rate.is_point and rate.low >= 1 and rate.low == ceil(rate.low):
        count = int(rate.low)
        return {1: "once a day", 2: "twice a day"}.get(count, f"{count} times a day")
    unit = _UNIT_NAMES.get(repeat.period_unit or repeat.period_units or "")
    return f"{repeat.frequency or 1:g} × every {repeat.period:g} {unit}" if repeat.period is not None and unit else ""
