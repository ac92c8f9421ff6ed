"""Discovery, addresses with a slash too many, path prefixes: rows DIS-* of the CDS Hooks text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.hooks.response_models import Discovery
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.databases import sqlite_url
from tests.support.recorder import SERVICES, VIEW, Recorder, discovery, knowledge, request_body


@pytest.mark.row("DIS-01", "DIS-02", "DIS-13", "DIS-16", "DIS-17")
@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html", None])
def test_discovery_answers_with_or_without_a_slash_whatever_is_accepted(
    client: FlaskClient, path: str, accept: str | None
) -> None:
    response = client.get(path, headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert [service.id for service in Discovery.model_validate(response.json).services] == list(SERVICES)


@pytest.mark.row("DIS-07")
def test_every_service_in_discovery_can_be_called(client: FlaskClient) -> None:
    for service in client.get("/cds-services").json["services"]:
        response = client.post(f"/cds-services/{service['id']}", json=request_body(service["hook"]))
        assert response.status_code == 200


@pytest.mark.row("DIS-03")
def test_no_services_is_an_empty_list(tmp_path: Any, recorder: Recorder) -> None:
    settings = Settings(open=True, database_url=sqlite_url(tmp_path))
    app = create_app(settings, served=Served(knowledge(*SERVICES), recorder, lambda *_: {"services": []}))
    response = app.test_client().get("/cds-services")
    app.extensions["database"].close()
    assert (response.status_code, response.json) == (200, {"services": []})


@pytest.mark.row("DIS-14")
def test_discovery_without_a_token_is_refused_in_closed_mode(make_app: Callable[..., Flask]) -> None:
    assert make_app(open=False).test_client().get("/cds-services").status_code == 401


@pytest.mark.row("DIS-17")
@pytest.mark.parametrize("path", [VIEW + "/", VIEW.replace("services/", "services//"), VIEW, VIEW + "//"[:1]])
def test_a_slash_too_many_is_no_redirect(client: FlaskClient, path: str) -> None:
    """A client that is redirected repeats the call without its body"""
    assert client.post(path, json=request_body()).status_code == 200
    feedback: dict[str, list[Any]] = {"feedback": []}
    assert client.post(path.rstrip("/") + "/feedback", json=feedback).status_code == 200
    assert client.post(path.rstrip("/") + "/feedback/", json=feedback).status_code == 200


@pytest.mark.row("DIS-01")
@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/vitamin-b12-patient-view", "/health/live"])
def test_a_path_prefix_is_served_with_and_without_it(make_app: Callable[..., Flask], path: str) -> None:
    """Proxies differ in whether they take the prefix off"""
    client = make_app(public_url="https://hospital.example/decision/support/").test_client()
    for prefix in ("", "/decision/support"):
        url = prefix + path
        response = client.post(url, json=request_body()) if path.count("/") == 2 and "cds" in path else client.get(url)
        assert response.status_code == 200
    assert client.get("/decision/supporters/cds-services").status_code == 404


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("zh-Hans-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh;q=0.5, en;q=0.4", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("zh;q=0, en", "en"),
        ("nonsense;;q=x", "en"),
    ],
)
def test_the_language_is_the_best_of_those_the_caller_accepts(
    client: FlaskClient, recorder: Recorder, header: str | None, language: str
) -> None:
    headers = {"Accept-Language": header} if header else {}
    assert client.get("/cds-services", headers=headers).json == discovery(language)
    client.post(VIEW, json=request_body(), headers=headers)
    assert recorder.call.language == language


@pytest.mark.parametrize("header", [None, "*", "fr"])
def test_without_a_wish_the_profile_decides_and_then_the_setting(
    make_app: Callable[..., Flask], tmp_path: Any, header: str | None
) -> None:
    headers = {"Accept-Language": header} if header else {}
    assert make_app(language="zh").test_client().get("/cds-services", headers=headers).json == discovery("zh")
    clients = tmp_path / "clients.yaml"
    clients.write_text("clients:\n- {name: open, language: en}\n")
    app = make_app(language="zh", clients=clients)
    assert app.test_client().get("/cds-services", headers=headers).json == discovery("en")
