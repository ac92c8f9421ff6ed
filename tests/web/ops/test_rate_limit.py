"""How often one caller may call: who is counted together, what the answer says, and that all processes count as one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from cds_service.errors import SettingsError, Throttled
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings, load_settings
from cds_service.web.ops.rate_limit import FAILED, Rates
from cds_service.web.ops.shared_counters import SharedStorage, shared_counters
from tests.support.log_file import LogFile
from tests.support.outcome import outcome
from tests.support.recorder import VIEW, Recorder, request_body
from tests.support.signing import Signer, write_key_set

ONE, TWO = ClientProfile(name="one"), ClientProfile(name="two")
ADDRESS = {"REMOTE_ADDR": "192.0.2.1"}
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.2"}


@pytest.fixture
def counters() -> Iterator[str]:
    with shared_counters() as address:
        yield address


def statuses(client: FlaskClient, count: int, **environ: str) -> list[int]:
    return [client.post(VIEW, json=request_body(), environ_overrides=environ).status_code for _ in range(count)]


@pytest.mark.row("STA-429", "RSP-05")
def test_one_call_too_many_is_429_and_says_when_to_come_again(make_app: Callable[..., Flask], log: LogFile) -> None:
    client = make_app(rate_limit="2 per hour").test_client()
    assert statuses(client, 3) == [200, 200, 429]
    response = client.post(VIEW, json=request_body())
    assert "2 per 1 hour" in outcome(response, 429, "throttled")
    assert 1 <= int(response.headers["Retry-After"]) <= 3600
    assert log.lines("call")[-1]["client"] == "open"


def test_the_body_of_a_call_too_many_is_not_evaluated(make_app: Callable[..., Flask], recorder: Recorder) -> None:
    statuses(make_app(rate_limit="1 per hour").test_client(), 4)
    assert len(recorder.calls) == 1


def test_calls_and_discovery_and_feedback_count_together(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="2 per hour").test_client()
    assert client.get("/cds-services").status_code == 200
    assert client.post(VIEW + "/feedback", json={"feedback": []}).status_code == 200
    assert client.post(VIEW, json=request_body()).status_code == 429


def test_in_open_mode_every_address_has_its_own_count(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="1 per hour").test_client()
    assert statuses(client, 2, **ADDRESS) == [200, 429]
    assert statuses(client, 1, **ELSEWHERE) == [200]


def test_addresses_of_one_ipv6_network_count_as_one(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="2 per hour").test_client()
    addresses = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::3", "2001:db8:0:1::1")
    assert [statuses(client, 1, REMOTE_ADDR=address)[0] for address in addresses] == [200, 200, 429, 200]


def test_ipv4_addresses_that_come_as_ipv6_have_their_own_counts(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="1 per hour").test_client()
    addresses = ("::ffff:192.0.2.7", "::ffff:192.0.2.8", "192.0.2.7")
    assert [statuses(client, 1, REMOTE_ADDR=address)[0] for address in addresses] == [200, 200, 429]


def test_a_port_behind_a_forwarded_address_makes_no_other_caller(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="1 per hour", proxies=1).test_client()
    forwarded = ("192.0.2.7:50001", "192.0.2.7:50002", "192.0.2.8:50001", "[2001:db8::1]:5", "[2001:db8::1]:6")
    answers = [client.post(VIEW, json=request_body(), headers={"X-Forwarded-For": one}) for one in forwarded]
    assert [answer.status_code for answer in answers] == [200, 429, 200, 200, 429]


def test_a_forwarded_address_counts_only_behind_as_many_proxies_as_there_are(make_app: Callable[..., Flask]) -> None:
    headers = [{"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7"} for n in range(3)]
    for proxies, expected in ((0, [200, 429, 429]), (1, [200, 429, 429]), (2, [200, 200, 200])):
        client = make_app(rate_limit="1 per hour", proxies=proxies).test_client()
        answers = [client.post(VIEW, json=request_body(), headers=one).status_code for one in headers]
        assert answers == expected, proxies


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_probes_are_never_refused(make_app: Callable[..., Flask], path: str) -> None:
    client = make_app(rate_limit="1 per hour").test_client()
    assert [client.get(path).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/nowhere"])
def test_what_everybody_may_read_is_counted_apart_from_calls(make_app: Callable[..., Flask], path: str) -> None:
    client = make_app(rate_limit="1 per hour").test_client()
    assert client.get(path).status_code != 429
    assert client.get(path).status_code == 429
    assert statuses(client, 1) == [200]


def test_off_is_no_limit(make_app: Callable[..., Flask]) -> None:
    assert statuses(make_app(rate_limit="off").test_client(), 5) == [200] * 5


@pytest.mark.row("CORS-01")
def test_a_429_can_be_read_by_a_browser(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="1 per hour", cors_origins=("https://ehr.example",)).test_client()
    origin = {"Origin": "https://ehr.example"}
    answers = [client.post(VIEW, json=request_body(), headers=origin) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {"https://ehr.example"}
    assert "Retry-After" in answers[1].headers["Access-Control-Expose-Headers"]
    preflight = origin | {"Access-Control-Request-Method": "POST"}
    assert client.options(VIEW, headers=preflight).status_code == 200


# Closed mode


def test_clients_are_counted_by_profile_wherever_they_call_from() -> None:
    rates = Rates(Settings(rate_limit="1 per hour"), None)
    rates.called(ONE, "192.0.2.1")
    rates.called(TWO, "192.0.2.1")
    with pytest.raises(Throttled):
        rates.called(ONE, "192.0.2.2")


def test_a_profile_s_own_limit_takes_the_place_of_the_setting_s() -> None:
    rates = Rates(Settings(rate_limit="1 per hour"), None)
    generous = ClientProfile(name="generous", rate_limit="3 per hour")
    unlimited = ClientProfile(name="unlimited", rate_limit="off")
    for _ in range(3):
        rates.called(generous, None)
        rates.called(unlimited, None)
    rates.called(unlimited, None)
    with pytest.raises(Throttled, match="3 per 1 hour"):
        rates.called(generous, None)


@pytest.mark.row("TOY-02")
def test_refused_tokens_are_bounded_by_address_and_no_known_client_suffers(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    signer = Signer("https://ehr.example")
    write_key_set(tmp_path / "keys.json", signer)
    clients = tmp_path / "clients.yaml"
    clients.write_text("clients: [{name: ehr, issuers: [https://ehr.example], keys: keys.json}]")
    client = make_app(open=False, clients=clients).test_client()
    most = parse(FAILED).amount
    answers = [client.get("/cds-services", environ_overrides=ADDRESS) for _ in range(most + 2)]
    assert [answer.status_code for answer in answers] == [401] * most + [429] * 2
    assert client.get("/cds-services", environ_overrides=ELSEWHERE).status_code == 401
    good = signer.bearer("https://cds.example/cds-services")
    assert client.get("/cds-services", headers=good, environ_overrides=ADDRESS).status_code == 200


# Where it is counted


def _hit(address: str, times: int, answers: Any) -> None:
    rates = Rates(Settings(rate_limit="100 per hour", rate_storage=address), None)
    refused = 0
    for _ in range(times):
        try:
            rates.called(ONE, None)
        except Throttled:
            refused += 1
    answers.put(refused)


def test_processes_count_as_one(counters: str) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [context.Process(target=_hit, args=(counters, 60, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    refused = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sum(refused) == 20


def test_the_table_is_taken_away_at_the_end() -> None:
    with shared_counters() as address:
        path = Path(address.removeprefix("shared://"))
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_more_callers_than_the_table_has_room_for_are_still_counted_each(counters: str) -> None:
    storage = SharedStorage(counters)
    for n in range(50):
        storage.incr("frequent", 3600)
        for other in range(400):
            storage.incr(f"{n}-{other}", 3600)
    # The smallest counts give way, so a frequent caller is not forgotten.
    assert storage.get("frequent") == 50


def test_a_new_window_begins_at_nothing(counters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SharedStorage(counters)
    now = 1_000_000.0
    monkeypatch.setattr("cds_service.web.ops.shared_counters.time", SimpleNamespace(time=lambda: now))
    assert [storage.incr("x", 60) for _ in range(3)] == [1, 2, 3]
    assert storage.get_expiry("x") == now + 60
    now += 60.5
    assert (storage.get("x"), storage.incr("x", 60)) == (0, 1)


def test_a_count_can_be_taken_back(counters: str) -> None:
    limiter, limit = FixedWindowRateLimiter(storage := SharedStorage(counters)), parse("1 per hour")
    assert (limiter.hit(limit, "x"), limiter.hit(limit, "x")) == (True, False)
    limiter.clear(limit, "x")
    assert limiter.hit(limit, "x")
    storage.reset()
    assert limiter.hit(limit, "x")


def test_a_storage_that_fails_stops_no_call(log: LogFile, make_app: Callable[..., Flask]) -> None:
    app = make_app(rate_limit="1 per hour", rate_storage="failing://")
    assert statuses(app.test_client(), 3) == [200] * 3
    (line,) = log.lines("calls not counted")
    assert line["level"] == "warning"


class _Failing(SharedStorage):
    """A storage somewhere in the network that is not there."""

    STORAGE_SCHEME = ["failing"]  # noqa: RUF012  # as the library declares it

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise ConnectionError(key)


@pytest.mark.parametrize("uri", ["nonsense", "nowhere://x", "shared:///nowhere/at/all", "redis+sentinel://"])
def test_a_storage_that_cannot_be_used_stops_the_start(uri: str) -> None:
    with pytest.raises(SettingsError, match="CDS_RATE_STORAGE") as caught:
        Rates(Settings(rate_storage=uri), None)
    assert uri not in str(caught.value)


@pytest.mark.parametrize("text", ["", "often", "0 per minute", "10", "-1 per hour", "10 per fortnight"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="CDS_RATE_LIMIT"):
        load_settings(rate_limit=text)
    with pytest.raises(ValueError, match="rate"):
        ClientProfile(name="x", rate_limit=text)


def test_the_address_of_a_storage_is_not_shown() -> None:
    assert "pa55" not in repr(Settings(rate_storage="redis://:pa55@redis.example"))
