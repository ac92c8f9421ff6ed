"""docs/operate.md: what it tells operators to do is done, what it claims is executed or looked up."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml
from annotated_types import Lt
from click.testing import CliRunner
from flask import Flask
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from psycopg import sql

from cds_service.cli.main import main, run_server
from cds_service.egress import addresses, breaker
from cds_service.fhir.fetch import client
from cds_service.logs import ALLOWED
from cds_service.security import remote_keys
from cds_service.security.clients import ClientProfile
from cds_service.settings import PREFIX, Settings
from cds_service.store import snooze
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackEvent, FeedbackStore
from cds_service.web.ops.metrics import Metrics
from tests.support.documents import events_in_source, quoted, rows, section, text
from tests.support.paths import ROOT

PAGE = "docs/operate.md"
GUIDE = text(PAGE)
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


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


# --- Numbers and names -----------------------------------------------------------------------------------------------

ALARMS = rows(section(PAGE, "What to watch"))


def number_in(pattern: str) -> int:
    """The number that the guide gives in these words."""
    (found,) = re.findall(pattern, re.sub(r"\s+", " ", GUIDE))
    return int(found.replace(",", ""))


def test_the_secrets_that_the_guides_name_are_the_settings_that_no_message_shows() -> None:
    hidden = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if not field.repr}
    belong = section(PAGE, "Settings and secrets").partition("These belong")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(CDS_\w+)`", belong)) == hidden
    (row,) = [cells for cells in rows(text("docs/settings.md")) if cells[1].startswith("secret")]
    assert set(re.findall(r"`(CDS_\w+)`", row[2])) == hidden


def test_the_defaults_for_sizing_are_those_of_the_settings() -> None:
    given = {quoted(cells[0])[0]: cells[1] for cells in rows(section(PAGE, "Sizing")) if len(cells) == 3 and cells[1]}
    settings = Settings()
    assert given == {
        "CDS_WORKERS": "one per core, at most 4",
        "CDS_THREADS": f"{settings.threads} per worker",
        "CDS_MAX_BODY": f"{settings.max_body / 1_000_000:g} MB",
        "CDS_RATE_LIMIT": settings.rate_limit,
    }
    assert settings.workers == min(4, os.cpu_count() or 1)
    assert number_in(r"`CDS_RETENTION_DAYS` \((\d+):") == settings.retention_days
    assert number_in(r"(\d+) s at most \(`CDS_FHIR_DEADLINE`\)") == settings.fhir_deadline
    assert Lt(number_in(r"Wait longer than (\d+) s")) in Settings.model_fields["fhir_deadline"].metadata


def test_the_limit_of_processes_leaves_room_for_every_pool_of_a_worker() -> None:
    pools = client._THREADS + addresses._THREADS + snooze._AT_ONCE
    assert pools < number_in(r"`workers \* \(threads \+ (\d+)\)`") < 2 * pools
    limit = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["cds"]["deploy"]["resources"][
        "limits"
    ]
    assert limit["pids"] > 2 * (Settings().threads + pools)


def test_the_numbers_of_faults_are_those_of_the_code() -> None:
    assert number_in(r"after (\d+) failed calls in a row") == breaker._FAILURES
    assert number_in(r"it is not asked for (\d+) s") == breaker._PAUSE
    assert number_in(r"continue for (\d+) h with the keys") == remote_keys.GRACE / 3600
    assert ClientProfile(name="ehr").max_token_age == 3600
    assert "wait an\nhour before the start (`max_token_age`)" in GUIDE


def test_a_stop_takes_no_longer_than_the_guide_says(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Idle:
        def __init__(self, *_: Any, **options: Any) -> None:
            given.update(options)

        def on_startup(self, _: Any) -> None:
            pass

        def serve(self) -> None:
            pass

    monkeypatch.setattr("granian.Granian", Idle)
    # `cds serve` sets it for its workers; the test takes it away again.
    monkeypatch.setenv("CDS_RATE_STORAGE", "memory://")
    run_server(Settings(rate_storage="memory://"))
    assert given["workers_kill_timeout"] == number_in(r"exits with code 0, within (\d+) s")


@pytest.mark.parametrize("setting", ["CDS_PORT", "CDS_SITE", "CDS_CLIENTS"])
def test_a_fault_stops_the_start_with_the_exit_code_of_the_guide(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "overlay.yaml").write_text("site: City\nthreshold: {}\n")
    (tmp_path / "clients.yaml").write_text("clients: [{name: ehr, isuers: []}]\n")
    value = {"CDS_PORT": "http", "CDS_SITE": str(tmp_path), "CDS_CLIENTS": str(tmp_path / "clients.yaml")}
    monkeypatch.setenv(setting, value[setting])
    done = CliRunner().invoke(main, ["serve"])
    assert done.exit_code == number_in(r"stops the start with exit code (\d)")
    assert done.output.startswith("cds: ")


def test_the_health_routes_answer_as_the_guide_says(make_app: Callable[..., Flask]) -> None:
    live, ready = rows(section(PAGE, "Health"))
    app = make_app()
    client = app.test_client()
    for route, answers, _ in (live, ready):
        assert client.get(quoted(route)[0]).status_code == int(answers[:3])
    well, ill, member = quoted(ready[1])
    healthy: Any = client.get("/health/ready").json
    assert healthy["status"] == well
    app.extensions["runtime"].refused = True
    answer = client.get("/health/ready")
    told: Any = answer.json
    assert answer.status_code == int(ready[1][:3])
    assert told["status"] == ill
    assert told[member] == ["knowledge"]


# --- Alarms ----------------------------------------------------------------------------------------------------------


def test_every_metric_that_the_guide_names_is_one_with_these_labels() -> None:
    collectors = Metrics()._registry._collector_to_names
    metrics = {one._name: one for one in collectors if isinstance(one, MetricWrapperBase)}
    named = re.findall(r"`(cds_[a-z_]+)(?:\{(\w+)=~?\"[^\"]+\"\})?`", GUIDE)
    assert len(named) > 10
    for name, label in named:
        metric = metrics[name.removesuffix("_total")]
        # What is counted up has a rate; what is the case now has none.
        assert name.endswith("_total") == isinstance(metric, Counter)
        assert label == "" or label in metric._labelnames


def test_every_event_and_field_of_the_log_that_the_alarms_name_is_written(open_app: Flask) -> None:
    named = {name for cells in ALARMS for name in quoted(cells[2])}
    events = events_in_source() | open_app.view_functions.keys()
    assert {"call", "server fails", "duration_ms", "claimed"} <= named
    assert named <= events | ALLOWED


# --- Deployments -----------------------------------------------------------------------------------------------------


def test_the_names_and_numbers_of_the_deployments_are_those_of_their_files() -> None:
    deployment = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    assert re.findall(r"docker compose (?:kill --signal HUP|run --rm) (\w+)", GUIDE) == ["cds", "cds"]
    assert "cds" in COMPOSE
    assert f"rollout restart deployment/{deployment['metadata']['name']}`" in GUIDE
    assert f"| {['', 'one', 'two', 'three'][deployment['spec']['replicas']]} replicas; " in GUIDE
    image = (ROOT / "Dockerfile").read_text()
    user = number_in(r"runs as user (\d+)")
    assert f"\nUSER {user}:" in image
    assert "\nVOLUME /data\n" in image


def test_traces_come_with_an_extra_that_the_image_does_not_have() -> None:
    (extra,) = re.findall(r"`cds-service\[(\w+)\]`", GUIDE)
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "opentelemetry" not in (ROOT / "requirements" / "run.txt").read_text()
