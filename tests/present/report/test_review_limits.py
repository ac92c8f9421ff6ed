"""The limits beyond which the use of a rule calls for a review: what crosses them, and how a fault in them is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.review.check import check
from cds_service.artifacts.review_limits import FILE, ReviewLimits, read_review_limits
from cds_service.errors import KnowledgeError
from cds_service.present.report.report import Report, make_report
from cds_service.store.database import Database
from cds_service.store.report_query import Selection
from tests.support.databases import sqlite_url
from tests.support.records import answer, keep, opened, shown
from tests.support.small_knowledge import write

LIMITS = read_review_limits(knowledge_dir())
OFTEN, CRITICAL = LIMITS.limits
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(sqlite_url(tmp_path)) as database:
        yield database


def use(database: Database, rule: str, indicator: str, accepted: int, overridden: int, unanswered: int) -> None:
    cards = [shown(rule, indicator=indicator) for _ in range(accepted + overridden + unanswered)]
    keep(database, *cards)
    for place, card in enumerate(cards[: accepted + overridden]):
        answer(database, card, "accepted" if place < accepted else "overridden")


def reported(database: Database, limits: ReviewLimits = LIMITS) -> Report:
    return make_report(database, limits, Selection(zone=UTC), NOW)


@pytest.mark.parametrize(
    ("shown_", "accepted", "overridden", "crossed"),
    [
        (50, 9, 41, True),
        (50, 10, 40, False),  # 80 % is not above 80 %
        (49, 0, 49, False),
        (50, 0, 1, True),  # what nobody answered was not followed either
        (50, 0, 0, False),
    ],
)
def test_a_rule_that_is_mostly_overridden_crosses_a_limit(
    shown_: int, accepted: int, overridden: int, crossed: bool
) -> None:
    assert OFTEN.crossed(shown_, accepted, overridden) is crossed


@pytest.mark.parametrize(("accepted", "overridden", "crossed"), [(4, 1, False), (79, 21, True), (0, 1, True)])
def test_a_critical_card_crosses_a_limit_sooner(accepted: int, overridden: int, crossed: bool) -> None:
    assert CRITICAL.indicator == "critical"
    assert CRITICAL.crossed(accepted + overridden, accepted, overridden) is crossed


def test_the_shipped_limits_are_those_of_the_clinical_owners() -> None:
    assert (OFTEN.overridden_above, OFTEN.shown_at_least, OFTEN.indicator) == (80, 50, None)
    assert (CRITICAL.overridden_above, CRITICAL.shown_at_least) == (20, 1)


def test_a_report_flags_the_rules_that_crossed_a_limit(database: Database) -> None:
    use(database, "hated", "info", accepted=2, overridden=40, unanswered=10)
    use(database, "liked", "info", accepted=40, overridden=2, unanswered=10)
    use(database, "feared", "critical", accepted=3, overridden=1, unanswered=0)
    flags = {(flag.rule, flag.limit.id) for flag in reported(database).flags}
    assert flags == {("hated", "mostly-overridden"), ("feared", "critical-overridden")}


def test_only_the_critical_cards_of_a_rule_count_for_the_limit_on_them(database: Database) -> None:
    use(database, "mixed", "critical", accepted=9, overridden=1, unanswered=0)
    use(database, "mixed", "warning", accepted=0, overridden=20, unanswered=0)
    assert reported(database).flags == ()


def test_a_rule_is_judged_over_all_its_variants_sites_and_months(database: Database) -> None:
    for month in (8, 9, 10):
        cards = [shown("hated", variant=f"v{month}") for _ in range(20)]
        keep(database, *cards, at=datetime(2026, month, 2, tzinfo=UTC), site=f"site-{month}")
        for card in cards:
            answer(database, card)
    (flag,) = reported(database).flags
    assert (flag.rule, flag.figures.shown, flag.figures.overridden) == ("hated", 60, 60)


def test_a_share_of_few_answers_is_told_as_such(database: Database) -> None:
    use(database, "rule", "info", accepted=LIMITS.few_answers - 1, overridden=0, unanswered=50)
    assert reported(database).is_few(reported(database).total)
    use(database, "rule", "info", accepted=1, overridden=0, unanswered=0)
    assert not reported(database).is_few(reported(database).total)


# --- the file ----------------------------------------------------------------------------------------------------

GOOD = """\
few_answers: 20
limits:
  - id: mostly-overridden
    overridden_above: 80
    shown_at_least: 50
    action: {en: Review it., zh: 复审。}
    source: {en: Ours., zh: 自定。}
"""


@pytest.mark.parametrize(
    ("there", "instead", "line", "what"),
    [
        ("few_answers: 20", "few_answers: 0", 1, "few_answers"),
        ("overridden_above: 80", "overridden_above: 100", 4, "less than 100"),
        ("overridden_above: 80", "overridden_above: 80\n    seen: 3", 5, "seen"),
        ("    action: {en: Review it., zh: 复审。}\n", "", 3, "action"),
        ("zh: 自定。", "", 7, "zh"),
        ("shown_at_least: 50", "indicator: bad\n    shown_at_least: 50", 5, "'info', 'warning' or 'critical'"),
        ("limits:\n", "limits:\n" + GOOD.partition("limits:\n")[2], 2, "two limits have one id"),
    ],
)
def test_a_fault_in_the_limits_is_told_with_its_line(
    tmp_path: Path, there: str, instead: str, line: int, what: str
) -> None:
    (tmp_path / FILE).write_text(GOOD.replace(there, instead), encoding="utf-8")
    with pytest.raises(KnowledgeError) as caught:
        read_review_limits(tmp_path)
    assert caught.value.where == f"{FILE}:{line}"
    assert what in caught.value.what


def test_a_knowledge_folder_without_limits_is_told_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=f"{FILE}:1: cannot be read"):
        read_review_limits(tmp_path)


def test_the_linter_reviews_the_limits_too(tmp_path: Path) -> None:
    root = write(tmp_path / "knowledge")
    (root / FILE).write_text(GOOD.replace("80", "180"), encoding="utf-8")
    _, findings = check(root, date(2026, 11, 20))
    assert [finding.where for finding in findings if FILE in finding.where] == [f"{FILE}:4"]


def test_limits_are_no_part_of_what_answers_calls(tmp_path: Path) -> None:
    """Whoever changes them changes no answer, so the version of the knowledge stays"""
    root = write(tmp_path / "knowledge")
    before = load_knowledge(root).version
    (root / FILE).write_text(GOOD, encoding="utf-8")
    assert load_knowledge(root).version == before
    (root / "override_reasons.yaml").write_text("disagree: {text: {en: No, zh: 不}}\n", encoding="utf-8")
    assert load_knowledge(root).version != before
