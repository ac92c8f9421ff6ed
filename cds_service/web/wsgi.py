"""The app for a WSGI server, set up from the environment: `granian --interface wsgi cds_service.web.wsgi:app`."""

from __future__ import annotations

from cds_service.logs import configure
from cds_service.settings import load_settings
from cds_service.web.app import create_app

settings = load_settings()
configure(settings.log_level)
app = create_app(settings)
app.extensions["arrivals"].watch(settings.port)
