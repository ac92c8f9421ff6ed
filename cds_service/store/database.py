"""A database URL to an open database with all tables: SQLite in a file, or PostgreSQL.

Two ways in. `transaction` returns when its rows are on disk. `single` does one statement at a time and waits for no
disk: a killed process loses nothing of it, a power cut may lose its last moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, delete, event, make_url, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cds_service.errors import SettingsError, Unavailable
from cds_service.store.migrate import migrate
from cds_service.store.tables import replay_token

# A caller gives up after some seconds; nobody should wait longer than that for a database that does not answer.
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 5
# SQLite: how long to wait while another process writes.
BUSY_SECONDS = 10

_INSERTS: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}
_GONE = (DBAPIError, PoolTimeoutError)
_PROBE = {"key": "written to see whether it can be", "expires": ""}


class Database:
    """One open database. Safe to use from several threads, processes and machines."""

    def __init__(self, url: str) -> None:
        """Opens the database and brings its tables up to date.

        Raises:
            SettingsError: the URL makes no sense, the database cannot be opened for writing, or is too new.
        """
        parsed = _checked(url)
        self.insert = _INSERTS[parsed.get_backend_name()]
        self._lasting = _engine(parsed, lasting=True)
        self._swift = _engine(parsed, lasting=False)
        self._failed = False
        try:
            migrate(self._lasting)
        except _GONE as error:
            self.close()
            raise _unusable(error) from error
        except SettingsError:
            self.close()
            raise

    @contextmanager
    def transaction(self, otherwise: str) -> Iterator[Connection]:
        """All or nothing; once the block is left without an error, what it wrote is on disk.

        Args:
            otherwise: what to tell the caller if the database cannot take it.
        Raises:
            Unavailable: nothing was written.
        """
        try:
            with self._lasting.begin() as connection:
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
            with self._swift.connect() as connection:
                yield connection
        except _GONE as error:
            raise Unavailable(otherwise) from error

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

    def close(self) -> None:
        self._lasting.dispose()
        self._swift.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url("postgresql" + url[8:] if url.startswith("postgres:") else url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise SettingsError("CDS_DATABASE_URL: not a SQLAlchemy URL. Give sqlite:///var/cds.db or similar.") from error
    if backend not in _INSERTS:
        raise SettingsError("CDS_DATABASE_URL: only SQLite and PostgreSQL are supported. Give sqlite:///var/cds.db.")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("CDS_DATABASE_URL: a database in memory would forget feedback. Name a file.")
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _engine(url: URL, lasting: bool) -> Engine:
    options: dict[str, Any] = {} if lasting else {"isolation_level": "AUTOCOMMIT"}
    if url.get_backend_name() == "postgresql":
        # A server that has gone without a word is noticed by the kernel, not after two hours.
        options["connect_args"] = {
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": 1000 * STATEMENT_SECONDS,
            "application_name": "cds-service",
        }
    try:
        engine = create_engine(url, pool_pre_ping=True, pool_timeout=CONNECT_SECONDS, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsError(
            "CDS_DATABASE_URL: the driver that it names is not installed. Install it, or give sqlite:///var/cds.db."
        ) from error
    if engine.dialect.name == "sqlite":
        try:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(error) from error
        event.listen(engine, "connect", _set_up_sqlite_lasting if lasting else _set_up_sqlite_swift)
        if lasting:
            # Locked for writing from the start: a transaction that reads first could be refused when it comes to write.
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    else:
        event.listen(engine, "connect", _set_up_postgresql_lasting if lasting else _set_up_postgresql_swift)
    return engine


def _set_up_sqlite_lasting(connection: Any, _: object) -> None:
    _set_up_sqlite(connection, "FULL")


def _set_up_sqlite_swift(connection: Any, _: object) -> None:
    _set_up_sqlite(connection, "NORMAL")


def _set_up_sqlite(connection: Any, synchronous: str) -> None:
    """Readers and a writer side by side, and patience when another process writes."""
    # The driver begins transactions when it thinks fit, but not for changes of tables; we begin them ourselves.
    connection.isolation_level = None
    for setting in (
        f"busy_timeout = {1000 * BUSY_SECONDS}",
        "journal_mode = WAL",
        f"synchronous = {synchronous}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {setting}").close()


def _set_up_postgresql_lasting(connection: Any, _: object) -> None:
    # A server may be set to forget commits in a crash; stricter settings than "on" are left to it.
    _set_up_postgresql(
        connection,
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    )


def _set_up_postgresql_swift(connection: Any, _: object) -> None:
    _set_up_postgresql(connection, "SET synchronous_commit = off")


def _set_up_postgresql(connection: Any, commit: str) -> None:
    before = connection.autocommit
    connection.autocommit = True
    for statement in (f"SET statement_timeout = {1000 * STATEMENT_SECONDS}", "SET timezone = 'UTC'", commit):
        connection.execute(statement)
    connection.autocommit = before


def _unusable(error: Exception) -> SettingsError:
    """The class of the error only: its text may hold the URL, and the URL a password."""
    kind = type(getattr(error, "orig", None) or error).__name__
    return SettingsError(
        f"CDS_DATABASE_URL: the database cannot be opened ({kind}). Check that it exists and is writable."
    )
