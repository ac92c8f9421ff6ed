"""Responses that several parts of the web send: JSON, pages under a content security policy, caching, language."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from flask import Response, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from cds_service.languages import LANGUAGES, Language

JSON = "application/json"
_HTML = "text/html; charset=utf-8"
# The page loads scripts and data of this service only, cannot be framed, and posts forms to itself only.
_DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def content_security_policy(**directives: str | None) -> str:
    """The Content-Security-Policy of the page with these directives changed; None leaves one out.

    >>> content_security_policy(script_src=None, connect_src=None, style_src="'sha256-x'")
    "default-src 'none'; style-src 'sha256-x'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
frame-ancestors 'none'"
    """
    changed = {name.replace("_", "-"): value for name, value in directives.items()}
    policy = _DIRECTIVES | changed
    return "; ".join(f"{name} {value}" for name, value in policy.items() if value is not None)


PAGE_POLICY = content_security_policy()


def json_response(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, content_type=JSON)


def html_response(html: bytes | str, language: Language, *, policy: str = PAGE_POLICY) -> Response:
    """An HTML page with the headers of `secured`."""
    response = secured(Response(html, content_type=_HTML), policy=policy)
    response.headers["Content-Language"] = LANGUAGES[language].tag
    response.vary.add("Accept-Language")
    return response


def secured(response: Response, *, policy: str = PAGE_POLICY) -> Response:
    """Adds the headers of every page: nothing loaded from other origins, no framing, no Referer."""
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def revalidated(response: Response) -> Response:
    """Lets browsers store a response and revalidate it by its hash (ETag)."""
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.add_etag()
    response.make_conditional(request)
    return response


def not_stored(response: Response) -> Response:
    """Forbids browsers and proxies to store a response, e.g. because it holds patient data."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def wanted_language(fallback: Language) -> Language:
    """The language of the URL (`?lang=zh`), else the browser's preference, else the fallback."""
    asked = request.args.get("lang")
    if asked is not None and asked in LANGUAGES:
        return asked
    return accepted_language(request.headers.get("Accept-Language", "")) or fallback


@lru_cache(maxsize=512)
def accepted_language(header: str) -> Language | None:
    """The best of our languages for an Accept-Language header; None if it names none of them, or `*`.

    >>> accepted_language("fr, zh-CN;q=0.8, en;q=0.5")
    'zh'
    """
    ranges = [(tag, quality) for tag, quality in parse_accept_header(header, LanguageAccept) if tag != "*"]
    return LanguageAccept(ranges).best_match(LANGUAGES)
