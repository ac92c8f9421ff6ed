"""Who is calling: request headers to a `ClientProfile`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cds_service.errors import Unauthorized
from cds_service.settings import Settings
from cds_service.trust.client_file import load_profiles
from cds_service.trust.clients import OPEN, ClientProfile


class Headers(Protocol):
    """Request headers, by name in any case."""

    def get(self, key: str, /) -> str | None: ...


def identify(headers: Headers, settings: Settings) -> ClientProfile:
    """The profile of the caller, from the headers alone, so that nobody unknown gets a body parsed.

    Raises:
        Unauthorized: the caller could not be identified.
    """
    if settings.open:
        return _open_profile(settings.clients, settings.explain)
    raise Unauthorized


@lru_cache(maxsize=8)
def _open_profile(clients: Path | None, explain: bool) -> ClientProfile:
    named = {profile.name: profile for profile in load_profiles(clients)} if clients else {}
    profile = named.get(OPEN.name, OPEN)
    return profile.model_copy(update={"explain": True}) if explain else profile
