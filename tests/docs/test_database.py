"""docs/database.md: its tables, what removes their rows, and how long anybody waits. What happens in an outage is
tested in tests/process/test_store_faults.py."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from inspect import signature

from sqlalchemy import inspect

from cds_service.store import engine, pg_timeout
from cds_service.store.database import Database
from cds_service.store.purge import purge
from cds_service.store.recorder import Recorder
from cds_service.store.tables import metadata
from tests.support.aged_rows import YEAR, counts, fill
from tests.support.documents import quoted, rows, section, text

PAGE = "docs/database.md"
KEPT = {quoted(cells[0])[0]: cells[2] for cells in rows(section(PAGE, "What is kept"))}


def test_the_page_names_every_table_that_a_new_database_has(database: Database) -> None:
    with database.single("") as connection:
        made = set(inspect(connection).get_table_names())
    assert made - {"alembic_version"} == set(KEPT) == set(metadata.tables)


def test_every_column_that_the_page_names_is_one() -> None:
    named = [name.split(".") for name in quoted(text(PAGE)) if re.fullmatch(r"[a-z_]+\.[a-z_]+", name)]
    assert ["hook_call", "id"] in named
    for table, column in named:
        assert column in metadata.tables[table].columns
    hashes = {column.name for column in metadata.tables["hook_call"].columns if column.name.endswith("_hash")}
    assert hashes == {name for name in quoted(text(PAGE)) if name.endswith("_hash")}


def test_rows_of_every_table_are_removed_when_the_page_says_so(database: Database) -> None:
    """Half of the rows that `fill` makes are 500 days old."""
    fill(database)
    before = counts(database)
    beginning = datetime.min.replace(tzinfo=UTC)
    by_expiry = {table.name for table, number in purge(database, beginning).items() if number}
    assert by_expiry == {table for table, when in KEPT.items() if when == "its expiry"}
    by_age = {table.name for table, number in purge(database, YEAR).items() if number}
    assert by_age == set(KEPT) - by_expiry
    assert {table: 2 * number for table, number in counts(database).items()} == before


def test_a_table_that_is_removed_with_another_depends_on_it() -> None:
    with_others = {table: when for table, when in KEPT.items() if when in ("its call", "its card")}
    assert with_others == {"card": "its call", "suggestion": "its card"}
    for table, when in with_others.items():
        (key,) = metadata.tables[table].foreign_keys
        assert key.column.table.name.endswith(when.removeprefix("its "))


def test_every_wait_is_bounded_as_the_page_says() -> None:
    recorder = {name: one.default for name, one in signature(Recorder).parameters.items()}
    told = dict(cells for cells in rows(section(PAGE, "What is guaranteed")) if len(cells) == 2)
    assert told == {
        "for a connection to PostgreSQL": f"{engine.CONNECT_SECONDS} s",
        "for a statement in PostgreSQL": f"{engine.STATEMENT_SECONDS} s",
        "for an answer from PostgreSQL or a pooler in front of it": f"{pg_timeout.SECONDS:g} s",
        "for another writer of the same SQLite file": f"{engine.BUSY_SECONDS} s",
        "the same, where a call waits for it": f"{engine.BUSY_SECONDS_FAST} s",
        "until a record of a call is written": f"{recorder['pause']} s",
        "records that wait in memory, for each process": str(recorder["capacity"]),
    }
