"""A PostgreSQL connection that does not wait for ever: a server that hangs is as good as one that has gone.

The server ends statements that take too long, and the kernel notices when the other machine is silent. Neither helps
when that machine is well and the server, or a pooler in front of it, does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

# A little more than the server itself allows a statement.
SECONDS = 6.0


class BoundedConnection(psycopg.Connection[Any]):
    """Gives up, and closes itself, if an exchange with the server takes longer than SECONDS."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        try:
            return super().wait(_bounded(gen, time.monotonic() + SECONDS), *args, **kwargs)
        except _GaveUp:
            # The answer may still come; nobody may take it for that to the next question.
            self.close()
            raise


class _GaveUp(psycopg.OperationalError):
    pass


def _bounded(gen: Generator[Any, Any, T], until: float) -> Generator[Any, Any, T]:
    """The same exchange; the driver looks in several times a second, also when nothing has come."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > until:
                raise _GaveUp("the server does not answer")
            wanted = gen.send(ready)
    except StopIteration as done:
        value: T = done.value
        return value
