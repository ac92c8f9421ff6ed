"""What is old is removed, with what hangs on it, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cds_service.cli.main import main
from cds_service.errors import SettingsError
from cds_service.settings import load_settings
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore
from cds_service.store.purge import purge
from cds_service.store.replay import ReplayStore
from cds_service.store.tables import card, feedback_event, hook_call, replay_token, suggestion
from tests.support.aged_rows import YEAR, counts, fill


def test_what_is_older_goes_and_the_rest_stays(database: Database) -> None:
    fill(database)
    assert purge(database, YEAR) == {hook_call: 2, card: 4, suggestion: 2, feedback_event: 2, replay_token: 2}
    assert counts(database) == {"hook_call": 2, "card": 4, "suggestion": 2, "feedback_event": 2, "replay_token": 2}
    with database.single("") as connection:
        kept = connection.execute(select(hook_call.c.id).order_by(hook_call.c.id)).scalars().all()
    assert kept == ["0-0", "0-1"]
    assert {event.card for event in FeedbackStore(database).events()} == {"0-0-1", "0-1-1"}


def test_a_second_purge_finds_nothing(database: Database) -> None:
    fill(database)
    purge(database, YEAR)
    assert set(purge(database, YEAR).values()) == {0}


def test_a_dry_run_tells_the_same_numbers_and_removes_nothing(database: Database) -> None:
    fill(database)
    before = counts(database)
    foreseen = purge(database, YEAR, dry_run=True)
    assert counts(database) == before
    assert foreseen == purge(database, YEAR)


def test_more_than_one_batch_goes(database: Database) -> None:
    fill(database, 2100)
    removed = purge(database, YEAR)
    assert (removed[hook_call], removed[card], removed[suggestion], removed[feedback_event]) == (2100, 4200, 2100, 2100)
    assert counts(database)["hook_call"] == 2100


def test_a_used_token_stays_as_long_as_it_could_be_shown_again(database: Database) -> None:
    replay = ReplayStore(database)
    assert replay.first_use("ehr", "a", datetime.now(UTC) - timedelta(seconds=30))
    assert purge(database, datetime.now(UTC))[replay_token] == 0
    assert not replay.first_use("ehr", "a", datetime.now(UTC) - timedelta(seconds=30))


def test_the_command_keeps_what_the_setting_says_or_what_it_is_told(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    monkeypatch.setenv("CDS_DATABASE_URL", database_url)
    run = CliRunner().invoke
    assert run(main, ["purge", "--dry-run", "--older-than", "501"]).output == (
        "would remove, older than 501 days: 0 calls, 0 cards, 0 suggestions, 0 feedback, 2 used tokens\n"
    )
    monkeypatch.setenv("CDS_RETENTION_DAYS", "600")
    assert "older than 600 days: 0 calls" in run(main, ["purge"]).output
    monkeypatch.delenv("CDS_RETENTION_DAYS")
    assert "removed, older than 400 days: 2 calls, 4 cards, 2 suggestions, 2 feedback" in run(main, ["purge"]).output
    assert "older than 0 days: 2 calls" in run(main, ["purge", "--older-than", "0"]).output
    assert counts(database)["hook_call"] == 0


@pytest.mark.parametrize("days", ["0", "-1", "forever", "40000"])
def test_a_retention_that_makes_no_sense_is_refused(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().retention_days == 400
    monkeypatch.setenv("CDS_RETENTION_DAYS", days)
    with pytest.raises(SettingsError, match=r"CDS_RETENTION_DAYS: .* Give a number of days"):
        load_settings()
