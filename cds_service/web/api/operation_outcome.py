"""Any error to an OperationOutcome in JSON with the right status: what a caller sees when something goes wrong.

| what happened                                              | status | issue code       |
|------------------------------------------------------------|--------|------------------|
| not JSON, a member missing or mistyped, hook of another    | 400    | invalid, required |
| caller not identified                                      | 401    | login            |
| caller identified, but not for this service or tenant      | 403    | forbidden        |
| no such service or route                                   | 404    | not-found        |
| wrong method                                               | 405    | not-supported    |
| body did not arrive in time                                | 408    | timeout          |
| data that the rules need cannot be had                     | 412    | incomplete       |
| body, or a list in it, over the limit                      | 413    | too-long         |
| body not JSON by its media type, or compressed             | 415    | structure        |
| caller calls too often                                     | 429    | throttled        |
| fault of ours                                              | 500    | exception        |
| a FHIR server that the page shows gave nothing             | 502    | transient        |
| database not available                                     | 503    | transient        |

Nothing of the request is repeated. A fault of ours gives only a correlation id, by which the log line is found.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from cds_service.errors import RequestError
from cds_service.logs import place
from cds_service.web.responses import json_response

# Texts for errors that Flask itself raises; its own may hold parts of the request.
STATUS_TEXTS = {
    400: ("invalid", "The request cannot be read as HTTP."),
    404: ("not-found", "There is nothing at this address. GET /cds-services lists the services."),
    405: ("not-supported", "This method does not exist here. The header Allow names those that do."),
    413: ("too-long", "The body is larger than this service accepts. Send less data, or have the limit raised."),
    415: ("structure", "The body is not JSON by its media type. Send Content-Type: application/json."),
}


def outcome(status: int, code: str, text: str, expression: str | None = None) -> Response:
    """One issue as the body of a reply."""
    issue: dict[str, Any] = {"severity": "error", "code": code, "diagnostics": text}
    if expression is not None:
        issue["expression"] = [expression]
    return json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def register(app: Flask, log: Any) -> None:
    """Makes every error of the app an OperationOutcome."""

    def request_error(error: RequestError) -> Response:
        # Our own wording, free of the caller's data by rule, so it may stand in the log.
        fields = g.setdefault("fields", {})
        fields["reason"] = error.reason
        if error.claimed is not None:
            fields["claimed"] = error.claimed
        response = outcome(error.status, error.code, str(error), error.expression)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        code, text = STATUS_TEXTS.get(status, ("processing", "The request cannot be served."))
        response = outcome(status, code, text)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    def too_deep(_: RecursionError) -> Response:
        return outcome(400, "invalid", "The body is nested too deeply. Send FHIR resources as they are.")

    def fault(error: Exception) -> Response:
        # Class and place only: the text of an exception may hold what the request held.
        log.error("fault", error=type(error).__name__, where=place(error), correlation=g.correlation)
        return outcome(500, "exception", f"A fault in this service. It is in the log as {g.correlation}.")

    app.register_error_handler(RequestError, request_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(RecursionError, too_deep)
    app.register_error_handler(Exception, fault)
