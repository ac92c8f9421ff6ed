"""FHIR dates and instants to days: a month or a year means its last day, and says that it was partial."""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

_WRITTEN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?=$|[T ]))?)?")


class Moment(NamedTuple):
    """A date as written.

    Attributes:
        day: the day in the time zone of the writer; the last one of a month or a year.
        at: the instant, if a time with an offset was written.
        partial: only a month or a year was written.
    """

    day: date
    at: datetime | None = None
    partial: bool = False


def moment(written: object) -> Moment | None:
    """A FHIR date, dateTime or instant; None if it is missing or no date.

    >>> moment("2024-02").day
    datetime.date(2024, 2, 29)
    """
    return _moment(written) if isinstance(written, str) and 4 <= len(written) <= 40 else None


def first_day(*written: object) -> date | None:
    """The day of the first of these that is a date; None if none is."""
    found = next(filter(None, map(moment, written)), None)
    return None if found is None else found.day


@lru_cache(maxsize=4096)
def _moment(written: str) -> Moment | None:
    match = _WRITTEN.match(written)
    if match is None:
        return None
    year, month, day = match.groups()
    if day is None and match.end() != len(written):
        return None
    try:
        if day is not None:
            return Moment(date(int(year), int(month), int(day)), _instant(written))
        if month is not None:
            return Moment(date(int(year), int(month), calendar.monthrange(int(year), int(month))[1]), partial=True)
        return Moment(date(int(year), 12, 31), partial=True)
    except ValueError:
        return None


def _instant(written: str) -> datetime | None:
    """The instant; None without an offset: a local time of an unknown place is not comparable with others."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
