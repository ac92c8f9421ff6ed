"""Records of calls: written beside the calls, without names, and never at a call's expense."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Table, select

from cds_service.errors import SettingsError
from cds_service.settings import load_settings
from cds_service.store.database import Database
from cds_service.store.pseudonym import Pseudonyms
from cds_service.store.recorder import Recorder
from cds_service.store.tables import card, hook_call, suggestion
from tests.support.call_records import away, back, call
from tests.support.log_file import LogFile

KEY = "k" * 32


def content(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.single("") as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What is written


def test_a_call_its_cards_and_their_suggestions_are_written(database: Database) -> None:
    recorder = Recorder(database)
    recorder.put(call(site="ward", patient="p", user="u", unread=("goals", "conditions"), undecided=("vk-inr",)))
    assert recorder.flush()
    assert content(database, hook_call) == [
        {
            "id": "call",
            "at": "2026-11-20T08:30:00.125000+00:00",
            "service": "vitamin-b12-patient-view",
            "hook": "patient-view",
            "client": "ehr",
            "site": "ward",
            "knowledge": "2026.11",
            "language": "en",
            "status": 200,
            "duration_ms": 1.25,
            "patient_hash": "p",
            "user_hash": "u",
            "unread": "goals\nconditions",
            "undecided": "vk-inr",
        }
    ]
    assert content(database, card) == [
        {
            "id": "call-1",
            "call_id": "call",
            "rule": "b12-low",
            "variant": "severe",
            "indicator": "critical",
            "shown": True,
        },
        {
            "id": "call-2",
            "call_id": "call",
            "rule": "b12-borderline",
            "variant": None,
            "indicator": "info",
            "shown": False,
        },
    ]
    assert content(database, suggestion) == [
        {"id": "call-s", "card_id": "call-1", "order_id": "b12", "recommended": True}
    ]


def test_records_are_written_without_anybody_asking(database: Database) -> None:
    recorder = Recorder(database, pause=0.01)
    for n in range(450):
        recorder.put(call(f"{n:03}", cards=()))
    wait_for(lambda: recorder.waiting == 0)
    recorder.close()
    assert [row["id"] for row in content(database, hook_call)] == [f"{n:03}" for n in range(450)]
    assert (recorder.dropped, recorder.failing) == (0, False)


def test_a_record_that_comes_twice_is_kept_once(database: Database) -> None:
    recorder = Recorder(database)
    for _ in range(2):
        recorder.put(call())
        assert recorder.flush()
    assert [len(content(database, table)) for table in (hook_call, card, suggestion)] == [1, 2, 1]


def test_closing_the_database_writes_the_rest_first(database: Database, database_url: str) -> None:
    Recorder(database, pause=60).put(call())
    database.close()
    again = Database(database_url)
    assert len(content(again, hook_call)) == 1
    again.close()


def test_a_recorder_that_was_closed_starts_no_thread(database: Database) -> None:
    recorder = Recorder(database)
    recorder.close()
    recorder.put(call())
    assert recorder._writer is None


def test_the_end_of_the_process_writes_the_rest_first(database_url: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_put_and_end, args=(database_url,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    database = Database(database_url)
    assert [row["id"] for row in content(database, hook_call)] == ["last words"]
    database.close()


def _put_and_end(url: str) -> None:
    Recorder(Database(url)).put(call("last words"))


def test_several_processes_write_into_one_database(database_url: str) -> None:
    Database(database_url).close()
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        dropped = pool.starmap(_record_many, [(database_url, name) for name in "abc"], chunksize=1)
    assert dropped == [0, 0, 0]
    database = Database(database_url)
    assert len(content(database, hook_call)) == 3 * 300
    database.close()


def _record_many(url: str, name: str) -> int:
    database = Database(url)
    recorder = Recorder(database, pause=0.001)
    for n in range(300):
        recorder.put(call(f"{name}{n}"))
    database.close()
    return recorder.dropped


# What happens when it cannot be written


def test_records_wait_for_a_database_that_is_gone_and_are_written_when_it_is_back(
    database: Database, database_url: str
) -> None:
    recorder = Recorder(database, pause=0.01)
    away(database_url)
    recorder.put(call("first"))
    wait_for(lambda: recorder.failing)
    recorder.put(call("second"))
    assert recorder.dropped == 0
    back(database_url)
    wait_for(lambda: recorder.waiting == 0 and not recorder.failing)
    assert [row["id"] for row in content(database, hook_call)] == ["first", "second"]


def test_a_system_without_threads_costs_no_call_and_loses_no_record(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    recorder = Recorder(database, pause=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        recorder.put(call("1"))
    recorder.put(call("2"))
    wait_for(lambda: recorder.waiting == 0)
    recorder.close()
    assert len(content(database, hook_call)) == 2


def test_that_records_wait_is_logged_once_and_that_they_no_longer_do(
    database: Database, database_url: str, log: LogFile
) -> None:
    recorder = Recorder(database, capacity=1)
    away(database_url)
    for n in range(3):
        recorder.put(call(str(n)))
        assert not recorder.flush()
    back(database_url)
    for _ in range(2):
        assert recorder.flush()
    told = [(line["level"], line["reason"], line["dropped"]) for line in log.lines("records")]
    assert told == [
        ("warning", "The database takes no records of calls; they wait.", 0),
        ("warning", "Records are written again.", 2),
    ]


def test_records_that_cannot_be_written_at_the_end_are_told_as_lost(
    database: Database, database_url: str, log: LogFile
) -> None:
    recorder = Recorder(database, pause=60)
    away(database_url)
    recorder.put(call("1"))
    recorder.put(call("2"))
    recorder.close()
    back(database_url)
    assert [(line["reason"], line["dropped"]) for line in log.lines("records")][-1] == (
        "The process ends; what waited is lost.",
        2,
    )


def test_a_full_queue_drops_and_counts_what_comes_last(database: Database, database_url: str) -> None:
    recorder = Recorder(database, capacity=3)
    away(database_url)
    for n in range(5):
        recorder.put(call(str(n)))
    assert not recorder.flush()
    assert (recorder.waiting, recorder.dropped, recorder.failing) == (3, 2, True)
    back(database_url)
    assert recorder.flush()
    assert [row["id"] for row in content(database, hook_call)] == ["0", "1", "2"]


@pytest.mark.parametrize("fault", [{"service": None}, {"status": object()}], ids=["nothing", "an object"])
def test_a_record_that_the_database_refuses_costs_no_other(database: Database, fault: dict[str, Any]) -> None:
    recorder = Recorder(database)
    for record in (call("1"), call("2", **fault), call("3")):
        recorder.put(record)
    assert recorder.flush()
    assert (recorder.dropped, recorder.waiting, recorder.failing) == (1, 0, False)
    assert [row["id"] for row in content(database, hook_call)] == ["1", "3"]


# Who it was


def test_the_same_person_has_the_same_hash_and_nobody_else_has_it() -> None:
    hashes = Pseudonyms(KEY)
    others = {
        hashes.of("patient", "ehr", "1"),
        hashes.of("patient", "ehr", "2"),
        hashes.of("patient", "ehr2", "1"),
        hashes.of("patient", "eh", "r1"),
        hashes.of("user", "ehr", "1"),
        Pseudonyms("K" * 32).of("patient", "ehr", "1"),
    }
    assert len(others) == 6
    assert hashes.of("patient", "ehr", "1") == Pseudonyms(KEY).of("patient", "ehr", "1")
    assert all(len(each or "") == 64 for each in others)


def test_without_a_key_nobody_is_hashed() -> None:
    assert Pseudonyms(None).of("patient", "ehr", "1") is None


def test_a_key_that_could_be_tried_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_HASH_KEY", "a-telling-short-key")
    with pytest.raises(SettingsError, match=r"CDS_HASH_KEY: .* 32 ") as caught:
        load_settings()
    assert "telling" not in str(caught.value)
    monkeypatch.setenv("CDS_HASH_KEY", KEY)
    assert load_settings().hash_key == KEY
    assert KEY not in repr(load_settings())
