"""FHIR queries to the pages that a server answers: several at once, all by one deadline.

What the prefetch of a request left out is fetched here. A server may be slow, wrong or hostile; whatever it does
becomes a `failure` or an `incomplete`, never an exception and never a silent "nothing found".
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import urljoin

from cds_service.egress.egress import Cancellation, Egress, HttpResponse
from cds_service.errors import EgressError
from cds_service.fhir.bundle import ParsedResource, open_resource
from cds_service.gaps import Gap, GapKind

# Threads mostly wait for servers. A call lives no longer than its request's deadline, so with this many a server that
# hangs holds up others for one deadline at most.
_THREADS = 64
# Unless a client's profile says otherwise: ten pages of 200 entries.
MOST_PAGES = 10
_TRY_LATER = (429, 503)

# The result of a query in few values, for metrics and traces.
Outcome = Literal[
    "whole", "part", "timed out", "no connection", "circuit open", "HTTP 4xx", "HTTP 5xx", "HTTP other", "unusable"
]
_OUTCOMES: Mapping[GapKind, Outcome] = {
    GapKind.TIMED_OUT: "timed out",
    GapKind.CIRCUIT_OPEN: "circuit open",
    GapKind.NO_CONNECTION: "no connection",
    GapKind.NO_CONNECTION_IN_TIME: "no connection",
    GapKind.CONNECTION_CLOSED: "no connection",
    GapKind.TLS_FAILED: "no connection",
    GapKind.ANSWER_BROKEN_OFF: "no connection",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of one query.

    Attributes:
        pages: the Bundles (or the one resource of a read) as bytes, in order.
        failure: why there is nothing; None if the first page came.
        incomplete: why a part is missing; None if all pages came.
        began: `time.monotonic()` at which the query began; `seconds`: how long it took.
    """

    pages: tuple[bytes, ...] = ()
    failure: Gap | None = None
    incomplete: Gap | None = None
    began: float = field(default=0.0, compare=False)
    seconds: float = field(default=0.0, compare=False)

    @property
    def outcome(self) -> Outcome:
        """The result as a label of metrics and traces."""
        if self.failure is None:
            return "whole" if self.incomplete is None else "part"
        match self.failure.status // 100:
            case 0:
                return _OUTCOMES.get(self.failure.kind, "unusable")
            case 4:
                return "HTTP 4xx"
            case 5:
                return "HTTP 5xx"
        return "HTTP other"


def fhir_headers(token: str | None = None) -> dict[str, str]:
    """The headers of a request to a FHIR server, with its bearer token if it needs one."""
    accept = {"Accept": "application/fhir+json"}
    return accept if token is None else {**accept, "Authorization": f"Bearer {token}"}


def fetch_all(
    egress: Egress,
    base: str,
    token: str | None,
    queries: Mapping[str, str],
    *,
    deadline: float,
    max_pages: int = MOST_PAGES,
    max_bytes: int = 20_000_000,
    spare: Collection[str] = (),
) -> dict[str, Fetched]:
    """Runs FHIR queries against one server at the same time and returns what each brought, by the same keys.

    Args:
        base: the FHIR server, e.g. "https://ehr.example/fhir".
        token: bearer token; sent to addresses at or below `base` only, as every call here is.
        queries: relative to `base`: a read such as "Patient/123" or a search such as "Condition?patient=123".
        deadline: the instant on time.monotonic() by which this function returns, come what may.
        max_pages, max_bytes: per query, over all pages.
        spare: keys that are not worth waiting for: they are cut off once the others have ended, if there are others.
    Raises:
        EgressError: `base` may not be called at all. Nothing a server does raises.
    """
    egress.check(base)
    server = _Server(egress, base.rstrip("/"), token, deadline, max_pages, max_bytes)
    runs = {query: _Run(query) for query in queries.values()}
    tasks: dict[Future[None], _Run] = {_pool().submit(server.run, run): run for run in runs.values()}
    awaited = {query for key, query in queries.items() if key not in spare}
    waited_for = [task for task, run in tasks.items() if run.query in awaited] or tasks
    wait(waited_for, timeout=max(0.0, deadline - time.monotonic()))
    done = [task for task in tasks if task.done()]
    for task in tasks.keys() - done:
        task.cancel()
        tasks[task].call.cut()
    for task in done:
        task.result()
    results = {run.query: run.outcome() for run in tasks.values()}
    return {key: results[query] for key, query in queries.items()}


@dataclass(slots=True)
class _Run:
    """One query under way. The thread that waits reads it when time is up, so `pages` only ever grows."""

    query: str
    pages: list[bytes] = field(default_factory=list)
    entries: int = 0
    ended: bool = False
    fault: Gap | None = None
    call: Cancellation = field(default_factory=Cancellation)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def outcome(self) -> Fetched:
        ended, fault, pages = self.ended, self.fault, tuple(self.pages)
        seconds = self.seconds if ended else time.monotonic() - self.began
        if not ended:
            fault = Gap(GapKind.TIMED_OUT)
        if not pages:
            return Fetched(failure=fault, began=self.began, seconds=seconds)
        return Fetched(pages, incomplete=fault, began=self.began, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Server:
    egress: Egress
    base: str
    token: str | None
    deadline: float
    max_pages: int
    max_bytes: int

    def run(self, run: _Run) -> None:
        try:
            run.fault = self._pages(run)
        except EgressError as error:
            run.fault = _on_page(len(run.pages) + 1, error.gap)
        run.seconds = time.monotonic() - run.began
        run.ended = True

    def _pages(self, run: _Run) -> Gap | None:
        """Fetches page by page; returns why the pages are not all there, None if they are."""
        is_search = "?" in run.query
        url = f"{self.base}/{run.query}"
        seen: set[str] = set()
        budget = self.max_bytes
        while True:
            if url in seen:
                return Gap(GapKind.PAGES_IN_A_CIRCLE)
            if len(seen) == self.max_pages:
                return Gap(GapKind.TOO_MANY_PAGES, count=self.max_pages)
            seen.add(url)
            answer = self._answer(url, run.call, budget)
            opened = open_resource(answer.body) if answer.status == 200 else ParsedResource()
            fault = _fault(answer, opened, is_search, run.query)
            # A Bundle may hold an error beside its entries: those are kept, and said to be incomplete.
            has_entries = is_search and opened.entries and fault is not None and fault.kind is GapKind.OPERATION_OUTCOME
            if fault and not has_entries:
                return _on_page(len(seen), fault)
            budget -= len(answer.body)
            run.entries += len(opened.entries) + opened.unreadable
            run.pages.append(answer.body)
            if fault:
                return fault
            if opened.next_url is None:
                return _shortfall(opened, run.entries)
            url = urljoin(f"{self.base}/", opened.next_url)
            try:
                # Behind a proxy some servers write their inner address, e.g. http://localhost:8080/fhir. Following
                # it would carry the token and the patient elsewhere; guessing the outer address would be guessing.
                self.egress.check(url, below=self.base)
            except EgressError:
                return Gap(GapKind.PAGE_OUTSIDE_SERVER, page=len(seen) + 1)

    def _answer(self, url: str, call: Cancellation, max_bytes: int) -> HttpResponse:
        self.egress.check(url, below=self.base)
        headers = fhir_headers(self.token)
        answer = self.egress.get(url, headers=headers, deadline=self.deadline, max_bytes=max_bytes, call=call)
        pause = answer.retry_after
        if answer.status in _TRY_LATER and pause is not None and pause < self.deadline - time.monotonic():
            time.sleep(pause)
            answer = self.egress.get(url, headers=headers, deadline=self.deadline, max_bytes=max_bytes, call=call)
        return answer


def _on_page(page: int, fault: Gap) -> Gap:
    """A fault with the page it happened on; on the first page, it is the fault of the whole query."""
    return fault if page == 1 else Gap(GapKind.PAGE, page=page, cause=fault)


def _fault(answer: HttpResponse, opened: ParsedResource, is_search: bool, query: str) -> Gap | None:
    """What is wrong with an answer; None if it is what was asked for."""
    if answer.status != 200:
        if answer.retry_after:
            return Gap(GapKind.HTTP_STATUS_RETRY_LATER, status=answer.status, seconds=round(answer.retry_after))
        return Gap(GapKind.HTTP_STATUS, status=answer.status)
    # In a Bundle of another type, entries need not be what was asked for: a history holds what is no longer so.
    if is_search and opened.bundle_type not in (None, "searchset"):
        return Gap(GapKind.NOT_A_SEARCHSET)
    if opened.outcome is not None:
        return Gap(GapKind.OPERATION_OUTCOME, issues=opened.outcome)
    if not opened.resource_type:
        return Gap(GapKind.NOT_FHIR)
    wanted = "Bundle" if is_search else query.partition("/")[0]
    if opened.resource_type != wanted:
        return Gap(GapKind.NOT_OF_TYPE, resource=wanted)
    return None


def _shortfall(last: ParsedResource, entries: int) -> Gap | None:
    if last.total is not None and entries < last.total:
        return Gap(GapKind.FEWER_THAN_TOTAL, count=entries, total=last.total)
    return None


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """One pool per process, made at the first call: threads do not survive the fork of a server's workers."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="fhir-fetch")
