"""Detects client tokens that are used twice: each token (`iss`, `jti`) is good for one call.

The hash of issuer and id is the primary key of a row, so the database lets exactly one thread, process or machine
insert it. The token itself is not stored.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count

from sqlalchemy import bindparam, delete, select

from cds_service.store.database import Database
from cds_service.store.tables import replay_token, to_utc_text

# Tokens are accepted a little after `exp` because clocks differ; the row must outlast that.
LEEWAY = timedelta(minutes=5)

# Every _EVERY tokens, up to _AT_ONCE expired rows are removed: more than were added since, so the table stays small.
_EVERY = 200
_AT_ONCE = 1000

_WHEN_GONE = "Whether the token is new could not be found out. Send the call again later, with a new token."


def _now() -> datetime:
    return datetime.now(UTC)


class ReplayStore:
    """The used tokens of one database. Safe to use from several threads, processes and machines."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._now = now
        self._uses = count(1)
        row = database.insert(replay_token)
        # An id may be used again after its row has expired: some issuers restart their counter every day.
        self._use = row.on_conflict_do_update(
            index_elements=[replay_token.c.key],
            set_={"expires": row.excluded.expires},
            where=replay_token.c.expires < bindparam("now"),
        ).execution_options(preserve_rowcount=True)
        over = select(replay_token.c.key).where(replay_token.c.expires < bindparam("now")).limit(_AT_ONCE)
        # Processes that remove at the same time must not wait for each other's row locks.
        self._remove = delete(replay_token).where(replay_token.c.key.in_(over.with_for_update(skip_locked=True)))

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this token is new; it then counts as used until it has expired.

        Args:
            expires: when the token expires, with an offset.
        Raises:
            Unavailable: the database does not answer, so it is unknown.
        """
        now = to_utc_text(self._now())
        row = {"key": _key(issuer, jti), "expires": to_utc_text(expires + LEEWAY), "now": now}
        with self._database.single(_WHEN_GONE) as connection:
            if next(self._uses) % _EVERY == 0:
                connection.execute(self._remove, {"now": now})
            return connection.execute(self._use, row).rowcount == 1


def _key(issuer: str, jti: str) -> str:
    # The length separates pairs whose concatenations are equal.
    return sha256(f"{len(issuer)}:{issuer}{jti}".encode("utf-8", "surrogatepass")).hexdigest()
