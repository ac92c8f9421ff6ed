"""The app under its real server: processes, threads, signals, bodies without a length, and the command itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore
from tests.support.feedback import OVERRIDDEN
from tests.support.recorder import VIEW, encoded, request_body
from tests.support.server_process import Server

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.stop(signal.SIGKILL)


@pytest.mark.row("FBK-01")
def test_what_was_answered_with_200_survives_a_kill(server: Server) -> None:
    """200 means that it is on disk"""
    cards = [str(n) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda card: _feedback(server, card), cards))
    server.stop(signal.SIGKILL)
    assert statuses == [200] * 40
    kept = sorted(_kept(server))
    assert kept == sorted(cards)


def test_a_kill_in_the_middle_loses_nothing_that_was_answered(server: Server) -> None:
    answered: list[str] = []

    def report(card: str) -> None:
        try:
            if _feedback(server, card) == 200:
                answered.append(card)
        except requests.RequestException:
            return

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(report, str(n)) for n in range(400)]
        while len(answered) < 30:
            time.sleep(0.005)
        server.stop(signal.SIGKILL)
        for future in futures:
            future.result()
    kept = set(_kept(server))
    assert 30 <= len(answered) < 400
    assert set(answered) <= kept


def test_sigterm_finishes_the_call_under_way(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(requests.post, server.base + VIEW, json=request_body(context__patientId="slow"), timeout=10)
        time.sleep(0.4)
        os.kill(server.process.pid, signal.SIGTERM)
        assert slow.result().status_code == 200
    output = server.process.stdout.read() if server.process.stdout else b""
    assert server.process.wait(15) == 0
    # The line of the last call is not lost, although lines are passed on in batches.
    lines = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
    assert [line["duration_ms"] > 1000 for line in lines if line["event"] == "call"] == [True]


@pytest.mark.row("X-8")
def test_a_waiting_call_does_not_hold_up_the_others(server: Server) -> None:
    """One slow FHIR server must not stop the service"""
    with ThreadPoolExecutor(4) as pool:
        body = request_body(context__patientId="slow")
        slow = [pool.submit(requests.post, server.base + VIEW, json=body, timeout=10) for _ in range(4)]
        time.sleep(0.2)
        started = time.monotonic()
        assert requests.post(server.base + VIEW, json=request_body(), timeout=10).status_code == 200
        assert time.monotonic() - started < 0.7
        assert [call.result().status_code for call in slow] == [200] * 4


@pytest.mark.row("REQ-14")
def test_bodies_without_a_length_are_read_and_limited(tmp_path: Path) -> None:
    server = Server(tmp_path, MAX_BODY="100000")
    try:
        small, large = (
            encoded(request_body(prefetch={"x": "y" * 50_000})),
            encoded(request_body(prefetch={"x": "y" * 200_000})),
        )
        for body, status in ((small, 200), (large, 413)):
            plain = requests.post(server.base + VIEW, data=body, headers=JSON, timeout=10)
            parts = (body[n : n + 9000] for n in range(0, len(body), 9000))
            chunked = requests.post(server.base + VIEW, data=parts, headers=JSON, timeout=10)
            assert (plain.status_code, chunked.status_code) == (status, status)
    finally:
        server.stop(signal.SIGKILL)


@pytest.mark.row("REQ-14")
def test_a_length_that_lies_is_refused_and_the_server_goes_on(server: Server) -> None:
    head = f"POST {VIEW} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"{")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert requests.get(server.base + "/health/live", timeout=5).status_code == 200


def _kept(server: Server) -> list[str]:
    """The cards of the feedback in the server's database."""
    database = Database(server.database)
    cards = [event.card for event in FeedbackStore(database).events()]
    database.close()
    return cards


def _feedback(server: Server, card: str) -> int:
    item = OVERRIDDEN | {"card": card}
    return requests.post(server.base + VIEW + "/feedback", json={"feedback": [item]}, timeout=10).status_code


# The command


def _serve(*arguments: str, **variables: str) -> SimpleNamespace:
    result = subprocess.run(
        [sys.executable, "-m", "cds_service", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return SimpleNamespace(code=result.returncode, err=result.stderr, out=result.stdout)


@pytest.mark.row("JWT-01")
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "CDS_CLIENTS: no clients are known, so every call would be refused"),
        ({"CDS_OPEN": "maybe"}, "CDS_OPEN: "),
        ({"CDS_OPEN": "1", "CDS_PORT": "0"}, "CDS_PORT: "),
    ],
)
def test_a_fault_in_the_settings_is_one_line_and_exit_code_one(variables: dict[str, str], said: str) -> None:
    """Without tokens and without saying so, the service does not start"""
    result = _serve("serve", **variables)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"cds: {said}")
    assert "Traceback" not in result.err


def test_a_port_in_use_is_told_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = _serve("serve", "--port", str(taken.getsockname()[1]), CDS_OPEN="1")
    assert result.code == 1
    assert "cannot listen on 127.0.0.1" in result.err


def test_a_misspelt_variable_is_pointed_out() -> None:
    assert "CDS_FHIR_ALOW is set, but is no setting" in _serve("serve", CDS_FHIR_ALOW="x", CDS_PORT="1").err


def test_a_wrong_command_is_exit_code_two() -> None:
    assert _serve("sing").code == 2


def test_the_version_is_told() -> None:
    from cds_service import __version__

    result: Any = _serve("--version")
    assert (result.code, __version__ in result.out) == (0, True)
