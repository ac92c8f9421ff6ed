"""CORS headers on every route, also on errors: the origins whose browser pages may call.

Credentials are never allowed: the page sends its token in a header, and cookies are not used.
"""

from __future__ import annotations

from flask import Flask, Response, request

_METHODS = ("GET", "OPTIONS", "POST")
_REQUEST_HEADERS = frozenset({"accept-language", "authorization", "content-type"})
_RESPONSE_HEADERS = "Retry-After, X-Correlation-Id, X-Knowledge-Version"
_PREFLIGHT_SECONDS = "3600"


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Adds CORS headers to answers for these origins; `*` allows every origin."""
    allows_all = origins == ("*",)
    allowed = frozenset(origin.casefold() for origin in origins)

    def add_headers(response: Response) -> Response:
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is None:
            if not allows_all:
                response.vary.add("Origin")
            return response
        if "*" not in allowed and origin.casefold() not in allowed:
            return response
        headers = response.headers
        headers["Access-Control-Allow-Origin"] = "*" if allows_all else origin
        headers["Access-Control-Expose-Headers"] = _RESPONSE_HEADERS
        if request.method == "OPTIONS":
            _answer_preflight(response)
        if len(origins) > 1:
            response.vary.add("Origin")
        return response

    app.after_request(add_headers)


def _answer_preflight(response: Response) -> None:
    asked = request.headers
    if asked.get("Access-Control-Request-Method", "").upper() not in _METHODS:
        return
    names = (name.strip() for name in asked.get("Access-Control-Request-Headers", "").split(","))
    if known := sorted(name for name in names if name.lower() in _REQUEST_HEADERS):
        response.headers["Access-Control-Allow-Headers"] = ", ".join(known)
    response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    response.headers["Access-Control-Allow-Methods"] = ", ".join(_METHODS)
