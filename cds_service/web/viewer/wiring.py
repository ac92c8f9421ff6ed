"""Builds the page from settings and knowledge: the servers it shows, the orders it can draft, and its routes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flask import Flask, request

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir
from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, SettingsError
from cds_service.json_types import Json
from cds_service.languages import Language
from cds_service.sandbox.fhir_api import SamplePatients
from cds_service.sandbox.orders import draftable, read_orders
from cds_service.settings import Settings
from cds_service.web.context import AppContext
from cds_service.web.viewer.api import add_page_api, remembered
from cds_service.web.viewer.charts import Charts
from cds_service.web.viewer.fhir_sources import SANDBOX, Embedded, FhirSource, Remote
from cds_service.web.viewer.page import lead_browsers_here, page_blueprint
from cds_service.web.viewer.smart import Smart


def add_page(
    app: Flask, context: AppContext, knowledge: KnowledgeBase, samples: SamplePatients | None, smart: Smart | None
) -> None:
    """Adds the routes under /app, and those of launches from an EHR.

    Args:
        samples: the sample patients, if there is a sandbox.
        smart: launches from EHRs, if a client profile has a registration.
    Raises:
        SettingsError: a server that the page should show may not be called.
        KnowledgeError: the list of sample orders cannot be read.
    """
    settings = context.settings
    egress = context.runtime.egress_factory.to(settings.fhir_allow)
    fixed: dict[str, FhirSource] = {} if samples is None else {SANDBOX: Embedded(samples, partial(_sandbox, settings))}
    fixed |= {one.id: one for one in _remote(settings, egress)}

    def sources() -> Mapping[str, FhirSource]:
        return fixed if smart is None else {**smart.sources(), **fixed}

    root = knowledge_dir()
    orders = read_orders(root / "sandbox" / "orders.yaml", root)

    def in_language(language: Language) -> list[Json]:
        return draftable(orders, knowledge.terminology, language, context.now())

    blueprint = page_blueprint(settings.language, knowledge.version, settings.prefix)
    add_page_api(blueprint, Charts(knowledge, context.now), sources, remembered(in_language), settings.language)
    app.register_blueprint(blueprint)
    if smart is not None:
        app.register_blueprint(smart.blueprint(knowledge.rules))
        app.extensions["smart"] = smart
    lead_browsers_here(app, settings.prefix)


def _sandbox(settings: Settings) -> str:
    """The base URL of the sandbox FHIR server, as clients reach it."""
    return f"{settings.public_url or request.host_url.rstrip('/')}/sandbox/fhir"


def _remote(settings: Settings, egress: Egress) -> list[Remote]:
    found = []
    for entry in settings.page_servers:
        name, _, base = entry.partition("=")
        try:
            egress.check(base)
        except EgressError as error:
            raise SettingsError(
                f"CDS_PAGE_SERVERS: {name}: the server may not be called, so the page could show none of its data. List"
                " its base URL in CDS_FHIR_ALLOW, too."
            ) from error
        found.append(Remote(name, name, base.rstrip("/"), egress))
    return found
