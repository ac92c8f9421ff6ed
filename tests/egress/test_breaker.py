"""Servers that keep failing are left alone for a while, and asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from cds_service.egress.breaker import Breaker, Breakers
from cds_service.egress.egress import Egress, EgressFactory
from cds_service.errors import EgressError
from tests.support.fault_server import FaultServer, bundle, fault_server, hang, hang_up, in_turn, resource, status, text
from tests.support.log_file import LogFile
from tests.support.outgoing import get, port_of, refused


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        running.routes["Observation"] = resource(bundle(["a"]))
        yield running


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def nothing_there() -> str:
    with fault_server() as gone:
        return gone.base


@pytest.mark.row("X-8")
@pytest.mark.parametrize(
    "answer",
    [status(500), status(503), hang_up, text("{", content_length=9), hang],
    ids=["500", "503", "no answer", "broken off", "hangs"],
)
def test_a_server_that_keeps_failing_is_no_longer_asked(server: FaultServer, answer: Any) -> None:
    server.routes["Observation"] = answer
    egress = Egress([server.base], breakers=Breakers(failures=3, min_attempt_seconds=0.1))
    for _ in range(3):
        with suppress(EgressError):
            get(egress, server.base + "/Observation", seconds=0.3)
    asked = len(server.seen)
    assert refused(egress, server.base + "/Observation") == "not asked, because its calls keep failing"
    assert len(server.seen) == asked


def test_a_server_that_is_not_there_is_no_longer_asked() -> None:
    base = nothing_there()
    egress = Egress([base], breakers=Breakers(failures=2))
    assert [refused(egress, base) for _ in range(3)] == [
        "no connection",
        "no connection",
        "not asked, because its calls keep failing",
    ]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 429])
def test_an_answer_that_refuses_is_no_failure_of_the_server(server: FaultServer, code: int) -> None:
    server.routes["Observation"] = status(code)
    egress = Egress([server.base], breakers=Breakers(failures=2))
    assert [get(egress, server.base + "/Observation").status for _ in range(5)] == [code] * 5


def test_an_answer_in_between_begins_the_count_anew(server: FaultServer) -> None:
    server.routes["Observation"] = in_turn(status(500), status(200), status(500), status(200), status(500))
    egress = Egress([server.base], breakers=Breakers(failures=2))
    assert [get(egress, server.base + "/Observation").status for _ in range(5)] == [500, 200, 500, 200, 500]


def test_a_call_without_time_says_nothing_against_the_server(server: FaultServer) -> None:
    server.routes["Observation"] = hang
    egress = Egress([server.base], breakers=Breakers(failures=2, min_attempt_seconds=1.0))
    assert {refused(egress, server.base + "/Observation", seconds=0.1) for _ in range(4)} == {"timed out"}


def test_a_server_that_is_back_is_asked_again(server: FaultServer, log: LogFile) -> None:
    clock = Clock()
    egress_factory = EgressFactory(breakers=Breakers(clock, failures=2, pause=10))
    egress, url = egress_factory.to([server.base]), server.base + "/Observation"
    host = f"127.0.0.1:{port_of(server)}"
    server.routes["Observation"] = in_turn(status(500), status(500), status(500), resource(bundle(["a"])))
    assert egress_factory.states() == {}
    for _ in range(2):
        get(egress, url)
    assert egress_factory.states() == {host: "open"}
    clock.now += 9
    refused(egress, url)
    clock.now += 2
    assert get(egress, url).status == 500
    assert egress_factory.states() == {host: "open"}
    refused(egress, url)
    clock.now += 11
    assert get(egress, url).status == 200
    assert egress_factory.states() == {host: "closed"}
    assert [line["event"] for line in log.lines()] == ["server fails", "server answers again"]
    assert {line["host"] for line in log.lines()} == {host}


def test_all_ways_know_of_a_failing_server_and_only_of_that_one(server: FaultServer) -> None:
    egress_factory = EgressFactory(breakers=Breakers(failures=2))
    with fault_server() as other:
        other.routes["Observation"] = resource(bundle(["a"]))
        server.routes["Observation"] = status(500)
        one, two = egress_factory.to([server.base]), egress_factory.to([server.base, other.base])
        assert one is egress_factory.to([server.base])
        for _ in range(2):
            get(one, server.base + "/Observation")
        refused(two, server.base + "/Observation")
        assert get(two, other.base + "/Observation").status == 200


def test_after_the_pause_the_queries_of_one_hook_call_go_ahead_and_no_more() -> None:
    clock = Clock()
    breaker = Breaker("ehr.example:443", clock, failures=1, pause=10, trials=3)
    breaker.failed()
    assert not breaker.allow_request()
    clock.now += 10
    assert [breaker.allow_request() for _ in range(5)] == [True, True, True, False, False]
    assert breaker.state == "half-open"
    # Trials that never end must not shut it for ever.
    clock.now += 10
    assert breaker.allow_request()


def test_failures_that_come_in_late_do_not_lengthen_the_pause() -> None:
    clock = Clock()
    breaker = Breaker("ehr.example:443", clock, failures=1, pause=10)
    breaker.failed()
    clock.now += 9
    breaker.failed()
    clock.now += 1
    assert breaker.allow_request()


def test_a_breaker_counts_right_among_threads() -> None:
    breaker = Breaker("ehr.example:443", failures=801, pause=1000)

    def fail_often() -> None:
        for _ in range(100):
            breaker.failed()

    threads = [threading.Thread(target=fail_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = breaker.state
    breaker.failed()
    assert (before, breaker.state) == ("closed", "open")
