"""A whole month, sent and answered through the service: every figure of the report is what was sent."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.review_limits import read_review_limits
from cds_service.present.report.report import Names, Report, make_report
from cds_service.present.report.report_text import as_csv, as_text
from cds_service.store.report_figures import DIMENSIONS, Calls, Figures, Usage
from cds_service.store.report_query import Dimension, Selection
from tests.servers.fixtures import IN_PIPELINE, new_database
from tests.support.databases import sqlite_url
from tests.support.month import HATED, REFUSED, ZONE, Month
from tests.support.real_inputs import knowledge

pytestmark = pytest.mark.slow

# A developer's machine takes two minutes for all of them.
CALLS = 10_000 if IN_PIPELINE else 800
GROUPS: list[tuple[Dimension, ...]] = [(), ("rule",), ("rule", "indicator"), ("month",), ("site", "month"), DIMENSIONS]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    folder = tmp_path_factory.mktemp("month")
    if request.param == "sqlite":
        made = Month(folder, sqlite_url(folder), CALLS)
        yield made
        made.close()
        return
    with new_database(request.getfixturevalue("postgres_server")) as url:
        made = Month(folder, url, CALLS)
        yield made
        made.close()


def reported(month: Month, selection: Selection) -> Report:
    database = month.apps[None].extensions["database"]
    return make_report(database, read_review_limits(knowledge_dir()), selection, datetime.now(UTC), no_timeout=True)


def comparable(figures: Figures) -> Figures:
    """The database reckons with milliseconds."""
    seconds: Any = None if figures.seconds is None else pytest.approx(figures.seconds, abs=0.01)
    return replace(figures, seconds=seconds)


def test_the_month_has_everything_that_is_to_be_counted(month: Month) -> None:
    """Without it, the tests below would agree about nothing"""
    total = month.figures()[()]
    assert total.accepted > CALLS / 20
    assert total.overridden > CALLS / 20
    assert total.unanswered > CALLS / 20
    assert total.silent > CALLS / 100
    assert total.timed_answers < total.answered
    assert len(total.reasons) > 5
    assert len(total.orders) > 5
    assert any(len(card.events) > 1 and card.events[0]["outcome"] != card.events[-1]["outcome"] for card in month.cards)
    assert {call["status"] for call in month.calls} == {200, 400}
    assert {card.month for card in month.cards} == {"2026-09", "2026-10", "2026-11"}


@pytest.mark.parametrize("by", GROUPS, ids=lambda by: "-".join(by) or "all")
def test_every_figure_is_what_was_sent(month: Month, by: tuple[Dimension, ...]) -> None:
    with month.apps[None].extensions["database"].snapshot("") as connection:
        counted = Usage(connection, Selection(zone=ZONE)).figures(*by)
    sent = month.figures(*by)
    assert counted.keys() == sent.keys()
    for key, figures in sent.items():
        assert counted[key] == comparable(figures), key


def test_calls_and_strangers_are_counted_as_they_came(month: Month) -> None:
    report = reported(month, Selection(zone=ZONE))
    refused = sum(call["status"] != 200 for call in month.calls)
    with_cards = sum(call["cards"] > 0 for call in month.calls)
    assert report.calls == Calls(CALLS, refused, with_cards, 0, report.calls.knowledge)
    assert len(report.calls.knowledge) == 3
    assert report.unmatched == month.strangers


@pytest.mark.parametrize(
    "selection",
    [
        Selection(date(2026, 10, 1), date(2026, 10, 31), ZONE),
        Selection(date(2026, 10, 14), date(2026, 10, 14), ZONE),
        Selection(zone=ZONE, rule="b12-low"),
        Selection(zone=ZONE, site="north"),
        Selection(date(2026, 10, 10), None, ZONE, service="vitamin-k-order-sign", site="south"),
    ],
    ids=["a month", "a day", "a rule", "a site", "several"],
)
def test_a_selection_counts_what_belongs_to_it(month: Month, selection: Selection) -> None:
    sent = month.figures(
        *DIMENSIONS,
        among=lambda card: (
            (selection.first is None or card.at.date() >= selection.first)
            and (selection.last is None or card.at.date() <= selection.last)
            and selection.service in (None, card.service)
            and selection.rule in (None, card.rule)
            and selection.site in (None, card.site)
        ),
    )
    report = reported(month, selection)
    counted = {tuple(getattr(line, name) for name in DIMENSIONS): line.figures for line in report.details}
    assert counted == {key: comparable(figures) for key, figures in sent.items()}
    assert sum(figures.shown for figures in sent.values()) == report.total.shown > 0


def test_rules_beyond_a_limit_are_flagged_and_no_others(month: Month) -> None:
    sent = {key[0]: figures for key, figures in month.figures("rule").items()}
    critical = {key[0]: figures for key, figures in month.figures("rule", "indicator").items() if key[1] == REFUSED}
    expected = {
        ("mostly-overridden", rule)
        for rule, found in sent.items()
        if found.shown >= 50 and found.answered and found.overridden / found.answered > 0.8
    } | {
        ("critical-overridden", rule)
        for rule, found in critical.items()
        if found.answered and found.overridden / found.answered > 0.2
    }
    flags = {(flag.limit.id, flag.rule) for flag in reported(month, Selection(zone=ZONE)).flags}
    assert flags == expected
    assert ("mostly-overridden", HATED) in expected
    assert {kind for kind, _ in expected} == {"mostly-overridden", "critical-overridden"}


def test_the_csv_adds_up_to_what_was_sent(month: Month) -> None:
    rows = list(csv.DictReader(StringIO(as_csv(reported(month, Selection(zone=ZONE))), newline="")))
    total = month.figures()[()]
    for column in ("shown", "silent", "answered", "accepted", "overridden", "unanswered"):
        assert sum(int(row[column]) for row in rows) == getattr(total, column)
    reasons = [part.rpartition(":") for row in rows for part in row["override_reasons"].split(";") if part]
    assert sum(int(number) for _, _, number in reasons) == total.overridden
    assert sum(int(row["suggestions_accepted"]) for row in rows) == total.suggestions.accepted


def test_the_terminal_shows_the_sums(month: Month) -> None:
    text = as_text(reported(month, Selection(zone=ZONE)), Names(knowledge(), "en"))
    total = month.figures()[()]
    assert f"shown {total.shown:,}, not shown {total.silent:,}," in text
    assert f"accepted {total.accepted:,}, overridden {total.overridden:,}," in text
    for (rule, *_), figures in month.figures("rule").items():
        assert re.search(rf"^{rule} +{figures.shown:,} +{figures.silent:,} +{figures.accepted:,} ", text, re.MULTILINE)
