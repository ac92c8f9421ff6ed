"""Makes the OpenAPI 3.1 document from the app's routes and the models of requests and responses.

Schemas come from `hooks/`, paths and methods from the app; a test fails for a route without a description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from cds_service import __version__
from cds_service.errors import RequestError
from cds_service.hooks.contexts import CONTEXTS
from cds_service.hooks.feedback import MAX_ITEMS, FeedbackRequest
from cds_service.hooks.messages import MAX_MEMBERS
from cds_service.hooks.response_models import Discovery, HookResponse
from cds_service.json_types import Json
from cds_service.languages import LANGUAGES
from cds_service.web.api.openapi_texts import ANSWERS, EXAMPLES, HEADERS, OPERATIONS, TAGS, Operation
from cds_service.web.api.operation_outcome import STATUS_TEXTS
from cds_service.web.responses import JSON, json_response

PATH = "/openapi.json"
_SCHEMA = "#/components/schemas/{model}"
_UUID = r"^(?:urn:uuid:)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
# Headers of every response.
_ALWAYS = ("X-Correlation-Id", "X-Knowledge-Version")


def add_route(app: Flask, service_ids: Iterable[str], public_url: str | None) -> None:
    """Adds the route of the document, which needs no token. The document is made at the first request."""
    made = lru_cache(maxsize=1)(lambda: openapi(app, service_ids, public_url))
    app.add_url_rule(PATH, "openapi", lambda: json_response(made()), methods=["GET"])


def openapi(app: Flask, service_ids: Iterable[str], public_url: str | None) -> Json:
    """The OpenAPI document of an app as JSON data.

    Raises:
        KeyError: a route of the app has no description in `openapi.yaml`.
    """
    ids = sorted(service_ids)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cds-service",
            "version": __version__,
            "summary": "CDS Hooks 2.0.1: vitamin B12 deficiency, and vitamin K with a vitamin K antagonist.",
            "description": (
                "Errors are FHIR OperationOutcomes. Members that are not described are ignored in requests; `null`"
                " means the same as a member left out. A slash too many in an address does no harm."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": _paths(app, ids),
        "components": {
            "schemas": _schemas(),
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()},
            "responses": {str(status): _error(text) for status, text in ANSWERS.items()},
            "securitySchemes": {
                "jwt": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token that the CDS client signs itself, new for every call (CDS Hooks 2.0.1).",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "cds_session_0",
                    "description": "Set when the page is opened from a patient's record in an EHR (SMART App Launch).",
                },
            },
        },
    }


def _paths(app: Flask, service_ids: list[str]) -> Json:
    paths: dict[str, Json] = {}
    for rule in app.url_map.iter_rules():
        operation = OPERATIONS[rule.endpoint]
        path = canonical(rule.rule)
        entry = paths.setdefault(path, {})
        parameters = [_parameter(name, service_ids) for name in re.findall(r"\{(\w+)\}", path)]
        if parameters:
            entry["parameters"] = parameters
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            entry[method.lower()] = _operation(operation, path, f"{method.lower()}{re.sub(r'[{}/._-]+', '-', path)}")
    return dict(sorted(paths.items()))


def canonical(rule: str) -> str:
    """The path in the document for a URL rule of the app; tolerated spellings become the canonical one.

    >>> canonical("/cds-services//<service_id>/feedback/")
    '/cds-services/{service_id}/feedback'
    """
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
    return re.sub("/{2,}", "/", path).rstrip("/") or "/"


def _parameter(name: str, service_ids: list[str]) -> Json:
    schema: Json = {"type": "string", "enum": service_ids} if name == "service_id" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(operation: Operation, path: str, operation_id: str) -> Json:
    described: Json = {
        "operationId": operation_id.rstrip("-"),
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": {str(status): _answer(operation, status) for status in operation.statuses},
    }
    if operation.description:
        described["description"] = operation.description.format(languages=", ".join(LANGUAGES))
    if operation.secured:
        # Routes that a client calls with its token and the page with a clinician's session.
        described["security"] = [{"session": []}] if path.startswith("/app/") else [{"jwt": []}, {}]
    if operation.query:
        described["parameters"] = [
            {"name": name, "in": "query", "schema": schema} for name, schema in operation.parameters().items()
        ]
    if operation.request is not None:
        content = {"schema": {"$ref": _SCHEMA.format(model=operation.request)}}
        described["requestBody"] = {"required": True, "content": {JSON: content | _examples(operation.request)}}
    return described


def _examples(request: str) -> Json:
    return {"examples": {name: {"value": value} for name, value in EXAMPLES[request].items()}}


def _answer(operation: Operation, status: int) -> Json:
    if status not in operation.replies:
        return {"$ref": f"#/components/responses/{status}"}
    text, media_type, schema = operation.replies[status]
    content: Json = {media_type: {} if schema is None else {"schema": _known(schema)}}
    if status >= 400:
        # An address that matches no route (e.g. with a line break) gets the app's own error response.
        content.setdefault(JSON, {"schema": _known("OperationOutcome")})
    return {"description": text, "headers": _headers(_ALWAYS), "content": content}


def _known(schema: str | Mapping[str, Any]) -> Json:
    return {"$ref": _SCHEMA.format(model=schema)} if isinstance(schema, str) else dict(schema)


def _error(text: tuple[str, tuple[str, ...]]) -> Json:
    description, headers = text
    return {
        "description": description,
        "headers": _headers((*_ALWAYS, *headers)),
        "content": {JSON: {"schema": {"$ref": _SCHEMA.format(model="OperationOutcome")}}},
    }


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


# Schemas


class _Schema(GenerateJsonSchema):
    """Removes titles that only repeat the member's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Requests(_Schema):
    """Describes FHIR resources, which our models keep as bytes."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        if schema["cls"] is msgspec.Raw:
            return _object({"resourceType": {"const": "Bundle"}}, ["resourceType"])
        return super().is_instance_schema(schema)


class _Replies(_Schema):
    """Removes null from response members: `X | None` in a model means that the member may be absent."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def _schemas() -> Json:
    contexts = {hook: model.__name__ for hook, model in CONTEXTS.items()}
    calls = {f"{_camel(hook)}Request": _call(hook, model) for hook, model in contexts.items()}
    requests = _defined([*CONTEXTS.values(), FeedbackRequest], _Requests, "validation")
    requests["FeedbackRequest"]["properties"]["feedback"]["maxItems"] = MAX_ITEMS
    return {
        **_defined([Discovery, HookResponse], _Replies, "serialization"),
        **requests,
        **calls,
        "HookRequest": {
            "oneOf": [{"$ref": _SCHEMA.format(model=name)} for name in calls],
            "discriminator": {
                "propertyName": "hook",
                "mapping": {hook: _SCHEMA.format(model=f"{_camel(hook)}Request") for hook in contexts},
            },
        },
        "Received": _object({"received": {"type": "integer", "minimum": 0}}, ["received"]),
        "OperationOutcome": _outcome(),
    }


def _call(hook: str, context: str) -> Json:
    """The envelope of a call, as `hooks/messages.py` checks it."""
    text = {"type": ["string", "null"]}
    return _object(
        {
            "hook": {"const": hook},
            "hookInstance": {"type": "string", "pattern": _UUID},
            "context": {"$ref": _SCHEMA.format(model=context)},
            "prefetch": {"type": ["object", "null"], "maxProperties": MAX_MEMBERS},
            "fhirServer": text,
            "fhirAuthorization": {
                "type": ["object", "null"],
                "properties": {
                    "access_token": text,
                    "token_type": text,
                    "expires_in": {"type": ["integer", "null"]},
                    "scope": text,
                    "subject": text,
                    "patient": text,
                },
            },
        },
        ["hook", "hookInstance", "context"],
    )


def _outcome() -> Json:
    codes = {code for code, _ in STATUS_TEXTS.values()} | {error.code for error in _errors(RequestError)}
    issue = _object(
        {
            "severity": {"const": "error"},
            "code": {"enum": sorted(codes | {"required", "processing", "exception"})},
            "diagnostics": {"type": "string", "minLength": 1},
            "expression": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
        },
        ["severity", "code", "diagnostics"],
        additionalProperties=False,
    )
    return _object(
        {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {"type": "array", "items": issue, "minItems": 1, "maxItems": 1},
        },
        ["resourceType", "issue"],
        additionalProperties=False,
    )


def _errors(base: type[RequestError]) -> Iterable[type[RequestError]]:
    yield base
    for error in base.__subclasses__():
        yield from _errors(error)


def _defined(models: list[type[BaseModel]], generator: type[GenerateJsonSchema], mode: JsonSchemaMode) -> Json:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, mode) for model in models]
    _, made = models_json_schema(wanted, by_alias=True, ref_template=_SCHEMA, schema_generator=generator)
    definitions: Json = made["$defs"]
    return definitions


def _object(properties: Json, required: list[str], **more: Any) -> Json:
    return {"type": "object", "properties": properties, "required": required, **more}


def _camel(hook: str) -> str:
    return "".join(part.capitalize() for part in hook.split("-"))
