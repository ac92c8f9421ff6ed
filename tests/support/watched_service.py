"""A service as a process of its own, and canaries looked for in all that it wrote and answered."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support.canaries import COMMENT, leaks
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.recorder import VIEW

KEY = "canary-hash-key-of-thirty-two-letters"


@dataclass
class Service:
    """A server process, and what it answered."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    answers: list[requests.Response] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, method: str, path: str, **more: Any) -> int:
        """The status of the answer, which is kept."""
        answer = requests.request(method, self.base + path, timeout=20, **more)
        self.answers.append(answer)
        return answer.status_code

    def post(self, body: Any, path: str = VIEW, **headers: str) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.send("POST", path, data=content, headers=named)

    def raw(self, content: bytes) -> bytes:
        """What comes back for bytes that need not be HTTP."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def ends(self) -> bytes:
        """Ends the process and gives what it wrote."""
        os.killpg(self.process.pid, signal.SIGTERM)
        written, _ = self.process.communicate(timeout=30)
        return written

    def found_in_answers(self) -> list[str]:
        found = []
        for answer in self.answers:
            found += leaks(f"{answer.reason} {dict(answer.headers)}")
            if answer.status_code != 200:
                found += leaks(answer.content)
        return found

    def found_in_files(self) -> list[str]:
        # The comment of a user is what feedback is for.
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".yaml"]
        assert any(path.name == "cds.db" for path in files)
        return [hit for path in files for hit in leaks(path.read_bytes(), COMMENT)]


@contextmanager
def serving(folder: Path, command: list[str], **variables: str) -> Iterator[Service]:
    """Starts a service on a database in this folder and ends it; `variables` are settings without their CDS_."""
    port = free_port()
    chosen = {
        "PORT": str(port), "WORKERS": "1", "THREADS": "4", "LOG_LEVEL": "debug", "HASH_KEY": KEY,
        "DATABASE_URL": f"sqlite:///{folder}/cds.db", **variables,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | {f"CDS_{name}": value for name, value in chosen.items()} | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    service = Service(folder, port, process)
    try:
        _until_ready(service)
        yield service
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def _until_ready(service: Service) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if requests.get(service.base + "/health/ready", timeout=1).status_code == 200:
                return
        except requests.RequestException:
            pass
        assert service.process.poll() is None, service.process.stdout and service.process.stdout.read().decode()
        assert time.monotonic() < deadline, "the server did not get ready"
        time.sleep(0.1)


def lines(written: bytes, event: str) -> list[dict[str, Any]]:
    """The lines of the log about one kind of event."""
    found = [json.loads(line) for line in written.splitlines() if line.startswith(b"{")]
    return [line for line in found if line["event"] == event]
