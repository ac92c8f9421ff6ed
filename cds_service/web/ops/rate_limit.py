"""How often one caller may call: counted per client, or per address where no client is known.

| who                                | counted by  | limit                                            |
|------------------------------------|-------------|--------------------------------------------------|
| identified client                  | its profile | `rate_limit` of the profile, else CDS_RATE_LIMIT |
| caller in open mode; other readers | address     | CDS_RATE_LIMIT                                   |
| caller whose token is refused      | address     | `FAILED`: 429 then takes the place of 401        |

An identified client is never refused for what others at its address did: hospitals call through shared gateways.
Counting must not stop care: if the storage (a Redis, say) fails, calls go on uncounted for a while; the log says so.
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
# Counted when the caller is known, or not at all.
_OTHERWISE = frozenset({"discovery", "call", "feedback", "live", "ready"})
# Behind an IPv4 address, or an IPv6 address in brackets.
_PORT = re.compile(r"^([^:]+|\[.+\]):\d+$")
_REST = 5.0  # seconds for which a storage that failed is left alone


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
        self._resting_until = 0.0

    def called(self, profile: ClientProfile, address: str | None) -> None:
        """Counts a call of somebody who may call.

        Raises:
            Throttled: it is one too many.
        """
        limit = self._limit if profile.rate_limit is None else _limit(profile.rate_limit)
        self._count(limit, "address" if self._by_address else "client", self._name(profile, address))

    def count_visitors(self, app: Flask) -> None:
        """Counts, by address, whoever reads what everybody may read, or looks for what is not there.

        Health probes are never refused. The sandbox is asked by this service itself, several times for a call.
        """

        def visited() -> None:
            endpoint = request.endpoint or ""
            if endpoint not in _OTHERWISE and not endpoint.startswith("sandbox_fhir."):
                self._count(self._limit, "visitor", _network(request.remote_addr or ""))

        app.before_request(visited)

    def refused(self, address: str | None) -> None:
        """Counts a caller who could not be identified."""
        self._count(self._failed if self._limit else None, "refused", _network(address or ""))

    def _name(self, profile: ClientProfile, address: str | None) -> str:
        return _network(address or "") if self._by_address else profile.name

    def _count(self, limit: RateLimitItem | None, kind: str, name: str) -> None:
        if limit is None or (self._resting_until and time.monotonic() < self._resting_until):
            return
        try:
            if self._limiter.hit(limit, kind, name):
                return
            ends = self._limiter.get_window_stats(limit, kind, name).reset_time
        except StorageError:
            self._resting_until = time.monotonic() + _REST
            self._log.warning("calls not counted", reason="The storage of CDS_RATE_STORAGE does not answer.")
            return
        wait = max(1, math.ceil(ends - time.time()))
        raise Throttled(f"This caller calls too often: {limit}. Wait {wait} s.", wait)


def _storage(uri: str | None) -> Storage:
    uri = uri or f"{SCHEME}://"
    # A storage somewhere in the network must not hold up calls.
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
    """An address as it is counted: one household has a /64 of IPv6 addresses.

    >>> _network("2001:db8::1:2"), _network("192.0.2.7")
    ('2001:db8::/64', '192.0.2.7')

    Where a socket takes both kinds, IPv4 comes as IPv6 (all of it from one /64); some proxies add the caller's port.

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
