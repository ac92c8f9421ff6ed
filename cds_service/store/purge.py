"""Removes calls (with cards and suggestions) and feedback older than a given time, and expired tokens.

It works in batches, each one transaction: a running service waits for one batch at most, and an interrupted purge keeps
what it has removed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, select

from cds_service.store.database import Database
from cds_service.store.tables import card, feedback_event, hook_call, replay_token, suggestion, to_utc_text

_BATCH = 1000
_WHEN_GONE = "The database does not answer. Batches removed so far stay removed; run it again."

Counts = dict[Table, int]


def purge(database: Database, before: datetime, *, now: datetime | None = None, dry_run: bool = False) -> Counts:
    """Removes old rows and returns their number per table.

    Args:
        before: calls and feedback that arrived earlier are removed.
        now: tokens expired by then are removed; default: the present.
        dry_run: removes nothing, returns what would be removed.
    Raises:
        Unavailable: the database does not answer.
    """
    old = {
        feedback_event: feedback_event.c.received < to_utc_text(before),
        replay_token: replay_token.c.expires < to_utc_text(now or datetime.now(UTC)),
    }
    calls = select(hook_call.c.id).where(hook_call.c.at < to_utc_text(before))
    if dry_run:
        cards = card.c.call_id.in_(calls)
        what = {hook_call: hook_call.c.id.in_(calls), card: cards}
        what[suggestion] = suggestion.c.card_id.in_(select(card.c.id).where(cards))
        with database.single(_WHEN_GONE) as connection:
            return {table: _count(connection, table, which) for table, which in (what | old).items()}
    removed: Counts = dict.fromkeys((hook_call, card, suggestion, *old), 0)
    while _remove_calls(database, calls, removed):
        pass
    for table, which in old.items():
        while _remove(database, table, which, removed):
            pass
    return removed


def _count(connection: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()


def _remove_calls(database: Database, calls: Select[str], removed: Counts) -> bool:
    """Removes one batch of calls with their cards and suggestions; True if more may remain."""
    with database.transaction(_WHEN_GONE) as connection:
        ids = list(connection.execute(calls.limit(_BATCH)).scalars())
        cards = card.c.call_id.in_(ids)
        which = {suggestion: suggestion.c.card_id.in_(select(card.c.id).where(cards)), card: cards}
        which[hook_call] = hook_call.c.id.in_(ids)
        gone = {table: connection.execute(delete(table).where(these)).rowcount for table, these in which.items()}
    for table, number in gone.items():
        removed[table] += number
    return len(ids) == _BATCH


def _remove(database: Database, table: Table, which: ColumnElement[bool], removed: Counts) -> bool:
    """Removes one batch of a table without dependent rows; True if more may remain."""
    (key,) = table.primary_key
    with database.transaction(_WHEN_GONE) as connection:
        batch = select(key).where(which).limit(_BATCH)
        number = connection.execute(delete(table).where(key.in_(batch))).rowcount
    removed[table] += number
    return number == _BATCH
