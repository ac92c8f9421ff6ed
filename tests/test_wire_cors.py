"""Browser clients: rows CORS-* of the CDS Hooks text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from recorder import VIEW, Recorder, request_body

ORIGIN = "https://ehr.example"
ROUTES = ["/cds-services", VIEW, VIEW + "/feedback"]
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


@pytest.mark.row("CORS-01", "TOY-17", "S-15")
@pytest.mark.parametrize("open_mode", [True, False])
@pytest.mark.parametrize("path", ROUTES)
def test_a_preflight_is_answered_without_a_token(make_app: Callable[..., Flask], path: str, open_mode: bool) -> None:
    client = make_app(open=open_mode, cors_origins=(ORIGIN,)).test_client()
    response = client.options(path, headers=PREFLIGHT)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    methods = response.headers["Access-Control-Allow-Methods"]
    assert "GET" in methods
    assert "POST" in methods


@pytest.mark.row("CORS-01", "TOY-17", "S-15", "X-6")
def test_cors_headers_are_on_replies_and_on_errors(make_app: Callable[..., Flask], recorder: Recorder) -> None:
    client = make_app(cors_origins=(ORIGIN,)).test_client()
    closed = make_app(open=False, cors_origins=(ORIGIN,)).test_client()
    origin = {"Origin": ORIGIN}
    replies = [
        client.post(VIEW, json=request_body(), headers=origin),
        client.get("/cds-services", headers=origin),
        client.post(VIEW, json={}, headers=origin),
        client.post(VIEW, data="x", headers=origin),
        client.get("/nowhere", headers=origin),
        client.get(VIEW, headers=origin),
        closed.post(VIEW, json=request_body(), headers=origin),
    ]
    recorder.fails = ValueError()
    replies.append(client.post(VIEW, json=request_body(), headers=origin))
    assert [reply.status_code for reply in replies] == [200, 200, 400, 415, 404, 405, 401, 500]
    assert {reply.headers.get("Access-Control-Allow-Origin") for reply in replies} == {ORIGIN}


@pytest.mark.row("CORS-01")
def test_another_origin_gets_no_permission(make_app: Callable[..., Flask]) -> None:
    client = make_app(cors_origins=(ORIGIN,)).test_client()
    other = {"Origin": "https://elsewhere.example"}
    for response in (client.options(VIEW, headers=PREFLIGHT | other), client.get("/cds-services", headers=other)):
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.row("CORS-02")
def test_closed_allows_no_browser_unless_told(make_app: Callable[..., Flask]) -> None:
    response = make_app(open=False).test_client().options(VIEW, headers=PREFLIGHT)
    assert response.status_code == 200
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.row("CORS-02")
def test_open_allows_every_origin_but_never_with_credentials(client: FlaskClient) -> None:
    for response in (client.options(VIEW, headers=PREFLIGHT), client.get("/cds-services", headers={"Origin": ORIGIN})):
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
