"""For those who run the service: what readiness tells, by which names a call is found, where settings come from."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from cds_service.settings import load_settings
from tests.support.call_records import away, back, execute
from tests.support.feedback import OVERRIDDEN
from tests.support.known_clients import BASE, client_file, said
from tests.support.log_file import LogFile
from tests.support.recorder import VIEW, request_body
from tests.support.server_process import Server

THEIRS = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


# --- Readiness ----------------------------------------------------------------------------------------------------


def test_a_service_that_lacks_nothing_is_ready(client: FlaskClient) -> None:
    response = client.get("/health/ready")
    assert response.status_code == 200
    assert response.json == {"status": "ready", "degraded": [], "database": True, "knowledge": "1.2.3+test"}


@pytest.mark.parametrize("is_open", [True, False])
def test_without_its_database_a_service_answers_calls_and_says_what_it_lacks(
    make_app: Callable[..., Flask], tmp_path: Path, is_open: bool
) -> None:
    """Were it not ready, all replicas would be taken out at once, and nobody would get a card."""
    app = make_app(open=is_open, clients=client_file(tmp_path), public_url=BASE)
    client, url = app.test_client(), f"sqlite:///{tmp_path}/cds.db"
    away(url)
    execute(url, "DROP TABLE feedback_event")
    assert client.post(VIEW, json=request_body(), headers=said()).status_code == 200
    assert client.post(f"{VIEW}/feedback", json={"feedback": [OVERRIDDEN]}, headers=said()).status_code == 503
    response = client.get("/health/ready")
    assert response.status_code == 200
    assert response.json["status"] == "degraded"
    assert response.json["database"] is False
    assert set(response.json["degraded"]) - {"records"} == ({"database"} if is_open else {"database", "tokens"})


def test_records_that_cannot_be_written_degrade_the_service_until_they_are(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app()
    client, recorder = app.test_client(), app.extensions["recorder"]
    away(f"sqlite:///{tmp_path}/cds.db")
    client.post(VIEW, json=request_body())
    assert not recorder.flush()
    assert "records" in client.get("/health/ready").json["degraded"]
    back(f"sqlite:///{tmp_path}/cds.db")
    assert recorder.flush()
    assert client.get("/health/ready").json["degraded"] == []


def test_a_terminology_server_that_does_not_answer_degrades_the_service(make_app: Callable[..., Flask]) -> None:
    class Silent:
        failing = True

    app = make_app()
    app.extensions["runtime"].terminology = Silent()
    assert app.test_client().get("/health/ready").json["degraded"] == ["terminology"]


def test_a_database_that_hangs_does_not_hold_up_who_asks(make_app: Callable[..., Flask]) -> None:
    """What was seen last is told; a probe would give up before the database does."""
    app = make_app()
    runtime, asked = app.extensions["runtime"], []

    class Hanging:
        def is_ready(self) -> bool:
            asked.append(True)
            raise AssertionError("who asks must not wait for this")

    runtime._usable = False
    runtime.database = Hanging()
    assert app.test_client().get("/health/ready").json["degraded"] == ["database"]
    assert app.test_client().get("/metrics").status_code == 200
    assert asked == []


# --- Names of a call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theirs", [THEIRS, THEIRS.upper(), THEIRS.replace("-", "")])
def test_the_id_that_a_caller_gives_a_request_is_in_the_log_beside_ours(
    client: FlaskClient, log: LogFile, theirs: str
) -> None:
    response = client.post(VIEW, json=request_body(), headers={"X-Request-Id": theirs})
    (line,) = log.lines("call")
    assert line["request"] == theirs
    assert line["correlation"] == response.headers["X-Correlation-Id"] != theirs


@pytest.mark.parametrize("theirs", ["", "canary", "Carla Canary 1943", f"{THEIRS} canary", f"{THEIRS}-1", "7" * 31])
def test_an_id_that_is_no_uuid_is_kept_nowhere(client: FlaskClient, log: LogFile, theirs: str) -> None:
    response = client.post(VIEW, json=request_body(), headers={"X-Request-Id": theirs})
    (line,) = log.lines("call")
    assert "request" not in line
    assert b"canary" not in log.getvalue().lower()
    assert "canary" not in str(response.headers).lower()


def test_two_calls_with_one_id_are_two_records(make_app: Callable[..., Flask]) -> None:
    """The name of a record is ours alone, so nobody can have a record lost by naming it like another."""
    app = make_app()
    for _ in range(2):
        app.test_client().post(VIEW, json=request_body(), headers={"X-Request-Id": THEIRS})
    recorder = app.extensions["recorder"]
    assert recorder.flush()
    with app.extensions["database"].single("") as connection:
        assert connection.exec_driver_sql("SELECT count(DISTINCT id) FROM hook_call").scalar() == 2


# --- Settings of a server --------------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_server_and_its_workers_read_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.env"
    file.write_text("CDS_LANGUAGE=zh\nCDS_METRICS_TOKEN=0123456789abcdef\nCDS_RATE_LIMIT=3 per hour\n")
    monkeypatch.setenv("CDS_CONFIG", str(file))
    server = Server(tmp_path)
    try:
        assert requests.get(f"{server.base}/metrics", timeout=10).status_code == 401
        named = {"Authorization": "Bearer 0123456789abcdef"}
        assert requests.get(f"{server.base}/metrics", headers=named, timeout=10).status_code == 200
        statuses = [requests.post(server.base + VIEW, json=request_body(), timeout=10).status_code for _ in range(8)]
        # The limit of the file, counted over both processes.
        assert statuses == [200] * 3 + [429] * 5
    finally:
        server.stop(signal.SIGKILL)


def test_a_storage_that_the_file_names_is_not_replaced_by_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cds serve` gives its workers memory to count in only where no other storage was named, in whatever way."""
    import cds_service.cli.main as cli

    file = tmp_path / "settings.env"
    monkeypatch.setenv("CDS_CONFIG", str(file))
    told: list[Any] = []

    class Idle:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def on_startup(self, _: Any) -> None:
            pass

        def serve(self) -> None:
            told.append(load_settings().rate_storage)

    monkeypatch.setattr("granian.Granian", Idle)
    for text in ("CDS_RATE_STORAGE=redis://counts.example:6379\n", "CDS_THREADS=2\n"):
        monkeypatch.delenv("CDS_RATE_STORAGE", raising=False)
        file.write_text(text)
        cli.run_server(load_settings())
    assert told[0] == "redis://counts.example:6379"
    assert told[1].startswith("shared:///")
    os.environ.pop("CDS_RATE_STORAGE", None)
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
