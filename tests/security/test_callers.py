"""Who is calling: used tokens, key sets, published keys, open and closed mode."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service.egress.egress import EgressFactory, HttpResponse
from cds_service.errors import Forbidden, SettingsError, Unauthorized, Unavailable
from cds_service.security.callers import Callers
from cds_service.security.keys import parse_key_set
from cds_service.security.tokens import check_signature, read_token
from cds_service.settings import Settings
from tests.support.fault_server import FaultServer, fault_server, resource
from tests.support.known_clients import (
    BAD_JKU,
    BASE,
    EHR,
    EXPIRED,
    FUTURE,
    JKU,
    NARROW,
    NO_KEY,
    OTHER_KEY,
    PUBLISHED,
    SIGNATURE,
    STRANGER,
    TENANTS,
    at,
    bearer,
    client_file,
    headed,
    said,
)
from tests.support.recorder import VIEW
from tests.support.signing import EXAMPLE_KEY, EXAMPLE_TOKEN, Signer, key_set, signed


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
    return Callers(settings, replay or Remembered(), EgressFactory(), now=now)


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
    for headers in (said(exp=at(-100), iat=at(-200)), said(aud="x"), STRANGER.bearer(BASE + VIEW)):
        assert reason(who, headers) is not None
    with pytest.raises(Forbidden):
        who.identify(TENANTS.bearer(BASE + VIEW, tenant="east"), VIEW)
    assert replay.used == []
    expires = at(200)
    assert reason(who, said(jti="once", exp=expires)) is None
    assert [(issuer, jti, when.timestamp()) for issuer, jti, when in replay.used] == [(EHR.issuer, "once", expires)]


@pytest.mark.row("JWT-09", "STA-503")
def test_nobody_is_let_in_while_it_cannot_be_told_whether_a_token_is_new(tmp_path: Path) -> None:
    replay = Remembered()
    replay.gone = True
    with pytest.raises(Unavailable):
        callers(client_file(tmp_path), replay).identify(said(), VIEW)


@pytest.mark.row("JWT-08")
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


@pytest.mark.row("JWT-12", "TOY-03", "O-3")
def test_an_address_that_is_not_listed_is_never_called(tmp_path: Path, server: FaultServer) -> None:
    """Not even with a good signature by a key that is there"""
    server.routes["mine"] = server.routes["keys"] = resource(key_set(EHR))
    who = callers(with_jku(tmp_path, f"{server.base}/keys"), sandbox=True)
    assert reason(who, headed(jku=f"{server.base}/mine")) == BAD_JKU
    assert reason(who, headed(jku=f"{server.base}/keys?a=1")) == BAD_JKU
    assert server.seen == []
    assert reason(who, headed(jku=f"{server.base}/keys")) is None
    assert [path for path, _ in server.seen] == ["/fhir/keys"]


@pytest.mark.row("TOY-03")
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
    who = Callers(settings, Remembered(), EgressFactory(), clock=lambda: clock[0])
    server.routes["keys"] = resource(key_set(EHR))
    assert reason(who, said()) is None
    server.routes["keys"] = resource(key_set(new))
    clock[0] += 31
    assert reason(who, new.bearer(BASE + VIEW)) is None
    assert reason(who, said()) == NO_KEY


def test_a_key_taken_back_opens_the_door_no_longer_than_the_setting_says(tmp_path: Path, server: FaultServer) -> None:
    path = with_jku(tmp_path, f"{server.base}/keys")
    settings = Settings(clients=path, public_url=BASE, sandbox=True, keys_lifetime=90)
    clock = [0.0]
    who = Callers(settings, Remembered(), EgressFactory(), clock=lambda: clock[0])
    server.routes["keys"] = resource(key_set(EHR))
    assert reason(who, said()) is None
    server.routes["keys"] = resource(key_set(OTHER_KEY))
    clock[0] = 89.0
    assert reason(who, said()) is None
    clock[0] = 90.0
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


class OneKeySet(EgressFactory):
    """The way out of a production service, at whose end this key set lies."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self._content = json.dumps(keys).encode()

    def to(self, bases: Sequence[str]) -> Any:
        return self

    def get(self, url: str, **_: Any) -> HttpResponse:
        return HttpResponse(200, self._content)


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


@pytest.mark.row("JWT-18", "S-8")
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
    who = Callers(Settings(open=True, clients=path), replay, EgressFactory())
    for headers in ({}, bearer("nonsense"), said()):
        assert who.identify(headers, VIEW).on_missing_data == "card"
    assert Callers(Settings(open=True), replay, EgressFactory()).identify({}, VIEW).fhir_without_token is True
    assert Callers(Settings(open=True, explain=True), replay, EgressFactory()).identify({}, VIEW).explain is True


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
            Callers(settings, Remembered(), EgressFactory())


def test_a_service_that_does_not_exist_cannot_be_agreed_on(tmp_path: Path) -> None:
    who = callers(client_file(tmp_path, {NARROW.issuer: {"name": "narrow", "services": ["vitamin-b21"]}}))
    with pytest.raises(SettingsError, match="narrow: services: there is no service or topic 'vitamin-b21'"):
        who.check_services({"vitamin-b12-patient-view": "patient-view"})


@pytest.mark.row("FHA-12")
def test_a_token_is_not_shown_where_a_token_object_is_printed() -> None:
    token = EHR.token(BASE + VIEW)
    shown = repr(read_token(f"Bearer {token}"))
    assert not any(part in shown for part in token.split("."))
