"""What the tests rely on in the two real FHIR servers and in HL7's examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.servers.fixtures import EXAMPLE_TYPES, medplum, store

Resource = dict[str, Any]

B12 = "http://loinc.org|2132-9,http://loinc.org|14685-2"


def b12_results(patient: str) -> list[Resource]:
    return [
        {
            "resourceType": "Observation",
            "id": f"{patient}-b12-{month}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2132-9" if month % 2 else "14685-2"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": f"2026-0{month}-01",
            "valueQuantity": {
                "value": 100 + month,
                "unit": "pg/mL",
                "system": "http://unitsofmeasure.org",
                "code": "pg/mL",
            },
        }
        for month in range(1, 6)
    ]


def pages(url: str) -> Iterator[Resource]:
    following: str | None = url
    while following:
        answer = requests.get(following, timeout=30)
        assert answer.status_code == 200, answer.text
        bundle: Resource = answer.json()
        yield bundle
        following = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)


def effective_dates_by_page(base: str, patient: str) -> list[list[str]]:
    url = f"{base}/Observation?patient={patient}&code={B12}&_sort=-date&_count=2"
    return [[entry["resource"]["effectiveDateTime"] for entry in page["entry"]] for page in pages(url)]


NEWEST_FIRST_IN_TWOS = [["2026-05-01", "2026-04-01"], ["2026-03-01", "2026-02-01"], ["2026-01-01"]]


@pytest.mark.hapi
def test_hapi_sorts_by_date_and_gives_the_rest_by_next_links(hapi_url: str) -> None:
    store(hapi_url, [{"resourceType": "Patient", "id": "paging-1"}, *b12_results("paging-1")])

    assert effective_dates_by_page(hapi_url, "paging-1") == NEWEST_FIRST_IN_TWOS


@pytest.mark.hapi
def test_hapi_finds_what_was_written_a_moment_ago(hapi_url: str) -> None:
    search = f"{hapi_url}/Condition?patient=fresh-1"
    store(hapi_url, [{"resourceType": "Patient", "id": "fresh-1"}])
    before = requests.get(search, timeout=30).json()["total"]
    condition = {"resourceType": "Condition", "id": "fresh-1-c", "subject": {"reference": "Patient/fresh-1"}}
    store(hapi_url, [condition])

    assert (before, requests.get(search, timeout=30).json()["total"]) == (0, 1)


@pytest.mark.hapi
def test_hapi_refuses_an_invalid_order_and_accepts_a_valid_one(hapi_url: str) -> None:
    order = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "proposal",
        "medicationCodeableConcept": {"text": "cyanocobalamin"},
        "subject": {"reference": "Patient/1"},
    }

    def worst(resource: Resource) -> set[str]:
        answer = requests.post(f"{hapi_url}/MedicationRequest/$validate", json=resource, timeout=60)
        return {issue["severity"] for issue in answer.json()["issue"]} & {"error", "fatal"}

    assert worst(order) == set()
    assert worst({**order, "status": "soon"}) == {"error"}
    assert worst({key: value for key, value in order.items() if key != "subject"}) == {"error"}


@pytest.mark.npm
def test_medplum_sorts_by_date_and_gives_the_rest_by_next_links(medplum_url: str) -> None:
    store(medplum_url, [{"resourceType": "Patient", "id": "paging-1"}, *b12_results("paging-1")])

    assert effective_dates_by_page(medplum_url, "paging-1") == NEWEST_FIRST_IN_TWOS


@pytest.mark.npm
def test_medplum_with_a_token_lets_nobody_in_without_it() -> None:
    with medplum(token="right") as url:
        codes = [
            requests.get(f"{url}/Patient", headers=headers, timeout=30).status_code
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer right"})
        ]

    assert codes == [401, 401, 200]


@pytest.mark.npm
def test_hl7_examples_hold_every_type_that_we_read(r4_examples: Iterator[tuple[str, Resource]]) -> None:
    assert {resource["resourceType"] for _, resource in r4_examples} == set(EXAMPLE_TYPES)
