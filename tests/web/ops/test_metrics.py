"""What /metrics tells: every call and card counted under the right name, nothing of a caller in any label."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from cds_service import __version__
from cds_service.egress.breaker import Breakers
from cds_service.errors import Unavailable
from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.support.canaries import AUTHORIZATION, PATIENT, TOKEN, calling, leaks, person, prefetch, selecting
from tests.support.databases import sqlite_url
from tests.support.fault_server import fault_server, hang, outcome, resource, status
from tests.support.feedback import ACCEPTED, OVERRIDDEN
from tests.support.known_clients import BASE, bearer, client_file, said
from tests.support.overlays import mode
from tests.support.paths import ROOT
from tests.support.real_inputs import SAMPLES, sample_request
from tests.support.recorder import VIEW, request_body
from tests.support.server_process import Server, wait_for, workers

LOW = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")
BOTH = next(sample for sample in SAMPLES if sample.id == "b12-and-warfarin")
B12 = "vitamin-b12-patient-view"
PACKAGE = ROOT / "cds_service"
Numbers = Mapping[str, float]


def read(text: str) -> Numbers:
    """The samples by name and labels: `cds_calls_total{hook="patient-view",...}`, labels in alphabetical order."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def numbers(client: FlaskClient, **headers: str) -> Numbers:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200
    return read(response.text)


@pytest.fixture
def make_shipped(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes apps with the shipped knowledge."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        values: dict[str, Any] = {"open": True, "database_url": sqlite_url(tmp_path)}
        made.append(create_app(Settings(**values | settings)))
        return made[-1]

    yield make
    for app in made:
        app.extensions["database"].close()


# --- What is counted ----------------------------------------------------------------------------------------------


def test_calls_are_counted_by_service_hook_and_status_and_timed(client: FlaskClient) -> None:
    for _ in range(3):
        assert client.post(VIEW, json=request_body()).status_code == 200
    assert client.post(VIEW, json=request_body(hook="order-sign")).status_code == 400
    found = numbers(client)
    labels = f'hook="patient-view",service="{B12}"'
    assert found[f'cds_calls_total{{{labels},status="200"}}'] == 3
    assert found[f'cds_calls_total{{{labels},status="400"}}'] == 1
    assert found[f'cds_call_seconds_count{{service="{B12}"}}'] == 4
    assert found[f'cds_call_seconds_bucket{{le="5.0",service="{B12}"}}'] == 4
    assert found['cds_requests_total{route="call",status="200"}'] == 3


def test_the_histogram_reaches_from_a_small_call_to_the_patience_of_clients(client: FlaskClient) -> None:
    client.post(VIEW, json=request_body())
    bounds = [key.split('"')[1] for key in numbers(client) if key.startswith("cds_call_seconds_bucket")]
    assert bounds[0] == "0.001"
    assert {"0.005", "0.05", "0.5", "5.0"} <= set(bounds)
    assert bounds[-2:] == ["5.0", "+Inf"]


def test_cards_are_counted_by_rule_and_severity_and_withheld_ones_by_reason(
    make_shipped: Callable[..., Flask], tmp_path: Path
) -> None:
    site = tmp_path / "ward"
    site.mkdir()
    (site / "overlay.yaml").write_text(mode("b12-low", "silent"), encoding="utf-8")
    client = make_shipped(site=site).test_client()
    body = sample_request(BOTH, "patient-view", prefetch=True)
    answers = [client.post(path, json=body).json["cards"] for path in (VIEW, "/cds-services/vitamin-k-patient-view")]
    found = numbers(client)
    counted = {key for key in found if key.startswith("cds_cards_total")}
    withheld = {key for key in found if key.startswith("cds_cards_withheld_total")}
    shown = [(card["extension"]["cds-service.rule"]["id"], card["indicator"]) for cards in answers for card in cards]
    assert shown
    expected = {f'cds_cards_total{{indicator="{indicator}",rule="{rule}"}}' for rule, indicator in shown}
    assert counted == expected
    assert 'cds_cards_withheld_total{reason="shadow",rule="b12-low"}' in withheld


def test_lists_that_could_not_be_read_and_the_rules_they_leave_undecided_are_counted(
    make_shipped: Callable[..., Flask],
) -> None:
    client = make_shipped().test_client()
    body = sample_request(LOW, "patient-view", prefetch=True)
    del body["prefetch"]["labs"]
    client.post(VIEW, json=body)
    found = numbers(client)
    assert found['cds_unread_lists_total{list="observations"}'] == 1
    assert [
        key
        for key, value in found.items()
        if key.startswith('cds_cards_withheld_total{reason="data_missing",rule=') and value == 1
    ]


def test_codes_that_nobody_knows_are_counted_by_the_kind_of_entry_only(make_shipped: Callable[..., Flask]) -> None:
    client = make_shipped().test_client()
    assert client.post(VIEW, json=calling()).status_code == 200
    found = numbers(client)
    counted = [key for key in found if key.startswith("cds_unmatched_codes_total")]
    assert 'cds_unmatched_codes_total{resource="MedicationStatement"}' in counted
    assert all(key.count("=") == 1 for key in counted)


def test_feedback_is_counted_by_outcome_and_only_once_it_is_stored(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    client = app.test_client()
    assert client.post(f"{VIEW}/feedback", json={"feedback": [ACCEPTED, OVERRIDDEN]}).status_code == 200
    app.extensions["database"].close()
    store = app.extensions["feedback_store"]
    store.add = _unavailable  # the way it fails when the database is gone
    assert client.post(f"{VIEW}/feedback", json={"feedback": [ACCEPTED]}).status_code == 503
    found = numbers(client)
    assert found[f'cds_feedback_total{{outcome="accepted",service="{B12}"}}'] == 1
    assert found[f'cds_feedback_total{{outcome="overridden",service="{B12}"}}'] == 1


def _unavailable(*_: Any) -> None:
    raise Unavailable("The feedback could not be stored.")


def test_lists_asked_of_fhir_servers_are_counted_by_what_came_of_it(make_shipped: Callable[..., Flask]) -> None:
    with fault_server() as ehr:
        client = make_shipped(fhir_allow=(ehr.base,), fhir_deadline=0.5).test_client()
        ehr.routes[f"Patient/{PATIENT}"] = resource(person())
        for kind, answer in (
            ("Condition", status(403)),
            ("Procedure", status(502)),
            ("Goal", resource(outcome("processing"))),
            ("ServiceRequest", hang),
        ):
            ehr.routes[f"{kind}?patient={PATIENT}&_count=200"] = answer
        client.post(VIEW, json=calling(prefetch={}, fhirServer=ehr.base, fhirAuthorization=AUTHORIZATION))
    found = numbers(client)
    assert found['cds_fetches_total{list="patient",outcome="whole"}'] == 1
    assert found['cds_fetches_total{list="conditions",outcome="HTTP 4xx"}'] == 1
    assert found['cds_fetches_total{list="procedures",outcome="HTTP 5xx"}'] == 1
    assert found['cds_fetches_total{list="goals",outcome="unusable"}'] == 1
    assert found['cds_fetches_total{list="serviceRequests",outcome="timed out"}'] == 1
    asked = sum(value for key, value in found.items() if key.startswith("cds_fetches_total"))
    assert found["cds_fetch_seconds_count"] == asked
    assert found['cds_fetch_seconds_bucket{le="0.25"}'] < asked


def test_a_server_that_is_left_alone_is_told_with_its_state(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    breakers: Breakers = app.extensions["egress_factory"]._breakers
    breakers.of("ehr.example", 443).succeeded()
    client = app.test_client()
    assert numbers(client)['cds_servers{server="ehr.example:443",state="closed"}'] == 1
    for _ in range(20):
        breakers.of("ehr.example", 443).failed()
    found = numbers(client)
    assert found['cds_servers{server="ehr.example:443",state="open"}'] == 1
    assert found['cds_servers{server="ehr.example:443",state="closed"}'] == 0
    assert found['cds_degraded{part="servers"}'] == 1
    assert client.get("/health/ready").json["degraded"] == ["servers"]


def test_callers_who_are_refused_are_counted_by_the_reason_in_the_log(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    client = make_app(open=False, clients=client_file(tmp_path), public_url=BASE, metrics=True).test_client()
    known = said()
    statuses = [
        client.post(VIEW, json=request_body(), headers=headers).status_code
        for headers in (known, known, {}, {}, bearer("canary.canary.canary"))
    ]
    assert statuses == [200, 401, 401, 401, 401]
    found = numbers(client)
    assert found['cds_tokens_refused_total{reason="The token was used before."}'] == 1
    assert found['cds_tokens_refused_total{reason="There is no Authorization header."}'] == 2
    assert found['cds_tokens_refused_total{reason="The token is not a JWT."}'] == 1
    assert found[f'cds_calls_total{{hook="patient-view",service="{B12}",status="401"}}'] == 4


def test_tokens_that_could_not_be_checked_against_the_used_ones_are_counted(
    make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(open=False, clients=client_file(tmp_path), public_url=BASE, metrics=True)
    client = app.test_client()
    counted = app.extensions["runtime"].replay._shared
    monkeypatch.setattr(type(counted.inner), "first_use", _unavailable)
    assert client.post(VIEW, json=request_body(), headers=said()).status_code == 200
    found = numbers(client)
    assert found["cds_tokens_not_checked_total"] == 1
    assert found['cds_degraded{part="tokens"}'] == 1


def test_calls_that_came_too_often_are_counted(make_app: Callable[..., Flask]) -> None:
    client = make_app(rate_limit="2 per hour").test_client()
    assert [client.post(VIEW, json=request_body()).status_code for _ in range(3)] == [200, 200, 429]
    assert numbers(client)['cds_requests_total{route="call",status="429"}'] == 1


def test_records_that_are_written_and_that_wait_are_counted(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    client = app.test_client()
    for _ in range(4):
        client.post(VIEW, json=request_body())
    assert app.extensions["recorder"].flush()
    found = numbers(client)
    assert (found["cds_records_written_total"], found["cds_records_waiting"]) == (4, 0)
    app.extensions["recorder"].dropped += 2
    assert [numbers(client)["cds_records_dropped_total"] for _ in range(2)] == [2, 2]


def test_the_version_of_the_knowledge_and_of_the_program_are_told(client: FlaskClient) -> None:
    found = numbers(client)
    assert found['cds_knowledge{version="1.2.3+test"}'] == 1
    assert found[f'cds_build{{version="{__version__}"}}'] == 1


# --- What is not in a label -----------------------------------------------------------------------------------------


def test_no_word_of_a_call_is_in_the_metrics(make_shipped: Callable[..., Flask]) -> None:
    with fault_server() as ehr:
        client = make_shipped(fhir_allow=(ehr.base,), fhir_deadline=0.5, explain=True).test_client()
        ehr.routes[f"Patient/{PATIENT}"] = resource(person())
        canary = {"X-Request-Id": "canary", "User-Agent": "canary", "Accept-Language": "canary"}
        for body, path in (
            (calling(), VIEW),
            (selecting(), "/cds-services/vitamin-k-order-select"),
            (calling(prefetch={}, fhirServer=ehr.base, fhirAuthorization=AUTHORIZATION), VIEW),
            (calling(prefetch=prefetch(labs=None), fhirServer="https://canary.example"), VIEW),
            (calling(hook="canary"), VIEW),
            (calling(), "/cds-services/canary-service"),
            ({"feedback": [{"card": "canary", "outcome": "canary"}]}, f"{VIEW}/feedback"),
        ):
            client.post(path, json=body, headers=canary)
        client.get("/canary?canary=canary", headers=canary)
    text = client.get("/metrics").text
    assert not leaks(text)
    assert TOKEN not in text


def test_strangers_cannot_make_new_series(client: FlaskClient) -> None:
    def knock(name: str) -> None:
        client.post(f"/cds-services/{name}", json=request_body(), headers={"Authorization": f"Bearer {name}"})
        client.post(f"/cds-services/{name}/feedback", json={"feedback": [OVERRIDDEN]})
        client.get(f"/{name}")
        client.post(VIEW, json=request_body(hook=name))
        client.get("/metrics")  # told only from the second time on

    knock("a")
    before = set(numbers(client))
    for number in range(50):
        knock(f"name-{number}")
    assert set(numbers(client)) == before
    assert any(key.startswith('cds_calls_total{hook="unknown",service="unknown"') for key in before)


def test_every_reason_for_refusing_a_caller_is_a_sentence_written_in_the_source() -> None:
    """Each becomes a label, so none may be put together from what a caller sent."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Unauthorized":
                reason = node.args[0]
                fixed = isinstance(reason, ast.Constant) or (isinstance(reason, ast.Name) and reason.id in constants)
                found.append((fixed, f"{path.name}:{node.lineno}"))
    assert [place for fixed, place in found if not fixed] == []
    assert 15 < len(found) < 50


def test_a_reason_that_is_one_too_many_is_not_counted_by_name(make_app: Callable[..., Flask]) -> None:
    metrics = make_app().extensions["runtime"].metrics
    reasons = [f"Reason {number}." for number in range(60)]
    for reason in reasons:
        metrics._refused[(metrics._reason(reason),)].inc()
    assert {metrics._reason(reason) for reason in reasons[50:]} == {"other"}
    assert metrics._reason("Reason 7.") == "Reason 7."


# --- Who may read them --------------------------------------------------------------------------------------------


def test_a_closed_service_tells_no_metrics_unless_it_is_told_to(make_app: Callable[..., Flask]) -> None:
    assert make_app(open=False).test_client().get("/metrics").status_code == 404
    assert make_app(open=False, metrics=True).test_client().get("/metrics").status_code == 200
    assert make_app(open=True, metrics=False).test_client().get("/metrics").status_code == 404


@pytest.mark.parametrize("is_open", [True, False])
def test_with_a_token_only_who_sends_it_may_read_them(make_app: Callable[..., Flask], is_open: bool) -> None:
    token = "0123456789abcdef"
    client = make_app(open=is_open, metrics_token=token).test_client()
    for headers in ({}, {"Authorization": token}, {"Authorization": f"Bearer {token}0"}, {"Authorization": "Bearer é"}):
        refused = client.get("/metrics", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert "cds_" not in refused.text
    assert numbers(client, Authorization=f"Bearer {token}")


def test_who_guesses_at_the_token_is_soon_held_up(make_app: Callable[..., Flask], log: Any) -> None:
    client = make_app(open=False, metrics_token="0123456789abcdef").test_client()
    statuses = [client.get("/metrics", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(70)]
    assert statuses == [401] * 60 + [429] * 10
    assert {line["reason"] for line in log.lines("metrics") if line["status"] == 401} == {
        "The token for /metrics is missing or wrong."
    }


def test_reading_them_is_not_logged(client: FlaskClient, log: Any) -> None:
    before = len(log.lines())
    numbers(client)
    assert len(log.lines()) == before


def test_prometheus_gets_its_newer_format_if_it_asks_for_it(client: FlaskClient) -> None:
    plain = client.get("/metrics")
    newer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert plain.content_type.startswith("text/plain; version=")
    assert newer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert newer.text.endswith("# EOF\n")


# --- Several processes ----------------------------------------------------------------------------------------------


def told_by(server: Server) -> Numbers:
    return read(requests.get(f"{server.base}/metrics", timeout=10).text)


def _told_anyhow(server: Server) -> Numbers:
    try:
        return told_by(server)
    except requests.ConnectionError:
        return {}


@pytest.mark.process
def test_several_processes_are_added_up_and_a_dead_one_no_longer_says_how_it_is(tmp_path: Path) -> None:
    server = Server(tmp_path)
    calls = f'cds_calls_total{{hook="patient-view",service="{B12}",status="200"}}'
    version = 'cds_knowledge{version="1.2.3+test"}'
    try:
        for _ in range(40):
            assert requests.post(server.base + VIEW, json=request_body(), timeout=10).status_code == 200
        # A process writes its gauges when it has started, which may be after the other has answered everything.
        wait_for(lambda: told_by(server).get(version) == 2)
        for _ in range(4):  # whichever process answers
            found = told_by(server)
            assert (found[calls], found[version]) == (40, 2)
        killed = workers(server)[0]
        os.kill(killed, signal.SIGKILL)
        # Connections that the dead process had not taken up yet are cut off.
        wait_for(lambda: killed not in workers(server) and len(workers(server)) == 2)
        wait_for(lambda: _told_anyhow(server).get(version) == 2)
        found = told_by(server)
        assert found[calls] == 40
        assert found[f'cds_build{{version="{__version__}"}}'] == 2
    finally:
        server.stop(signal.SIGKILL)


@pytest.mark.process
def test_the_folder_of_the_numbers_is_new_at_each_start_and_taken_away_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    for _ in range(2):
        server = Server(tmp_path)
        (folder,) = tmp_path.glob("cds-metrics-*")
        assert list(folder.glob("*.db"))
        requests.post(server.base + VIEW, json=request_body(), timeout=10)
        assert told_by(server)['cds_requests_total{route="call",status="200"}'] == 1
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(30) == 0
        server.stop(signal.SIGKILL)
        assert not list(tmp_path.glob("cds-metrics-*"))
