"""One database: how it is opened, how its tables are brought up to date, and what happens when it is not there."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import cds_service.store.migrations as steps
from cds_service.errors import SettingsError, Unavailable
from cds_service.store.database import Database
from cds_service.store.engine import checked_url
from cds_service.store.feedback import FeedbackEvent, FeedbackStore
from cds_service.store.purge import purge
from cds_service.store.replay import ReplayStore
from cds_service.store.tables import metadata

# What the service made before its tables had steps, word for word.
BEFORE_STEPS = {
    "sqlite": "CREATE TABLE IF NOT EXISTS feedback_event (id INTEGER NOT NULL, ",
    "postgresql": "CREATE TABLE IF NOT EXISTS feedback_event (id SERIAL NOT NULL, ",
}
COLUMNS_BEFORE_STEPS = (
    "service VARCHAR(200) NOT NULL, card VARCHAR(1000) NOT NULL, outcome VARCHAR(10) NOT NULL,"
    " at VARCHAR(32) NOT NULL, accepted TEXT NOT NULL, reason_code VARCHAR(1000), reason_system VARCHAR(1000),"
    " reason_display VARCHAR(1000), comment TEXT, received VARCHAR(32) NOT NULL, PRIMARY KEY (id),"
    " CONSTRAINT feedback_event_once UNIQUE (card, outcome, at))"
)
EVENT = FeedbackEvent("s", "card", "overridden", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """An empty one: these tests see the tables being made."""
    return empty_database_url


def _execute(url: str, *statements: str) -> None:
    """By an engine of its own, as another program would."""
    engine = create_engine(checked_url(url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


# Tables


def test_the_steps_make_the_tables_that_the_code_reads(database: Database) -> None:
    with database.transaction("") as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_names_of_keys_and_indexes_are_those_of_the_code(database: Database) -> None:
    """The comparison above passes over names of indexes that only one side has."""
    with database.transaction("") as connection:
        found = inspect(connection)
        made = {table: {index["name"] for index in found.get_indexes(table)} for table in metadata.tables}
        unique = {table: {key["name"] for key in found.get_unique_constraints(table)} for table in metadata.tables}
    for name, table in metadata.tables.items():
        assert made[name] - unique[name] == {index.name for index in table.indexes}


def test_no_step_goes_back() -> None:
    walked = list(ScriptDirectory(str(Path(steps.__file__).parent)).walk_revisions())
    assert len(walked) >= 3
    assert [step.revision for step in walked if hasattr(step.module, "downgrade")] == []


def test_opening_again_changes_nothing(database: Database, database_url: str) -> None:
    FeedbackStore(database).add([EVENT])
    again = Database(database_url)
    assert FeedbackStore(again).events() == [EVENT]
    again.close()


def test_a_database_from_before_the_steps_is_adopted_with_its_feedback(database_url: str) -> None:
    old = BEFORE_STEPS[checked_url(database_url).get_backend_name()]
    row = "INSERT INTO feedback_event (service, card, outcome, at, accepted, received) VALUES "
    moment = "2026-01-01T00:00:00.000000+00:00"
    _execute(database_url, old + COLUMNS_BEFORE_STEPS, row + f"('s', 'card', 'overridden', '{moment}', '', '{moment}')")
    database = Database(database_url)
    store = FeedbackStore(database)
    store.add([EVENT])  # the same report again
    assert store.events() == [EVENT]
    with database.transaction("") as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database_url: str) -> None:
    Database(database_url).close()
    _execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SettingsError, match=r"CDS_DATABASE_URL: a newer version .*step 9999.* Start the newer version"):
        Database(database_url)
    _execute(database_url, "UPDATE alembic_version SET version_num = '0001' WHERE version_num = '9999'")


def test_a_step_that_fails_leaves_no_half_of_it(database_url: str) -> None:
    _execute(database_url, "CREATE TABLE replay_token (mine INTEGER)")
    with pytest.raises(SettingsError, match="cannot be opened"):
        Database(database_url)
    engine = create_engine(checked_url(database_url))
    assert inspect(engine).get_table_names() == ["replay_token"]
    engine.dispose()


def test_processes_that_start_at_once_do_not_get_in_each_other_s_way(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(4)
    starting = [context.Process(target=_open_together, args=(database_url, gate, str(n))) for n in range(4)]
    for process in starting:
        process.start()
    for process in starting:
        process.join(60)
    assert [process.exitcode for process in starting] == [0] * 4
    database = Database(database_url)
    assert sorted(event.card for event in FeedbackStore(database).events()) == ["0", "1", "2", "3"]
    database.close()


def _open_together(url: str, gate: Any, card: str) -> None:
    gate.wait()
    database = Database(url)
    FeedbackStore(database).add([FeedbackEvent("s", card, "overridden", datetime(2026, 1, 1, tzinfo=UTC))])
    database.close()


# Opening


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "not a SQLAlchemy URL"),
        ("", "not a SQLAlchemy URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////proc/nowhere/cds.db", "cannot be opened"),
        ("mysql://h/d", "only SQLite and PostgreSQL"),
        ("sqlite+nowhere:///x.db", "driver"),
        ("postgresql+nowhere://h/d", "driver"),
        ("postgresql://u:telling@127.0.0.1:1/d", "cannot be opened (OperationalError)"),
    ],
)
def test_a_database_that_cannot_be_used_stops_the_start(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match="CDS_DATABASE_URL") as caught:
        Database(url)
    assert why in str(caught.value)
    assert "telling" not in str(caught.value)


@pytest.mark.parametrize("name", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_url_means_psycopg_3(name: str) -> None:
    url = checked_url(f"{name}://u:p%40w@h:5433/d?sslmode=require")
    assert (url.drivername, url.password, url.query) == ("postgresql+psycopg", "p@w", {"sslmode": "require"})


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "cds.db").write_text("Dear diary, " * 100)
    with pytest.raises(SettingsError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}/cds.db")


def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/new/folder/cds.db").close()
    assert (tmp_path / "new" / "folder" / "cds.db").is_file()


# Durability and patience


def test_a_transaction_waits_for_the_disk_and_a_single_statement_does_not(tmp_path: Path) -> None:
    """SQLite: FULL (2) and NORMAL (1) with a write-ahead log; NORMAL may lose commits when the power fails"""
    database = Database(f"sqlite:///{tmp_path}/cds.db")
    with database.transaction("") as runtime, database.single("") as swift:
        for connection, synchronous, patience in ((runtime, 2, 10_000), (swift, 1, 3_000)):
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == synchronous
            assert connection.execute(text("PRAGMA busy_timeout")).scalar() == patience
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("set_to", "kept"), [("on", "on"), ("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_a_careless_postgresql_is_told_to_wait_for_the_disk_and_a_careful_one_is_left_so(
    postgres_url: str, set_to: str, kept: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    _execute(postgres_url, f"ALTER DATABASE {name} SET synchronous_commit = '{set_to}'")
    database = Database(postgres_url)
    with database.transaction("") as runtime, database.single("") as swift:
        for connection, commit in ((runtime, kept), (swift, "off")):
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == commit
            assert connection.execute(text("SHOW statement_timeout")).scalar() == "5s"
    database.close()


@pytest.mark.postgres
def test_an_account_that_may_not_make_tables_is_enough_when_none_are_to_be_made(postgres_url: str) -> None:
    Database(postgres_url).close()
    name = f"plain_{uuid4().hex}"
    rights = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
    more = f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}"
    _execute(postgres_url, f"CREATE ROLE {name} LOGIN", rights, more)
    try:
        database = Database(checked_url(postgres_url).set(username=name).render_as_string())
        FeedbackStore(database).add([EVENT])
        assert FeedbackStore(database).events() == [EVENT]
        assert ReplayStore(database).first_use("ehr", "1", datetime.now(UTC))
        assert set(purge(database, datetime.now(UTC) + timedelta(days=1)).values()) == {0, 1}
        database.close()
    finally:
        _execute(postgres_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.postgres
def test_a_statement_that_hangs_is_ended_and_the_caller_is_told(postgres_url: str) -> None:
    database = Database(postgres_url)
    hang = text("SELECT set_config('statement_timeout', '50ms', true), pg_sleep(0)")
    with pytest.raises(Unavailable, match="told to the caller"), database.transaction("told to the caller") as blocked:
        [blocked.execute(statement) for statement in (hang, text("SELECT pg_sleep(30)"))]
    assert database.is_ready()
    database.close()


@pytest.mark.postgres
def test_connections_that_the_server_has_ended_are_replaced_unnoticed(postgres_url: str) -> None:
    database = Database(postgres_url)
    store = FeedbackStore(database)
    store.add([EVENT])
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    _execute(postgres_url, ended)
    assert store.events() == [EVENT]
    _execute(postgres_url, ended)
    store.add([EVENT])
    assert database.is_ready()
    database.close()


def test_an_error_in_the_block_undoes_the_transaction(database: Database) -> None:
    with suppress(ZeroDivisionError), database.transaction("") as connection:
        connection.execute(text("INSERT INTO replay_token (key, expires) VALUES ('a', 'b')"))
        raise ZeroDivisionError
    with database.single("") as connection:
        assert connection.execute(text("SELECT count(*) FROM replay_token")).scalar() == 0


def test_a_failed_write_is_not_ready_until_rows_are_taken_again(database: Database, database_url: str) -> None:
    store = FeedbackStore(database)
    _execute(database_url, "ALTER TABLE feedback_event RENAME TO away", "ALTER TABLE replay_token RENAME TO away_too")
    with pytest.raises(Unavailable, match=r"The feedback could not be stored\. Send it again later\."):
        store.add([EVENT])
    assert not database.is_ready()
    _execute(database_url, "ALTER TABLE away RENAME TO feedback_event", "ALTER TABLE away_too RENAME TO replay_token")
    assert database.is_ready()
    store.add([EVENT])
    with database.single("") as connection:
        assert connection.execute(text("SELECT count(*) FROM replay_token")).scalar() == 0


def test_whoever_works_on_it_is_stopped_before_the_database_is_closed(database: Database) -> None:
    stopped: list[bool] = []
    database.before_close(lambda: stopped.append(database.is_ready()))
    database.close()
    database.close()
    assert stopped == [True]
