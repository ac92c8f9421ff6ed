"""The way out: which servers may be called, and one call that keeps to a deadline and a size.

Every call of this service to another machine goes through `Egress.get` or `Egress.post`, and every address through
`Egress.check`: the FHIR servers of requests and their further pages, key sets, the terminology server, the server that
gives tokens to the page. The `fhirServer` of a request is the
caller's word, so an address counts only if the operator listed it.

    egress.py ─┬─ bases.py                        what lies below a listed base URL
               ├─ connection.py ── addresses.py   where a name leads, and whether that may be called
               └─ breaker.py                      servers that keep failing
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
# It logs the addresses it calls (always at DEBUG, sometimes at WARNING), and an address holds a patient's id.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered. `body` is empty unless the status is 200; `retry_after` is in seconds."""

    status: int
    body: bytes = b""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class _HttpRequest:
    """What is asked; `form` None: a GET."""

    url: str
    headers: Mapping[str, str]
    deadline: float
    max_bytes: int
    form: bytes | None = None


class EgressFactory:
    """Every way out of this process, so that all know of the same failing servers. One per process.

    Args:
        private: private networks that listed names may lead into.
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
        self._make(())  # a CA file that cannot be read is to stop the start, not the first call

    @classmethod
    def of(cls, settings: Settings) -> EgressFactory:
        return cls(private=settings.private_addresses, ca_file=settings.ca_file)

    def to(self, bases: Sequence[str]) -> Egress:
        """The way to these servers; made once for each list.

        Raises:
            SettingsError: one of them is no plain http(s) base URL.
        """
        return self._made(tuple(bases))

    def _make(self, bases: tuple[str, ...]) -> Egress:
        return Egress(bases, private=self._private, ca_file=self._ca_file, breakers=self._breakers)

    def states(self) -> dict[str, State]:
        """Whether the servers called so far keep failing: {"ehr.example:443": "closed"}; "open" is left alone."""
        return self._breakers.states()


class Egress:
    """The servers that may be called, and the connections to them. Used by many threads.

    Args:
        allow: base URLs, e.g. "https://ehr.example/fhir"; what lies at or below one may be called.
        private: networks that their names may lead into (addresses.py).
        connect_timeout: seconds for one connection attempt, never longer than the call's deadline.
        connections: how many connections per server are kept open.
        ca_file: PEM file of authorities to trust besides the public ones.
        breakers: what is known of failing servers; its own, if none is given.
    Raises:
        SettingsError: an entry of `allow` is no plain http(s) base URL, or an address that is never called.
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
        plain http is possible only where the operator wrote http. Where the host leads to is judged on connecting.
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
            call: lets another thread cut this call off; without one, it is cut off at the deadline.
        Raises:
            EgressError: not allowed, circuit open, no connection, no complete answer in time, or too large. Neither
                `gap` nor the message holds a part of the address.
        """
        return self._ask(_HttpRequest(url, headers, deadline, max_bytes), call)

    def post(self, url: str, form: str, *, headers: Mapping[str, str], deadline: float, max_bytes: int) -> HttpResponse:
        """POST a form, encoded already, to `url`: once, without following redirects. Otherwise as `get`."""
        whole = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._ask(_HttpRequest(url, whole, deadline, max_bytes, form.encode("ascii")), None)

    def _ask(self, question: _HttpRequest, call: Cancellation | None) -> HttpResponse:
        deadline = question.deadline
        place = self._checked(question.url)
        breaker = self._breakers.of(place.host, place.port)
        if not breaker.allow_request():
            raise EgressError(GapKind.CIRCUIT_OPEN)
        began = time.monotonic()
        try:
            answer = self._answer(question, call) if call is not None else self._answer_alone(question)
        except NoAnswer:
            # A call that began shortly before its deadline proves nothing by running into it.
            if time.monotonic() < deadline or deadline - began >= self._breakers.min_attempt_seconds:
                breaker.failed()
            raise
        if answer.status >= 500:
            breaker.failed()
        else:
            breaker.succeeded()
        return answer

    def _answer_alone(self, question: _HttpRequest) -> HttpResponse:
        call = Cancellation()
        timer = threading.Timer(max(0.0, question.deadline - time.monotonic()), call.cut)
        timer.daemon = True
        timer.start()
        try:
            return self._answer(question, call)
        finally:
            timer.cancel()

    def _answer(self, question: _HttpRequest, call: Cancellation) -> HttpResponse:
        with connection_limits(ConnectionLimits(self._private, self._connect_timeout, question.deadline, call)):
            answer = self._try(question)
            # None: a kept-alive connection that the server closed in the same moment. A GET may be asked again.
            if answer is None and question.form is None:
                answer = self._try(question)
        if answer is None:
            raise NoAnswer(GapKind.CONNECTION_CLOSED)
        return answer

    def _try(self, question: _HttpRequest) -> HttpResponse | None:
        deadline, method = question.deadline, "GET" if question.form is None else "POST"
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer(GapKind.TIMED_OUT)
        timeout = (min(self._connect_timeout, left), left)
        try:
            with self._session.request(
                method,
                question.url,
                headers=dict(question.headers),
                data=question.form,
                stream=True,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                is_ok = response.status_code == requests.codes.ok
                body = _body(response.raw, deadline, question.max_bytes) if is_ok else b""
                if time.monotonic() >= deadline:
                    # Cut off among the headers, an answer looks to the library like a whole one without a body.
                    raise NoAnswer(GapKind.TIMED_OUT)
                return HttpResponse(response.status_code, body, _seconds(response.headers.get("Retry-After")))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if _is_disconnect(error) and time.monotonic() < deadline:
                return None
            raise _as_no_answer(error, deadline) from error


def _body(raw: urllib3.BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """The body, read as it comes in: neither a slow nor an endless one is waited for."""
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
    """The library's error by kind; the library's own message would hold the address."""
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
