"""The oddities that the sample requests are kept for are still in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

HERE = Path(__file__).parent
NAMES = sorted(file.name for file in HERE.glob("*.json"))
KEYS = {
    "patient",
    "labs",
    "medicationRequests",
    "medicationStatements",
    "conditions",
    "procedures",
    "serviceRequests",
    "goals",
}

Json = dict[str, Any]


def request(name: str) -> Json:
    body: Json = json.loads((HERE / name).read_text(encoding="utf-8"))
    return body


def drafts(body: Json, kind: str) -> list[Json]:
    resources = [entry["resource"] for entry in body["context"]["draftOrders"]["entry"]]
    return [resource for resource in resources if resource["resourceType"] == kind]


def references(value: Any) -> Iterator[str]:
    """All values of `reference`, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_names_no_service_and_uses_only_our_prefetch_keys(name: str) -> None:
    body = request(name)

    assert "service" not in body
    assert set(body.get("prefetch", {})) <= KEYS


@pytest.mark.parametrize("name", NAMES)
def test_a_request_is_about_one_patient(name: str) -> None:
    body = request(name)
    patient = body["context"]["patientId"].removeprefix("Patient/")
    named = {each.rsplit("/", 1)[-1] for each in references(body) if "Patient/" in each}

    assert named <= {patient}
    assert body.get("prefetch", {}).get("patient", {"id": patient})["id"] == patient


@pytest.mark.parametrize("name", [name for name in NAMES if "order-select" in name and not name.startswith("pddi")])
def test_a_selection_names_a_draft(name: str) -> None:
    body = request(name)
    entries = [entry["resource"] for entry in body["context"]["draftOrders"]["entry"]]

    assert set(body["context"]["selections"]) <= {f"{each['resourceType']}/{each['id']}" for each in entries}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("epic")])
def test_epic_sends_a_time_based_uuid_and_puts_an_outcome_into_an_empty_search(name: str) -> None:
    body = request(name)
    empty = [each for each in body["prefetch"].values() if each.get("total") == 0]

    assert UUID(body["hookInstance"]).version == 1
    assert {entry["resource"]["resourceType"] for each in empty for entry in each["entry"]} == {"OperationOutcome"}
    assert {entry["search"]["mode"] for each in empty for entry in each["entry"]} == {"outcome"}
    assert "medicationStatements" not in body["prefetch"]


def test_epic_drafts_have_ids_of_194_characters_and_a_medication_among_the_drafts() -> None:
    body = request("epic-order-select.json")
    orders = drafts(body, "MedicationRequest")
    medications = {f"Medication/{each['id']}" for each in drafts(body, "Medication")}

    assert {len(each["id"]) for each in orders} == {194}
    assert {each["medicationReference"]["reference"] for each in orders} == medications


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("epic")])
def test_epic_points_at_the_patient_by_absolute_url_in_the_prefetch(name: str) -> None:
    body = request(name)
    patients = [each for each in references(body["prefetch"]) if "Patient/" in each]

    assert patients
    assert all(each.startswith(body["fhirServer"]) for each in patients)


def test_the_sandbox_calls_before_a_drug_is_chosen() -> None:
    [order] = drafts(request("sandbox-order-select-1-opened.json"), "MedicationRequest")

    assert not [name for name in order if name.startswith("medication")]
    assert "intent" not in order


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sandbox")])
def test_the_sandbox_sends_a_bundle_without_type_and_the_first_page_of_the_results(name: str) -> None:
    body = request(name)
    labs = body["prefetch"]["labs"]

    assert "type" not in body["context"]["draftOrders"]
    assert labs["total"] > len(labs["entry"])
    assert "next" in {link["relation"] for link in labs["link"]}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sandbox") and "-1-" not in name])
def test_the_sandbox_sends_a_category_that_is_no_list(name: str) -> None:
    [order] = drafts(request(name), "MedicationRequest")

    assert isinstance(order["category"], dict)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("pddi")])
def test_pddi_leaves_out_the_user_in_the_context_and_the_type_of_every_bundle(name: str) -> None:
    body = request(name)
    bundles = [each for each in body["prefetch"].values() if each["resourceType"] == "Bundle"]
    [running] = [entry["resource"] for entry in body["prefetch"]["medicationRequests"]["entry"]]

    assert "userId" not in body["context"]
    assert body["user"]
    assert all("type" not in each for each in [*bundles, body["context"]["draftOrders"]])
    assert "status" not in running
    assert "/" not in running["subject"]["reference"]


def test_pddi_order_sign_has_a_draft_without_id_and_an_stu3_procedure_request() -> None:
    body = request("pddi-order-sign.json")
    [draft] = drafts(body, "MedicationRequest")

    assert "id" not in draft
    assert len(drafts(body, "ProcedureRequest")) == 1


def test_pddi_order_select_counts_more_than_it_sends_and_names_no_next_page() -> None:
    bundle = request("pddi-order-select.json")["prefetch"]["medicationRequests"]

    assert bundle["total"] > len(bundle["entry"])
    assert {link["relation"] for link in bundle["link"]} == {"self"}


def test_the_dstu2_order_has_its_patient_and_date_where_dstu2_has_them() -> None:
    [order] = drafts(request("dstu2-order-select.json"), "MedicationOrder")

    assert {"patient", "dateWritten", "reasonCodeableConcept"} <= set(order)
    assert order["dosageInstruction"][0]["timing"]["repeat"]["periodUnits"] == "d"


def test_the_specification_style_order_select_gives_one_dose_that_is_no_list() -> None:
    body = request("spec-order-select.json")
    [order] = drafts(body, "MedicationRequest")

    assert isinstance(order["dosageInstruction"][0]["doseAndRate"], dict)
    assert "type" not in body["context"]["draftOrders"]


def test_oracle_health_puts_its_own_codes_first_and_counts_nothing() -> None:
    body = request("oracle-patient-view.json")
    entries = [entry["resource"] for entry in body["prefetch"]["labs"]["entry"]]

    assert body["hook"] == "patient-view"
    assert [entry["code"]["coding"][0]["userSelected"] for entry in entries] == [True] * len(entries)
    assert {entry["code"]["coding"][1]["system"] for entry in entries} == {"http://loinc.org"}
    assert "total" not in body["prefetch"]["labs"]
    assert body["fhirAuthorization"]["patient"] == body["context"]["patientId"]


def test_request_generator_sends_no_bundle_type_and_no_patient_with_its_token() -> None:
    body = request("request-generator-order-sign.json")
    bundles = [each for each in body["prefetch"].values() if each["resourceType"] == "Bundle"]

    assert all("type" not in each for each in [*bundles, body["context"]["draftOrders"]])
    assert "patient" not in body["fhirAuthorization"]
    assert body["fhirAuthorization"]["scope"].startswith("patient/")
    assert body["fhirAuthorization"]["token_type"] == "bearer"


def test_the_proxy_sends_no_empty_list_and_its_token_where_it_was_long_ago() -> None:
    body = request("proxy-patient-view.json")

    assert all(each.get("total") != 0 for each in body["prefetch"].values())
    assert len(body["prefetch"]) < len(KEYS)
    assert "access_token" in body["oauth"]
    assert "fhirAuthorization" not in body


def test_every_request_is_described_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text(encoding="utf-8")

    assert [name for name in NAMES if f"`{name}`" not in readme] == []
