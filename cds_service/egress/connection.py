"""urllib3 connections to checked addresses only, which another thread can cancel.

`addresses.py` resolves the name once; the socket connects to a checked address, and TLS verifies the name (SNI,
certificate). So a name that resolves to another address a moment later (DNS rebinding) has no effect.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any

import certifi
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

from cds_service.egress.addresses import Network, addresses
from cds_service.errors import SettingsError


class Cancellation:
    """A handle with which another thread cancels a call.

    Socket time-outs restart with every byte; only closing the socket stops a server that sends one byte a second.
    """

    def __init__(self) -> None:
        self._socket: socket | None = None
        self._cut = False
        self._lock = threading.Lock()

    def holds(self, connected: socket | None) -> None:
        with self._lock:
            self._socket = connected
            if self._cut:
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Shuts the plain socket: closing the TLS layer first would wait for the other side.
                socket.shutdown(self._socket, SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of a connection: private networks it may enter, seconds per attempt, deadline."""

    private: Sequence[Network]
    connect_timeout: float
    deadline: float
    call: Cancellation


class _Current(threading.local):
    limits: ConnectionLimits | None = None


_current = _Current()


@contextmanager
def connection_limits(limits: ConnectionLimits) -> Iterator[None]:
    """Applies `limits` to the connections that this thread opens within the block."""
    _current.limits = limits
    try:
        yield
    finally:
        _current.limits = None
        limits.call.holds(None)


class _Pinned(HTTPConnection):
    """Connects to a checked address and registers the socket with the `Cancellation` of this thread's call."""

    _handshaking: socket | None = None

    def _new_conn(self) -> socket:
        limits = _current.limits
        if limits is None:
            raise RuntimeError("a connection outside of a call")
        failure: OSError | None = None
        for address in addresses(self.host, self.port, limits.private, limits.deadline):
            left = limits.deadline - time.monotonic()
            if left <= 0:
                break
            try:
                connected = create_connection(
                    (address, self.port), min(left, limits.connect_timeout), socket_options=self.socket_options
                )
            except OSError as error:
                failure = error
                continue
            # The TLS layer owns the socket until the handshake is done; a duplicate of it can be shut down.
            self._handshaking = connected.dup()
            limits.call.holds(self._handshaking)
            return connected
        if isinstance(failure, TimeoutError | None):
            raise ConnectTimeoutError(self, "no connection in time") from failure
        raise NewConnectionError(self, "no connection") from failure

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            self._report()
            if self._handshaking is not None:
                self._handshaking.close()
                self._handshaking = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._report()
        super().request(*args, **kwargs)

    def _report(self) -> None:
        if _current.limits is not None:
            _current.limits.call.holds(self.sock)


class _PinnedTls(_Pinned, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Pinned


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedTls


class PinnedAdapter(HTTPAdapter):
    """The transport of a requests session whose connections go to checked addresses.

    Args:
        ca_file: PEM file of authorities to trust besides the public ones.
    """

    def __init__(self, *, connections: int, ca_file: Path | None) -> None:
        self._context = _trusting(ca_file)
        super().__init__(pool_connections=16, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, {}
        return host, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """No-op: the SSL context already holds the CA list; requests would reload it per connection."""


@lru_cache(maxsize=4)
def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    context = create_urllib3_context(ssl_minimum_version=ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.load_verify_locations(certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"CDS_CA_FILE: {ca_file} holds no certificate that can be read, so no server of this authority could "
                "be trusted. Give a PEM file of the authority's certificates."
            ) from error
    return context
