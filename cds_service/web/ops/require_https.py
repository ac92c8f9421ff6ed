"""Refuses calls that reached our proxy over plain http, where their token and patient data could be read.

A proxy states the scheme in `X-Forwarded-Proto` (or in `Forwarded`, RFC 7239). The header can only cause a refusal, so
forging it gains nothing and no list of trusted proxies is needed. Without the header the call is direct, or its proxy
sends none; the operator decides whether such calls use TLS (CDS_TLS_CERT).
"""

from __future__ import annotations

import re

from flask import Flask, request

from cds_service.errors import Forbidden

_FORWARDED = re.compile(r'proto="?([a-z]+)"?', re.IGNORECASE)
# Probes come from localhost and carry no data.
_OPEN_TO_PROBES = frozenset({"live", "ready"})


def refuse_plain_http(app: Flask) -> None:
    """Makes the app answer 403 to calls that reached a proxy over plain http. Only in closed mode."""

    def refuse() -> None:
        if _was_plain(request.environ) and request.endpoint not in _OPEN_TO_PROBES:
            raise Forbidden(
                "This request came over plain http, so whoever was on its way could read it. Call by https; a token "
                "that was sent should be given up."
            )

    app.before_request(refuse)


def _was_plain(environ: dict[str, object]) -> bool:
    """Whether the first proxy states that it was called over http."""
    scheme = environ.get("HTTP_X_FORWARDED_PROTO")
    if isinstance(scheme, str):
        return scheme.partition(",")[0].strip().lower() == "http"
    forwarded = environ.get("HTTP_FORWARDED")
    if isinstance(forwarded, str) and (found := _FORWARDED.search(forwarded.partition(",")[0])):
        return found[1].lower() == "http"
    return False
