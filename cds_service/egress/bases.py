"""Parses listed and called URLs, and checks whether one is at or below the other.

URL parsers disagree on odd URLs. So only this one is used, and it rejects every URL that could be read in two ways.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cds_service.egress.addresses import is_never_called
from cds_service.errors import SettingsError

# Narrower than RFC 3986 on purpose: no user info, backslashes, blanks, or hosts beyond ASCII.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[^\s\\?#]*)?)(?P<query>(?:\?[^\s\\#]*)?)",
    re.IGNORECASE | re.ASCII,
)
# Dot segments and encoded slashes: servers and libraries disagree on where such a path leads.
_ODD_PATH = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|;", re.IGNORECASE)


class Place(NamedTuple):
    """The parts of a URL; the port is always set, the path has no trailing slash."""

    scheme: str
    host: str
    port: int
    path: str


def base_of(url: str) -> Place:
    """A base URL that an operator listed.

    Raises:
        SettingsError: it is not a plain base URL, or its address is never called.
    """
    place = place_of(url)
    if place is None or "?" in url:
        raise SettingsError(
            "The list of FHIR servers that may be called has an entry that is not a plain base URL; no server could "
            "be matched against it. Write it like https://ehr.example/fhir (CDS_FHIR_ALLOW or the client profile)."
        )
    if is_never_called(place.host):
        raise SettingsError(
            "The list of FHIR servers that may be called has an address that is never called: link-local ones give "
            "away a cloud's credentials. Remove it (CDS_FHIR_ALLOW or the client profile)."
        )
    return place


def place_of(url: str) -> Place | None:
    """The parts of an http(s) URL; None for anything else."""
    match = _ADDRESS.fullmatch(url)
    if match is None or _ODD_PATH.search(match["path"]):
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else 443 if scheme == "https" else 80
    if not 0 < port < 65_536:
        return None
    return Place(scheme, match["host"].lower(), port, match["path"].rstrip("/"))


def is_within(place: Place, base: Place) -> bool:
    """Whether scheme, host and port are the same, and the path continues that of the base at a segment boundary."""
    return place[:3] == base[:3] and (place.path == base.path or place.path.startswith(base.path + "/"))
