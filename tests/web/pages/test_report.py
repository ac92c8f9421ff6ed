"""GET /report: there only where it may be, safe in a browser, and without a word that a user wrote."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.settings import Settings, load_settings
from cds_service.store.tables import card, feedback_event, suggestion
from cds_service.web.app import create_app
from tests.support.databases import sqlite_url
from tests.support.html_page import Read
from tests.support.known_clients import one_client
from tests.support.real_inputs import SAMPLES, call, problem, sample_request

SERVICE = "vitamin-b12-patient-view"
LOW = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")
COMMENT = "Mrs Canary called"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service while one tries it out, after one call and the answer to its card."""
    url = sqlite_url(tmp_path_factory.mktemp("var"))
    made = create_app(Settings(open=True, sandbox=True, database_url=url, hash_key="k" * 32))
    client = made.test_client()
    body = sample_request(LOW, "patient-view", prefetch=True)
    (shown,) = call(client, SERVICE, body).get_json()["cards"]
    event = {
        "card": shown["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-20T10:00:00Z",
        "overrideReason": {"reason": {"code": "disagree"}, "userComment": COMMENT},
    }
    assert client.post(f"/cds-services/{SERVICE}/feedback", json={"feedback": [event]}).status_code == 200
    assert made.extensions["recorder"].flush()
    yield made
    made.extensions["database"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def page(client: FlaskClient, query: str = "", **headers: str) -> Read:
    response = client.get(f"/report{query}", headers=headers)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    return Read(response.get_data(as_text=True))


def test_the_page_tells_what_became_of_the_cards(client: FlaskClient) -> None:
    read = page(client)
    assert "shown 1, not shown 0, answered 100 % (1/1), accepted 0, overridden 1" in read.words
    assert "I disagree with the advice" in read.words
    assert "patients 1" in read.words


def test_neither_comments_nor_patients_are_on_the_page(client: FlaskClient) -> None:
    for language in ("en", "zh"):
        text = client.get(f"/report?lang={language}").get_data(as_text=True)
        assert COMMENT not in text
        assert LOW.id not in text
        assert "Practitioner" not in text


def test_a_browser_may_load_only_the_style_that_is_in_the_page(client: FlaskClient) -> None:
    response = client.get("/report")
    (style,) = re.findall("<style>(.*?)</style>", response.get_data(as_text=True), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["Content-Security-Policy"]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_runs_nothing_and_has_no_style_outside_its_stylesheet(client: FlaskClient) -> None:
    read = page(client)
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in read.elements)
    assert not [name for _, attributes in read.elements for name in attributes if name == "style" or name[:2] == "on"]
    assert len(read.all("style")) == 1


def test_every_field_of_the_form_has_a_label(client: FlaskClient) -> None:
    text = client.get("/report").get_data(as_text=True)
    fields = re.findall(r"<(?:input|select)(?! type=\"hidden\")", text)
    assert len(fields) == len(re.findall(r"<label>[^<]+<(?:input|select)", text)) == 5


def test_the_form_keeps_what_was_chosen(client: FlaskClient) -> None:
    read = page(client, "?from=2026-10-01&to=2099-12-31&rule=b12-low&site=north&lang=en")
    values = {field["name"]: field["value"] for field in read.all("input")}
    assert values == {"lang": "en", "from": "2026-10-01", "to": "2099-12-31", "site": "north"}
    assert [option for option in read.all("option") if "selected" in option] == [{"selected": ""}]


def test_an_empty_field_of_the_form_chooses_nothing(client: FlaskClient) -> None:
    assert "shown 1" in page(client, "?from=&to=&service=&rule=&site=").words


@pytest.mark.parametrize(
    ("query", "there"),
    [
        (f"?service={SERVICE}", True),
        ("?service=vitamin-k-patient-view", False),
        ("?to=2001-01-01", False),
        (f"?from={date.today() - timedelta(days=2)}", True),  # noqa: DTZ011  # two days leave room for any zone
        ("?site=north", False),
    ],
)
def test_the_page_tells_only_what_is_selected(client: FlaskClient, query: str, there: bool) -> None:
    assert ("shown 1, not shown" in page(client, query).words) is there


def test_the_page_is_in_the_language_that_is_asked_for(client: FlaskClient) -> None:
    assert page(client, "?lang=zh").all("html") == [{"lang": "zh-Hans"}]
    assert page(client, **{"Accept-Language": "zh-CN"}).all("html") == [{"lang": "zh-Hans"}]
    assert page(client).all("html") == [{"lang": "en"}]
    assert client.get("/report?lang=zh").headers["Content-Language"] == "zh-Hans"


def test_the_way_to_the_other_language_keeps_what_was_chosen(client: FlaskClient) -> None:
    (link,) = page(client, "?rule=b12-low&site=a%26b%3D%22c&lang=en").all("a")
    assert link["hreflang"] == "zh-Hans"
    assert parse_qs(urlsplit(link["href"]).query) == {"lang": ["zh"], "rule": ["b12-low"], "site": ['a&b="c']}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("from=yesterday", "from is not a date. Write it as 2026-11-20."),
        ("to=2026-02-30", "to is not a date. Write it as 2026-11-20."),
        ("from=9999-12-31", "A day of the period is too far away. Give days of this century."),
        ("from=2026-02-02&to=2026-02-01", "The last day of the period is before the first."),
        ("site=" + "x" * 201, "site cannot exist."),
        ("rule=a%00b", "rule cannot exist."),
    ],
)
def test_what_cannot_be_selected_is_refused_in_words(client: FlaskClient, query: str, told: str) -> None:
    status, code, words = problem(client.get(f"/report?{query}"))
    assert (status, code) == (400, "invalid")
    assert words.startswith(told)


def settings_of(folder: Path, **members: Any) -> Settings:
    if not members["open"]:
        members |= {"public_url": "https://cds.example/b12", "clients": one_client(folder)}
    return Settings(database_url=sqlite_url(folder), **members)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"open": True, "sandbox": True}, 200),
        ({"open": True}, 404),
        ({"open": False, "sandbox": True}, 404),
        ({"open": False}, 404),
        ({"open": True, "report_page": True}, 200),
        ({"open": False, "report_page": True}, 200),
    ],
)
def test_the_page_is_there_while_trying_out_or_on_demand(tmp_path: Path, members: dict[str, Any], status: int) -> None:
    made = create_app(settings_of(tmp_path, **members))
    assert made.test_client().get("/report").status_code == status
    made.extensions["database"].close()


def test_behind_a_prefix_the_form_and_the_link_have_it_too(tmp_path: Path) -> None:
    made = create_app(settings_of(tmp_path, open=False, report_page=True))
    read = page(made.test_client())
    assert read.all("form")[0]["action"] == "/b12/report"
    assert read.all("a")[0]["href"].startswith("/b12/report?lang=zh")
    made.extensions["database"].close()


def test_a_database_that_is_gone_is_told_as_such(tmp_path: Path) -> None:
    made = create_app(settings_of(tmp_path, open=True, report_page=True))
    database = made.extensions["database"]
    with database.transaction("") as connection:
        for table in (suggestion, card, feedback_event):
            table.drop(connection)
    response = made.test_client().get("/report")
    assert problem(response)[:2] == (503, "transient")
    assert response.headers["Retry-After"]
    database.close()


def test_the_page_is_asked_for_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_REPORT_PAGE", "1")
    assert load_settings().serves_report
    monkeypatch.setenv("CDS_REPORT_PAGE", "0")
    assert not load_settings().serves_report
