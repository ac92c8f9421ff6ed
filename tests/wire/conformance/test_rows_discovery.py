"""The shipped discovery: what it promises is what can be called, asked and filled in."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from flask.testing import FlaskClient

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.errors import Unprocessable
from tests.support.fhir_parts import without_ids
from tests.support.real_inputs import SAMPLES, Json, call, sample_request, services, shipped_service
from tests.support.worked_service import WORKED
from tests.wire.conformance.answers import ask, request_about, strict, walk

OFFERED = {"patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge"}
# The search parameters that US Core asks servers to have, for the types that we search.
US_CORE = {
    "Observation": {"patient", "code", "category", "date", "status"},
    "MedicationRequest": {"patient", "intent", "status", "encounter", "authoredon"},
    "Condition": {"patient", "category", "clinical-status", "code", "onset-date"},
    "Procedure": {"patient", "date", "code", "status"},
    "ServiceRequest": {"patient", "category", "code", "authored", "status"},
    "Goal": {"patient", "lifecycle-status", "target-date", "description"},
}
# Of the types that US Core leaves out we ask by patient alone.
BY_PATIENT = {"patient"}
OF_RESULTS = {"_sort", "_count"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with shipped_service(tmp_path) as client:
        yield client


@pytest.fixture
def offered(client: FlaskClient) -> list[Json]:
    found: list[Json] = strict(client.get("/cds-services").data)["services"]
    return found


def templates(offered: list[Json]) -> list[str]:
    return [template for service in offered for template in service["prefetch"].values()]


@pytest.mark.row("HOOK-10", "DIS-04", "S-5", "TOY-25")
def test_the_five_hooks_are_offered_and_no_other(offered: list[Json]) -> None:
    assert {service["hook"] for service in offered} == OFFERED


@pytest.mark.row("DIS-05", "DIS-06", "DIS-09", "X-15")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_service_says_what_it_is_called_does_and_needs(client: FlaskClient, language: str) -> None:
    for service in client.get("/cds-services", headers={"Accept-Language": language}).json["services"]:
        for name in ("title", "description", "usageRequirements"):
            assert re.search(r"\w", service[name])
        # Which keys are needed is told before the first semicolon.
        needed = re.split("[;；]", service["usageRequirements"])[0]
        assert all(key in service["prefetch"] for key in re.findall(r"[a-z]+[A-Z][A-Za-z]+|labs|patient", needed))
        assert "patient" in needed


@pytest.mark.row("DIS-12", "S-4", "DIS-07")
def test_no_two_services_share_an_id(offered: list[Json]) -> None:
    ids = [service["id"] for service in offered]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]+", name) for name in ids)


@pytest.mark.row("GEN-03", "GEN-04", "GEN-05", "DIS-08", "DIS-15", "EXT-01", "TOY-13", "TOY-25")
def test_discovery_holds_nothing_empty_and_no_member_of_our_own_making(client: FlaskClient) -> None:
    told = client.get("/cds-services").json
    assert [path for path, value in walk(told) if value in (None, "", [], {})] == []
    names = {name for service in told["services"] for name in service}
    assert names <= {"hook", "title", "description", "id", "prefetch", "usageRequirements"}
    assert not [path for path, _ in walk(told) if path.endswith(".extension")]


@pytest.mark.row("DIS-10", "DIS-11")
def test_versions_are_told_to_nobody_who_did_not_ask(offered: list[Json]) -> None:
    assert not {"version", "hookVersion"} & {name for service in offered for name in service}


@pytest.mark.row("PRT-02", "PRT-03", "PRT-04", "PRT-05", "PRT-06", "PRT-11", "PRT-12", "S-6", "TOY-19")
def test_a_template_holds_the_patient_s_id_and_no_other_token(offered: list[Json]) -> None:
    for template in templates(offered):
        assert re.findall(r"\{\{(.*?)\}\}", template) == ["context.patientId"]
        assert not re.search(r"[{}%]", re.sub(r"\{\{context\.patientId\}\}", "", template))


@pytest.mark.row("PRT-08", "PRT-09", "PRT-10", "TOY-19")
def test_a_template_is_a_read_or_a_plain_search_of_one_type(offered: list[Json]) -> None:
    for template in templates(offered):
        if template == "Patient/{{context.patientId}}":
            continue
        kind, _, query = template.partition("?")
        names = {name for name, _ in parse_qsl(query, strict_parsing=True)}
        assert names <= US_CORE.get(kind, BY_PATIENT) | OF_RESULTS, template
        assert "patient" in names


@pytest.mark.row("PRT-01", "TOK-01", "TOY-25")
def test_keys_that_are_not_announced_are_not_read(client: FlaskClient, offered: list[Json]) -> None:
    announced = {service["id"]: set(service["prefetch"]) for service in offered}
    for sample in SAMPLES:
        whole = sample_request(sample, prefetch=True)
        for service in services(sample.hook):
            asked = copy.deepcopy(whole)
            asked["prefetch"] = {key: value for key, value in asked["prefetch"].items() if key in announced[service]}
            assert without_ids(call(client, service, asked).json) == without_ids(call(client, service, whole).json)


@pytest.mark.slow
@pytest.mark.row("TOK-01")
def test_every_key_that_is_asked_for_matters_to_somebody(offered: list[Json]) -> None:
    """There is a patient for whom the answer would be another one without it: of this moment, or told at it."""
    idle = [
        (service["id"], key)
        for service in offered
        for key in service["prefetch"]
        if not any(_matters(key, service["id"], worked) for worked in _who_may_be_seen_at(service["hook"]))
    ]
    assert idle == []


def _who_may_be_seen_at(hook: str) -> Iterator[WorkedPatient]:
    """Those of the hook first, then those who could be seen at it too; of some, more is known than is told of them."""
    told = [worked for worked in WORKED if bool(worked.drafts) == hook.startswith("order")]
    family = next(worked.family for worked in WORKED if worked.family)
    palliative = [one for worked in WORKED for one in worked.conditions if one.concept == "palliative-care"][:1]
    for more in ({}, {"family": family}, {"procedures": palliative}):
        for worked in sorted(told, key=lambda one: one.hook != hook):
            yield worked.model_copy(update={"hook": hook, **more})


def _matters(key: str, service: str, worked: WorkedPatient) -> bool:
    request = request_about(worked)
    whole = ask(worked, service, "en", request).told
    del request["prefetch"][key]
    try:
        return bool(without_ids(ask(worked, service, "en", request).told) != without_ids(whole))
    except Unprocessable:
        return True


@pytest.mark.row("DIS-07", "TOY-25")
def test_every_service_that_is_listed_can_be_called(client: FlaskClient, offered: list[Json]) -> None:
    samples = {sample.hook: sample for sample in SAMPLES}
    healthy = next(sample for sample in SAMPLES if sample.id == "healthy-adult")
    for service in offered:
        sample = samples.get(service["hook"], healthy)
        body = sample_request(sample, service["hook"], prefetch=True)
        assert call(client, service["id"], body).status_code == 200


@pytest.mark.row("X-3", "X-5", "DIS-13", "DIS-17")
def test_discovery_asked_twice_and_with_a_slash_is_the_same(client: FlaskClient) -> None:
    replies = [client.get(path) for path in ("/cds-services", "/cds-services", "/cds-services/")]
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.data for reply in replies}) == 1
