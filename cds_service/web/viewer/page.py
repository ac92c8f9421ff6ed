"""The clinician's page under /app/: its files and its content security policy (no other origins)."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from cds_service.languages import LANGUAGES, Language
from cds_service.texts import Texts
from cds_service.web.responses import html_response, revalidated, secured, wanted_language

PREFIX = "/app"
_page_texts = Texts("page")
# Made of `texts/page.yaml`: every text of the page in each language.
_TEXTS = "texts.json"
_FILES = Path(__file__).parent.parent / "static" / "app"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}


def page_blueprint(language: Language, knowledge_version: str, prefix: str) -> Blueprint:
    """A blueprint of the page and its files; `viewer/api.py` adds its JSON routes.

    Every URL in the page is relative, so that it works behind a proxy with any prefix.

    Args:
        language: the language of the page if the reader asks for none.
        prefix: path under which browsers reach the service, without a trailing slash.
    """
    blueprint = Blueprint("page", __name__, url_prefix=PREFIX, template_folder="templates")
    files = {path.relative_to(_FILES).as_posix(): path for path in sorted(_FILES.rglob("*")) if path.suffix in _TYPES}
    texts = msgspec.json.encode(_page_texts.by_key())
    pages = lru_cache(maxsize=len(LANGUAGES))(partial(_html, knowledge_version))

    def page() -> ResponseReturnValue:
        if not request.path.endswith("/"):
            # URLs in the page are relative to the folder.
            return redirect(f"{prefix}{PREFIX}/")
        chosen = wanted_language(language)
        return revalidated(isolated(html_response(pages(chosen), chosen)))

    def file(name: str) -> Response:
        if name == _TEXTS:
            return revalidated(Response(texts, content_type=_TYPES[".json"]))
        path = files.get(name)
        if path is None:
            raise NotFound
        return revalidated(Response(path.read_bytes(), content_type=_TYPES[path.suffix]))

    for path in ("", "/"):
        blueprint.add_url_rule(path, "page", page, methods=["GET"])
    blueprint.add_url_rule("/static/<path:name>", "file", file, methods=["GET"])
    return blueprint


def isolated(response: Response) -> Response:
    """Adds the headers of every page, and forbids access through `window.opener`."""
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return secured(response)


def lead_browsers_here(app: Flask, prefix: str) -> None:
    """Redirects browsers from the index to the page; programs get the index."""
    index = app.view_functions["index"]

    def index_or_page() -> Any:
        # Only browsers name HTML in Accept.
        if "text/html" not in request.headers.get("Accept", ""):
            return current_app.ensure_sync(index)()
        response = redirect(f"{prefix}{PREFIX}/")
        response.headers["Vary"] = "Accept"
        return response

    app.view_functions["index"] = index_or_page


def _html(knowledge_version: str, language: Language) -> bytes:
    template = current_app.jinja_env.get_template("app.html")
    return template.render(
        here=LANGUAGES[language],
        languages=LANGUAGES.values(),
        title=_page_texts.get("title", language),
        no_script=Texts("viewer").get("no_script", language),
        version=knowledge_version,
    ).encode()
