"""`cds serve` as a process of its own on a free loopback port, with sandbox and page, for a browser to visit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.support.ports import free_port

READY_WITHIN = 60


@contextmanager
def served(folder: Path, vouched_by: Path | None = None, **settings: str) -> Iterator[str]:
    """Its own address, as `make run` starts it; stopped afterwards.

    Args:
        folder: for its database and its log, which is shown if it does not start.
        vouched_by: who vouches for its certificate, if it speaks TLS (`tls_cert` and `tls_key`).
        settings: further settings, without their CDS_: `page_servers="hapi=http://..."`.
    """
    port = int(settings.get("port") or free_port())
    base = f"{'https' if vouched_by else 'http'}://127.0.0.1:{port}"
    values = {
        "open": "1",
        "sandbox": "1",
        "host": "127.0.0.1",
        "port": str(port),
        "public_url": base,
        "workers": "1",
        "database_url": f"sqlite:///{folder}/cds.db",
        "fhir_allow": f"{base}/sandbox/fhir",
    } | settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environment |= {f"CDS_{name.upper()}": value for name, value in values.items()}
    log = folder / f"service-{port}.log"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "cds_service", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            _until_ready(process, base, log, vouched_by)
            yield base
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_ready(process: subprocess.Popen[bytes], base: str, log: Path, vouched_by: Path | None) -> None:
    end = time.monotonic() + READY_WITHIN
    while not _answers(base, vouched_by):
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"the service did not get ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)


def _answers(base: str, vouched_by: Path | None) -> bool:
    try:
        return (
            requests.get(f"{base}/health/ready", timeout=2, verify=str(vouched_by) if vouched_by else True).status_code
            == 200
        )
    except requests.RequestException:
        return False
