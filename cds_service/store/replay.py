"""A token's issuer and id to "seen for the first time" or not: each token opens one call only.

The hash of both is the key of a row. The database lets one writer make it, whichever thread, process or machine asks
first; that is the whole method. The token itself is never here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count

from sqlalchemy import bindparam, delete, select

from cds_service.store.database import Database
from cds_service.store.tables import replay_token, to_utc_text

# A token is good for a little longer than it says, for clocks differ; its row must last longer still.
LEEWAY = timedelta(minutes=5)

# Every so many tokens, up to so many rows that are over are removed: more than came since, so they cannot pile up.
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
        # An id that comes again after its row is over is new again: some issuers begin at one every day.
        self._use = row.on_conflict_do_update(
            index_elements=[replay_token.c.key],
            set_={"expires": row.excluded.expires},
            where=replay_token.c.expires < bindparam("now"),
        ).execution_options(preserve_rowcount=True)
        over = select(replay_token.c.key).where(replay_token.c.expires < bindparam("now")).limit(_AT_ONCE)
        # Two that remove at the same time must not wait for each other's rows.
        self._remove = delete(replay_token).where(replay_token.c.key.in_(over.with_for_update(skip_locked=True)))

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this token is seen for the first time; if it is, the answer is no until it has expired.

        Args:
            expires: when the token expires, with an offset.
        Raises:
            Unavailable: the database is gone, so nobody can tell.
        """
        now = to_utc_text(self._now())
        row = {"key": _key(issuer, jti), "expires": to_utc_text(expires + LEEWAY), "now": now}
        with self._database.single(_WHEN_GONE) as connection:
            if next(self._uses) % _EVERY == 0:
                connection.execute(self._remove, {"now": now})
            return connection.execute(self._use, row).rowcount == 1


def _key(issuer: str, jti: str) -> str:
    # The length keeps two pairs apart that read the same when written one after the other.
    return sha256(f"{len(issuer)}:{issuer}{jti}".encode("utf-8", "surrogatepass")).hexdigest()
