"""FHIR queries to the pages that a server answers: several at once, all by one deadline.

What the prefetch of a request left out is fetched here. A server may be slow, wrong or hostile; whatever it does
becomes a `failure` or an `incomplete` in words, never an exception and never a silent "nothing found".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import urljoin

from cds_service.egress.egress import Cancellation, Egress, HttpResponse
from cds_service.errors import EgressError
from cds_service.fhir.bundle import ParsedResource, open_resource

# Threads mostly wait for servers. A call lives no longer than its request's deadline, so with this many a server that
# hangs holds up others for one deadline at most.
_THREADS = 64
# Unless a client's profile says otherwise: ten pages of 200 entries.
MOST_PAGES = 10
_TRY_LATER = (429, 503)
_NO_SEARCHSET = "a Bundle that is no searchset"

# What came of a query, in so few words that they can be counted.
Outcome = Literal[
    "whole", "part", "timed out", "no connection", "left alone", "HTTP 4xx", "HTTP 5xx", "HTTP other", "unusable"
]
_OUTCOMES: tuple[tuple[str, Outcome], ...] = (
    ("timed out", "timed out"),
    ("HTTP 4", "HTTP 4xx"),
    ("HTTP 5", "HTTP 5xx"),
    ("HTTP ", "HTTP other"),
    ("not asked", "left alone"),
    ("no connection", "no connection"),
    ("connection closed", "no connection"),
    ("TLS failed", "no connection"),
    ("answer broken off", "no connection"),
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one query brought.

    Attributes:
        pages: the Bundles (or the one resource of a read) as bytes, in order.
        failure: why there is nothing, e.g. "HTTP 401", "timed out"; None if the first page came.
        incomplete: why a part is missing, e.g. "page 2: HTTP 401"; None if all pages came.
        began: `time.monotonic()` at which the query began; `seconds`: how long it took.
    """

    pages: tuple[bytes, ...] = ()
    failure: str | None = None
    incomplete: str | None = None
    began: float = field(default=0.0, compare=False)
    seconds: float = field(default=0.0, compare=False)

    @property
    def outcome(self) -> Outcome:
        """What came of it, in one of a few words."""
        if self.failure is None:
            return "whole" if self.incomplete is None else "part"
        return next((word for start, word in _OUTCOMES if self.failure.startswith(start)), "unusable")


def fetch_all(
    egress: Egress,
    base: str,
    token: str | None,
    queries: Mapping[str, str],
    *,
    deadline: float,
    max_pages: int = MOST_PAGES,
    max_bytes: int = 20_000_000,
) -> dict[str, Fetched]:
    """Runs FHIR queries against one server at the same time and returns what each brought, by the same keys.

    Args:
        base: the FHIR server, e.g. "https://ehr.example/fhir".
        token: bearer token; sent to addresses at or below `base` only, as every call here is.
        queries: relative to `base`: a read such as "Patient/123" or a search such as "Condition?patient=123".
        deadline: the instant on time.monotonic() by which this function returns, come what may.
        max_pages, max_bytes: per query, over all pages.
    Raises:
        EgressError: `base` may not be called at all. Nothing a server does raises.
    """
    egress.check(base)
    server = _Server(egress, base.rstrip("/"), token, deadline, max_pages, max_bytes)
    runs = {query: _Run(query) for query in queries.values()}
    tasks: dict[Future[None], _Run] = {_pool().submit(server.run, run): run for run in runs.values()}
    done, late = wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
    for task in late:
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
    fault: str | None = None
    call: Cancellation = field(default_factory=Cancellation)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def outcome(self) -> Fetched:
        ended, fault, pages = self.ended, self.fault, tuple(self.pages)
        seconds = self.seconds if ended else time.monotonic() - self.began
        if not ended:
            fault = "timed out"
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
            run.fault = f"page {len(run.pages) + 1}: {error}" if run.pages else str(error)
        run.seconds = time.monotonic() - run.began
        run.ended = True

    def _pages(self, run: _Run) -> str | None:
        """Fetches page by page; returns why the pages are not all there, None if they are."""
        is_search = "?" in run.query
        url = f"{self.base}/{run.query}"
        seen: set[str] = set()
        budget = self.max_bytes
        while True:
            if url in seen:
                return "the server's pages lead in a circle"
            if len(seen) == self.max_pages:
                return f"more than {self.max_pages} pages"
            seen.add(url)
            answer = self._answer(url, run.call, budget)
            opened = open_resource(answer.body) if answer.status == 200 else ParsedResource()
            fault = _fault(answer, opened, is_search, run.query)
            # A Bundle may hold an error beside its entries: those are kept, and said to be incomplete.
            if fault and not (is_search and opened.entries and opened.outcome is not None and fault != _NO_SEARCHSET):
                return f"page {len(seen)}: {fault}" if run.pages else fault
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
                return f"page {len(seen) + 1} is at an address outside the FHIR server of this request"

    def _answer(self, url: str, call: Cancellation, max_bytes: int) -> HttpResponse:
        self.egress.check(url, below=self.base)
        headers = {"Accept": "application/fhir+json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = self.egress.get(url, headers=headers, deadline=self.deadline, max_bytes=max_bytes, call=call)
        pause = answer.retry_after
        if answer.status in _TRY_LATER and pause is not None and pause < self.deadline - time.monotonic():
            time.sleep(pause)
            answer = self.egress.get(url, headers=headers, deadline=self.deadline, max_bytes=max_bytes, call=call)
        return answer


def _fault(answer: HttpResponse, opened: ParsedResource, is_search: bool, query: str) -> str | None:
    """What is wrong with an answer, in words that hold nothing of the address or the patient."""
    if answer.status != 200:
        again = f" (to be asked again in {answer.retry_after:.0f} s)" if answer.retry_after else ""
        return f"HTTP {answer.status}{again}"
    # In a Bundle of another type, entries need not be what was asked for: a history holds what is no longer so.
    if is_search and opened.bundle_type not in (None, "searchset"):
        return _NO_SEARCHSET
    if opened.outcome is not None:
        return f"OperationOutcome: {opened.outcome}"
    if not opened.resource_type:
        return "not FHIR JSON"
    wanted = "Bundle" if is_search else query.partition("/")[0]
    if opened.resource_type != wanted:
        return f"not a {wanted}"
    return None


def _shortfall(last: ParsedResource, entries: int) -> str | None:
    if last.total is not None and entries < last.total:
        return f"{entries} of {last.total} entries came"
    return None


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """One pool per process, made at the first call: threads do not survive the fork of a server's workers."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="fhir-fetch")
