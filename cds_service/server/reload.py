"""Reloads knowledge, overlay, client file and key files in serving processes, without interrupting calls.

    SIGHUP to `cds serve` ── to each worker ── read and check everything ─┬─ valid: the new app replaces the old one
                                                                          └─ invalid: the old app stays, with a log line

A call is answered by the app that received it, so its cards, prefetch keys and X-Knowledge-Version are consistent.
Restarting the workers instead would cut off connections, and stop working processes even if new ones cannot start.
Settings are not reloaded: they belong to the process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Flask

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.review.check import check
from cds_service.errors import CdsError, SettingsError
from cds_service.logs import get_log, place
from cds_service.settings import Settings
from cds_service.web.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_MOST_FINDINGS = 5


class Reloading:
    """A WSGI app that forwards to the current application and can replace it.

    Args:
        make: builds an application; raises a CdsError if something that it reads is invalid.
        review: checks more thoroughly what a new application would read; raises a CdsError.
        runtime: the runtime that all applications share.
    """

    def __init__(self, make: Callable[[], Flask], review: Callable[[], None], runtime: Runtime) -> None:
        self._make, self._review = make, review
        self._runtime = runtime
        self._app = make()
        # A signal handler may interrupt any code; SimpleQueue.put is reentrant.
        self._requests: SimpleQueue[None] = SimpleQueue()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def listen(self) -> None:
        """Starts a thread that reloads at each SIGHUP. Call it in the main thread."""
        threading.Thread(target=self._reload_on, name="reload", daemon=True).start()
        signal.signal(signal.SIGHUP, lambda *_: self._requests.put(None))

    def _reload_on(self) -> None:
        while True:
            self._requests.get()
            while not self._requests.empty():
                self._requests.get()
            self.reload()

    def reload(self) -> bool:
        """Replaces the application by a new one; returns False, without any change, if something is invalid."""
        began = perf_counter()
        try:
            self._review()
            app = self._make()
        except CdsError as error:
            get_log().error("reload refused", reason=f"{error} The previous version keeps serving.")
            return self._ended(refused=True)
        except Exception as error:
            # An unexpected error in this background thread must not affect calls.
            get_log().error("reload refused", error=type(error).__name__, where=place(error))
            return self._ended(refused=True)
        self._app = app
        get_log().warning("reloaded", duration_ms=round((perf_counter() - began) * 1000, 2))
        return self._ended(refused=False)

    def _ended(self, *, refused: bool) -> bool:
        self._runtime.refused = refused
        self._runtime.metrics.reloaded(refused=refused)
        self._runtime.refresh()
        return not refused


def check_knowledge(settings: Settings) -> None:
    """Raises SettingsError if `cds check` would find an error in the knowledge or the site's overlay."""
    _, findings = check(knowledge_dir(), datetime.now(settings.zone).astimezone().date(), settings.site)
    errors = [str(finding) for finding in findings if finding.level == "error"]
    if errors:
        more = f" And {len(errors) - _MOST_FINDINGS} more; see `cds check`." if len(errors) > _MOST_FINDINGS else ""
        raise SettingsError(" ".join(errors[:_MOST_FINDINGS]) + more)
