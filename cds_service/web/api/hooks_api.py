"""The CDS Hooks routes: discovery, a service call, feedback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from flask import Flask, Response, g, request

from cds_service.errors import Forbidden, NotFound, Unauthorized
from cds_service.hooks.feedback import parse_feedback
from cds_service.hooks.messages import CallContext, parse_request
from cds_service.languages import Language
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from cds_service.store.feedback import FeedbackStore
from cds_service.web.api.body import BodyReader
from cds_service.web.context import AppContext, Service
from cds_service.web.ops.call_recording import begin
from cds_service.web.responses import accepted_language, json_response

_PAGE = "/app/"


class HooksApi:
    """Discovery, calls and feedback of the services.

    Args:
        store: where feedback is stored.
        signed_in: the profile of the clinician's session on the page; None: only clients call, with their tokens.
    """

    def __init__(
        self, context: AppContext, store: FeedbackStore, signed_in: Callable[[], ClientProfile] | None = None
    ) -> None:
        self._context = context
        self._store = store
        self._signed_in = signed_in
        self._services = context.served.knowledge.services
        self._discovery = lru_cache(maxsize=4)(context.served.discovery)
        self._bodies = BodyReader(context.settings.max_body, context.runtime.body_timeouts)

    def register(self, app: Flask) -> None:
        """Adds the routes to an application."""
        # Clients build URLs from what an administrator typed, so an extra slash is tolerated.
        for path in ("/cds-services", "/cds-services/"):
            app.add_url_rule(path, "discovery", self.discovery, methods=["GET"])
        for base in ("/cds-services/<service_id>", "/cds-services//<service_id>"):
            for slash in ("", "/"):
                app.add_url_rule(base + slash, "call", self.call, methods=["POST"])
                app.add_url_rule(f"{base}/feedback{slash}", "feedback", self.feedback, methods=["POST"])
        if self._signed_in is not None:
            app.add_url_rule(f"{_PAGE}cds-services", "discovery", self.discovery, methods=["GET"])
            app.add_url_rule(f"{_PAGE}cds-services/<service_id>", "call", self.call, methods=["POST"])
            app.add_url_rule(f"{_PAGE}cds-services/<service_id>/feedback", "feedback", self.feedback, methods=["POST"])

    def discovery(self) -> Response:
        profile = self._identify("/cds-services")
        language = _language(profile, self._context.settings)
        return json_response(_for_client(self._discovery(language, profile.discovery_versions), profile))

    def call(self, service_id: str) -> Response:
        context, profile = self._context, self._identify(f"/cds-services/{service_id}")
        service = _service(self._services, service_id, profile)
        # Fields of the log line; they are in `g`, so that the line of a failed call has them too.
        fields: dict[str, Any] = {"service": service_id, "hook": service.hook, "client": profile.name, "notes": {}}
        g.fields = fields
        language = _language(profile, context.settings)
        outcome = begin(language)
        hook_request = parse_request(self._bodies.read(), service.hook, profile)
        outcome.patient, outcome.user = hook_request.patient_id, hook_request.user_id
        fields["notes"].update(dict.fromkeys(hook_request.notes, 1))
        # The trace holds every result used, so a closed service gives it to its own page only.
        explained = "HTTP_X_CDS_EXPLAIN" in request.environ and (context.callers.is_open or _from_page())
        observer = context.runtime.observer
        call = CallContext(profile, language, context.now(), fields, outcome, observer, explained)
        reply = context.served.answer(service_id, hook_request, call)
        fields.setdefault("cards", _rule_ids(reply))
        return json_response(reply)

    def feedback(self, service_id: str) -> Response:
        profile = self._identify(f"/cds-services/{service_id}/feedback")
        _service(self._services, service_id, profile)
        events = parse_feedback(self._bodies.read(), service_id)
        g.fields = {"service": service_id, "client": profile.name, "feedback": len(events)}
        observer = self._context.runtime.observer
        with observer.step("store"):
            self._store.add(events)
        observer.answered(service_id, [event.outcome for event in events])
        return json_response({"received": len(events)})

    def _identify(self, path: str) -> ClientProfile:
        """The profile of the caller, checked and counted before the body is read."""
        runtime, address = self._context.runtime, request.remote_addr
        try:
            with runtime.observer.step("identify"):
                if self._signed_in is not None and _from_page():
                    profile = self._signed_in()
                else:
                    profile = self._context.callers.identify(request.headers, path)
        except (Unauthorized, Forbidden):
            runtime.rates.refused(address)
            raise
        g.fields = {"client": profile.name}
        runtime.rates.called(profile, address)
        return profile


def _from_page() -> bool:
    """Whether the path is below /app, where a session replaces the client's token."""
    return request.path.startswith(_PAGE)


def _service(services: Mapping[str, Service], service_id: str, profile: ClientProfile) -> Service:
    service = services.get(service_id)
    if service is None:
        raise NotFound("There is no service of this id. GET /cds-services lists them.")
    if not profile.may_call(service.id, service.hook):
        raise Forbidden("This service was not agreed on with this client. GET /cds-services lists those that were.")
    return service


def _for_client(reply: dict[str, Any], profile: ClientProfile) -> dict[str, Any]:
    """The services in discovery: those that the client may call."""
    if not profile.services:
        return reply
    return {**reply, "services": [entry for entry in reply["services"] if profile.may_call(entry["id"], entry["hook"])]}


def _language(profile: ClientProfile, settings: Settings) -> Language:
    wanted = request.headers.get("Accept-Language")
    return (wanted and accepted_language(wanted)) or profile.language or settings.language


def _rule_ids(reply: Mapping[str, Any]) -> list[str]:
    return [topic["code"] for card in reply["cards"] if (topic := card["source"].get("topic"))]
