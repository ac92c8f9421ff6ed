"""Rows of every table, old and new, and how many there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackEvent, FeedbackStore
from cds_service.store.recorder import Recorder
from cds_service.store.replay import LEEWAY, ReplayStore
from cds_service.store.tables import feedback_event, metadata, to_utc_text
from tests.support.call_records import call

NOW = datetime.now(UTC)
YEAR = NOW - timedelta(days=365)


def fill(database: Database, number: int = 2) -> None:
    """Of everything, so many rows that are 500 days old, and as many of today."""
    recorder, feedback, replay = Recorder(database), FeedbackStore(database), ReplayStore(database)
    for age in (500, 0):
        then = NOW - timedelta(days=age)
        for n in range(number):
            recorder.put(call(f"{age}-{n}", then))
            replay.first_use("ehr", f"{age}-{n}", then - LEEWAY + timedelta(hours=1))
        feedback.add([FeedbackEvent("s", f"{age}-{n}-1", "overridden", then) for n in range(number)])
    assert recorder.flush()
    long_ago = {"received": to_utc_text(NOW - timedelta(days=500))}
    with database.transaction("") as connection:
        connection.execute(update(feedback_event).where(feedback_event.c.card.like("500%")).values(long_ago))


def counts(database: Database) -> dict[str, int]:
    with database.single("") as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }
