"""TLS at our own door, and what is refused because it came without.

TLS-01, GEN-02.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from flask import Flask

from cds_service.cli.main import main
from cds_service.errors import SettingsError
from cds_service.server.tls import check_files
from cds_service.settings import load_settings
from tests.support.certificates import Authority, Pair
from tests.support.ports import free_port
from tests.support.signing import Signer, write_key_set

EHR = Signer("https://ehr.example/fhir")


def client_file(folder: Path) -> Path:
    """A client file that knows EHR, by a key set handed over."""
    write_key_set(folder / "keys.json", EHR)
    path = folder / "clients.yaml"
    path.write_text("clients:\n- {name: ehr, issuers: ['https://ehr.example/fhir'], keys: keys.json}\n")
    return path


@dataclass(frozen=True)
class Served:
    """A `cds serve` that speaks TLS."""

    port: int
    ca_file: Path
    key: Path
    output: Path

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    pair = authority.vouch("127.0.0.1")
    port = free_port()
    settings = {
        "PORT": str(port),
        "WORKERS": "1",
        "CLIENTS": str(client_file(folder)),
        "PUBLIC_URL": f"https://127.0.0.1:{port}",
        "TLS_CERT": str(pair.cert),
        "TLS_KEY": str(pair.key),
        "DATABASE_URL": f"sqlite:///{folder}/cds.db",
        "LOG_LEVEL": "debug",
    }
    output = folder / "output"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cds_service", "serve"],
            env=clean | {f"CDS_{name}": value for name, value in settings.items()},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 60
            while b"Ready: https://" not in output.read_bytes():
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline, "the server did not get ready"
                time.sleep(0.05)
            yield Served(port, authority.ca_file, pair.key, output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(20) == 0


@pytest.mark.process
@pytest.mark.row("TLS-01", "GEN-02")
def test_https_answers_who_trusts_the_authority(served: Served) -> None:
    url = served.base + "/cds-services"
    answer = requests.get(url, headers=EHR.bearer(url), verify=str(served.ca_file), timeout=10)
    assert answer.status_code == 200
    assert answer.json()["services"]
    assert answer.headers["Strict-Transport-Security"]


@pytest.mark.process
@pytest.mark.row("TLS-01")
def test_https_is_not_believed_without_the_authority(served: Served) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(served.base + "/health/live", timeout=10)


@pytest.mark.process
@pytest.mark.row("TLS-01")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(served: Served, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(served.ca_file))
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() == version.name.replace("v1_", "v1.")


def hello(version: bytes) -> bytes:
    """The first message of a client that speaks TLS 1.2 at most, or older by the version it is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    message = bytearray(sent.read())
    message[9:11] = version  # RFC 5246, 7.4.1.2: client_version, behind the headers of record and handshake
    return bytes(message)


def answered(port: int, message: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(message)
        try:
            return plain.recv(1000)
        except ConnectionResetError:
            return b""


@pytest.mark.process
@pytest.mark.row("TLS-01")
def test_tls_1_1_is_refused(served: Served) -> None:
    handshake, alert, protocol_version = 0x16, 0x15, 70
    assert answered(served.port, hello(b"\x03\x03"))[0] == handshake
    for old in (b"\x03\x02", b"\x03\x01"):
        refusal = answered(served.port, hello(old))
        assert (refusal[0], refusal[6]) == (alert, protocol_version)


@pytest.mark.process
@pytest.mark.row("TLS-01", "GEN-02")
def test_plain_http_on_the_same_port_is_refused(served: Served) -> None:
    request = b"GET /cds-services HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert not answered(served.port, request).startswith(b"HTTP/")


@pytest.mark.process
def test_the_key_is_in_nothing_that_is_written(served: Served) -> None:
    secret = served.key.read_text().splitlines()[1]
    assert secret not in served.output.read_text()


# Files that make no sense stop the start


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("pairs")
    authority = Authority(folder)
    one, other = authority.vouch("127.0.0.1"), authority.vouch("127.0.0.1")
    hidden = authority.vouch("127.0.0.1", password=b"secret")
    garbage = folder / "garbage.pem"
    garbage.write_text("-----BEGIN NOTHING-----\n")
    return {
        "good": one,
        "a key of another certificate": Pair(one.cert, other.key),
        "the two exchanged": Pair(one.key, one.cert),
        "no PEM": Pair(garbage, garbage),
        "a key under a password": hidden,
    }


@pytest.mark.parametrize(
    "fault", ["a key of another certificate", "the two exchanged", "no PEM", "a key under a password"]
)
def test_a_certificate_and_a_key_that_do_not_go_together_stop_the_start(pairs: dict[str, Pair], fault: str) -> None:
    cert, key = str(pairs[fault].cert), str(pairs[fault].key)
    result = CliRunner().invoke(main, ["serve"], env={"CDS_OPEN": "1", "CDS_TLS_CERT": cert, "CDS_TLS_KEY": key})
    assert result.exit_code == 1
    assert result.output.startswith("cds: CDS_TLS_CERT, CDS_TLS_KEY: they are not a certificate and its key")


def test_a_certificate_and_its_key_are_accepted(pairs: dict[str, Pair]) -> None:
    check_files(load_settings(tls_cert=pairs["good"].cert, tls_key=pairs["good"].key))


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_one_without_the_other_stops_the_start(pairs: dict[str, Pair], given: str) -> None:
    with pytest.raises(SettingsError, match="CDS_TLS_KEY: a certificate and its key belong together"):
        load_settings(**{given: pairs["good"].cert})


@pytest.mark.parametrize("name", ["tls_cert", "tls_key", "ca_file"])
def test_a_file_that_is_not_there_stops_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match=f"CDS_{name.upper()}: there is no such file"):
        load_settings(**{name: "/nowhere/file.pem"})


# What came to a proxy by plain http


PLAIN = [
    {"X-Forwarded-Proto": "http"},
    {"X-Forwarded-Proto": "HTTP"},
    {"X-Forwarded-Proto": "http, https"},
    {"Forwarded": "for=192.0.2.60;proto=http;by=203.0.113.43"},
    {"Forwarded": 'proto="http", proto=https'},
]
SECURE = [
    {},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Proto": "https, http"},
    {"Forwarded": "for=192.0.2.60;proto=https"},
    {"Forwarded": "for=192.0.2.60"},
]


@pytest.fixture
def closed(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    return make_app(open=False, clients=client_file(tmp_path), public_url="https://cds.example")


@pytest.mark.row("GEN-02", "STA-403")
@pytest.mark.parametrize("headers", PLAIN)
@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/vitamin-b12-patient-view", "/", "/nowhere"])
def test_what_came_by_plain_http_is_refused_before_its_token_is_looked_at(
    closed: Flask, headers: dict[str, str], path: str
) -> None:
    token = EHR.bearer("https://cds.example" + path)
    client = closed.test_client()
    answer = client.get(path, headers=headers | token)
    assert answer.status_code == 403
    assert answer.get_json()["issue"][0]["code"] == "forbidden"
    assert "https" in answer.get_json()["issue"][0]["diagnostics"]
    # It was not used up either.
    if path == "/cds-services":
        assert client.get(path, headers=token).status_code == 200


@pytest.mark.row("GEN-02")
@pytest.mark.parametrize("headers", SECURE)
def test_what_came_by_https_or_without_a_proxy_that_says_is_served(closed: Flask, headers: dict[str, str]) -> None:
    token = EHR.bearer("https://cds.example/cds-services")
    assert closed.test_client().get("/cds-services", headers=headers | token).status_code == 200


@pytest.mark.parametrize("headers", PLAIN)
def test_probes_may_come_by_plain_http(closed: Flask, headers: dict[str, str]) -> None:
    assert closed.test_client().get("/health/live", headers=headers).status_code == 200


def test_in_open_mode_plain_http_is_served(make_app: Callable[..., Flask]) -> None:
    client = make_app(open=True).test_client()
    assert client.get("/cds-services", headers={"X-Forwarded-Proto": "http"}).status_code == 200
