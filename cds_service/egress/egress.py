"""Outbound HTTP: which servers may be called, and single calls with a deadline and a size limit.

Every call of this service to another machine uses `Egress.get` or `Egress.post`, which check its URL: the FHIR servers
of requests and their further pages, key sets, the terminology server, the authorization server of the page. The
`fhirServer` of a request is untrusted, so a URL is called only if the operator listed its server.

    egress.py ─┬─ bases.py                        whether a URL is at or below a listed base URL
               ├─ connection.py ── addresses.py   the addresses of a name, and whether they may be called
               └─ breaker.py                      circuit breakers
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.client import RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import requests
import urllib3

from cds_service.egress.addresses import Network
from cds_service.egress.bases import Place, base_of, is_within, place_of
from cds_service.egress.breaker import Breakers, State
from cds_service.egress.connection import Cancellation, ConnectionLimits, PinnedAdapter, connection_limits
from cds_service.errors import EgressError, NoAnswer
from cds_service.gaps import GapKind
from cds_service.settings import Settings

__all__ = ["Cancellation", "Egress", "EgressFactory", "HttpResponse"]

_CHUNK = 65_536
# urllib3 logs the URLs it calls (always at DEBUG, sometimes at WARNING), and a URL may hold a patient's id.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A server's answer. `body` is empty unless the status is 200; `retry_after` is in seconds."""

    status: int
    body: bytes = b""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class _HttpRequest:
    """A request; a GET if `form` is None, otherwise a POST."""

    url: str
    headers: Mapping[str, str]
    deadline: float
    max_bytes: int
    form: bytes | None = None


class EgressFactory:
    """Makes the `Egress` objects of this process, which share their circuit breakers. One per process.

    Args:
        private: private networks in which listed servers may be.
        ca_file: PEM file of authorities to trust besides the public ones, for hospitals with their own.
    Raises:
        SettingsError: the file holds no certificates.
    """

    def __init__(
        self, *, private: Sequence[Network] = (), ca_file: Path | None = None, breakers: Breakers | None = None
    ) -> None:
        self._private = tuple(private)
        self._ca_file = ca_file
        self._breakers = breakers or Breakers()
        self._made = lru_cache(maxsize=256)(self._make)
        self._make(())  # an unreadable CA file stops the start, not the first call

    @classmethod
    def of(cls, settings: Settings) -> EgressFactory:
        return cls(private=settings.private_addresses, ca_file=settings.ca_file)

    def to(self, bases: Sequence[str]) -> Egress:
        """The egress to these servers; made once for each list.

        Raises:
            SettingsError: one of them is not a plain http(s) base URL.
        """
        return self._made(tuple(bases))

    def _make(self, bases: tuple[str, ...]) -> Egress:
        return Egress(bases, private=self._private, ca_file=self._ca_file, breakers=self._breakers)

    def states(self) -> dict[str, State]:
        """The circuit state of every server called so far, e.g. {"ehr.example:443": "closed"}."""
        return self._breakers.states()


class Egress:
    """The servers that may be called, and the connections to them. Thread-safe.

    Args:
        allow: base URLs, e.g. "https://ehr.example/fhir"; URLs at or below one may be called.
        private: private networks in which these servers may be (addresses.py).
        connect_timeout: seconds for one connection attempt, never longer than the call's deadline.
        connections: how many connections per server are kept open.
        ca_file: PEM file of authorities to trust besides the public ones.
        breakers: circuit breakers to share; new ones if None.
    Raises:
        SettingsError: an entry of `allow` is not a plain http(s) base URL, or its address is never called.
    """

    def __init__(
        self,
        allow: Sequence[str],
        *,
        private: Sequence[Network] = (),
        connect_timeout: float = 1.0,
        connections: int = 64,
        ca_file: Path | None = None,
        breakers: Breakers | None = None,
    ) -> None:
        self._allowed = [base_of(url) for url in allow]
        self._private = tuple(private)
        self._connect_timeout = connect_timeout
        self._breakers = breakers or Breakers()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, no .netrc, no CA bundle from the environment
        self._session.headers["User-Agent"] = "cds-service"
        # One session serves every patient and client: a cookie of one call must not travel with another.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = PinnedAdapter(connections=connections, ca_file=ca_file)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def check(self, url: str, *, below: str | None = None) -> None:
        """Raises EgressError unless `url` lies at or below an allowed base (and at or below `below`, if given).

        Scheme, host and port must be the same; the path must continue the base's path at a segment boundary. So
        plain http is possible only where the operator wrote http. The host's addresses are checked on connecting.
        """
        self._checked(url, below)

    def _checked(self, url: str, below: str | None = None) -> Place:
        place = place_of(url)
        if place is None:
            raise EgressError(GapKind.ADDRESS_NOT_HTTP)
        if not any(is_within(place, base) for base in self._allowed):
            raise EgressError(GapKind.ADDRESS_NOT_ALLOWED)
        if below is not None and not is_within(place, base_of(below)):
            raise EgressError(GapKind.ADDRESS_OUTSIDE_SERVER)
        return place

    def get(
        self, url: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int, call: Cancellation | None = None
    ) -> HttpResponse:
        """GET `url`, without following redirects.

        Args:
            deadline: the instant on time.monotonic() at which the answer must be complete.
            max_bytes: most bytes of (decompressed) body that are read.
            call: lets another thread cancel this call; without one, it is cancelled at the deadline.
        Raises:
            EgressError: not allowed, circuit open, no connection, no complete answer in time, or too large. Neither
                `gap` nor the message holds a part of the address.
        """
        return self._send(_HttpRequest(url, headers, deadline, max_bytes), call)

    def post(self, url: str, form: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int) -> HttpResponse:
        """POST an encoded form to `url`, without retries or redirects. Otherwise as `get`."""
        all_headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._send(_HttpRequest(url, all_headers, deadline, max_bytes, form.encode("ascii")), None)

    def _send(self, request: _HttpRequest, call: Cancellation | None) -> HttpResponse:
        deadline = request.deadline
        place = self._checked(request.url)
        breaker = self._breakers.of(place.host, place.port)
        if not breaker.allow_request():
            raise EgressError(GapKind.CIRCUIT_OPEN)
        began = time.monotonic()
        try:
            answer = self._answer(request, call) if call is not None else self._answer_by_deadline(request)
        except NoAnswer:
            # The time-out of a call that began shortly before its deadline is not the server's fault.
            if time.monotonic() < deadline or deadline - began >= self._breakers.min_attempt_seconds:
                breaker.failed()
            raise
        if answer.status >= 500:
            breaker.failed()
        else:
            breaker.succeeded()
        return answer

    def _answer_by_deadline(self, request: _HttpRequest) -> HttpResponse:
        call = Cancellation()
        timer = threading.Timer(max(0.0, request.deadline - time.monotonic()), call.cut)
        timer.daemon = True
        timer.start()
        try:
            return self._answer(request, call)
        finally:
            timer.cancel()

    def _answer(self, request: _HttpRequest, call: Cancellation) -> HttpResponse:
        with connection_limits(ConnectionLimits(self._private, self._connect_timeout, request.deadline, call)):
            answer = self._try(request)
            # None: the server closed a kept-alive connection at that moment. A GET may be sent again.
            if answer is None and request.form is None:
                answer = self._try(request)
        if answer is None:
            raise NoAnswer(GapKind.CONNECTION_CLOSED)
        return answer

    def _try(self, request: _HttpRequest) -> HttpResponse | None:
        deadline, method = request.deadline, "GET" if request.form is None else "POST"
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer(GapKind.TIMED_OUT)
        timeout = (min(self._connect_timeout, left), left)
        try:
            with self._session.request(
                method,
                request.url,
                headers=dict(request.headers),
                data=request.form,
                stream=True,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                is_ok = response.status_code == requests.codes.ok
                body = _body(response.raw, deadline, request.max_bytes) if is_ok else b""
                if time.monotonic() >= deadline:
                    # To the library, an answer cut off within its headers looks complete, with an empty body.
                    raise NoAnswer(GapKind.TIMED_OUT)
                return HttpResponse(response.status_code, body, _seconds(response.headers.get("Retry-After")))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if _is_disconnect(error) and time.monotonic() < deadline:
                return None
            raise _as_no_answer(error, deadline) from error


def _body(raw: urllib3.BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """The body, read in chunks so that a slow or endless one is stopped at its limits."""
    parts: list[bytes] = []
    size = 0
    while part := raw.read1(_CHUNK, decode_content=True):
        size += len(part)
        if size > max_bytes:
            raise EgressError(GapKind.ANSWER_TOO_LARGE)
        if time.monotonic() > deadline:
            raise NoAnswer(GapKind.TIMED_OUT)
        parts.append(part)
    return b"".join(parts)


def _as_no_answer(error: Exception, deadline: float) -> NoAnswer:
    """The library's error by kind; the library's own message would hold the URL."""
    if time.monotonic() >= deadline or isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return NoAnswer(GapKind.TIMED_OUT)
    if isinstance(error, requests.exceptions.SSLError):
        return NoAnswer(GapKind.TLS_FAILED)
    if isinstance(error, requests.ConnectTimeout):
        return NoAnswer(GapKind.NO_CONNECTION_IN_TIME)
    if isinstance(error, requests.ConnectionError):
        return NoAnswer(GapKind.NO_CONNECTION)
    return NoAnswer(GapKind.ANSWER_BROKEN_OFF)


def _is_disconnect(error: BaseException) -> bool:
    inner = error.args[0] if error.args else None
    if isinstance(inner, urllib3.exceptions.ProtocolError):
        return any(isinstance(part, RemoteDisconnected) for part in inner.args)
    return False


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header (RFC 9110, 10.2.3: seconds or a date) as seconds from now."""
    if retry_after is None:
        return None
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return float(retry_after.strip()[:9])
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    return None
