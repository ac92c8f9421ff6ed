"""For those who run the service: is it alive, is it ready, what is here; and one log line per call."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import Flask, Response, g, request

from cds_service import __version__
from cds_service.store.database import Database
from cds_service.web.problems import json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def add_routes(
    app: Flask, knowledge_version: str, service_ids: Iterable[str], database: Database, *, is_open: bool
) -> None:
    """Adds the index and the health routes."""
    index = {
        "service": "cds-service",
        "version": __version__,
        "knowledge": knowledge_version,
        "discovery": "/cds-services",
        "services": sorted(service_ids),
        "open": is_open,
        "rules": "/rules",
        "health": ["/health/live", "/health/ready"],
    }

    def live() -> Response:
        return json_response({"status": "live"})

    def ready() -> Response:
        usable = database.is_ready()
        body = {"status": "ready" if usable else "not ready", "database": usable, "knowledge": knowledge_version}
        return json_response(body, 200 if usable else 503)

    app.add_url_rule("/", "index", lambda: json_response(index), methods=["GET"])
    app.add_url_rule("/health/live", "live", live, methods=["GET"])
    app.add_url_rule("/health/ready", "ready", ready, methods=["GET"])


def observe(app: Flask, log: Any, knowledge_version: str, hsts: bool) -> None:
    """Every call gets a correlation id, the knowledge version in its reply, and one line in the log.

    Args:
        hsts: tell browsers to come back by https only; for services that are reached by https.
    """

    def begin() -> None:
        g.start = perf_counter()
        g.correlation = uuid4().hex

    def finish(response: Response) -> Response:
        headers = response.headers
        headers["X-Correlation-Id"] = g.correlation
        headers["X-Knowledge-Version"] = knowledge_version
        if hsts:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if request.endpoint not in _QUIET:
            log.info(
                request.endpoint or "unknown route",
                status=response.status_code,
                duration_ms=round((perf_counter() - g.start) * 1000, 2),
                correlation=g.correlation,
                **g.get("fields", {}),
            )
        return response

    app.before_request(begin)
    app.after_request(finish)


# Health probes come every few seconds and would drown the log.
_QUIET = frozenset({"live", "ready"})


def strip_prefix(inner: WSGIApplication, prefix: str) -> WSGIApplication:
    """Serves the app below a path prefix too, for proxies that pass the prefix on instead of taking it off."""

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(prefix + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return inner(environ, start_response)

    return outer
