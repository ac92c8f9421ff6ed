"""Client tokens on the wire: who is let in, for what, and how often."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from tests.support.known_clients import (
    BASE,
    DISCOVERY,
    EHR,
    EHR_RSA,
    FEEDBACK,
    LENIENT,
    MEMBERS,
    NARROW,
    REPORT,
    RS256,
    TENANTS,
    at,
    bearer,
    client_file,
)
from tests.support.log_file import LogFile
from tests.support.recorder import SIGN, VIEW, request_body
from tests.support.server_process import Server
from tests.support.signing import Signer


@pytest.fixture
def closed(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    """A client of the closed service."""
    return make_app(open=False, clients=client_file(tmp_path), public_url=BASE).test_client()


@pytest.mark.row("JWT-02", "JWT-15", "DIS-14", "FBK-10")
@pytest.mark.parametrize("signer", [EHR, EHR_RSA, RS256], ids=lambda signer: signer.algorithm)
def test_a_client_with_a_token_for_the_url_it_calls_is_served(
    closed: FlaskClient, log: LogFile, signer: Signer
) -> None:
    found = closed.get(DISCOVERY, headers=signer.bearer(BASE + DISCOVERY))
    cards = closed.post(VIEW, json=request_body(), headers=signer.bearer(BASE + VIEW))
    thanks = closed.post(FEEDBACK, json=REPORT, headers=signer.bearer(BASE + FEEDBACK))
    assert [found.status_code, cards.status_code, thanks.status_code] == [200, 200, 200]
    name = MEMBERS[signer.issuer]["name"]
    assert [log.lines(event)[0]["client"] for event in ("call", "feedback")] == [name, name]


@pytest.mark.row("JWT-07", "FBK-10")
@pytest.mark.parametrize(
    ("path", "audience"),
    [
        (VIEW, [BASE + VIEW]),
        (VIEW, ["https://elsewhere.example", BASE + VIEW]),
        (VIEW, BASE + VIEW + "/"),
        (VIEW, BASE + VIEW.replace("/cds-services/", "/cds-services//")),
        (VIEW + "/", BASE + VIEW),
        (DISCOVERY, BASE + DISCOVERY + "/"),
        (FEEDBACK, BASE + FEEDBACK),
        (FEEDBACK, BASE + VIEW),
    ],
)
def test_the_audience_may_be_written_in_these_ways(closed: FlaskClient, path: str, audience: str | list[str]) -> None:
    headers = EHR.bearer(audience)
    body = REPORT if path == FEEDBACK else request_body()
    response = closed.get(path, headers=headers) if path == DISCOVERY else closed.post(path, json=body, headers=headers)
    assert response.status_code == 200


@pytest.mark.row("JWT-05", "JWT-08", "JWT-10", "JWT-11", "X-2", "X-4", "E-13")
@pytest.mark.parametrize(
    ("signer", "times", "claims", "header"),
    [
        (EHR, {"nbf": -300}, {"sub": "client-7"}, {}),
        (EHR, {}, {"tenant": "any"}, {}),
        (EHR, {}, {"jti": "6f" * 32}, {}),
        (EHR, {"iat": -0.5, "exp": 299.5}, {}, {}),
        (EHR, {"iat": 30, "exp": 90}, {}, {}),
        (EHR, {"iat": -90, "exp": -30}, {}, {}),
        (EHR, {"iat": 0, "exp": 3_600}, {}, {}),
        (EHR, {}, {}, {"typ": "jwt"}),
        (EHR, {}, {}, {"x5t": "unknown members are ignored"}),
        (TENANTS, {}, {"tenant": "south"}, {}),
        (LENIENT, {"iat": 0, "exp": 7_200}, {}, {}),
        (LENIENT, {}, {"aud": "sand_man"}, {}),
    ],
)
def test_what_real_clients_send_is_let_in(
    closed: FlaskClient, signer: Signer, times: dict[str, float], claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """Times in seconds from now"""
    said = claims | {name: at(0) + offset for name, offset in times.items()}
    token = signer.token(BASE + VIEW, header=header, **said)
    assert closed.post(VIEW, json=request_body(), headers=bearer(token)).status_code == 200


@pytest.mark.row("JWT-02")
def test_the_scheme_may_be_written_in_any_case(closed: FlaskClient) -> None:
    token = EHR.token(BASE + DISCOVERY)
    assert closed.get(DISCOVERY, headers={"Authorization": f"bearer  {token} "}).status_code == 200


@pytest.mark.row("JWT-09", "TOY-02")
def test_a_token_opens_one_call(closed: FlaskClient, log: LogFile) -> None:
    refusal = closed.post(VIEW).data
    headers = EHR.bearer(BASE + VIEW)
    first, *others = [closed.post(VIEW, json=request_body(), headers=headers) for _ in range(3)]
    assert first.status_code == 200
    assert [(other.status_code, other.data) for other in others] == [(401, refusal)] * 2
    assert [line.get("reason") for line in log.lines("call")][1:] == [None] + ["The token was used before."] * 2


@pytest.mark.process
@pytest.mark.row("JWT-09")
def test_of_many_calls_with_one_token_to_several_processes_one_is_served(tmp_path: Path) -> None:
    server = Server(tmp_path, OPEN="0", CLIENTS=str(client_file(tmp_path)), PUBLIC_URL=BASE)
    try:
        for _ in range(3):
            headers = EHR.bearer(BASE + VIEW)

            def call(_: int, headers: dict[str, str] = headers) -> int:
                return requests.post(server.base + VIEW, json=request_body(), headers=headers, timeout=10).status_code

            with ThreadPoolExecutor(8) as pool:
                assert sorted(pool.map(call, range(16))) == [200] + [401] * 15
    finally:
        server.stop(signal.SIGTERM)


@pytest.mark.row("JWT-09")
def test_two_clients_may_use_the_same_jti(closed: FlaskClient) -> None:
    answers = [
        closed.post(VIEW, json=request_body(), headers=signer.bearer(BASE + VIEW, jti="shared-by-two"))
        for signer in (EHR, RS256, EHR)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 401]


@pytest.mark.row("JWT-10")
@pytest.mark.parametrize("tenant", ["east", "North", ..., None])
def test_a_tenant_that_was_not_agreed_on_is_forbidden(closed: FlaskClient, log: LogFile, tenant: Any) -> None:
    response = closed.post(VIEW, json=request_body(), headers=TENANTS.bearer(BASE + VIEW, tenant=tenant))
    assert response.status_code == 403
    assert response.json["issue"][0]["code"] == "forbidden"
    assert log.lines("call")[0]["claimed"] == "tenants"


@pytest.mark.row("STA-403", "DIS-14", "X-5")
def test_a_service_that_was_not_agreed_on_is_forbidden_and_not_listed(closed: FlaskClient) -> None:
    called = closed.post(SIGN, json=request_body("order-sign"), headers=NARROW.bearer(BASE + SIGN))
    told = closed.post(SIGN + "/feedback", json=REPORT, headers=NARROW.bearer(BASE + SIGN))
    allowed = closed.post(VIEW, json=request_body(), headers=NARROW.bearer(BASE + VIEW))
    assert [called.status_code, told.status_code, allowed.status_code] == [403, 403, 200]
    listed = closed.get(DISCOVERY, headers=NARROW.bearer(BASE + DISCOVERY)).json["services"]
    everything = closed.get(DISCOVERY, headers=EHR.bearer(BASE + DISCOVERY)).json["services"]
    assert {entry["id"].startswith("vitamin-b12-") for entry in listed} == {True}
    assert {entry["id"].startswith("vitamin-b12-") for entry in everything} == {True, False}


@pytest.mark.row("CORS-01", "CORS-02", "TOY-17")
@pytest.mark.parametrize("path", [DISCOVERY, VIEW, FEEDBACK])
def test_a_browser_may_ask_without_a_token_and_read_a_refusal(closed: FlaskClient, path: str) -> None:
    method = "GET" if path == DISCOVERY else "POST"
    asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}
    mine, other = {"Origin": "https://app.example"}, {"Origin": "https://evil.example"}
    preflight = closed.options(path, headers=mine | asking)
    refused = closed.open(path, method=method, headers=mine)
    assert preflight.status_code == 200
    assert refused.status_code == 401
    assert {preflight.headers["Access-Control-Allow-Origin"], refused.headers["Access-Control-Allow-Origin"]} == {
        "https://app.example"
    }
    assert "Access-Control-Allow-Origin" not in closed.options(path, headers=other | asking).headers


def test_the_index_says_whether_the_service_is_open(closed: FlaskClient, client: FlaskClient) -> None:
    assert (closed.get("/").json["open"], client.get("/").json["open"]) == (False, True)
