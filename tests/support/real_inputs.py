"""The service with its shipped knowledge, its sample patients, and what every reply must be: for real inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml
from fhir.resources.R4B import get_fhir_model_class
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.worked_patients import WorkedPatient, read_worked
from cds_service.hooks.call import make_answer
from cds_service.hooks.discovery import discovery
from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.hooks.response_models import HookResponse
from cds_service.sandbox.patients import WorkedResources, hook_request, patient_resources, prefetch_of
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.databases import sqlite_url
from tests.support.labels import plain_label

Json = dict[str, Any]
Answer = Callable[[str, HookRequest, CallContext], Json]

# The day of the latest date in tests/wire/requests; every call of these tests is judged as of then.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAMPLES = read_worked(knowledge_dir() / "sandbox" / "patients.yaml", knowledge_dir())
# Statuses that a caller can bring about; anything from 500 up is a fault of ours.
DOCUMENTED = frozenset((200, 400, 412))
_CARD_ID = "cds-service.rule"


@lru_cache
def knowledge() -> KnowledgeBase:
    return load_knowledge()


@lru_cache
def services(hook: str) -> tuple[str, ...]:
    """Ids of the services that are published for a hook."""
    return tuple(service.id for service in knowledge().services.values() if service.hook == hook)


@lru_cache
def _answer(fhir_allow: tuple[str, ...], fhir_deadline: float) -> Answer:
    settings = Settings(open=True, fhir_allow=fhir_allow, fhir_deadline=fhir_deadline)
    answer = make_answer(knowledge(), settings)
    return lambda service, request, call: answer(service, request, replace(call, now=NOW))


@contextmanager
def shipped_service(
    folder: Path,
    *,
    fhir_allow: tuple[str, ...] = (),
    fhir_deadline: float = 4.0,
    profile: Mapping[str, Any] | None = None,
) -> Iterator[FlaskClient]:
    """A client of the service as it is shipped, open to everybody, on NOW.

    Args:
        folder: for its database and its client file.
        profile: members of the client profile that are not as for everybody.
    """
    settings: Json = {"fhir_allow": fhir_allow, "fhir_deadline": fhir_deadline}
    if profile is not None:
        settings["clients"] = folder / "clients.yaml"
        members = {"name": "open", "fhir_without_token": True, **profile}
        settings["clients"].write_text(yaml.safe_dump({"clients": [members]}), encoding="utf-8")
    app = create_app(
        Settings(open=True, database_url=sqlite_url(folder), **settings),
        served=Served(knowledge(), _answer(fhir_allow, fhir_deadline), partial(discovery, knowledge())),
    )
    try:
        yield app.test_client()
    finally:
        app.extensions["database"].close()


def call(client: FlaskClient, service: str, body: Json | bytes, language: str = "en") -> TestResponse:
    """Posts the body to a service; what comes back is checked to be a documented and valid reply."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "Accept-Language": language}
    response = client.post(f"/cds-services/{service}", data=data, headers=headers)
    check_reply(response)
    return response


def check_reply(response: TestResponse) -> None:
    """A documented status; 200 with valid cards, anything else with a valid OperationOutcome."""
    assert response.status_code in DOCUMENTED, (response.status_code, response.get_data(as_text=True))
    reply = response.get_json()
    if response.status_code != 200:
        _model("OperationOutcome").model_validate(reply)
        return
    HookResponse.model_validate(reply)
    for card in reply["cards"]:
        for action in [action for suggestion in card.get("suggestions", []) for action in suggestion["actions"]]:
            if "resource" in action:
                _model(action["resource"]["resourceType"]).model_validate(action["resource"])


def _model(resource_type: str) -> Any:
    """The R4B model of a type; for what the service sends, R4B has the shapes of R4."""
    return get_fhir_model_class(resource_type)


@dataclass(frozen=True, slots=True)
class Told:
    """What a card tells a reader: all of it but the ids that are new in every reply."""

    rule: str
    variant: str | None
    indicator: str
    summary: str
    detail: str
    suggestions: tuple[str, ...]
    actions: tuple[str, ...]


def told(response: TestResponse) -> list[Told]:
    """What the cards of a reply tell, in their order."""
    assert response.status_code == 200, response.get_data(as_text=True)
    return [_told(card) for card in response.get_json()["cards"]]


def _told(card: Json) -> Told:
    suggestions = card.get("suggestions", [])
    rule = card["extension"][_CARD_ID]
    return Told(
        rule["id"],
        rule.get("variant"),
        card["indicator"],
        card["summary"],
        card.get("detail", ""),
        tuple(suggestion["label"] for suggestion in suggestions),
        tuple(json.dumps(action, sort_keys=True) for each in suggestions for action in each["actions"]),
    )


def rules(response: TestResponse) -> list[str]:
    """Rule ids of the cards of a reply."""
    return [card.rule for card in told(response)]


def problem(response: TestResponse) -> tuple[int, str, str]:
    """Status, issue code and words of a refusal."""
    issue = response.get_json()["issue"][0]
    return response.status_code, issue["code"], issue["diagnostics"]


@lru_cache
def _resources() -> dict[str, WorkedResources]:
    return {sample.id: patient_resources(sample, knowledge().terminology, NOW) for sample in SAMPLES}


def resources_of(sample: WorkedPatient) -> WorkedResources:
    return _resources()[sample.id]


def sample_request(sample: WorkedPatient, hook: str | None = None, **members: Any) -> Json:
    """The call about a sample patient, at its own hook or another one that takes what it has.

    Args:
        members: as of `hook_request`; `prefetch` True for all that there is.
    """
    resources = resources_of(sample)
    if members.get("prefetch") is True:
        members["prefetch"] = prefetch_of(resources)
    return hook_request(sample.model_copy(update={"hook": hook or sample.hook}), resources, **members)


def hooks_of(sample: WorkedPatient) -> tuple[str, ...]:
    """The hooks at which a sample can be judged: both for orders if it has drafts, else all for charts."""
    return (
        ("order-select", "order-sign") if sample.drafts else ("patient-view", "encounter-start", "encounter-discharge")
    )


def orders_suggested(card: Told, language: str) -> set[str]:
    """Ids of the catalogue's orders that a card suggests; a label may have the product's name behind it."""
    return {
        order_id
        for order_id, order in knowledge().orders.items()
        for label in card.suggestions
        if plain_label(label).startswith(order.label.in_language("zh" if language == "zh" else "en"))
    }
