"""Key sets: which keys of one may check a signature, and how a client's set is fetched, kept and renewed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.egress.egress import EgressFactory, HttpResponse
from cds_service.errors import EgressError
from cds_service.gaps import GapKind
from cds_service.security.compromised_keys import compromised_keys
from cds_service.security.keys import parse_key_set, thumbprint
from cds_service.security.remote_keys import GRACE, RETRY, RemoteKeys
from tests.support.fault_server import Answer as Fault
from tests.support.fault_server import (
    FaultServer,
    drip_body,
    drip_headers,
    endless,
    fault_server,
    hang,
    hang_up,
    in_turn,
    resource,
    status,
    text,
)
from tests.support.log_file import LogFile
from tests.support.signing import EXAMPLE_KEY, Signer, key_set

ISSUER = "https://ehr.example"
EC, RSA = Signer(ISSUER, "ES384", kid="ec"), Signer(ISSUER, "RS384", kid="rsa")
NEW = Signer(ISSUER, "ES384", kid="new")
SMALL, LARGE = Signer(ISSUER, "RS384", bits=1024), Signer(ISSUER, "RS384", bits=2048)


def parsed(*keys: Any) -> dict[str, list[set[str]]]:
    """kid -> the algorithms of each key of that name."""
    found = parse_key_set(json.dumps({"keys": keys}).encode())
    assert found is not None
    return {kid: [set(key.algorithms) for key in keys] for kid, keys in found.keys.items()}


# --- What is in a set -------------------------------------------------------------------------------------------------


@pytest.mark.row("JWT-15")
def test_a_key_checks_the_algorithm_that_it_names() -> None:
    assert parsed(EC.jwk(), RSA.jwk()) == {"ec": [{"ES384"}], "rsa": [{"RS384"}]}


@pytest.mark.parametrize(
    ("signer", "algorithms"),
    [
        (Signer(ISSUER, "ES256", kid="a"), {"ES256"}),
        (Signer(ISSUER, "ES384", kid="a"), {"ES384"}),
        (Signer(ISSUER, "ES512", kid="a"), {"ES512"}),
        (Signer(ISSUER, "RS384", kid="a"), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ],
)
def test_a_key_that_names_no_algorithm_checks_those_of_its_kind(signer: Signer, algorithms: set[str]) -> None:
    assert parsed(signer.jwk(alg=...)) == {"a": [algorithms]}


def test_keys_of_two_kinds_may_share_a_name() -> None:
    assert parsed(EC.jwk(kid="a"), RSA.jwk(kid="a")) == {"a": [{"ES384"}, {"RS384"}]}


@pytest.mark.parametrize(
    "key",
    [
        EC.jwk(kid=...),
        EC.jwk(kid=""),
        EC.jwk(kid=7),
        EC.jwk(kty=...),
        EC.jwk(kty="oct", k="c2VjcmV0"),
        EC.jwk(kty=["EC"]),
        EC.jwk(crv="secp256k1"),
        EC.jwk(crv="P-256"),
        EC.jwk(crv={}),
        EC.jwk(alg="RS384"),
        EC.jwk(alg="ES256"),
        EC.jwk(alg="none"),
        EC.jwk(alg="HS384"),
        EC.jwk(alg=["ES384"]),
        EC.jwk(use="enc"),
        EC.jwk(use=["sig"]),
        EC.jwk(key_ops=["sign"]),
        EC.jwk(key_ops=[]),
        EC.jwk(key_ops="verify"),
        EC.jwk(x=...),
        EC.jwk(x=5),
        EC.jwk(x="AAAA"),
        EC.jwk(x=EC.jwk()["y"]),
        EC.jwk(y="ü"),
        EC.private_jwk(),
        RSA.private_jwk(),
        RSA.jwk(n="AQAB"),
        RSA.jwk(n="!"),
        RSA.jwk(e="AA"),
        SMALL.jwk(),
        {},
        "ec",
        None,
    ],
)
def test_a_key_that_may_check_nothing_is_left_out_and_the_others_stay(key: Any) -> None:
    assert parsed(RSA.jwk(), key) == {"rsa": [{"RS384"}]}


@pytest.mark.parametrize(
    "members", [{"use": ...}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"x5t": "?"}]
)
def test_what_a_key_need_not_say_does_not_disturb(members: dict[str, Any]) -> None:
    assert parsed(EC.jwk(**members)) == {"ec": [{"ES384"}]}


@pytest.mark.row("JWT-15")
def test_rsa_keys_begin_at_2048_bits() -> None:
    assert parsed(SMALL.jwk()) == {}
    assert parsed(LARGE.jwk()) == {"key-1": [{"RS384"}]}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"\xff\xfe", b"<html>", b"[" * 100_000]
)
def test_what_is_no_key_set_is_told_from_an_empty_one(content: bytes) -> None:
    assert parse_key_set(content) is None
    empty = parse_key_set(b'{"keys": []}')
    assert empty is not None
    assert not empty.keys


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "d"]), inner
            )
        ),
    )
)
def test_no_json_at_all_makes_the_reader_fail(value: Any) -> None:
    found = parse_key_set(json.dumps({"keys": [value, EC.jwk()]}).encode())
    assert found is not None
    assert "ec" in found


def test_a_set_with_private_keys_says_so() -> None:
    leaky = parse_key_set(json.dumps({"keys": [EC.jwk(), RSA.private_jwk()]}).encode())
    clean = parse_key_set(json.dumps(key_set(EC, RSA)).encode())
    assert leaky is not None
    assert clean is not None
    assert (leaky.secrets, clean.secrets) == (True, False)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # The example of RFC 7638, 3.1.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
        "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz"
        "KnqDKgw"
    )
    found = parse_key_set(json.dumps({"keys": [{"kty": "RSA", "e": "AQAB", "n": n, "kid": "2011-04-29"}]}).encode())
    assert found is not None
    (key,) = found.find("2011-04-29")
    assert key.thumbprint == thumbprint(key.public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.row("JWT-18")
def test_the_published_key_of_the_text_is_known_by_its_thumbprint() -> None:
    found = parse_key_set(json.dumps({"keys": [{**EXAMPLE_KEY, "kid": "renamed"}]}).encode())
    assert found is not None
    assert {key.thumbprint for key in found} <= compromised_keys().thumbprints


# --- Fetched and kept -------------------------------------------------------------------------------------------------


@dataclass
class Scripted:
    """A way out whose answers the test sets, and a clock that the test moves."""

    answer: Callable[[], HttpResponse]
    now: float = 1_000_000.0
    asked: list[str] = field(default_factory=list)

    def get(self, url: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int) -> HttpResponse:
        self.asked.append(url)
        return self.answer()

    def serves(self, *signers: Signer) -> None:
        self.answer = lambda: HttpResponse(200, json.dumps(key_set(*signers)).encode())

    def fails(self) -> None:
        def fail() -> HttpResponse:
            raise EgressError(GapKind.NO_CONNECTION)

        self.answer = fail


LIFETIME = 600.0


@pytest.fixture
def way() -> Scripted:
    scripted = Scripted(lambda: HttpResponse(404))
    scripted.serves(EC)
    return scripted


@pytest.fixture
def keys(way: Scripted) -> RemoteKeys:
    return RemoteKeys("https://ehr.example/keys", "ehr", way, LIFETIME, lambda: way.now)


def names(keys: RemoteKeys, kid: str) -> list[str]:
    return [key.kid for key in keys.find(kid)]


def test_a_set_is_fetched_when_it_is_needed_and_then_kept(keys: RemoteKeys, way: Scripted) -> None:
    assert way.asked == []
    assert [names(keys, "ec") for _ in range(5)] == [["ec"]] * 5
    way.now += LIFETIME - 1
    assert names(keys, "ec") == ["ec"]
    assert way.asked == ["https://ehr.example/keys"]


@pytest.mark.row("JWT-16")
def test_after_its_lifetime_a_set_is_fetched_again_and_a_key_taken_back_is_gone(
    keys: RemoteKeys, way: Scripted
) -> None:
    assert names(keys, "ec") == ["ec"]
    way.serves(NEW)
    way.now += LIFETIME
    assert names(keys, "ec") == []
    assert names(keys, "new") == ["new"]
    assert len(way.asked) == 2


@pytest.mark.row("JWT-16")
def test_a_new_key_is_looked_for_at_once_and_only_once_in_a_while(keys: RemoteKeys, way: Scripted) -> None:
    assert names(keys, "ec") == ["ec"]
    way.serves(EC, NEW)
    way.now += RETRY - 1
    assert names(keys, "new") == []
    assert len(way.asked) == 1
    way.now += 1
    assert names(keys, "new") == ["new"]
    assert [names(keys, f"guess-{n}") for n in range(50)] == [[]] * 50
    assert len(way.asked) == 2


@pytest.mark.row("JWT-16")
def test_while_the_server_is_down_known_keys_go_on_for_a_day(keys: RemoteKeys, way: Scripted, log: LogFile) -> None:
    assert names(keys, "ec") == ["ec"]
    way.fails()
    way.now += LIFETIME
    assert names(keys, "ec") == ["ec"]
    way.now += GRACE - LIFETIME - 1
    assert names(keys, "ec") == ["ec"]
    way.now += 1
    assert names(keys, "ec") == []
    way.serves(EC)
    way.now += RETRY
    assert names(keys, "ec") == ["ec"]
    told = [(line["level"], line["client"], line["reason"]) for line in log.lines("key set")]
    assert set(told) == {("warning", "ehr", "The key set could not be fetched: no connection.")}


def test_a_server_that_is_down_is_asked_no_more_than_twice_a_minute(keys: RemoteKeys, way: Scripted) -> None:
    way.fails()
    for _ in range(120):
        assert names(keys, "ec") == []
        way.now += 1
    assert len(way.asked) == 4


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(404),
        HttpResponse(302),
        HttpResponse(500),
        HttpResponse(200, b""),
        HttpResponse(200, b"<html>"),
        HttpResponse(200, b'{"keys": 1}'),
    ],
)
def test_an_answer_that_is_no_key_set_does_not_replace_one(
    keys: RemoteKeys, way: Scripted, answer: HttpResponse
) -> None:
    assert names(keys, "ec") == ["ec"]
    way.answer = lambda: answer
    way.now += LIFETIME
    assert names(keys, "ec") == ["ec"]
    assert len(way.asked) == 2


def test_a_set_that_the_client_has_emptied_opens_nothing(keys: RemoteKeys, way: Scripted) -> None:
    assert names(keys, "ec") == ["ec"]
    way.answer = lambda: HttpResponse(200, b'{"keys": []}')
    way.now += LIFETIME
    assert names(keys, "ec") == []


def test_private_keys_on_show_are_not_used_and_told(keys: RemoteKeys, way: Scripted, log: LogFile) -> None:
    way.answer = lambda: HttpResponse(200, json.dumps({"keys": [EC.private_jwk(), NEW.jwk()]}).encode())
    assert names(keys, "ec") == []
    assert names(keys, "new") == ["new"]
    assert [line["reason"] for line in log.lines("key set")] == [
        "The key set shows a private or symmetric key, which is not used. Tell the client."
    ]


def test_calls_that_come_together_share_one_fetch(keys: RemoteKeys, way: Scripted) -> None:
    serve, asked, over = way.answer, threading.Event(), threading.Event()

    def slowly() -> HttpResponse:
        asked.set()
        over.wait(10)
        return serve()

    way.answer = slowly
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(names, keys, "ec") for _ in range(8)]
        assert asked.wait(10)
        assert not any(call.done() for call in calls)
        over.set()
        assert [call.result(10) for call in calls] == [["ec"]] * 8
    assert len(way.asked) == 1


def test_who_has_a_key_does_not_wait_for_anothers_fetch(keys: RemoteKeys, way: Scripted) -> None:
    assert names(keys, "ec") == ["ec"]
    serve, asked, over = way.answer, threading.Event(), threading.Event()

    def slowly() -> HttpResponse:
        asked.set()
        over.wait(10)
        return serve()

    way.answer = slowly
    way.now += LIFETIME
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(names, keys, "ec")
        assert asked.wait(10)
        assert names(keys, "ec") == ["ec"]
        assert not first.done()
        over.set()
        assert first.result(10) == ["ec"]


# --- Over a real connection -------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def remote(server: FaultServer, clock: Callable[[], float]) -> RemoteKeys:
    url = f"{server.base}/keys"
    return RemoteKeys(url, "ehr", EgressFactory().to([url]), LIFETIME, clock, timeout=0.3)


@pytest.mark.row("JWT-16")
def test_a_key_set_is_fetched_and_renewed_from_a_server(server: FaultServer) -> None:
    server.routes["keys"] = in_turn(resource(key_set(EC)), resource(key_set(EC, NEW)))
    now = [0.0]
    keys = remote(server, lambda: now[0])
    assert (names(keys, "ec"), names(keys, "new")) == (["ec"], [])
    now[0] += RETRY
    assert (names(keys, "ec"), names(keys, "new")) == (["ec"], ["new"])
    assert server.seen == [("/fhir/keys", None)] * 2


def _huge(count: int) -> Fault:
    return text(json.dumps(key_set(EC)) + " " * count)


@pytest.mark.row("JWT-16", "TOY-24")
@pytest.mark.parametrize(
    "fault",
    [
        status(404),
        status(500),
        status(302, Location="/fhir/elsewhere"),
        status(301, Location="http://127.0.0.1:9/keys"),
        hang,
        hang_up,
        drip_headers,
        drip_body,
        endless,
        _huge(1_000_000),
        text("<html>"),
        text('{"keys": [', 500),
    ],
    ids=lambda fault: getattr(fault, "__name__", "fault"),
)
def test_a_server_with_a_fault_gives_no_key_and_takes_none_away(server: FaultServer, fault: Fault) -> None:
    server.routes["elsewhere"] = resource(key_set(EC))
    server.routes["keys"] = fault
    now = [0.0]
    keys = remote(server, lambda: now[0])
    assert names(keys, "ec") == []
    server.routes["keys"] = resource(key_set(EC))
    now[0] += RETRY
    assert names(keys, "ec") == ["ec"]
    server.routes["keys"] = fault
    now[0] += LIFETIME
    assert names(keys, "ec") == ["ec"]
    assert "/fhir/elsewhere" not in [path for path, _ in server.seen]


def test_a_set_just_under_the_limit_is_read(server: FaultServer) -> None:
    server.routes["keys"] = _huge(900_000)
    assert names(remote(server, lambda: 0.0), "ec") == ["ec"]
