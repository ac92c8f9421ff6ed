"""Feedback events to a database and back; a write is durable before it is acknowledged.

An append-only log. One card may be reported many times (ignored at first, accepted later), and a client that got no
answer sends again; an equal (card, outcome, time) is stored once. Feedback names neither the user nor the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import select

from cds_service.store.database import Database
from cds_service.store.tables import feedback_event, sanitize_text, to_utc_text

_WHEN_GONE = "The feedback could not be stored. Send it again later."


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """What a user did with one card, at one moment.

    Attributes:
        card: the card's uuid as the client wrote it.
        at: when it happened, UTC.
        accepted: ids of the accepted suggestions.
        comment: the user's free text; it may hold patient data, so it is never logged.
    """

    service: str
    card: str
    outcome: Literal["accepted", "overridden"]
    at: datetime
    accepted: tuple[str, ...] = ()
    reason_code: str | None = None
    reason_system: str | None = None
    reason_display: str | None = field(default=None, repr=False)
    comment: str | None = field(default=None, repr=False)


class FeedbackStore:
    """The feedback log of one database. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insert(feedback_event).on_conflict_do_nothing()

    def add(self, events: Sequence[FeedbackEvent]) -> None:
        """Writes a batch in one durable transaction.

        Raises:
            Unavailable: the database refused the batch; none of it was written.
        """
        if not events:
            return
        received = to_utc_text(datetime.now(UTC))
        rows = [_row(item, received) for item in events]
        with self._database.transaction(_WHEN_GONE) as connection:
            connection.execute(self._insert, rows)

    def events(self, service: str | None = None) -> list[FeedbackEvent]:
        """The whole log in the order of arrival, or that of one service."""
        query = select(feedback_event).order_by(feedback_event.c.id)
        if service is not None:
            query = query.where(feedback_event.c.service == service)
        with self._database.single("The feedback could not be read.") as connection:
            return [_event(row) for row in connection.execute(query).mappings()]


def _row(item: FeedbackEvent, received: str) -> dict[str, object]:
    return {
        "service": item.service,
        "card": sanitize_text(item.card),
        "outcome": item.outcome,
        "at": to_utc_text(item.at),
        "accepted": "\n".join(sanitize_text(each.replace("\n", " ")) for each in item.accepted),
        "reason_code": item.reason_code and sanitize_text(item.reason_code),
        "reason_system": item.reason_system and sanitize_text(item.reason_system),
        "reason_display": item.reason_display and sanitize_text(item.reason_display),
        "comment": item.comment and sanitize_text(item.comment),
        "received": received,
    }


def _event(row: Any) -> FeedbackEvent:
    return FeedbackEvent(
        service=row["service"],
        card=row["card"],
        outcome=row["outcome"],
        at=datetime.fromisoformat(row["at"]),
        accepted=tuple(row["accepted"].split("\n")) if row["accepted"] else (),
        reason_code=row["reason_code"],
        reason_system=row["reason_system"],
        reason_display=row["reason_display"],
        comment=row["comment"],
    )
