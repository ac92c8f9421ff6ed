"""The service on Medplum's FHIR router, a second server with habits of its own: no `search.mode`, paging by offset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cds_service.artifacts.worked_patients import WorkedPatient
from tests.servers.fixtures import medplum, store
from tests.support.real_inputs import (
    SAMPLES,
    call,
    hooks_of,
    problem,
    resources_of,
    rules,
    sample_request,
    services,
    shipped_service,
    told,
)

pytestmark = pytest.mark.npm

HANDFUL = [
    sample
    for sample in SAMPLES
    if sample.id
    in (
        "b12-low-neuropathy",
        "b12-confounded-kidney",
        "vka-menatetrenone-active",
        "vka-k1-started-inr-known",
        "vka-vitk-steady",
        "b12-and-warfarin",
    )
]
BOTH = HANDFUL[-1]
TOKEN = "right"


@pytest.fixture(scope="session")
def filled(medplum_url: str) -> str:
    """The Medplum server with a handful of the sample patients in it."""
    for sample in HANDFUL:
        store(medplum_url, resources_of(sample).all)
    return medplum_url


@pytest.fixture
def client(filled: str, tmp_path: Path) -> Iterator[FlaskClient]:
    with shipped_service(tmp_path, fhir_allow=(filled,)) as client:
        yield client


@pytest.mark.row("PFD-13")
@pytest.mark.parametrize("sample", HANDFUL, ids=lambda sample: sample.id)
def test_without_prefetch_every_service_answers_as_with_all_of_it(
    client: FlaskClient, filled: str, sample: WorkedPatient
) -> None:
    for hook in hooks_of(sample):
        sent = sample_request(sample, hook, prefetch=True)
        fetched = sample_request(sample, hook, fhir_server=filled)
        for service in services(hook):
            expected = told(call(client, service, sent, sample.language))
            assert told(call(client, service, fetched, sample.language)) == expected


@pytest.mark.parametrize("sample", HANDFUL, ids=lambda sample: sample.id)
def test_the_sample_gets_its_expected_cards_from_medplum(
    client: FlaskClient, filled: str, sample: WorkedPatient
) -> None:
    request = sample_request(sample, fhir_server=filled)
    cards = [card for service in services(sample.hook) for card in told(call(client, service, request))]

    assert {card.rule: card.indicator for card in cards} == {
        rule: expected.severity for rule, expected in sample.expect.items()
    }


def test_a_list_left_out_of_the_prefetch_is_completed(client: FlaskClient, filled: str) -> None:
    request = sample_request(BOTH, prefetch=True, fhir_server=filled)
    del request["prefetch"]["labs"]

    assert rules(call(client, "vitamin-b12-patient-view", request)) == ["b12-low"]


def test_a_patient_that_medplum_does_not_have_is_412(client: FlaskClient, filled: str) -> None:
    request = sample_request(BOTH, fhir_server=filled)
    request["context"]["patientId"] = "not-on-this-server"

    assert problem(call(client, "vitamin-b12-patient-view", request))[:2] == (412, "incomplete")


@pytest.mark.parametrize(("sent", "status"), [(TOKEN, 200), ("wrong", 412), (None, 412)])
def test_the_token_of_the_request_opens_a_server_that_asks_for_one(
    tmp_path: Path, sent: str | None, status: int
) -> None:
    with medplum(token=TOKEN) as url, shipped_service(tmp_path, fhir_allow=(url,)) as client:
        store(url, resources_of(BOTH).all, token=TOKEN)
        request = sample_request(BOTH, fhir_server=url)
        if sent is not None:
            request["fhirAuthorization"] = {
                "access_token": sent,
                "token_type": "Bearer",
                "expires_in": 300,
                "scope": "patient/*.read",
                "subject": "cds-service",
                "patient": BOTH.id,
            }

        assert call(client, "vitamin-b12-patient-view", request).status_code == status
