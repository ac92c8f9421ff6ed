"""Records of calls for the database, and a database whose tables are away for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import create_engine, text

from cds_service.store.call_records import CallRecord, CardRecord, SuggestionRecord
from cds_service.store.engine import checked_url

AT = datetime(2026, 11, 20, 8, 30, 0, 125_000, tzinfo=UTC)


def call(name: str = "call", at: datetime = AT, **members: Any) -> CallRecord:
    """A record of a call with a card that was shown and one that was not."""
    shown = CardRecord(
        f"{name}-1", "b12-low", "severe", "critical", True, (SuggestionRecord(f"{name}-s", "b12", True),)
    )
    silent = CardRecord(f"{name}-2", "b12-borderline", None, "info", False)
    values: dict[str, Any] = {
        "id": name,
        "at": at,
        "service": "vitamin-b12-patient-view",
        "hook": "patient-view",
        "client": "ehr",
        "site": None,
        "knowledge": "2026.11",
        "language": "en",
        "status": 200,
        "duration_ms": 1.25,
        "cards": (shown, silent),
    }
    return CallRecord(**(values | members))


def away(url: str) -> None:
    """Takes two tables away, as a database would be that has lost them."""
    execute(url, "ALTER TABLE hook_call RENAME TO away", "ALTER TABLE replay_token RENAME TO away_too")


def back(url: str) -> None:
    """Brings them back."""
    execute(url, "ALTER TABLE away RENAME TO hook_call", "ALTER TABLE away_too RENAME TO replay_token")


def execute(url: str, *statements: str) -> None:
    """Changes the database from outside."""
    engine = create_engine(checked_url(url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
