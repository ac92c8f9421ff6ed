"""A token opens one call only: across threads, processes and machines, until it has expired."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from cds_service.errors import Unavailable
from cds_service.store.database import Database
from cds_service.store.replay import LEEWAY, ReplayStore

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)
EHR = "https://ehr.example"


@pytest.fixture
def replay(database: Database) -> ReplayStore:
    return ReplayStore(database, lambda: NOW)


@pytest.mark.row("JWT-09")
def test_a_token_is_new_once(replay: ReplayStore) -> None:
    assert [replay.first_use(EHR, "a", SOON) for _ in range(3)] == [True, False, False]


def test_the_same_id_of_another_issuer_is_another_token(replay: ReplayStore) -> None:
    assert replay.first_use(EHR, "a", SOON)
    assert replay.first_use("https://other.example", "a", SOON)


def test_an_issuer_and_an_id_that_read_the_same_in_a_row_are_kept_apart(replay: ReplayStore) -> None:
    assert replay.first_use("ab", "c", SOON)
    assert replay.first_use("a", "bc", SOON)


@pytest.mark.parametrize("jti", ["", "a\x00b", "\ud800", "字" * 5000, "'; DROP TABLE replay_token; --"])
def test_any_text_can_be_an_id(replay: ReplayStore, jti: str) -> None:
    assert [replay.first_use(EHR, jti, SOON) for _ in range(2)] == [True, False]


def test_a_restart_forgets_no_token(replay: ReplayStore, database_url: str) -> None:
    assert replay.first_use(EHR, "a", SOON)
    again = Database(database_url)
    assert not ReplayStore(again, lambda: NOW).first_use(EHR, "a", SOON)
    again.close()


@pytest.mark.row("FHA-12")
def test_neither_the_token_s_id_nor_its_issuer_is_stored(replay: ReplayStore, database: Database) -> None:
    replay.first_use(EHR, "a-telling-id", SOON)
    with database.single("") as connection:
        row = connection.execute(text("SELECT * FROM replay_token")).one()
    assert len(row.key) == 64
    assert "telling" not in repr(row)
    assert "ehr.example" not in repr(row)


def test_an_id_is_refused_until_its_token_has_expired_and_the_leeway_is_over(database: Database) -> None:
    moments = iter([NOW, SOON, SOON + LEEWAY, SOON + LEEWAY + timedelta(seconds=1), SOON + LEEWAY * 2])
    replay = ReplayStore(database, lambda: next(moments))
    later = SOON + timedelta(days=1)
    assert [replay.first_use(EHR, "1", expires) for expires in (SOON, later, later, later, later)] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_moments_with_other_offsets_are_compared_rightly(database: Database) -> None:
    shanghai = datetime.fromisoformat("2026-11-20T20:05:00+08:00")
    assert shanghai == SOON
    replay = ReplayStore(database, lambda: SOON + LEEWAY + timedelta(seconds=1))
    assert replay.first_use(EHR, "a", shanghai)
    assert replay.first_use(EHR, "a", shanghai)


def test_rows_that_are_over_are_removed_in_passing_and_the_others_stay(database: Database) -> None:
    early = ReplayStore(database, lambda: NOW)
    for n in range(150):
        early.first_use(EHR, f"early {n}", SOON)
    late = ReplayStore(database, lambda: SOON + timedelta(hours=1))
    for n in range(200):
        assert late.first_use(EHR, f"late {n}", SOON + timedelta(hours=2))
    with database.single("") as connection:
        assert connection.execute(text("SELECT count(*) FROM replay_token")).scalar() == 200
    assert not late.first_use(EHR, "late 0", SOON + timedelta(hours=2))


def test_threads_that_ask_at_the_same_moment_get_one_yes(replay: ReplayStore) -> None:
    together = Barrier(8)

    def ask(_: int) -> list[bool]:
        together.wait()
        return [replay.first_use(EHR, str(n), SOON) for n in range(25)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert [sum(each) for each in zip(*answers, strict=True)] == [1] * 25


@pytest.mark.row("JWT-09")
def test_processes_that_ask_for_the_same_tokens_get_one_yes_each(database_url: str) -> None:
    """Removal of what is over runs beside it: every process uses more tokens than lie between two removals."""
    Database(database_url).close()
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        answers: list[Any] = pool.map(_ask_for_all, [database_url] * 3, chunksize=1)
    assert [sum(each) for each in zip(*answers, strict=True)] == [1] * 450


def _ask_for_all(url: str) -> list[bool]:
    database = Database(url)
    replay = ReplayStore(database, lambda: NOW)
    answers = [replay.first_use(EHR, str(n), SOON) for n in range(450)]
    database.close()
    return answers


def test_without_the_database_nobody_is_let_through(replay: ReplayStore, database: Database) -> None:
    with database.single("") as connection:
        connection.execute(text("DROP TABLE replay_token"))
    with pytest.raises(Unavailable, match="could not be found out"):
        replay.first_use(EHR, "a", SOON)
