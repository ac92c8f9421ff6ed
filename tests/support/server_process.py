"""The server with the recorder as its app, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from tests.support.paths import ROOT
from tests.support.ports import free_port

START = "from cds_service.cli.main import run_server; from cds_service.settings import load_settings;"


class Server:
    """A server process with two workers, in a process group of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.database = f"sqlite:///{folder}/cds.db"
        settings = {"PORT": str(self.port), "OPEN": "1", "WORKERS": "2", "THREADS": "8", "DATABASE_URL": self.database}
        self.process = subprocess.Popen(
            [sys.executable, "-c", START + "run_server(load_settings(), 'tests.support.recorder_app:app')"],
            env=os.environ | {f"CDS_{k}": v for k, v in (settings | variables).items()} | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, self.process.stdout and self.process.stdout.read().decode()
            assert time.monotonic() < deadline, "the server did not get ready"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return requests.get(self.base + "/health/ready", timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self, how: int) -> int:
        """Sends the whole group a signal and gives the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        code = self.process.wait(20)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    """Waits until it is so, and fails if it never is."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(server: Server) -> list[int]:
    """Process ids of the workers."""
    pid = server.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
