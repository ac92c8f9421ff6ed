"""What the OpenAPI document says in words: each route of the app, each error, and examples that are real requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.json_types import Json
from cds_service.languages import LANGUAGES

_JSON, _FHIR, _HTML, _CSV = "application/json", "application/fhir+json", "text/html", "text/csv"

TAGS = {
    "CDS Hooks": "Discovery, calls and feedback.",
    "operation": "For those who run the service.",
    "catalogue": "Rules and their evidence, for people.",
    "sandbox": "Invented sample patients as a FHIR server; there only if CDS_SANDBOX is set.",
    "SMART": "The web page opened from an EHR; there only if a client profile is registered (smart_client_id).",
    "page": "The web page and what it reads; there only if it is switched on (CDS_PAGE).",
}

HEADERS = {
    "X-Correlation-Id": "Names this call in the log.",
    "X-Knowledge-Version": "The version of rules, limits and value sets.",
    "Retry-After": "Seconds after which the same call may succeed.",
    "WWW-Authenticate": "Bearer.",
    "Allow": "The methods that exist here.",
}

# Status -> description, and the headers that come with it.
ANSWERS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    400: ("Not JSON, or a member is missing or mistyped; `expression` names it.", ()),
    401: ("The caller could not be identified; why is not told.", ("WWW-Authenticate",)),
    403: ("The caller is known, but not for this service or tenant.", ()),
    404: ("There is no such service, resource or page.", ()),
    405: ("This method does not exist here.", ("Allow",)),
    408: ("The body did not arrive in time.", ()),
    412: ("Data that could change the answer can be had neither by prefetch nor from the FHIR server.", ()),
    413: ("The body, or a list in it, is over the limit.", ()),
    415: ("The body is not JSON by its media type, or is compressed.", ()),
    429: ("This caller calls too often.", ("Retry-After",)),
    500: ("A fault of the service; the correlation id finds it in the log.", ()),
    502: ("The FHIR server did not give what was asked.", ()),
    503: ("Cannot be served now.", ("Retry-After",)),
}


@dataclass(frozen=True)
class Operation:
    """One route.

    Attributes:
        statuses: every status it answers with.
        replies: of these, the ones that are no errors in JSON: description, media type, schema (a name, or itself).
        request: name of the schema of its body.
        secured: it asks for a token, unless the service is open.
    """

    tag: str
    summary: str
    statuses: tuple[int, ...]
    replies: Mapping[int, tuple[str, str, str | Json | None]]
    description: str = ""
    request: str | None = None
    secured: bool = False
    query: Mapping[str, Json] = field(default_factory=dict)


_ANYTHING = (429, 500)
_LANGUAGE: Mapping[str, Json] = {"lang": {"type": "string", "enum": list(LANGUAGES)}}
_RESOURCE: Json = {
    "type": "object",
    "properties": {"resourceType": {"type": "string", "minLength": 1}},
    "required": ["resourceType"],
}
_HEALTH: Json = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_READY: Json = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ready", "degraded"]},
        "degraded": {
            "type": "array",
            "items": {"enum": ["database", "tokens", "records", "servers", "terminology", "knowledge"]},
        },
        "database": {"type": "boolean"},
        "knowledge": {"type": "string"},
    },
    "required": ["status", "degraded", "database", "knowledge"],
}
_INDEX: Json = {"type": "object", "properties": {"service": {"const": "cds-service"}}, "required": ["service"]}
_DOCUMENT: Json = {"type": "object", "properties": {"openapi": {"const": "3.1.0"}}, "required": ["openapi", "paths"]}
_CHART_LISTS = ("problems", "medicines", "results", "series", "exposures", "pending", "notes")
_CHART: Json = {
    "type": "object",
    "properties": {"patient": {"type": "object"}, "prefetch": {"type": "object"}}
    | {name: {"type": "array"} for name in _CHART_LISTS},
    "required": ["patient", *_CHART_LISTS, "prefetch"],
}


def _launch_errors(*statuses: int) -> Mapping[int, tuple[str, str, str | Json | None]]:
    """A clinician reads these, so they are pages."""
    return dict.fromkeys(statuses, ("Why the record could not be opened, and what to do", _HTML, None))


def _list(name: str) -> Json:
    return {"type": "object", "properties": {name: {"type": "array"}}, "required": [name]}


OPERATIONS: Mapping[str, Operation] = {
    "discovery": Operation(
        "CDS Hooks",
        "The services, their hooks and prefetch templates",
        (200, 401, 403, *_ANYTHING, 503),
        {200: ("The services", _JSON, "Discovery")},
        "Titles and descriptions come in the language of Accept-Language ({}).".format(", ".join(LANGUAGES)),
        secured=True,
    ),
    "call": Operation(
        "CDS Hooks",
        "Asks a service for cards",
        (200, 400, 401, 403, 404, 408, 412, 413, 415, *_ANYTHING, 503),
        {200: ("Cards; none if the record was read and nothing speaks", _JSON, "HookResponse")},
        "`hook` must be the hook of the service.",
        request="HookRequest",
        secured=True,
    ),
    "feedback": Operation(
        "CDS Hooks",
        "Tells what became of cards",
        (200, 400, 401, 403, 404, 408, 413, 415, *_ANYTHING, 503),
        {200: ("All entries are stored", _JSON, "Received")},
        "Either the whole batch is stored or nothing of it.",
        request="FeedbackRequest",
        secured=True,
    ),
    "index": Operation(
        "operation",
        "What is here; a browser is led to the page, if there is one",
        (200, 302, *_ANYTHING),
        {200: ("Names and addresses", _JSON, _INDEX), 302: ("To /app/", _HTML, None)},
    ),
    "live": Operation("operation", "Is it running?", (200, 500), {200: ("It is", _JSON, _HEALTH)}),
    "ready": Operation(
        "operation",
        "Can it take calls?",
        (200, 500),
        {200: ("It can; `degraded` if something besides is out of order, which `degraded` names", _JSON, _READY)},
    ),
    "metrics": Operation(
        "operation",
        "Numbers for Prometheus; there only in open mode, or where CDS_METRICS or CDS_METRICS_TOKEN is set",
        (200, 401, *_ANYTHING),
        {200: ("Prometheus text, or OpenMetrics if asked for", "text/plain", None)},
        "With CDS_METRICS_TOKEN, that token is to be sent as bearer token.",
    ),
    "report": Operation(
        "operation",
        "What became of the cards",
        (200, 400, *_ANYTHING, 503),
        {200: ("The page", _HTML, None)},
        "There only in open mode with the sandbox, or if CDS_REPORT_PAGE is set. Days are written as 2026-11-20.",
        query={**_LANGUAGE, **{name: {"type": "string"} for name in ("from", "to", "service", "rule", "site")}},
    ),
    "openapi": Operation("operation", "This document", (200, *_ANYTHING), {200: ("The document", _JSON, _DOCUMENT)}),
    "catalogue.index": Operation(
        "catalogue", "All rules", (200, *_ANYTHING), {200: ("The page", _HTML, None)}, query=_LANGUAGE
    ),
    "catalogue.page": Operation(
        "catalogue", "A rule or a register", (200, 404, *_ANYTHING), {200: ("The page", _HTML, None)}, query=_LANGUAGE
    ),
    "catalogue.style": Operation(
        "catalogue", "How the pages look", (200, *_ANYTHING), {200: ("The stylesheet", "text/css", None)}
    ),
    "catalogue.icon": Operation(
        "catalogue", "The icon of the cards", (200, *_ANYTHING), {200: ("The icon", "image/png", None)}
    ),
    "catalogue.codes": Operation(
        "catalogue", "The codes of a value set", (200, 404, *_ANYTHING), {200: ("The codes", _CSV, None)}
    ),
    "page.page": Operation(
        "page",
        "The web page",
        (200, 302, *_ANYTHING),
        {200: ("The page", _HTML, None), 302: ("The same with a slash at its end", _HTML, None)},
        query=_LANGUAGE,
    ),
    "page.file": Operation(
        "page", "Scripts and styles of the page", (200, 404, *_ANYTHING), {200: ("The file", "*/*", None)}
    ),
    "page.servers": Operation(
        "page",
        "The FHIR servers that the page shows",
        (200, *_ANYTHING),
        {200: ("The servers", _JSON, _list("servers"))},
    ),
    "page.patients": Operation(
        "page",
        "Patients of a server, by a part of the name",
        (200, 400, 404, *_ANYTHING, 502),
        {200: ("The first fifty", _JSON, _list("patients"))},
        query={"name": {"type": "string", "maxLength": 100}, **_LANGUAGE},
    ),
    "page.chart": Operation(
        "page",
        "A patient's chart, and the prefetch that an EHR would send",
        (200, 400, 404, *_ANYTHING, 502),
        {200: ("The chart", _JSON, _CHART)},
        query=_LANGUAGE,
    ),
    "page.orders": Operation(
        "page",
        "What can be drafted in the sandbox",
        (200, *_ANYTHING),
        {200: ("The orders", _JSON, _list("orders"))},
        query=_LANGUAGE,
    ),
    "page.read": Operation(
        "page",
        "Reads a resource of a server that the page shows",
        (200, 400, 404, *_ANYTHING, 502),
        {200: ("The resource", _FHIR, _RESOURCE)},
    ),
    "page.search": Operation(
        "page",
        "Searches a type on a server that the page shows",
        (200, 400, 404, *_ANYTHING, 502),
        {200: ("A Bundle", _FHIR, _RESOURCE)},
        query={"patient": {"type": "string"}},
    ),
    "smart.launch": Operation(
        "SMART",
        "A launch from a patient's record",
        (302, 400, 403, *_ANYTHING, 502),
        {302: ("To the sign-in of the EHR", _HTML, None), **_launch_errors(400, 403, 502)},
        query={"iss": {"type": "string"}, "launch": {"type": "string"}},
    ),
    "smart.callback": Operation(
        "SMART",
        "The answer of the EHR's sign-in",
        (302, 400, 403, *_ANYTHING, 502, 503),
        {302: ("To the page", _HTML, None), **_launch_errors(400, 403, 502)},
        query={"code": {"type": "string"}, "state": {"type": "string"}},
    ),
    "smart.logout": Operation(
        "SMART", "Ends the session of the page", (204, *_ANYTHING), {204: ("Signed out", _HTML, None)}
    ),
    "sandbox_fhir.metadata": Operation(
        "sandbox", "CapabilityStatement", (200, 500), {200: ("What it can do", _FHIR, _RESOURCE)}
    ),
    "sandbox_fhir.read": Operation(
        "sandbox",
        "Reads a resource",
        (200, 404, 500),
        {200: ("The resource", _FHIR, _RESOURCE), 404: ("There is no such resource", _FHIR, _RESOURCE)},
    ),
    "sandbox_fhir.search_type": Operation(
        "sandbox",
        "Searches a type",
        (200, 400, 404, 413, 415, 500),
        {
            200: ("A Bundle", _FHIR, _RESOURCE),
            400: ("A parameter cannot be understood", _FHIR, _RESOURCE),
            404: ("There is no such type", _FHIR, _RESOURCE),
            415: ("The parameters are no form", _FHIR, _RESOURCE),
        },
    ),
    "sandbox_fhir.anything_else": Operation(
        "sandbox",
        "Nothing: the server is read-only",
        (404, 405, 500),
        {404: ("There is nothing here", _FHIR, _RESOURCE), 405: ("It is read-only", _FHIR, _RESOURCE)},
    ),
}


def _coded(system: str, code: str, text: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def _bundle(*resources: Json) -> Json:
    entries: Json = {"entry": [{"resource": resource} for resource in resources]} if resources else {}
    return {"resourceType": "Bundle", "type": "searchset", "total": len(resources)} | entries


_RXNORM, _LOINC = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://loinc.org"
_SUBJECT = {"reference": "Patient/example"}
_B12: Json = {
    "resourceType": "Observation",
    "id": "b12",
    "status": "final",
    "code": _coded(_LOINC, "2132-9", "Vitamin B12 [Mass/volume] in Serum"),
    "subject": _SUBJECT,
    "effectiveDateTime": "2026-11-18T08:10:00+01:00",
    "valueQuantity": {"value": 140, "unit": "pg/mL", "system": "http://unitsofmeasure.org", "code": "pg/mL"},
}
_WARFARIN: Json = {
    "resourceType": "MedicationRequest",
    "id": "warfarin",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": _coded(_RXNORM, "11289", "Warfarin"),
    "subject": _SUBJECT,
    "authoredOn": "2026-02-03",
}
_VITAMIN_K: Json = {
    "resourceType": "MedicationRequest",
    "id": "draft-1",
    "status": "draft",
    "intent": "order",
    "medicationCodeableConcept": _coded(_RXNORM, "8308", "Phytonadione"),
    "subject": _SUBJECT,
}
_PREFETCH: Json = {
    "patient": {"resourceType": "Patient", "id": "example", "gender": "female", "birthDate": "1956-05-01"},
    "labs": _bundle(_B12),
    "medicationRequests": _bundle(_WARFARIN),
    "medicationStatements": _bundle(),
    "conditions": _bundle(),
    "procedures": _bundle(),
    "serviceRequests": _bundle(),
    "goals": None,
    "familyHistory": None,
}


def _call(hook: str, **context: Any) -> Json:
    return {
        "hook": hook,
        "hookInstance": "5c1f7d2e-6a0b-4d7c-9a53-0f0a3f3c1b11",
        "context": {"userId": "Practitioner/example", "patientId": "example"} | context,
        "prefetch": _PREFETCH,
    }


_DRAFTS: Json = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": _VITAMIN_K}]}

# Schema of a body -> name -> request; dates stand still, so that in later years the result is an old one.
EXAMPLES: Mapping[str, Mapping[str, Json]] = {
    "HookRequest": {
        "patient-view": _call("patient-view"),
        "encounter-start": _call("encounter-start", encounterId="visit-1"),
        "encounter-discharge": _call("encounter-discharge", encounterId="visit-1"),
        "order-select": _call("order-select", selections=["MedicationRequest/draft-1"], draftOrders=_DRAFTS),
        "order-sign": _call("order-sign", draftOrders=_DRAFTS),
    },
    "FeedbackRequest": {
        "overridden": {
            "feedback": [
                {
                    "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
                    "outcome": "overridden",
                    "overrideReason": {"reason": {"code": "stable-intake", "system": "https://example.org/reasons"}},
                    "outcomeTimestamp": "2026-11-20T08:30:00Z",
                }
            ]
        },
        "accepted": {
            "feedback": [
                {
                    "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
                    "outcome": "accepted",
                    "acceptedSuggestions": [{"id": "e56e1945-20b3-4393-8503-a1a20fd73152"}],
                    "outcomeTimestamp": "2026-11-20T08:31:00Z",
                }
            ]
        },
    },
}
