"""The way out: which FHIR servers may be called, and one GET that keeps to a deadline and a size.

Every call of this service to another machine goes through `Egress.get`, and every address through `Egress.check`.
The `fhirServer` of a request is the caller's word, so an address counts only if the operator listed it. Further
defences (where a name resolves to, servers that keep failing) belong in these two methods and nowhere else.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from socket import SHUT_RDWR, socket
from typing import Any, NamedTuple

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from cds_service.errors import EgressError, SettingsError

# What an address may look like. Narrower than RFC 3986 on purpose: whatever two URL parsers could read in two ways
# (user info, backslashes, blanks, non-ASCII hosts) is no address for us.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[^\s\\?#]*)?)(?P<query>(?:\?[^\s\\#]*)?)",
    re.IGNORECASE | re.ASCII,
)
# Dot segments and encoded slashes: servers and libraries disagree on where such a path leads.
_ODD_PATH = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|;", re.IGNORECASE)
_CHUNK = 65_536
# It logs the addresses it calls (always at DEBUG, sometimes at WARNING), and an address holds a patient's id.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. `body` is empty unless the status is 200; `retry_after` is in seconds."""

    status: int
    body: bytes = b""
    retry_after: float | None = None


class Call:
    """A handle on a call that runs in another thread: whoever waits for it can cut it off.

    Socket time-outs start anew with every byte; only closing the socket stops a server that sends one byte a second.
    """

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None
        self._cut = False
        self._lock = threading.Lock()

    def holds(self, connection: HTTPConnection | None) -> None:
        with self._lock:
            self._connection = connection
            if self._cut:
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            self._shut()

    def _shut(self) -> None:
        sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with suppress(OSError):
                # Of the plain socket: closing the TLS layer first would wait for the other side.
                socket.shutdown(sock, SHUT_RDWR)


class Egress:
    """The servers that may be called, and the connections to them. One per process, used by many threads.

    Args:
        allow: base URLs, e.g. "https://ehr.example/fhir"; what lies at or below one may be called.
        connect_timeout: seconds for one connection attempt, never longer than the call's deadline.
        connections: how many connections per server are kept open.
        ca_file: PEM file of the authorities to trust, for hospitals with their own; by default the public ones.
    Raises:
        SettingsError: an entry of `allow` is no plain http(s) base URL.
    """

    def __init__(
        self, allow: Sequence[str], *, connect_timeout: float = 1.0, connections: int = 64, ca_file: str | None = None
    ) -> None:
        self._allowed = [_base(url) for url in allow]
        self._connect_timeout = connect_timeout
        self._session = requests.Session()
        self._session.verify = ca_file or True
        self._session.trust_env = False  # no proxies, no .netrc, no CA bundle from the environment
        self._session.headers["User-Agent"] = "cds-service"
        # One session serves every patient and client: a cookie of one call must not travel with another.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(pool_connections=16, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def check(self, url: str, *, below: str | None = None) -> None:
        """Raises EgressError unless `url` lies at or below an allowed base (and at or below `below`, if given).

        Scheme, host and port must be the same; the path must continue the base's path at a segment boundary. So
        plain http is possible only where the operator wrote http.
        """
        place = _place(url)
        if place is None:
            raise EgressError("The address is no plain http(s) URL.")
        if not any(_within(place, base) for base in self._allowed):
            raise EgressError("The address is not on the list of FHIR servers that may be called.")
        if below is not None and not _within(place, _base(below)):
            raise EgressError("The address is outside the FHIR server of this request.")

    def get(
        self, url: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int, call: Call | None = None
    ) -> Answer:
        """GET `url`, without following redirects.

        Args:
            deadline: the instant on time.monotonic() at which the answer must be complete.
            max_bytes: most bytes of (decompressed) body that are read.
            call: lets another thread cut this call off.
        Raises:
            EgressError: not allowed, no connection, no complete answer in time, or too large. The message is a few
                words that hold no part of the address.
        """
        self.check(url)
        _calls.current = call
        try:
            answer = self._try(url, headers, deadline, max_bytes)
            # None: a kept-alive connection that the server closed in the same moment. A GET may be asked again.
            answer = answer or self._try(url, headers, deadline, max_bytes)
        finally:
            _calls.current = None
            if call is not None:
                call.holds(None)
        if answer is None:
            raise EgressError("connection closed without an answer")
        return answer

    def _try(self, url: str, headers: Mapping[str, str], deadline: float, max_bytes: int) -> Answer | None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise EgressError("timed out")
        timeout = (min(self._connect_timeout, left), left)
        try:
            with self._session.get(
                url, headers=dict(headers), stream=True, allow_redirects=False, timeout=timeout
            ) as response:
                retry_after = _seconds(response.headers.get("Retry-After"))
                if response.status_code != requests.codes.ok:
                    return Answer(response.status_code, b"", retry_after)
                return Answer(response.status_code, _body(response.raw, deadline, max_bytes), retry_after)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if _is_disconnect(error) and time.monotonic() < deadline:
                return None
            raise _in_our_words(error, deadline) from error


def _body(raw: urllib3.BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """The body, read as it comes in: neither a slow nor an endless one is waited for."""
    parts: list[bytes] = []
    size = 0
    while part := raw.read1(_CHUNK, decode_content=True):
        size += len(part)
        if size > max_bytes:
            raise EgressError("answer too large")
        if time.monotonic() > deadline:
            raise EgressError("timed out")
        parts.append(part)
    return b"".join(parts)


def _in_our_words(error: Exception, deadline: float) -> EgressError:
    """The library's error as ours; the library's own message would hold the address."""
    if time.monotonic() >= deadline or isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return EgressError("timed out")
    if isinstance(error, requests.exceptions.SSLError):
        return EgressError("TLS failed")
    if isinstance(error, requests.ConnectTimeout):
        return EgressError("no connection in time")
    if isinstance(error, requests.ConnectionError):
        return EgressError("no connection")
    return EgressError("answer broken off")


def _is_disconnect(error: BaseException) -> bool:
    inner = error.args[0] if error.args else None
    if isinstance(inner, urllib3.exceptions.ProtocolError):
        return any(isinstance(part, RemoteDisconnected) for part in inner.args)
    return False


def _base(url: str) -> _Place:
    place = _place(url)
    if place is None or "?" in url:
        raise SettingsError(
            "The list of FHIR servers that may be called has an entry that is no plain base URL; no server could "
            "be matched against it. Write it like https://ehr.example/fhir (CDS_FHIR_ALLOW or the client profile)."
        )
    return place


def _place(url: str) -> _Place | None:
    match = _ADDRESS.fullmatch(url)
    if match is None or _ODD_PATH.search(match["path"]):
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else 443 if scheme == "https" else 80
    return _Place(scheme, match["host"].lower(), port, match["path"].rstrip("/"))


def _within(place: _Place, base: _Place) -> bool:
    return place[:3] == base[:3] and (place.path == base.path or place.path.startswith(base.path + "/"))


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header (RFC 9110, 10.2.3: seconds or a date) as seconds from now."""
    if retry_after is None:
        return None
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return float(retry_after.strip()[:9])
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    return None


class _Calls(threading.local):
    current: Call | None = None


_calls = _Calls()


class _Reported(HTTPConnection):
    """Tells the call of this thread which connection it has: when it connects and before anything is sent."""

    def connect(self) -> None:
        super().connect()
        self._report()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._report()
        super().request(*args, **kwargs)

    def _report(self) -> None:
        if _calls.current is not None:
            _calls.current.holds(self)


class _Https(_Reported, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Reported


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
