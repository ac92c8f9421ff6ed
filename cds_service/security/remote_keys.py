"""A client's key set at an address: fetched on demand, cached, with a limit on how often it is fetched.

    fresh      fetched less than `lifetime` ago: used without a fetch
    older      one thread fetches it again; the other threads use the cached set meanwhile
    unknown    a `kid` that is not in the set: fetched again at once, because the client may have a new key
    no answer  the cached set is used for a day (`GRACE`); a key revoked in the meantime is still accepted

An address is fetched at most once in `RETRY` seconds in all these cases.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cds_service.egress.egress import HttpResponse
from cds_service.errors import EgressError
from cds_service.gap_texts import gap_text
from cds_service.logs import get_log
from cds_service.security.keys import Key, KeySet, parse_key_set

RETRY = 30.0
GRACE = 86_400.0
_MOST_BYTES = 1_000_000
_ACCEPT = {"Accept": "application/jwk-set+json, application/json"}


class _Getter(Protocol):
    """The method of `Egress` that is used here."""

    def get(self, url: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int) -> HttpResponse: ...


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: KeySet
    at: float


class RemoteKeys:
    """The key set at one address, shared by the threads of a process.

    Args:
        url: its address, one that the operator listed.
        client: name of its client, for the log.
        lifetime: seconds after which it is fetched again.
        clock: monotonic seconds.
        timeout: seconds that one fetch may take; the call that waits for it must still be answered in time.
    """

    def __init__(
        self,
        url: str,
        client: str,
        egress: _Getter,
        lifetime: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        timeout: float = 2.0,
    ) -> None:
        self._url = url
        self._client = client
        self._egress = egress
        self._lifetime = lifetime
        self._clock = clock
        self._timeout = timeout
        self._held: _Fetched | None = None
        self._asked: float | None = None
        self._asking = threading.Lock()

    def find(self, kid: str) -> tuple[Key, ...]:
        """The keys with this `kid`; empty if there are none, or the set could not be fetched for `GRACE` seconds."""
        held, now = self._held, self._clock()
        if held is not None and kid in held.keys and now - held.at < self._lifetime:
            return held.keys.find(kid)
        is_usable = held is not None and kid in held.keys and now - held.at < GRACE
        if self._asking.acquire(blocking=not is_usable):
            try:
                self._ask()
            finally:
                self._asking.release()
        held = self._held
        return held.keys.find(kid) if held is not None and self._clock() - held.at < GRACE else ()

    def _ask(self) -> None:
        """Fetches the set, unless another thread did so within the last `RETRY` seconds."""
        now = self._clock()
        if self._asked is not None and now - self._asked < RETRY:
            return
        self._asked = now
        found = self._fetch()
        if found is not None:
            self._held = _Fetched(found, now)

    def _fetch(self) -> KeySet | None:
        deadline = time.monotonic() + self._timeout
        try:
            answer = self._egress.get(self._url, headers=_ACCEPT, deadline=deadline, max_bytes=_MOST_BYTES)
        except EgressError as error:
            self._log(f"The key set could not be fetched: {gap_text(error.gap, 'en')}.")
            return None
        if answer.status != 200:
            self._log(f"The key set could not be fetched: status {answer.status}.")
            return None
        found = parse_key_set(answer.body)
        if found is None:
            self._log("The address of the key set does not answer with a JWK Set.")
        elif found.secrets:
            self._log("The key set shows a private or symmetric key, which is not used. Tell the client.")
        return found

    def _log(self, reason: str) -> None:
        get_log().warning("key set", client=self._client, reason=reason)
