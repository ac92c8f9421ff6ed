"""SMART App Launch from an EHR: requests to its authorization server, and checks of the answers.

    launch    iss, launch ── configuration of that iss ── the EHR's authorization address (PKCE, state)
    callback  code, state ── token of one patient, for reading

An `iss` is accepted only if a client profile lists it; this is checked before any request. The addresses in its
configuration are accepted only on its own host or in `smart_servers`. `oauthlib` writes and reads the messages;
`Egress` sends them.
"""

from __future__ import annotations

import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from oauthlib.oauth2 import WebApplicationClient
from oauthlib.oauth2.rfc6749.errors import AccessDeniedError, MismatchingStateError, OAuth2Error

from cds_service.egress.bases import base_of, is_within, place_of
from cds_service.egress.egress import Egress, EgressFactory, HttpResponse
from cds_service.errors import CdsError, EgressError
from cds_service.gap_texts import gap_text
from cds_service.security.clients import ClientProfile

T = TypeVar("T")
# What went wrong; the page has an explanation for each.
Problem = Literal[
    "incomplete", "stranger", "unreachable", "not-smart", "other-host", "not-yours", "refused", "no-token", "no-patient"
]
_DEADLINE = 10.0
_MOST_BYTES = 100_000
_ID = re.compile(r"[A-Za-z0-9.-]{1,200}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,8000}")
_RULE = re.compile(r"[a-z0-9-]{1,64}")
# SMART App Launch 2.2, scopes and launch context: `expires_in` is recommended. Without it, the session is short.
_SHORT, _LONGEST = 300, 3_600


class LaunchError(CdsError):
    """A failed launch; `problem` selects the explanation, `client` is the profile if it is known."""

    def __init__(self, problem: Problem, reason: str, client: str | None = None) -> None:
        super().__init__(reason)
        self.problem = problem
        self.client = client


class PendingLaunch(msgspec.Struct, frozen=True):
    """A launch that waits for its callback; the browser stores it in a sealed cookie."""

    client: str
    iss: str
    issuer: str | None
    token_endpoint: str
    state: str
    verifier: str

    def __repr__(self) -> str:
        return "<PendingLaunch>"


class Session(msgspec.Struct, frozen=True):
    """Access to one patient's chart until the EHR's token expires.

    Attributes:
        client: name of the client profile.
        iss: base URL of the FHIR server.
        expires: seconds since 1970.
        rule: the rule whose card linked to the page, if any.
    """

    client: str
    iss: str
    patient: str
    token: str
    expires: int
    rule: str | None = None

    def __repr__(self) -> str:
        return "<Session>"


class _Configuration(msgspec.Struct):
    authorization_endpoint: str
    token_endpoint: str
    issuer: str | None = None
    capabilities: list[str] = []
    code_challenge_methods_supported: list[str] | None = None


class _Token(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int | None = None
    patient: str | None = None
    appContext: str | None = None  # noqa: N815  # CDS Hooks 2.0, Link: the name it has in the token response


@dataclass(frozen=True, slots=True)
class Launcher:
    """The two halves of a launch, for the client profiles that have one.

    Attributes:
        types: FHIR types to be read.
        redirect_uri: the address of our callback.
        secrets: client secrets by profile; a profile without one is a public client.
    """

    profiles: Sequence[ClientProfile]
    egress_factory: EgressFactory
    types: Sequence[str]
    redirect_uri: str
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def begin(self, iss: str, launch: str) -> tuple[str, PendingLaunch]:
        """The EHR's authorization address for the user, and the state to store until the callback.

        Raises:
            LaunchError: no profile lists this iss, or its server lacks something that SMART requires.
        """
        if not iss or not launch:
            raise LaunchError("incomplete", "A launch without iss or launch.")
        profile, listed = self._profile_of(iss)
        egress = self._egress(profile, listed)
        found = self._configuration(profile, listed, egress)
        client = WebApplicationClient(_id_at(profile))
        verifier, state = client.create_code_verifier(64), secrets.token_urlsafe(32)
        address = client.prepare_request_uri(
            found.authorization_endpoint,
            redirect_uri=self.redirect_uri,
            scope=["launch", *_scopes(self.types, found.capabilities)],
            state=state,
            code_challenge=client.create_code_challenge(verifier, "S256"),
            code_challenge_method="S256",
            aud=listed,
            launch=launch,
        )
        return address, PendingLaunch(profile.name, listed, found.issuer, found.token_endpoint, state, verifier)

    def finish(self, pending: PendingLaunch, query: str, now: float) -> Session:
        """The session from the callback of the authorization server.

        Args:
            query: the query string of the callback.
        Raises:
            LaunchError: the user or the server refused, or the answer is not one to this launch.
        """
        profile = next((one for one in self.profiles if one.name == pending.client), None)
        if profile is None:
            raise LaunchError("stranger", "The client of this launch is not listed any more.")
        client = WebApplicationClient(_id_at(profile))
        try:
            # The library reads the query only, and refuses plain http.
            answer = client.parse_request_uri_response(f"https://callback/?{query}", state=pending.state)
        except MismatchingStateError as error:
            raise LaunchError("not-yours", "The state is not that of the launch.", profile.name) from error
        except AccessDeniedError as error:
            raise LaunchError("refused", "The authorization server says access_denied.", profile.name) from error
        except (OAuth2Error, ValueError) as error:
            raise LaunchError("no-token", "The authorization server sent an error.", profile.name) from error
        # RFC 9207: an answer that names its issuer must name the one of the launch.
        if pending.issuer is not None and answer.get("iss", pending.issuer) != pending.issuer:
            raise LaunchError("not-yours", "The answer is of another issuer.", profile.name)
        token = self._exchanged(client, profile, pending, answer["code"])
        if token.patient is None or not _ID.fullmatch(token.patient):
            raise LaunchError("no-patient", "The token names no patient.", profile.name)
        lasts = min(_SHORT if token.expires_in is None else token.expires_in, _LONGEST)
        rule = token.appContext if token.appContext and _RULE.fullmatch(token.appContext) else None
        return Session(profile.name, pending.iss, token.patient, token.access_token, int(now) + lasts, rule)

    def _profile_of(self, iss: str) -> tuple[ClientProfile, str]:
        place = None if "?" in iss else place_of(iss)
        for profile in self.profiles:
            for listed in profile.fhir_servers:
                if place is not None and base_of(listed) == place:
                    return profile, listed.rstrip("/")
        raise LaunchError("stranger", "The iss is not a FHIR server of a client with a SMART registration.")

    def _egress(self, profile: ClientProfile, iss: str) -> Egress:
        parts = urlsplit(iss)
        return self.egress_factory.to((f"{parts.scheme}://{parts.netloc}", *profile.smart_servers))

    def _configuration(self, profile: ClientProfile, iss: str, egress: Egress) -> _Configuration:
        url, headers = f"{iss}/.well-known/smart-configuration", {"Accept": "application/json"}
        deadline = time.monotonic() + _DEADLINE
        found = _received(
            lambda: egress.get(url, headers=headers, deadline=deadline, max_bytes=_MOST_BYTES),
            _Configuration,
            what="SMART configuration",
            otherwise="not-smart",
            client=profile.name,
        )
        methods = found.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise LaunchError("not-smart", "The authorization server offers no PKCE with S256.", profile.name)
        for endpoint in (found.authorization_endpoint, found.token_endpoint):
            if not _is_trusted(endpoint, (iss, *profile.smart_servers)):
                raise LaunchError("other-host", "An endpoint is on a host that is not listed.", profile.name)
        return found

    def _exchanged(
        self, client: WebApplicationClient, profile: ClientProfile, pending: PendingLaunch, code: str
    ) -> _Token:
        secret = self.secrets.get(profile.name)
        form = client.prepare_request_body(
            code=code,
            redirect_uri=self.redirect_uri,
            code_verifier=pending.verifier,
            include_client_id=secret is None,
        )
        headers = {"Accept": "application/json"}
        if secret is not None:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote(_id_at(profile), safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode("ascii")
        url, egress = pending.token_endpoint, self._egress(profile, pending.iss)
        deadline = time.monotonic() + _DEADLINE
        token = _received(
            lambda: egress.post(url, form, headers=headers, deadline=deadline, max_bytes=_MOST_BYTES),
            _Token,
            what="token",
            otherwise="no-token",
            client=profile.name,
        )
        usable = token.token_type.lower() == "bearer" and _TOKEN.fullmatch(token.access_token)
        if not usable or (token.expires_in is not None and token.expires_in <= 0):
            raise LaunchError("no-token", "The token is not usable.", profile.name)
        return token


def _received(send: Callable[[], HttpResponse], shape: type[T], *, what: str, otherwise: Problem, client: str) -> T:
    """Sends a request to the EHR and decodes the answer.

    Args:
        what: what is requested, for the log.
        otherwise: the problem if the EHR answers, but not with this.
    Raises:
        LaunchError: there is no answer, or another one.
    """
    try:
        answer = send()
    except EgressError as error:
        raise LaunchError("unreachable", f"No {what}: {gap_text(error.gap, 'en')}.", client) from error
    if answer.status != 200:
        raise LaunchError(otherwise, f"No {what}: HTTP {answer.status}.", client)
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LaunchError(otherwise, f"No {what}: the answer cannot be read.", client) from error


def _id_at(profile: ClientProfile) -> str:
    """The client id of this service at the client's EHR; every profile of `Launcher.profiles` has one."""
    assert profile.smart_client_id is not None
    return profile.smart_client_id


def _is_trusted(endpoint: str, listed: Iterable[str]) -> bool:
    """Whether an https address is on the host of the FHIR server, or below a listed server."""
    iss, *servers = listed
    place = place_of(endpoint)
    if place is None or place.scheme != "https":
        return False
    return place[:3] == base_of(iss)[:3] or any(is_within(place, base_of(server)) for server in servers)


def _scopes(types: Sequence[str], capabilities: Sequence[str]) -> list[str]:
    """Scopes to read the patient's resources of these types, in the syntax that the server supports."""
    words = "rs" if "permission-v2" in capabilities else "read"
    return [f"patient/{kind}.{words}" for kind in types]
