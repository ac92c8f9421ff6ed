"""The embedded FHIR server: what it answers, and that our own client gets everything from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.worked_patients import WorkedPatient, is_relative, read_worked
from cds_service.coding import LOINC, SNOMED, Coding
from cds_service.egress.egress import Egress
from cds_service.errors import KnowledgeError
from cds_service.fhir.bundle import open_resource
from cds_service.fhir.fetch.client import Fetched, fetch_all
from cds_service.sandbox.fhir_api import sandbox_blueprint
from cds_service.sandbox.patients import patient_resources
from cds_service.terminology import ConceptCodes, Kind, Terminology
from tests.servers.fixtures import store
from tests.support.paths import ROOT
from tests.support.reasons import failure

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
KNOWLEDGE = ROOT / "knowledge"
SAMPLES = read_worked(KNOWLEDGE / "sandbox" / "patients.yaml", KNOWLEDGE)

TERMINOLOGY = Terminology(
    [
        ConceptCodes("serum-vitamin-b12", "observation", preferred=Coding(LOINC, "2132-9")),
        ConceptCodes("inr", "observation", preferred=Coding(LOINC, "6301-6")),
        ConceptCodes("pregnancy", "condition", preferred=Coding(SNOMED, "77386006")),
        ConceptCodes("vitamin-k-antagonist", "medication", texts=("warfarin",)),
    ]
)
PEOPLE: list[dict[str, Any]] = [
    {
        "id": "ann",
        "labs": [
            ["serum-vitamin-b12", 182, "pg/mL", "-10d"],
            {"test": "inr", "value": 2.4, "date": "-3d", "status": "preliminary"},
            ["serum-vitamin-b12", 240, "pg/mL", "-200d"],
            ["inr", 2.1, "1", "-6h"],
            {"test": "inr", "value": 1.9, "date": None, "code": {"system": "", "code": "INR"}},
        ],
        "conditions": ["pregnancy@-20w", {"text": "Gout", "status": "inactive"}],
        "medications": [{"drug": "vitamin-k-antagonist", "start": "-30d"}],
    },
    {"id": "bob", "labs": [["inr", 2.5, "1", "-1d"]], "goals": {"inr": [2.0, 3.0]}},
]


def people() -> list[WorkedPatient]:
    common = {"name": {"en": "x", "zh": "x"}, "patient": {"age": 40, "sex": "female"}, "hook": "patient-view"}
    return [WorkedPatient.model_validate({**common, "expect": {}, **person}) for person in PEOPLE]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def make_app(clock: Clock) -> Flask:
    app = Flask("sandbox-test")
    app.register_blueprint(sandbox_blueprint(people(), TERMINOLOGY, clock))
    return app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> FlaskClient:
    return make_app(clock).test_client()


def get(client: FlaskClient, path: str, **headers: str) -> dict[str, Any]:
    response = client.get(f"/sandbox/fhir/{path}", headers=headers)
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/fhir+json"
    body: dict[str, Any] = response.get_json(force=True)
    return body


def ids(bundle: dict[str, Any]) -> list[str]:
    Bundle.model_validate(bundle)
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def refused(response: Any, status: int) -> str:
    assert response.status_code == status
    body = response.get_json(force=True)
    OperationOutcome.model_validate(body)
    return str(body["issue"][0]["code"])


ALL_LABS = ["ann-lab-1", "ann-lab-2", "ann-lab-3", "ann-lab-4", "ann-lab-5"]


def test_a_patient_is_read_by_id(client: FlaskClient) -> None:
    assert get(client, "Patient/ann")["id"] == "ann"


@pytest.mark.parametrize(
    "reference", ["ann", "Patient/ann", "https://ehr.example/fhir/Patient/ann", "http%3A%2F%2Fx%2FPatient%2Fann"]
)
@pytest.mark.parametrize("name", ["patient", "subject", "subject:Patient"])
def test_a_search_finds_what_belongs_to_the_patient(client: FlaskClient, name: str, reference: str) -> None:
    assert ids(get(client, f"Observation?{name}={reference}")) == ALL_LABS


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("code=http://loinc.org|2132-9", ["ann-lab-1", "ann-lab-3"]),
        ("code=http%3A%2F%2Floinc.org%7C2132-9%2Chttp%3A%2F%2Floinc.org%7C6301-6", ALL_LABS[:4]),
        ("code=2132-9", ["ann-lab-1", "ann-lab-3"]),
        ("code=http://loinc.org|", ALL_LABS[:4]),
        ("code=http://snomed.info/sct|2132-9", []),
        ("code=|2132-9", []),
        ("code=|INR", ["ann-lab-5"]),
        ("code=213", []),
        ("status=final", ["ann-lab-1", "ann-lab-3", "ann-lab-4", "ann-lab-5"]),
        ("status=preliminary,registered", ["ann-lab-2"]),
        ("_id=ann-lab-3", ["ann-lab-3"]),
        ("code=6301-6&status=final", ["ann-lab-4"]),
        ("code=6301-6&code=2132-9", []),
        ("date=ge2026-03-01", ["ann-lab-2", "ann-lab-4"]),
        ("date=ge2025-08-01&date=lt2026-03-01", ["ann-lab-1", "ann-lab-3"]),
        ("date=2026-02", ["ann-lab-1"]),
        ("date=gt2026-03-07&date=le2026-03-10", ["ann-lab-4"]),
        ("_sort=-date", ["ann-lab-4", "ann-lab-2", "ann-lab-1", "ann-lab-3", "ann-lab-5"]),
        ("_sort=date", ["ann-lab-3", "ann-lab-1", "ann-lab-2", "ann-lab-4", "ann-lab-5"]),
        ("_sort=-_id", ALL_LABS[::-1]),
        ("_sort=shoe-size", ALL_LABS),
        ("shoe-size=44&category=laboratory", ALL_LABS),
    ],
)
def test_a_search_finds_just_what_its_parameters_say(client: FlaskClient, query: str, found: list[str]) -> None:
    bundle = get(client, f"Observation?patient=ann&{query}")
    assert ids(bundle) == found
    assert bundle["total"] == len(found)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Condition?patient=ann&clinical-status=active", ["ann-condition-1"]),
        (
            "Condition?patient=ann&clinical-status=active,inactive&_sort=onset-date",
            ["ann-condition-1", "ann-condition-2"],
        ),
        ("Condition?patient=ann&verification-status=refuted", []),
        ("MedicationRequest?patient=ann&status=active&intent=order", ["ann-medication-1"]),
        ("MedicationRequest?patient=ann&status=stopped", []),
        ("Goal?patient=bob&lifecycle-status=active", ["bob-goal-1"]),
        ("Goal?patient=ann", []),
        ("ServiceRequest?patient=ann", []),
        ("Patient?_id=bob", ["bob"]),
        ("Patient", ["ann", "bob"]),
        ("Observation?patient=nobody", []),
    ],
)
def test_every_type_can_be_searched(client: FlaskClient, search: str, found: list[str]) -> None:
    assert ids(get(client, search)) == found


def test_a_search_may_be_posted(client: FlaskClient) -> None:
    response = client.post("/sandbox/fhir/Observation/_search", data={"patient": "ann", "code": "2132-9"})
    assert ids(response.get_json(force=True)) == ["ann-lab-1", "ann-lab-3"]


def test_a_posted_search_reads_the_address_too(client: FlaskClient) -> None:
    response = client.post("/sandbox/fhir/Observation/_search?patient=ann", data={"code": "2132-9"})
    assert ids(response.get_json(force=True)) == ["ann-lab-1", "ann-lab-3"]


def test_pages_are_linked_until_the_last(client: FlaskClient) -> None:
    bundle = get(client, "Observation?patient=ann&code=http://loinc.org|6301-6,2132-9&_sort=-date&_count=3")
    assert (ids(bundle), bundle["total"]) == (["ann-lab-4", "ann-lab-2", "ann-lab-1"], 4)
    (after,) = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    assert after.startswith("http://localhost/sandbox/fhir/Observation?")
    last = get(client, after.removeprefix("http://localhost/sandbox/fhir/"))
    assert (ids(last), last["total"]) == (["ann-lab-3"], 4)
    assert [link["relation"] for link in last["link"]] == ["self"]


def test_a_count_of_zero_asks_only_how_many(client: FlaskClient) -> None:
    bundle = get(client, "Observation?patient=ann&_count=0")
    assert (ids(bundle), bundle["total"]) == ([], 5)
    assert [link["relation"] for link in bundle["link"]] == ["self"]


def test_the_self_link_names_only_what_counted(client: FlaskClient) -> None:
    (link,) = get(client, "Observation?patient=ann&shoe-size=44&_sort=-date")["link"]
    assert link["url"] == "http://localhost/sandbox/fhir/Observation?patient=ann&_sort=-date&_count=50"


def test_every_entry_has_the_address_it_can_be_read_at(client: FlaskClient) -> None:
    for entry in get(client, "Observation?patient=ann")["entry"]:
        assert get(client, entry["fullUrl"].removeprefix("http://localhost/sandbox/fhir/")) == entry["resource"]


def test_links_carry_the_public_address_behind_a_proxy() -> None:
    app = Flask("sandbox-test")
    app.register_blueprint(sandbox_blueprint(people(), TERMINOLOGY, Clock(), public_url="https://cds.example/"))
    bundle = get(app.test_client(), "Patient?_count=1")
    assert {link["url"].partition("?")[0] for link in bundle["link"]} == {"https://cds.example/sandbox/fhir/Patient"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Patient/nobody", 404, "not-found"),
        ("Patient/ann-lab-1", 404, "not-found"),
        ("Encounter/1", 404, "not-found"),
        ("Encounter?patient=ann", 404, "not-found"),
        ("Patient/ann/_history/1", 404, "not-found"),
        ("", 404, "not-found"),
        ("Observation?patient:missing=true", 400, "invalid"),
        ("Observation?code:text=inr", 400, "invalid"),
        ("Observation?patient=Device/ann", 400, "invalid"),
        ("Observation?_count=-1", 400, "invalid"),
        ("Observation?_count=9999999999", 400, "invalid"),
        ("Observation?_offset=x", 400, "invalid"),
        ("Observation?date=yesterday", 400, "invalid"),
    ],
)
def test_an_error_is_an_operation_outcome(client: FlaskClient, path: str, status: int, code: str) -> None:
    assert refused(client.get(f"/sandbox/fhir/{path}"), status) == code


@pytest.mark.parametrize("query", ["shoe-size=44", "_sort=shoe-size"])
def test_strict_handling_refuses_what_is_not_supported(client: FlaskClient, query: str) -> None:
    response = client.get(f"/sandbox/fhir/Observation?{query}", headers={"Prefer": "handling=strict"})
    assert refused(response, 400) == "invalid"


@pytest.mark.parametrize(("method", "path"), [("POST", "Patient"), ("PUT", "Patient/ann"), ("DELETE", "Patient/ann")])
def test_nothing_can_be_written(client: FlaskClient, method: str, path: str) -> None:
    assert refused(client.open(f"/sandbox/fhir/{path}", method=method, json={}), 405) == "not-supported"


def test_a_posted_search_that_is_no_form_is_refused(client: FlaskClient) -> None:
    assert refused(client.post("/sandbox/fhir/Observation/_search", json={"patient": "ann"}), 415) == "structure"


@pytest.mark.parametrize("kind", ["MedicationDispense", "MedicationAdministration"])
def test_a_type_that_no_patient_has_is_an_empty_search_and_not_unknown(client: FlaskClient, kind: str) -> None:
    found = get(client, f"{kind}?patient=ann&status=completed&code=x")
    assert (found["resourceType"], found["total"]) == ("Bundle", 0)


def test_the_capability_statement_is_valid_and_names_every_type(client: FlaskClient) -> None:
    capabilities = get(client, "metadata")
    CapabilityStatement.model_validate(capabilities)
    assert capabilities["fhirVersion"] == "4.0.1"
    (rest,) = capabilities["rest"]
    assert [resource["type"] for resource in rest["resource"]] == [
        *("Patient", "Observation", "MedicationRequest", "MedicationStatement"),
        *("Condition", "Procedure", "ServiceRequest", "Goal", "FamilyMemberHistory"),
        *("MedicationDispense", "MedicationAdministration", "AllergyIntolerance"),
    ]


def test_every_parameter_the_capability_statement_names_is_supported(client: FlaskClient) -> None:
    tried = 0
    for resource in get(client, "metadata")["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            value = "ge2000" if parameter["type"] == "date" else "none"
            # A parameter that is not supported is refused under strict handling, which `get` reports.
            found = get(client, f"{resource['type']}?{parameter['name']}={value}", Prefer="handling=strict")
            assert (found["resourceType"], found["type"]) == ("Bundle", "searchset")
            tried += 1
    assert tried > 30


def test_dates_move_on_with_the_day(client: FlaskClient, clock: Clock) -> None:
    assert get(client, "Observation/ann-lab-1")["effectiveDateTime"] == "2026-02-28"
    clock.now = NOON + timedelta(days=1)
    assert get(client, "Observation/ann-lab-1")["effectiveDateTime"] == "2026-03-01"


def test_resources_stay_the_same_within_a_day(client: FlaskClient, clock: Clock) -> None:
    before = get(client, "Observation/ann-lab-4")
    clock.now = NOON + timedelta(hours=5)
    assert get(client, "Observation/ann-lab-4") == before


def test_a_sample_patient_with_a_fixed_date_stops_the_start() -> None:
    (ann, _) = people()
    fixed = ann.model_copy(update={"labs": [ann.labs[0].model_copy(update={"date": "2025-11-10"})]})
    with pytest.raises(KnowledgeError, match="ann: 2025-11-10 is a fixed date"):
        sandbox_blueprint([fixed], TERMINOLOGY, Clock())


@pytest.fixture
def served(clock: Clock) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, make_app(clock), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sandbox/fhir"
    server.shutdown()
    thread.join()
    server.server_close()


def test_our_client_gets_every_page_from_it(served: str) -> None:
    found = fetch_all(
        Egress([served]),
        served,
        None,
        {
            "patient": "Patient/ann",
            "labs": "Observation?patient=ann&code=http://loinc.org|2132-9,http://loinc.org|6301-6&_sort=-date&_count=1",
            "goals": "Goal?patient=ann",
            "gone": "Patient/nobody",
        },
        deadline=time.monotonic() + 5,
    )
    labs = [open_resource(page) for page in found["labs"].pages]
    assert [len(page.entries) for page in labs] == [1, 1, 1, 1]
    assert (found["labs"].failure, found["labs"].incomplete) == (None, None)
    assert (found["patient"].failure, found["goals"].failure, failure(found["gone"])) == (None, None, "HTTP 404")


@pytest.mark.hapi
@pytest.mark.parametrize(
    "query",
    [
        "Observation?patient=ann",
        "Observation?patient=Patient/ann&_count=2",
        "Observation?subject=Patient/ann&status=final",
        "Observation?patient=ann&code=http://loinc.org|2132-9,http://loinc.org|6301-6&_sort=-date&_count=1",
        "Observation?patient=ann&code=2132-9&_sort=date",
        "Observation?patient=ann&code=http://loinc.org|",
        "Observation?patient=ann&code=|INR",
        "Observation?patient=ann&date=ge2026-03-01",
        "Observation?patient=ann&date=ge2025-08-01&date=lt2026-03-01",
        "Observation?patient=nobody",
        "Condition?patient=ann&clinical-status=active",
        "MedicationRequest?patient=ann&status=active&intent=order",
        "MedicationStatement?patient=ann",
        "Goal?patient=bob&lifecycle-status=active",
        "Patient?_id=bob",
        "Patient/ann",
        "Patient/nobody",
    ],
)
def test_the_sandbox_finds_what_a_real_server_finds(served: str, hapi_url: str, query: str) -> None:
    store(hapi_url, [each for person in people() for each in patient_resources(person, TERMINOLOGY, NOON).all])
    ours, theirs = (
        fetch_all(Egress([base]), base, None, {"it": query}, deadline=time.monotonic() + 20)["it"]
        for base in (served, hapi_url)
    )
    assert (found_ids(ours), len(ours.pages)) == (found_ids(theirs), len(theirs.pages))
    assert (ours.failure, ours.incomplete) == (theirs.failure, theirs.incomplete)


def found_ids(fetched: Fetched) -> list[str]:
    return [
        msgspec.json.decode(entry.resource)["id"] for page in fetched.pages for entry in open_resource(page).entries
    ]


def recognised(resource: dict[str, Any], terminology: Terminology) -> frozenset[str]:
    """The value sets that a resource's code belongs to, as the reader will find them."""
    kind: Kind = "condition" if resource["resourceType"] in ("Condition", "Procedure") else "observation"
    concept = resource.get("code")
    if resource["resourceType"].startswith("Medication"):
        kind = "medication"
        concept = resource.get("medicationCodeableConcept") or resource["contained"][0]["code"]
    codings = [Coding(coding["system"], coding["code"]) for coding in (concept or {}).get("coding", [])]
    return terminology.concepts(kind, codings, (concept or {}).get("text", ""))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_a_sample_patient_is_valid_fhir_and_recognised_as_what_it_names(sample: WorkedPatient) -> None:
    terminology = load_knowledge(KNOWLEDGE).terminology
    written = patient_resources(sample, terminology, NOON)
    resources = [*written.all, *(entry["resource"] for entry in (written.drafts or {}).get("entry", []))]
    found: set[str] = set()
    for resource in resources:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        found |= recognised(resource, terminology)
    named = {
        *(lab.test for lab in sample.labs),
        *(problem.concept for problem in sample.conditions),
        *(use.drug for use in (*sample.medications, *sample.drafts)),
    } - {None}
    assert named <= found


def test_sample_patients_have_dates_of_today_only() -> None:
    assert [sample.id for sample in SAMPLES if not all(map(is_relative, sample.moments))] == []


def test_sample_patients_show_every_first_rule_and_silence() -> None:
    shown = {(rule, card.severity) for sample in SAMPLES for rule, card in sample.expect.items()}
    assert shown >= {
        *(("b12-low", "warning"), ("b12-low", "info"), ("b12-borderline", "info")),
        *(("b12-functional-deficiency", "warning"), ("b12-functional-deficiency", "info")),
        *(("b12-metabolites-confounded", "info"), ("vka-menatetrenone", "critical")),
        *(("vka-vitk-concurrent", "warning"), ("vka-vitk-concurrent", "info"), ("vka-started-on-vitk", "warning")),
        *(("vka-vitk-started", "critical"), ("vka-vitk-started", "warning"), ("vka-vitk-started", "info")),
    }
    assert {sample.hook for sample in SAMPLES} == {"patient-view", "order-select", "order-sign", "encounter-discharge"}
    assert sum(not sample.expect for sample in SAMPLES) >= 5


def test_one_sample_patient_shows_a_card_of_each_topic() -> None:
    (both,) = [sample for sample in SAMPLES if sample.id == "b12-and-warfarin"]
    assert (both.hook, set(both.expect)) == ("patient-view", {"b12-low", "vka-vitk-concurrent"})
