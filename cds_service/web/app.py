"""Settings and knowledge to a Flask app.

An app never changes. New knowledge or other clients make a new one (`reload.py`) on what lasts (`runtime.py`).

wsgi.py ── create_app ─┬─ hooks_api   discovery, calls, feedback
                       ├─ ops         health, index, metrics, the log line
                       ├─ problems    errors as OperationOutcomes
                       ├─ openapi     all routes, for machines
                       ├─ catalogue   rules and evidence, for people
                       ├─ report      what became of cards, if switched on
                       ├─ page        cards in the browser, if switched on
                       └─ sandbox     sample patients, if switched on
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from cds_service.errors import CdsError
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.logs import get_log
from cds_service.security.callers import Callers
from cds_service.settings import Settings
from cds_service.store.feedback import FeedbackStore
from cds_service.store.pseudonym import Pseudonyms
from cds_service.web.api import health as ops
from cds_service.web.api import hooks_api, openapi
from cds_service.web.api import operation_outcome as problems
from cds_service.web.api.hooks_api import Answer, Clock, Discover, Knowledge
from cds_service.web.ops.call_recording import record_calls
from cds_service.web.ops.cors import allow_origins
from cds_service.web.ops.require_https import refuse_plain_http
from cds_service.web.runtime import Runtime

if TYPE_CHECKING:
    from cds_service.egress.egress import EgressFactory
    from cds_service.sandbox.fhir_api import SamplePatients
    from cds_service.store.database import Database
    from cds_service.web.viewer.smart import Smart


def create_app(
    settings: Settings,
    *,
    knowledge: Knowledge | None = None,
    answer: Answer | None = None,
    discovery: Discover | None = None,
    runtime: Runtime | None = None,
) -> Flask:
    """The app, ready to serve.

    Args:
        knowledge, answer, discovery: what to serve instead of the shipped knowledge. All three or none.
        runtime: what an app before it was built on; without it, made from the settings.
    Raises:
        SettingsError, KnowledgeError: something is wrong that must be put right before the service can start. What
            lasts is as it was.
    """
    if runtime is not None:
        return _create(settings, knowledge, answer, discovery, runtime)
    runtime = Runtime.of(settings)
    try:
        return _create(settings, knowledge, answer, discovery, runtime)
    except CdsError:
        runtime.database.close()
        raise


def _create(
    settings: Settings,
    knowledge: Knowledge | None,
    answer: Answer | None,
    discovery: Discover | None,
    runtime: Runtime,
) -> Flask:
    egress_factory, recorder = runtime.egress_factory, runtime.recorder
    terminology = None
    if knowledge is None or answer is None or discovery is None:
        knowledge, answer, discovery, terminology = _shipped(settings, runtime)
    log = get_log()
    app = Flask("cds_service", static_folder=None)
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    clock = partial(_now, settings.zone)
    store = FeedbackStore(runtime.database)
    callers = Callers(settings, runtime.replay, egress_factory, remote=runtime.keys)
    for servers in ((), *(profile.fhir_servers for profile in callers.profiles)):
        egress_factory.to((*settings.fhir_allow, *servers))  # a server that may never be called is to stop the start
    callers.check_services({service.id: service.hook for service in knowledge.services.values()})
    callers.check_aliases(
        {key for service in discovery("en", False)["services"] for key in service.get("prefetch", ())}
    )
    app.extensions.update(
        runtime=runtime,
        database=runtime.database,
        feedback_store=store,
        recorder=recorder,
        body_timeouts=runtime.body_timeouts,
        egress_factory=egress_factory,
        callers=callers,
    )
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]

    ops.observe(app, log, knowledge.version, hsts=settings.speaks_https)
    runtime.metrics.observe(app, knowledge.services)
    if runtime.tracing is not None:
        runtime.tracing.observe(app, knowledge.version)
    site = settings.site.resolve().name if settings.site else None
    record_calls(app, recorder, Pseudonyms(settings.hash_key), knowledge.version, site)
    if not settings.open:
        refuse_plain_http(app)
    if origins := _origins(settings, callers):
        allow_origins(app, origins)
    problems.register(app, log)
    runtime.rates.count_visitors(app)
    smart = _smart(settings, callers, runtime)
    hooks_api.add_routes(
        app,
        settings,
        knowledge,
        answer,
        discovery,
        store,
        clock,
        callers,
        runtime,
        smart.signed_in if smart is not None else None,
    )
    ops.add_routes(app, settings, knowledge.version, knowledge.services, runtime)
    _add_catalogue(app, settings, knowledge)
    samples = _add_sandbox(app, clock) if settings.sandbox else None
    if settings.has_page:
        _add_page(app, settings, knowledge, samples, egress_factory, clock, smart)
    if settings.serves_report:
        _add_report(app, settings, knowledge, runtime.database, clock)
    openapi.add_route(app, knowledge.services, settings.public_url)
    if settings.prefix:
        app.wsgi_app = ops.strip_prefix(app.wsgi_app, settings.prefix)  # type: ignore[method-assign,assignment]
    _warn(log, callers, knowledge.version)
    # From here on nothing fails any more.
    if runtime.terminology is not None:
        runtime.terminology.close()
    runtime.terminology = terminology
    runtime.metrics.serves(knowledge.version)
    return app


def _shipped(settings: Settings, runtime: Runtime) -> tuple[Knowledge, Answer, Discover, TerminologyServer | None]:
    """The knowledge in this distribution and the evaluation made from it."""
    from cds_service.artifacts.load import load_knowledge
    from cds_service.hooks.call import make_answer, terminology_server
    from cds_service.hooks.discovery import discovery
    from cds_service.hooks.snooze import make_snooze_filter
    from cds_service.present.explanation.explanation import worded

    knowledge = load_knowledge(site=settings.site)
    snooze_filter = make_snooze_filter(knowledge, settings, runtime.answers)
    server = terminology_server(knowledge, settings, runtime.egress_factory, before=runtime.terminology)
    answer = worded(knowledge, make_answer(knowledge, settings, runtime.egress_factory, server, snooze_filter))
    return knowledge, answer, partial(discovery, knowledge), server


def _now(zone: tzinfo | None) -> datetime:
    return datetime.now(zone) if zone else datetime.now(UTC).astimezone()


def _add_catalogue(app: Flask, settings: Settings, knowledge: Knowledge) -> None:
    """What the service knows, to be read by people; whoever brings an evaluation of their own has no such pages."""
    from cds_service.artifacts.knowledge_base import KnowledgeBase
    from cds_service.artifacts.load import knowledge_dir
    from cds_service.present.catalogue.catalogue import Catalogue
    from cds_service.web.pages.catalogue import catalogue_blueprint

    if isinstance(knowledge, KnowledgeBase):
        catalogue = Catalogue(knowledge, knowledge_dir())
        app.register_blueprint(catalogue_blueprint(catalogue, settings.language, settings.prefix))


def _smart(settings: Settings, callers: Callers, runtime: Runtime) -> Smart | None:
    """Launches from EHRs, if a client is registered for them; else nothing of it is loaded."""
    registered = [profile for profile in callers.profiles if profile.smart_client_id is not None]
    if not registered:
        return None
    from cds_service.web.viewer.smart import Smart

    return Smart(settings, registered, runtime.egress_factory, runtime.replay)


def _add_page(
    app: Flask,
    settings: Settings,
    knowledge: Knowledge,
    samples: SamplePatients | None,
    egress_factory: EgressFactory,
    clock: Clock,
    smart: Smart | None,
) -> None:
    """The page for people; like the catalogue, over the knowledge that is served."""
    from cds_service.artifacts.knowledge_base import KnowledgeBase
    from cds_service.web.viewer.wiring import add_page

    if isinstance(knowledge, KnowledgeBase):
        add_page(app, settings, knowledge, samples, egress_factory, clock, smart)


def _add_report(app: Flask, settings: Settings, knowledge: Knowledge, database: Database, clock: Clock) -> None:
    """What became of the cards of the knowledge that is served."""
    from cds_service.artifacts.knowledge_base import KnowledgeBase
    from cds_service.artifacts.load import knowledge_dir
    from cds_service.artifacts.review_limits import read_review_limits
    from cds_service.web.pages.report import add_report

    if isinstance(knowledge, KnowledgeBase):
        add_report(app, settings, knowledge, read_review_limits(knowledge_dir()), database, clock)


def _add_sandbox(app: Flask, clock: Clock) -> SamplePatients:
    """The sample patients as a FHIR server. Loaded only here: production has no use for them."""
    from cds_service.artifacts.load import knowledge_dir, load_knowledge
    from cds_service.artifacts.worked_patients import read_worked
    from cds_service.sandbox.fhir_api import SamplePatients, samples_blueprint

    root = knowledge_dir()
    patients = read_worked(root / "sandbox" / "patients.yaml", root)
    samples = SamplePatients(patients, load_knowledge(root).terminology, clock)
    app.register_blueprint(samples_blueprint(samples, clock))
    return samples


def _origins(settings: Settings, callers: Callers) -> tuple[str, ...]:
    everybody = settings.allowed_origins
    return everybody if everybody == ("*",) else tuple(dict.fromkeys((*everybody, *callers.origins)))


def _warn(log: Any, callers: Callers, version: str) -> None:
    if callers.is_open:
        reason = "CDS_OPEN is set: everybody is answered without a token. Only for trying out and closed networks."
        log.warning("open to everybody", reason=reason, knowledge=version)
    else:
        log.info("open to known clients", clients=[profile.name for profile in callers.profiles], knowledge=version)
