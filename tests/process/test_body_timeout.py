"""Callers who are slow or who bend HTTP, against the real server: they are cut off, and nobody else waits for them."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.recorder import VIEW, encoded, request_body
from tests.support.server_process import Server

BODY = encoded(request_body())
HEAD = f"POST {VIEW} HTTP/1.1\r\nHost: cds.example\r\nContent-Type: application/json\r\n".encode()
LENGTH = f"Content-Length: {len(BODY)}\r\n".encode()
PROBE = b"GET /health/live HTTP/1.1\r\nHost: cds.example\r\n\r\n"
LIMIT = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process with four threads, in which a body may take one second."""
    folder: Path = tmp_path_factory.mktemp("arrival")
    running = Server(folder, WORKERS="1", THREADS="4", BODY_TIMEOUT=str(LIMIT))
    yield running
    running.stop(signal.SIGKILL)


def connect(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answers(connection: socket.socket) -> list[bytes]:
    """Everything that comes until the server closes the connection, one item per answer."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return [b"HTTP/1.1 " + answer for answer in received.split(b"HTTP/1.1 ")[1:]]


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def cut_off(connection: socket.socket) -> None:
    """The one answer is a 408 that says why, and the connection is closed."""
    (answer,) = answers(connection)
    assert status(answer) == 408
    issue = json.loads(answer.partition(b"\r\n\r\n")[2])["issue"][0]
    assert issue["code"] == "timeout"
    assert f"{LIMIT} seconds" in issue["diagnostics"]


@pytest.mark.row("REQ-14", "TOY-24", "STA-408")
def test_a_body_that_stops_half_way_is_cut_off(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + LENGTH + b"\r\n" + BODY[:40])
        cut_off(connection)


@pytest.mark.row("STA-408", "TOY-24")
def test_a_body_without_a_length_that_stops_half_way_is_cut_off(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")
        cut_off(connection)


def test_a_body_that_stops_on_a_connection_that_served_before_is_cut_off(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + LENGTH + b"\r\n" + BODY)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HEAD + LENGTH + b"\r\n" + BODY[:40])
        cut_off(connection)


@pytest.mark.row("TOY-24")
def test_a_body_that_drips_is_cut_off_and_holds_up_nobody(server: Server) -> None:
    with connect(server) as first, connect(server) as second:
        for connection in (first, second):
            connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        for n in range(20):
            for connection in (first, second):
                # Once it is cut off, sending fails.
                try:
                    connection.sendall(b" ")
                except OSError:
                    assert n > 2
            assert requests.post(server.base + VIEW, json=request_body(), timeout=10).status_code == 200
            time.sleep(0.2)
        cut_off(first)
        cut_off(second)


@pytest.mark.row("TOY-24")
def test_more_stuck_callers_than_threads_hold_up_others_only_until_they_are_cut_off(server: Server) -> None:
    """Who has waited in the queue as long is cut off with them, and answered when they call again."""
    stuck = [connect(server) for _ in range(12)]
    for connection in stuck:
        connection.sendall(HEAD + LENGTH + b"\r\n{")
    for _ in range(10):
        try:
            assert requests.post(server.base + VIEW, json=request_body(), timeout=30).status_code == 200
        except requests.ConnectionError:
            continue
        break
    else:
        pytest.fail("nobody was answered")
    for connection in stuck:
        # One whose turn came when it had been cut off already is merely too short.
        assert [status(answer) in (400, 408) for answer in answers(connection)] == [True]
        connection.close()


def test_a_connection_that_is_merely_idle_is_left_alone(server: Server) -> None:
    with requests.Session() as session:
        assert session.get(server.base + "/health/live").status_code == 200
        time.sleep(LIMIT + 1)
        assert session.get(server.base + "/health/live").status_code == 200


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize(
    "fields",
    [
        LENGTH + f"Content-Length: {len(BODY) + 5}\r\n".encode(),
        f"Content-Length: {len(BODY)}, {len(BODY)}\r\n".encode(),
        b"Content-Length: -1\r\n",
        f"Content-Length: +{len(BODY)}\r\n".encode(),
        b"Content-Length: 0x10\r\n",
        f"Content-Length : {len(BODY)}\r\n".encode(),
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n" + LENGTH,
        b"X-Folded: 1\r\n folded\r\n" + LENGTH,
        b"X-Null: a\x00b\r\n" + LENGTH,
    ],
)
def test_what_two_servers_could_read_differently_is_refused(server: Server, fields: bytes) -> None:
    """A proxy in front that reads a length otherwise must not be led to take a part of one call for another."""
    with connect(server) as connection:
        connection.sendall(HEAD + fields + b"\r\n" + BODY + PROBE)
        assert [status(answer) for answer in answers(connection)] == [400]


def test_a_body_with_two_lengths_hides_no_second_call(server: Server) -> None:
    hidden = b"0\r\n\r\n" + PROBE
    fields = f"Content-Length: {len(hidden)}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connect(server) as connection:
        connection.sendall(HEAD + fields + hidden)
        assert [status(answer) for answer in answers(connection)] == [400]


@pytest.mark.row("TOY-24")
@pytest.mark.parametrize(
    ("head", "refused"),
    [
        (HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(200)), 431),
        (HEAD + b"X-Long: " + b"a" * 300_000 + b"\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: cds.example\r\n", 414),
        (b"GET /\r\n", 400),
    ],
    ids=["many", "long", "address", "no version"],
)
def test_a_flood_of_headers_is_refused(server: Server, head: bytes, refused: int) -> None:
    with connect(server) as connection:
        connection.sendall(head + b"\r\n")
        assert [status(answer) for answer in answers(connection)] in ([refused], [431])


def test_http_2_is_not_spoken(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert connection.recv(100) == b""


def test_after_all_that_the_server_still_answers(server: Server) -> None:
    assert server.process.poll() is None
    assert requests.post(server.base + VIEW, json=request_body(), timeout=10).status_code == 200
