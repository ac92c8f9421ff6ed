"""Calls, cards and answers put into a database by hand: what reports and snoozes are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

from cds_service.store.call_records import CallRecord, CardRecord, SuggestionRecord, rows
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackEvent, FeedbackStore

AT = datetime(2026, 10, 7, 9, 30, tzinfo=UTC)
SERVICE = "vitamin-b12-patient-view"
_numbers = count(1)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def keep(database: Database, *cards: CardRecord, at: datetime = AT, **members: Any) -> str:
    """Records one call with these cards; its id."""
    values: dict[str, Any] = {
        "id": f"call-{next(_numbers)}",
        "at": at,
        "service": SERVICE,
        "hook": "patient-view",
        "client": "open",
        "site": None,
        "knowledge": "1.0.0+test",
        "language": "en",
        "status": 200,
        "duration_ms": 1.0,
        "patient": "a" * 64,
        "cards": cards,
    }
    record = CallRecord(**(values | members))
    with database.transaction("") as connection:
        for table, content in rows([record]).items():
            if content:
                connection.execute(table.insert(), content)
    return record.id


def shown(rule: str = "b12-low", orders: tuple[str | None, ...] = (), **members: Any) -> CardRecord:
    """A card, with a suggestion for each order; the suggestions' ids are the card's with a number behind."""
    name = f"card-{next(_numbers)}"
    suggestions = tuple(SuggestionRecord(f"{name}-{place}", order, False) for place, order in enumerate(orders))
    values: dict[str, Any] = {"variant": None, "indicator": "info", "shown": True, "suggestions": suggestions}
    return CardRecord(id=name, rule=rule, **(values | members))


def answer(
    database: Database,
    card: CardRecord | str,
    outcome: Literal["accepted", "overridden"] = "overridden",
    *,
    after: float = 60,
    since: datetime = AT,
    **members: Any,
) -> None:
    """Reports what was done with a card, so many seconds after its call."""
    name = card if isinstance(card, str) else card.id
    event = FeedbackEvent(SERVICE, name, outcome, since + timedelta(seconds=after), **members)
    FeedbackStore(database).add([event])
