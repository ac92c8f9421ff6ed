"""New knowledge and clients into a service that is answering: no call notices, a faulty file changes nothing."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client

from cds_service.artifacts.load import knowledge_dir
from cds_service.egress.egress import Egress
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.server.reload import Reloading, check_knowledge
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from cds_service.web.runtime import Runtime
from tests.support.databases import sqlite_url
from tests.support.fault_server import FaultServer, fault_server, resource, status
from tests.support.known_clients import BASE, EHR, bearer, client_file
from tests.support.log_file import LogFile
from tests.support.overlays import HEAD
from tests.support.real_inputs import SAMPLES, sample_request
from tests.support.real_inputs import knowledge as shipped
from tests.support.recorder import VIEW, Recorder, discovery, knowledge, request_body
from tests.support.server_process import wait_for
from tests.support.signing import Signer, key_set
from tests.support.terminology_calls import CANONICALS, Clock, concepts, question, said, server_at, unknown
from tests.support.watched_service import Service, lines, serving

SERVE = ["-m", "cds_service", "serve"]
BROKEN = HEAD + "nonsense: 1\n"


# --- In one process -------------------------------------------------------------------------------------------------


@pytest.fixture
def make_reloading(tmp_path: Path) -> Iterator[Callable[..., Reloading]]:
    """Makes services that can be reloaded: `make_reloading(site=...)`."""
    made: list[Runtime] = []

    def make(answer: Any = None, **given: Any) -> Reloading:
        members: dict[str, Any] = {"open": True, "database_url": sqlite_url(tmp_path)}
        settings = Settings(**members | given)
        made.append(runtime := Runtime.of(settings))
        fake = {"served": Served(knowledge(), answer, discovery)} if answer else {}
        create = partial(create_app, settings, runtime=runtime, **fake)
        return Reloading(create, partial(check_knowledge, settings), runtime)

    yield make
    for runtime in made:
        runtime.database.close()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    overlay(folder, HEAD)
    return folder


def overlay(site: Path, text: str) -> None:
    """Puts another overlay there in one step, as `mv` does."""
    (site.parent / "new.yaml").write_text(text, encoding="utf-8")
    (site.parent / "new.yaml").rename(site / "overlay.yaml")


def version(app: Reloading) -> str:
    return Client(app).get("/health/live").headers["X-Knowledge-Version"]


def test_a_changed_overlay_makes_another_version(make_reloading: Callable[..., Reloading], site: Path) -> None:
    app = make_reloading(site=site)
    before = version(app)
    overlay(site, HEAD + "# changed\n")
    assert version(app) == before
    assert app.reload()
    assert version(app) != before


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda site: overlay(site, BROKEN), "overlay.yaml"),
        (lambda site: (site / "overlay.yaml").unlink(), "overlay.yaml"),
        (lambda site: (site / "overlay.yml").write_text(""), "overlay.yml"),
    ],
    ids=["a fault in the overlay", "no overlay", "a file that would not be read"],
)
def test_a_faulty_overlay_is_refused_and_the_old_one_goes_on(
    make_reloading: Callable[..., Reloading], site: Path, log: LogFile, break_it: Callable[[Path], Any], reason: str
) -> None:
    app = make_reloading(site=site)
    before = version(app)
    break_it(site)
    assert not app.reload()
    assert version(app) == before
    (line,) = log.lines("reload refused")
    assert reason in line["reason"]
    client = Client(app)
    assert client.get("/health/ready").json == {
        "status": "degraded", "degraded": ["knowledge"], "database": True, "knowledge": before,
    }  # fmt: skip
    text = client.get("/metrics").text
    assert 'cds_reloads_total{outcome="refused"} 1.0' in text
    assert 'cds_degraded{part="knowledge"} 1.0' in text


def test_a_fault_that_is_put_right_is_forgotten(make_reloading: Callable[..., Reloading], site: Path) -> None:
    app = make_reloading(site=site)
    overlay(site, BROKEN)
    assert not app.reload()
    overlay(site, HEAD)
    assert app.reload()
    assert Client(app).get("/health/ready").json["status"] == "ready"
    assert 'cds_reloads_total{outcome="done"} 1.0' in Client(app).get("/metrics").text


def test_what_only_a_review_finds_is_refused_too(
    make_reloading: Callable[..., Reloading], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: LogFile
) -> None:
    """A rule without worked patients can be loaded, but `cds check` does not let it pass."""
    app = make_reloading()
    folder = tmp_path / "knowledge"
    shutil.copytree(knowledge_dir(), folder)
    next(folder.glob("*/b12-low.examples.yaml")).unlink()
    monkeypatch.setattr("cds_service.server.reload.knowledge_dir", lambda: folder)
    assert not app.reload()
    assert "the rule has no worked patients" in log.lines("reload refused")[0]["reason"]


def test_a_fault_of_ours_while_reloading_leaves_everything_as_it_was(
    make_reloading: Callable[..., Reloading], log: LogFile
) -> None:
    app = make_reloading(Recorder())
    before = version(app)

    def fails() -> None:
        raise RuntimeError("canary")

    app._review = fails
    assert not app.reload()
    assert version(app) == before
    (line,) = log.lines("reload refused")
    assert line["error"] == "RuntimeError"
    assert "canary" not in json.dumps(line)


def test_a_call_that_has_begun_ends_with_what_it_began_with(
    make_reloading: Callable[..., Reloading], tmp_path: Path
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Waiting(Recorder):
        def __call__(self, *call: Any) -> dict[str, Any]:
            begun.set()
            assert go_on.wait(10)
            return super().__call__(*call)

    app = make_reloading(Waiting())
    first, answers = app._app, []
    thread = threading.Thread(target=lambda: answers.append(Client(app).post(VIEW, json=request_body())))
    thread.start()
    assert begun.wait(10)
    assert app.reload()
    assert app._app is not first
    go_on.set()
    thread.join()
    assert answers[0].status_code == 200


def test_what_was_served_before_is_forgotten(make_reloading: Callable[..., Reloading], site: Path) -> None:
    """Otherwise memory would grow with every reload."""
    app = make_reloading(site=site, sandbox=True)
    for path in ("/", "/rules", "/app/", "/openapi.json", "/sandbox/fhir/Patient"):
        assert Client(app).get(path).status_code == 200
    assert Client(app).post(VIEW, json=request_body()).status_code == 412
    old = weakref.ref(app._app)
    assert app.reload()
    gc.collect()
    assert old() is None


def test_database_counters_and_failing_servers_outlast_a_reload(make_reloading: Callable[..., Reloading]) -> None:
    app = make_reloading(Recorder())
    before = dict(app._app.extensions)
    Client(app).post(VIEW, json=request_body())
    assert app.reload()
    after = app._app.extensions
    assert [
        after[name] is before[name] for name in ("database", "recorder", "egress_factory", "body_timeouts", "runtime")
    ] == [True] * 5
    assert 'status="200"} 1.0' in Client(app).get("/metrics").text


def test_the_metrics_tell_which_version_answers_now(make_reloading: Callable[..., Reloading], site: Path) -> None:
    app = make_reloading(site=site)
    before = version(app)
    overlay(site, HEAD + "# changed\n")
    app.reload()
    text = Client(app).get("/metrics").text
    assert f'cds_knowledge{{version="{before}"}} 0.0' in text
    assert f'cds_knowledge{{version="{version(app)}"}} 1.0' in text


# --- Clients ----------------------------------------------------------------------------------------------------------


def status_of(app: Reloading, signer: Signer) -> int:
    token = signer.token(BASE + VIEW)
    return Client(app).post(VIEW, json=request_body(), headers=bearer(token)).status_code


def test_a_new_client_is_let_in_and_one_taken_out_is_not(
    make_reloading: Callable[..., Reloading], tmp_path: Path
) -> None:
    path = client_file(tmp_path)
    app = make_reloading(Recorder(), open=False, clients=path, public_url=BASE)
    assert status_of(app, EHR) == 200
    text = path.read_text()
    path.write_text(text.replace(EHR.issuer, "https://other.example"))
    assert status_of(app, EHR) == 200
    assert app.reload()
    assert status_of(app, EHR) == 401
    path.write_text(text)
    assert app.reload()
    assert status_of(app, EHR) == 200


def test_a_key_file_is_read_anew(make_reloading: Callable[..., Reloading], tmp_path: Path) -> None:
    path = client_file(tmp_path)
    app = make_reloading(Recorder(), open=False, clients=path, public_url=BASE)
    newer = Signer(EHR.issuer, kid="newer")
    assert status_of(app, newer) == 401
    add_key(tmp_path, newer)
    assert app.reload()
    assert status_of(app, newer) == 200
    assert status_of(app, EHR) == 200


def add_key(folder: Path, signer: Signer) -> None:
    for file in folder.glob("*.json"):
        keys = json.loads(file.read_text())
        if any(key["kid"] == EHR.kid for key in keys["keys"]):
            keys["keys"] += key_set(signer)["keys"]
            file.write_text(json.dumps(keys))


@pytest.mark.parametrize("text", ["clients: [{name: x, colour: red}]", "clients: [", ""])
def test_a_faulty_client_file_is_refused_and_known_clients_stay(
    make_reloading: Callable[..., Reloading], tmp_path: Path, log: LogFile, text: str
) -> None:
    path = client_file(tmp_path)
    app = make_reloading(Recorder(), open=False, clients=path, public_url=BASE)
    path.write_text(text)
    assert not app.reload()
    assert status_of(app, EHR) == 200
    assert "clients.yaml" in log.lines("reload refused")[0]["reason"]


def test_a_fetched_key_set_is_not_forgotten(make_reloading: Callable[..., Reloading], tmp_path: Path) -> None:
    """The server that shows it may be away just then, and the client would be shut out."""
    with fault_server() as server:
        jku = server.base + "/keys"
        signer = Signer("https://ehr.example", jku=jku)
        server.routes["keys"] = resource(key_set(signer))
        path = tmp_path / "clients.yaml"
        path.write_text(f"clients: [{{name: ehr, issuers: ['https://ehr.example'], jku: ['{jku}']}}]\n")
        app = make_reloading(Recorder(), open=False, clients=path, public_url=BASE, sandbox=True)
        assert status_of(app, signer) == 200
        server.routes["keys"] = status(503)
        assert app.reload()
        assert status_of(app, signer) == 200
        assert len(server.seen) == 1


# --- The terminology server ------------------------------------------------------------------------------------------


@pytest.fixture
def terms() -> Iterator[FaultServer]:
    with fault_server() as server:
        yield server


@pytest.fixture
def asked_before(terms: FaultServer) -> TerminologyServer:
    """A server that has been asked about one code and knows it."""
    terms.routes[question("W1")] = said(True)
    server = server_at(terms)
    server.ask(unknown("W1"))
    server.settle()
    return server


def test_what_the_terminology_server_said_is_not_forgotten(terms: FaultServer, asked_before: TerminologyServer) -> None:
    way = Egress([terms.base])
    after = TerminologyServer(terms.base, CANONICALS, shipped().terminology, way, Clock(), before=asked_before)
    assert concepts(after, "W1") == {"vitamin-k-antagonist"}
    after.ask(unknown("W1"))
    after.settle()
    assert len(terms.seen) == 1


def test_with_another_mapping_the_terminology_server_is_asked_anew(
    terms: FaultServer, asked_before: TerminologyServer
) -> None:
    fewer = {name: url for name, url in CANONICALS.items() if name != "vitamin-k-antagonist"}
    way = Egress([terms.base])
    after = TerminologyServer(terms.base, fewer, shipped().terminology, way, Clock(), before=asked_before)
    assert concepts(after, "W1") == frozenset()


def test_the_terminology_server_before_asks_nothing_more(terms: FaultServer, asked_before: TerminologyServer) -> None:
    asked_before.close()
    asked_before.ask(unknown("W2"))
    asked_before.settle()
    assert len(terms.seen) == 1
    assert concepts(asked_before, "W1") == {"vitamin-k-antagonist"}


# --- Several processes -----------------------------------------------------------------------------------------------


class Load:
    """Calls about a sample patient, one after the other from several threads, each on a connection of its own.

    Attributes:
        answers: status, version in the header, version in the body.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answers: list[tuple[int, str, str]] = []
        self.faults: list[Exception] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(kept,)) for kept in (True, True, False)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _call(self, kept: bool) -> None:
        body = sample_request(SAMPLES[0], "patient-view", prefetch=True)
        with requests.Session() as session:
            while not self._ended.is_set():
                try:
                    answer = (session if kept else requests).post(self.service.base + VIEW, json=body, timeout=10)
                    told = answer.json()["extension"]["cds-service.knowledge"]["version"]
                    self.answers.append((answer.status_code, answer.headers["X-Knowledge-Version"], told))
                except (requests.RequestException, KeyError) as error:
                    self.faults.append(error)
                time.sleep(0.005)

    def goes_on(self) -> None:
        enough = len(self.answers) + 30
        wait_for(lambda: len(self.answers) >= enough)


def versions(service: Service) -> set[str]:
    """What the processes answer by; whichever is asked."""
    found = set()
    for _ in range(16):
        found.add(requests.get(f"{service.base}/health/live", timeout=10).headers["X-Knowledge-Version"])
    return found


def children(service: Service) -> list[int]:
    pid = service.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def numbers(service: Service) -> str:
    return requests.get(f"{service.base}/metrics", timeout=10).text


@pytest.mark.process
def test_sighup_changes_every_process_under_load_and_no_call_is_lost(site: Path, tmp_path: Path) -> None:
    settings = {"OPEN": "1", "SITE": str(site), "WORKERS": "2", "LOG_LEVEL": "warning"}
    with serving(tmp_path, SERVE, **settings) as service:
        (first,) = versions(service)
        processes = children(service)
        with Load(service) as load:
            load.goes_on()
            overlay(site, HEAD + "# changed\n")
            os.kill(service.process.pid, signal.SIGHUP)
            wait_for(lambda: first not in versions(service))
            (second,) = versions(service)
            load.goes_on()
            overlay(site, BROKEN)
            os.kill(service.process.pid, signal.SIGHUP)
            wait_for(lambda: 'cds_reloads_total{outcome="refused"} 2.0' in numbers(service))
            load.goes_on()
            assert versions(service) == {second}
        assert children(service) == processes
        told = numbers(service)
        written = service.ends()
        assert service.process.returncode == 0
    assert load.faults == []
    assert {code for code, _, _ in load.answers} == {200}
    # A call is answered by one version from beginning to end.
    assert {(header, body) for _, header, body in load.answers} == {(first, first), (second, second)}
    assert 'cds_reloads_total{outcome="done"} 2.0' in told
    assert f'cds_knowledge{{version="{second}"}} 2.0' in told
    assert f'cds_knowledge{{version="{first}"}} 0.0' in told
    assert len(lines(written, "reloaded")) == len(lines(written, "reload refused")) == 2
    assert all("overlay.yaml" in line["reason"] for line in lines(written, "reload refused"))


@pytest.mark.process
def test_sighup_lets_a_new_client_in(tmp_path: Path) -> None:
    path = client_file(tmp_path)
    settings = {"CLIENTS": str(path), "PUBLIC_URL": BASE, "WORKERS": "2"}
    with serving(tmp_path, SERVE, **settings) as service:
        newer = Signer(EHR.issuer, kid="newer")
        body = sample_request(SAMPLES[0], "patient-view", prefetch=True)

        def status_of_new() -> int:
            return service.post(body, Authorization=f"Bearer {newer.token(BASE + VIEW)}")

        assert status_of_new() == 401
        add_key(tmp_path, newer)
        os.kill(service.process.pid, signal.SIGHUP)
        wait_for(lambda: [status_of_new() for _ in range(8)] == [200] * 8)


def test_a_second_wish_while_reloading_is_granted_afterwards(
    make_reloading: Callable[..., Reloading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changed after the first one began to read would otherwise be missed."""
    app = make_reloading(Recorder())
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def review() -> None:
        begun.set()
        assert go_on.wait(10)
        ended.append(True)

    app._review = review
    before = signal.getsignal(signal.SIGHUP)
    try:
        app.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        assert begun.wait(10)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        go_on.set()
        wait_for(lambda: len(ended) == 2)
    finally:
        signal.signal(signal.SIGHUP, before)
