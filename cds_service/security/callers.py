"""Who is calling: request headers to a `ClientProfile`.

Open mode (`CDS_OPEN=1`): every caller is served with the profile `open`, which the client file may define; tokens are
ignored. Closed mode, the default: a caller needs a valid token of a client in the client file.

The checks of a token, cheap ones first, so that no key set is fetched for a token that is refused anyway: form,
issuer, what was agreed with that client (algorithm, key set), claims, signature, tenant, and last whether it was used
before.
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
from cds_service.security.tokens import Token, TokenUse, check_claims, check_signature, read_token
from cds_service.settings import Settings


class Headers(Protocol):
    """Request headers by case-insensitive name."""

    def get(self, key: str, /) -> str | None: ...


def known_clients(settings: Settings) -> tuple[ClientProfile, ...]:
    """The profiles of the client file; empty without a file.

    Raises:
        SettingsError: the file is invalid, or closed mode could not serve any client.
    """
    profiles = load_profiles(settings.clients, sandbox=settings.sandbox) if settings.clients else ()
    if settings.open:
        return profiles
    if not any(profile.issuers for profile in profiles):
        raise SettingsError(
            "CDS_CLIENTS: no clients are known, so every call would be refused. Give a client profile file, or set"
            " CDS_OPEN=1 to answer every caller without a token (trying out, closed networks)."
        )
    if settings.public_url is None:
        raise SettingsError(
            "CDS_PUBLIC_URL: not set, so no token's audience could be checked: the token's aud names the"
            " URL that the client called. Give the URL at which clients reach this service."
        )
    return profiles


class Callers:
    """The clients that may call. One per process. Thread-safe.

    Args:
        replay: recognises tokens that were used before.
        egress_factory: outbound connections; only addresses in the client file are called.
        now: seconds since 1970.
        clock: monotonic seconds.
        remote: key sets fetched so far, by address; new ones are added.
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
        egress = egress_factory.to([jku for profile in self.profiles for jku in profile.jku])
        for profile in self.profiles:
            if profile.keys is not None:
                self._files[profile.name] = read_key_file(profile.keys, f"CDS_CLIENTS: {profile.name}: keys")
            for jku in profile.jku:
                self._remote.setdefault(jku, RemoteKeys(jku, profile.name, egress, settings.keys_lifetime, clock))

    def identify(self, headers: Headers, path: str) -> ClientProfile:
        """The profile of the caller, from the headers alone, before the body is parsed.

        Args:
            path: path of the endpoint called, e.g. /cds-services or /cds-services/<id>.
        Raises:
            Unauthorized: the caller could not be identified; `reason` says why, for the log.
            Forbidden: the tenant in its token was not agreed on.
            Unavailable: the store of used tokens does not answer.
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

    def _verified(self, token: Token, profile: ClientProfile, path: str) -> TokenUse:
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
        """Keys from the client's file first; without a `jku` in the profile nothing is fetched."""
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
        """Whether every caller is served (open mode)."""
        return self._open is not None

    @property
    def origins(self) -> tuple[str, ...]:
        """Browser origins that clients call from."""
        return tuple(dict.fromkeys(origin for profile in self.profiles for origin in profile.cors_origins))

    def check_aliases(self, keys: Collection[str]) -> None:
        """Raises SettingsError if a profile maps to an unknown prefetch key, or two keys to one."""
        for profile in self.profiles:
            targets = list(profile.prefetch_aliases.values())
            for own, ours in profile.prefetch_aliases.items():
                where = f"CDS_CLIENTS: {profile.name}: prefetch_aliases: {own}"
                if ours not in keys:
                    raise SettingsError(
                        f"{where}: there is no prefetch key {ours!r}, so what is sent would be lost. Write one of"
                        f" {', '.join(sorted(keys))}."
                    )
                if targets.count(ours) > 1:
                    raise SettingsError(f"{where}: another key maps to {ours} too; one would be lost. Keep one.")

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


_PUBLISHED = "The private part of the token's key has been published; only a sandbox (CDS_SANDBOX=1) accepts it."
