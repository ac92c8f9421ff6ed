"""A PostgreSQL connection that treats an unresponsive server as unavailable after SECONDS.

`statement_timeout` ends long statements, and TCP_USER_TIMEOUT detects a machine that is gone. Neither helps when the
machine is up but the server, or a pooler in front of it, does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

# A little more than `statement_timeout` (engine.STATEMENT_SECONDS).
SECONDS = 6.0


class BoundedConnection(psycopg.Connection[Any]):
    """Gives up, and closes itself, if an exchange with the server takes longer than SECONDS."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        try:
            return super().wait(_bounded(gen, time.monotonic() + SECONDS), *args, **kwargs)
        except _GaveUp:
            # A late answer must not be taken for the answer to the next statement.
            self.close()
            raise


class _GaveUp(psycopg.OperationalError):
    pass


def _bounded(gen: Generator[Any, Any, T], until: float) -> Generator[Any, Any, T]:
    """The same exchange with a time limit; the driver resumes it several times a second even without data."""
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
