"""Index, liveness, readiness, metrics; and one log line per call (access log)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hmac import compare_digest
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import Flask, Response, g, request

from cds_service import __version__
from cds_service.errors import Unauthorized
from cds_service.web.context import AppContext
from cds_service.web.responses import json_response
from cds_service.web.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


# Any version and either case, with or without hyphens.
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)


def add_routes(app: Flask, context: AppContext) -> None:
    """Adds the index, the health routes and, if the settings allow it, the metrics."""
    settings, runtime, knowledge = context.settings, context.runtime, context.served.knowledge
    index = {
        "service": "cds-service",
        "version": __version__,
        "knowledge": knowledge.version,
        "discovery": "/cds-services",
        "services": sorted(knowledge.services),
        "open": settings.open,
        "rules": "/rules",
        "health": ["/health/live", "/health/ready"],
    }

    def live() -> Response:
        return json_response({"status": "live"})

    def ready() -> Response:
        """Always 200 while the process serves. Degraded parts are listed, but do not make the probe fail: usually
        all replicas lose them at once, and without any ready replica there would be no cards at all.
        """
        degraded = [part for part, is_degraded in runtime.degraded().items() if is_degraded]
        return json_response(
            {
                "status": "degraded" if degraded else "ready",
                "degraded": degraded,
                "database": "database" not in degraded,
                "knowledge": knowledge.version,
            }
        )

    app.add_url_rule("/", "index", lambda: json_response(index), methods=["GET"])
    app.add_url_rule("/health/live", "live", live, methods=["GET"])
    app.add_url_rule("/health/ready", "ready", ready, methods=["GET"])
    if settings.serves_metrics:
        app.add_url_rule("/metrics", "metrics", lambda: _metrics(settings.metrics_token, runtime), methods=["GET"])


def _metrics(token: str | None, runtime: Runtime) -> Response:
    given = request.headers.get("Authorization", "")
    if token is not None and not compare_digest(given.encode(), f"Bearer {token}".encode()):
        runtime.rates.refused(request.remote_addr)
        raise Unauthorized("The token for /metrics is missing or wrong.")
    runtime.refresh()
    content, content_type = runtime.metrics.page(request.headers.get("Accept", ""))
    return Response(content, content_type=content_type)


def observe(app: Flask, log: Any, knowledge_version: str, hsts: bool) -> None:
    """Gives every call a correlation id, the knowledge version in its response, and one line in the log.

    Args:
        hsts: send Strict-Transport-Security; for services that clients reach over https.
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
        if request.endpoint not in _QUIET or response.status_code == 401:
            # Anything but a UUID could be a name, and names must not be logged.
            theirs = request.environ.get("HTTP_X_REQUEST_ID")
            named = {"request": theirs} if theirs and _UUID.fullmatch(theirs) else {}
            log.info(
                request.endpoint or "unknown route",
                status=response.status_code,
                duration_ms=round((perf_counter() - g.start) * 1000, 2),
                correlation=g.correlation,
                **named,
                **g.get("fields", {}),
            )
        return response

    app.before_request(begin)
    app.after_request(finish)


# Health probes and Prometheus call every few seconds and would flood the log.
_QUIET = frozenset({"live", "ready", "metrics"})


def strip_prefix(inner: WSGIApplication, prefix: str) -> WSGIApplication:
    """Serves the app below a path prefix too, for proxies that do not strip the prefix."""

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(prefix + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return inner(environ, start_response)

    return outer
