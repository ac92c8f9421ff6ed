"""Where the service may call: judged addresses only, names resolved once, TLS for the name, all of it in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from cds_service.egress.addresses import may_call
from cds_service.egress.egress import Egress, EgressFactory
from cds_service.errors import SettingsError
from cds_service.settings import Settings, load_settings
from tests.support.certificates import Authority, tls_server
from tests.support.fault_server import (
    FaultServer,
    bundle,
    drip_body,
    drip_headers,
    fault_server,
    hang,
    resource,
)
from tests.support.outgoing import get, port_of, refused

LOOPBACK = [IPv4Network("127.0.0.0/8")]
HOSPITAL: list[IPv4Network | IPv6Network] = [IPv4Network("10.0.0.0/8"), IPv6Network("fd12:3456::/32")]

Resolve = Callable[[str], list[str]]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        running.routes["Observation"] = resource(bundle(["a"]))
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolve], list[str]]:
    """Answers for names that end in `.example`, and the list of those that were asked for."""
    real = socket.getaddrinfo

    def answer_with(resolve: Resolve) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
            if not str(host).endswith(".example"):
                return real(host, port, *args, **more)
            asked.append(host)
            return [answer for found in resolve(host) for answer in real(found, port, *args, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answer_with


# Which addresses


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_may_be_called(address: str) -> None:
    assert may_call(address, "ehr.example", [])


@pytest.mark.row("FHA-13", "TOY-04")
@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "::1",
        "fd12:3456::1",
        "fec0::1",
        "2001:db8::1",
        "::ffff:10.1.2.3",
        "::ffff:127.0.0.1",
        "::7f00:1",
        "64:ff9b::a01:203",
        "64:ff9b:1::a01:203",
        "2002:a01:203::1",
        "2002:7f00:1::1",
    ],
)
def test_a_private_address_may_be_called_only_if_its_network_was_named(address: str) -> None:
    assert not may_call(address, "ehr.example", [])
    width = 32 if "." in address and ":" not in address else 128
    assert may_call(address, "ehr.example", [ip_network(f"{address}/{width}")])


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::1"])
def test_an_address_is_judged_by_the_address_it_carries(address: str) -> None:
    assert may_call(address, "ehr.example", HOSPITAL)
    assert not may_call(address, "ehr.example", [IPv4Network("192.168.0.0/16")])


@pytest.mark.row("FHA-13", "TOY-04")
@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_some_addresses_are_never_called_whatever_was_named(address: str) -> None:
    everything: list[IPv4Network | IPv6Network] = [IPv4Network("0.0.0.0/0"), IPv6Network("::/0")]
    assert not may_call(address, "ehr.example", everything)
    assert not may_call(address, address, everything)


@given(ip_addresses(v=4))
def test_in_whatever_an_address_is_wrapped_it_is_judged_alike(address: IPv4Address) -> None:
    number = int(address)
    wrapped = [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
    ]
    for private in (list[IPv4Network | IPv6Network](), HOSPITAL):
        plainly = may_call(str(address), "ehr.example", private)
        assert [may_call(str(outer), "ehr.example", private) for outer in wrapped] == [plainly] * 3


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]"])
def test_an_address_that_is_never_called_cannot_be_listed(host: str) -> None:
    with pytest.raises(SettingsError, match="never called"):
        Egress([f"http://{host}/fhir"])


def test_a_listed_address_stands_for_itself_and_for_no_other() -> None:
    assert may_call("10.1.2.3", "10.1.2.3", [])
    assert may_call("fd12::1", "[fd12:0::1]", [])
    assert not may_call("10.1.2.4", "10.1.2.3", [])


def test_localhost_stands_for_loopback_and_nothing_else() -> None:
    assert may_call("127.0.0.1", "localhost", [])
    assert may_call("::1", "localhost", [])
    assert not may_call("10.1.2.3", "localhost", [])


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"])
def test_another_spelling_of_a_private_address_is_a_name_and_needs_its_network(host: str, server: FaultServer) -> None:
    url = f"http://{host}:{port_of(server)}/fhir"
    assert refused(Egress([url]), url)
    assert server.seen == []


# Names


@pytest.mark.row("FHA-13")
def test_a_name_that_leads_into_a_private_network_is_not_called(names: Any, server: FaultServer) -> None:
    names(lambda _: ["127.0.0.1"])
    base = f"http://ehr.example:{port_of(server)}/fhir"
    assert "CDS_PRIVATE_ADDRESSES" in refused(Egress([base]), base + "/Observation")
    assert server.seen == []


def test_a_name_may_lead_into_a_network_that_the_operator_named(names: Any, server: FaultServer) -> None:
    names(lambda _: ["127.0.0.1"])
    base = f"http://ehr.example:{port_of(server)}/fhir"
    egress_factory = EgressFactory.of(Settings(private_addresses="127.0.0.0/8"))
    assert get(egress_factory.to([base]), base + "/Observation").status == 200
    assert "CDS_PRIVATE_ADDRESSES" in refused(
        EgressFactory.of(Settings(private_addresses="10.0.0.0/8")).to([base]), base + "/Observation"
    )


@pytest.mark.row("FHA-13")
def test_a_name_is_resolved_once_and_the_judged_address_called(names: Any, server: FaultServer) -> None:
    """DNS rebinding: the second answer would be another machine."""
    answers = iter([["127.0.0.1"]])
    asked = names(lambda _: next(answers, ["169.254.169.254"]))
    base = f"http://ehr.example:{port_of(server)}/fhir"
    egress = Egress([base], private=LOOPBACK)
    assert [get(egress, base + "/Observation").status for _ in range(3)] == [200] * 3
    assert asked == ["ehr.example"]


def test_of_several_addresses_only_those_that_may_be_called_are(names: Any, server: FaultServer) -> None:
    names(lambda _: ["169.254.169.254", "10.0.0.1", "127.0.0.1"])
    base = f"http://ehr.example:{port_of(server)}/fhir"
    assert get(Egress([base], private=LOOPBACK), base + "/Observation").status == 200


def test_the_next_address_is_tried_when_one_does_not_answer(names: Any, server: FaultServer) -> None:
    names(lambda _: ["127.0.0.2", "127.0.0.1"])
    base = f"http://ehr.example:{port_of(server)}/fhir"
    assert get(Egress([base], private=LOOPBACK), base + "/Observation").status == 200


def test_a_name_that_nobody_knows_is_told(names: Any) -> None:
    def unknown(_: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    names(unknown)
    assert refused(Egress(["https://ehr.example/fhir"]), "https://ehr.example/fhir") == "its name could not be resolved"


@pytest.mark.row("FHA-13", "PRF-02", "TOY-24")
def test_a_name_server_that_hangs_is_waited_for_no_longer_than_the_deadline(names: Any) -> None:
    over = threading.Event()

    def never(_: str) -> list[str]:
        over.wait(10)
        return []

    names(never)
    egress = Egress(["https://ehr.example/fhir"])
    try:
        reasons = [refused(egress, "https://ehr.example/fhir", seconds=0.1) for _ in range(12)]
    finally:
        over.set()
    assert set(reasons) == {"its name was not resolved in time"}


# TLS


def test_a_server_of_a_private_authority_is_believed_when_the_authority_was_given(names: Any, tmp_path: Path) -> None:
    names(lambda _: ["127.0.0.1"])
    authority = Authority(tmp_path)
    with tls_server(authority.vouch("ehr.example")) as server:
        base = f"https://ehr.example:{server.port}/fhir"
        egress_factory = EgressFactory.of(Settings(ca_file=authority.ca_file, private_addresses="127.0.0.0/8"))
        assert get(egress_factory.to([base]), base).status == 200
        # The address was called, and the name asked for.
        assert server.names == ["ehr.example"]


@pytest.mark.row("FHA-11", "FHA-13")
@pytest.mark.parametrize(
    ("name", "until", "trusted"),
    [
        ("ehr.example", timedelta(days=30), False),
        ("other.example", timedelta(days=30), True),
        ("127.0.0.1", timedelta(days=30), True),
        ("ehr.example", timedelta(days=-1), True),
    ],
    ids=["an authority nobody gave", "another name", "its address instead of its name", "expired"],
)
def test_a_server_that_cannot_prove_its_name_gets_no_token(
    names: Any, tmp_path: Path, name: str, until: timedelta, trusted: bool
) -> None:
    names(lambda _: ["127.0.0.1"])
    authority = Authority(tmp_path)
    with tls_server(authority.vouch(name, until=until)) as server:
        base = f"https://ehr.example:{server.port}/fhir"
        egress = Egress([base], private=LOOPBACK, ca_file=authority.ca_file if trusted else None)
        assert refused(egress, base) == "TLS failed"
        assert server.seen == []


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "plain http"])
def test_a_server_that_does_not_speak_tls_is_given_up_in_time(says: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                connection.sendall(says)
                connection.recv(100_000)
                connection.recv(1)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        base = f"https://127.0.0.1:{listener.getsockname()[1]}/fhir"
        assert refused(Egress([base]), base, seconds=0.5) in ("timed out", "TLS failed", "no connection in time")


def test_a_handshake_that_drips_is_cut_off_at_the_deadline() -> None:
    """Each byte of a record that never ends starts the socket's time-out anew."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                connection.recv(100_000)
                connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
                while not over.wait(0.05):
                    connection.sendall(b"\x03")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        base = f"https://127.0.0.1:{listener.getsockname()[1]}/fhir"
        assert refused(Egress([base]), base, seconds=0.5) == "timed out"
        over.set()
        thread.join(5)
        assert not thread.is_alive()


def test_a_ca_file_without_certificates_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="CDS_CA_FILE"):
        EgressFactory.of(Settings(ca_file=tmp_path / "ca.pem"))


# In time, without anybody who waits


@pytest.mark.row("FHA-13", "PRF-02", "X-8")
@pytest.mark.parametrize("answer", [hang, drip_headers, drip_body])
def test_a_call_that_nobody_waits_for_is_cut_off_at_its_deadline(server: FaultServer, answer: Any) -> None:
    server.routes["Observation"] = answer
    assert refused(Egress([server.base]), server.base + "/Observation", seconds=0.4) == "timed out"


# Settings


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.1.2.3/8", "hospital", "10.0.0.0-10.0.0.9"])
def test_a_network_that_is_none_stops_the_start(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"^CDS_PRIVATE_ADDRESSES: .* such as 10\.0\.0\.0/8"):
        load_settings(private_addresses=f"192.168.0.0/16, {wrong}")


def test_networks_are_read_from_a_comma_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_PRIVATE_ADDRESSES", "10.0.0.0/8, fd12:3456::/32")
    assert list(load_settings().private_addresses) == HOSPITAL


def test_a_server_of_a_profile_that_is_never_called_stops_the_start(
    make_app: Callable[..., Any], tmp_path: Path
) -> None:
    clients = tmp_path / "clients.yaml"
    clients.write_text("clients:\n- {name: open, fhir_servers: ['https://169.254.169.254/fhir']}\n")
    with pytest.raises(SettingsError, match="never called"):
        make_app(clients=clients)
