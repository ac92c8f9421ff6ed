"""A database URL to an SQLAlchemy engine, with the settings of every new SQLite or PostgreSQL connection."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from cds_service.errors import SettingsError
from cds_service.store.pg_timeout import BoundedConnection

# EHR clients give up after some seconds; waiting longer for a database serves no caller.
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 5
# Seconds to wait while another process writes to SQLite; less for statements within a hook call.
BUSY_SECONDS = 10
BUSY_SECONDS_FAST = 3


def checked_url(url: str) -> URL:
    """The URL with its driver.

    Raises:
        SettingsError: not a URL, or the database is not supported.
    """
    try:
        parsed = make_url("postgresql" + url[8:] if url.startswith("postgres:") else url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        # `from None`: the part that could not be parsed may belong to the password.
        raise SettingsError("CDS_DATABASE_URL: not a SQLAlchemy URL. Give sqlite:///var/cds.db or similar.") from None
    if backend not in ("sqlite", "postgresql"):
        raise SettingsError("CDS_DATABASE_URL: only SQLite and PostgreSQL are supported. Give sqlite:///var/cds.db.")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("CDS_DATABASE_URL: a database in memory would forget feedback. Name a file.")
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def make_engine(url: URL, durable: bool, *, bounded: bool = True) -> Engine:
    """An engine with a connection pool; it opens no connection yet.

    Args:
        durable: transactions whose commit waits for the disk; otherwise autocommitted statements that do not wait.
        bounded: limit the time of statements.
    Raises:
        SettingsError: the driver is not installed, or the folder of the file cannot be made.
    """
    options: dict[str, Any] = {} if durable else {"isolation_level": "AUTOCOMMIT"}
    if url.get_backend_name() == "postgresql":
        options["connect_args"] = {
            "connect_timeout": CONNECT_SECONDS,
            # The kernel then reports a server that vanished within seconds instead of hours.
            "tcp_user_timeout": 1000 * STATEMENT_SECONDS,
            "application_name": "cds-service",
        }
    try:
        engine = create_engine(url, pool_pre_ping=True, pool_timeout=CONNECT_SECONDS, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsError(
            "CDS_DATABASE_URL: the driver that it names is not installed. Install it, or give sqlite:///var/cds.db."
        ) from error
    if engine.dialect.name == "postgresql":
        if bounded:
            event.listen(engine, "do_connect", _connect_bounded)
        event.listen(engine, "connect", partial(_set_up_postgresql, durable, STATEMENT_SECONDS if bounded else 0))
        if durable:
            event.listen(engine, "begin", _wait_for_disk)
        return engine
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(error) from error
    event.listen(engine, "connect", partial(_set_up_sqlite, durable))
    if durable:
        event.listen(engine, "begin", _lock)
    return engine


def unusable(error: Exception) -> SettingsError:
    """A SettingsError that names only the class of the error: its text may hold the URL and its password."""
    kind = type(getattr(error, "orig", None) or error).__name__
    return SettingsError(
        f"CDS_DATABASE_URL: the database cannot be opened ({kind}). Check that it exists and is writable."
    )


def _connect_bounded(_: object, __: object, arguments: Any, options: Any) -> BoundedConnection:
    return BoundedConnection.connect(*arguments, **options)


def _set_up_postgresql(durable: bool, seconds: int, connection: Any, _: object) -> None:
    before = connection.autocommit
    connection.autocommit = True
    connection.execute(f"SET statement_timeout = {1000 * seconds}")
    if not durable:
        connection.execute("SET synchronous_commit = off")
    connection.autocommit = before


def _wait_for_disk(connection: Connection) -> None:
    # The server's default may be synchronous_commit=off; stricter values than "on" are kept. Set in every transaction,
    # because a pooler may hand out a connection with another client's settings.
    connection.exec_driver_sql(
        "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
    )


def _set_up_sqlite(durable: bool, connection: Any, _: object) -> None:
    """Sets WAL mode (readers beside a writer) and the time to wait for another writer."""
    # The driver opens no transaction before DDL, so transactions are begun explicitly (`_lock`).
    connection.isolation_level = None
    for setting in (
        f"busy_timeout = {1000 * (BUSY_SECONDS if durable else BUSY_SECONDS_FAST)}",
        f"synchronous = {'FULL' if durable else 'NORMAL'}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {setting}").close()
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """Sets the journal mode of the file, with retries: `busy_timeout` does not apply to this change."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def _lock(connection: Connection) -> None:
    # Locks for writing at the start: upgrading a read lock later could fail.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
