"""The tables of the database, as this version of the service reads and writes them.

A change here goes with a new file in `migrations/versions/`; a test holds that both make the same tables.

Moments are text in UTC with a fixed number of digits: they sort and compare alike in every database.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

MOMENT = 32

metadata = MetaData()

feedback_event = Table(
    "feedback_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String(200), nullable=False),
    Column("card", String(1000), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("at", String(MOMENT), nullable=False),
    Column("accepted", Text, nullable=False),  # one suggestion id per line
    Column("reason_code", String(1000)),
    Column("reason_system", String(1000)),
    Column("reason_display", String(1000)),
    Column("comment", Text),
    Column("received", String(MOMENT), nullable=False),
    UniqueConstraint("card", "outcome", "at", name="feedback_event_once"),
    Index("feedback_event_received", "received"),
)

# A token that was used; what it held is not here, only a hash of its issuer and its id.
replay_token = Table(
    "replay_token",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("expires", String(MOMENT), nullable=False),
    Index("replay_token_expires", "expires"),
)


def storable(text: str) -> str:
    """A text as every database takes it: PostgreSQL refuses the zero character, and neither takes half a character."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def written(moment: datetime) -> str:
    """A moment as it stands in the tables."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
