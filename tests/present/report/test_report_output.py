"""A report as text, as CSV and as one HTML file: the same figures, safe to open, and nothing that users wrote."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.review_limits import read_review_limits
from cds_service.cli.main import main
from cds_service.languages import Language
from cds_service.present.report.report import Names, Report, make_report, reason_code
from cds_service.present.report.report_page import as_html, stylesheet
from cds_service.present.report.report_text import COLUMNS, as_csv, as_text
from cds_service.present.report.texts import duration, percent, rate
from cds_service.store.database import Database
from cds_service.store.report_figures import Figures, Reason
from cds_service.store.report_query import Selection
from tests.support.databases import sqlite_url
from tests.support.html_page import Read
from tests.support.kb import knowledge
from tests.support.records import AT, answer, keep, opened, shown

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
COMMENT = "Mrs Canary called about her B12"
LANGUAGES: tuple[Language, ...] = ("en", "zh")
# What may stand in Latin letters on a Chinese page: ids, names, units, and what is called so in Chinese, too.
LATIN = re.compile(
    r"(?<![A-Za-z])(?:UTC|CDS_HASH_KEY|b12(?:-[a-z]+)*|vka(?:-[a-z]+)*|info|north|pregnancy|B12|K|MMA|INR|English)(?![A-Za-z])"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(sqlite_url(tmp_path)) as database:
        yield database


@pytest.fixture
def used(database: Database) -> Database:
    """One rule accepted twice and overridden once, another one overridden without end, one that nobody saw."""
    low = [shown(orders=("order-mma", None), indicator="warning", variant="pregnancy") for _ in range(4)]
    keep(database, *low, site="north")
    for card in low[:2]:
        answer(database, card, "accepted", accepted=(card.suggestions[0].id,), after=90)
    answer(database, low[2], reason_code="disagree", comment=COMMENT)
    hated = [shown("vka-menatetrenone", indicator="critical") for _ in range(60)]
    keep(database, *hated, shown("b12-borderline", shown=False), at=datetime(2026, 9, 3, tzinfo=UTC))
    for card in hated[:50]:
        answer(database, card, reason_code="code.1", reason_system="urn:x", since=datetime(2026, 9, 3, tzinfo=UTC))
    answer(database, "card-of-nobody", comment=COMMENT)
    return database


def reported(database: Database, **selected: Any) -> Report:
    limits = read_review_limits(knowledge_dir())
    return make_report(database, limits, Selection(zone=UTC, **selected), NOW, comments=True)


def names(language: Language = "en") -> Names:
    return Names(knowledge(), language)


def rows_of(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(as_csv(report), newline="")))


# --- CSV ---------------------------------------------------------------------------------------------------------


def test_a_csv_row_is_one_group_with_stable_columns(used: Database) -> None:
    found = rows_of(reported(used))
    assert as_csv(reported(used)).split("\r\n")[0] == ",".join(COLUMNS)
    assert [(row["rule"], row["month"]) for row in found] == [
        ("b12-borderline", "2026-09"),
        ("b12-low", "2026-10"),
        ("vka-menatetrenone", "2026-09"),
    ]
    assert found[1] == {
        "month": "2026-10",
        "site": "north",
        "rule": "b12-low",
        "variant": "pregnancy",
        "indicator": "warning",
        "shown": "4",
        "silent": "0",
        "answered": "3",
        "accepted": "2",
        "overridden": "1",
        "unanswered": "1",
        "override_rate": "0.3333",
        "few_answers": "yes",
        "median_seconds": "90.0",
        "timed_answers": "3",
        "patients": "1",
        "suggestions_offered": "8",
        "suggestions_accepted": "2",
        "accepted_orders": "order-mma:2",
        "override_reasons": "disagree:1",
    }


def test_what_is_unknown_is_empty_in_csv_and_not_nought(database: Database) -> None:
    keep(database, shown(), patient=None)
    (row,) = rows_of(reported(database))
    assert {name for name, value in row.items() if value == ""} == {
        "site",
        "variant",
        "override_rate",
        "median_seconds",
        "patients",
        "accepted_orders",
        "override_reasons",
    }


@pytest.mark.parametrize("code", ["=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "\tx"])
def test_no_cell_is_a_formula_to_a_spreadsheet(database: Database, code: str) -> None:
    one = shown(rule=code)
    keep(database, one, site=code)
    answer(database, one, reason_code=code)
    (row,) = rows_of(reported(database))
    assert not [value for value in row.values() if value[:1] in tuple("=+-@\t\r")]


# --- reasons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "system", "told"),
    [
        ("disagree", "urn:cds-service:override-reason", "disagree"),
        ("disagree", None, "disagree"),
        (None, None, "none"),
        (None, "com.epic.cdshooks.feedback.overrideReason.reasonCategory", "other"),
        ("7", "com.epic.cdshooks.x", "com.epic.cdshooks.x|7"),
        ("Mrs Canary, born 1950", None, "other"),
        ("<script>", None, "other"),
        ("ok", "javascript:alert('x')", "other"),
        ("x" * 65, None, "other"),
    ],
)
def test_a_reason_is_told_only_if_it_looks_like_a_code(code: str | None, system: str | None, told: str) -> None:
    assert reason_code(Reason(code, system)) == told


# --- text --------------------------------------------------------------------------------------------------------


def test_the_text_tells_every_figure_with_its_denominator(used: Database) -> None:
    text = as_text(reported(used), names())
    assert "Calls: 2; with cards 2, refused 0" in text
    assert "shown 64, not shown 1, answered 83 % (53/64), accepted 2, overridden 51, override rate 96 % (51/53)" in text
    assert "Feedback on cards that are not on record here: 1 cards." in text
    assert re.search(r"b12-low +4 +0 +2 +1 +1 +33 % \(1/3\)\* +1\.5 min +1", text)
    assert re.search(r"b12-low +pregnancy +warning +north +2026-10 +4 +0 +2 +1 +1", text)
    assert re.search(r"b12-low +I disagree with the advice +1", text)
    assert re.search(r"vka-menatetrenone +urn:x\|code\.1 +50", text)
    assert re.search(rf"b12-low +{re.escape(names().order('order-mma'))} +4 +50 % \(2/4\)", text)


def test_the_text_names_what_is_to_be_reviewed_with_limit_and_source(used: Database) -> None:
    text = as_text(reported(used), names())
    assert "! vka-menatetrenone: 50 of 50 answered cards were overridden (100 %); 60 shown. Review the rule." in text
    assert "! vka-menatetrenone (critical): 50 of 50" in text
    assert "Limit: more than 20 % of the answered critical cards, from 1 shown on." in text


def test_comments_are_told_on_demand_only(used: Database) -> None:
    report = reported(used)
    assert COMMENT in as_text(report, names(), with_comments=True)
    assert COMMENT not in as_text(report, names())
    assert COMMENT not in as_csv(report)
    assert COMMENT not in as_html(report, names())
    assert COMMENT not in repr(report)


def test_a_comment_cannot_command_a_terminal(database: Database) -> None:
    one = shown()
    keep(database, one)
    answer(database, one, comment="\x1b[2Jgone\r\nb12-low, accepted: \x9b31m")
    text = as_text(reported(database), names(), with_comments=True)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert len([line for line in text.splitlines() if "gone" in line or "31m" in line]) == 1


def test_a_report_on_nothing_says_so(database: Database) -> None:
    report = reported(database, first=date(2026, 1, 1), last=date(2026, 1, 31))
    assert as_text(report, names()).splitlines()[-1] == "No call is on record for this selection."
    assert rows_of(report) == []
    assert "No call is on record for this selection." in Read(as_html(report, names())).words


def test_the_heading_tells_the_selection(used: Database) -> None:
    text = as_text(reported(used, first=date(2026, 10, 1), rule="b12-low", site="north"), names())
    assert text.startswith(
        "Use of the rules: 2026-10-01 to today\nonly rule: b12-low, only site: north, days and months"
    )
    assert "UTC" in text.splitlines()[1]
    assert "2026-11-20 10:15" in text.splitlines()[1]
    assert "vka-menatetrenone" not in text


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [(0, 5, "0 %"), (5, 5, "100 %"), (1, 100, "1 %"), (1, 101, "<1 %"), (99, 100, "99 %"), (100, 101, ">99 %")],
)
def test_a_share_never_says_all_or_none_where_it_is_not(part: int, whole: int, told: str) -> None:
    assert percent(part, whole) == told


def test_a_rate_of_few_answers_bears_a_star() -> None:
    assert rate(Figures(shown=30, accepted=18, overridden=1), few=20) == "5 % (1/19)*"
    assert rate(Figures(shown=30, accepted=19, overridden=1), few=20) == "5 % (1/20)"
    assert rate(Figures(shown=30), few=20) == "-"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "-"), (0.0, "0 s"), (59.0, "59 s"), (60.0, "1 min"), (5400.0, "1.5 h"), (172_800.0, "2 d"), (1e7, "116 d")],
)
def test_a_time_is_told_in_a_unit_that_fits_it(seconds: float | None, told: str) -> None:
    assert duration(Figures(seconds=seconds), "en") == told


# --- HTML --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_needs_nothing_else_and_runs_nothing(used: Database, language: Language) -> None:
    page = as_html(reported(used), names(language))
    read = Read(page)
    assert read.all("html") == [{"lang": {"en": "en", "zh": "zh-Hans"}[language]}]
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint(tag for tag, _ in read.elements)
    names_of = {name for _, attributes in read.elements for name in attributes}
    assert names_of.isdisjoint({"src", "style", "onload", "onclick", "href"})
    assert not re.search(r"url\((?!#)|@import|https?:", page)


def test_the_page_shows_the_figures_of_the_text(used: Database) -> None:
    words = Read(as_html(reported(used), names())).words
    assert "answered 83 % (53/64)" in words
    assert "vka-menatetrenone (critical): 50 of 50 answered cards were overridden (100 %); 60 shown." in words
    assert "shown 4, accepted 2, overridden 1, unanswered 1" in words


def test_every_table_has_headers_and_a_caption(used: Database) -> None:
    read = Read(as_html(reported(used), names()))
    tables = len(read.all("table"))
    assert tables == len(read.all("caption")) == len(read.all("thead")) == 5
    assert all(attributes.get("scope") in ("col", "row") for attributes in read.all("th"))
    assert len(read.all("h1")) == 1


def test_a_bar_is_as_long_as_its_number(used: Database) -> None:
    pieces = [one for one in Read(as_html(reported(used), names())).all("rect") if one.get("y") and one["x"] != "1"]
    by_rule = pieces[: len(pieces) // 2]
    widths = [(one["class"], float(one["width"])) for one in by_rule]
    # 60 of the longest: 50 overridden, 10 unanswered; then 2, 1 and 1.
    assert widths == [
        ("overridden", 600.0),
        ("unanswered", 120.0),
        ("accepted", 24.0),
        ("overridden", 12.0),
        ("unanswered", 12.0),
    ]
    assert [float(one["x"]) for one in by_rule] == [0, 600, 0, 24, 36]


def test_what_others_named_is_text_on_the_page(database: Database) -> None:
    keep(database, shown("<script>alert(1)</script>"), site='"><img src=x>')
    read = Read(as_html(reported(database), names()))
    assert {"script", "img"}.isdisjoint(tag for tag, _ in read.elements)
    assert "<script>alert(1)</script>" in read.words


def test_a_chinese_report_has_no_english_words(used: Database) -> None:
    report = reported(used)
    page = Read(as_html(report, names("zh"))).words.replace(stylesheet(), "")
    for text in (as_text(report, names("zh")), page):
        assert text
        rest = LATIN.sub("", text.replace("1.0.0+test", "").replace("urn:x|code.1", ""))
        assert re.findall(r"[A-Za-z]{2,}", rest) == []


# --- the command -------------------------------------------------------------------------------------------------


def run(database: Database, *words: str, **variables: str) -> Result:
    url = str(database._fast.url)
    return CliRunner(env={"CDS_DATABASE_URL": url, "CDS_TIME_ZONE": "UTC", **variables}).invoke(
        main, ["report", *words]
    )


def test_the_command_prints_the_report(used: Database) -> None:
    result = run(used, "--from", "2026-10-01", "--to", "2026-10-31", "--rule", "b12-low")
    assert result.exit_code == 0
    assert result.output.startswith("Use of the rules: 2026-10-01 to 2026-10-31\nonly rule: b12-low")
    assert re.search(r"b12-low +4 +0 +2 +1 +1", result.output)
    assert COMMENT not in result.output


def test_the_command_speaks_the_language_that_is_asked_for(used: Database) -> None:
    assert run(used, "--language", "zh").output.startswith("规则使用报告")
    assert run(used, CDS_LANGUAGE="zh").output.startswith("规则使用报告")
    assert run(used, "--language", "en", CDS_LANGUAGE="zh").output.startswith("Use of the rules")


@pytest.mark.parametrize(("form", "begins"), [("csv", "month,site,rule"), ("html", "<!DOCTYPE html>")])
def test_the_command_writes_a_file(used: Database, tmp_path: Path, form: str, begins: str) -> None:
    path = tmp_path / "report"
    result = run(used, "--format", form, "--output", str(path))
    assert (result.exit_code, result.output) == (0, f"{path}: 2 calls, 64 cards\n")
    assert path.read_text(encoding="utf-8").startswith(begins)
    assert run(used, "--format", form).output.startswith(begins)


@pytest.mark.parametrize("words", [["--format", "html"], ["--format", "csv"], ["--output", "report.txt"]])
def test_comments_are_never_written_to_a_file(used: Database, words: list[str]) -> None:
    result = run(used, "--comments", *words)
    assert result.exit_code == 2
    assert "for the terminal only" in result.output
    assert COMMENT not in result.output
    assert COMMENT in run(used, "--comments").output


def test_a_period_that_ends_before_it_begins_is_refused(used: Database) -> None:
    result = run(used, "--from", "2026-10-02", "--to", "2026-10-01")
    assert result.exit_code == 1
    assert result.stderr == "cds: The last day of the period is before the first. Give the earlier one as the first.\n"


def test_days_of_the_command_are_those_of_the_site(database: Database) -> None:
    keep(database, shown(), at=datetime(2026, 10, 6, 17, tzinfo=UTC))
    words = ["--from", "2026-10-07", "--format", "csv"]
    assert run(database, *words, CDS_TIME_ZONE="Asia/Shanghai").output.count("\n") == 2
    assert run(database, *words).output.count("\n") == 1
    assert AT.day == 7
