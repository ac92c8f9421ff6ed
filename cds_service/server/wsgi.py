"""The app for a WSGI server, set up from the environment: `granian --interface wsgi cds_service.server.wsgi:app`."""

from __future__ import annotations

import signal
import sys
from functools import partial

from cds_service.errors import CdsError
from cds_service.logs import configure, get_log
from cds_service.server.reload import Reloading, check_knowledge
from cds_service.settings import load_settings
from cds_service.web.app import create_app
from cds_service.web.runtime import Runtime

# SIGHUP stays pending until there is an application to reload.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
settings = load_settings()
configure(settings.log_level)
try:
    runtime = Runtime.of(settings)
    # At the start, errors that only the review finds do not stop the service: some advice is better than none.
    app = Reloading(partial(create_app, settings, runtime=runtime), partial(check_knowledge, settings), runtime)
except CdsError as error:
    # One line of ours instead of a traceback, which may hold a library's message with the database's URL.
    get_log().error("cannot start", reason=str(error))
    sys.exit(1)
runtime.body_timeouts.watch(settings.port)
runtime.keep_refreshing()
app.listen()
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
