"""Bounds of what is read: depth, number, length, coding. What is beyond is refused clearly, and nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.fhir.bundle import MAX_ENTRIES, open_resource
from cds_service.hooks.feedback import MAX_ITEMS
from cds_service.hooks.messages import MAX_MEMBERS
from cds_service.settings import Settings
from cds_service.web.api.openapi_texts import EXAMPLES
from cds_service.web.app import create_app
from cds_service.web.ops.rate_limit import FAILED
from tests.support.databases import sqlite_url
from tests.support.feedback import OVERRIDDEN
from tests.support.outcome import outcome
from tests.support.paths import ROOT
from tests.support.recorder import SIGN, VIEW, Recorder, encoded, request_body

EXAMPLE = EXAMPLES["HookRequest"]
FEEDBACK = VIEW + "/feedback"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """The service with its own knowledge."""
    app = create_app(Settings(open=True, database_url=sqlite_url(tmp_path_factory.mktemp("limits"))))
    yield app.test_client()
    app.extensions["database"].close()


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> TestResponse:
    data = body if isinstance(body, bytes) else encoded(body)
    return client.post(path, data=data, content_type="application/json", headers=headers)


# Codings


@pytest.mark.row("REQ-14", "STA-415", "TOY-24")
@pytest.mark.parametrize("path", [VIEW, FEEDBACK])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate", "x-unknown", "gzip, identity"])
def test_a_compressed_body_is_refused_and_not_inflated(
    client: FlaskClient, recorder: Recorder, path: str, coding: str
) -> None:
    response = post(client, path, request_body(), **{"Content-Encoding": coding})
    assert "Content-Encoding" in outcome(response, 415, "structure")
    assert recorder.calls == []


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_not_compressed_is_read(client: FlaskClient, coding: str) -> None:
    assert post(client, VIEW, request_body(), **{"Content-Encoding": coding}).status_code == 200


@pytest.mark.row("REQ-14")
def test_a_body_that_ends_before_its_length_is_refused_even_if_it_is_json(client: FlaskClient) -> None:
    body = encoded(request_body())
    response = client.post(VIEW, data=body + b" " * 9, content_type="application/json")
    assert response.status_code == 200
    short = {"CONTENT_LENGTH": str(len(body) + 9), "wsgi.input_terminated": True}
    response = client.post(VIEW, data=body, content_type="application/json", environ_overrides=short)
    assert "Content-Length" in outcome(response, 400, "invalid")


# Depth


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


PLACES: dict[str, Callable[[Any], Any]] = {
    "unknown member": lambda body: body,
    "context": lambda body: body["context"],
    "prefetch": lambda body: body["prefetch"],
    "bundle": lambda body: body["prefetch"]["labs"],
    "entry": lambda body: body["prefetch"]["labs"]["entry"][0],
    "result": lambda body: body["prefetch"]["labs"]["entry"][0]["resource"],
    "value": lambda body: body["prefetch"]["labs"]["entry"][0]["resource"]["valueQuantity"],
    "medicine": lambda body: body["prefetch"]["medicationRequests"]["entry"][0]["resource"],
    "patient": lambda body: body["prefetch"]["patient"],
    "drafts": lambda body: body["context"]["draftOrders"],
    "draft": lambda body: body["context"]["draftOrders"]["entry"][0]["resource"],
}
NAMES = ("deep", "extension", "note", "dosageInstruction", "entry", "value", "contained", "component", "name", "labs")


@pytest.mark.row("REQ-14", "TOY-24")
@pytest.mark.parametrize("depth", [60, 500, 900, 1_000, 100_000])
@pytest.mark.parametrize("place", PLACES)
def test_nesting_is_no_fault_of_ours_wherever_it_stands(shipped: FlaskClient, place: str, depth: int) -> None:
    for name in NAMES:
        body = deepcopy(EXAMPLE["order-sign"])
        PLACES[place](body)[name] = "DEEP"
        text = encoded(body).replace(b'"DEEP"', nested(depth))
        response = post(shipped, SIGN, text)
        assert response.status_code in ((400,) if depth == 100_000 else (200, 400, 412)), (name, response.text)


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize("depth", [500, 900, 1_000, 100_000])
def test_nested_feedback_is_no_fault_of_ours(shipped: FlaskClient, depth: int) -> None:
    for place in ("feedback", "card", "acceptedSuggestions", "overrideReason", "unknown"):
        body: dict[str, Any] = {"feedback": [OVERRIDDEN | {place: "DEEP"}]}
        if place == "feedback":
            body = {"feedback": "DEEP"}
        response = post(shipped, FEEDBACK, encoded(body).replace(b'"DEEP"', nested(depth)))
        assert response.status_code in ((400,) if depth == 100_000 else (200, 400)), response.text


# Text that is none


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\x00"])
@pytest.mark.parametrize(
    "text",
    [
        b'{"resourceType": "Bundle", "entry": [{"fullUrl": "BAD"}]}',
        b'{"resourceType": "Bundle", "link": [{"relation": "next", "url": "BAD"}]}',
        b'{"resourceType": "BAD"}',
        b'{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "BAD"}]}',
    ],
)
def test_a_page_that_is_not_utf_8_opens_without_raising(text: bytes, bad: bytes) -> None:
    """Request bodies are checked as a whole; pages of a FHIR server come here as they are. Found by a fuzzer."""
    opened = open_resource(text.replace(b"BAD", bad))
    assert opened.entries == []
    assert opened.next_url is None


# Number


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize("where", ["", "context", "prefetch"])
def test_more_members_than_anybody_needs_are_refused(client: FlaskClient, recorder: Recorder, where: str) -> None:
    body = request_body(prefetch={})
    target = body[where] if where else body
    target |= {f"m{n}": None for n in range(MAX_MEMBERS - len(target))}
    assert post(client, VIEW, body).status_code == 200
    target["one more"] = None
    response = post(client, VIEW, body)
    assert str(MAX_MEMBERS) in outcome(response, 413, "too-long")
    assert response.json["issue"][0].get("expression") == ([where] if where else None)
    assert len(recorder.calls) == 1


def bundle(entries: int, kind: str = "Basic") -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": kind}}] * entries}


@pytest.mark.row("REQ-14", "STA-413", "TOY-24")
def test_a_bundle_of_more_entries_than_a_chart_has_is_refused(shipped: FlaskClient) -> None:
    body = deepcopy(EXAMPLE["patient-view"])
    body["prefetch"]["conditions"] = bundle(MAX_ENTRIES + 1)
    response = post(shipped, VIEW, body)
    assert str(MAX_ENTRIES) in outcome(response, 413, "too-long")
    assert response.json["issue"][0]["expression"] == ["prefetch.conditions"]


@pytest.mark.row("REQ-14")
def test_entries_are_counted_over_all_bundles_too(shipped: FlaskClient) -> None:
    body = deepcopy(EXAMPLE["patient-view"])
    for key, kind in (("conditions", "Condition"), ("procedures", "Procedure")):
        body["prefetch"][key] = bundle(MAX_ENTRIES // 2, kind)
    response = post(shipped, VIEW, body)
    outcome(response, 413, "too-long")
    assert response.json["issue"][0]["expression"] == ["prefetch"]


@pytest.mark.row("REQ-14")
def test_more_draft_orders_than_anybody_has_are_refused(shipped: FlaskClient) -> None:
    body = deepcopy(EXAMPLE["order-sign"])
    body["context"]["draftOrders"] = bundle(MAX_ENTRIES + 1)
    response = post(shipped, SIGN, body)
    outcome(response, 413, "too-long")
    assert response.json["issue"][0]["expression"] == ["context.draftOrders"]


@pytest.mark.parametrize("odd", [{}, {"total": "many"}, {"link": 7}])
def test_a_bundle_just_at_the_limit_is_opened_and_one_beyond_is_not(odd: dict[str, Any]) -> None:
    at, beyond = (open_resource(encoded(bundle(MAX_ENTRIES + more) | odd)) for more in (0, 1))
    assert (len(at.entries), at.too_many) == (MAX_ENTRIES, False)
    assert (len(beyond.entries), beyond.too_many) == (0, True)


@pytest.mark.row("FBK-02")
def test_a_batch_of_feedback_beyond_the_limit_is_refused_as_a_whole(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    items = [OVERRIDDEN | {"card": str(n)} for n in range(MAX_ITEMS + 1)]
    response = post(app.test_client(), FEEDBACK, {"feedback": items})
    assert str(MAX_ITEMS) in outcome(response, 413, "too-long")
    assert app.extensions["feedback_store"].events() == []
    assert post(app.test_client(), FEEDBACK, {"feedback": items[:-1]}).json == {"received": MAX_ITEMS}


# Members given twice


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize(
    "twice",
    [
        b'{"card": "1", "card": "2", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T08:30:00Z"}',
        b'{"card": "1", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T08:30:00Z",'
        b' "overrideReason": {"reason": {"code": "a", "code": "b"}}}',
    ],
)
def test_a_member_given_twice_anywhere_in_feedback_is_refused(make_app: Callable[..., Flask], twice: bytes) -> None:
    app = make_app()
    response = post(app.test_client(), FEEDBACK, b'{"feedback": [' + twice + b"]}")
    assert "twice" in outcome(response, 400, "invalid")
    assert app.extensions["feedback_store"].events() == []


@pytest.mark.row("REQ-14")
def test_a_token_for_two_patients_is_refused(client: FlaskClient) -> None:
    text = b'{"access_token": "a", "patient": "pat-2", "patient": "pat-1", "token_type": "Bearer"}'
    body = encoded(request_body(fhirAuthorization="TWICE")).replace(b'"TWICE"', text)
    response = post(client, VIEW, body)
    outcome(response, 400, "invalid")
    assert response.json["issue"][0]["expression"] == ["fhirAuthorization"]


def test_of_a_member_given_twice_within_a_resource_the_last_counts(shipped: FlaskClient) -> None:
    """Nearly every reader of JSON does so, JavaScript's among them; see docs/clarifications.md."""
    once = encoded(EXAMPLE["patient-view"])
    for values, cards in ((b'"value": 140, "value": 700', 0), (b'"value": 700, "value": 140', 1)):
        response = post(shipped, VIEW, once.replace(b'"value": 140', values))
        assert len(response.json["cards"]) == cards


# Length


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize("character", ["a", "钾", "\\", '"', "<", "1 ", "2x ", "\n"])
def test_texts_of_a_hundred_thousand_letters_are_no_fault_of_ours(shipped: FlaskClient, character: str) -> None:
    long = (character * 150_000)[:150_000]
    for place, name in [
        ("value", "unit"),
        ("value", "code"),
        ("result", "status"),
        ("result", "effectiveDateTime"),
        ("medicine", "authoredOn"),
        ("patient", "birthDate"),
    ]:
        body = deepcopy(EXAMPLE["order-sign"])
        PLACES[place](body)[name] = long
        assert post(shipped, SIGN, body).status_code in (200, 412)
    body = deepcopy(EXAMPLE["order-sign"])
    PLACES["medicine"](body)["dosageInstruction"] = [{"text": long, "patientInstruction": long}]
    PLACES["draft"](body)["medicationCodeableConcept"]["text"] = long
    PLACES["draft"](body)["dosageInstruction"] = [{"text": long}]
    response = post(shipped, SIGN, body)
    assert response.status_code == 200
    assert all(len(card["summary"]) < 140 for card in response.json["cards"])


@pytest.mark.parametrize("digits", ["1e308", "1e999", "-1e999", "9" * 400, "0." + "0" * 400 + "1", "-0", "1E-400"])
@pytest.mark.row("REQ-14")
def test_numbers_beyond_all_measure_are_no_fault_of_ours(shipped: FlaskClient, digits: str) -> None:
    body = encoded(EXAMPLE["patient-view"]).replace(b'"value": 140', b'"value": ' + digits.encode())
    response = post(shipped, VIEW, body)
    assert response.status_code in (200, 400, 412)
    assert json.loads(response.data) == msgspec.json.decode(response.data)


# What is written about it


def test_the_document_of_limits_tells_the_limits_in_force() -> None:
    text = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    told = [(cells[2].strip(), cells[4]) for line in text.splitlines() if len(cells := line.split("|")) == 6]
    shipped = Settings()
    in_force = {
        "CDS_MAX_BODY": f"{shipped.max_body:,}",
        "CDS_BODY_TIMEOUT": f"{shipped.body_timeout:g}",
        "CDS_RATE_LIMIT": shipped.rate_limit,
        "FAILED": FAILED,
        "MAX_ENTRIES": f"{MAX_ENTRIES:,}",
        "MAX_MEMBERS": f"{MAX_MEMBERS:,}",
        "MAX_ITEMS": f"{MAX_ITEMS:,}",
    }
    assert {name: limit for limit, where in told for name in in_force if f"`{name}`" in where} == in_force
