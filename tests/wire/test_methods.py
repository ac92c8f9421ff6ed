"""Every route with every method: JSON or nothing, the right status, CORS on all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.recorder import VIEW

ORIGIN = "https://ehr.example"
READ = ["/", "/cds-services", "/health/live", "/health/ready", "/openapi.json"]
POSTED = [VIEW, VIEW + "/feedback"]
ABSENT = ["/nowhere", "/cds-services/x/y/z", "/rules/x/y", "/%00", "/%0a", "/../etc/passwd", "/cds-services%2F"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "M-SEARCH", "QUERY"]


@pytest.fixture
def open_(make_app: Callable[..., Flask]) -> Callable[..., TestResponse]:
    """Makes a request from a browser's page."""
    client = make_app(cors_origins=(ORIGIN,)).test_client()
    return lambda path, method, **more: client.open(path, method=method, headers={"Origin": ORIGIN}, **more)


def is_error(response: TestResponse, status: int, code: str) -> bool:
    body = response.json
    return (response.status_code, body["resourceType"], body["issue"][0]["code"]) == (status, "OperationOutcome", code)


@pytest.mark.row("GEN-01", "STA-405", "TOY-06")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", [*READ, *POSTED, *ABSENT])
def test_every_method_on_every_route_is_answered_in_json(
    open_: Callable[..., TestResponse], path: str, method: str
) -> None:
    response = open_(path, method)
    assert response.status_code in (200, 404, 405, 415)
    assert response.content_type == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    if method == "HEAD":
        assert response.data == b""
    elif response.status_code != 200:
        assert response.json["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("path", READ)
def test_what_is_read_says_which_methods_it_has(open_: Callable[..., TestResponse], path: str) -> None:
    response = open_(path, "DELETE")
    assert is_error(response, 405, "not-supported")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_a_body(open_: Callable[..., TestResponse], path: str) -> None:
    got, head = open_(path, "GET"), open_(path, "HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


@pytest.mark.row("CORS-01")
@pytest.mark.parametrize("open_mode", [True, False])
@pytest.mark.parametrize("path", [*READ, *POSTED])
def test_a_preflight_of_every_route_is_answered(make_app: Callable[..., Flask], path: str, open_mode: bool) -> None:
    client = make_app(open=open_mode, cors_origins=(ORIGIN,), rate_limit="1 per hour").test_client()
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    # Asked twice: a preflight to a call is not counted as one.
    answers = [client.options(path, headers=asked) for _ in range(2 if path in POSTED else 1)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {ORIGIN}


@pytest.mark.row("CORS-01", "TOY-17")
@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"data": b"x", "content_type": "text/plain"}, 415),
        ({"data": b"x" * 2_001, "content_type": "application/json"}, 413),
        ({"data": b"{", "content_type": "application/json"}, 400),
    ],
)
def test_a_browser_can_read_every_refusal(make_app: Callable[..., Flask], more: dict[str, object], status: int) -> None:
    client = make_app(cors_origins=(ORIGIN,), max_body=2_000).test_client()
    response = client.post(VIEW, headers={"Origin": ORIGIN}, **more)
    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.json["resourceType"] == "OperationOutcome"
