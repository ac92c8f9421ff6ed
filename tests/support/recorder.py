"""A stand-in for the evaluation, which records each call and answers one card; and the bodies of requests."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from cds_service.hooks.messages import CallContext, HookRequest

SERVICES = {
    "vitamin-b12-patient-view": "patient-view",
    "vitamin-k-order-select": "order-select",
    "vitamin-k-order-sign": "order-sign",
    "vitamin-b12-encounter-start": "encounter-start",
    "vitamin-b12-encounter-discharge": "encounter-discharge",
}
VIEW = "/cds-services/vitamin-b12-patient-view"
SELECT = "/cds-services/vitamin-k-order-select"
SIGN = "/cds-services/vitamin-k-order-sign"
UUID_V1 = "3f1dde72-162b-11ec-99e8-0050568b7be6"


class Recorder:
    """Answers every call alike and keeps what it was asked. Set `fails` to have it raise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, HookRequest, CallContext]] = []
        self.fails: Exception | None = None

    def __call__(self, service_id: str, request: HookRequest, call: CallContext) -> dict[str, Any]:
        self.calls.append((service_id, request, call))
        if self.fails is not None:
            raise self.fails
        return {"cards": [card()]}

    @property
    def request(self) -> HookRequest:
        return self.calls[-1][1]

    @property
    def call(self) -> CallContext:
        return self.calls[-1][2]


def card() -> dict[str, Any]:
    return {
        "uuid": str(uuid4()),
        "summary": "A card of the test",
        "indicator": "info",
        "source": {"label": "Test", "topic": {"system": "https://example.org/rules", "code": "test-rule"}},
    }


def knowledge(*without: str) -> Any:
    services = {i: SimpleNamespace(id=i, hook=h) for i, h in SERVICES.items() if i not in without}
    return SimpleNamespace(version="1.2.3+test", services=services)


def discovery(language: str, versions: bool = False) -> dict[str, Any]:
    entries = [
        {"id": i, "hook": h, "title": f"Title in {language}", "description": "What it does"}
        for i, h in SERVICES.items()
    ]
    return {"services": entries}


def request_body(hook: str = "patient-view", /, **changes: Any) -> dict[str, Any]:
    """A complete request of a hook; each change replaces a member of it, `...` takes it out.

    A name with two underscores reaches into an object: `context__patientId=...`.
    """
    body: dict[str, Any] = {
        "hook": hook,
        "hookInstance": UUID_V1,
        "context": {"userId": "Practitioner/pract-1", "patientId": "pat-1"},
    }
    if hook.startswith("encounter"):
        body["context"]["encounterId"] = "enc-1"
    if hook.startswith("order"):
        body["context"]["draftOrders"] = {"resourceType": "Bundle", "entry": []}
    if hook == "order-select":
        body["context"]["selections"] = ["MedicationRequest/1"]
    for name, value in changes.items():
        *parents, last = name.split("__")
        target = body
        for parent in parents:
            target = target[parent]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return body


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()
