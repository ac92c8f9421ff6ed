"""A hospital's FHIR server on loopback, with worked patients in it; it may ask for a token."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.sandbox.fhir_api import sandbox_blueprint


@dataclass
class Chart:
    """The server while it runs.

    Attributes:
        base: its FHIR base URL.
        tokens: bearer tokens it takes; none: it asks for no token.
        asked: path and User-Agent of every request that was let in, in order.
    """

    base: str
    tokens: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Keep the tests quiet."""


@contextmanager
def chart_server(patients: Sequence[WorkedPatient]) -> Iterator[Chart]:
    """Serves these patients, told as of today, at /sandbox/fhir of a free loopback port."""
    app = Flask("chart")
    chart = Chart("")

    @app.before_request
    def admit() -> Response | None:
        if chart.tokens and request.headers.get("Authorization", "") not in {f"Bearer {one}" for one in chart.tokens}:
            return Response(status=401)
        chart.asked.append((request.full_path.rstrip("?"), request.headers.get("User-Agent", "")))
        return None

    app.register_blueprint(sandbox_blueprint(patients, load_knowledge().terminology, partial(datetime.now, UTC)))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    chart.base = f"http://127.0.0.1:{server.server_port}/sandbox/fhir"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield chart
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
