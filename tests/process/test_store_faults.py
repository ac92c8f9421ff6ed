"""What becomes of feedback and cards when a process is killed, the database crashes, hangs, or the disk is full.

Under load, with the real server. Nothing that was answered with 200 may be lost, cards must keep coming, and whoever
runs the service must be told.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest
import requests
from sqlalchemy import func, select

from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore
from cds_service.store.tables import hook_call
from tests.servers.fixtures import missing
from tests.support.documents import quoted, rows, section
from tests.support.feedback import OVERRIDDEN
from tests.support.known_clients import BASE, client_file, said
from tests.support.paths import ROOT
from tests.support.recorder import VIEW, request_body
from tests.support.server_process import Server, wait_for, workers

POSTGRES = ROOT / ".ci" / "postgres"


class Promise(NamedTuple):
    """How feedback, calls and the readiness probe are answered while something is out of order."""

    feedback: int
    cards: int
    ready: tuple[int, str]


def promises() -> dict[str, Promise]:
    """The table of docs/database.md."""
    found = {}
    for what, *cells in rows(section("docs/database.md", "What is guaranteed")):
        if len(cells) == 3:
            feedback, cards, probe = (int(cell[:3]) for cell in cells)
            found[what] = Promise(feedback, cards, (probe, quoted(cells[2])[0]))
    return found


PROMISES = promises()
KILLED, BACK = "a worker is killed", "the database is back"
CRASHED, HANGS = "the database crashes or is stopped", "the database accepts connections and does not answer"
FULL = "the disk is full"


class Load:
    """Feedback and calls, sent by several threads for as long as the block lasts; and how they were answered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stored: list[str] = []  # cards whose feedback was answered with 200
        self.refused: list[tuple[int, str | None, float]] = []  # status, Retry-After, seconds
        self.cards: list[tuple[int, float]] = []  # status and seconds of calls
        self.cut = 0  # answers that never came, because the process had gone
        self._ended = Event()

    @contextmanager
    def running(self) -> Iterator[Load]:
        with ThreadPoolExecutor(6) as pool:
            work = [pool.submit(self._report, name) for name in "abcd"] + [pool.submit(self._call) for _ in "ab"]
            try:
                yield self
            finally:
                self._ended.set()
                for each in work:
                    each.result()

    def goes_on(self, how_many: int = 20) -> None:
        """Waits until so many more reports are stored and calls are answered with cards."""
        before, called = len(self.stored), len(self.cards)
        wait_for(lambda: len(self.stored) >= before + how_many and len(self.cards) >= called + how_many)

    def _report(self, name: str) -> None:
        for n in range(1_000_000):
            if self._ended.is_set():
                return
            card, began = f"{name}{n}", time.monotonic()
            item = {"feedback": [OVERRIDDEN | {"card": card}]}
            try:
                answer = requests.post(f"{self.server.base}{VIEW}/feedback", json=item, timeout=30)
            except requests.RequestException:
                self.cut += 1
                continue
            if answer.status_code == 200:
                self.stored.append(card)
            else:
                told = answer.headers.get("Retry-After")
                self.refused.append((answer.status_code, told, time.monotonic() - began))

    def _call(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                answer = requests.post(self.server.base + VIEW, json=request_body(), timeout=30)
            except requests.RequestException:
                self.cut += 1
                continue
            self.cards.append((answer.status_code, time.monotonic() - began))


def ready(server: Server) -> tuple[int, str]:
    """Status code and `status` of the readiness probe."""
    answer = requests.get(server.base + "/health/ready", timeout=30)
    body: dict[str, Any] = answer.json()
    assert ("database" in body["degraded"]) is not body["database"]
    return answer.status_code, body["status"]


def kept(url: str) -> set[str]:
    """The cards of the feedback in a database."""
    database = Database(url)
    cards = {event.card for event in FeedbackStore(database).events()}
    database.close()
    return cards


def calls_kept(url: str) -> int:
    database = Database(url)
    with database.single("") as connection:
        number = connection.execute(select(func.count()).select_from(hook_call)).scalar_one()
    database.close()
    return number


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Starts a server with two workers on a database."""
    started: list[tuple[Server, Thread]] = []

    def start(url: str) -> Server:
        server = Server(tmp_path, DATABASE_URL=url)
        # Its log must be read, or it would stop when the pipe is full.
        reader = Thread(target=_read, args=(server,))
        reader.start()
        started.append((server, reader))
        return server

    yield start
    for server, reader in started:
        _stop(server, signal.SIGKILL)
        reader.join(20)


def _read(server: Server) -> None:
    assert server.process.stdout is not None
    with server.process.stdout as log:
        for _ in log:
            pass


def _stop(server: Server, how: int) -> int:
    if server.process.poll() is None:
        os.killpg(server.process.pid, how)
    return server.process.wait(20)


@pytest.fixture
def own_postgres(postgres_server: str) -> Iterator[str]:
    """URL of a PostgreSQL server of this test alone, which it may crash."""
    if not POSTGRES.exists():
        missing(".ci/postgres is not here. Take a checkout")
    url = subprocess.run([POSTGRES, "start"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    yield url
    _postgres("stop", url)


def _postgres(what: str, url: str) -> None:
    # Not through a pipe: the server keeps what it inherits open, and a reader would wait for it.
    port = url.rpartition(":")[2].partition("/")[0]
    subprocess.run([POSTGRES, what, port], check=True, stdout=subprocess.DEVNULL)


def test_every_row_of_the_page_on_the_database_is_tested_here() -> None:
    assert set(PROMISES) == {KILLED, CRASHED, BACK, HANGS, FULL}


@pytest.mark.row("FBK-01")
def test_a_worker_that_is_killed_takes_no_stored_feedback_with_it(
    serve: Callable[[str], Server], database_url: str
) -> None:
    server = serve(database_url)
    load = Load(server)
    with load.running():
        for _ in range(2):
            load.goes_on()
            os.kill(workers(server)[0], signal.SIGKILL)
        wait_for(lambda: len(workers(server)) == 2)
        load.goes_on()
        assert ready(server) == PROMISES[KILLED].ready
    assert load.refused == []
    assert {200, *(status for status, _ in load.cards)} == {PROMISES[KILLED].feedback, PROMISES[KILLED].cards}
    _stop(server, signal.SIGKILL)
    assert set(load.stored) <= kept(database_url)


def test_a_server_that_is_told_to_stop_writes_the_records_that_wait(
    serve: Callable[[str], Server], database_url: str
) -> None:
    server = serve(database_url)
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(requests.post, server.base + VIEW, json=request_body(), timeout=30) for _ in range(20)]
        assert [each.result().status_code for each in sent] == [200] * 20
    assert _stop(server, signal.SIGTERM) == 0
    assert calls_kept(database_url) == 20


@pytest.mark.postgres
def test_a_database_that_crashes_loses_nothing_and_cards_keep_coming(
    serve: Callable[[str], Server], own_postgres: str
) -> None:
    server = serve(own_postgres)
    load = Load(server)
    with load.running():
        load.goes_on()
        _postgres("crash", own_postgres)
        refused, called = len(load.refused), len(load.cards)
        wait_for(lambda: len(load.refused) >= refused + 20 and len(load.cards) >= called + 20)
        assert ready(server) == PROMISES[CRASHED].ready
        _postgres("again", own_postgres)
        wait_for(lambda: ready(server) == PROMISES[BACK].ready)
        load.goes_on()
    assert load.cut == 0
    assert {status for status, _ in load.cards} == {PROMISES[CRASHED].cards, PROMISES[BACK].cards}
    assert {(status, told) for status, told, _ in load.refused} == {(PROMISES[CRASHED].feedback, "5")}
    wait_for(lambda: calls_kept(own_postgres) == len(load.cards))  # also those of the time without a database
    assert _stop(server, signal.SIGTERM) == 0
    assert set(load.stored) <= kept(own_postgres)


@pytest.mark.postgres
@pytest.mark.row("JWT-09")
def test_known_clients_get_cards_while_the_database_is_away_and_no_worker_takes_a_token_twice(
    own_postgres: str, tmp_path: Path
) -> None:
    server = Server(tmp_path, DATABASE_URL=own_postgres, OPEN="0", CLIENTS=str(client_file(tmp_path)), PUBLIC_URL=BASE)

    def status(token: dict[str, str]) -> int:
        return requests.post(server.base + VIEW, json=request_body(), headers=token, timeout=30).status_code

    try:
        known = said()
        assert [status(known) for _ in range(8)].count(200) == 1
        _postgres("crash", own_postgres)
        assert [status(said()) for _ in range(8)] == [200] * 8
        token = said()
        answers = [status(token) for _ in range(16)]
        assert 1 <= answers.count(200) <= len(workers(server)), answers
        assert set(answers) <= {200, 401}
        assert status({}) == 401
        _postgres("again", own_postgres)
        wait_for(lambda: ready(server) == PROMISES[BACK].ready)
    finally:
        server.stop(signal.SIGKILL)


@pytest.mark.row("STA-503")
def test_a_full_disk_refuses_feedback_and_nothing_else(serve: Callable[[str], Server], tmp_path: Path) -> None:
    """Full for the workers: a limit on the size of files that is changed from outside while they run"""
    url = f"sqlite:///{tmp_path}/cds.db"
    server = serve(url)
    load = Load(server)
    with load.running():
        load.goes_on()
        _may_write(server, 0)
        wait_for(lambda: len(load.refused) >= 20)
        stored, called = len(load.stored), len(load.cards)
        wait_for(lambda: len(load.cards) >= called + 20)
        # Either worker says so once it has failed to write.
        wait_for(lambda: [ready(server) for _ in range(6)] == [PROMISES[FULL].ready] * 6)
        assert len(load.stored) <= stored + 4  # what was under way
        _may_write(server, resource.RLIM_INFINITY)
        wait_for(lambda: [ready(server) for _ in range(6)] == [PROMISES[BACK].ready] * 6)
        load.goes_on()
    assert load.cut == 0
    assert {status for status, _ in load.cards} == {PROMISES[FULL].cards}
    assert {(status, told) for status, told, _ in load.refused} == {(PROMISES[FULL].feedback, "5")}
    wait_for(lambda: calls_kept(url) == len(load.cards))
    assert _stop(server, signal.SIGTERM) == 0
    assert set(load.stored) <= kept(url)


def _may_write(server: Server, size: int) -> None:
    for worker in workers(server):
        _, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.row("STA-503", "TOY-24")
@pytest.mark.postgres
def test_a_database_that_hangs_is_given_up_and_cards_keep_coming(
    serve: Callable[[str], Server], own_postgres: str
) -> None:
    """It takes connections and never answers; the service has fewer reports under way than threads"""
    server = serve(own_postgres)
    load = Load(server)
    with load.running(), _halted(own_postgres):
        refused, called = len(load.refused), len(load.cards)
        wait_for(lambda: len(load.refused) >= refused + 4)
        assert ready(server) == PROMISES[HANGS].ready
        wait_for(lambda: len(load.cards) >= called + 20)
    assert load.cut == 0
    assert {status for status, _ in load.cards} == {PROMISES[HANGS].cards}
    assert {(status, told) for status, told, _ in load.refused} == {(PROMISES[HANGS].feedback, "5")}
    assert max(seconds for _, _, seconds in load.refused) < 20
    wait_for(lambda: ready(server) == PROMISES[BACK].ready)
    assert set(load.stored) <= kept(own_postgres)


@contextmanager
def _halted(url: str) -> Iterator[None]:
    """All processes of a PostgreSQL server stand still."""
    folder = ROOT / ".cache" / "postgres" / url.rpartition(":")[2].partition("/")[0]
    parent = int((folder / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    processes = [parent, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
