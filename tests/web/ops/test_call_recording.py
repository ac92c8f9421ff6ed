"""What the database keeps of the calls of the shipped service: which cards, never about whom."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Table, select

from cds_service.errors import Unprocessable
from cds_service.settings import Settings
from cds_service.store.tables import card, hook_call, suggestion
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url
from tests.support.overlays import mode
from tests.support.real_inputs import (
    SAMPLES,
    call,
    hooks_of,
    knowledge,
    orders_suggested,
    sample_request,
    services,
    told,
)
from tests.support.recorder import VIEW, Recorder, request_body

LOW = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")
B12 = "vitamin-b12-patient-view"
KEY = "k" * 32


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service of a site that has one rule in silent mode, with a key for hashes."""
    site = tmp_path_factory.mktemp("site") / "ward-7"
    site.mkdir()
    (site / "overlay.yaml").write_text(mode("b12-low", "silent"), encoding="utf-8")
    database = sqlite_url(tmp_path_factory.mktemp("var"))
    made = create_app(Settings(open=True, site=site, hash_key=KEY, database_url=database))
    yield made
    made.extensions["database"].close()


def kept(app: Flask, table: Table, **members: Any) -> list[dict[str, Any]]:
    """The rows of a table that have these members, once all that waits has been written."""
    assert app.extensions["recorder"].flush()
    with app.extensions["database"].single("") as connection:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
    return [row for row in rows if members.items() <= row.items()]


def the_call(app: Flask, response: Any) -> dict[str, Any]:
    (row,) = kept(app, hook_call, id=response.headers["X-Correlation-Id"])
    return row


def test_a_call_is_kept_with_what_the_log_says_of_it(app: Flask) -> None:
    response = call(app.test_client(), B12, sample_request(LOW, "patient-view", prefetch=True), "zh")
    row = the_call(app, response)
    assert row["duration_ms"] > 0
    assert (row["service"], row["hook"], row["client"], row["site"]) == (B12, "patient-view", "open", "ward-7")
    assert (row["status"], row["language"], row["unread"], row["undecided"]) == (200, "zh", "", "")
    assert row["knowledge"] == response.headers["X-Knowledge-Version"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_every_card_and_suggestion_of_an_answer_is_kept_under_its_uuid(app: Flask, sample: Any) -> None:
    """Feedback names them by it"""
    for hook in hooks_of(sample):
        for service in services(hook):
            response = call(app.test_client(), service, sample_request(sample, hook, prefetch=True))
            rows = kept(app, card, call_id=response.headers["X-Correlation-Id"], shown=True)
            found = {row["id"]: row for row in rows}
            answered = response.get_json()["cards"]
            assert found.keys() == {each["uuid"] for each in answered}
            for each, words in zip(answered, told(response), strict=True):
                row = found[each["uuid"]]
                assert (row["rule"], row["variant"], row["indicator"]) == (words.rule, words.variant, words.indicator)
                offered = {one["id"]: one for one in kept(app, suggestion, card_id=each["uuid"])}
                assert {key: one["recommended"] for key, one in offered.items()} == {
                    one["uuid"]: one.get("isRecommended", False) for one in each.get("suggestions", ())
                }
                assert {one["order_id"] for one in offered.values()} <= orders_suggested(words, "en")
                assert all(one["order_id"] in knowledge().orders for one in offered.values())


def test_a_rule_in_silent_mode_is_kept_as_not_shown(app: Flask) -> None:
    response = call(app.test_client(), B12, sample_request(LOW, "patient-view", prefetch=True))
    assert "b12-low" not in [each.rule for each in told(response)]
    (row,) = kept(app, card, call_id=response.headers["X-Correlation-Id"], shown=False)
    assert (row["rule"], row["indicator"]) == ("b12-low", "warning")


@pytest.mark.row("TOY-10")
def test_patient_and_user_are_kept_as_hashes_only(app: Flask) -> None:
    body = sample_request(LOW, "patient-view", prefetch=True)
    client = app.test_client()
    first, second = (the_call(app, call(client, B12, body)) for _ in range(2))
    other = SAMPLES[0] if SAMPLES[0].id != LOW.id else SAMPLES[1]
    third = the_call(app, call(client, B12, sample_request(other, "patient-view", prefetch=True)))
    assert len(first["patient_hash"]) == len(first["user_hash"]) == 64
    assert first["patient_hash"] == second["patient_hash"] != third["patient_hash"]
    database = sqlite3.connect(app.extensions["database"]._durable.url.database)
    everything = "\n".join(database.iterdump())
    database.close()
    for identity in (body["context"]["patientId"], body["context"]["userId"]):
        assert identity not in everything


def test_what_could_not_be_read_and_decided_is_kept(app: Flask) -> None:
    body = sample_request(LOW, "patient-view", prefetch=True)
    del body["prefetch"]["labs"]
    row = the_call(app, call(app.test_client(), B12, body))
    assert row["status"] == 412
    assert "observations" in row["unread"].split("\n")
    assert "b12-low" not in row["undecided"]
    assert set(row["undecided"].split("\n")) <= knowledge().rules.keys()
    assert kept(app, card, call_id=row["id"]) == []


def test_an_unreadable_patient_is_kept_as_unread(app: Flask) -> None:
    body = sample_request(LOW, "patient-view", prefetch=True)
    del body["prefetch"]["patient"]
    row = the_call(app, call(app.test_client(), B12, body))
    assert (row["status"], row["unread"]) == (412, "patient")


# With the stand-in for the evaluation


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app().test_client()


@pytest.mark.row("RSP-05")
@pytest.mark.parametrize(
    ("body", "fails", "status"),
    [(b"{", None, 400), (request_body(), Unprocessable("x"), 412), (request_body(), ZeroDivisionError(), 500)],
)
def test_a_call_that_came_to_nothing_is_kept_with_its_status(
    client: FlaskClient, recorder: Recorder, body: Any, fails: Exception | None, status: int
) -> None:
    recorder.fails = fails
    sent = {"data": body, "content_type": "application/json"} if isinstance(body, bytes) else {"json": body}
    response = client.post(VIEW, **sent)
    row = the_call(client.application, response)
    assert (response.status_code, row["status"], row["patient_hash"]) == (status, status, None)


def test_what_is_no_call_of_a_service_is_not_kept(client: FlaskClient) -> None:
    client.get("/cds-services")
    client.get("/health/ready")
    client.post("/cds-services/nowhere", json=request_body())
    client.post(VIEW + "/feedback", json={"feedback": []})
    assert kept(client.application, hook_call) == []


def test_callers_who_are_not_known_leave_no_record(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    profile = {"name": "ehr", "issuers": ["https://ehr.example"], "jku": ["https://ehr.example/keys"]}
    (tmp_path / "clients.yaml").write_text(json.dumps({"clients": [profile]}), encoding="utf-8")
    settings = {"open": False, "clients": tmp_path / "clients.yaml", "public_url": "https://cds.example"}
    app = make_app(**settings)
    assert app.test_client().post(VIEW, json=request_body()).status_code == 401
    assert kept(app, hook_call) == []


def test_an_answer_does_not_wait_for_a_database_that_is_gone(client: FlaskClient) -> None:
    app = client.application
    with app.extensions["database"].transaction("") as connection:
        hook_call.drop(connection)
    assert [client.post(VIEW, json=request_body()).status_code for _ in range(3)] == [200] * 3
