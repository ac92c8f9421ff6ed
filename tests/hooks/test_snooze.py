"""Overridden cards that are not shown again: only where the site wants it, never a critical one, and never by mistake."""

# ruff: noqa: E501  # a table of faults, one on a line

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from cds_service.artifacts.knowledge_base import Snooze
from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.review.check import check
from cds_service.cli.main import main
from cds_service.errors import KnowledgeError, SettingsError, Unavailable
from cds_service.evaluate import Evaluation
from cds_service.facts.fact import FactTable
from cds_service.hooks.snooze import Snoozed, SnoozeFilter, make_snooze_filter, tell
from cds_service.rules.decide import Decision
from cds_service.settings import Settings
from cds_service.store.call_records import CardRecord
from cds_service.store.database import Database
from cds_service.store.pseudonym import Pseudonyms
from cds_service.store.snooze import Answers, query
from cds_service.store.tables import card, suggestion
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url
from tests.support.kb import evaluator, knowledge, record
from tests.support.log_file import LogFile
from tests.support.overlays import HEAD, laid
from tests.support.real_inputs import SAMPLES, call, rules, sample_request
from tests.support.records import AT, answer, keep, opened, shown

KEY = "k" * 32
OURS = "urn:cds-service:override-reason"
B12 = "vitamin-b12-patient-view"
SNOOZE = (
    HEAD
    + "snooze:\n  decision: us\n  reasons:\n    disagree: {info: 365, warning: 90}\n    stable-intake: {info: 30}\n"
)
LOW = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")
OTHER = next(sample for sample in SAMPLES if sample.id == "b12-and-warfarin")
NOW = AT + timedelta(days=10)
PATIENT = "a" * 64
# Seconds: a machine that runs tests may have much else to do.
LONG = 60.0


# --- the overlay -------------------------------------------------------------------------------------------------


def test_an_overlay_says_how_long_which_reason_lasts(tmp_path: Path) -> None:
    base = laid(tmp_path, SNOOZE)
    assert base.snooze is not None
    assert {reason: dict(days) for reason, days in base.snooze.days.items()} == {
        "disagree": {"info": 365, "warning": 90},
        "stable-intake": {"info": 30},
    }
    assert (base.snooze.longest, base.snooze.where) == (365, f"{tmp_path.name}/overlay.yaml:7")
    assert base.site_changes["snooze:overridden"].decided == "A clinic: The board, 2026-10-01: Our reasons."
    assert knowledge().snooze is None


@pytest.mark.parametrize(
    ("there", "instead", "line", "what"),
    [
        ("{info: 30}", "{info: 30, critical: 5}", 11, "critical cards are never snoozed"),
        ("{info: 30}", "{critical: 5}", 11, "critical cards are never snoozed"),
        ("{info: 30}", "{}", 11, "snoozes nothing"),
        ("{info: 30}", "{info: 0}", 11, "greater than or equal to 1"),
        ("{info: 30}", "{info: 731}", 11, "less than or equal to 730"),
        ("{info: 30}", "{note: 30}", 11, "note"),
        ("stable-intake:", "no-such-reason:", 11, "override reason no-such-reason does not exist."),
        ("decision: us\n  reasons", "decision: them\n  reasons", 8, "there is no decision them."),
        ("  decision: us\n  reasons", "  reasons", 7, "decision"),
        ("    disagree: {info: 365, warning: 90}\n    stable-intake: {info: 30}\n", "    {}\n", 9, "at least 1 item"),
    ],
)
def test_a_fault_in_it_is_told_with_its_line(tmp_path: Path, there: str, instead: str, line: int, what: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        laid(tmp_path, SNOOZE.replace(there, instead))
    assert what in caught.value.what
    assert caught.value.where == f"{tmp_path.name}/overlay.yaml:{line}"


def test_the_linter_refuses_a_snoozed_critical_card(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text(SNOOZE.replace("{info: 30}", "{critical: 30}"), encoding="utf-8")
    base, findings = check(knowledge_dir(), date(2026, 11, 20), tmp_path)
    assert base is None
    assert [(finding.level, "never snoozed" in finding.what) for finding in findings] == [("error", True)]


def test_a_reason_of_the_site_itself_may_last(tmp_path: Path) -> None:
    reason = (
        "override_reasons:\n  ours: {en: Ours, zh: 自有}\nrules:\n  b12-low: {decision: us, override_reasons: [ours]}\n"
    )
    base = laid(tmp_path, SNOOZE.replace("stable-intake:", "ours:") + reason)
    assert base.snooze is not None
    assert "ours" in base.snooze.days


# --- the settings ------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    place = tmp_path / "ward-7"
    place.mkdir()
    (place / "overlay.yaml").write_text(SNOOZE, encoding="utf-8")
    return place


def settings(site: Path, **members: Any) -> Settings:
    values: dict[str, Any] = {"open": True, "database_url": sqlite_url(site.parent), "hash_key": KEY, "site": site}
    return Settings(**(values | members))


def test_without_a_key_for_hashes_the_start_is_refused(site: Path) -> None:
    with pytest.raises(SettingsError, match=r"CDS_HASH_KEY: ward-7/overlay\.yaml:7 snoozes .* or remove `snooze`"):
        create_app(settings(site, hash_key=None))


def test_the_command_stops_before_any_worker_starts(site: Path) -> None:
    """A worker that cannot start would be started again and again"""
    variables = {"CDS_OPEN": "1", "CDS_SITE": str(site), "CDS_DATABASE_URL": sqlite_url(site.parent)}
    result = CliRunner(env=variables).invoke(main, ["serve"])
    assert result.exit_code == 1
    assert result.stderr.startswith("cds: CDS_HASH_KEY: ward-7/overlay.yaml:7 snoozes overridden cards.")


def test_a_snooze_that_outlasts_the_answers_is_refused(site: Path) -> None:
    with pytest.raises(SettingsError, match=r"CDS_RETENTION_DAYS: ward-7/overlay\.yaml:7 snoozes cards for 365 days"):
        create_app(settings(site, retention_days=364))
    create_app(settings(site, retention_days=365)).extensions["database"].close()


def test_without_an_overlay_that_wants_it_nothing_is_snoozed(tmp_path: Path) -> None:
    with opened(sqlite_url(tmp_path)) as database:
        assert make_snooze_filter(knowledge(), Settings(hash_key=KEY), Answers(database)) is None


# --- who rests ---------------------------------------------------------------------------------------------------


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


def facts() -> FactTable:
    return evaluator().facts(record(), NOW)


def speaks(rule: str, variant: str | None = None) -> Decision:
    told = knowledge().rules[rule]
    return Decision(told, "speaks", next((each for each in told.variants if each.id == variant), None))


def resting(
    database: Database, *decisions: Decision, now: datetime = NOW, client: str = "open", patient: str = "pat-1"
) -> list[tuple[str, str, str, str]]:
    """Rule, reason, day of the override, day until which it rests."""
    days = {"disagree": {"info": 365, "warning": 90}, "stable-intake": {"info": 30}}
    answers = Answers(database)
    answers.timeout = LONG
    snooze_filter = SnoozeFilter(Snooze(days, "overlay.yaml:7"), Pseudonyms(KEY), answers)
    found = snooze_filter.snoozed(Evaluation(facts(), list(decisions)), client, patient, now)
    return [(each.decision.rule.id, each.reason, str(each.on), str(each.until)) for each in found]


def overridden(
    database: Database, rule: str = "b12-low", reason: str | None = "disagree", **members: Any
) -> CardRecord:
    """A card of the patient that was overridden at AT."""
    indicator, variant = members.pop("indicator", "warning"), members.pop("variant", None)
    one = shown(rule, indicator=indicator, variant=variant)
    keep(database, one, patient=Pseudonyms(KEY).of("patient", "open", "pat-1"))
    answer(database, one, **({"reason_code": reason, "reason_system": OURS, "after": 0} | members))
    return one


LOW_RESTS = [("b12-low", "disagree", "2026-10-07", "2027-01-05")]


def test_a_card_that_was_overridden_for_a_lasting_reason_rests(database: Database) -> None:
    overridden(database)
    assert resting(database, speaks("b12-low")) == LOW_RESTS


def test_a_reason_without_its_system_is_ours(database: Database) -> None:
    overridden(database, reason_system=None)
    assert resting(database, speaks("b12-low")) == LOW_RESTS


@pytest.mark.parametrize(
    "members",
    [
        {"reason": "not-applicable"},
        {"reason": None},
        {"reason_system": "com.epic.cdshooks.feedback.overrideReason.reasonCategory"},
        {"outcome": "accepted"},
        {"reason": "stable-intake"},  # lasts for info cards only
    ],
    ids=str,
)
def test_another_answer_lets_nothing_rest(database: Database, members: dict[str, Any]) -> None:
    overridden(database, **members)
    assert resting(database, speaks("b12-low")) == []


def test_who_accepts_in_the_end_is_shown_the_card_again(database: Database) -> None:
    one = overridden(database)
    answer(database, one, "accepted", after=60)
    assert resting(database, speaks("b12-low")) == []


def test_the_answer_to_a_later_card_of_the_rule_counts(database: Database) -> None:
    overridden(database)
    overridden(database, reason="not-applicable", after=3600)
    assert resting(database, speaks("b12-low")) == []
    overridden(database, after=7200)
    assert resting(database, speaks("b12-low")) == LOW_RESTS


@pytest.mark.parametrize("other", [{"patient": "pat-2"}, {"client": "ehr"}], ids=str)
def test_only_cards_of_this_patient_rest(database: Database, other: dict[str, Any]) -> None:
    overridden(database)
    assert resting(database, speaks("b12-low"), **other) == []


def test_other_rules_and_other_variants_of_the_rule_are_shown(database: Database) -> None:
    overridden(database)
    overridden(database, "b12-functional-deficiency", variant="homocysteine", indicator="info")
    found = resting(
        database,
        speaks("b12-low", "pregnancy"),
        speaks("vka-vitk-concurrent"),
        speaks("b12-functional-deficiency"),
        speaks("b12-functional-deficiency", "homocysteine"),
    )
    assert [rule for rule, *_ in found] == ["b12-functional-deficiency"]
    assert found[0][3] == "2027-10-07"


@pytest.mark.parametrize(("seconds", "rests"), [(-1, True), (0, False), (1, False)])
def test_a_card_comes_back_when_its_days_are_over(database: Database, seconds: int, rests: bool) -> None:
    overridden(database)
    now = AT + timedelta(days=90, seconds=seconds)
    assert bool(resting(database, speaks("b12-low"), now=now)) is rests


def test_how_long_it_rests_depends_on_how_severe_it_is_now(database: Database) -> None:
    overridden(database, "b12-borderline", indicator="warning")
    (found,) = resting(database, speaks("b12-borderline"), now=AT + timedelta(days=91))
    assert found[3] == "2027-10-07"


def test_what_was_set_aside_as_a_remark_is_shown_as_a_warning(database: Database) -> None:
    overridden(database, indicator="info")
    assert resting(database, speaks("b12-low")) == []


def test_a_critical_card_never_rests(database: Database) -> None:
    overridden(database, "vka-menatetrenone", indicator="critical")
    assert resting(database, speaks("vka-menatetrenone")) == []


def test_a_card_that_keeps_a_more_severe_one_quiet_does_not_rest(database: Database) -> None:
    """Else nobody would be told of either"""
    overridden(database, variant="pregnancy", indicator="info")
    low = speaks("b12-low", "pregnancy")
    assert [rule for rule, *_ in resting(database, low)] == ["b12-low"]
    anaemia = Decision(knowledge().rules["b12-pernicious-anaemia-untreated"], "silenced", silenced_by="b12-low")
    assert resting(database, low, anaemia) == []
    remark = Decision(knowledge().rules["b12-borderline"], "silenced", silenced_by="b12-low")
    assert [rule for rule, *_ in resting(database, low, remark)] == ["b12-low"]


def test_an_answer_of_a_clock_that_is_ahead_counts_from_its_arrival(database: Database) -> None:
    overridden(database, since=datetime(2050, 1, 1, tzinfo=UTC))
    came = datetime.now(UTC)
    assert resting(database, speaks("b12-low"), now=came + timedelta(days=89))
    assert not resting(database, speaks("b12-low"), now=came + timedelta(days=91))


def test_days_are_told_as_the_site_reckons_them(database: Database) -> None:
    overridden(database, since=datetime(2026, 10, 7, 20, tzinfo=UTC))
    now = NOW.astimezone(ZoneInfo("Asia/Shanghai"))
    assert resting(database, speaks("b12-low"), now=now) == [("b12-low", "disagree", "2026-10-08", "2027-01-06")]


def test_a_card_that_nobody_saw_lets_nothing_rest(database: Database) -> None:
    one = shown(indicator="warning", shown=False)
    keep(database, one, patient=Pseudonyms(KEY).of("patient", "open", "pat-1"))
    answer(database, one, reason_code="disagree")
    assert resting(database, speaks("b12-low")) == []


def test_the_trace_says_in_a_sentence_what_rests_until_when_and_why() -> None:
    rest = Snoozed(speaks("b12-low"), "disagree", date(2026, 10, 7), date(2027, 1, 5))
    nodes: list[dict[str, Any]] = [{"rule": rule, "outcome": "speaks"} for rule in ("b12-low", "b12-borderline")]
    tell(nodes, [rest])
    assert nodes[0]["snoozed"]["text"] == "snoozed until 2027-01-05 because overridden as disagree on 2026-10-07"
    assert [node["outcome"] for node in nodes] == ["snoozed", "speaks"]


# --- the database ------------------------------------------------------------------------------------------------


def test_the_answers_of_a_patient_are_found_by_indexes_alone(tmp_path: Path) -> None:
    with opened(sqlite_url(tmp_path)) as database, database.single("") as connection:
        text = str(query(PATIENT, AT).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    searches = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
    assert len(searches) == 3
    assert all(step.startswith("SEARCH") and "INDEX" in step for step in searches), plan


def lose(database: Database) -> None:
    with database.transaction("") as connection:
        suggestion.drop(connection)
        card.drop(connection)


def test_with_a_lost_database_cards_are_shown_and_the_log_says_so_once(database: Database, log: LogFile) -> None:
    overridden(database)
    clock = [0.0]
    answers = Answers(database, clock=lambda: clock[0])
    answers.timeout = LONG
    lose(database)
    for clock[0] in (0.0, 1.0, 12.0):
        with pytest.raises(Unavailable):
            answers.of(PATIENT, AT)
    (line,) = log.lines("snooze")
    assert line["reason"].startswith("What was answered to earlier cards could not be read.")
    with database.transaction("") as connection:
        card.create(connection)
        suggestion.create(connection)
    with pytest.raises(Unavailable):
        answers.of(PATIENT, AT)  # it is left alone for a while
    clock[0] = 30.0
    assert answers.of(PATIENT, AT) == []
    assert [line["reason"] for line in log.lines("snooze")][1:] == ["What was answered to earlier cards is read again."]


def test_nobody_waits_for_a_database_that_hangs(database: Database) -> None:
    answers, free = Answers(database), Event()
    under_way = [answers._pool.submit(free.wait) for _ in range(4)]  # as many as may be
    with pytest.raises(Unavailable):
        answers.of(PATIENT, AT)
    assert not any(each.done() for each in under_way)  # it was not waited for them
    free.set()


def test_without_a_card_that_could_rest_the_database_is_not_asked(database: Database, log: LogFile) -> None:
    lose(database)
    assert resting(database) == []
    assert resting(database, speaks("vka-menatetrenone")) == []
    assert log.lines("snooze") == []
    assert resting(database, speaks("b12-low")) == []
    assert len(log.lines("snooze")) == 1


# --- calls -------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(site: Path) -> Iterator[Flask]:
    made = create_app(settings(site, explain=True))
    made.extensions["runtime"].answers.timeout = LONG
    yield made
    made.extensions["database"].close()


def override(app: Flask, response: Any, rule: str, reason: str = "disagree") -> None:
    """As an EHR reports it, now."""
    assert app.extensions["recorder"].flush()
    uuid = next(each["uuid"] for each in response.get_json()["cards"] if rule_of(each) == rule)
    event = {
        "card": uuid,
        "outcome": "overridden",
        "outcomeTimestamp": datetime.now(UTC).isoformat(),
        "overrideReason": {"reason": {"code": reason, "system": OURS, "display": "No"}},
    }
    answered = app.test_client().post(f"/cds-services/{B12}/feedback", json={"feedback": [event]})
    assert answered.status_code == 200


def rule_of(card: dict[str, Any]) -> str:
    found: str = card["extension"]["cds-service.rule"]["id"]
    return found


def asked(app: Flask, sample: Any = LOW) -> Any:
    return call(app.test_client(), B12, sample_request(sample, "patient-view", prefetch=True))


def test_an_overridden_card_is_not_shown_again_and_the_trace_tells_why(app: Flask, log: LogFile) -> None:
    began = datetime.now().astimezone().date()
    first = asked(app)
    assert rules(first) == ["b12-low"]
    override(app, first, "b12-low")
    second = asked(app)
    assert rules(second) == []
    (node,) = [each for each in second.get_json()["extension"]["cds-service.explain"] if each["rule"] == "b12-low"]
    assert node["outcome"] == "snoozed"
    rest = node["snoozed"]
    on = date.fromisoformat(rest["on"])
    assert began <= on <= datetime.now().astimezone().date()
    assert (rest["reason"], rest["until"]) == ("disagree", str(on + timedelta(days=90)))
    assert node["when"]["outcome"] == "yes"
    before, after = log.lines("call")
    assert (before["cards"], before.get("withheld", {}).get("b12-low")) == (["b12-low"], None)
    assert (after["cards"], after["withheld"]["b12-low"]) == ([], "snoozed")


def test_a_snoozed_card_is_kept_as_not_shown(app: Flask) -> None:
    override(app, asked(app), "b12-low")
    correlation = asked(app).headers["X-Correlation-Id"]
    assert app.extensions["recorder"].flush()
    with app.extensions["database"].single("") as connection:
        rows = connection.execute(select(card).where(card.c.call_id == correlation)).mappings().all()
    assert [(row["rule"], row["indicator"], row["shown"]) for row in rows] == [("b12-low", "warning", False)]


def test_other_patients_and_other_reasons_change_nothing(app: Flask) -> None:
    override(app, asked(app), "b12-low", reason="already-managed")
    assert rules(asked(app)) == ["b12-low"]
    override(app, asked(app), "b12-low")
    assert rules(asked(app)) == []
    assert "b12-low" in rules(asked(app, OTHER))


def test_with_a_lost_database_the_card_is_shown(app: Flask, log: LogFile) -> None:
    override(app, asked(app), "b12-low")
    assert rules(asked(app)) == []
    lose(app.extensions["database"])
    assert rules(asked(app)) == ["b12-low"]
    assert len(log.lines("snooze")) == 1


def test_a_site_without_snooze_shows_the_card_again(tmp_path: Path) -> None:
    made = create_app(Settings(open=True, database_url=sqlite_url(tmp_path), hash_key=KEY))
    override(made, asked(made), "b12-low")
    assert rules(asked(made)) == ["b12-low"]
    made.extensions["database"].close()
