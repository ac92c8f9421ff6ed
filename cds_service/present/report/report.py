"""Figures from the database and limits from the knowledge to a report: what was shown, what came of it, what to review.

Selection -> make_report -> Report -> report_text   terminal, CSV
                                   -> report_page   one HTML file
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.review_limits import ReviewLimit, ReviewLimits
from cds_service.artifacts.text import Text
from cds_service.hooks.cards.card_maker import OVERRIDE_REASONS
from cds_service.hooks.cards.missing_data_card import RULE as INCOMPLETE
from cds_service.languages import Language
from cds_service.present.report.texts import OTHER_ORDER, say
from cds_service.store.database import Database
from cds_service.store.report_figures import Calls, Comment, Figures, Reason, Usage
from cds_service.store.report_query import Selection

_WHEN_GONE = "The report could not be made: the database does not answer, or not in time."
# A client may put anything in the place of a code; only what looks like one is repeated.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/ -]{0,63}")
# What codes that are none are counted as.
UNCODED = "other"
NO_REASON = "none"


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group of cards; a member is None where it has none, or where groups are not told apart by it.

    Attributes:
        month: as 2026-11.
    """

    figures: Figures
    rule: str | None = None
    variant: str | None = None
    indicator: str | None = None
    site: str | None = None
    month: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A rule whose use is beyond a limit."""

    limit: ReviewLimit
    rule: str
    figures: Figures


@dataclass(frozen=True)
class Report:
    """What became of cards.

    Attributes:
        made: when, in the time zone by which days and months are told.
        details: by rule, variant, severity, site and month; the finest there is.
        unmatched: for how many cards that are not known here feedback came; None if that was not to be counted.
        few: a share of fewer answers than these says little.
        comments: free text of users, only if it was asked for.
    """

    selection: Selection
    made: datetime
    calls: Calls
    total: Figures
    rules: tuple[Line, ...]
    months: tuple[Line, ...]
    details: tuple[Line, ...]
    flags: tuple[Flag, ...]
    unmatched: int | None
    few: int
    comments: tuple[Comment, ...] = ()

    def is_few(self, figures: Figures) -> bool:
        """Whether there are too few answers for a share of them to say much."""
        return figures.answered < self.few


def make_report(
    database: Database,
    limits: ReviewLimits,
    selection: Selection,
    made: datetime,
    *,
    no_timeout: bool = False,
    comments: bool = False,
) -> Report:
    """Reads the figures of a selection, all of one moment.

    Args:
        made: the present moment, in the site's time zone.
        no_timeout: no limit on how long a query takes.
        comments: read the users' free text, too.
    Raises:
        Unavailable: the database does not answer, or not in time.
    """
    with database.snapshot(_WHEN_GONE, no_timeout=no_timeout) as connection:
        usage = Usage(connection, selection)
        details = usage.figures("rule", "variant", "indicator", "site", "month")
        by_rule = {key[0] or "": figures for key, figures in usage.figures("rule").items()}
        by_severity = usage.figures("rule", "indicator")
        months = usage.figures("month")
        return Report(
            selection=selection,
            made=made,
            calls=usage.calls(),
            total=usage.figures().get((), Figures()),
            rules=tuple(Line(figures, rule) for rule, figures in by_rule.items()),
            months=tuple(Line(figures, month=key[0]) for key, figures in months.items()),
            details=tuple(Line(figures, *key) for key, figures in details.items()),
            flags=tuple(
                Flag(limit, rule, figures)
                for limit in limits.limits
                for rule in by_rule
                if (figures := by_rule[rule] if limit.indicator is None else by_severity.get((rule, limit.indicator)))
                and limit.crossed(figures.shown, figures.accepted, figures.overridden)
            ),
            unmatched=usage.unmatched(),
            few=limits.few_answers,
            comments=tuple(usage.comments()) if comments else (),
        )


class Names:
    """What rules, reasons and orders are called, in one language; an id that the knowledge does not know stays."""

    def __init__(self, knowledge: KnowledgeBase, language: Language) -> None:
        self.language = language
        self._rules = {rule.id: rule.title for rule in knowledge.rules.values()}
        self._reasons = {name: reason.text for name, reason in knowledge.override_reasons.items()}
        self._orders = {name: order.label for name, order in knowledge.orders.items()}

    def rule(self, rule: str) -> str:
        if rule == INCOMPLETE:
            return say("incomplete", self.language)
        return self._of(self._rules, rule)

    def reason(self, code: str) -> str:
        if code in (NO_REASON, UNCODED):
            return say(f"reason_{code}", self.language)
        return self._of(self._reasons, code)

    def order(self, order: str | None) -> str:
        return say(OTHER_ORDER, self.language) if order is None else self._of(self._orders, order)

    def _of(self, titles: Mapping[str, Text], name: str) -> str:
        title = titles.get(name)
        return name if title is None else title.in_language(self.language)


def reason_code(reason: Reason) -> str:
    """A reason as reports name it: our code, that of the client with its system, `none` or `other`."""
    code, system = reason.code, reason.system
    if code is None:
        # Epic sends a title without a code where a customer has made a reason of their own.
        return NO_REASON if system is None else UNCODED
    if _CODE.fullmatch(code) is None or (system is not None and _CODE.fullmatch(system) is None):
        return UNCODED
    return code if system in (OVERRIDE_REASONS, None) else f"{system}|{code}"


def reasons_of(figures: Figures) -> list[tuple[str, int]]:
    """The reasons of overridden cards, the most frequent first."""
    return _ranked(figures.reasons, reason_code)


def _ranked(numbers: Mapping[Reason, int], name: Callable[[Reason], str]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for each, number in numbers.items():
        found[name(each)] = found.get(name(each), 0) + number
    return _by_number(found.items())


def _by_number(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
