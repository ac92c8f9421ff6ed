"""A FHIR server on loopback that misbehaves on demand: slow, endless, broken off, going round in circles."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FaultServer:
    """The server while it runs.

    Attributes:
        base: its FHIR base URL.
        routes: path with query below `base`, as asked, to what happens then; anything else is a 404.
        seen: (path below the host, Authorization header) of every request, in order.
        over: set when the server ends, so that hanging answers end too.
    """

    base: str
    routes: dict[str, Answer] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


Answer = Callable[["_Handler"], None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go out in two writes, and the second would wait
    faults: FaultServer

    def do_GET(self) -> None:
        self.faults.seen.append((self.path, self.headers.get("Authorization")))
        answer = self.faults.routes.get(self.path.removeprefix("/fhir/"), status(404))
        try:
            answer(self)
        except OSError:  # the client went away, as it should
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Keep the tests quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a thread may still be busy with an endless answer
    request_queue_size = 256


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """Starts a server on a free loopback port and ends it."""

    class Handler(_Handler):
        pass

    server = _Server(("127.0.0.1", 0), Handler)
    Handler.faults = FaultServer(f"http://127.0.0.1:{server.server_port}/fhir")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Handler.faults
    finally:
        Handler.faults.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def observation(name: str) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"}}


def bundle(ids: Sequence[str], *, after: str | None = None, total: int | None = None) -> dict[str, Any]:
    """A searchset; `after` is the address of its next page."""
    found: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        found["total"] = total
    if after is not None:
        found["link"] = [{"relation": "next", "url": after}]
    found["entry"] = [{"resource": observation(name)} for name in ids]
    return found


def outcome(code: str, severity: str = "error") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


def resource(content: dict[str, Any]) -> Answer:
    return text(json.dumps(content))


def text(body: str, content_length: int | None = None) -> Answer:
    """A 200 with this body; a Content-Length above the body's own breaks the answer off."""

    def answer(handler: _Handler) -> None:
        encoded = body.encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/fhir+json")
        handler.send_header("Content-Length", str(content_length or len(encoded)))
        handler.end_headers()
        handler.wfile.write(encoded)
        handler.close_connection = handler.close_connection or content_length is not None

    return answer


def status(code: int, **headers: str) -> Answer:
    """An empty answer; `Retry_After="1"` becomes the header Retry-After."""

    def answer(handler: _Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """The first answer to the first request, and so on; the last one ever after."""
    left = list(answers)

    def answer(handler: _Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def slow(seconds: float, then: Answer) -> Answer:
    def answer(handler: _Handler) -> None:
        handler.faults.over.wait(seconds)
        then(handler)

    return answer


def hang(handler: _Handler) -> None:
    """Accepts the request and says nothing."""
    handler.faults.over.wait()


def hang_up(handler: _Handler) -> None:
    """Closes the connection without an answer."""
    handler.close_connection = True


def reset(handler: _Handler) -> None:
    """Ends the connection with a reset, in the middle of a body."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"resourceType": ')
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def packed(content: bytes, *, said: str = "gzip") -> Answer:
    """A 200 whose body is compressed, or not what its Content-Encoding says."""

    def answer(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", said)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def drip_headers(handler: _Handler) -> None:
    """Sends one byte of a header again and again: every socket time-out starts anew."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.faults.over.wait(0.02):
        handler.wfile.write(b"x")


def drip_body(handler: _Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not handler.faults.over.wait(0.02):
        handler.wfile.write(b" ")


def endless(handler: _Handler) -> None:
    """Ten gigabytes of blanks, made as they are sent."""
    size, block = 10_000_000_000, b" " * 65_536
    handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    for _ in range(size // len(block)):
        handler.wfile.write(block)
