"""The app for a WSGI server, set up from the environment: `granian --interface wsgi cds_service.web.wsgi:app`."""

from __future__ import annotations

import sys

from cds_service.errors import CdsError
from cds_service.logs import configure, get_log
from cds_service.settings import load_settings
from cds_service.web.app import create_app

settings = load_settings()
configure(settings.log_level)
try:
    app = create_app(settings)
except CdsError as error:
    # One line in our words; the traceback of a worker repeats those of libraries, which may hold the database's URL.
    get_log().error("cannot start", reason=str(error))
    sys.exit(1)
app.extensions["arrivals"].watch(settings.port)
