"""The CDS Hooks routes: discovery, a service call, feedback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Protocol, cast

from flask import Flask, Response, g, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from cds_service.errors import Forbidden, NotFound, Unauthorized
from cds_service.hooks.feedback import parse_feedback
from cds_service.hooks.messages import CallContext, HookRequest, parse_request
from cds_service.security.callers import Callers
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from cds_service.store.feedback import FeedbackStore
from cds_service.web.api.body import BodyReader
from cds_service.web.api.operation_outcome import json_response
from cds_service.web.ops.call_recording import begin
from cds_service.web.runtime import Runtime

Language = Literal["en", "zh"]
Answer = Callable[[str, HookRequest, CallContext], dict[str, Any]]
Clock = Callable[[], datetime]
# A language, and whether to tell versions.
Discover = Callable[[Language, bool], dict[str, Any]]
_PAGE = "/app/"


class Service(Protocol):
    """What the routes need to know of a service."""

    @property
    def id(self) -> str: ...
    @property
    def hook(self) -> str: ...


class Knowledge(Protocol):
    """What the routes need to know of the knowledge."""

    @property
    def version(self) -> str: ...
    @property
    def services(self) -> Mapping[str, Service]: ...


def add_routes(
    app: Flask,
    settings: Settings,
    knowledge: Knowledge,
    answer: Answer,
    discovery: Discover,
    store: FeedbackStore,
    clock: Clock,
    callers: Callers,
    runtime: Runtime,
    signed_in: Callable[[], ClientProfile] | None = None,
) -> None:
    """Adds the routes to the app.

    Args:
        answer: service id, request and circumstances -> the reply; raises a RequestError if it cannot answer.
        discovery: the reply to discovery in a language, with versions or without.
        clock: the present moment in the site's time zone.
        callers: who may call. They are asked for before anything of the body is read.
        runtime: how often callers may, who looks on, and where bodies that are being read are noted.
        signed_in: whose clinician the page was opened by; without it, only clients call, with their tokens.
    """
    services = knowledge.services
    discovered = lru_cache(maxsize=4)(discovery)
    rates, observer = runtime.rates, runtime.observer
    bodies = BodyReader(settings.max_body, runtime.body_timeouts)

    def caller(path: str) -> ClientProfile:
        address = request.remote_addr
        try:
            with observer.step("identify"):
                profile = signed_in() if signed_in and _from_page() else callers.identify(request.headers, path)
        except (Unauthorized, Forbidden):
            rates.refused(address)
            raise
        g.fields = {"client": profile.name}
        rates.called(profile, address)
        return profile

    def discover() -> Response:
        profile = caller("/cds-services")
        return json_response(_for_client(discovered(_language(profile, settings), profile.discovery_versions), profile))

    def call(service_id: str) -> Response:
        profile = caller(f"/cds-services/{service_id}")
        service = _service(services, service_id, profile)
        # Fields of the log line; they are at hand in `g` when the call fails, too.
        fields: dict[str, Any] = {"service": service_id, "hook": service.hook, "client": profile.name, "notes": {}}
        g.fields = fields
        language = _language(profile, settings)
        outcome = begin(language)
        hook_request = parse_request(bodies.read(), service.hook, profile)
        outcome.patient, outcome.user = hook_request.patient_id, hook_request.user_id
        fields["notes"].update(dict.fromkeys(hook_request.notes, 1))
        # The page asks so. A trace names every result it rests on, so a closed service gives it to its own page only.
        explained = "HTTP_X_CDS_EXPLAIN" in request.environ and (callers.is_open or _from_page())
        reply = answer(
            service_id, hook_request, CallContext(profile, language, clock(), fields, outcome, observer, explained)
        )
        fields.setdefault("cards", _rule_ids(reply))
        return json_response(reply)

    def feedback(service_id: str) -> Response:
        profile = caller(f"/cds-services/{service_id}/feedback")
        _service(services, service_id, profile)
        events = parse_feedback(bodies.read(), service_id)
        g.fields = {"service": service_id, "client": profile.name, "feedback": len(events)}
        with observer.step("store"):
            store.add(events)
        observer.answered(service_id, [event.outcome for event in events])
        return json_response({"received": len(events)})

    # Clients build addresses from what an administrator typed, so a slash too many must do no harm.
    for path in ("/cds-services", "/cds-services/"):
        app.add_url_rule(path, "discovery", discover, methods=["GET"])
    for base in ("/cds-services/<service_id>", "/cds-services//<service_id>"):
        for slash in ("", "/"):
            app.add_url_rule(base + slash, "call", call, methods=["POST"])
            app.add_url_rule(f"{base}/feedback{slash}", "feedback", feedback, methods=["POST"])
    if signed_in is not None:
        app.add_url_rule(f"{_PAGE}cds-services", "discovery", discover, methods=["GET"])
        app.add_url_rule(f"{_PAGE}cds-services/<service_id>", "call", call, methods=["POST"])
        app.add_url_rule(f"{_PAGE}cds-services/<service_id>/feedback", "feedback", feedback, methods=["POST"])


def _from_page() -> bool:
    """Whether a call came by the address that a session opens instead of a token."""
    return request.path.startswith(_PAGE)


def _service(services: Mapping[str, Service], service_id: str, profile: ClientProfile) -> Service:
    service = services.get(service_id)
    if service is None:
        raise NotFound("There is no service of this id. GET /cds-services lists them.")
    if not profile.may_call(service.id, service.hook):
        raise Forbidden("This service was not agreed on with this client. GET /cds-services lists those that were.")
    return service


def _for_client(reply: dict[str, Any], profile: ClientProfile) -> dict[str, Any]:
    """Discovery of a client that may not call everything lists what it may call."""
    if not profile.services:
        return reply
    return {**reply, "services": [entry for entry in reply["services"] if profile.may_call(entry["id"], entry["hook"])]}


def _language(profile: ClientProfile, settings: Settings) -> Language:
    wanted = request.headers.get("Accept-Language")
    return (wanted and accepted_language(wanted)) or profile.language or settings.language


@lru_cache(maxsize=512)
def accepted_language(header: str) -> Language | None:
    """The best of our languages for an Accept-Language header; None if it asks for none of them, or for any.

    >>> accepted_language("fr, zh-CN;q=0.8, en;q=0.5")
    'zh'
    """
    ranges = [(tag, quality) for tag, quality in parse_accept_header(header, LanguageAccept) if tag != "*"]
    return cast("Language | None", LanguageAccept(ranges).best_match(["en", "zh"]))


def _rule_ids(reply: Mapping[str, Any]) -> list[str]:
    return [topic["code"] for card in reply["cards"] if (topic := card["source"].get("topic"))]
