"""Draft orders of the session: which are judged, which are selected, and whose they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds_service.coding import LOINC
from cds_service.fhir.bundle import ListResult, open_resource
from cds_service.fhir.read.record import read_record
from cds_service.quantity import point
from cds_service.record import DraftOrder
from tests.support.reasons import incomplete, notes
from tests.support.small_terminology import ALL, ME, PATIENT, TERMINOLOGY, UNITS, bundle, observation, read, request


def draft(**members: Any) -> dict[str, Any]:
    return request(status="draft") | members


def lab_order(**members: Any) -> dict[str, Any]:
    code = {"coding": [{"system": LOINC, "code": "2132-9"}]}
    return {"resourceType": "ServiceRequest", "id": "t1", "status": "draft", "subject": ME, "code": code} | members


def drafted(*drafts: dict[str, Any], **how: Any) -> tuple[DraftOrder, ...]:
    orders = read(drafts=drafts, **how).orders
    assert orders is not None
    return orders


def test_without_drafts_there_are_no_orders_in_hand() -> None:
    assert read().orders is None


def test_an_empty_bundle_is_no_order_in_hand_to_judge() -> None:
    assert drafted() == ()


def test_a_drafted_medicine_is_read_as_a_draft() -> None:
    (order,) = drafted(draft(dosageInstruction=[{"text": "5 mg daily"}]))
    assert order.use is not None
    assert (order.reference, order.use.status, order.use.daily_dose) == ("MedicationRequest/m1", "draft", point(5000))


def test_a_draft_is_not_in_the_medication_list() -> None:
    assert read(drafts=[draft()]).medications == ()


@pytest.mark.parametrize("status", ["draft", "active", "on-hold", "unknown", None])
def test_an_order_of_this_status_is_judged_as_a_draft(status: str | None) -> None:
    (order,) = drafted(request(status=status))
    assert order.use is not None
    assert order.use.status == "draft"


@pytest.mark.row("TOY-09")
@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "stopped", "completed"])
def test_an_order_of_this_status_is_not_judged(status: str) -> None:
    assert drafted(draft(status=status)) == ()


def test_an_order_not_to_give_it_is_not_judged() -> None:
    assert drafted(draft(doNotPerform=True)) == ()


@pytest.mark.row("CTX-06")
def test_an_order_being_written_may_have_no_medicine_and_no_intent_yet() -> None:
    record = read(drafts=[{"resourceType": "MedicationRequest", "id": "m1"}])
    assert record.orders == (DraftOrder("MedicationRequest/m1", selected=True),)
    assert record.incomplete == {}


def test_a_draft_without_a_subject_is_the_patients() -> None:
    without = {name: value for name, value in draft().items() if name != "subject"}
    assert len(drafted(without)) == 1


@pytest.mark.row("CTX-09", "TOY-09")
@pytest.mark.parametrize("subject", [{"reference": "Patient/p2"}, {"display": "somebody"}, 7])
def test_a_draft_for_somebody_else_is_left_out(subject: object) -> None:
    assert drafted(draft(subject=subject), lab_order(subject=subject)) == ()


@pytest.mark.row("CTX-07", "E-6")
def test_a_medication_in_the_bundle_is_no_order_but_names_the_medicine() -> None:
    by_reference = draft(medicationReference={"reference": "Medication/x"})
    del by_reference["medicationCodeableConcept"]
    (order,) = drafted(by_reference, {"resourceType": "Medication", "id": "x", "code": {"text": "Warfarin"}})
    assert order.use is not None
    assert order.use.concepts == {"vitamin-k-antagonist"}


def test_a_draft_whose_medicine_cannot_be_looked_up_is_told() -> None:
    by_reference = draft(medicationReference={"reference": "Medication/x"})
    del by_reference["medicationCodeableConcept"]
    record = read(drafts=[by_reference])
    assert incomplete(record) == {"draft-orders": "1 × draft order whose medicine could not be looked up"}


def test_a_drafted_test_is_read() -> None:
    (order,) = drafted(lab_order())
    assert (order.use, order.tests) == (None, frozenset({"serum-vitamin-b12"}))


@pytest.mark.parametrize("members", [{"status": "revoked"}, {"status": "completed"}, {"doNotPerform": True}])
def test_a_test_order_that_is_over_is_not_judged(members: dict[str, Any]) -> None:
    assert drafted(lab_order(**members)) == ()


@pytest.mark.parametrize(
    ("selections", "selected"),
    [
        (None, [True, True, True]),
        ([], [True, True, True]),
        (["MedicationRequest/gone"], [True, True, True]),
        (["MedicationRequest/m1"], [True, False, False]),
        (["https://ehr.example/fhir/MedicationRequest/m1"], [True, False, False]),
        (["t1"], [False, True, False]),
        (["NutritionOrder/n1"], [False, False, True]),
        (["MedicationRequest/m1", "ServiceRequest/t1"], [True, True, False]),
    ],
)
def test_the_selected_orders_are_marked(selections: list[str] | None, selected: list[bool]) -> None:
    food = {"resourceType": "NutritionOrder", "id": "n1", "patient": ME}
    orders = drafted(draft(), lab_order(), food, selections=selections)
    assert [order.selected for order in orders] == selected


def test_a_very_long_id_can_be_selected() -> None:
    name = "e" * 194
    orders = drafted(draft(id=name), draft(id="m2"), selections=[f"MedicationRequest/{name}"])
    assert [order.selected for order in orders] == [True, False]


def test_a_draft_that_cannot_be_read_is_told_and_the_others_are_judged() -> None:
    record = read(drafts=[draft(status=7), draft(id="m2")])
    assert record.orders is not None
    assert [order.reference for order in record.orders] == ["MedicationRequest/m2"]
    assert incomplete(record) == {"draft-orders": "1 × draft order could not be read"}


@pytest.mark.parametrize("resource", [observation(), PATIENT, {"resourceType": "Encounter", "id": "e1"}])
def test_other_resources_in_the_bundle_are_no_orders(resource: dict[str, Any]) -> None:
    assert drafted(resource) == ()


@pytest.mark.row("CTX-05")
@pytest.mark.parametrize(
    "written",
    [
        {"resourceType": "Bundle", "entry": [{"resource": draft()}]},
        {"entry": [{"resource": draft()}], "resourceType": "Bundle", "total": "1"},
    ],
)
def test_a_bundle_without_a_type_or_with_odd_members_is_opened(written: dict[str, Any]) -> None:
    patient = ListResult((), open_resource(bundle([PATIENT])).entries)
    record = read_record("p1", (patient, ListResult(ALL)), TERMINOLOGY, UNITS, drafts=json.dumps(written).encode())
    assert record.orders is not None
    assert len(record.orders) == 1


@pytest.mark.parametrize("written", [b"{}", b"7", b'{"resourceType": "Bundle", "entry": 7}'])
def test_drafts_that_cannot_be_opened_are_noted(written: bytes) -> None:
    patient = ListResult((), open_resource(bundle([PATIENT])).entries)
    record = read_record("p1", (patient,), TERMINOLOGY, UNITS, drafts=written)
    assert (record.orders, notes(record)) == ((), {"draft order that could not be opened": 1})


def test_an_order_of_another_kind_that_was_entered_in_error_does_not_exist() -> None:
    assert drafted({"resourceType": "NutritionOrder", "id": "n1", "status": "entered-in-error", "patient": ME}) == ()


def test_a_stu3_procedure_request_is_a_test_order() -> None:
    (order,) = drafted(lab_order(resourceType="ProcedureRequest"))
    assert order.reference == "ProcedureRequest/t1"
