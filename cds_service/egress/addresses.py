"""Resolves a host once, within a deadline, and returns those of its IP addresses that may be called.

Public addresses may be called. Private ones (RFC 1918, unique local, loopback, shared, documentation) may be called if
the operator listed the network, the address itself or `localhost`: most FHIR servers of hospitals are in a private
network, and only the operator knows which. Some are never called, even if listed: link-local addresses, where clouds
give credentials to every caller, and multicast and broadcast addresses. An IPv6 address that embeds an IPv4 address is
judged by the IPv4 address.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from time import monotonic

from cds_service.errors import EgressError, NoAnswer
from cds_service.gaps import GapKind

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # host agent of Azure
        "192.0.0.192/32",  # metadata of older Oracle clouds
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/128",  # this host
        "fe80::/10",  # link-local
        "fd00:ec2::254/128",  # metadata of AWS
        "fd20:ce::254/128",  # metadata of Google Cloud
        "ff00::/8",  # multicast
    )
)
# RFC 4291: all global unicast addresses that have been allocated so far.
_GLOBAL_V6 = IPv6Network("2000::/3")
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, deprecated
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
_THREADS = 8


def may_call(address: str, host: str, private: Iterable[Network]) -> bool:
    """Whether an address of `host`, a name or a literal address that the operator listed, may be called.

    >>> may_call("10.1.2.3", "ehr.example", ())
    False
    >>> may_call("10.1.2.3", "ehr.example", [IPv4Network("10.0.0.0/8")])
    True
    """
    if "%" in address:  # an address with a zone is valid on one link only
        return False
    outer = ip_address(address)
    inner = _embedded(outer)
    if any(ip in network for ip in (outer, inner) for network in _NEVER):
        return False
    return (
        _is_public(inner)
        or _names_itself(host, outer, inner)
        or any(ip in network for ip in (outer, inner) for network in private)
    )


def is_never_called(host: str) -> bool:
    """Whether `host` is an address that is never called: listing it must be a mistake."""
    literal = _literal(host)
    return literal is not None and not may_call(str(literal), host, ())


def addresses(host: str, port: int, private: Iterable[Network], deadline: float) -> list[str]:
    """The addresses of `host` that may be called, in the order in which to try them.

    Args:
        deadline: the instant on time.monotonic() at which they must be known.
    Raises:
        EgressError: the host has no address, was not resolved in time, or has none that may be called.
    """
    literal = _literal(host)
    found = [str(literal)] if literal is not None else _resolved(host, port, deadline)
    allowed = [address for address in found if may_call(address, host, private)]
    if not allowed:
        raise EgressError(GapKind.ADDRESS_PRIVATE)
    return allowed


def _resolved(host: str, port: int, deadline: float) -> list[str]:
    # The system's look-up cannot be interrupted, so a thread of the pool runs it. If all of them hang, a caller still
    # waits only until its own deadline.
    task = _pool().submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        answers = task.result(timeout=max(0.0, deadline - monotonic()))
    except TimeoutError as error:
        task.cancel()
        raise NoAnswer(GapKind.NAME_NOT_RESOLVED_IN_TIME) from error
    except (OSError, UnicodeError) as error:
        raise NoAnswer(GapKind.NAME_NOT_RESOLVED) from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """One pool per process, made at the first look-up: threads do not survive the fork of the server's workers."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve")


def _is_public(address: Address) -> bool:
    return address.is_global and (address.version == 4 or address in _GLOBAL_V6)


def _names_itself(host: str, outer: Address, inner: Address) -> bool:
    if host == "localhost":
        return inner.is_loopback
    return _literal(host) == outer


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _embedded(address: Address) -> Address:
    """The IPv4 address embedded in an IPv6 address, or else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.sixtofour is not None:
        return address.sixtofour
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    # ::1 and :: are in the block of compatible addresses, but embed no IPv4 address.
    if int(address) > 1 and any(address in block for block in (_COMPATIBLE, *_NAT64)):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
