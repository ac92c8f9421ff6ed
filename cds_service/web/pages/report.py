"""GET /report: the usage report on cards, as the page that `cds report --format html` writes.

It holds counts, ids of rules and names of sites, but neither patients nor users nor comments. Still it is not public,
and the service has no user accounts: the route exists in a sandbox, or where the operator has put a proxy with a login
in front of it (CDS_REPORT_PAGE).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from urllib.parse import urlencode

from flask import Flask, Response, request

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.review_limits import ReviewLimits
from cds_service.errors import BadRequest
from cds_service.languages import LANGUAGES, others
from cds_service.present.report.report import Names, make_report
from cds_service.present.report.report_page import Form, as_html, style_hash
from cds_service.settings import Settings
from cds_service.store.report_query import Selection
from cds_service.web.context import AppContext
from cds_service.web.responses import content_security_policy, html_response, not_stored, wanted_language

PATH = "/report"
_CHOICES = ("from", "to", "service", "rule", "site")
_LONGEST = 200


def add_report(app: Flask, context: AppContext, knowledge: KnowledgeBase, limits: ReviewLimits) -> None:
    """Adds the route."""
    settings, database = context.settings, context.runtime.database
    names = lru_cache(maxsize=len(LANGUAGES))(lambda language: Names(knowledge, language))
    policy = content_security_policy(script_src=None, connect_src=None, img_src=None, style_src=f"'{style_hash()}'")

    def report() -> Response:
        language = wanted_language(settings.language)
        asked = {name: value for name in _CHOICES if (value := request.args.get(name, "").strip())}
        made = make_report(database, limits, _selection(asked, settings), context.now())
        form = Form(
            action=settings.prefix + PATH,
            others=tuple(
                (row, f"{settings.prefix}{PATH}?{urlencode({'lang': row.code, **asked})}") for row in others(language)
            ),
            services=tuple(sorted(knowledge.services)),
            rules=tuple(rule.id for rule in knowledge.rules.values() if rule.kind == "rule"),
        )
        return not_stored(html_response(as_html(made, names(language), form), language, policy=policy))

    app.add_url_rule(PATH, "report", report, methods=["GET"])


def _selection(asked: Mapping[str, str], settings: Settings) -> Selection:
    for name in ("service", "rule", "site"):
        if len(asked.get(name, "")) > _LONGEST or "\x00" in asked.get(name, ""):
            raise BadRequest(f"{name} cannot exist. Choose one from the list.", expression=name)
    days = _day(asked, "from"), _day(asked, "to")
    return Selection(*days, settings.zone, asked.get("service"), asked.get("rule"), asked.get("site"))


def _day(asked: Mapping[str, str], name: str) -> date | None:
    written = asked.get(name)
    if written is None:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise BadRequest(f"{name} is not a date. Write it as 2026-11-20.", expression=name) from None
