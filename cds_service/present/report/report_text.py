"""A report as text: tables for a terminal, or one CSV row for each group."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from tabulate import tabulate

from cds_service.languages import Language
from cds_service.present.report.report import Flag, Line, Names, Report, reasons_of
from cds_service.present.report.texts import (
    chosen,
    day,
    duration,
    patients,
    percent,
    period,
    rate,
    say,
    share,
)
from cds_service.store.report_figures import Figures

# Stable: programs of others read them.
COLUMNS = (
    "month",
    "site",
    "rule",
    "variant",
    "indicator",
    "shown",
    "silent",
    "answered",
    "accepted",
    "overridden",
    "unanswered",
    "override_rate",
    "few_answers",
    "median_seconds",
    "timed_answers",
    "patients",
    "suggestions_offered",
    "suggestions_accepted",
    "accepted_orders",
    "override_reasons",
)
_FIGURES = ("shown", "silent", "accepted", "overridden", "unanswered", "rate", "time", "patients")
# A spreadsheet would take the text for a formula.
_FORMULA = re.compile(r"[=+\-@\t\r]")
# What would move the cursor of a terminal, or be taken for a command to it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def as_csv(report: Report) -> str:
    """One row for each rule, variant, severity, site and month; what is unknown or does not exist is empty."""
    content = StringIO(newline="")
    writer = csv.writer(content, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in report.details:
        writer.writerow([_harmless(cell) for cell in _cells(line, report)])
    return content.getvalue()


def _cells(line: Line, report: Report) -> Iterator[object]:
    figures = line.figures
    yield from (line.month, line.site, line.rule, line.variant, line.indicator)
    yield from (figures.shown, figures.silent, figures.answered, figures.accepted, figures.overridden)
    yield figures.unanswered
    yield None if figures.override_rate is None else f"{figures.override_rate:.4f}"
    yield "yes" if report.is_few(figures) else "no"
    yield None if figures.seconds is None else f"{figures.seconds:.1f}"
    yield from (figures.timed_answers, figures.patients, figures.suggestions.offered, figures.suggestions.accepted)
    yield _pairs((order or "draft-change", taken.accepted) for order, taken in figures.orders.items())
    yield _pairs(reasons_of(figures))


def _pairs(pairs: Iterable[tuple[str, int]]) -> str:
    return ";".join(f"{name}:{number}" for name, number in sorted(pairs) if number)


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def as_text(report: Report, names: Names, *, with_comments: bool = False) -> str:
    """Tables for a terminal."""
    language = names.language
    parts = ["\n".join(heading(report, language))]
    if report.calls.number:
        parts.append("\n".join(key_figures(report, language)))
        parts.append(_section("review", language, "\n".join(_reviews(report, names))))
        parts += [_section(*part) for part in _tables(report, names)]
        parts.append(_section("reading", language, "\n".join(reading(report, language))))
    if with_comments:
        parts.append(_section("comments", language, "\n".join(_comments(report))))
    return "\n\n".join(parts)


def heading(report: Report, language: Language) -> list[str]:
    """What the report is about."""
    zone = str(report.selection.zone or say("this_machine", language))
    made = say("made", language, at=f"{day(report.made.date(), language)} {report.made:%H:%M}")
    lines = [
        say("title", language, period=period(report.selection, language)),
        say("comma", language).join((*chosen(report.selection, language), say("days_of", language, zone=zone), made)),
    ]
    if report.calls.knowledge:
        lines.append(say("knowledge", language, version=", ".join(report.calls.knowledge)))
    if not report.calls.number:
        lines.append(say("nothing", language))
    return lines


def key_figures(report: Report, language: Language) -> list[str]:
    """Calls and cards in a few lines."""
    calls, total = report.calls, report.total
    comma = say("comma", language)
    of_calls = (("with_cards", calls.with_cards), ("refused", calls.refused), ("undecided", calls.undecided))
    of_cards = (
        ("shown", f"{total.shown:,}"),
        ("silent", f"{total.silent:,}"),
        ("answered", share(total.answered, total.shown)),
        ("accepted", f"{total.accepted:,}"),
        ("overridden", f"{total.overridden:,}"),
        ("rate", rate(total, report.few)),
        ("time", duration(total, language)),
        ("patients", patients(total, language)),
    )
    told = comma.join(f"{say(name, language)} {number:,}" for name, number in of_calls)
    lines = [
        say("figures", language, name=say("calls", language), number=f"{calls.number:,}", parts=told),
        say(
            "figure",
            language,
            name=say("cards", language),
            value=comma.join(f"{say(key, language)} {n}" for key, n in of_cards),
        ),
    ]
    if report.unmatched:
        lines.append(say("unmatched", language, cards=f"{report.unmatched:,}"))
    return lines


def _reviews(report: Report, names: Names) -> Iterator[str]:
    if not report.flags:
        yield say("review_none", names.language)
    for flag in report.flags:
        yield "! " + " ".join(review(flag, report, names))


def review(flag: Flag, report: Report, names: Names) -> tuple[str, str, str, str]:
    """What crossed a limit, what to do, the limit, and who says so."""
    language, limit, figures = names.language, flag.limit, flag.figures
    above = f"{limit.overridden_above:g} %"
    part = percent(figures.overridden, figures.answered) + ("*" if report.is_few(figures) else "")
    kind = None if limit.indicator is None else say(limit.indicator, language)
    subject = flag.rule if kind is None else say("of_kind", language, rule=flag.rule, kind=kind)
    return (
        say(
            "crossed",
            language,
            rule=subject,
            overridden=figures.overridden,
            answered=figures.answered,
            part=part,
            shown=figures.shown,
        ),
        limit.action.in_language(language),
        say("limit" if kind is None else "limit_of", language, share=above, kind=kind, shown=limit.shown_at_least),
        limit.source.in_language(language),
    )


def figures_of(figures: Figures, report: Report, language: Language) -> tuple[str, ...]:
    """The cells of a table, in the order of its columns."""
    return (
        *(f"{number:,}" for number in (figures.shown, figures.silent, figures.accepted, figures.overridden)),
        f"{figures.unanswered:,}",
        rate(figures, report.few),
        duration(figures, language),
        patients(figures, language),
    )


def _tables(report: Report, names: Names) -> Iterator[tuple[str, Language, str]]:
    language = names.language
    lines = [(line.rule or "", *figures_of(line.figures, report, language)) for line in report.rules]
    yield "by_rule", language, _table(("rule", *_FIGURES), lines, language)
    lines = [
        (
            line.rule or "",
            line.variant or "-",
            say(line.indicator or "unknown", language),
            line.site or "-",
            line.month or "-",
            *figures_of(line.figures, report, language),
        )
        for line in report.details
    ]
    yield "details", language, _table(("rule", "variant", "indicator", "site", "month", *_FIGURES), lines, language)
    if reasons := list(reason_lines(report, names)):
        yield "reasons", language, _table(("rule", "reason", "number"), reasons, language)
    if orders := list(order_lines(report, names)):
        yield "suggestions", language, _table(("rule", "order", "offered", "accepted"), orders, language)


def reason_lines(report: Report, names: Names) -> Iterator[tuple[str, str, str]]:
    """Rule, reason, number; the most frequent first."""
    for line in report.rules:
        for code, number in reasons_of(line.figures):
            yield line.rule or "", names.reason(code), f"{number:,}"


def order_lines(report: Report, names: Names) -> Iterator[tuple[str, str, str, str]]:
    """Rule, suggestion, how often it was offered and accepted; the most accepted first."""
    for line in report.rules:
        ranked = sorted(line.figures.orders.items(), key=lambda item: (-item[1].accepted, item[0] or ""))
        for order, taken in ranked:
            yield line.rule or "", names.order(order), f"{taken.offered:,}", share(taken.accepted, taken.offered)


def reading(report: Report, language: Language) -> list[str]:
    """How the figures are meant."""
    told = ["read_once", "read_unanswered", "read_silent", "read_time", "read_patients"]
    return [*(say(key, language) for key in told), say("read_few", language, number=report.few)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], language: Language) -> str:
    words = 5 if "site" in head else 2 if "reason" in head or "order" in head else 1
    return tabulate(
        rows,
        [say(name, language) for name in head],
        tablefmt="simple",
        disable_numparse=True,
        colalign=["left" if place < words else "right" for place in range(len(head))],
    )


def _section(key: str, language: Language, content: str) -> str:
    return f"{say(key, language).upper()}\n{content}"


def _comments(report: Report) -> Iterator[str]:
    for comment in report.comments:
        yield f"{comment.rule}, {comment.at[:10]}, {comment.outcome}: {_CONTROL.sub(' ', comment.text)}"
    if not report.comments:
        yield "-"
