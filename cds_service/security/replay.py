"""Whether a token was used before, also while the database that all processes share is away.

Advice must not stop because a disk is full. While nobody can ask the database, each process knows the tokens that it
has let in itself: a token may then open one call in each process, until it expires, and is still refused everywhere
unless its signature, audience and times are right. Health, metrics and log say that it is so.
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

# Seconds for which a database that failed is left alone: it may take seconds to fail, and a clinician waits.
_REST = 5.0
# Hashes of 32 bytes; beyond this the oldest are forgotten, so that no client can fill the memory.
_MOST = 200_000


class ReplayGuard(Protocol):
    """The memory of used tokens."""

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this token is seen for the first time; raises Unavailable if that cannot be told."""
        ...


class UsedTokens:
    """The used tokens of all processes, or at least of this one. Safe to use from several threads.

    Args:
        shared: the memory that all processes share.
        now: seconds since 1970.
        clock: seconds that never go back.
    """

    def __init__(
        self, shared: ReplayGuard, *, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared = shared
        self._now = now
        self._clock = clock
        self._here: dict[bytes, float] = {}  # hash of issuer and jti -> until when it counts, oldest first
        self._guard = threading.Lock()
        self._rest_until = 0.0

    @property
    def alone(self) -> bool:
        """Whether this process goes by its own memory, for the shared one is away."""
        return self._rest_until > 0

    @property
    def resting(self) -> bool:
        """Whether the shared memory failed a moment ago; if not, the next token is asked of it."""
        return self._clock() < self._rest_until

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this token is seen for the first time; if it is, the answer is no until it has expired."""
        if not self._first_here(issuer, jti, expires.timestamp() + LEEWAY):
            return False
        if self.resting:
            return True
        try:
            first = self._shared.first_use(issuer, jti, expires)
        except Unavailable:
            if not self.alone:
                get_log().warning("tokens", reason="Used tokens are known to each process only: the database is away.")
            self._rest_until = self._clock() + _REST
            return True
        if self.alone:
            self._rest_until = 0.0
            get_log().warning("tokens", reason="Used tokens are known to all processes again.")
        return first

    def _first_here(self, issuer: str, jti: str, until: float) -> bool:
        key = sha256(f"{len(issuer)}:{issuer}{jti}".encode("utf-8", "surrogatepass")).digest()
        with self._guard:
            now = self._now()
            if self._here.get(key, 0.0) > now:
                return False
            self._here.pop(key, None)
            self._here[key] = until
            self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        """Takes out the oldest that no longer count; two for each that comes, so that they cannot pile up."""
        for oldest in list(islice(self._here, 2)):
            if self._here[oldest] > now and len(self._here) <= _MOST:
                return
            del self._here[oldest]
