"""A report as one HTML file that needs nothing else: no script, nothing from elsewhere; made to be printed, too."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from cds_service.languages import LANGUAGES, Language, LanguageRow
from cds_service.present.report.bars import WIDTH, Bar, bars
from cds_service.present.report.report import Line, Names, Report
from cds_service.present.report.report_text import (
    figures_of,
    heading,
    key_figures,
    order_lines,
    reading,
    reason_lines,
    review,
)
from cds_service.present.report.texts import say
from cds_service.store.report_figures import Figures

_TEMPLATES = Path(__file__).parent / "templates"
_FIGURES = ("shown", "silent", "accepted", "overridden", "unanswered", "rate", "time", "patients")
_KINDS = ("accepted", "overridden", "unanswered")


@dataclass(frozen=True, slots=True)
class Form:
    """What a reader of the page may choose, and the address of the same page in each other language."""

    action: str
    others: tuple[tuple[LanguageRow, str], ...]
    services: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table: its header cells, and the others."""

    heads: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    caption: str
    head: tuple[str, ...]
    rows: tuple[_Row, ...]


def as_html(report: Report, names: Names, form: Form | None = None) -> str:
    """The page.

    Args:
        form: for a page that is served; a file has none.
    """
    language = names.language
    return _template().render(
        here=LANGUAGES[language],
        style=stylesheet(),
        say=lambda key, **values: say(key, language, **values),
        heading=heading(report, language),
        there=report.calls.number > 0,
        figures=key_figures(report, language),
        reviews=[review(flag, report, names) for flag in report.flags],
        kinds=_KINDS,
        width=WIDTH,
        rule_bars=_rule_bars(report, names),
        month_bars=_month_bars(report.months, language),
        tables=list(_tables(report, names)) if report.calls.number else [],
        reading=reading(report, language),
        form=form,
        selection=report.selection,
        language=language,
    )


@lru_cache
def stylesheet() -> str:
    return (_TEMPLATES / "report.css").read_text(encoding="utf-8")


@lru_cache
def style_hash() -> str:
    """By which a Content-Security-Policy knows the one style that the page may have."""
    return "sha256-" + base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()


@lru_cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _rule_bars(report: Report, names: Names) -> tuple[Bar, ...]:
    """The rules that were shown, the most frequent first."""
    lines = sorted((line for line in report.rules if line.figures.shown), key=lambda line: -line.figures.shown)
    return bars(
        (f"{names.rule(line.rule or '')} ({line.rule})", _words(line.figures, names.language), _parts(line.figures))
        for line in lines
    )


def _month_bars(months: Iterable[Line], language: Language) -> tuple[Bar, ...]:
    return bars((line.month or "", _words(line.figures, language), _parts(line.figures)) for line in months)


def _parts(figures: Figures) -> list[tuple[str, int]]:
    return [(kind, getattr(figures, kind)) for kind in _KINDS]


def _words(figures: Figures, language: Language) -> str:
    parts = [("shown", figures.shown), *_parts(figures)]
    return say("comma", language).join(f"{say(kind, language)} {number:,}" for kind, number in parts)


def _tables(report: Report, names: Names) -> Iterable[_Table]:
    language = names.language
    yield _table(
        "by_rule",
        ("rule", *_FIGURES),
        (_Row((line.rule or "",), figures_of(line.figures, report, language)) for line in report.rules),
        language,
    )
    yield _table(
        "by_month",
        ("month", *_FIGURES),
        (_Row((line.month or "",), figures_of(line.figures, report, language)) for line in report.months),
        language,
    )
    yield _table(
        "details",
        ("rule", "variant", "indicator", "site", "month", *_FIGURES),
        (_detail(line, report, language) for line in report.details),
        language,
    )
    yield _table(
        "reasons",
        ("rule", "reason", "number"),
        (_Row(row[:1], row[1:]) for row in reason_lines(report, names)),
        language,
    )
    yield _table(
        "suggestions",
        ("rule", "order", "offered", "accepted"),
        (_Row(row[:1], row[1:]) for row in order_lines(report, names)),
        language,
    )


def _detail(line: Line, report: Report, language: Language) -> _Row:
    own = (line.variant or "-", say(line.indicator or "unknown", language), line.site or "-", line.month or "-")
    return _Row((line.rule or "",), (*own, *figures_of(line.figures, report, language)))


def _table(caption: str, head: tuple[str, ...], rows: Iterable[_Row], language: Language) -> _Table:
    return _Table(say(caption, language), tuple(say(name, language) for name in head), tuple(rows))
