"""The selection behind a report: which calls, cards and feedback belong to a period, service, rule and site.

A card has the time of its call. It counts once, by its last outcome: a card accepted and later overridden counts as
overridden.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from sqlalchemy import CTE, ColumnElement, String, and_, case, func, literal, null, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import Float

from cds_service.errors import BadRequest
from cds_service.store.tables import card, feedback_event, hook_call, to_utc_text

# Figures can be grouped by these, in the order of a report's columns.
Dimension = Literal["rule", "variant", "indicator", "site", "month"]
Month = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls a report covers.

    Attributes:
        first, last: days, both included; None: no limit.
        zone: time zone of days and months; None: the machine's.
    Raises:
        BadRequest: a day is out of range, or the last day is before the first.
    """

    first: date | None = None
    last: date | None = None
    zone: tzinfo | None = None
    service: str | None = None
    rule: str | None = None
    site: str | None = None

    def __post_init__(self) -> None:
        # Near the limits of `datetime` a day cannot be converted to every zone; no record is that old.
        if any(day is not None and not 2000 <= day.year <= 2099 for day in (self.first, self.last)):
            raise BadRequest("A day of the period is too far away. Give days of this century.")
        if self.first and self.last and self.last < self.first:
            raise BadRequest("The last day of the period is before the first. Give the earlier one as the first.")

    @property
    def since(self) -> str | None:
        """Start of the period in the format of the tables."""
        return None if self.first is None else self._begins(self.first)

    @property
    def until(self) -> str | None:
        """End of the period (exclusive) in the format of the tables."""
        return None if self.last is None else self._begins(self.last + timedelta(days=1))

    def during(self, moment: ColumnElement[str]) -> list[ColumnElement[bool]]:
        """The conditions on a column of times."""
        since, until = self.since, self.until
        found = [] if since is None else [moment >= since]
        return found if until is None else [*found, moment < until]

    def of_calls(self) -> list[ColumnElement[bool]]:
        """The conditions on a call."""
        found = self.during(hook_call.c.at)
        if self.service is not None:
            found.append(hook_call.c.service == self.service)
        if self.site is not None:
            found.append(hook_call.c.site == self.site)
        return found

    def months(self, earliest: str, latest: str) -> Iterator[tuple[Month, str]]:
        """The months between two moments of the tables, each with the first moment after it."""
        day = self._here(earliest).date().replace(day=1)
        last = self._here(latest).date()
        while day <= last:
            following = (day + timedelta(days=31)).replace(day=1)
            yield (day.year, day.month), self._begins(following)
            day = following

    def _here(self, moment: str) -> datetime:
        return datetime.fromisoformat(moment).astimezone(self.zone)

    def _begins(self, day: date) -> str:
        moment = datetime.combine(day, time(), self.zone)
        return to_utc_text(moment if self.zone else moment.astimezone())


class seconds_between(FunctionElement[float]):  # noqa: N801  # named like an SQL function
    """Seconds between two times of the tables."""

    type = Float()
    inherit_cache = True


@compiles(seconds_between, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"


@compiles(seconds_between, "postgresql")
def _in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    seconds = f"EXTRACT(EPOCH FROM CAST({later} AS timestamptz) - CAST({earlier} AS timestamptz))"
    return f"CAST({seconds} AS double precision)"


def cards_of(selection: Selection, months: list[tuple[Month, str]]) -> CTE:
    """The cards of a selection with month, patient hash and last outcome."""
    event = feedback_event.c
    place = func.row_number().over(partition_by=event.card, order_by=(event.at.desc(), event.id.desc()))
    ranked = select(
        event.card, event.outcome, event.at, event.reason_code, event.reason_system, place.label("place")
    ).subquery("ranked")
    last = select(ranked).where(ranked.c.place == 1).subquery("last")
    wanted = selection.of_calls()
    if selection.rule is not None:
        wanted.append(card.c.rule == selection.rule)
    return (
        select(
            card.c.id,
            card.c.rule,
            card.c.variant,
            card.c.indicator,
            hook_call.c.site,
            _month(months).label("month"),
            card.c.shown,
            card.c.call_id,
            hook_call.c.at,
            hook_call.c.patient_hash,
            last.c.outcome,
            last.c.at.label("answered"),
            last.c.reason_code,
            last.c.reason_system,
        )
        .join(hook_call, hook_call.c.id == card.c.call_id)
        .outerjoin(last, and_(last.c.card == card.c.id, card.c.shown))
        .where(*wanted)
        .cte("cards")
    )


def _month(months: list[tuple[Month, str]]) -> ColumnElement[Any]:
    """The local month of a call; its stored time is UTC, so the month cannot be cut out of it."""
    if not months:
        return null().cast(String)
    return case(*((hook_call.c.at < end, literal(f"{year}-{number:02}")) for (year, number), end in months))
