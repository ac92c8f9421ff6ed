"""The service on a real HAPI FHIR server: what it fetches itself leads to the same cards as a full prefetch."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.egress.egress import Egress
from cds_service.fhir.fetch.client import Fetched, fetch_all
from cds_service.hooks.call import make_answer
from cds_service.hooks.messages import CallContext, parse_request
from cds_service.security.clients import OPEN
from cds_service.settings import Settings
from tests.servers.fixtures import store
from tests.support.real_inputs import (
    NOW,
    SAMPLES,
    Json,
    call,
    hooks_of,
    orders_suggested,
    problem,
    resources_of,
    rules,
    sample_request,
    services,
    shipped_service,
    told,
)
from tests.support.reasons import failure, shortfall

pytestmark = pytest.mark.hapi

LOW_B12 = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")
BOTH = next(sample for sample in SAMPLES if sample.id == "b12-and-warfarin")

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)


@pytest.fixture(scope="session")
def hapi(hapi_url: str) -> str:
    """The HAPI server with all sample patients in it."""
    resources = [resources_of(sample) for sample in SAMPLES]
    store(hapi_url, [each.patient for each in resources])
    store(hapi_url, [resource for each in resources for resource in each.all[1:]])
    return hapi_url


@pytest.fixture
def client(hapi: str, tmp_path: Path) -> Iterator[FlaskClient]:
    with shipped_service(tmp_path, fhir_allow=(hapi,)) as client:
        yield client


@pytest.mark.row("PFD-13")
@each_sample
def test_without_prefetch_every_service_answers_as_with_all_of_it(
    client: FlaskClient, hapi: str, sample: WorkedPatient
) -> None:
    for hook in hooks_of(sample):
        sent = sample_request(sample, hook, prefetch=True)
        fetched = sample_request(sample, hook, fhir_server=hapi)
        assert services(hook)
        for service in services(hook):
            language = sample.language
            assert told(call(client, service, fetched, language)) == told(call(client, service, sent, language))


@each_sample
def test_the_sample_gets_its_expected_cards_from_hapi(client: FlaskClient, hapi: str, sample: WorkedPatient) -> None:
    request = sample_request(sample, fhir_server=hapi)
    cards = [
        card for service in services(sample.hook) for card in told(call(client, service, request, sample.language))
    ]

    assert {card.rule: card.indicator for card in cards} == {
        rule: expected.severity for rule, expected in sample.expect.items()
    }
    for card in cards:
        suggested = orders_suggested(card, sample.language)
        assert set(sample.expect[card.rule].suggest) <= suggested
        assert not suggested & set(sample.expect[card.rule].forbid)


@pytest.mark.parametrize("missing", ["labs", "medicationRequests", "medicationStatements", "conditions"])
def test_a_prefetch_with_a_key_left_out_is_completed(client: FlaskClient, hapi: str, missing: str) -> None:
    whole = sample_request(BOTH, prefetch=True)
    partial = sample_request(BOTH, prefetch=True, fhir_server=hapi)
    del partial["prefetch"][missing]

    for service in services("patient-view"):
        expected = told(call(client, service, whole))
        assert expected
        assert told(call(client, service, partial)) == expected


@pytest.mark.row("PFD-09")
def test_a_first_page_sent_as_prefetch_is_fetched_whole(client: FlaskClient, hapi: str) -> None:
    partial = sample_request(LOW_B12, prefetch=True, fhir_server=hapi)
    partial["prefetch"]["labs"] = {"resourceType": "Bundle", "type": "searchset", "total": 2}

    assert rules(call(client, "vitamin-b12-patient-view", partial)) == ["b12-low"]


def results(patient: str, name: str, code: str, unit: str, values: list[float], first: int) -> list[Json]:
    """Results of one test every six hours back in time, the newest `first` hours ago."""
    return [
        {
            "resourceType": "Observation",
            "id": f"{patient}-{name}-{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": (NOW - timedelta(hours=first + 6 * number)).isoformat(),
            "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        }
        for number, value in enumerate(values)
    ]


def test_a_result_on_the_third_page_is_found(client: FlaskClient, hapi: str) -> None:
    """450 results, the only B12 the oldest of them: three pages of the size that the service asks for."""
    patient = "many-results"
    inrs = results(patient, "inr", "6301-6", "{INR}", [2.0 + number % 10 / 10 for number in range(449)], first=20)
    b12 = results(patient, "b12", "2132-9", "pg/mL", [164], first=24 * 150)
    store(hapi, [{"resourceType": "Patient", "id": patient, "gender": "male", "birthDate": "1950-01-01"}])
    store(hapi, [*inrs, *b12])

    request = sample_request(LOW_B12, fhir_server=hapi)
    request["context"]["patientId"] = patient

    assert rules(call(client, "vitamin-b12-patient-view", request)) == ["b12-low"]


def test_a_result_without_a_loinc_code_counts_when_sent_but_is_not_found_by_the_search(
    client: FlaskClient, hapi: str
) -> None:
    """A limit of the search, which names codes: such a laboratory's results have to come as prefetch."""
    patient = "local-codes"
    person = {"resourceType": "Patient", "id": patient, "gender": "male", "birthDate": "1950-01-01"}
    result = results(patient, "b12", "", "pg/mL", [164], first=24)[0] | {"code": {"text": "血清维生素B12"}}
    store(hapi, [person])
    store(hapi, [result])
    request = sample_request(LOW_B12, fhir_server=hapi)
    request["context"]["patientId"] = patient
    sent = request | {"prefetch": {"labs": {"resourceType": "Bundle", "entry": [{"resource": result}]}}}

    assert rules(call(client, "vitamin-b12-patient-view", request)) == []
    assert rules(call(client, "vitamin-b12-patient-view", sent)) == ["b12-low"]


def test_a_result_with_a_local_code_that_the_site_lists_is_found_by_the_search(hapi: str, tmp_path: Path) -> None:
    patient = "site-codes"
    person = {"resourceType": "Patient", "id": patient, "gender": "male", "birthDate": "1950-01-01"}
    coded = {"coding": [{"system": "urn:oid:2.999.1.1", "code": "B12S,1"}]}
    result = results(patient, "b12", "", "pg/mL", [164], first=24)[0] | {"code": coded}
    store(hapi, [person])
    store(hapi, [result])
    (tmp_path / "overlay.yaml").write_text("site: A clinic\n")
    table = 'system,code,match,concept\nurn:oid:2.999.1.1,"B12S,1",exact,serum-vitamin-b12\n'
    (tmp_path / "local_codes.csv").write_text(table)
    request = sample_request(LOW_B12, fhir_server=hapi)
    request["context"]["patientId"] = patient

    answer = make_answer(load_knowledge(site=tmp_path), Settings(open=True, fhir_allow=(hapi,)))
    reply = answer(
        "vitamin-b12-patient-view",
        parse_request(json.dumps(request).encode(), "patient-view", OPEN),
        CallContext(OPEN, "en", NOW, {"notes": {}}),
    )

    assert [card["extension"]["cds-service.rule"]["id"] for card in reply["cards"]] == ["b12-low"]


def test_a_patient_that_hapi_does_not_have_is_412(client: FlaskClient, hapi: str) -> None:
    request = sample_request(LOW_B12, fhir_server=hapi)
    request["context"]["patientId"] = "not-on-this-server"

    for service in services("patient-view"):
        status, code, words = problem(call(client, service, request))
        assert (status, code) == (412, "incomplete")
        assert "HTTP 404" in words


def test_the_prefetched_patient_of_another_call_is_412(client: FlaskClient, hapi: str) -> None:
    request = sample_request(LOW_B12, fhir_server=hapi, prefetch={"patient": resources_of(BOTH).patient})

    assert problem(call(client, "vitamin-b12-patient-view", request))[:2] == (412, "incomplete")


def test_the_orders_that_cards_draft_are_valid_for_hapi(client: FlaskClient, hapi: str) -> None:
    drafted: dict[tuple[str, str], Json] = {}
    for sample in SAMPLES:
        for service in services(sample.hook):
            reply = call(client, service, sample_request(sample, prefetch=True), sample.language).get_json()
            for suggestion in [each for card in reply["cards"] for each in card.get("suggestions", [])]:
                for action in suggestion["actions"]:
                    if "resource" in action:
                        drafted[action["resource"]["resourceType"], suggestion["label"]] = action["resource"]

    assert {kind for kind, _ in drafted} == {"MedicationRequest", "ServiceRequest", "Task"}
    for (kind, label), resource in drafted.items():
        answer = requests.post(f"{hapi}/{kind}/$validate", json=resource, timeout=60)
        issues = [issue for issue in answer.json()["issue"] if issue["severity"] in ("error", "fatal")]
        assert not issues, (label, issues)


# What HAPI itself can show of docs/faults.md


def fetched(base: str, query: str, **limits: Any) -> Fetched:
    """One query, as the service asks it."""
    return fetch_all(Egress([base]), base, None, {"it": query}, deadline=time.monotonic() + 30, **limits)["it"]


def test_a_base_where_hapi_is_not_is_412(hapi: str, tmp_path: Path) -> None:
    base = hapi.removesuffix("/fhir") + "/elsewhere"
    with shipped_service(tmp_path, fhir_allow=(base,)) as client:
        status, code, words = problem(call(client, services("patient-view")[0], sample_request(BOTH, fhir_server=base)))
    assert (status, code) == (412, "incomplete")
    assert "fetching failed: HTTP 404" in words


def test_a_deleted_patient_is_412(client: FlaskClient, hapi: str) -> None:
    store(hapi, [{"resourceType": "Patient", "id": "deleted", "birthDate": "1950-01-01"}])
    assert requests.delete(f"{hapi}/Patient/deleted", timeout=60).status_code == 200
    request = sample_request(BOTH, fhir_server=hapi)
    request["context"]["patientId"] = "deleted"

    for service in services("patient-view"):
        status, code, words = problem(call(client, service, request))
        assert (status, code) == (412, "incomplete")
        assert "fetching failed: HTTP 410" in words


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("Observation?patient=b12-low-metformin&no-such-parameter=x", "HTTP 400"),
        ("NoSuchType?patient=b12-low-metformin", "HTTP 404"),
        ("Observation?patient=b12-low-metformin&_format=xml", "not FHIR JSON"),
        ("Patient/b12-low-metformin/_history?_count=1", "a Bundle that is no searchset"),
        ("Patient/b12-low-metformin?_format=xml", "not FHIR JSON"),
        ("Patient/b12-low-metformin/_history/99", "HTTP 404"),
    ],
)
def test_what_hapi_refuses_or_answers_otherwise_is_a_failure(hapi: str, query: str, reason: str) -> None:
    found = fetched(hapi, query)
    assert (found.pages, failure(found)) == ((), reason)


def test_more_pages_than_are_followed_are_said_to_be_missing(hapi: str) -> None:
    patient = "few-pages"
    store(hapi, [{"resourceType": "Patient", "id": patient}])
    store(hapi, results(patient, "inr", "6301-6", "{INR}", [2.0] * 25, first=20))
    query = f"Observation?patient={patient}&_count=10"

    assert [len(fetched(hapi, query).pages), fetched(hapi, query).incomplete] == [3, None]
    assert [len(found.pages) for found in [fetched(hapi, query, max_pages=2)]] == [2]
    assert shortfall(fetched(hapi, query, max_pages=2)) == "more than 2 pages"


@contextmanager
def line_to(server: str, most_bytes: int) -> Iterator[str]:
    """HAPI behind a line that breaks after some bytes of answers; gives its base URL there."""
    address = urlsplit(server)
    open_lines: list[socket.socket] = []

    def pass_on(source: socket.socket, target: socket.socket, left: float) -> None:
        with suppress(OSError):
            while left > 0 and (part := source.recv(int(min(left, 65_536)))):
                target.sendall(part)
                left -= len(part)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection((address.hostname or "", address.port or 80))
                open_lines.extend((near, far))
                for ends in ((near, far, math.inf), (far, near, most_bytes)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{address.path}"
        listener.shutdown(socket.SHUT_RDWR)
    for line in open_lines:
        line.close()


def test_hapi_behind_a_line_that_holds_answers_as_directly(hapi: str, tmp_path: Path) -> None:
    with line_to(hapi, 10_000_000) as base, shipped_service(tmp_path, fhir_allow=(base,)) as client:
        assert rules(call(client, "vitamin-b12-patient-view", sample_request(LOW_B12, fhir_server=base))) == ["b12-low"]


def test_hapi_behind_a_line_that_breaks_is_412(hapi: str, tmp_path: Path) -> None:
    with line_to(hapi, 600) as base, shipped_service(tmp_path, fhir_allow=(base,)) as client:
        reply = call(client, "vitamin-b12-patient-view", sample_request(LOW_B12, fhir_server=base))
    status, code, words = problem(reply)
    assert (status, code) == (412, "incomplete")
    assert "fetching failed: answer broken off" in words


def test_hapi_that_is_gone_is_412(hapi: str, tmp_path: Path) -> None:
    with line_to(hapi, 10_000_000) as base:
        pass
    with shipped_service(tmp_path, fhir_allow=(base,)) as client:
        reply = call(client, "vitamin-b12-patient-view", sample_request(LOW_B12, fhir_server=base))
    assert problem(reply)[:2] == (412, "incomplete")
    assert "fetching failed: no connection" in problem(reply)[2]
