"""OpenTelemetry spans of calls, if CDS_TRACING is set; otherwise OpenTelemetry is not imported.

    call ─┬─ identify              the caller: token and keys
          ├─ acquire ── fetch      one for each list queried from the FHIR server
          ├─ read, evaluate, cards
          └─ store                 feedback

Attributes are ids of services, names of lists, fixed words and numbers. The library's own instrumentations are not
used: they would record URLs, which hold patients' ids, and the texts of errors.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from cds_service import __version__
from cds_service.errors import SettingsError
from cds_service.fhir.fetch.client import Outcome
from cds_service.hooks.observer import CallObserver, Step

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

_TRACED = frozenset({"discovery", "call", "feedback"})
# Fields of the log line that become attributes.
_FIELDS = ("service", "hook", "client")


class Tracing:
    """A CallObserver that makes spans, and forwards each event to another observer.

    Args:
        tracer: of the OpenTelemetry SDK.
        other: the observer to forward to.
    """

    def __init__(self, tracer: Tracer, other: CallObserver) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._other = other
        self._context, self._trace = context, trace
        self._traceparent = TraceContextTextMapPropagator()

    def step(self, name: Step) -> AbstractContextManager[object]:
        # The text of an exception may hold data of the request.
        return self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)

    def fetched(self, name: str, began: float, seconds: float, outcome: Outcome) -> None:
        self._other.fetched(name, began, seconds, outcome)
        start = time.time_ns() - int((time.monotonic() - began) * 1e9)
        span = self._tracer.start_span(
            "fetch",
            start_time=start,
            kind=self._trace.SpanKind.CLIENT,
            attributes={"cds.list": name, "cds.outcome": outcome},
        )
        span.end(start + int(seconds * 1e9))

    def answered(self, service: str, outcomes: Collection[str]) -> None:
        self._other.answered(service, outcomes)

    def observe(self, app: Flask, knowledge_version: str) -> None:
        """Makes each call of this app a span, a child of the caller's if it sends a `traceparent`."""

        def begin() -> None:
            if request.endpoint not in _TRACED:
                return
            # Neither `tracestate` nor `baggage`: their content is arbitrary.
            given = request.headers.get("traceparent")
            parent = self._traceparent.extract({"traceparent": given}) if given else self._context.Context()
            span = self._tracer.start_span(request.endpoint, parent, kind=self._trace.SpanKind.SERVER)
            g.span, g.span_token = span, self._context.attach(self._trace.set_span_in_context(span, parent))

        def describe(response: Response) -> Response:
            span: Span | None = g.get("span")
            if span is not None:
                span.set_attributes(_attributes(response.status_code, knowledge_version))
                if response.status_code >= 500:
                    span.set_status(self._trace.StatusCode.ERROR)
            return response

        def end(_: BaseException | None) -> None:
            span: Span | None = g.pop("span", None)
            if span is not None:
                self._context.detach(g.pop("span_token"))
                span.end()

        app.before_request(begin)
        app.after_request(describe)
        app.teardown_request(end)


def _attributes(status: int, knowledge_version: str) -> dict[str, str | int]:
    fields: dict[str, Any] = g.get("fields", {})
    return {
        "http.request.method": request.method,
        "http.route": request.url_rule.rule if request.url_rule else "",
        "http.response.status_code": status,
        "cds.correlation": g.correlation,
        "cds.knowledge": knowledge_version,
        "cds.cards": len(fields.get("cards", ())),
        **{f"cds.{name}": fields[name] for name in _FIELDS if name in fields},
    }


def start_tracing(other: CallObserver) -> Tracing:
    """An exporter of spans by OTLP over HTTP, configured by the standard OTEL_ variables.

    Args:
        other: the observer to forward to.
    Raises:
        SettingsError: the libraries are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            "CDS_TRACING: the libraries for traces are not installed. Install cds-service[tracing], or write 0."
        ) from error
    provider = make_provider(BatchSpanProcessor(OTLPSpanExporter()))
    _at_the_end(provider.shutdown)
    return Tracing(provider.get_tracer("cds_service"), other)


def make_provider(processor: SpanProcessor) -> TracerProvider:
    """A tracer provider whose spans go to the processor."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = os.environ.get("OTEL_SERVICE_NAME") or "cds-service"
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": __version__}), shutdown_on_exit=False
    )
    provider.add_span_processor(processor)
    return provider


def _at_the_end(finish: Callable[[], None]) -> None:
    """Calls the function when the process ends. Worker processes of a server do not run `atexit` functions."""

    def wait() -> None:
        threading.main_thread().join()
        finish()

    threading.Thread(target=wait, name="tracing", daemon=False).start()
