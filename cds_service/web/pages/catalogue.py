"""The catalogue of rules and evidence as web pages, for clinicians: no script, no cookie, no patient data, no token."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

from flask import Blueprint, Response, current_app
from werkzeug.exceptions import NotFound

from cds_service.languages import LANGUAGES, Language, others
from cds_service.present.catalogue.catalogue import Catalogue
from cds_service.present.catalogue.page import HERE, CodeList, PageLink
from cds_service.present.catalogue.registers import REGISTERS
from cds_service.present.texts import say
from cds_service.web.responses import content_security_policy, html_response, revalidated, wanted_language

_STYLESHEET = "catalogue.css"
# CDS Hooks 2.0, Source: the icon is a PNG of 100 by 100 pixels without transparent regions.
_ICON = "icon.png"
_POLICY = content_security_policy(script_src=None, connect_src=None, img_src="'self'", form_action="'none'")


def catalogue_blueprint(catalogue: Catalogue, language: Language, prefix: str) -> Blueprint:
    """The routes under /rules.

    Args:
        language: the language of pages if the reader asks for none.
        prefix: path under which browsers reach the service, without a trailing slash.
    """
    blueprint = Blueprint("catalogue", __name__, template_folder="templates")
    pages = lru_cache(maxsize=None)(partial(_html, catalogue, f"{prefix}/rules"))
    static = Path(__file__).parent.parent / "static"
    stylesheet, picture = (static / _STYLESHEET).read_bytes(), (static / _ICON).read_bytes()
    names = frozenset(catalogue.names) - {""}

    def page(name: str = "") -> Response:
        if name and name not in names:
            raise NotFound
        chosen = wanted_language(language)
        return revalidated(html_response(pages(name, chosen), chosen, policy=_POLICY))

    def style() -> Response:
        return revalidated(Response(stylesheet, content_type="text/css; charset=utf-8"))

    def icon() -> Response:
        return revalidated(Response(picture, content_type="image/png"))

    def codes(value_set: str) -> Response:
        path = catalogue.codes(value_set)
        if path is None:
            raise NotFound
        return revalidated(Response(path.read_bytes(), content_type="text/csv; charset=utf-8"))

    blueprint.add_url_rule("/rules", "index", page, methods=["GET"])
    blueprint.add_url_rule("/rules/<name>", "page", page, methods=["GET"])
    blueprint.add_url_rule(f"/rules/{_STYLESHEET}", "style", style, methods=["GET"])
    blueprint.add_url_rule(f"/rules/{_ICON}", "icon", icon, methods=["GET"])
    blueprint.add_url_rule("/rules/value-sets/<value_set>.csv", "codes", codes, methods=["GET"])
    return blueprint


def _html(catalogue: Catalogue, base: str, name: str, language: Language) -> bytes:
    page = catalogue.page(name, language)

    def place(name: str, in_language: Language = language) -> str:
        return (f"{base}/{name}" if name else base) + f"?lang={in_language}"

    def address(to: PageLink | CodeList | str) -> str:
        if isinstance(to, str):
            return to
        if isinstance(to, CodeList):
            return f"{base}/value-sets/{to.value_set}.csv"
        return ("" if to.page == HERE else place(to.page)) + (f"#{to.anchor}" if to.anchor else "")

    template = current_app.jinja_env.get_template("catalogue.html")
    return template.render(
        page=page,
        places=[(one, say(one or "catalogue", language)) for one in ("", *REGISTERS)],
        here=LANGUAGES[language],
        languages=LANGUAGES,
        other_places=[(row, place(name, row.code)) for row in others(language)],
        place=place,
        address=address,
        stylesheet=f"{base}/{_STYLESHEET}",
        say=lambda key, **values: say(key, language, **values),
        kind=lambda block: type(block).__name__,
        version=catalogue.knowledge.version,
    ).encode()
