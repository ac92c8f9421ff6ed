"""Our service next to a bare Flask app under the same server, for a small and a large call: ratios of one run.

    python bench/bench_calls.py [seconds per measurement]

The bare app only parses the same JSON and returns a constant card. Both run under granian with the same workers and
threads; rounds alternate between them, and the medians are compared. The client sends prepared bytes over kept-alive
connections, so that it costs little of the machine that it shares with the servers.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bodies import LARGE, SMALL

ROOT = Path(__file__).resolve().parent.parent
SERVICE = "/cds-services/vitamin-b12-patient-view"
WORKERS, THREADS, ROUNDS = 2, 8, 3
BARE = """
import json
from flask import Flask, request
app = Flask(__name__)
CARD = {"uuid": "x", "summary": "constant", "indicator": "info", "source": {"label": "bare"}}
@app.post("/cds-services/<service_id>")
def call(service_id):
    request.get_json()
    return app.response_class(json.dumps({"cards": [CARD]}), content_type="application/json")
@app.get("/health/ready")
def ready():
    return "ok"
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: calls a second, milliseconds per call (median, 99th percentile), CPU milliseconds per call."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """CPU seconds spent so far by the server and its workers."""
        return sum(_seconds(line.split()[1]) for line in self._family("time"))

    def memory(self) -> float:
        """Resident MiB of the server and its workers."""
        return sum(int(line.split()[1]) for line in self._family("rss")) / 1024

    def _family(self, column: str) -> list[str]:
        command = ["ps", "-A", "-o", f"pid=,{column}=,ppid="]
        listing = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = [line for line in listing.stdout.splitlines() if len(line.split()) == 3]
        mine, found = {str(self.process.pid)}, True
        while found:
            more = {r.split()[0] for r in rows if r.split()[2] in mine} - mine
            mine |= more
            found = bool(more)
        return [row for row in rows if row.split()[0] in mine]


def _seconds(written: str) -> float:
    """`ps` time: [[dd-]hh:]mm:ss[.cc]."""
    days, _, rest = written.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86_400 * int(days or 0)


@contextmanager
def serving(name: str, app: str, folder: Path) -> Iterator[Server]:
    """Runs an app under granian until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "CDS_OPEN": "1",
        "CDS_RATE_LIMIT": "off",
        "CDS_PORT": str(port),
        "CDS_WORKERS": str(WORKERS),
        "CDS_THREADS": str(THREADS),
        "CDS_DATABASE_URL": f"sqlite:///{folder}/bench.db",
    }
    # The very server that `cds serve` starts, for both apps.
    imports = "from cds_service.cli.main import run_server; from cds_service.settings import load_settings"
    command = [sys.executable, "-c", f"{imports}; run_server(load_settings(), {app!r})"]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(port, process, folder / f"{name}.log")
        yield Server(name, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server ended before it was ready:\n{log.read_text(errors='replace')}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the server did not become ready within 30 s")


def measure(server: Server, body: bytes, clients: int, seconds: float) -> Sample:
    """Calls from so many clients for so long. Any answer but a 200 with cards stops the run."""
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    times: list[list[float]] = [[] for _ in range(clients)]
    spent, start = server.cpu(), time.perf_counter()
    threads = [threading.Thread(target=_calls, args=(server.port, request, start + seconds, mine)) for mine in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, cpu = time.perf_counter() - start, server.cpu() - spent
    all_times = sorted(t for mine in times for t in mine)
    if not all_times:
        raise SystemExit(f"{server.name} answered no call")
    count = len(all_times)
    median, slow = all_times[count // 2], all_times[min(count - 1, int(count * 0.99))]
    return Sample(count / elapsed, median * 1e3, slow * 1e3, cpu / count * 1e3)


def _calls(port: int, request: bytes, until: float, times: list[float]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (start := time.perf_counter()) < until:
            connection.sendall(request)
            _answer(connection)
            times.append(time.perf_counter() - start)


def _answer(connection: socket.socket) -> None:
    received = connection.recv(65_536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        raise SystemExit(f"answered {head[:32]!r}")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= len(connection.recv(min(left, 65_536)))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {WORKERS} workers x {THREADS} threads")
    print(f"medians of {ROUNDS} rounds of {seconds:g} s; service {SERVICE.rpartition('/')[2]}, every rule switched on")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare_app.py").write_text(BARE, encoding="utf-8")
        ours_app = "cds_service.server.wsgi:app"
        with serving("bare", "bare_app:app", folder) as bare, serving("ours", ours_app, folder) as ours:
            before = ours.memory()
            for title, body in (("small", SMALL), ("large", LARGE)):
                for clients in (1, 16):
                    _compare(f"{title} {len(body):,} bytes, {clients} connections", bare, ours, body, clients, seconds)
            print(f"\nmemory of our processes: {before:.0f} MiB at the start, {ours.memory():.0f} MiB at the end")


def _compare(title: str, bare: Server, ours: Server, body: bytes, clients: int, seconds: float) -> None:
    rounds = [[measure(server, body, clients, seconds) for server in (bare, ours)] for _ in range(ROUNDS)]
    fields = ("rate", "p50", "p99", "cpu")
    b, o = (Sample(*(statistics.median(getattr(pair[i], f) for pair in rounds) for f in fields)) for i in (0, 1))
    print(f"\n{title}\n{'':10}{'calls/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}")
    for label, sample in (("bare", b), ("ours", o)):
        print(f"{label:10}{sample.rate:10.0f}{sample.p50:10.2f}{sample.p99:10.2f}{sample.cpu:10.2f}")
    print(f"{'ratio':10}{o.rate / b.rate:10.2f}{o.p50 / b.p50:10.2f}{o.p99 / b.p99:10.2f}{o.cpu / b.cpu:10.2f}")


if __name__ == "__main__":
    main()
