"""Who looks on while a call is answered: which step it is at, and what came of each list that was fetched.

Nobody does, unless the web asks for it (metrics, traces). What is told here holds no patient data: names of steps and
lists, fixed words, seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

from cds_service.fhir.fetch.client import Outcome

Step = Literal["identify", "acquire", "read", "evaluate", "cards", "store"]


class CallObserver(Protocol):
    """Shared between threads; each step is entered and left by the thread that makes it."""

    def step(self, name: Step) -> AbstractContextManager[object]:
        """To be held during a step of a call."""
        ...

    def fetched(self, name: str, began: float, seconds: float, outcome: Outcome) -> None:
        """One list was asked of a FHIR server.

        Args:
            name: the prefetch key, or `references` for single resources that entries refer to.
            began: `time.monotonic()` at which the query was sent.
        """
        ...

    def answered(self, service: str, outcomes: Collection[str]) -> None:
        """Feedback was stored.

        Args:
            outcomes: of each entry, "accepted" or "overridden".
        """
        ...


class _NullObserver:
    _nothing = nullcontext()

    def step(self, name: Step) -> AbstractContextManager[object]:
        return self._nothing

    def fetched(self, name: str, began: float, seconds: float, outcome: Outcome) -> None:
        return None

    def answered(self, service: str, outcomes: Collection[str]) -> None:
        return None


NULL_OBSERVER: CallObserver = _NullObserver()
