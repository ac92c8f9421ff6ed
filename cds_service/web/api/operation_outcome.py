"""Turns every error into a FHIR OperationOutcome with the right HTTP status.

| error                                                      | status | issue code       |
|------------------------------------------------------------|--------|------------------|
| not JSON, a member missing or mistyped, wrong hook         | 400    | invalid, required |
| caller not identified                                      | 401    | login            |
| caller identified, but not for this service or tenant      | 403    | forbidden        |
| no such service or route                                   | 404    | not-found        |
| wrong method                                               | 405    | not-supported    |
| body did not arrive in time                                | 408    | timeout          |
| data that the rules need is missing                        | 412    | incomplete       |
| body, or a list in it, over the limit                      | 413    | too-long         |
| body not JSON by its media type, or compressed             | 415    | structure        |
| caller calls too often                                     | 429    | throttled        |
| fault of this service                                      | 500    | exception        |
| a FHIR server that the page shows gave no usable answer    | 502    | transient        |
| database not available                                     | 503    | transient        |

Nothing of the request is repeated. A 500 holds only the correlation id, by which the log line is found.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from cds_service.errors import RequestError
from cds_service.logs import place
from cds_service.web.responses import json_response

# Texts for errors that Flask raises; its own texts may hold parts of the request.
STATUS_TEXTS = {
    400: ("invalid", "The request cannot be read as HTTP."),
    404: ("not-found", "There is nothing at this address. GET /cds-services lists the services."),
    405: ("not-supported", "This method does not exist here. The header Allow names those that do."),
    413: ("too-long", "The body is larger than this service accepts. Send less data, or have the limit raised."),
    415: ("structure", "The body is not JSON by its media type. Send Content-Type: application/json."),
}


def outcome(status: int, code: str, text: str, expression: str | None = None) -> Response:
    """One issue as the body of a response."""
    issue: dict[str, Any] = {"severity": "error", "code": code, "diagnostics": text}
    if expression is not None:
        issue["expression"] = [expression]
    return json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def register(app: Flask, log: Any) -> None:
    """Registers handlers that answer every error of the app with an OperationOutcome."""

    def request_error(error: RequestError) -> Response:
        # Our own message, which by rule holds none of the caller's data, so it may be logged.
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
        # Class and place only: the text of an exception may hold data of the request.
        log.error("fault", error=type(error).__name__, where=place(error), correlation=g.correlation)
        return outcome(500, "exception", f"A fault in this service. It is in the log as {g.correlation}.")

    app.register_error_handler(RequestError, request_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(RecursionError, too_deep)
    app.register_error_handler(Exception, fault)
