"""Client tokens on the wire: who is let in, who is not, and that nobody learns why.

The service is closed and knows five clients: `ehr` signs with ES384 or RS384 and has handed over its keys, the others
show one switch each.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import yaml
from conftest import LogFile
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fault_server import FaultServer, fault_server, resource
from flask import Flask
from flask.testing import FlaskClient
from recorder import SIGN, VIEW, request_body
from signing import EXAMPLE_KEY, EXAMPLE_TOKEN, Signer, key_set, signed
from test_feedback import OVERRIDDEN
from test_wire_server import Server

from cds_service.errors import Forbidden, SettingsError, Unauthorized, Unavailable
from cds_service.settings import Settings
from cds_service.trust.callers import Callers
from cds_service.trust.egress import Answer, Ways
from cds_service.trust.keys import parse_key_set
from cds_service.trust.tokens import check_signature, read_token

BASE = "https://cds.example/hospital"
DISCOVERY = "/cds-services"
FEEDBACK = f"{VIEW}/feedback"
REPORT = {"feedback": [OVERRIDDEN]}
JKU = "https://ehr.example/keys"
EHR = Signer("https://ehr.example/fhir", kid="es")
EHR_RSA = Signer(EHR.issuer, "RS384", kid="rs+/=", jku=JKU)
STRANGER = Signer(EHR.issuer, kid="es")
RS256 = Signer("https://rs256.example", "RS256", kid="a")
TENANTS = Signer("https://tenants.example", kid="a")
NARROW = Signer("https://narrow.example", kid="a")
LENIENT = Signer("https://lenient.example", kid="a")
SIGNERS = [EHR, EHR_RSA, RS256, TENANTS, NARROW, LENIENT]
OTHER_KEY = Signer("x", kid="other")
MEMBERS: dict[str, dict[str, Any]] = {
    EHR.issuer: {"name": "ehr", "jku": [JKU]},
    RS256.issuer: {"name": "rs256", "algorithms": ["RS256"]},
    TENANTS.issuer: {"name": "tenants", "tenants": ["north", "south"]},
    NARROW.issuer: {"name": "narrow", "services": ["vitamin-b12"], "cors_origins": ["https://app.example"]},
    LENIENT.issuer: {"name": "lenient", "audiences": ["sand_man"], "max_token_age": 7_200},
}


def client_file(folder: Path, members: dict[str, dict[str, Any]] = MEMBERS, *more: Any) -> Path:
    """A client file for the signers, with their keys beside it."""
    clients = []
    for issuer, profile in members.items():
        keys = key_set(*[signer for signer in SIGNERS if signer.issuer == issuer])
        (folder / f"{profile['name']}.json").write_text(json.dumps({"keys": [*keys["keys"], *more]}))
        clients.append({"issuers": [issuer], "keys": f"{profile['name']}.json", **profile})
    path = folder / "clients.yaml"
    path.write_text(yaml.safe_dump({"clients": clients}))
    return path


@pytest.fixture
def closed(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    """A client of the closed service."""
    return make_app(open=False, clients=client_file(tmp_path), public_url=BASE).test_client()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- Let in -----------------------------------------------------------------------------------------------------------


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


@pytest.mark.row("JWT-05", "JWT-08", "JWT-10", "JWT-11")
@pytest.mark.parametrize(
    ("signer", "claims", "header"),
    [
        (EHR, {"sub": "client-7", "nbf": int(time.time()) - 300}, {}),
        (EHR, {"tenant": "any"}, {}),
        (EHR, {"jti": "6f" * 32}, {}),
        (EHR, {"iat": time.time() - 0.5, "exp": time.time() + 299.5}, {}),
        (EHR, {"iat": int(time.time()) + 30, "exp": int(time.time()) + 90}, {}),
        (EHR, {"exp": int(time.time()) - 30, "iat": int(time.time()) - 90}, {}),
        (EHR, {"exp": int(time.time()) + 3_600, "iat": int(time.time())}, {}),
        (EHR, {}, {"typ": "jwt"}),
        (EHR, {}, {"x5t": "unknown members are ignored"}),
        (TENANTS, {"tenant": "south"}, {}),
        (LENIENT, {"exp": int(time.time()) + 7_200}, {}),
        (LENIENT, {"aud": "sand_man"}, {}),
    ],
)
def test_what_real_clients_send_is_let_in(
    closed: FlaskClient, signer: Signer, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    token = signer.token(BASE + VIEW, header=header, **claims)
    assert closed.post(VIEW, json=request_body(), headers=bearer(token)).status_code == 200


@pytest.mark.row("JWT-02")
def test_the_scheme_may_be_written_in_any_case(closed: FlaskClient) -> None:
    token = EHR.token(BASE + DISCOVERY)
    assert closed.get(DISCOVERY, headers={"Authorization": f"bearer  {token} "}).status_code == 200


# --- Not let in -------------------------------------------------------------------------------------------------------

NOT_BEARER = "The Authorization header is not Bearer with a token."
NO_JWT = "The token is not a JWT."
NO_TYP = "The token's header has no typ JWT."
NO_KID = "The token's header has no kid."
SYMMETRIC = "The token is not signed with an asymmetric algorithm."
NOT_AGREED = "The token's algorithm is not one agreed on (algorithms)."
NO_KEY = "The client has no key of the token's kid for the token's algorithm."
SIGNATURE = "The token's signature is wrong."
NO_ISS = "The token has no iss."
UNKNOWN = "No client has the token's iss."
AUDIENCE = "The token's aud is not the URL called, as CDS_PUBLIC_URL makes it, nor one agreed on."
TIMES = "The token has no iat and exp that are numbers."
EXPIRED = "The token has expired."
FUTURE = "The token was issued in the future. Compare the clocks."
TOO_LONG = "The token lives longer than agreed (max_token_age), or ends before it begins."
NOT_YET = "The token is not good yet (nbf)."
NO_JTI = "The token has no jti."
TENANT_TEXT = "The token's tenant is not text."
BAD_JKU = "The token's jku is not one agreed on (jku)."
PUBLISHED = "The token's key is one whose private part has been published; only a sandbox (CDS_SANDBOX=1) takes it."


def said(**claims: Any) -> dict[str, str]:
    return EHR.bearer(BASE + VIEW, **claims)


def headed(**header: Any) -> dict[str, str]:
    return bearer(EHR.token(BASE + VIEW, header=header))


def changed(part: int) -> dict[str, str]:
    """A token with one character of its header, its payload or its signature changed."""
    parts = EHR.token(BASE + VIEW).split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    return bearer(".".join(parts))


def unsigned(algorithm: str) -> dict[str, str]:
    made = signed("none", None, {"typ": "JWT", "alg": algorithm, "kid": "es"}, EHR.claims(BASE + VIEW))
    return bearer(made)


def confused() -> dict[str, str]:
    """An HMAC with the public key as the secret: who lets the token choose the algorithm takes it for a signature."""
    secret = EHR_RSA.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"typ": "JWT", "alg": "HS256", "kid": "rs+/="}
    start = ".".join(
        jwt.utils.base64url_encode(json.dumps(part).encode()).decode() for part in (head, EHR.claims(BASE + VIEW))
    )
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(start.encode(), secret)
    return bearer(f"{start}.{jwt.utils.base64url_encode(mac).decode()}")


def at(seconds: int) -> int:
    return int(time.time()) + seconds


REFUSED: list[tuple[str, str, Callable[[], dict[str, str]], str]] = [
    ("JWT-02", "no header", dict, "There is no Authorization header."),
    ("JWT-02", "empty header", lambda: {"Authorization": ""}, "There is no Authorization header."),
    ("JWT-02", "basic", lambda: {"Authorization": "Basic dXNlcjpwYXNz"}, NOT_BEARER),
    ("JWT-02", "scheme alone", lambda: {"Authorization": "Bearer"}, NOT_BEARER),
    ("JWT-02", "token alone", lambda: {"Authorization": EHR.token(BASE + VIEW)}, NOT_BEARER),
    ("JWT-02", "not ASCII", lambda: bearer("ü.ü.ü".encode().decode("latin-1")), NOT_BEARER),
    ("JWT-02", "far too long", lambda: said(sub="x" * 20_000), NOT_BEARER),
    ("JWT-02", "no JWT", lambda: bearer("opaque"), NO_JWT),
    ("JWT-02", "two parts", lambda: bearer("e30.e30"), NO_JWT),
    ("JWT-02", "two tokens", lambda: bearer(f"{EHR.token(BASE + VIEW)}, {EHR.token(BASE + VIEW)}"), NO_JWT),
    ("JWT-03", "payload is text", lambda: bearer(EHR.sign(b"hello", kid="es")), NO_JWT),
    ("JWT-03", "payload is a list", lambda: bearer(EHR.sign([1], kid="es")), NO_ISS),
    ("JWT-03", "payload is too deep", lambda: bearer(EHR.sign(b"[" * 5_000, kid="es")), NO_JWT),
    ("JWT-03", "payload changed", lambda: swapped_payload(), SIGNATURE),
    ("JWT-03", "signature changed", lambda: changed(2), SIGNATURE),
    ("JWT-03", "another's key", lambda: STRANGER.bearer(BASE + VIEW), SIGNATURE),
    ("JWT-03", "own key in the header", lambda: with_own_key(), SIGNATURE),
    ("JWT-03", "critical extension", lambda: headed(crit=["exp"], exp=1), NO_JWT),
    ("JWT-03", "payload elsewhere", lambda: headed(crit=["b64"], b64=False), NO_JWT),
    ("JWT-04", "no alg", lambda: headed(alg=...), SYMMETRIC),
    ("JWT-04", "alg is a list", lambda: headed(alg=["ES384"]), SYMMETRIC),
    ("JWT-04", "no kid", lambda: headed(kid=...), NO_KID),
    ("JWT-04", "empty kid", lambda: headed(kid=""), NO_KID),
    ("JWT-04", "kid is a number", lambda: headed(kid=7), NO_JWT),
    ("JWT-04", "no typ", lambda: headed(typ=...), NO_TYP),
    ("JWT-04", "another typ", lambda: headed(typ="at+jwt"), NO_TYP),
    ("JWT-04", "typ is a list", lambda: headed(typ=["JWT"]), NO_TYP),
    ("JWT-05", "unknown kid", lambda: bearer(RS256.token(BASE + VIEW, header={"kid": "?"})), NO_KEY),
    ("JWT-06", "no iss", lambda: said(iss=...), NO_ISS),
    ("JWT-06", "iss is a list", lambda: said(iss=[EHR.issuer]), NO_ISS),
    ("JWT-06", "unknown iss", lambda: said(iss="https://stranger.example"), UNKNOWN),
    ("JWT-06", "iss with a slash", lambda: said(iss=EHR.issuer + "/"), UNKNOWN),
    ("JWT-06", "iss in capitals", lambda: said(iss=EHR.issuer.upper()), UNKNOWN),
    ("JWT-06", "iss of another client", lambda: said(iss=TENANTS.issuer), NO_KEY),
    ("JWT-07", "no aud", lambda: said(aud=...), AUDIENCE),
    ("JWT-07", "aud null", lambda: said(aud=None), AUDIENCE),
    ("JWT-07", "empty aud", lambda: said(aud=[]), AUDIENCE),
    ("JWT-07", "aud an object", lambda: said(aud={"url": BASE + VIEW}), AUDIENCE),
    ("JWT-07", "aud in a nested list", lambda: said(aud=[[BASE + VIEW]]), AUDIENCE),
    ("JWT-07", "aud another service", lambda: EHR.bearer(BASE + SIGN), AUDIENCE),
    ("JWT-07", "aud discovery", lambda: EHR.bearer(BASE + DISCOVERY), AUDIENCE),
    ("JWT-07", "aud feedback", lambda: EHR.bearer(BASE + FEEDBACK), AUDIENCE),
    ("JWT-07", "aud the base", lambda: EHR.bearer(BASE), AUDIENCE),
    ("JWT-07", "aud another host", lambda: EHR.bearer("https://other.example/hospital" + VIEW), AUDIENCE),
    ("JWT-07", "aud what the server sees", lambda: EHR.bearer("http://localhost" + VIEW), AUDIENCE),
    ("JWT-07", "aud by plain http", lambda: EHR.bearer(BASE.replace("https", "http") + VIEW), AUDIENCE),
    ("JWT-07", "aud with a query", lambda: EHR.bearer(BASE + VIEW + "?a=1"), AUDIENCE),
    ("JWT-07", "aud with two slashes", lambda: EHR.bearer(BASE + VIEW + "//"), AUDIENCE),
    ("JWT-07", "aud of another client", lambda: EHR.bearer("sand_man"), AUDIENCE),
    ("JWT-08", "no exp", lambda: said(exp=...), TIMES),
    ("JWT-08", "exp is text", lambda: said(exp=str(at(300))), TIMES),
    ("JWT-08", "exp is true", lambda: said(exp=True), TIMES),
    ("JWT-08", "exp is huge", lambda: said(exp=10**400), TIMES),
    ("JWT-08", "exp is not a number", lambda: bearer(EHR.sign(b'{"iss": "x", "exp": NaN}', kid="es")), NO_JWT),
    ("JWT-08", "no iat", lambda: said(iat=...), TIMES),
    ("JWT-08", "iat is text", lambda: said(iat=str(at(0))), TIMES),
    ("JWT-08", "expired", lambda: said(iat=at(-400), exp=at(-61)), EXPIRED),
    ("JWT-08", "issued in the future", lambda: said(iat=at(70), exp=at(300)), FUTURE),
    ("JWT-08", "good for too long", lambda: said(exp=at(3_700)), TOO_LONG),
    ("JWT-08", "good for years", lambda: said(iat=1, exp=at(300)), TOO_LONG),
    ("JWT-08", "ends before it begins", lambda: said(iat=at(30), exp=at(20)), TOO_LONG),
    ("JWT-09", "no jti", lambda: said(jti=...), NO_JTI),
    ("JWT-09", "blank jti", lambda: said(jti=" "), NO_JTI),
    ("JWT-09", "jti is a number", lambda: said(jti=7), NO_JTI),
    ("JWT-09", "endless jti", lambda: said(jti="7" * 501), NO_JTI),
    ("JWT-10", "tenant is a list", lambda: said(tenant=["north"]), TENANT_TEXT),
    ("JWT-11", "not yet", lambda: said(nbf=at(70)), NOT_YET),
    ("JWT-11", "nbf is text", lambda: said(nbf="0"), NOT_YET),
    ("JWT-12", "unlisted jku", lambda: headed(jku="https://evil.example/keys"), BAD_JKU),
    ("JWT-12", "jku almost as listed", lambda: headed(jku=JKU + "/"), BAD_JKU),
    ("JWT-12", "jku below the listed", lambda: headed(jku=JKU + "/more"), BAD_JKU),
    ("JWT-12", "jku of no listed", lambda: bearer(RS256.token(BASE + VIEW, header={"jku": JKU})), BAD_JKU),
    ("JWT-12", "jku is a list", lambda: headed(jku=[JKU]), "The token's jku is not text."),
    ("JWT-13", "none", lambda: unsigned("none"), SYMMETRIC),
    ("JWT-13", "None", lambda: unsigned("None"), SYMMETRIC),
    ("JWT-13", "nOnE", lambda: unsigned("nOnE"), SYMMETRIC),
    ("JWT-13", "no signature", lambda: unsigned("ES384"), SIGNATURE),
    ("JWT-14", "HMAC with the public key", confused, SYMMETRIC),
    ("JWT-15", "not agreed on", lambda: by_another(EHR_RSA, "RS256"), NOT_AGREED),
    ("JWT-15", "not among those agreed on", lambda: by_another(RS256, "RS384"), NOT_AGREED),
    ("JWT-15", "alg of another kind of key", lambda: headed(alg="RS384"), NO_KEY),
    ("JWT-15", "alg in small letters", lambda: headed(alg="es384"), SYMMETRIC),
    ("JWT-18", "published kid", lambda: headed(kid="example-kid"), PUBLISHED),
]


def with_own_key() -> dict[str, str]:
    return bearer(STRANGER.token(BASE + VIEW, header={"jwk": STRANGER.jwk()}))


def by_another(signer: Signer, algorithm: str) -> dict[str, str]:
    """A good signature by the client's own key, with an algorithm that was not agreed on."""
    head = {"typ": "JWT", "alg": algorithm, "kid": signer.kid}
    return bearer(signed(algorithm, signer.key, head, signer.claims(BASE + VIEW)))


def swapped_payload() -> dict[str, str]:
    """The signature of one token below the claims of another."""
    mine, yours = EHR.token(BASE + VIEW).split("."), EHR.token(BASE + VIEW).split(".")
    return bearer(".".join([mine[0], yours[1], mine[2]]))


@pytest.fixture
def refusal(closed: FlaskClient) -> bytes:
    """The body that everybody gets who is not let in."""
    response = closed.post(VIEW, json=request_body())
    assert response.status_code == 401
    data: bytes = response.data
    return data


@pytest.mark.row("JWT-17")
@pytest.mark.parametrize(
    ("headers", "reason"),
    [pytest.param(headers, reason, id=name, marks=pytest.mark.row(row)) for row, name, headers, reason in REFUSED],
)
def test_a_token_with_a_fault_is_refused_and_only_the_log_knows_why(
    closed: FlaskClient, refusal: bytes, log: LogFile, headers: Callable[[], dict[str, str]], reason: str
) -> None:
    response = closed.post(VIEW, data=b"neither read nor JSON", headers=headers())
    assert response.status_code == 401
    assert response.data == refusal
    assert response.headers["WWW-Authenticate"] == "Bearer"
    _, line = log.lines("call")
    assert line["reason"] == reason
    assert "client" not in line


@pytest.mark.row("JWT-17")
def test_the_log_names_the_client_that_a_refused_token_claims_but_nothing_of_the_token(
    closed: FlaskClient, log: LogFile
) -> None:
    token = EHR.token("https://canary.example", jti="canary-jti", sub="canary-sub", tenant="canary-tenant")
    assert closed.post(VIEW, headers=bearer(token)).status_code == 401
    (line,) = log.lines("call")
    assert line["claimed"] == "ehr"
    assert not any(part in log.getvalue().decode() for part in ("canary", *token.split(".")))


@pytest.mark.row("JWT-17", "FBK-10", "DIS-14")
def test_every_route_refuses_alike(closed: FlaskClient, refusal: bytes) -> None:
    answers = [
        closed.get(DISCOVERY),
        closed.get(DISCOVERY + "/", headers=EHR.bearer(BASE + VIEW)),
        closed.post(FEEDBACK, json=REPORT),
        closed.post("/cds-services/unknown", json=request_body()),
        closed.post("/cds-services/unknown/feedback", json=REPORT, headers=EHR.bearer(BASE + FEEDBACK)),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert {answer.data for answer in answers} == {refusal}


@pytest.mark.row("JWT-09")
def test_a_token_opens_one_call(closed: FlaskClient, refusal: bytes, log: LogFile) -> None:
    headers = EHR.bearer(BASE + VIEW)
    first, *others = [closed.post(VIEW, json=request_body(), headers=headers) for _ in range(3)]
    assert first.status_code == 200
    assert [(other.status_code, other.data) for other in others] == [(401, refusal)] * 2
    assert [line.get("reason") for line in log.lines("call")][1:] == [None] + ["The token was used before."] * 2


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
def test_a_tenant_that_was_not_agreed_on_is_forbidden(closed: FlaskClient, tenant: Any) -> None:
    response = closed.post(VIEW, json=request_body(), headers=TENANTS.bearer(BASE + VIEW, tenant=tenant))
    assert response.status_code == 403
    assert response.json["issue"][0]["code"] == "forbidden"


@pytest.mark.row("STA-403")
def test_a_service_that_was_not_agreed_on_is_forbidden_and_not_listed(closed: FlaskClient) -> None:
    called = closed.post(SIGN, json=request_body("order-sign"), headers=NARROW.bearer(BASE + SIGN))
    told = closed.post(SIGN + "/feedback", json=REPORT, headers=NARROW.bearer(BASE + SIGN))
    allowed = closed.post(VIEW, json=request_body(), headers=NARROW.bearer(BASE + VIEW))
    assert [called.status_code, told.status_code, allowed.status_code] == [403, 403, 200]
    listed = closed.get(DISCOVERY, headers=NARROW.bearer(BASE + DISCOVERY)).json["services"]
    everything = closed.get(DISCOVERY, headers=EHR.bearer(BASE + DISCOVERY)).json["services"]
    assert {entry["id"].startswith("vitamin-b12-") for entry in listed} == {True}
    assert {entry["id"].startswith("vitamin-b12-") for entry in everything} == {True, False}


@pytest.mark.row("CORS-01", "CORS-02")
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


# --- Behind the wire --------------------------------------------------------------------------------------------------


class Remembered:
    """The memory of used tokens, in memory."""

    def __init__(self) -> None:
        self.used: list[tuple[str, str, datetime]] = []
        self.gone = False

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        if self.gone:
            raise Unavailable("The database is gone.")
        self.used.append((issuer, jti, expires))
        return [use[:2] for use in self.used].count((issuer, jti)) == 1


def callers(
    path: Path, replay: Remembered | None = None, *, now: Callable[[], float] = time.time, **more: Any
) -> Callers:
    settings = Settings(clients=path, public_url=BASE, **more)
    return Callers(settings, replay or Remembered(), Ways(), now=now)


def reason(who: Callers, headers: dict[str, str], path: str = VIEW) -> str | None:
    """Why the caller is refused; None if not."""
    try:
        who.identify(headers, path)
    except Unauthorized as error:
        return error.reason
    return None


@pytest.mark.row("JWT-09")
def test_only_a_token_that_is_otherwise_good_is_remembered(tmp_path: Path) -> None:
    replay = Remembered()
    who = callers(client_file(tmp_path), replay)
    for headers in (said(exp=at(-100), iat=at(-200)), changed(2), said(aud="x"), STRANGER.bearer(BASE + VIEW)):
        assert reason(who, headers) is not None
    with pytest.raises(Forbidden):
        who.identify(TENANTS.bearer(BASE + VIEW, tenant="east"), VIEW)
    assert replay.used == []
    expires = at(200)
    assert reason(who, said(jti="once", exp=expires)) is None
    assert [(issuer, jti, when.timestamp()) for issuer, jti, when in replay.used] == [(EHR.issuer, "once", expires)]


@pytest.mark.row("JWT-09")
def test_nobody_is_let_in_while_it_cannot_be_told_whether_a_token_is_new(tmp_path: Path) -> None:
    replay = Remembered()
    replay.gone = True
    with pytest.raises(Unavailable):
        callers(client_file(tmp_path), replay).identify(said(), VIEW)


def test_a_token_ends_a_minute_after_it_says(tmp_path: Path) -> None:
    clock = [1_800_000_000.0]
    who = callers(client_file(tmp_path), now=lambda: clock[0])

    def token() -> dict[str, str]:
        return said(iat=1_800_000_000, exp=1_800_000_300)

    for moment, expected in [(0, None), (359, None), (360, EXPIRED), (-60, None), (-61, FUTURE)]:
        clock[0] = 1_800_000_000.0 + moment
        assert reason(who, token()) == expected, moment


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def with_jku(folder: Path, *jku: str, issuer: str = EHR.issuer) -> Path:
    path = folder / "clients.yaml"
    path.write_text(yaml.safe_dump({"clients": [{"name": "ehr", "issuers": [issuer], "jku": list(jku)}]}))
    return path


@pytest.mark.row("JWT-12")
def test_an_address_that_is_not_listed_is_never_called(tmp_path: Path, server: FaultServer) -> None:
    """Not even with a good signature by a key that is there"""
    server.routes["mine"] = server.routes["keys"] = resource(key_set(EHR))
    who = callers(with_jku(tmp_path, f"{server.base}/keys"), sandbox=True)
    assert reason(who, headed(jku=f"{server.base}/mine")) == BAD_JKU
    assert reason(who, headed(jku=f"{server.base}/keys?a=1")) == BAD_JKU
    assert server.seen == []
    assert reason(who, headed(jku=f"{server.base}/keys")) is None
    assert [path for path, _ in server.seen] == ["/fhir/keys"]


def test_nothing_is_fetched_for_a_token_that_would_be_refused_anyway(tmp_path: Path, server: FaultServer) -> None:
    server.routes["keys"] = resource(key_set(EHR))
    who = callers(with_jku(tmp_path, f"{server.base}/keys"), sandbox=True)
    for headers in (said(aud="x"), said(exp=at(-100), iat=at(-200)), said(iss="https://x.example"), said(jti=...)):
        assert reason(who, headers) is not None
    assert server.seen == []


@pytest.mark.row("JWT-16")
def test_without_jku_the_one_address_agreed_on_is_asked(tmp_path: Path, server: FaultServer) -> None:
    server.routes["keys"] = resource(key_set(EHR))
    who = callers(with_jku(tmp_path, f"{server.base}/keys"), sandbox=True)
    assert reason(who, said()) is None
    two = callers(with_jku(tmp_path, f"{server.base}/keys", f"{server.base}/more"), sandbox=True)
    assert reason(two, said()) == "The token names no jku, and the client has none, or several."
    assert reason(two, headed(jku=f"{server.base}/keys")) is None


@pytest.mark.row("JWT-16")
def test_a_client_may_go_over_to_a_new_key(tmp_path: Path, server: FaultServer) -> None:
    new = Signer(EHR.issuer, kid="new")
    url = f"{server.base}/keys"
    settings = Settings(clients=with_jku(tmp_path, url), public_url=BASE, sandbox=True)
    clock = [0.0]
    who = Callers(settings, Remembered(), Ways(), clock=lambda: clock[0])
    server.routes["keys"] = resource(key_set(EHR))
    assert reason(who, said()) is None
    server.routes["keys"] = resource(key_set(new))
    clock[0] += 31
    assert reason(who, new.bearer(BASE + VIEW)) is None
    assert reason(who, said()) == NO_KEY


@pytest.mark.row("JWT-16")
def test_a_key_that_was_handed_over_is_used_without_a_fetch_and_another_is_fetched(
    tmp_path: Path, server: FaultServer
) -> None:
    url = f"{server.base}/keys"
    server.routes["keys"] = resource(key_set(OTHER_KEY))
    path = client_file(tmp_path, {EHR.issuer: {"name": "ehr", "jku": [url]}})
    who = callers(path, sandbox=True)
    assert reason(who, headed(jku=url)) is None
    assert server.seen == []
    fetched = signed(
        "ES384", OTHER_KEY.key, {"typ": "JWT", "alg": "ES384", "kid": "other", "jku": url}, EHR.claims(BASE + VIEW)
    )
    assert reason(who, bearer(fetched)) is None
    assert len(server.seen) == 1


# --- Published keys ---------------------------------------------------------------------------------------------------


@pytest.mark.row("JWT-08", "JWT-18")
def test_the_example_of_the_text_is_signed_well_and_refused_all_the_same(tmp_path: Path) -> None:
    found = parse_key_set(json.dumps({"keys": [EXAMPLE_KEY]}).encode())
    assert found is not None
    check_signature(read_token(f"Bearer {EXAMPLE_TOKEN}"), found.find("example-kid"))
    (tmp_path / "example.json").write_text(json.dumps({"keys": [EXAMPLE_KEY]}))
    path = tmp_path / "clients.yaml"
    entry = {"name": "example", "issuers": ["https://fhir-ehr.example.com/"], "keys": "example.json"}
    entry["jku"] = ["https://fhir-ehr.example.com/jwk_uri"]
    path.write_text(yaml.safe_dump({"clients": [entry]}))
    assert reason(callers(path, sandbox=True), bearer(EXAMPLE_TOKEN)) == EXPIRED
    with pytest.raises(SettingsError, match="private key has been published"):
        callers(path)


class OneKeySet(Ways):
    """The way out of a production service, at whose end this key set lies."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self._content = json.dumps(keys).encode()

    def to(self, bases: Sequence[str]) -> Any:
        return self

    def get(self, url: str, **_: Any) -> Answer:
        return Answer(200, self._content)


@pytest.mark.row("JWT-18")
def test_a_published_key_is_known_whatever_it_is_called(tmp_path: Path) -> None:
    renamed = {**EXAMPLE_KEY, "kid": "renamed"}
    token = EHR.token(BASE + VIEW, header={"kid": "renamed"})
    fetching = Settings(clients=with_jku(tmp_path, JKU), public_url=BASE)
    assert reason(Callers(fetching, Remembered(), OneKeySet({"keys": [renamed]})), bearer(token)) == PUBLISHED
    handed_over = client_file(tmp_path, {EHR.issuer: {"name": "ehr"}}, renamed)
    with pytest.raises(SettingsError, match="private key has been published"):
        callers(handed_over)
    # To a sandbox the key is like any other.
    assert reason(callers(handed_over, sandbox=True), bearer(token)) == SIGNATURE


@pytest.mark.row("JWT-18")
def test_the_public_sandbox_is_served_by_a_sandbox(tmp_path: Path) -> None:
    sandbox = Signer("https://sandbox.cds-hooks.org", kid="44823f3d-0b01-4a6c-a80e-b9d3e8a7226f")
    sandbox.jku = "https://sandbox.cds-hooks.org/.well-known/jwks.json"
    (tmp_path / "keys.json").write_text(json.dumps(key_set(sandbox)))
    path = tmp_path / "clients.yaml"
    entry = {"name": "sandbox", "like": "cds-hooks-sandbox", "jku": [sandbox.jku], "keys": "keys.json"}
    path.write_text(yaml.safe_dump({"clients": [entry]}))
    assert reason(callers(path, sandbox=True), sandbox.bearer(BASE + VIEW)) is None
    with pytest.raises(SettingsError, match="CDS_SANDBOX=1"):
        callers(path)


# --- Open and closed --------------------------------------------------------------------------------------------------


@pytest.mark.row("JWT-01")
def test_open_mode_serves_everybody_and_looks_at_no_token(tmp_path: Path) -> None:
    replay = Remembered()
    replay.gone = True
    path = tmp_path / "clients.yaml"
    path.write_text("clients:\n- {name: open, on_missing_data: card}\n")
    who = Callers(Settings(open=True, clients=path), replay, Ways())
    for headers in ({}, bearer("nonsense"), said()):
        assert who.identify(headers, VIEW).on_missing_data == "card"
    assert Callers(Settings(open=True), replay, Ways()).identify({}, VIEW).fhir_without_token is True
    assert Callers(Settings(open=True, explain=True), replay, Ways()).identify({}, VIEW).explain is True


@pytest.mark.row("JWT-01")
def test_a_closed_service_that_could_know_nobody_does_not_start(tmp_path: Path) -> None:
    path = client_file(tmp_path)
    only_open = tmp_path / "open.yaml"
    only_open.write_text("clients: [{name: open}]")
    for settings, told in [
        (Settings(public_url=BASE), "CDS_CLIENTS: no clients are known"),
        (Settings(public_url=BASE, clients=only_open), "CDS_CLIENTS: no clients are known"),
        (Settings(clients=path), "CDS_PUBLIC_URL: not set"),
    ]:
        with pytest.raises(SettingsError, match=told):
            Callers(settings, Remembered(), Ways())


def test_a_service_that_does_not_exist_cannot_be_agreed_on(tmp_path: Path) -> None:
    who = callers(client_file(tmp_path, {NARROW.issuer: {"name": "narrow", "services": ["vitamin-b21"]}}))
    with pytest.raises(SettingsError, match="narrow: services: there is no service or topic 'vitamin-b21'"):
        who.check_services({"vitamin-b12-patient-view": "patient-view"})


def test_the_index_says_whether_the_service_is_open(closed: FlaskClient, client: FlaskClient) -> None:
    assert (closed.get("/").json["open"], client.get("/").json["open"]) == (False, True)


def test_a_token_is_not_shown_where_a_token_object_is_printed() -> None:
    token = EHR.token(BASE + VIEW)
    shown = repr(read_token(f"Bearer {token}"))
    assert not any(part in shown for part in token.split("."))
