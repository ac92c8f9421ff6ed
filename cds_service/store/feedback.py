"""Feedback events to a database and back: written durably before the caller is told so.

An append-only log. One card may be reported many times (ignored at first, accepted later), and a client that got no
answer reports again; the same (card, outcome, moment) is kept once. Who the user and the patient were is unknown here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
    select,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateTable

from cds_service.errors import SettingsError, Unavailable


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """What a user did with one card, at one moment.

    Attributes:
        card: the card's uuid as the client wrote it.
        at: when it happened, UTC.
        accepted: ids of the accepted suggestions.
        comment: the user's free text; may hold anything, so it never goes to the log of the process.
    """

    service: str
    card: str
    outcome: Literal["accepted", "overridden"]
    at: datetime
    accepted: tuple[str, ...] = ()
    reason_code: str | None = None
    reason_system: str | None = None
    reason_display: str | None = None
    comment: str | None = None


_events = Table(
    "feedback_event",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("service", String(200), nullable=False),
    Column("card", String(1000), nullable=False),
    Column("outcome", String(10), nullable=False),
    # Moments are text in UTC with a fixed number of digits: they sort and compare alike in every database.
    Column("at", String(32), nullable=False),
    Column("accepted", Text, nullable=False),  # one suggestion id per line
    Column("reason_code", String(1000)),
    Column("reason_system", String(1000)),
    Column("reason_display", String(1000)),
    Column("comment", Text),
    Column("received", String(32), nullable=False),
    UniqueConstraint("card", "outcome", "at", name="feedback_event_once"),
)

_INSERTS: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}


class FeedbackStore:
    """The feedback log of one database. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        """Opens the database and makes the table if it is not there.

        Raises:
            SettingsError: the URL makes no sense, or the database cannot be opened for writing.
        """
        self._engine = _open(url)
        self._insert = _INSERTS[self._engine.dialect.name](_events).on_conflict_do_nothing()
        try:
            with self._engine.begin() as connection:
                connection.execute(CreateTable(_events, if_not_exists=True))
        except DBAPIError as error:
            raise _unusable(str(type(error.orig).__name__)) from error

    def add(self, events: Sequence[FeedbackEvent]) -> None:
        """Writes a batch, all or nothing; when this returns, the database has it on disk.

        Raises:
            Unavailable: the database could not take the batch; nothing of it was written.
        """
        if not events:
            return
        received = _written(datetime.now(UTC))
        rows = [_row(item, received) for item in events]
        try:
            with self._engine.begin() as connection:
                connection.execute(self._insert, rows)
        except (DBAPIError, PoolTimeoutError) as error:
            raise Unavailable("The feedback could not be stored. Send it again later.") from error

    def events(self, service: str | None = None) -> list[FeedbackEvent]:
        """The whole log in the order of arrival, or that of one service."""
        query = select(_events).order_by(_events.c.id)
        if service is not None:
            query = query.where(_events.c.service == service)
        with self._engine.connect() as connection:
            return [_event(row) for row in connection.execute(query).mappings()]

    def is_ready(self) -> bool:
        """Whether the database answers."""
        try:
            with self._engine.connect() as connection:
                connection.execute(select(1))
        except (DBAPIError, PoolTimeoutError):
            return False
        return True

    def close(self) -> None:
        self._engine.dispose()


def _open(url: str) -> Engine:
    try:
        parsed = make_url(url)
        supported = parsed.get_backend_name() in _INSERTS
    except (ArgumentError, ValueError) as error:
        raise SettingsError("CDS_DATABASE_URL: not a SQLAlchemy URL. Give sqlite:///var/cds.db or similar.") from error
    if not supported:
        raise SettingsError("CDS_DATABASE_URL: only SQLite and PostgreSQL are supported. Give sqlite:///var/cds.db.")
    try:
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsError(
            "CDS_DATABASE_URL: the driver that it names is not installed. Install it, or give sqlite:///var/cds.db."
        ) from error
    if engine.dialect.name == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise SettingsError("CDS_DATABASE_URL: a database in memory would forget feedback. Name a file.")
        try:
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(type(error).__name__) from error
        event.listen(engine, "connect", _make_durable)
    return engine


def _unusable(kind: str) -> SettingsError:
    return SettingsError(
        f"CDS_DATABASE_URL: the database cannot be opened ({kind}). Check that it exists and is writable."
    )


def _make_durable(connection: Any, _: object) -> None:
    """SQLite: readers and a writer side by side, every commit on disk, and patience when another process writes."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _row(item: FeedbackEvent, received: str) -> dict[str, object]:
    return {
        "service": item.service,
        "card": item.card,
        "outcome": item.outcome,
        "at": _written(item.at),
        "accepted": "\n".join(item.accepted),
        "reason_code": item.reason_code,
        "reason_system": item.reason_system,
        "reason_display": item.reason_display,
        "comment": item.comment,
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


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
