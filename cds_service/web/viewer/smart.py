"""SMART launches of the page from an EHR: launch, callback, sign-out, and the rights of a session."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, g, redirect, render_template, request

from cds_service.egress.egress import EgressFactory
from cds_service.errors import SettingsError, Unauthorized
from cds_service.languages import LANGUAGES
from cds_service.security.client_file import read_secret
from cds_service.security.clients import ClientProfile
from cds_service.security.smart import Launcher, LaunchError, Session
from cds_service.settings import Settings
from cds_service.web.responses import not_stored, wanted_language
from cds_service.web.viewer.charts import READABLE
from cds_service.web.viewer.fhir_sources import FhirSource, Launched, Remote
from cds_service.web.viewer.page import PREFIX, isolated
from cds_service.web.viewer.sessions import LAUNCH_SECONDS, Sessions
from cds_service.web.viewer.smart_texts import STATUSES, launch_say

SERVER = "smart"


class Once(Protocol):
    """Records used values; the guard of tokens implements it."""

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool: ...


class Smart:
    """Launches and their sessions, for the client profiles with a SMART registration.

    Args:
        used: records launches that were completed.
        now: seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        profiles: Sequence[ClientProfile],
        egress_factory: EgressFactory,
        used: Once,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        key, public = _ready(settings, profiles)
        self._profiles = {profile.name: profile for profile in profiles}
        self._egress_factory = egress_factory
        self._used = used
        self._now = now
        self._language = settings.language
        self._prefix = settings.prefix
        held = {one.name: read_secret(one.smart_client_secret) for one in profiles if one.smart_client_secret}
        self._launcher = Launcher(profiles, egress_factory, sorted(READABLE), f"{public}/smart/callback", held)
        self._sessions = Sessions(key, settings.prefix, secure=public.startswith("https://"), now=now)

    def signed_in(self) -> ClientProfile:
        """The client profile of a clinician's session, with which the page calls the services.

        Raises:
            Unauthorized: there is no session, or it has expired.
        """
        session = self._sessions.current()
        profile = self._profiles.get(session.client) if session is not None else None
        if profile is None:
            raise Unauthorized("No session of the page, or one that has ended.")
        return profile

    def sources(self) -> Mapping[str, FhirSource]:
        """The FHIR server of the session, restricted to its patient; empty without a session."""
        session = self._sessions.current()
        profile = self._profiles.get(session.client) if session is not None else None
        if session is None or profile is None:
            return {}
        egress = self._egress_factory.to(profile.fhir_servers)
        name = urlsplit(session.iss).hostname or SERVER
        return {SERVER: Launched(Remote(SERVER, name, session.iss, egress, session.token), session.patient)}

    def blueprint(self, rules: Collection[str]) -> Blueprint:
        """The routes under /smart.

        Args:
            rules: ids of the rules that a launch may name.
        """
        blueprint = Blueprint("smart", __name__, url_prefix="/smart", template_folder="templates")
        blueprint.add_url_rule("/launch", "launch", self._launch, methods=["GET"])
        blueprint.add_url_rule("/callback", "callback", lambda: self._callback(rules), methods=["GET"])
        blueprint.add_url_rule("/logout", "logout", self._logout, methods=["POST"])
        blueprint.register_error_handler(LaunchError, self._explained)
        return blueprint

    def _launch(self) -> Response:
        address, pending = self._launcher.begin(request.args.get("iss", ""), request.args.get("launch", ""))
        g.fields = {"client": pending.client}
        response = _led(address)
        self._sessions.remember(response, pending)
        return response

    def _callback(self, rules: Collection[str]) -> Response:
        state = request.args.get("state", "")
        pending = self._sessions.recall(state)
        if pending is None:
            raise LaunchError("not-yours", "No launch of this browser has this state.")
        g.fields = {"client": pending.client}
        # The cookie is deleted with every answer; a copy of it must not work either.
        g.answered = state
        until = datetime.fromtimestamp(self._now() + LAUNCH_SECONDS, UTC)
        if not self._used.first_use("smart launch", state, until):
            raise LaunchError("not-yours", "The launch was answered before.", pending.client)
        session = self._launcher.finish(pending, request.query_string.decode("ascii", "replace"), self._now())
        response = _led(self._page(session, rules))
        self._sessions.drop(response, state)
        if not self._sessions.keep(response, session):
            raise LaunchError("no-token", "The token is too long to be kept by a browser.", pending.client)
        return response

    def _page(self, session: Session, rules: Collection[str]) -> str:
        rule = f"&rule={quote(session.rule)}" if session.rule is not None and session.rule in rules else ""
        return f"{self._prefix}{PREFIX}/?server={SERVER}{rule}"

    def _logout(self) -> Response:
        response = Response(status=204)
        self._sessions.forget(response)
        return response

    def _explained(self, error: LaunchError) -> Response:
        fields = g.setdefault("fields", {})
        fields["reason"] = str(error)
        if error.client is not None:
            fields["client"] = error.client
        language = wanted_language(self._language)
        html = render_template(
            "smart.html",
            here=LANGUAGES[language],
            title=launch_say("title", language),
            text=launch_say(error.problem, language),
            again=launch_say("again", language),
            correlation=g.correlation,
            prefix=self._prefix,
        )
        status = STATUSES[error.problem]
        response = not_stored(isolated(Response(html, status, content_type="text/html; charset=utf-8")))
        if "answered" in g:
            self._sessions.drop(response, g.answered)
        return response


def _ready(settings: Settings, profiles: Sequence[ClientProfile]) -> tuple[str, str]:
    """The session key and the public URL.

    Raises:
        SettingsError: a setting is missing without which no launch can succeed.
    """
    where = f"CDS_CLIENTS: {profiles[0].name}: smart_client_id"
    if settings.session_key is None:
        raise SettingsError(f"{where}: sessions could not be stored. Set CDS_SESSION_KEY.")
    if settings.public_url is None:
        raise SettingsError(f"{where}: the EHR would not know where to send its user. Set CDS_PUBLIC_URL.")
    if not (settings.public_url.startswith("https://") or settings.sandbox):
        raise SettingsError(f"{where}: CDS_PUBLIC_URL is plain http, and sessions need https. Use https.")
    if not settings.has_page:
        raise SettingsError(f"{where}: there is no page to open. Set CDS_PAGE=1.")
    listed = [url.rstrip("/") for profile in profiles for url in profile.fhir_servers]
    if len(listed) != len(set(listed)):
        raise SettingsError(
            f"{where}: two clients list the same FHIR server, so a launch from it is ambiguous. Keep one."
        )
    return settings.session_key, settings.public_url


def _led(address: str) -> Response:
    response = redirect(address)
    assert isinstance(response, Response)
    return not_stored(isolated(response))
