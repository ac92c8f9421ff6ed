"""A certificate authority of our own and what it vouches for, as PEM files, made for one test run."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates; `ca_file` is what those who trust it are given."""

    def __init__(self, folder: Path, name: str = "Hospital CA") -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = folder / f"{name.replace(' ', '-')}.pem"
        cert = _unsigned(self._name, self._name, self._key, datetime.now(UTC) + 30 * _DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.ca_file.write_bytes(cert.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def vouch(self, name: str, *, until: timedelta = 30 * _DAY, password: bytes | None = None) -> Pair:
        """A certificate for a host name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternative: x509.GeneralName = x509.DNSName(name)
        if name[0].isdigit():
            alternative = x509.IPAddress(ip_address(name))
        cert = _unsigned(subject, self._name, key, datetime.now(UTC) + until).add_extension(
            x509.SubjectAlternativeName([alternative]), critical=False
        )
        stem = f"{name}-{uuid4()}"
        pair = Pair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        pair.cert.write_bytes(cert.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        hidden = BestAvailableEncryption(password) if password else NoEncryption()
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
        return pair


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), until) - _DAY)
        .not_valid_after(until)
    )


class TlsServer:
    """An https server on loopback that answers every GET with a Bundle.

    Attributes:
        names: the names that callers asked for in the handshake (SNI).
        seen: Authorization headers that arrived.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.names: list[str | None] = []
        self.seen: list[str | None] = []


@contextmanager
def tls_server(pair: Pair) -> Iterator[TlsServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.seen.append(self.headers.get("Authorization"))
            body = b'{"resourceType": "Bundle", "type": "searchset"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the tests quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A caller that does not trust us ends the handshake, as it should."""

    server = Server(("127.0.0.1", 0), Handler)
    running = TlsServer(server.server_port)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    context.sni_callback = lambda _, name, __: running.names.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
