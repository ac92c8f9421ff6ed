"""The JSON routes of the page: FHIR servers, patients, charts, draft orders, and single resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from flask import Blueprint, Response, request

from cds_service.errors import BadRequest, NotFound
from cds_service.json_types import Json
from cds_service.languages import LANGUAGES, Language
from cds_service.present.chart.texts import chart_say
from cds_service.web.responses import json_response, not_stored, wanted_language
from cds_service.web.viewer.charts import Charts, checked_id, checked_kind
from cds_service.web.viewer.fhir_sources import SANDBOX, FhirSource

Sources = Callable[[], Mapping[str, FhirSource]]

_FHIR = "application/fhir+json"
_LONGEST_NAME = 100
# The search parameters that the page may use; others are left out.
_PARAMETERS = frozenset({"patient", "subject", "code", "status", "date", "_id", "_sort", "_count", "_offset"})


def add_page_api(
    blueprint: Blueprint,
    charts: Charts,
    sources: Sources,
    orders: Callable[[Language], list[Json]],
    fallback: Language,
) -> None:
    """Adds the routes below the blueprint's own prefix.

    Args:
        sources: returns the servers that may be shown for the current request, by id.
        orders: returns the orders that the sandbox EHR can draft, in a language.
        fallback: the language if the reader asks for none.
    """

    def source(server: str) -> FhirSource:
        found = sources().get(server)
        if found is None:
            raise NotFound("The page knows no FHIR server of this name. GET /app/api/servers lists those it knows.")
        return found

    def servers() -> Response:
        language = wanted_language(fallback)
        return _private({"servers": [described(one, language) for one in sources().values()]})

    def patients(server: str) -> Response:
        name = request.args.get("name", "").strip()
        if len(name) > _LONGEST_NAME:
            raise BadRequest(f"name has more than {_LONGEST_NAME} signs. Write a part of the name.", expression="name")
        return _private({"patients": charts.patients(source(server), name, wanted_language(fallback))})

    def chart(server: str, patient: str) -> Response:
        return _private(charts.chart(source(server), checked_id(patient), wanted_language(fallback)))

    def draftable() -> Response:
        return _private({"orders": orders(wanted_language(fallback))})

    def read(server: str, kind: str, resource_id: str) -> Response:
        return _resource(source(server).read(checked_kind(kind), checked_id(resource_id)))

    def search(server: str, kind: str) -> Response:
        parameters = [(name, value) for name, value in request.args.items(multi=True) if name in _PARAMETERS]
        return _resource(source(server).search(checked_kind(kind), parameters))

    for rule, name, view in (
        ("/api/servers", "servers", servers),
        ("/api/patients/<server>", "patients", patients),
        ("/api/chart/<server>/<patient>", "chart", chart),
        ("/api/orders", "orders", draftable),
        ("/fhir/<server>/<kind>/<resource_id>", "read", read),
        ("/fhir/<server>/<kind>", "search", search),
    ):
        blueprint.add_url_rule(rule, name, view, methods=["GET"])


def described(source: FhirSource, language: Language) -> Json:
    """A server as JSON for the page; a launched one names its only patient."""
    name = chart_say("sample patients", language) if source.id == SANDBOX else source.name
    about: Json = {"id": source.id, "name": name, "base": source.base()}
    # Calls for it use paths below /app, where the session replaces a client's token.
    return about if source.patient is None else about | {"patient": source.patient, "services": "cds-services"}


def remembered(made: Callable[[Language], list[Json]]) -> Callable[[Language], list[Json]]:
    """The function, with its result cached per language."""
    return lru_cache(maxsize=len(LANGUAGES))(made)


def _private(content: Json) -> Response:
    """A JSON response with patient data, which browsers and proxies must not store."""
    return not_stored(json_response(content))


def _resource(body: bytes) -> Response:
    return not_stored(Response(body, content_type=_FHIR))
