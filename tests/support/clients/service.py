"""The service as it is started in earnest, `cds serve` in a process of its own, and what it has stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackEvent, FeedbackStore
from tests.support.paths import ROOT
from tests.support.ports import free_port

_OWN_DOORS = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@dataclass(frozen=True)
class Service:
    """The service while it runs.

    Attributes:
        base: the URL that clients were given.
        log: file with what it has printed.
    """

    base: str
    database_url: str
    log: Path

    def stored(self, card: str) -> list[FeedbackEvent]:
        """The feedback on a card, read back from the database file."""
        database = Database(self.database_url)
        try:
            return [event for event in FeedbackStore(database).events() if event.card == card]
        finally:
            database.close()


@contextmanager
def serving(folder: Path, clients: Sequence[Mapping[str, Any]] = (), **variables: str) -> Iterator[Service]:
    """Starts the service and ends it: closed if there are clients to be known, else open to everybody.

    Args:
        clients: the entries of the client file.
        variables: further settings, without CDS_.
    """
    port = free_port()
    base, database = f"http://127.0.0.1:{port}", f"sqlite:///{folder}/cds.db"
    chosen = {"PORT": str(port), "PUBLIC_URL": base, "DATABASE_URL": database, "WORKERS": "1", "SANDBOX": "1"}
    if clients:
        (folder / "clients.yaml").write_text(json.dumps({"clients": list(clients)}), encoding="utf-8")
        chosen["CLIENTS"] = str(folder / "clients.yaml")
    else:
        chosen["OPEN"] = "1"
    outside = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    settings = {f"CDS_{name}": value for name, value in (chosen | variables).items()}
    log = folder / "service.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cds_service", "serve"],
            # The checkout that the test is in, even if another one is installed.
            cwd=ROOT,
            env=outside | _OWN_DOORS | settings,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, base, log)
        yield Service(base, database, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if requests.get(f"{base}/health/ready", timeout=1).status_code == 200:
                return
        except requests.RequestException:
            pass
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, "the service did not get ready"
        time.sleep(0.05)
