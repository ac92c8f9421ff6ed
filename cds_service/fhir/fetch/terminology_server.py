"""Codes that no shipped value set knows, asked of the site's terminology server in the background, for the next call.

A call never waits: it is judged with what is known, and its unmatched codes are queued. One thread asks
`ValueSet/$validate-code` for each value set that the site has mapped, and answers are kept, the negative ones too. Only
codes and systems are sent. An answer that has grown old is asked again before it is given up, and one that cannot be
had again stays: a medicine that was recognised must not be forgotten because a server is down.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, Full, Queue
from threading import Lock, Thread
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from cds_service.coding import system_uri
from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, SettingsError
from cds_service.fhir.fetch.client import fhir_headers
from cds_service.logs import get_log
from cds_service.record import PatientRecord
from cds_service.record_lists import by_type
from cds_service.terminology import Kind, Terminology

# What stands where a code belongs is sent only if it looks like one: it could be somebody's words.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
_MOST_WAITING = 1_000
_MOST_KEPT = 10_000
_SECONDS = 5.0
_MOST_BYTES = 100_000
_KEPT_FOR = 24 * 3600.0
_RETRY_AFTER = 300.0
_BETWEEN_REPORTS = 60.0


class _Code(NamedTuple):
    kind: Kind
    system: str
    code: str


@dataclass(slots=True)
class _Answer:
    """The concepts of a code, and until when that needs no asking; `waiting`: it stands in the queue."""

    concepts: frozenset[str]
    until: float
    waiting: bool


class _Parameter(msgspec.Struct):
    name: str = ""
    value: bool | None = msgspec.field(default=None, name="valueBoolean")


class _Parameters(msgspec.Struct):
    parameter: list[_Parameter] = []


_parameters = msgspec.json.Decoder(_Parameters)


class TerminologyServer:
    """What a terminology server has added to the shipped value sets so far; shared between threads.

    Attributes:
        failing: whether the last question got no answer.

    Args:
        base: its FHIR base URL.
        canonicals: concept -> canonical URL of the value set that the server has for it.
        egress: the way out; it must allow `base`.
        clock: seconds that only go forward.
        before: the one that this one takes the place of; what it learnt is taken over if the mapping is the same.
    Raises:
        SettingsError: `base` is not on the list of servers that may be called.
    """

    def __init__(
        self,
        base: str,
        canonicals: Mapping[str, str],
        terminology: Terminology,
        egress: Egress,
        clock: Callable[[], float] = time.monotonic,
        *,
        before: TerminologyServer | None = None,
    ) -> None:
        try:
            egress.check(base)
        except EgressError as error:
            raise SettingsError(
                "CDS_TERMINOLOGY: this server may not be called. Add its base URL to CDS_FHIR_ALLOW."
            ) from error
        self._url = base.rstrip("/") + "/ValueSet/$validate-code?"
        self._canonicals = dict(canonicals)
        self._shipped = self._terminology = terminology
        self._egress = egress
        self._clock = clock
        self._answers: dict[_Code, _Answer] = {}
        self._queue: Queue[_Code] = Queue(_MOST_WAITING)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._failed = 0
        self._reported = -_BETWEEN_REPORTS
        self._closed = False
        self.failing = False
        self._log = get_log()
        if before is not None and before._canonicals == self._canonicals:
            self._take_over(before)

    def close(self) -> None:
        """Asks nothing more; what is known stays in use by calls under way."""
        self._closed = True

    def _take_over(self, before: TerminologyServer) -> None:
        with before._lock:
            known = {code: answer for code, answer in before._answers.items() if not answer.waiting or answer.concepts}
        # What stood in the other's queue is asked for when it comes again.
        self._answers = {code: replace(answer, waiting=False) for code, answer in known.items()}
        self._terminology = self._extended()

    @property
    def terminology(self) -> Terminology:
        """The shipped value sets with the codes that the server has put into them."""
        return self._terminology

    def ask(self, record: PatientRecord) -> None:
        """Queues the codes of this record that nothing is known about yet; what finds no room has to come again."""
        for entry in record.unmatched:
            kind = by_type()[entry.resource].concepts
            for coding in entry.codings:
                if coding.system and _CODE.fullmatch(coding.code):
                    self._want(_Code(kind, system_uri(coding.system), coding.code))

    def settle(self) -> None:
        """Waits until everything that is queued has been asked."""
        self._queue.join()

    def renew(self) -> None:
        """Queues the codes that the server has put into a value set and whose answers have grown old."""
        with self._lock:
            old = [code for code, answer in self._answers.items() if answer.concepts and self._is_due(answer)]
        for code in old:
            self._want(code)

    def _is_due(self, answer: _Answer) -> bool:
        return not answer.waiting and answer.until <= self._clock()

    def _want(self, code: _Code) -> None:
        if self._closed:
            return
        with self._lock:
            known = self._answers.get(code)
            if known is not None and not self._is_due(known):
                return
            try:
                self._queue.put_nowait(code)
            except Full:
                return
            self._answers[code] = _Answer(known.concepts if known else frozenset(), 0.0, waiting=True)
            if len(self._answers) > _MOST_KEPT:
                self._forget_one()
            if self._thread is None or not self._thread.is_alive():
                # Only now, in the process that serves: a thread does not survive a fork.
                self._thread = Thread(target=self._work, name="terminology", daemon=True)
                self._thread.start()

    def _forget_one(self) -> None:
        """Drops the oldest answer that recognises nothing."""
        idle = (code for code, answer in self._answers.items() if not answer.concepts and not answer.waiting)
        if (code := next(idle, None)) is not None:
            del self._answers[code]

    def _work(self) -> None:
        renewed = self._clock()
        while not self._closed:
            with suppress(Empty):
                code = self._queue.get(timeout=_BETWEEN_REPORTS)
                try:
                    self._keep(code, self._answer(code))
                finally:
                    self._queue.task_done()
            if self._clock() - renewed >= _BETWEEN_REPORTS:
                renewed = self._clock()
                self.renew()

    def _extended(self) -> Terminology:
        found: dict[tuple[Kind, str, str], frozenset[str]] = {}
        found.update((key, answer.concepts) for key, answer in self._answers.items() if answer.concepts)
        return self._shipped.with_codes(found)

    def _answer(self, code: _Code) -> frozenset[str] | None:
        """The mapped concepts that the code belongs to; None if the server did not say."""
        found: set[str] = set()
        for concept, canonical in self._canonicals.items():
            if self._shipped.value_sets[concept].kind == code.kind:
                said = self._is_in(canonical, code)
                if said is None:
                    return None
                found |= {concept} if said else set()
        return frozenset(found)

    def _is_in(self, canonical: str, code: _Code) -> bool | None:
        query = urlencode({"url": canonical, "system": code.system, "code": code.code})
        try:
            deadline = time.monotonic() + _SECONDS
            answer = self._egress.get(
                self._url + query, headers=fhir_headers(), deadline=deadline, max_bytes=_MOST_BYTES
            )
            parameters: Any = _parameters.decode(answer.body) if answer.body else _Parameters()
        except (EgressError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return next((p.value for p in parameters.parameter if p.name == "result"), None)

    def _keep(self, code: _Code, concepts: frozenset[str] | None) -> None:
        now = self._clock()
        self.failing = concepts is None
        with self._lock:
            before = self._answers[code].concepts
            if concepts is None:
                self._failed += 1
            after = before if concepts is None else concepts
            lifetime = _RETRY_AFTER if concepts is None else _KEPT_FOR
            self._answers[code] = _Answer(after, now + lifetime, waiting=False)
            if after != before:
                self._terminology = self._extended()
            report = self._failed if now - self._reported >= _BETWEEN_REPORTS else 0
            if report:
                self._failed, self._reported = 0, now
        if report:
            self._log.warning("terminology server", reason="codes could not be asked for", failed=report)
