"""What suggestions do, for every worked patient at every hook in both languages: valid, orderable, for this patient."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.coding import SYSTEMS, Coding
from cds_service.hooks.feedback import parse_feedback
from cds_service.terminology import Kind
from tests.support.fhir_parts import is_uuid
from tests.support.labels import plain_label
from tests.support.worked_service import WORKED, WorkedService, noon, rule_id, service

pytestmark = pytest.mark.slow

__all__ = ["service"]

Json = dict[str, Any]
HOOKS = ("patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge")
LANGUAGES = ("en", "zh")
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")
# FHIR R4: what the reason of a request may be.
_REASONS = ("Observation/", "Condition/")


@dataclass(frozen=True)
class Given:
    """A suggestion as it was given, and to what."""

    patient: str
    hook: str
    language: str
    now: datetime
    request: Json
    card: Json
    suggestion: Json

    @property
    def action(self) -> Json:
        action: Json = self.suggestion["actions"][0]
        return action

    @property
    def resource(self) -> Json:
        resource: Json = self.action.get("resource", {})
        return resource

    @property
    def drafts(self) -> dict[str, Json]:
        """The drafts of the request by `Type/id`."""
        entries = self.request["context"].get("draftOrders", {}).get("entry", [])
        return {f"{one['resourceType']}/{one['id']}": one for one in (entry["resource"] for entry in entries)}

    def __str__(self) -> str:
        return f"{self.patient} at {self.hook} in {self.language}: {self.action}"


def request_at(service: WorkedService, worked: WorkedPatient, hook: str) -> Json:
    """The patient's request at a hook of one's choice, with an encounter."""
    resources = service.resources(worked)
    request = service.request(worked.model_copy(update={"hook": hook}), resources)
    request["context"]["encounterId"] = "the-encounter"
    if hook == "order-select":
        # Patients of other hooks have chosen nothing.
        request["context"]["selections"] = request["context"]["selections"] or ["MedicationRequest/none"]
    return request


def given_to(
    service: WorkedService, worked: WorkedPatient, hook: str, language: str, request: Json | None = None
) -> Iterator[Given]:
    request = request or request_at(service, worked, hook)
    at_hook = worked.model_copy(update={"hook": hook})
    for card in service.ask_with(at_hook, request, noon(worked), language=language).cards:
        for suggestion in card.get("suggestions", []):
            yield Given(worked.id, hook, language, noon(worked), request, card, suggestion)


@pytest.fixture(scope="module")
def given(service: WorkedService) -> list[Given]:
    """All suggestions to all worked patients."""
    found: list[Given] = []
    for worked in WORKED:
        for hook in HOOKS:
            for language in LANGUAGES:
                found += given_to(service, worked, hook, language)
    return found


@pytest.fixture(scope="module")
def created(given: list[Given]) -> list[Given]:
    return [one for one in given if one.action["type"] == "create"]


def all_members(value: Any, name: str) -> Iterator[Any]:
    """The values of every member of this name, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name:
                yield inner
            yield from all_members(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from all_members(inner, name)


@pytest.mark.row("SUG-04", "ACT-01", "ACT-02", "E-15")
def test_every_suggestion_has_one_action_with_a_description(given: list[Given]) -> None:
    for one in given:
        (action,) = one.suggestion["actions"]
        assert action["type"] in ("create", "update", "delete"), one
        assert action["description"].strip(), one
        assert action["description"].startswith(plain_label(one.suggestion["label"])), one


def test_every_order_of_the_catalogue_is_given_to_somebody(service: WorkedService, given: list[Given]) -> None:
    for language in LANGUAGES:
        labels = {plain_label(one.suggestion["label"]) for one in given if one.language == language}
        for key, order in service.knowledge.orders.items():
            assert any(label.startswith(order.label.in_language(language)) for label in labels), (key, language)


@pytest.mark.row("ACT-03", "ACT-04", "GEN-08")
def test_every_resource_is_valid_r4(given: list[Given]) -> None:
    # Patients differ in ids and dates; what differs in more than these is parsed once.
    seen: set[bytes] = set()
    for one in given:
        if not one.resource:
            continue
        written = msgspec.json.encode(one.resource).replace(one.patient.encode(), b"p")
        shape = re.sub(rb"\d{4}-\d\d-\d\d|-\d+(?=\")", b"", written)
        if shape not in seen:
            seen.add(shape)
            get_fhir_model_class(one.resource["resourceType"]).model_validate_json(msgspec.json.encode(one.resource))
    assert len(seen) > 100


@pytest.mark.row("ACT-03", "TOY-18")
def test_every_created_resource_is_a_draft_proposal_for_this_patient_by_this_user(created: list[Given]) -> None:
    for one in created:
        resource, context = one.resource, one.request["context"]
        assert (resource["status"], resource["intent"]) == ("draft", "proposal"), one
        assert resource.get("subject", resource.get("for")) == {"reference": f"Patient/{context['patientId']}"}, one
        assert resource["encounter"] == {"reference": "Encounter/the-encounter"}, one
        assert resource["requester"] == {"reference": context["userId"]}, one
        assert resource["authoredOn"] == one.now.isoformat(), one
        assert one.now.utcoffset() is not None
        assert not resource.keys() & {"id", "meta", "text", "contained"}, one


def test_what_the_call_does_not_tell_is_left_out(service: WorkedService) -> None:
    checked = 0
    for worked in WORKED[::20]:
        request = request_at(service, worked, worked.hook)
        request["context"]["userId"] = "just-an-id"
        if not worked.hook.startswith("encounter-"):
            del request["context"]["encounterId"]
        for one in given_to(service, worked, worked.hook, "en", request):
            if one.action["type"] == "create":
                checked += 1
                assert "requester" not in one.resource, one
                assert ("encounter" in one.resource) == worked.hook.startswith("encounter-"), one
    assert checked > 20


@pytest.mark.row("SUG-04")
def test_every_reference_is_relative_and_leads_into_the_request(created: list[Given]) -> None:
    for one in created:
        of_context = {
            f"Patient/{one.patient}", "Encounter/the-encounter", one.request["context"]["userId"],
        }  # fmt: skip
        charted = {
            f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            for bundle in one.request["prefetch"].values()
            for entry in bundle.get("entry", [])
        }
        for reference in all_members(one.resource, "reference"):
            assert _RELATIVE.fullmatch(reference), one
            assert reference in of_context | charted, one


def test_the_reason_is_told_in_words_and_by_the_results_and_conditions_behind_it(created: list[Given]) -> None:
    for one in created:
        reasons: Any = one.resource["reasonCode"]
        (reason,) = reasons if isinstance(reasons, list) else [reasons]
        assert reason["text"] == one.card["source"]["topic"]["display"], one
        if one.resource["resourceType"] != "Task":
            for because in one.resource.get("reasonReference", []):
                assert because["reference"].startswith(_REASONS), one
            for other in (*one.resource.get("supportingInfo", ()), *one.resource.get("supportingInformation", ())):
                assert not other["reference"].startswith(_REASONS), one


def test_a_draft_for_low_b12_names_the_result_that_is_low(created: list[Given]) -> None:
    low = [one for one in created if rule_id(one.card) == "b12-low"]
    for one in low:
        results = {
            f"Observation/{entry['resource']['id']}": entry["resource"]
            for entry in one.request["prefetch"]["labs"].get("entry", [])
        }
        named = [results[because["reference"]] for because in one.resource.get("reasonReference", [])
                 if because["reference"] in results]  # fmt: skip
        assert named, one
    assert len(low) > 100


@pytest.mark.row("ACT-02", "E-15", "E-19")
def test_the_description_says_everything_that_a_drafted_prescription_says(created: list[Given]) -> None:
    routes = {
        "en": {
            "26643006": "mouth",
            "37839007": "under the tongue",
            "78421000": "intramuscular",
            "34206005": "subcutaneous",
        },
        "zh": {"26643006": "口服", "37839007": "舌下", "78421000": "肌内注射", "34206005": "皮下注射"},
    }
    for one in created:
        if one.resource["resourceType"] != "MedicationRequest":
            continue
        said = one.action["description"]
        assert one.resource["medicationCodeableConcept"]["text"] in said, one
        for dosage in one.resource["dosageInstruction"]:
            assert dosage["text"] in said, one
            (rate,) = dosage["doseAndRate"]
            assert f"{rate['doseQuantity']['value']:g}" in dosage["text"], one
            assert routes[one.language][dosage["route"]["coding"][0]["code"]] in said, one
            assert dosage["timing"]["repeat"].keys() >= {"frequency", "period", "periodUnit"}, one


@pytest.mark.row("ACT-02", "E-15")
def test_the_description_says_everything_that_a_drafted_test_says(service: WorkedService, created: list[Given]) -> None:
    for one in created:
        if one.resource["resourceType"] == "ServiceRequest":
            labels = {
                order.label.in_language(one.language) for order in service.knowledge.orders.values() if order.test
            }
            assert one.suggestion["label"] in labels, one
            for note in one.resource.get("note", []):
                assert note["text"] in one.action["description"], one


@pytest.mark.row("ACT-02", "X-11")
def test_what_is_done_to_a_product_names_it_with_its_dose(given: list[Given]) -> None:
    for one in given:
        about = one.drafts.get(one.action.get("resourceId", "")) or one.drafts.get(
            f"{one.resource.get('resourceType')}/{one.resource.get('id')}"
        )
        if about is not None and "medicationCodeableConcept" in about:
            concept = about["medicationCodeableConcept"]
            name = concept.get("text") or next(c["display"] for c in concept["coding"] if c.get("display"))
            assert name in one.action["description"], one
            if about.get("dosageInstruction", [{}])[0].get("doseAndRate"):
                assert len(one.action["description"]) > len(one.suggestion["label"]), one


def test_every_code_of_a_created_order_is_whole_and_known(service: WorkedService, created: list[Given]) -> None:
    kinds: dict[str, tuple[Kind, str]] = {
        "ServiceRequest": ("observation", "code"), "MedicationRequest": ("medication", "medicationCodeableConcept"),
    }  # fmt: skip
    for one in created:
        for coding in (c for codings in all_members(one.resource, "coding") for c in codings):
            assert coding.keys() == {"system", "code", "display"}, one
            assert all(coding.values()), one
        if one.resource["resourceType"] in kinds:
            kind, member = kinds[one.resource["resourceType"]]
            for coding in one.resource[member]["coding"]:
                known = Coding(coding["system"], coding["code"])
                assert service.knowledge.terminology.concepts(kind, [known]), one


def test_the_catalogue_calls_codes_what_the_code_lists_call_them(service: WorkedService) -> None:
    listed: dict[tuple[str, str], set[str]] = {}
    for path in sorted((knowledge_dir() / "valuesets").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if "code" in row:  # one file lists where the codes were looked up
                    listed.setdefault((row["system"], row["code"]), set()).add(row["display"])
    for key, order in service.knowledge.orders.items():
        products = [choice.medicine for choice in order.medicine or ()]
        products += [choice.medicine for regimen in order.regimens.values() for choice in regimen.medicine]
        codings = [coding for product in products for coding in product.codings]
        codings += order.test.codings if order.test else []
        codings += order.replace.codings if order.replace else []
        for coding in codings:
            assert coding.system in SYSTEMS, key
            assert coding.display in listed[coding.system, coding.code], (key, coding.code)


@pytest.mark.row("ACT-05", "ACT-06")
def test_a_removal_names_a_draft_of_the_request_and_nothing_else(given: list[Given]) -> None:
    removals = [one for one in given if one.action["type"] == "delete"]
    for one in removals:
        assert one.action.keys() == {"type", "description", "resourceId"}, one
        assert one.action["resourceId"] in one.drafts, one
    assert len(removals) > 100


@pytest.mark.row("ACT-04")
def test_an_update_is_the_draft_of_the_request_with_one_thing_changed(given: list[Given]) -> None:
    updates = [one for one in given if one.action["type"] == "update"]
    changed_members = set()
    for one in updates:
        before = one.drafts[f"{one.resource['resourceType']}/{one.resource['id']}"]
        assert one.resource.keys() - before.keys() <= {"medicationCodeableConcept"}, one
        changed = {name for name in before if before[name] != one.resource.get(name)}
        assert changed <= {"status", "medicationCodeableConcept", "medicationReference", "contained"} or changed == {
            "dosageInstruction"
        }, one
        changed_members |= changed
    assert {"status", "medicationCodeableConcept", "dosageInstruction"} <= changed_members


@pytest.mark.row("SUG-02", "CRD-01", "FBK-02", "FBK-03")
def test_every_card_and_suggestion_can_be_named_in_feedback(given: list[Given]) -> None:
    suggestions = [one.suggestion["uuid"] for one in given]
    assert len(set(suggestions)) == len(suggestions)
    cards = {one.card["uuid"] for one in given}
    assert not cards & set(suggestions)
    for one in given[::200]:
        assert is_uuid(one.suggestion["uuid"])
        said = {
            "card": one.card["uuid"],
            "outcome": "accepted",
            "outcomeTimestamp": "2026-11-20T12:00:00Z",
            "acceptedSuggestions": [{"id": one.suggestion["uuid"]}],
        }
        (event,) = parse_feedback(msgspec.json.encode({"feedback": [said]}), "vitamin-b12-patient-view")
        assert (event.card, event.accepted) == (one.card["uuid"], (one.suggestion["uuid"],))


def test_only_what_a_critical_card_drafts_is_urgent(created: list[Given]) -> None:
    priorities: dict[str, set[str | None]] = {"critical": set(), "warning": set(), "info": set()}
    for one in created:
        priorities[one.card["indicator"]].add(one.resource.get("priority"))
    assert priorities == {"critical": {"urgent"}, "warning": {None}, "info": {None}}
