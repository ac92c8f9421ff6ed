"""Who is calling: request headers to a `ClientProfile`.

Open mode (`CDS_OPEN=1`): everybody is served, with the profile `open`, or with the profile of that name in the client
file; a token is not looked at. Closed mode, the default: only who sends a good token of a client in the file.

A token is asked in this order, the cheap questions first and nothing fetched for one that would be refused anyway:
its form, its issuer, what was agreed with that client (algorithm, key set), its claims, its signature, its tenant, and
last whether it was used before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Protocol

from cds_service.egress.egress import EgressFactory
from cds_service.errors import Forbidden, SettingsError, Unauthorized
from cds_service.security.client_file import load_profiles
from cds_service.security.clients import OPEN, ClientProfile
from cds_service.security.compromised_keys import compromised_keys
from cds_service.security.keys import Key, KeySet, read_key_file
from cds_service.security.remote_keys import RemoteKeys
from cds_service.security.replay import ReplayGuard
from cds_service.security.tokens import Token, Use, check_claims, check_signature, read_token
from cds_service.settings import Settings


class Headers(Protocol):
    """Request headers, by name in any case."""

    def get(self, key: str, /) -> str | None: ...


def known_clients(settings: Settings) -> tuple[ClientProfile, ...]:
    """The profiles in the client file; none without a file.

    Raises:
        SettingsError: the file is faulty, or closed mode could not serve anybody.
    """
    profiles = load_profiles(settings.clients, sandbox=settings.sandbox) if settings.clients else ()
    if settings.open:
        return profiles
    if not any(profile.issuers for profile in profiles):
        raise SettingsError(
            "CDS_CLIENTS: no clients are known, so every call would be refused. Give a client profile file, or set"
            " CDS_OPEN=1 to answer everybody without a token (trying out, closed networks)."
        )
    if settings.public_url is None:
        raise SettingsError(
            "CDS_PUBLIC_URL: not set, so no token could be checked to be meant for this service: its aud names the"
            " URL that the client called. Give the URL at which clients reach this service."
        )
    return profiles


class Callers:
    """Everybody who may call. One per process, used by many threads.

    Args:
        replay: the memory of used tokens.
        ways: the ways out of this process; only addresses in the client file are ever called.
        now: seconds since 1970.
        clock: seconds that never go back.
        remote: fetched key sets that are known already, by address; added to.
    Raises:
        SettingsError: as `known_clients`.
    """

    def __init__(
        self,
        settings: Settings,
        replay: ReplayGuard,
        egress_factory: EgressFactory,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        remote: dict[str, RemoteKeys] | None = None,
    ) -> None:
        self.profiles = known_clients(settings)
        self._replay = replay
        self._now = now
        self._base = settings.public_url or ""
        self._sandbox = settings.sandbox
        self._open = self._open_profile(settings.explain) if settings.open else None
        self._by_issuer = {issuer: profile for profile in self.profiles for issuer in profile.issuers}
        self._files: dict[str, KeySet] = {}
        self._remote = {} if remote is None else remote
        if settings.open:
            return
        way = egress_factory.to([jku for profile in self.profiles for jku in profile.jku])
        for profile in self.profiles:
            if profile.keys is not None:
                self._files[profile.name] = read_key_file(profile.keys, f"CDS_CLIENTS: {profile.name}: keys")
            for jku in profile.jku:
                self._remote.setdefault(jku, RemoteKeys(jku, profile.name, way, settings.keys_lifetime, clock))

    def identify(self, headers: Headers, path: str) -> ClientProfile:
        """The profile of the caller, from the headers alone, so that nobody unknown gets a body parsed.

        Args:
            path: the endpoint called, as discovery names it: /cds-services, and what follows for a service.
        Raises:
            Unauthorized: the caller could not be identified; `reason` says why, for the log.
            Forbidden: it could, but its tenant is not one of those agreed on.
            Unavailable: it cannot be told whether its token was used before.
        """
        if self._open is not None:
            return self._open
        token = read_token(headers.get("Authorization"))
        profile = self._by_issuer.get(token.issuer)
        if profile is None:
            raise Unauthorized("No client has the token's iss.")
        try:
            use = self._verified(token, profile, path)
        except Unauthorized as error:
            error.claimed = profile.name
            raise
        if profile.tenants and use.tenant not in profile.tenants:
            raise Forbidden(
                "The token's tenant is not one of those agreed on. Ask for it to be added.", claimed=profile.name
            )
        if not self._replay.first_use(use.issuer, use.jti, datetime.fromtimestamp(use.expires, UTC)):
            raise Unauthorized("The token was used before.", claimed=profile.name)
        return profile

    def _verified(self, token: Token, profile: ClientProfile, path: str) -> Use:
        if token.algorithm not in profile.algorithms:
            raise Unauthorized("The token's algorithm is not one agreed on (algorithms).")
        # CDS Hooks 2.0.1, Trusting CDS Clients: trusted issuers and key set addresses are listed.
        if token.jku is not None and token.jku not in profile.jku:
            raise Unauthorized("The token's jku is not one agreed on (jku).")
        self._refuse_published(token)
        use = check_claims(token, profile, self._audiences(path), self._now())
        keys = self._keys(token, profile)
        if not self._sandbox and any(key.thumbprint in compromised_keys().thumbprints for key in keys):
            raise Unauthorized(_PUBLISHED)
        check_signature(token, keys)
        return use

    def _refuse_published(self, token: Token) -> None:
        known = compromised_keys()
        if not self._sandbox and (token.kid in known.kids or token.jku in known.jku or token.issuer in known.issuers):
            raise Unauthorized(_PUBLISHED)

    def _audiences(self, path: str) -> tuple[str, ...]:
        """CDS Hooks 2.0.1: `aud` is the URL of the endpoint called; some clients name the service for its feedback."""
        url = self._base + path
        return (url, url.removesuffix("/feedback"))

    def _keys(self, token: Token, profile: ClientProfile) -> tuple[Key, ...]:
        """Keys that were handed over come first, and for a client that has handed over all, nothing is fetched."""
        handed_over = self._files.get(profile.name)
        if handed_over is not None and (token.kid in handed_over or not profile.jku):
            return handed_over.find(token.kid)
        if token.jku is None and len(profile.jku) != 1:
            raise Unauthorized("The token names no jku, and the client has none, or several.")
        return self._remote[token.jku or profile.jku[0]].find(token.kid)

    def _open_profile(self, explain: bool) -> ClientProfile:
        profile = {profile.name: profile for profile in self.profiles}.get(OPEN.name, OPEN)
        return profile.model_copy(update={"explain": True}) if explain else profile

    @property
    def is_open(self) -> bool:
        """Whether everybody is served."""
        return self._open is not None

    @property
    def origins(self) -> tuple[str, ...]:
        """Browser origins that clients call from."""
        return tuple(dict.fromkeys(origin for profile in self.profiles for origin in profile.cors_origins))

    def check_aliases(self, keys: Collection[str]) -> None:
        """Raises SettingsError if a profile translates to a prefetch key that does not exist, or two keys to one."""
        for profile in self.profiles:
            meant = list(profile.prefetch_aliases.values())
            for own, ours in profile.prefetch_aliases.items():
                where = f"CDS_CLIENTS: {profile.name}: prefetch_aliases: {own}"
                if ours not in keys:
                    raise SettingsError(
                        f"{where}: there is no prefetch key {ours!r}, so what is sent would be lost. Write one of"
                        f" {', '.join(sorted(keys))}."
                    )
                if meant.count(ours) > 1:
                    raise SettingsError(f"{where}: another key stands for {ours} too, and one would be lost. Keep one.")

    def check_services(self, hooks: Mapping[str, str]) -> None:
        """Raises SettingsError if a profile names a service or topic that does not exist; `hooks`: service -> hook."""
        known = {name for service, hook in hooks.items() for name in (service, service.removesuffix(f"-{hook}"))}
        for profile in self.profiles:
            for name in profile.services:
                if name not in known:
                    raise SettingsError(
                        f"CDS_CLIENTS: {profile.name}: services: there is no service or topic {name!r}. Write one of"
                        f" {', '.join(sorted(known))}."
                    )


_PUBLISHED = "The token's key is one whose private part has been published; only a sandbox (CDS_SANDBOX=1) takes it."
