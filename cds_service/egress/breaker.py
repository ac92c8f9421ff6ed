"""Circuit breaker, one per server: after repeated failures, calls are refused at once instead of timing out.

closed     calls are allowed; `_FAILURES` failures in a row open the circuit
open       calls are refused for `_PAUSE` seconds
half-open  `_TRIALS` calls are allowed: the first success closes the circuit, the first failure opens it again

The libraries for this either hold a lock during a call, so that the queries of one hook call would run one after the
other (pybreaker), or use no lock at all (circuitbreaker).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Literal

from cds_service.logs import get_log
from cds_service.record_lists import RECORD_LISTS

State = Literal["closed", "open", "half-open"]

# A hook call asks for the Patient and all lists at once, and one hiccup may fail them all: two calls must have failed.
_FAILURES = 20
_PAUSE = 10.0
# The Patient and every list: with fewer, the first call after recovery would get only part of its data.
_TRIALS = len(RECORD_LISTS) + 1


class Breaker:
    """The circuit breaker of one server. Thread-safe.

    Args:
        host: name of the server in the log, e.g. "ehr.example:443".
        clock: monotonic seconds.
    """

    def __init__(
        self,
        host: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        failures: int = _FAILURES,
        pause: float = _PAUSE,
        trials: int = _TRIALS,
    ) -> None:
        self._host = host
        self._clock = clock
        self._most_failures, self._pause, self._most_trials = failures, pause, trials
        self._failures = 0
        self._trials = 0
        self._state: State = "closed"
        self._since = 0.0
        self._lock = Lock()

    @property
    def state(self) -> State:
        return self._state

    def allow_request(self) -> bool:
        """Whether a call is allowed. The caller then reports `succeeded` or `failed`, unless neither is known."""
        with self._lock:
            if self._state == "closed":
                return True
            if self._clock() - self._since >= self._pause:
                # Also from half-open: trials without a reported outcome must not keep the circuit open for ever.
                self._become("half-open")
                self._trials = 0
            if self._state == "half-open" and self._trials < self._most_trials:
                self._trials += 1
                return True
            return False

    def succeeded(self) -> None:
        """Reports an answer of the server, also a 4xx."""
        if self._state == "closed" and not self._failures:
            return
        with self._lock:
            self._failures = 0
            if self._state != "closed":
                self._become("closed")

    def failed(self) -> None:
        """Reports that the server did not answer, or answered with a 5xx."""
        with self._lock:
            self._failures += 1
            if self._state == "half-open" or (self._state == "closed" and self._failures >= self._most_failures):
                self._become("open")

    def _become(self, state: State) -> None:
        before, self._state, self._since = self._state, state, self._clock()
        if state == "open" and before == "closed":
            reason = "circuit open: recent calls failed; the server is not called except for a few trials"
            get_log().warning("server fails", host=self._host, reason=reason)
        elif state == "closed":
            get_log().warning("server answers again", host=self._host)


class Breakers:
    """One breaker per server, shared by all outbound calls of this process.

    Args:
        min_attempt_seconds: a time-out counts as a failure of the server only if the call had at least this long.
        failures, pause: see the module.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        failures: int = _FAILURES,
        pause: float = _PAUSE,
        min_attempt_seconds: float = 1.0,
    ) -> None:
        self.min_attempt_seconds = min_attempt_seconds
        self._clock = clock
        self._failures, self._pause = failures, pause
        self._by_host: dict[str, Breaker] = {}

    def of(self, host: str, port: int) -> Breaker:
        """The breaker of a server. There are few: hosts come from the operator's lists."""
        name = f"{host}:{port}"
        found = self._by_host.get(name)
        if found is None:
            fresh = Breaker(name, self._clock, failures=self._failures, pause=self._pause)
            found = self._by_host.setdefault(name, fresh)
        return found

    def states(self) -> dict[str, State]:
        """The state of every server called so far, e.g. {"ehr.example:443": "closed"}."""
        return {host: breaker.state for host, breaker in self._by_host.copy().items()}
