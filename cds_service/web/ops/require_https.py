"""What a client sent to our proxy over plain http is refused: its token and its patient were readable on the way.

A proxy says how it was called in `X-Forwarded-Proto` (or in `Forwarded`, RFC 7239). The header can only bring about a
refusal, never an answer, so nothing is won by forging it and no list of trusted proxies is needed. Without the header
we were called directly, or by a proxy that says nothing; whether that is by TLS, the operator decides (CDS_TLS_CERT).
"""

from __future__ import annotations

import re

from flask import Flask, request

from cds_service.errors import Forbidden

_FORWARDED = re.compile(r'proto="?([a-z]+)"?', re.IGNORECASE)
# Probes ask from within, hold nothing and are told nothing.
_OPEN_TO_PROBES = frozenset({"live", "ready"})


def refuse_plain_http(app: Flask) -> None:
    """Makes the app answer 403 to what came to a proxy over plain http. For closed mode: trying out needs no TLS."""

    def refuse() -> None:
        if _was_plain(request.environ) and request.endpoint not in _OPEN_TO_PROBES:
            raise Forbidden(
                "This request came over plain http, so whoever was on its way could read it. Call by https; a token "
                "that was sent should be given up."
            )

    app.before_request(refuse)


def _was_plain(environ: dict[str, object]) -> bool:
    """Whether the first proxy on the way says that it was called by http."""
    told = environ.get("HTTP_X_FORWARDED_PROTO")
    if isinstance(told, str):
        return told.partition(",")[0].strip().lower() == "http"
    told = environ.get("HTTP_FORWARDED")
    if isinstance(told, str) and (found := _FORWARDED.search(told.partition(",")[0])):
        return found[1].lower() == "http"
    return False
