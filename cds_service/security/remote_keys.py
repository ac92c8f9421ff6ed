"""A client's key set at an address: fetched when it is needed, kept for a while, never asked for in a hurry.

    fresh      fetched less than `lifetime` ago: used as it is
    older      asked for again, by one thread; the others go on with what there is
    unknown    a `kid` that is not there: asked for again at once, for the client may have a new key
    no answer  what there is stays in use for a day (`GRACE`); a key taken back meanwhile goes on opening the door

However it comes to it, an address is asked at most once in `RETRY` seconds.
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


class Way(Protocol):
    """The way out, as far as it is needed here."""

    def get(self, url: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int) -> HttpResponse: ...


@dataclass(frozen=True, slots=True)
class _Held:
    keys: KeySet
    fetched: float


class RemoteKeys:
    """The key set at one address, shared by the threads of a process.

    Args:
        url: its address, one that the operator listed.
        client: whose it is, for the log.
        lifetime: seconds after which it is asked for again.
        clock: seconds that never go back.
        patience: seconds that one fetch may take; the call that waits for it still has to be answered afterwards.
    """

    def __init__(
        self,
        url: str,
        client: str,
        way: Way,
        lifetime: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float = 2.0,
    ) -> None:
        self._url = url
        self._client = client
        self._way = way
        self._lifetime = lifetime
        self._clock = clock
        self._patience = patience
        self._held: _Held | None = None
        self._asked: float | None = None
        self._asking = threading.Lock()

    def find(self, kid: str) -> tuple[Key, ...]:
        """The keys of this name; none if the set has none, or could not be had for too long."""
        held, now = self._held, self._clock()
        if held is not None and kid in held.keys and now - held.fetched < self._lifetime:
            return held.keys.find(kid)
        may_go_on = held is not None and kid in held.keys and now - held.fetched < GRACE
        if self._asking.acquire(blocking=not may_go_on):
            try:
                self._ask()
            finally:
                self._asking.release()
        held = self._held
        return held.keys.find(kid) if held is not None and self._clock() - held.fetched < GRACE else ()

    def _ask(self) -> None:
        """Fetches the set unless that was tried a moment ago; whoever waited here finds that it was."""
        now = self._clock()
        if self._asked is not None and now - self._asked < RETRY:
            return
        self._asked = now
        found = self._fetch()
        if found is not None:
            self._held = _Held(found, now)

    def _fetch(self) -> KeySet | None:
        deadline = time.monotonic() + self._patience
        try:
            answer = self._way.get(self._url, headers=_ACCEPT, deadline=deadline, max_bytes=_MOST_BYTES)
        except EgressError as error:
            self._tell(f"The key set could not be fetched: {gap_text(error.gap, 'en')}.")
            return None
        if answer.status != 200:
            self._tell(f"The key set could not be fetched: status {answer.status}.")
            return None
        found = parse_key_set(answer.body)
        if found is None:
            self._tell("What is at the address of the key set is no JWK Set.")
        elif found.secrets:
            self._tell("The key set shows a private or symmetric key, which is not used. Tell the client.")
        return found

    def _tell(self, reason: str) -> None:
        get_log().warning("key set", client=self._client, reason=reason)
