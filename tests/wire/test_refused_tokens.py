"""Tokens with a fault on the wire: nobody who sends one is let in, and nobody learns why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient

from tests.support.known_clients import (
    AUDIENCE,
    BAD_JKU,
    BASE,
    DISCOVERY,
    EHR,
    EHR_RSA,
    EXPIRED,
    FEEDBACK,
    FUTURE,
    JKU,
    NO_ISS,
    NO_JTI,
    NO_JWT,
    NO_KEY,
    NO_KID,
    NO_TYP,
    NOT_AGREED,
    NOT_BEARER,
    NOT_YET,
    PUBLISHED,
    REPORT,
    RS256,
    SIGNATURE,
    STRANGER,
    SYMMETRIC,
    TENANT_TEXT,
    TENANTS,
    TIMES,
    TOO_LONG,
    UNKNOWN,
    at,
    bearer,
    client_file,
    headed,
    said,
)
from tests.support.log_file import LogFile
from tests.support.recorder import SIGN, VIEW, request_body
from tests.support.signing import Signer, signed


@pytest.fixture
def closed(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    """A client of the closed service."""
    return make_app(open=False, clients=client_file(tmp_path), public_url=BASE).test_client()


def tampered() -> dict[str, str]:
    """A token with one character of its signature changed."""
    rest, _, signature = EHR.token(BASE + VIEW).rpartition(".")
    return bearer(f"{rest}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}")


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


def twice_claimed() -> dict[str, str]:
    """Whoever reads the first of two issuers and whoever reads the last do not agree on whose token it is."""
    claims = json.dumps(EHR.claims(BASE + VIEW)).encode()
    return bearer(EHR.sign(b'{"iss": "https://other.example", ' + claims[1:], kid="es"))


def twice_headed() -> dict[str, str]:
    head = b'{"alg": "none", "typ": "JWT", "kid": "es", "alg": "ES384"}'
    start = ".".join(
        jwt.utils.base64url_encode(part).decode() for part in (head, json.dumps(EHR.claims(BASE + VIEW)).encode())
    )
    made = jwt.get_algorithm_by_name("ES384")
    return bearer(f"{start}.{jwt.utils.base64url_encode(made.sign(start.encode(), EHR.key)).decode()}")


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
    ("JWT-03", "a claim twice", twice_claimed, NO_JWT),
    ("JWT-04", "alg twice", twice_headed, NO_JWT),
    ("JWT-03", "payload changed", swapped_payload, SIGNATURE),
    ("JWT-03", "signature changed", tampered, SIGNATURE),
    ("JWT-03", "another's key", lambda: STRANGER.bearer(BASE + VIEW), SIGNATURE),
    ("JWT-03", "own key in the header", with_own_key, SIGNATURE),
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


@pytest.fixture
def refusal(closed: FlaskClient) -> bytes:
    """The body that everybody gets who is not let in."""
    response = closed.post(VIEW, json=request_body())
    assert response.status_code == 401
    data: bytes = response.data
    return data


@pytest.mark.row("JWT-17", "STA-401", "TOY-02", "TOY-11")
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


@pytest.mark.row("JWT-17", "TOY-10", "FHA-12")
def test_the_log_names_the_client_that_a_refused_token_claims_but_nothing_of_the_token(
    closed: FlaskClient, log: LogFile
) -> None:
    token = EHR.token("https://canary.example", jti="canary-jti", sub="canary-sub", tenant="canary-tenant")
    assert closed.post(VIEW, headers=bearer(token)).status_code == 401
    (line,) = log.lines("call")
    assert line["claimed"] == "ehr"
    assert not any(part in log.getvalue().decode() for part in ("canary", *token.split(".")))


@pytest.mark.row("JWT-17", "FBK-10", "DIS-14", "STA-401")
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
