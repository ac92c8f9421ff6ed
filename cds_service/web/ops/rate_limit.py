"""Rate limits per client, or per IP address where no client is identified.

| caller                             | counted by  | limit                                            |
|------------------------------------|-------------|--------------------------------------------------|
| identified client                  | its profile | `rate_limit` of the profile, else CDS_RATE_LIMIT |
| caller in open mode; other readers | address     | CDS_RATE_LIMIT                                   |
| caller whose token is refused      | address     | `FAILED`: 429 then takes the place of 401        |

An identified client is never refused because of others at its address: hospitals call through shared gateways.
If the storage (e.g. Redis) fails, calls are not counted for a while, and the log says so: limits must not stop care.
"""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from flask import Flask, request
from limits import RateLimitItem, parse
from limits.errors import ConfigurationError, StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from cds_service.errors import SettingsError, Throttled
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from cds_service.web.ops.shared_counters import SCHEME

FAILED = "60 per minute"
# Counted once the caller is identified, or not at all.
_OTHERWISE = frozenset({"discovery", "call", "feedback", "live", "ready"})
# A port after an IPv4 address, or after an IPv6 address in brackets.
_PORT = re.compile(r"^([^:]+|\[.+\]):\d+$")
_BACKOFF = 5.0  # seconds without a call to a storage that failed


class Rates:
    """Counts calls and refuses those beyond the limit.

    Raises:
        SettingsError: the storage cannot be used.
    """

    def __init__(self, settings: Settings, log: Any) -> None:
        self._by_address = settings.open
        self._limit = _limit(settings.rate_limit)
        self._failed = _limit(FAILED)
        self._limiter = FixedWindowRateLimiter(_storage(settings.rate_storage))
        self._log = log
        self._backoff_until = 0.0

    def called(self, profile: ClientProfile, address: str | None) -> None:
        """Counts a call of an accepted caller.

        Raises:
            Throttled: the limit is exceeded.
        """
        limit = self._limit if profile.rate_limit is None else _limit(profile.rate_limit)
        self._count(limit, "address" if self._by_address else "client", self._name(profile, address))

    def count_visitors(self, app: Flask) -> None:
        """Counts, by address, requests for public routes and for routes that do not exist.

        Health probes and the sandbox are not counted: this service calls the sandbox itself, several times per call.
        """

        def visited() -> None:
            endpoint = request.endpoint or ""
            if endpoint not in _OTHERWISE and not endpoint.startswith("sandbox_fhir."):
                self._count(self._limit, "visitor", _network(request.remote_addr or ""))

        app.before_request(visited)

    def refused(self, address: str | None) -> None:
        """Counts a caller that could not be identified."""
        self._count(self._failed if self._limit else None, "refused", _network(address or ""))

    def _name(self, profile: ClientProfile, address: str | None) -> str:
        return _network(address or "") if self._by_address else profile.name

    def _count(self, limit: RateLimitItem | None, kind: str, name: str) -> None:
        if limit is None or (self._backoff_until and time.monotonic() < self._backoff_until):
            return
        try:
            if self._limiter.hit(limit, kind, name):
                return
            ends = self._limiter.get_window_stats(limit, kind, name).reset_time
        except StorageError:
            self._backoff_until = time.monotonic() + _BACKOFF
            self._log.warning("calls not counted", reason="The storage of CDS_RATE_STORAGE does not answer.")
            return
        wait = max(1, math.ceil(ends - time.time()))
        raise Throttled(f"This caller calls too often: {limit}. Wait {wait} s.", wait)


def _storage(uri: str | None) -> Storage:
    uri = uri or f"{SCHEME}://"
    # A storage in the network must not delay calls.
    options = {"socket_connect_timeout": 0.2, "socket_timeout": 0.2} if uri.startswith(("redis", "valkey")) else {}
    try:
        return storage_from_string(uri, wrap_exceptions=True, **options)  # type: ignore[return-value]
    except (ConfigurationError, ImportError, OSError, ValueError, TypeError) as error:
        # Without the address: it may hold a password.
        raise SettingsError(
            f"CDS_RATE_STORAGE: the storage cannot be used ({type(error).__name__}). Give an address that the library"
            " `limits` knows, such as redis://host:6379, and install its driver; or leave it out."
        ) from error


@lru_cache(maxsize=512)
def _limit(text: str) -> RateLimitItem | None:
    return None if text == "off" else parse(text)


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """An IP address as it is counted: an IPv6 address by its /64, which belongs to one household.

    >>> _network("2001:db8::1:2"), _network("192.0.2.7")
    ('2001:db8::/64', '192.0.2.7')

    A dual-stack socket shows IPv4 as IPv6 (all in one /64), and some proxies add the caller's port.

    >>> _network("::ffff:192.0.2.7"), _network("192.0.2.7:50123"), _network("[2001:db8::1]:50123")
    ('192.0.2.7', '192.0.2.7', '2001:db8::/64')
    """
    try:
        read = ip_address(_PORT.sub(r"\1", address).strip("[]"))
    except ValueError:
        return "unknown"
    if isinstance(read, IPv6Address):
        return str(read.ipv4_mapped or ip_network((read, 64), strict=False))
    return str(read)
