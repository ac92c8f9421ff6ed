"""The texts of a report, and how it writes numbers, shares, times and days."""

from __future__ import annotations

from datetime import date

from babel.dates import format_date

from cds_service.languages import LANGUAGES, Language
from cds_service.store.report_figures import Figures
from cds_service.store.report_query import Selection
from cds_service.texts import Texts

OTHER_ORDER = "other_order"

say = Texts("report").get


def share(part: int, whole: int) -> str:
    """A share in whole per cent, with what it is a share of.

    >>> share(3, 4), share(0, 0)
    ('75 % (3/4)', '-')
    """
    return f"{percent(part, whole)} ({part:,}/{whole:,})" if whole else "-"


def percent(part: int, whole: int) -> str:
    """A share in per cent; never 0 or 100 of something that is neither none nor all.

    >>> percent(1, 3), percent(1, 1000), percent(999, 1000), percent(5, 5)
    ('33 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < 100 * part < whole:
        return "<1 %"
    if 99 * whole < 100 * part < 100 * whole:
        return ">99 %"
    return f"{100 * part / whole:.0f} %"


# Up to how many seconds, in which unit.
_UNITS = ((60, 1, "seconds"), (3600, 60, "minutes"), (172_800, 3600, "hours"), (float("inf"), 86_400, "days"))


def duration(figures: Figures, language: Language) -> str:
    """The median time to answer, in a unit that fits it; a dash if there is none."""
    seconds = figures.seconds
    if seconds is None:
        return "-"
    for below, unit, name in _UNITS:
        if seconds < below:
            return say(name, language, number=f"{seconds / unit:.3g}")
    raise ValueError(seconds)


def rate(figures: Figures, few: int) -> str:
    """The override rate with its denominator, marked where that is small."""
    return share(figures.overridden, figures.answered) + ("*" if 0 < figures.answered < few else "")


def patients(figures: Figures, language: Language) -> str:
    return say("unknown", language) if figures.patients is None else f"{figures.patients:,}"


def period(selection: Selection, language: Language) -> str:
    """The days of a selection, in words."""
    first, last = selection.first, selection.last
    return say(
        "period",
        language,
        first=say("beginning", language) if first is None else day(first, language),
        last=say("today", language) if last is None else day(last, language),
    )


def day(moment: date, language: Language) -> str:
    row = LANGUAGES[language]
    return str(format_date(moment, row.day, row.locale))


def chosen(selection: Selection, language: Language) -> list[str]:
    """What the selection is limited to besides its days."""
    parts = (("service", selection.service), ("rule", selection.rule), ("site", selection.site))
    return [say("only", language, kind=say(name, language), name=value) for name, value in parts if value is not None]
