"""Traces of calls: which spans there are, whose they are, that none tells of a patient, that all is off by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cds_service.errors import SettingsError
from cds_service.hooks.observer import NULL_OBSERVER
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from cds_service.web.ops.tracing import Tracing, make_provider, start_tracing
from cds_service.web.runtime import Runtime
from tests.support.canaries import AUTHORIZATION, PATIENT, TOKEN, calling, leaks, person, selecting
from tests.support.databases import sqlite_url
from tests.support.fault_server import fault_server, hang_up, outcome, resource, status
from tests.support.feedback import OVERRIDDEN
from tests.support.real_inputs import SAMPLES, sample_request
from tests.support.recorder import VIEW, Recorder, discovery, knowledge, request_body
from tests.support.watched_service import serving

CALLER, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Traced:
    """An app and the spans of what it is asked."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = make_provider(SimpleSpanProcessor(self.exporter))
        given = settings.pop("app", {})
        members: dict[str, Any] = {"open": True, "database_url": sqlite_url(folder)}
        values = Settings(**members | settings)
        self.runtime = Runtime.of(values)
        self.runtime.tracing = Tracing(self.provider.get_tracer("test"), self.runtime.metrics)
        self.client: FlaskClient = create_app(values, runtime=self.runtime, **given).test_client()

    def spans(self) -> list[ReadableSpan]:
        """Those that have ended since the last time, the latest first."""
        found = list(reversed(self.exporter.get_finished_spans()))
        self.exporter.clear()
        return found

    def tree(self) -> list[tuple[str, str | None]]:
        """Name of each span, and that of the span it is in, in the order in which they began."""
        spans = sorted(self.spans(), key=lambda span: span.start_time or 0)
        names = {span.context.span_id: span.name for span in spans}
        return [(span.name, names.get(span.parent.span_id) if span.parent else None) for span in spans]

    def text(self) -> str:
        return "\n".join(span.to_json() for span in self.spans())

    def close(self) -> None:
        self.runtime.database.close()
        self.provider.shutdown()


@pytest.fixture
def make_traced(tmp_path: Path) -> Iterator[Callable[..., Traced]]:
    made: list[Traced] = []

    def make(**settings: Any) -> Traced:
        made.append(Traced(tmp_path, **settings))
        return made[-1]

    yield make
    for traced in made:
        traced.close()


# --- Spans --------------------------------------------------------------------------------------------------------


def test_a_call_is_a_span_with_its_steps_in_it(make_traced: Callable[..., Traced]) -> None:
    traced = make_traced()
    body = sample_request(SAMPLES[0], "patient-view", prefetch=True)
    assert traced.client.post(VIEW, json=body).status_code == 200
    assert traced.tree() == [("call", None), *((step, "call") for step in STEPS)]


STEPS = ("identify", "acquire", "read", "evaluate", "cards")


def test_a_call_is_told_by_service_status_and_correlation_id(make_traced: Callable[..., Traced]) -> None:
    traced = make_traced()
    response = traced.client.post(VIEW, json=sample_request(SAMPLES[0], "patient-view", prefetch=True))
    (span,) = [span for span in traced.spans() if span.name == "call"]
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/cds-services/<service_id>",
        "http.response.status_code": 200,
        "cds.correlation": response.headers["X-Correlation-Id"],
        "cds.knowledge": response.headers["X-Knowledge-Version"],
        "cds.cards": len(response.json["cards"]),
        "cds.service": "vitamin-b12-patient-view",
        "cds.hook": "patient-view",
        "cds.client": "open",
    }
    assert span.status.is_unset
    assert span.resource.attributes["service.name"] == "cds-service"


def test_each_list_that_is_fetched_is_a_span_of_its_own(make_traced: Callable[..., Traced]) -> None:
    with fault_server() as ehr:
        traced = make_traced(fhir_allow=(ehr.base,), fhir_deadline=1)
        ehr.routes[f"Patient/{PATIENT}"] = resource(person())
        ehr.routes[f"Condition?patient={PATIENT}&_count=200"] = status(403)
        traced.client.post(VIEW, json=calling(prefetch={}, fhirServer=ehr.base, fhirAuthorization=AUTHORIZATION))
    spans = traced.spans()
    (acquire,) = [span for span in spans if span.name == "acquire"]
    fetched = {str((span.attributes or {})["cds.list"]): span for span in spans if span.name == "fetch"}
    assert {"patient", "labs", "conditions"} <= fetched.keys()
    assert (fetched["patient"].attributes or {})["cds.outcome"] == "whole"
    assert (fetched["conditions"].attributes or {})["cds.outcome"] == "HTTP 4xx"
    for span in fetched.values():
        assert span.parent is not None
        assert span.parent.span_id == acquire.context.span_id
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time < span.end_time
    assert 'cds_fetches_total{list="patient",outcome="whole"} 1.0' in traced.client.get("/metrics").text


def test_feedback_and_discovery_are_spans_too_and_nothing_else_is(make_traced: Callable[..., Traced]) -> None:
    traced = make_traced()
    traced.client.get("/cds-services")
    assert traced.tree() == [("discovery", None), ("identify", "discovery")]
    traced.client.post(f"{VIEW}/feedback", json={"feedback": [OVERRIDDEN]})
    assert traced.tree() == [("feedback", None), ("identify", "feedback"), ("store", "feedback")]
    for path in ("/", "/health/ready", "/health/live", "/metrics", "/rules", "/openapi.json", "/nowhere"):
        traced.client.get(path)
    assert traced.tree() == []


def test_a_call_that_we_fail_at_is_an_error_without_words(
    make_traced: Callable[..., Traced], recorder: Recorder
) -> None:
    traced = make_traced(app={"served": Served(knowledge(), recorder, discovery)})
    recorder.fails = ValueError("canary")
    assert traced.client.post(VIEW, json=request_body()).status_code == 500
    (span,) = [span for span in traced.spans() if span.name == "call"]
    assert (span.status.status_code.name, span.status.description, span.events) == ("ERROR", None, ())


def test_a_refused_call_ends_its_span_and_is_no_error(make_traced: Callable[..., Traced]) -> None:
    traced = make_traced()
    assert traced.client.post(VIEW, json=request_body(hook="order-sign")).status_code == 400
    (span,) = [span for span in traced.spans() if span.name == "call"]
    assert (span.attributes or {})["http.response.status_code"] == 400
    assert span.status.is_unset


# --- Callers --------------------------------------------------------------------------------------------------------


def test_a_call_belongs_to_the_trace_of_its_caller(make_traced: Callable[..., Traced]) -> None:
    traced = make_traced()
    traced.client.get("/cds-services", headers={"traceparent": f"00-{CALLER}-{PARENT}-01"})
    spans = traced.spans()
    assert {format(span.context.trace_id, "032x") for span in spans} == {CALLER}
    (outer,) = [span for span in spans if span.name == "discovery"]
    assert outer.parent is not None
    assert format(outer.parent.span_id, "016x") == PARENT


@pytest.mark.parametrize("header", ["", "canary", f"00-{'0' * 32}-{PARENT}-01", f"00-{CALLER}-{PARENT}"])
def test_a_traceparent_that_is_none_begins_a_new_trace(make_traced: Callable[..., Traced], header: str) -> None:
    traced = make_traced()
    traced.client.get("/cds-services", headers={"traceparent": header})
    (outer,) = [span for span in traced.spans() if span.name == "discovery"]
    assert outer.parent is None


def test_one_call_is_not_part_of_the_one_before_on_the_same_thread(make_traced: Callable[..., Traced]) -> None:
    traced = make_traced()
    for _ in range(3):
        traced.client.get("/cds-services")
    outer = [span for span in traced.spans() if span.name == "discovery"]
    assert [span.parent for span in outer] == [None] * 3
    assert len({span.context.trace_id for span in outer}) == 3


# --- Privacy ----------------------------------------------------------------------------------------------------------


def test_no_word_of_a_call_is_in_a_span(make_traced: Callable[..., Traced]) -> None:
    with fault_server() as ehr:
        traced = make_traced(fhir_allow=(ehr.base,), fhir_deadline=0.5, explain=True)
        canary = {
            "User-Agent": "canary",
            "X-Request-Id": "canary",
            "Accept-Language": "canary",
            "tracestate": "canary=canary",
            "baggage": "canary=canary",
            "traceparent": f"00-{CALLER}-{PARENT}-01",
            "Authorization": f"Bearer {TOKEN}",
        }
        asking = calling(prefetch={}, fhirServer=ehr.base, fhirAuthorization=AUTHORIZATION)
        for answer in (resource(person()), resource(outcome("canary")), status(500), hang_up):
            ehr.routes[f"Patient/{PATIENT}"] = answer
            traced.client.post(VIEW, json=asking, headers=canary)
        for body, path in (
            (calling(), VIEW),
            (selecting(), "/cds-services/vitamin-k-order-select"),
            (calling(hook="canary"), VIEW),
            (calling(context="canary"), VIEW),
            (calling(), "/cds-services/canary-service"),
            ({"feedback": [{"card": "canary", "outcome": "canary"}]}, f"{VIEW}/feedback"),
            ({"feedback": [OVERRIDDEN | {"card": "canary"}]}, f"{VIEW}/feedback"),
        ):
            traced.client.post(path, json=body, headers=canary)
        traced.client.get("/cds-services?canary=canary", headers=canary)
    text = traced.text()
    assert text.count('"name": "call"') >= 8
    assert not leaks(text)
    assert TOKEN not in text


def test_a_fault_of_ours_tells_a_span_nothing_of_the_request(
    make_traced: Callable[..., Traced], recorder: Recorder
) -> None:
    traced = make_traced(app={"served": Served(knowledge(), recorder, discovery)})
    recorder.fails = RuntimeError("canary")
    traced.client.post(VIEW, json=calling())
    assert not leaks(traced.text())


# --- On and off -------------------------------------------------------------------------------------------------------


def test_without_the_setting_nothing_of_opentelemetry_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from cds_service.settings import Settings; from cds_service.web.app import create_app;"
        f"app = create_app(Settings(open=True, database_url='sqlite:///{tmp_path}/cds.db'));"
        "app.test_client().get('/cds-services'); app.extensions['database'].close();"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))])"
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_the_libraries_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(SettingsError, match=r"^CDS_TRACING: .*Install cds-service\[tracing\]"):
        start_tracing(NULL_OBSERVER)


class Collector:
    """Takes what is exported, as a collector does."""

    def __init__(self) -> None:
        received: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Keep the tests quiet."""

        self.received = received
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def spans(self) -> list[Any]:
        found = []
        for path, content in self.received:
            assert path == "/v1/traces"
            for spans in ExportTraceServiceRequest.FromString(content).resource_spans:
                named = {each.key: each.value.string_value for each in spans.resource.attributes}
                assert named["service.name"] == "ward-cds"
                found += [span for scope in spans.scope_spans for span in scope.spans]
        return found


@pytest.mark.process
def test_a_service_that_is_told_to_stop_sends_its_last_spans_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ward-cds")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")  # not before the end
    try:
        with serving(tmp_path, ["-m", "cds_service", "serve"], OPEN="1", TRACING="1", WORKERS="2") as service:
            body = sample_request(SAMPLES[0], "patient-view", prefetch=True)
            for _ in range(6):
                assert service.post(body) == 200
            assert collector.received == []
            service.ends()
            assert service.process.returncode == 0
        names = [span.name for span in collector.spans()]
    finally:
        collector.close()
    assert names.count("call") == 6
    assert names.count("evaluate") == 6


@pytest.mark.process
def test_a_collector_that_is_gone_stops_no_call_and_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    with serving(tmp_path, ["-m", "cds_service", "serve"], OPEN="1", TRACING="1") as service:
        for _ in range(5):
            assert service.post(calling()) == 200
        written = service.ends()
        assert service.process.returncode == 0
    assert not leaks(written)
    assert all(json.loads(line) for line in written.splitlines() if line.startswith(b"{"))
