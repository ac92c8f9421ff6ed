"""Prometheus metrics of calls, cards and the state of the parts.

No caller chooses a label value: each comes from the knowledge, from the operator's settings, or from a list of fixed
words. So callers cannot add series, and no label holds patient data.

Under `cds serve` the processes write their numbers into files of one folder, and the process that answers adds them
up. Under another server, and in tests, a process reports only its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import prometheus_client
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from cds_service import __version__
from cds_service.egress.breaker import State
from cds_service.fhir.fetch.client import Outcome
from cds_service.hooks.call_outcome import CallOutcome
from cds_service.hooks.observer import Step
from cds_service.store.recorder import Recorder
from cds_service.web.ops.workers import FOLDER

# Clients give up after five seconds; a small call takes one millisecond.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_STATES: tuple[State, ...] = ("closed", "half-open", "open")
# Most distinct reasons as label values; there are about twenty.
_MOST_REASONS = 50
_UNKNOWN, _OTHER = "unknown", "other"

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Service(Protocol):
    """The members of a service that metrics need."""

    @property
    def hook(self) -> str: ...


Family = TypeVar("Family", bound=MetricWrapperBase)


class _Children(dict[tuple[object, ...], Family], Generic[Family]):
    """The children of a metric by their labels; each is created in the library once."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, labels: tuple[object, ...]) -> Family:
        child: Family = self._family.labels(*labels)
        self[labels] = child
        return child


class Metrics:
    """The metrics of one process, shared by its threads and by its applications across reloads.

    As a CallObserver it ignores steps (`step`) and counts fetched lists (`fetched`).
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = self._counter("calls", "Calls of a service.", "service", "hook", "status")
        self._seconds = self._histogram("call_seconds", "How long calls of a service took.", "service")
        self._requests = self._counter("requests", "All requests, also those to /rules and so on.", "route", "status")
        self._cards = self._counter("cards", "Cards that were shown.", "rule", "indicator")
        self._withheld = self._counter("cards_withheld", "Rules without a card, by reason.", "rule", "reason")
        self._unread = self._counter("unread_lists", "Unread or incomplete lists that matter to the result.", "list")
        self._unmatched = self._counter("unmatched_codes", "Entries whose codes are in no value set.", "resource")
        self._fetches = self._counter("fetches", "Lists queried from FHIR servers.", "list", "outcome")
        self._fetch_seconds = self._histogram("fetch_seconds", "How long queries of FHIR servers took, with all pages.")
        self._feedback = self._counter("feedback", "Entries of feedback that were stored.", "service", "outcome")
        self._refused = self._counter("tokens_refused", "Callers that could not be identified.", "reason")
        self._unchecked = self._counter("tokens_not_checked", "Tokens whose earlier use could not be checked.")
        self._written = self._counter("records_written", "Records of calls written to the database.")
        self._dropped = self._counter("records_dropped", "Records of calls that are lost.")
        self._reloads = self._counter("reloads", "Attempts to reload knowledge and clients.", "outcome")
        self._waiting = self._gauge("records_waiting", "Records of calls that wait to be written.")
        self._servers = self._gauge("servers", "Processes for which a server is in this state.", "server", "state")
        self._degraded = self._gauge("degraded", "Processes for which a part is out of order.", "part")
        self._knowledge = self._gauge("knowledge", "Processes that serve this version of the knowledge.", "version")
        build = self._gauge("build", "Processes of this build.", "version")
        build[(__version__,)].set(1)
        self._reported = 0, 0
        self._lock = threading.Lock()

    def _counter(self, name: str, text: str, *labels: str) -> _Children[Counter]:
        return _children(Counter(f"cds_{name}", text, labels, registry=self._registry), labels)

    def _gauge(self, name: str, text: str, *labels: str) -> _Children[Gauge]:
        made = Gauge(f"cds_{name}", text, labels, registry=self._registry, multiprocess_mode="livesum")
        return _children(made, labels)

    def _histogram(self, name: str, text: str, *labels: str) -> _Children[Histogram]:
        return _children(Histogram(f"cds_{name}", text, labels, registry=self._registry, buckets=_SECONDS), labels)

    def observe(self, app: Flask, services: Mapping[str, Service]) -> None:
        """Counts the requests of this app from now on."""

        def finish(response: Response) -> Response:
            status = response.status_code
            endpoint = request.endpoint
            self._requests[endpoint or _UNKNOWN, status].inc()
            if endpoint == "call" and request.method == "POST":
                self._called(services, status)
            if status == 401:
                self._refused[(self._reason(g.get("fields", {}).get("reason")),)].inc()
            return response

        app.after_request(finish)

    def _called(self, services: Mapping[str, Service], status: int) -> None:
        name = (request.view_args or {}).get("service_id", "")
        service = services.get(name)
        if service is None:
            self._calls[_UNKNOWN, _UNKNOWN, status].inc()
            return
        self._calls[name, service.hook, status].inc()
        self._seconds[(name,)].observe(perf_counter() - g.start)
        outcome: CallOutcome | None = g.get("outcome")
        if outcome is None:
            return
        for card in outcome.cards:
            if card.shown and status == 200:
                self._cards[card.rule, card.indicator].inc()
        for withheld in outcome.withheld:
            self._withheld[withheld.rule, withheld.reason.value].inc()
        for each in outcome.unread:
            self._unread[(each,)].inc()
        for resource, counts in g.fields.get("unmatched", {}).items():
            self._unmatched[(resource,)].inc(sum(counts.values()))

    def _reason(self, reason: str | None) -> str:
        """The label value of a reason; caps the number of distinct reasons."""
        if reason is None or ((reason,) not in self._refused and len(self._refused) >= _MOST_REASONS):
            return _OTHER
        return reason

    def step(self, name: Step) -> AbstractContextManager[object]:
        return _NOTHING

    def fetched(self, name: str, began: float, seconds: float, outcome: Outcome) -> None:
        self._fetches[name, outcome].inc()
        self._fetch_seconds[()].observe(seconds)

    def answered(self, service: str, outcomes: Collection[str]) -> None:
        """Counts stored feedback, by the outcome of each entry."""
        for outcome in outcomes:
            self._feedback[service, outcome].inc()

    def not_checked(self) -> None:
        """Counts a token whose earlier use could not be checked."""
        self._unchecked[()].inc()

    def reloaded(self, *, refused: bool) -> None:
        """Counts an attempt to reload."""
        self._reloads[("refused" if refused else "done",)].inc()

    def serves(self, version: str) -> None:
        """Reports the version of the knowledge that this process serves."""
        for known in self._knowledge:
            self._knowledge[known].set(0)
        self._knowledge[(version,)].set(1)

    def refresh(self, recorder: Recorder, states: Mapping[str, State], degraded: Mapping[str, bool]) -> None:
        """Sets the gauges of this process.

        Args:
            states: host and port of each server called so far -> state of its circuit breaker.
            degraded: part -> whether it is out of order.
        """
        with self._lock:
            written, dropped = recorder.written, recorder.dropped
            self._written[()].inc(written - self._reported[0])
            self._dropped[()].inc(dropped - self._reported[1])
            self._reported = written, dropped
        self._waiting[()].set(recorder.waiting)
        for server, state in states.items():
            for each in _STATES:
                self._servers[server, each].set(state == each)
        for part, is_degraded in degraded.items():
            self._degraded[(part,)].set(is_degraded)

    def page(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, and its content type.

        Args:
            accept: the Accept header of the request.
        """
        registry = self._registry
        if folder := os.environ.get(FOLDER):
            _remove_ended(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type


_NOTHING = nullcontext()


def _children(family: Family, labels: tuple[str, ...]) -> _Children[Family]:
    children = _Children(family)
    if not labels:
        children[()] = family
    return children


def _remove_ended(folder: Path) -> None:
    """Removes the gauges of processes that have ended; their counters stay."""
    for path in folder.glob("gauge_live*.db"):
        number = int(path.stem.rpartition("_")[2])
        if not _is_alive(number):
            with suppress(FileNotFoundError):
                mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
