"""Builds the Flask application from settings, knowledge and the runtime.

An application is immutable. A reload builds a new one on the same Runtime (`server/reload.py`).

server/wsgi.py ── create_app ─┬─ api/      discovery, calls, feedback; health, index, metrics; errors; OpenAPI
                              ├─ ops/      around every call: limits, HTTPS, CORS, records
                              ├─ pages/    rules and evidence; the usage report, if switched on
                              ├─ viewer/   the clinician's page, if switched on
                              └─ sandbox/  sample patients as a FHIR server, if switched on
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from cds_service.errors import CdsError
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.languages import FALLBACK
from cds_service.logs import get_log
from cds_service.security.callers import Callers
from cds_service.settings import Settings
from cds_service.store.feedback import FeedbackStore
from cds_service.store.pseudonym import Pseudonyms
from cds_service.web.api import health, openapi, operation_outcome
from cds_service.web.api.hooks_api import HooksApi
from cds_service.web.context import AppContext, Served
from cds_service.web.ops.call_recording import record_calls
from cds_service.web.ops.cors import allow_origins
from cds_service.web.ops.require_https import refuse_plain_http
from cds_service.web.runtime import Runtime

if TYPE_CHECKING:
    from cds_service.artifacts.knowledge_base import KnowledgeBase
    from cds_service.sandbox.fhir_api import SamplePatients
    from cds_service.web.viewer.smart import Smart


def create_app(settings: Settings, *, served: Served | None = None, runtime: Runtime | None = None) -> Flask:
    """The application, ready to serve.

    Args:
        served: what to serve instead of the shipped knowledge.
        runtime: the runtime of the application before it; without it, made from the settings.
    Raises:
        SettingsError, KnowledgeError: a fault that must be corrected before the service can start. The runtime is
            unchanged then.
    """
    if runtime is not None:
        return _create(settings, served, runtime)
    runtime = Runtime.of(settings)
    try:
        return _create(settings, served, runtime)
    except CdsError:
        runtime.database.close()
        raise


def _create(settings: Settings, served: Served | None, runtime: Runtime) -> Flask:
    terminology = None
    if served is None:
        served, terminology = _shipped(settings, runtime)
    callers = _callers(settings, served, runtime)
    context = AppContext(settings, served, callers, runtime)
    app = _bare(context)
    _surround(app, context)
    _add_parts(app, context)
    if settings.prefix:
        app.wsgi_app = health.strip_prefix(app.wsgi_app, settings.prefix)  # type: ignore[method-assign,assignment]
    _log_access(callers, served.knowledge.version)
    # Nothing below this line raises, so a reload that fails leaves the runtime as it was.
    if runtime.terminology is not None:
        runtime.terminology.close()
    runtime.terminology = terminology
    runtime.metrics.serves(served.knowledge.version)
    return app


def _shipped(settings: Settings, runtime: Runtime) -> tuple[Served, TerminologyServer | None]:
    """The knowledge of this distribution under the site's overlay, and the evaluation made from it."""
    from cds_service.artifacts.load import load_knowledge
    from cds_service.hooks.call import make_answer, terminology_server
    from cds_service.hooks.discovery import discovery
    from cds_service.hooks.snooze import make_snooze_filter
    from cds_service.present.explanation.explanation import worded
    from cds_service.texts import check_texts

    check_texts()
    knowledge = load_knowledge(site=settings.site)
    snooze_filter = make_snooze_filter(knowledge, settings, runtime.answers)
    server = terminology_server(knowledge, settings, runtime.egress_factory, before=runtime.terminology)
    answer = worded(knowledge, make_answer(knowledge, settings, runtime.egress_factory, server, snooze_filter))
    return Served(knowledge, answer, partial(discovery, knowledge)), server


def _callers(settings: Settings, served: Served, runtime: Runtime) -> Callers:
    """The clients that may call, checked against the services and the servers that may be called."""
    callers = Callers(settings, runtime.replay, runtime.egress_factory, remote=runtime.keys)
    for servers in ((), *(profile.fhir_servers for profile in callers.profiles)):
        # Raises for a server that may never be called: at the start, not at the first call.
        runtime.egress_factory.to((*settings.fhir_allow, *servers))
    callers.check_services({service.id: service.hook for service in served.knowledge.services.values()})
    callers.check_aliases(
        {key for service in served.discovery(FALLBACK, False)["services"] for key in service.get("prefetch", ())}
    )
    return callers


def _bare(context: AppContext) -> Flask:
    """The Flask application without routes."""
    settings, runtime = context.settings, context.runtime
    app = Flask("cds_service", static_folder=None)
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    app.extensions.update(
        runtime=runtime,
        database=runtime.database,
        feedback_store=FeedbackStore(runtime.database),
        recorder=runtime.recorder,
        body_timeouts=runtime.body_timeouts,
        egress_factory=runtime.egress_factory,
        callers=context.callers,
    )
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app


def _surround(app: Flask, context: AppContext) -> None:
    """Adds what happens around every call. The order matters: Flask runs what comes first last after a request."""
    settings, runtime, knowledge = context.settings, context.runtime, context.served.knowledge
    health.observe(app, get_log(), knowledge.version, hsts=settings.speaks_https)
    runtime.metrics.observe(app, knowledge.services)
    if runtime.tracing is not None:
        runtime.tracing.observe(app, knowledge.version)
    site = settings.site.resolve().name if settings.site else None
    record_calls(app, runtime.recorder, Pseudonyms(settings.hash_key), knowledge.version, site)
    if not settings.open:
        refuse_plain_http(app)
    if origins := _origins(settings, context.callers):
        allow_origins(app, origins)
    operation_outcome.register(app, get_log())
    runtime.rates.count_visitors(app)


def _add_parts(app: Flask, context: AppContext) -> None:
    """Adds the routes, part by part."""
    settings, served = context.settings, context.served
    smart = _smart(context)
    HooksApi(context, app.extensions["feedback_store"], smart.signed_in if smart is not None else None).register(app)
    health.add_routes(app, context)
    samples = _add_sandbox(app, context) if settings.sandbox else None
    if (knowledge := served.knowledge_base) is not None:
        _add_catalogue(app, settings, knowledge)
        if settings.has_page:
            from cds_service.web.viewer.wiring import add_page

            add_page(app, context, knowledge, samples, smart)
        if settings.serves_report:
            _add_report(app, context, knowledge)
    openapi.add_route(app, served.knowledge.services, settings.public_url)


def _add_catalogue(app: Flask, settings: Settings, knowledge: KnowledgeBase) -> None:
    from cds_service.artifacts.load import knowledge_dir
    from cds_service.present.catalogue.catalogue import Catalogue
    from cds_service.web.pages.catalogue import catalogue_blueprint

    catalogue = Catalogue(knowledge, knowledge_dir())
    app.register_blueprint(catalogue_blueprint(catalogue, settings.language, settings.prefix))


def _smart(context: AppContext) -> Smart | None:
    """SMART launches from EHRs, if a client is registered for them; otherwise their modules are not imported."""
    registered = [profile for profile in context.callers.profiles if profile.smart_client_id is not None]
    if not registered:
        return None
    from cds_service.web.viewer.smart import Smart

    return Smart(context.settings, registered, context.runtime.egress_factory, context.runtime.replay)


def _add_report(app: Flask, context: AppContext, knowledge: KnowledgeBase) -> None:
    from cds_service.artifacts.load import knowledge_dir
    from cds_service.artifacts.review_limits import read_review_limits
    from cds_service.web.pages.report import add_report

    add_report(app, context, knowledge, read_review_limits(knowledge_dir()))


def _add_sandbox(app: Flask, context: AppContext) -> SamplePatients:
    """The sample patients as a FHIR server. Imported only here: production does not use them."""
    from cds_service.artifacts.load import knowledge_dir, load_knowledge
    from cds_service.artifacts.worked_patients import read_worked
    from cds_service.sandbox.fhir_api import SamplePatients, samples_blueprint

    root = knowledge_dir()
    patients = read_worked(root / "sandbox" / "patients.yaml", root)
    samples = SamplePatients(patients, load_knowledge(root).terminology, context.now)
    app.register_blueprint(samples_blueprint(samples, context.now))
    return samples


def _origins(settings: Settings, callers: Callers) -> tuple[str, ...]:
    everybody = settings.allowed_origins
    return everybody if everybody == ("*",) else tuple(dict.fromkeys((*everybody, *callers.origins)))


def _log_access(callers: Callers, version: str) -> None:
    if callers.is_open:
        reason = "CDS_OPEN is set: every caller is answered without a token. Only for trying out and closed networks."
        get_log().warning("open to everybody", reason=reason, knowledge=version)
    else:
        names = [profile.name for profile in callers.profiles]
        get_log().info("open to known clients", clients=names, knowledge=version)
