"""Recognises tokens that were used before, also while the database that all processes share is unavailable.

Advice must not stop because a disk is full. While the database is unavailable, each process checks only the tokens
that it accepted itself: until it expires, a token is then accepted once per process. Its signature, audience and times
are checked as always. Health, metrics and log report this state.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Protocol

from cds_service.errors import Unavailable
from cds_service.logs import get_log
from cds_service.security.tokens import LEEWAY

# Seconds without a query after a failure: a query may take seconds to fail, and a clinician waits.
_BACKOFF = 5.0
# Hashes of 32 bytes; beyond this the oldest are forgotten, so that no client can fill the memory.
_MOST = 200_000


class ReplayGuard(Protocol):
    """Records used tokens."""

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this token was not used before; raises Unavailable if the store does not answer."""
        ...


class UsedTokens:
    """The used tokens of all processes, or only of this one while the shared store is unavailable. Thread-safe.

    Args:
        shared: the store that all processes share.
        now: seconds since 1970.
        clock: monotonic seconds.
    """

    def __init__(
        self, shared: ReplayGuard, *, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared = shared
        self._now = now
        self._clock = clock
        self._local: dict[bytes, float] = {}  # hash of issuer and jti -> when it expires, oldest first
        self._lock = threading.Lock()
        self._backoff_until = 0.0

    @property
    def local_only(self) -> bool:
        """Whether this process checks only the tokens that it accepted itself."""
        return self._backoff_until > 0

    @property
    def backing_off(self) -> bool:
        """Whether the shared store failed within the last `_BACKOFF` seconds and is not asked."""
        return self._clock() < self._backoff_until

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this token was not used before; from now on it counts as used until it expires."""
        if not self._first_in_process(issuer, jti, expires.timestamp() + LEEWAY):
            return False
        if self.backing_off:
            return True
        try:
            first = self._shared.first_use(issuer, jti, expires)
        except Unavailable:
            if not self.local_only:
                get_log().warning(
                    "tokens", reason="Each process knows its own used tokens only: the database is unavailable."
                )
            self._backoff_until = self._clock() + _BACKOFF
            return True
        if self.local_only:
            self._backoff_until = 0.0
            get_log().warning("tokens", reason="Used tokens are known to all processes again.")
        return first

    def _first_in_process(self, issuer: str, jti: str, until: float) -> bool:
        key = sha256(f"{len(issuer)}:{issuer}{jti}".encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            now = self._now()
            if self._local.get(key, 0.0) > now:
                return False
            self._local.pop(key, None)
            self._local[key] = until
            self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        """Removes up to two of the oldest expired entries; called once per new entry, so entries cannot pile up."""
        for oldest in list(islice(self._local, 2)):
            if self._local[oldest] > now and len(self._local) <= _MOST:
                return
            del self._local[oldest]
