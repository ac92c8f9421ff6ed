"""Browser clients: rows CORS-* of the CDS Hooks text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.recorder import VIEW, Recorder, request_body

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


@pytest.mark.row("CORS-01")
def test_a_preflight_names_the_headers_and_methods_that_are_allowed_and_no_others(client: FlaskClient) -> None:
    asked = PREFLIGHT | {"Access-Control-Request-Headers": "X-Odd, Content-Type,AUTHORIZATION ,accept-language"}
    headers = client.options(VIEW, headers=asked).headers
    assert headers["Access-Control-Allow-Headers"] == "AUTHORIZATION, Content-Type, accept-language"
    assert headers["Access-Control-Allow-Methods"] == "GET, OPTIONS, POST"
    assert headers["Access-Control-Max-Age"] == "3600"
    for more in ({"Access-Control-Request-Headers": "x-odd"}, {"Access-Control-Request-Method": "PUT"}):
        assert "Access-Control-Allow-Headers" not in client.options(VIEW, headers=PREFLIGHT | more).headers
    put = client.options(VIEW, headers=PREFLIGHT | {"Access-Control-Request-Method": "PUT"})
    assert "Access-Control-Allow-Methods" not in put.headers


@pytest.mark.row("CORS-01")
def test_a_page_may_read_the_headers_that_name_a_call_and_when_to_come_again(client: FlaskClient) -> None:
    exposed = client.get("/cds-services", headers={"Origin": ORIGIN}).headers["Access-Control-Expose-Headers"]
    assert exposed == "Retry-After, X-Correlation-Id, X-Knowledge-Version"


def test_an_origin_is_compared_as_a_whole_and_without_regard_to_case(make_app: Callable[..., Flask]) -> None:
    client = make_app(cors_origins=(ORIGIN, "https://b.example")).test_client()
    same = client.get("/cds-services", headers={"Origin": ORIGIN.upper()}).headers
    assert same["Access-Control-Allow-Origin"] == ORIGIN.upper()
    assert same["Vary"] == "Origin"
    for other in (ORIGIN + ".evil.example", ORIGIN + ":8443", "https://ehrxexample", "null"):
        assert "Access-Control-Allow-Origin" not in client.get("/cds-services", headers={"Origin": other}).headers


def test_a_caller_that_is_no_browser_is_told_of_no_origin(make_app: Callable[..., Flask]) -> None:
    for client in (make_app().test_client(), make_app(cors_origins=(ORIGIN, "https://b.example")).test_client()):
        for response in (client.get("/cds-services"), client.post(VIEW, json={}), client.get("/nowhere")):
            assert "Access-Control-Allow-Origin" not in response.headers
