"""What docs/operate.md tells operators to do: backups that can be restored, settings and commands that exist."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from cds_service.cli.main import main
from cds_service.logs import ALLOWED
from cds_service.settings import unknown_variables
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackEvent, FeedbackStore
from cds_service.web.ops.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "operate.md").read_text()


def told(beginning: str) -> str:
    """The one line of the guide's shell examples that begins so."""
    (line,) = [line for line in GUIDE.splitlines() if line.startswith(beginning)]
    return line


def follow(line: str, folder: Path, **variables: str) -> None:
    """Does in a folder what a line of the guide says."""
    # Debian keeps PostgreSQL's programs out of the path.
    programs = ":".join(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))
    path = f"{os.environ['PATH']}:{programs}"
    done = subprocess.run(
        ["/bin/sh", "-ec", line],
        cwd=folder,
        env={"PATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def write(store: FeedbackStore, number: int) -> list[str]:
    """Stores feedback on so many cards and gives their ids."""
    cards = [str(uuid4()) for _ in range(number)]
    store.add([FeedbackEvent("vitamin-b12-patient-view", card, "overridden", datetime.now(UTC)) for card in cards])
    return cards


def cards(store: FeedbackStore) -> list[str]:
    return [event.card for event in store.events()]


# --- Backup and restore ----------------------------------------------------------------------------------------------


def test_a_backup_of_sqlite_made_while_feedback_comes_in_is_whole_and_can_be_restored(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/cds.db")
    store = FeedbackStore(database)
    before, done = write(store, 200), threading.Event()

    def go_on() -> None:
        while not done.is_set():
            write(store, 2)

    writer = threading.Thread(target=go_on)
    writer.start()
    follow(told("python3 -c "), tmp_path)
    done.set()
    writer.join()
    after = write(store, 10)
    # Not closed: its process was killed, and what belongs to the old file still lies beside it.
    assert (tmp_path / "cds.db-wal").exists()
    follow(told("rm -f cds.db"), tmp_path)

    restored = Database(f"sqlite:///{tmp_path}/cds.db")
    kept = cards(FeedbackStore(restored))
    assert set(before) <= set(kept)
    assert not set(after) & set(kept)
    # Batches are whole.
    assert len(kept) % 2 == 0
    assert write(FeedbackStore(restored), 1)[0] in cards(FeedbackStore(restored))
    restored.close()
    database.close()


@pytest.mark.postgres
def test_a_backup_of_postgresql_can_be_restored_into_an_empty_database(
    postgres_url: str, postgres_server: str, tmp_path: Path
) -> None:
    database = Database(postgres_url)
    store = FeedbackStore(database)
    before = write(store, 200)
    follow(told("pg_dump "), tmp_path, CDS_DATABASE_URL=postgres_url)
    write(store, 10)
    database.close()

    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = f"{postgres_server.rpartition('/')[0]}/{name}"
            follow(told("pg_restore "), tmp_path, CDS_DATABASE_URL=url)
            restored = Database(url)
            assert cards(FeedbackStore(restored)) == before
            assert write(FeedbackStore(restored), 1)[0] in cards(FeedbackStore(restored))
            restored.close()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# --- What the guide names --------------------------------------------------------------------------------------------


def test_every_setting_that_the_guide_names_is_one() -> None:
    named = set(re.findall(r"\bCDS_[A-Z_]+\b", GUIDE))
    assert {"CDS_DATABASE_URL", "CDS_SECRETS_DIR", "CDS_RETENTION_DAYS", "CDS_PROXIES"} <= named
    assert unknown_variables(named) == []


def test_every_command_that_the_guide_names_is_one() -> None:
    named = set(re.findall(r"(?:`|\n|\* )cds ([a-z-]+)", GUIDE))
    assert {"check", "serve", "purge", "load-samples"} <= named
    assert named <= main.commands.keys()


def test_every_field_of_the_log_that_the_guide_names_is_in_it() -> None:
    watched = GUIDE.partition("## What to watch")[2].partition("\n## ")[0]
    fields = set(re.findall(r"`([a-z_]+)`", watched)) - {"call", "fault", "records", "snooze", "tokens"}
    fields = {field for field in fields if not field.startswith("cds_")}
    assert {"correlation", "duration_ms", "claimed", "dropped"} <= fields
    assert fields <= ALLOWED


def test_every_metric_that_the_guide_names_is_one() -> None:
    page = Metrics().page("")[0].decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    named = set(re.findall(r"`(cds_[a-z_]+)", GUIDE)) - {"cds_service"}
    assert len(named) > 10
    assert named <= kinds.keys()
    # What is counted up has a rate; what is the case now has none.
    assert {name for name in named if name.endswith("_total")} == {name for name in named if kinds[name] == "counter"}


@pytest.mark.parametrize(
    "event", ["fault", "server fails", "server answers again", "key set", "records", "tokens", "calls not counted"]
)
def test_every_event_of_the_log_that_the_guide_names_is_written_somewhere(event: str) -> None:
    assert f"`{event}`" in GUIDE
    sources = (DOCS.parent / "cds_service").rglob("*.py")
    assert any(re.search(rf'\.(?:warning|error)\(\s*"{event}"', path.read_text()) for path in sources)


def test_every_page_and_file_that_the_guide_names_is_there() -> None:
    linked = re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE)
    assert len(linked) > 5
    for link in linked:
        assert (DOCS / link).is_file(), link
    for file in re.findall(r"`((?:deploy|\.ci)/[\w./-]+)`", GUIDE):
        assert (DOCS.parent / file).exists(), file
