"""A database URL to an open database with all tables: SQLite in a file, or PostgreSQL.

Two ways in. `transaction` returns when its rows are on disk. `single` does one statement at a time and waits for no
disk: a killed process loses nothing of it, a power cut may lose its last moments.
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
# Also: a value that the driver cannot write.
_GONE = (StatementError, PoolTimeoutError)
_PROBE = {"key": "written to see whether it can be", "expires": ""}


class Database:
    """One open database. Safe to use from several threads, processes and machines."""

    def __init__(self, url: str) -> None:
        """Opens the database and brings its tables up to date.

        Raises:
            SettingsError: the URL makes no sense, the database cannot be opened for writing, or is too new.
        """
        parsed = checked_url(url)
        self.insert = _INSERTS[parsed.get_backend_name()]
        self._durable = make_engine(parsed, durable=True)
        self._fast = make_engine(parsed, durable=False)
        self._failed = False
        self._users: list[Callable[[], None]] = []
        # A step may take its time, and so may the other process that makes it first.
        unbounded = make_engine(parsed, durable=True, bounded=False)
        try:
            migrate(unbounded)
        except _GONE as error:
            raise unusable(error) from error
        finally:
            unbounded.dispose()

    @contextmanager
    def transaction(self, otherwise: str) -> Iterator[Connection]:
        """All or nothing; once the block is left without an error, what it wrote is on disk.

        Args:
            otherwise: what to tell the caller if the database cannot take it.
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
        """For single statements, each of them done at once.

        Raises:
            Unavailable: the database does not answer, or cannot take it.
        """
        try:
            with self._fast.connect() as connection:
                yield connection
        except _GONE as error:
            raise Unavailable(otherwise) from error

    @contextmanager
    def snapshot(self, otherwise: str, *, no_timeout: bool = False) -> Iterator[Connection]:
        """For several questions whose answers must agree: what others write meanwhile is not seen, nobody is held up.

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
        """Whether the database answers, and takes rows again if the last ones could not be written."""
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
        """Names somebody who works by himself and must stop before the database is closed."""
        self._users.append(stop)

    def close(self) -> None:
        while self._users:
            self._users.pop()()
        self._durable.dispose()
        self._fast.dispose()
