"""Throughput of the app next to a bare Flask app that only parses the body: same server, same 8 kB call.

    python bench/bench_wire.py [seconds]

The evaluation is left out (it answers one fixed card), so what is measured is the way in and out.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

HERE = Path(__file__).resolve().parent
SERVICE = "/cds-services/vitamin-b12-patient-view"
CLIENTS = 8

BARE = """
import json
from flask import Flask, request
app = Flask(__name__)
@app.post("/cds-services/<service_id>")
def call(service_id):
    request.get_json()
    return app.response_class(json.dumps({"cards": []}), content_type="application/json")
@app.get("/health/ready")
def ready():
    return "ok"
"""

OURS = """
from recorder import card, discovery, knowledge
from cds_service.logs import configure
from cds_service.settings import load_settings
from cds_service.web.app import create_app
reply = {"cards": [card()]}
configure("info")
app = create_app(load_settings(), knowledge=knowledge(), answer=lambda *_: reply, discovery=discovery)
"""


def body(size: int = 8000) -> bytes:
    """A patient-view call with a prefetch of invented Observations."""
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2132-9"}]},
        "subject": {"reference": "Patient/bench"},
        "effectiveDateTime": "2026-01-01",
        "valueQuantity": {"value": 300, "system": "http://unitsofmeasure.org", "code": "pg/mL"},
    }
    entries: list[object] = []
    call = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "bench"},
        "prefetch": {"results": {"resourceType": "Bundle", "type": "searchset", "entry": entries}, "problems": None},
    }
    while len(encoded := msgspec.json.encode(call)) < size:
        entries.append({"fullUrl": f"https://ehr.example/r4/Observation/{len(entries)}", "resource": observation})
    return encoded


def measure(app: str, seconds: float) -> tuple[float, float]:
    """Calls per second, and milliseconds of CPU per call, of a WSGI app under granian with one worker."""
    with TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        Path(folder, "bare.py").write_text(BARE)
        Path(folder, "ours.py").write_text(OURS)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([folder, str(HERE.parent / "tests"), str(HERE.parent)]),
            "CDS_OPEN": "1",
            "CDS_PORT": str(port),
            "CDS_WORKERS": "1",
            "CDS_DATABASE_URL": f"sqlite:///{folder}/cds.db",
        }
        start = "from cds_service.cli import run_server; from cds_service.settings import load_settings;"
        server = subprocess.Popen(
            [sys.executable, "-c", f"{start} run_server(load_settings(), '{app}')"],
            env=environment,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until_ready(port)
            run(port, 1.0)
            before = cpu(server.pid)
            calls = run(port, seconds)
            return calls / seconds, (cpu(server.pid) - before) * 1000 / calls
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_until_ready(port: int) -> None:
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)


def cpu(group: int) -> float:
    """CPU seconds of all processes of a group (Linux)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run(port: int, seconds: float) -> int:
    """Calls made by all clients together, each on a connection kept alive."""
    content = body()
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    message = head.encode() + b"\r\n\r\n" + content
    counts = [0] * CLIENTS
    until = time.monotonic() + seconds

    def client(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.monotonic() < until:
                connection.sendall(message)
                receive(connection)
                counts[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def receive(connection: socket.socket) -> None:
    """Reads one whole reply with status 200."""
    reply = b""
    while b"\r\n\r\n" not in reply:
        reply += connection.recv(65536)
    head, _, content = reply.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(reply[:200].decode(errors="replace"))
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
    while len(content) < length:
        content += connection.recv(65536)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    print(f"{len(body())} bytes, {CLIENTS} clients, 1 worker, {seconds:g} s each")
    results = {}
    for name, app in (("bare Flask", "bare:app"), ("cds-service", "ours:app")):
        results[name] = measure(app, seconds)
        print(f"{name:12} {results[name][0]:8.0f} calls/s  {results[name][1]:.3f} ms CPU per call")
    print(f"ratio        {results['cds-service'][0] / results['bare Flask'][0]:8.2f}")


if __name__ == "__main__":
    main()
