"""A database URL to an open database with all tables: SQLite in a file, or PostgreSQL.

`transaction` is durable: it returns when its rows are on disk. `single` commits each statement at once without
waiting for the disk: a killed process loses nothing, a power failure may lose the last moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cds_service.errors import Unavailable
from cds_service.store.engine import checked_url, make_engine, unusable
from cds_service.store.migrate import migrate
from cds_service.store.tables import replay_token

_INSERTS: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}
_SNAPSHOTS = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"}
# Statement errors include values that the driver cannot write.
_GONE = (StatementError, PoolTimeoutError)
_PROBE = {"key": "readiness probe", "expires": ""}


class Database:
    """One open database. Safe to use from several threads, processes and machines."""

    def __init__(self, url: str) -> None:
        """Opens the database and brings its tables up to date.

        Raises:
            SettingsError: the URL is not valid, the database cannot be written, or its tables are of a newer version.
        """
        parsed = checked_url(url)
        self.insert = _INSERTS[parsed.get_backend_name()]
        self._durable = make_engine(parsed, durable=True)
        self._fast = make_engine(parsed, durable=False)
        self._failed = False
        self._callbacks: list[Callable[[], None]] = []
        # A migration may take long, and so may another process that runs it first.
        unbounded = make_engine(parsed, durable=True, bounded=False)
        try:
            migrate(unbounded)
        except _GONE as error:
            raise unusable(error) from error
        finally:
            unbounded.dispose()

    @contextmanager
    def transaction(self, otherwise: str) -> Iterator[Connection]:
        """One durable transaction: committed and on disk when the block exits normally, rolled back otherwise.

        Args:
            otherwise: message for the caller if the database fails.
        Raises:
            Unavailable: nothing was written.
        """
        try:
            with self._durable.begin() as connection:
                yield connection
        except _GONE as error:
            self._failed = True
            raise Unavailable(otherwise) from error
        self._failed = False

    @contextmanager
    def single(self, otherwise: str) -> Iterator[Connection]:
        """A connection for single statements, each committed at once.

        Raises:
            Unavailable: the database does not answer or refuses the statement.
        """
        try:
            with self._fast.connect() as connection:
                yield connection
        except _GONE as error:
            raise Unavailable(otherwise) from error

    @contextmanager
    def snapshot(self, otherwise: str, *, no_timeout: bool = False) -> Iterator[Connection]:
        """One consistent, read-only view for several queries; it does not block writers.

        Args:
            no_timeout: no limit on how long a query takes; for the command line.
        Raises:
            Unavailable: the database does not answer, or not in time.
        """
        engine = make_engine(self._fast.url, durable=False, bounded=False) if no_timeout else self._fast
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(_SNAPSHOTS[engine.dialect.name])
                try:
                    yield connection
                finally:
                    if not connection.invalidated:
                        connection.exec_driver_sql("ROLLBACK")
        except _GONE as error:
            raise Unavailable(otherwise) from error
        finally:
            if no_timeout:
                engine.dispose()

    def is_ready(self) -> bool:
        """Whether the database answers; after a failed write, also whether it accepts writes again."""
        try:
            with self.single("") as connection:
                connection.execute(select(1))
            if self._failed:
                with self.transaction("") as connection:
                    connection.execute(self.insert(replay_token).on_conflict_do_nothing(), _PROBE)
                    connection.execute(delete(replay_token).where(replay_token.c.key == _PROBE["key"]))
        except Unavailable:
            return False
        return True

    def before_close(self, stop: Callable[[], None]) -> None:
        """Registers a callback that runs before `close` disposes of the connections."""
        self._callbacks.append(stop)

    def close(self) -> None:
        while self._callbacks:
            self._callbacks.pop()()
        self._durable.dispose()
        self._fast.dispose()
