"""Knowledge, overlay, client file and key files anew into processes that serve, without a call noticing.

    SIGHUP to `cds serve` ── to each worker ── read and check everything ─┬─ sound: one assignment, a new app answers
                                                                          └─ faulty: the old one goes on, and says so

A call stays with the app that it came to, so that its cards, its prefetch keys and its X-Knowledge-Version belong
together. The server could restart its workers instead; it would cut off connections, and stop the good old ones even if
the new ones cannot start. Settings are not read anew: they belong to the process.
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

from cds_service.artifacts.check import check
from cds_service.artifacts.load import knowledge_dir
from cds_service.errors import CdsError, SettingsError
from cds_service.logs import get_log, place
from cds_service.settings import Settings
from cds_service.web.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_MOST_FINDINGS = 5


class Reloading:
    """The app that answers now; for a server, an app like any other.

    Args:
        make: makes an app; raises a CdsError if something is wrong with what it reads.
        review: looks closer at what a new app would read, and raises a CdsError, too.
        runtime: what all apps are built on.
    """

    def __init__(self, make: Callable[[], Flask], review: Callable[[], None], runtime: Runtime) -> None:
        self._make, self._review = make, review
        self._runtime = runtime
        self._app = make()
        # Whoever handles a signal may have interrupted anything; this queue is made for that.
        self._wishes: SimpleQueue[None] = SimpleQueue()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def listen(self) -> None:
        """Reloads at each SIGHUP from now on, in a thread of its own. To be called by the main thread."""
        threading.Thread(target=self._reload_on, name="reload", daemon=True).start()
        signal.signal(signal.SIGHUP, lambda *_: self._wishes.put(None))

    def _reload_on(self) -> None:
        while True:
            self._wishes.get()
            while not self._wishes.empty():
                self._wishes.get()
            self.reload()

    def reload(self) -> bool:
        """Makes the app anew and puts it in the old one's place; False if something is wrong, and all is as it was."""
        began = perf_counter()
        try:
            self._review()
            app = self._make()
        except CdsError as error:
            get_log().error("reload refused", reason=f"{error} What was there before goes on serving.")
            return self._ended(refused=True)
        except Exception as error:
            # A fault of ours in a thread that nobody waits for: the calls must not suffer from it.
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
