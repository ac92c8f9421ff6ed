"""The tables of the database, as this version of the service reads and writes them.

A change here needs a new file in `migrations/versions/`; a test checks that both make the same tables.

Instants are stored as UTC text with a fixed number of digits, so they sort and compare alike in every database.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

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

# A client token that was used: a hash of its issuer and `jti`, none of its content.
replay_token = Table(
    "replay_token",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("expires", String(MOMENT), nullable=False),
    Index("replay_token_expires", "expires"),
)


# One call of a service. Patient and user are stored as keyed hashes, or not at all.
hook_call = Table(
    "hook_call",
    metadata,
    Column("id", String(64), primary_key=True),  # the correlation id that the caller got and the log has
    Column("at", String(MOMENT), nullable=False),
    Column("service", String(200), nullable=False),
    Column("hook", String(200), nullable=False),
    Column("client", String(200), nullable=False),
    Column("site", String(200)),
    Column("knowledge", String(200), nullable=False),
    Column("language", String(20), nullable=False),
    Column("status", Integer, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("patient_hash", String(64)),
    Column("user_hash", String(64)),
    Column("unread", Text, nullable=False),  # names of unread and incomplete lists, one per line
    Column("undecided", Text, nullable=False),  # ids of the rules undecided because of them, one per line
    Index("hook_call_at", "at"),
    Index("hook_call_patient", "patient_hash"),
)

# One card of a call: shown to the user, or only counted (rule in shadow mode, or snoozed).
card = Table(
    "card",
    metadata,
    Column("id", String(64), primary_key=True),  # its uuid; feedback names it
    Column("call_id", String(64), ForeignKey("hook_call.id", name="card_of_call"), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("variant", String(200)),
    Column("indicator", String(20), nullable=False),
    Column("shown", Boolean, nullable=False),
    Index("card_call", "call_id"),
    Index("card_rule", "rule"),
)

suggestion = Table(
    "suggestion",
    metadata,
    Column("id", String(64), primary_key=True),  # its uuid; feedback on an accepted suggestion names it
    Column("card_id", String(64), ForeignKey("card.id", name="suggestion_of_card"), nullable=False),
    Column("order_id", String(200)),
    Column("recommended", Boolean, nullable=False),
    Index("suggestion_card", "card_id"),
)


def sanitize_text(text: str) -> str:
    """The text without what a database refuses: U+0000 (PostgreSQL) and unpaired surrogates (both)."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def to_utc_text(moment: datetime) -> str:
    """An instant in the format of the tables."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
