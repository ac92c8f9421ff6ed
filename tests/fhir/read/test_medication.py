"""Medication entries of every FHIR version: which product, whether it is taken, since when, and why."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.coding import ATC, ICD10, RXNORM, UCUM
from cds_service.quantity import point
from cds_service.record import MedicationUse
from tests.support.reasons import incomplete, notes
from tests.support.small_terminology import ME, read, request, statement

WARFARIN = {"coding": [{"system": RXNORM, "code": "855332", "display": "Warfarin Sodium 5 MG Oral Tablet"}]}


def only(resource: dict[str, Any], *others: dict[str, Any], **how: Any) -> MedicationUse:
    (use,) = read(resource, *others, **how).medications
    return use


def administration(**members: Any) -> dict[str, Any]:
    base = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "medicationCodeableConcept": {"text": "Phytomenadione injection"},
        "subject": ME,
        "effectiveDateTime": "2026-05-01T09:00:00Z",
        "dosage": {"text": "10 mg IV", "dose": {"value": 10, "unit": "mg", "system": UCUM, "code": "mg"}},
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def medication(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": "med1", "code": WARFARIN} | members


def by_reference(reference: str, **members: Any) -> dict[str, Any]:
    return request(medicationCodeableConcept=None, medicationReference={"reference": reference} | members)


def test_an_active_order_is_active_from_the_day_it_was_written() -> None:
    use = only(request())
    assert (use.status, use.start, use.end, use.resource, use.reference) == (
        "active",
        date(2026, 1, 2),
        None,
        "MedicationRequest",
        "MedicationRequest/m1",
    )


@pytest.mark.parametrize("status", ["stopped", "completed", "ended"])
def test_an_order_that_is_over_has_ended(status: str) -> None:
    assert only(request(status=status)).status == "ended"


@pytest.mark.parametrize("status", ["draft", "cancelled", "entered-in-error"])
def test_an_order_that_says_it_is_not_used_is_only_known_to_have_been_listed(status: str) -> None:
    record = read(request(status=status))
    assert record.medications == ()
    assert [use.concepts for use in record.unused] == [{"vitamin-k-antagonist"}]


@pytest.mark.parametrize(("status", "kept"), [("on-hold", "held"), ("unknown", "unclear"), (None, "unclear")])
def test_an_order_that_does_not_say_that_it_is_not_used_is_kept(status: str | None, kept: str) -> None:
    record = read(request(status=status))
    (use,) = record.medications
    assert (use.status, incomplete(record)) == (kept, {})


@pytest.mark.parametrize("status", ["ACTIVE", "in-progress", "", "活动"])
def test_a_status_that_nobody_knows_is_unclear_and_never_a_no(status: str) -> None:
    assert only(request(status=status)).status == "unclear"
    assert only(statement(status=status)).status == "unclear"


def test_an_intent_that_nobody_knows_leaves_an_order_unclear() -> None:
    assert only(request(intent="wish")).status == "unclear"


@pytest.mark.parametrize("intent", ["proposal", "option"])
def test_a_proposal_is_not_taken(intent: str) -> None:
    assert read(request(intent=intent)).medications == ()


@pytest.mark.parametrize("intent", ["plan", "instance-order", None])
def test_a_plan_is_taken(intent: str | None) -> None:
    assert only(request(intent=intent)).status == "active"


def test_an_order_not_to_give_it_is_not_taken() -> None:
    assert read(request(doNotPerform=True)).medications == ()


def test_a_partial_start_is_its_last_day_and_says_so() -> None:
    use = only(request(authoredOn="2026-11"))
    assert (use.start, use.partial_start) == (date(2026, 11, 30), True)


@pytest.mark.parametrize(
    ("members", "start", "end"),
    [
        ({}, None, None),
        ({"effectiveDateTime": "2025-03-04"}, date(2025, 3, 4), None),
        ({"effectivePeriod": {"start": "2025-03-04"}}, date(2025, 3, 4), None),
        ({"effectivePeriod": {"start": "2025-03-04", "end": "2025-04"}}, date(2025, 3, 4), date(2025, 4, 30)),
        ({"effectiveDateTime": "2025-03-04", "status": "completed"}, date(2025, 3, 4), None),
        ({"dateAsserted": "2025-03-04"}, None, None),
        ({"effectivePeriod": "2025"}, None, None),
    ],
)
def test_the_dates_of_a_statement(members: dict[str, Any], start: date | None, end: date | None) -> None:
    use = only(statement(**members))
    assert (use.start, use.end) == (start, end)


@pytest.mark.parametrize("status", ["intended", "not-taken", "entered-in-error"])
def test_a_statement_that_says_it_is_not_used_is_only_known_to_have_been_listed(status: str) -> None:
    record = read(statement(status=status))
    assert (record.medications, len(record.unused)) == ((), 1)


@pytest.mark.parametrize(("status", "kept"), [("on-hold", "held"), ("unknown", "unclear"), (None, "unclear")])
def test_a_statement_that_does_not_say_that_it_is_not_used_is_kept(status: str | None, kept: str) -> None:
    assert only(statement(status=status)).status == kept


@pytest.mark.parametrize(("taken", "count"), [("y", 1), ("unk", 1), ("n", 0), ("na", 0)])
def test_stu3_says_in_taken_whether_it_is_taken(taken: str, count: int) -> None:
    assert len(read(statement(taken=taken)).medications) == count


def test_an_stu3_dose_quantity_is_read() -> None:
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    stu3 = statement(dosage=[{"timing": timing, "doseQuantity": {"value": 180, "unit": "ug"}}])
    assert only(stu3).daily_dose == point(180)


@pytest.mark.parametrize(
    ("adherence", "status"),
    [
        (None, "active"),
        ("taking", "active"),
        ("taking-as-directed", "active"),
        ("taking-not-as-directed", "active"),
        ("stopped", "ended"),
        ("stopped-as-directed", "ended"),
        ("on-hold", "held"),
        ("on-hold-as-directed", "held"),
        ("unknown", "unclear"),
    ],
)
def test_r5_says_in_adherence_whether_it_is_taken(adherence: str | None, status: str) -> None:
    told = {"code": {"coding": [{"code": adherence}]}} if adherence else None
    r5 = statement(
        status="recorded", medicationCodeableConcept=None, medication={"concept": {"text": "MK-7"}}, adherence=told
    )
    assert only(r5).status == status


def test_an_r5_statement_that_it_is_not_taken_is_left_out() -> None:
    told = {"code": {"coding": [{"code": "not-taking"}]}}
    assert read(statement(status="recorded", adherence=told)).medications == ()


def test_an_r5_medication_may_be_a_reference() -> None:
    r5 = request(medicationCodeableConcept=None, medication={"reference": {"reference": "Medication/med1"}})
    assert only(r5, medication()).concepts == {"vitamin-k-antagonist"}


def test_a_dstu2_medication_order_is_read() -> None:
    order = request(resourceType="MedicationOrder", subject=None, patient=ME, intent=None, authoredOn=None)
    use = only(order | {"dateWritten": "2026-01-05", "dateEnded": "2026-02-05"})
    assert (use.resource, use.start, use.end) == ("MedicationOrder", date(2026, 1, 5), date(2026, 2, 5))


def test_a_dstu2_statement_of_not_taking_is_left_out() -> None:
    assert read(statement(subject=None, patient=ME, wasNotTaken=True)).medications == ()


def test_an_administration_tells_what_was_given_once_and_when() -> None:
    use = only(administration())
    assert (use.status, use.start, use.end, use.single_dose) == ("ended", date(2026, 5, 1), date(2026, 5, 1), True)
    assert (use.dose, use.daily_dose, use.route) == (point(10000), None, "iv")


def test_an_administration_in_progress_is_active() -> None:
    period = {"start": "2026-05-01"}
    use = only(administration(status="in-progress", effectiveDateTime=None, effectivePeriod=period))
    assert (use.status, use.start, use.end, use.single_dose) == ("active", date(2026, 5, 1), None, False)


@pytest.mark.parametrize(
    "members", [{"status": "not-done"}, {"status": "entered-in-error"}, {"notGiven": True}, {"wasNotGiven": True}]
)
def test_an_administration_that_was_not_given_is_left_out(members: dict[str, Any]) -> None:
    assert read(administration(**members)).medications == ()


@pytest.mark.parametrize("member", ["occurenceDateTime", "occurrenceDateTime", "effectiveTimeDateTime"])
def test_other_versions_call_the_date_of_an_administration_differently(member: str) -> None:
    use = only(administration(effectiveDateTime=None) | {member: "2026-05-02"})
    assert use.start == date(2026, 5, 2)


@pytest.mark.parametrize(
    "concept",
    [
        WARFARIN,
        {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.88", "code": "855332"}]},
        {"coding": [{"system": "urn:local", "code": "1"}, {"system": ATC, "code": "B01AA03"}]},
        {"coding": [{"system": "urn:local", "code": "W5", "display": "WARFARIN 5"}]},
        {"text": "华法林钠片"},
    ],
)
def test_a_product_is_recognised_by_any_code_or_by_text(concept: dict[str, Any]) -> None:
    assert only(request(medicationCodeableConcept=concept)).concepts == {"vitamin-k-antagonist"}


def test_a_medicine_by_text_alone_that_nothing_names_is_counted() -> None:
    record = read(
        request(medicationCodeableConcept={"text": "Aspirin"}),
        request(id="m2", medicationCodeableConcept={"text": "X"}),
    )
    assert (record.medications, record.incomplete) == ((), {})
    assert notes(record) == {"medicine by text alone that no value set names": 2}


@pytest.mark.row("CTX-08", "E-6")
@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("Medication/med1", None),
        ("Medication/med1/_history/3", None),
        ("https://ehr.example/fhir/Medication/med1", None),
        ("https://ehr.example/fhir/Medication/med1", "https://ehr.example/fhir/Medication/med1/_history/2"),
        ("urn:uuid:0f-1", "urn:uuid:0f-1"),
    ],
)
def test_a_reference_leads_to_the_medication(reference: str, url: str | None) -> None:
    urls = {"med1": url} if url else {}
    use = only(by_reference(reference), medication(), urls=urls)
    assert use.concepts == {"vitamin-k-antagonist"}
    assert use.product == "Warfarin Sodium 5 MG Oral Tablet"


@pytest.mark.row("CTX-08", "TOY-08")
def test_a_contained_medication_is_found() -> None:
    use = only(
        by_reference("#c1") | {"contained": [medication(id="c2", code={"text": "Aspirin"}), medication(id="c1")]}
    )
    assert use.concepts == {"vitamin-k-antagonist"}


def test_a_medication_of_the_same_id_on_another_server_is_another_one() -> None:
    record = read(
        by_reference("https://other.example/Medication/med1"), medication(), server="https://ehr.example/fhir"
    )
    assert record.medications == ()
    assert "medication-requests" in record.incomplete


@pytest.mark.row("E-6")
@pytest.mark.parametrize("found", [[], [medication(code={"coding": [{"system": "urn:local", "code": "9"}]})]])
def test_the_display_of_a_reference_names_the_medicine(found: list[dict[str, Any]]) -> None:
    use = only(by_reference("Medication/med1", display="Warfarin 3 mg"), *found)
    assert use.concepts == {"vitamin-k-antagonist"}
    assert (use.product, use.strength) == ("Warfarin 3 mg", 3000)


@pytest.mark.parametrize(
    "members",
    [
        {"medicationReference": {"reference": "Medication/gone"}},
        {"medicationReference": {"reference": "#gone"}},
        {"medicationReference": {"identifier": {"value": "7"}}},
        {"medicationCodeableConcept": {"coding": [{}]}},
        {},
    ],
)
def test_a_medicine_that_cannot_be_looked_up_leaves_the_list_incomplete(members: dict[str, Any]) -> None:
    record = read(request(medicationCodeableConcept=None) | members)
    assert incomplete(record) == {"medication-requests": "1 × MedicationRequest whose medicine could not be looked up"}


def test_a_medication_entered_in_error_is_not_there() -> None:
    record = read(by_reference("Medication/med1"), medication(status="entered-in-error"))
    assert "medication-requests" in record.incomplete


def test_a_medication_that_is_known_and_of_no_interest_leaves_nothing_open() -> None:
    record = read(by_reference("Medication/med1"), medication(code={"coding": [{"system": RXNORM, "code": "1"}]}))
    assert (record.medications, record.incomplete) == ((), {})


def test_a_medication_without_a_code_is_what_its_ingredients_are() -> None:
    parts = [{"itemCodeableConcept": {"text": "Menatetrenone"}}, {"itemCodeableConcept": {"text": "Starch"}}]
    use = only(by_reference("Medication/med1"), {"resourceType": "Medication", "id": "med1", "ingredient": parts})
    assert use.concepts == {"menatetrenone"}


def strength(micrograms_unit: str, value: float, per: dict[str, Any]) -> dict[str, Any]:
    return {"numerator": {"value": value, "unit": micrograms_unit}, "denominator": per}


@pytest.mark.parametrize(
    ("ingredients", "each"),
    [
        ([{"strength": strength("mg", 5, {"value": 1, "unit": "tablet"})}], 5000),
        ([{"strength": strength("mg", 5, {"value": 1})}], 5000),
        ([{"strength": strength("mg", 10, {"value": 2, "unit": "tablets"})}], 5000),
        ([{"strengthRatio": strength("mg", 5, {"value": 1, "code": "1"})}], 5000),
        ([{"strengthQuantity": {"value": 5, "unit": "mg"}}], 5000),
        ([{"strength": strength("IU", 5, {"value": 1})}], None),
        ([{"strength": {"numerator": {"value": 5, "unit": "mg"}}}], None),
    ],
)
def test_the_strength_of_an_ingredient(ingredients: list[dict[str, Any]], each: float | None) -> None:
    plain = medication(code={"text": "Warfarin"}, ingredient=ingredients)
    assert only(by_reference("Medication/med1"), plain).strength == each


def test_of_several_ingredients_the_one_of_interest_gives_the_strength() -> None:
    parts = [
        {"itemCodeableConcept": {"text": "Cholecalciferol"}, "strength": strength("ug", 50, {"value": 1})},
        {"itemCodeableConcept": {"text": "MK-7"}, "strength": strength("ug", 100, {"value": 1})},
    ]
    both = medication(code={"text": "D3 + K2 capsule"}, ingredient=parts)
    assert only(by_reference("Medication/med1"), both).strength == 100


def test_the_strength_counts_tablets_out() -> None:
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    dosage = [{"timing": timing, "doseAndRate": [{"doseQuantity": {"value": 1.5, "unit": "tablet"}}]}]
    plain = medication(code={"text": "Warfarin"}, ingredient=[{"strength": strength("mg", 2, {"value": 1})}])
    assert only(by_reference("Medication/med1") | {"dosageInstruction": dosage}, plain).daily_dose == point(3000)


@pytest.mark.parametrize(
    "members",
    [
        {"reasonCode": [{"text": "pain"}, {"coding": [{"system": ICD10, "code": "D68.3"}]}]},
        {"reasonCode": [{"text": "INR too high"}]},
        {"reason": [{"concept": {"text": "over-anticoagulation"}}]},
        {"reasonCodeableConcept": {"text": "over-anticoagulation"}},
        {"reasonReference": [{"reference": "Condition/c1"}]},
        {"reasonReference": [{"display": "INR too high"}]},
    ],
)
def test_the_reason_is_read(members: dict[str, Any]) -> None:
    condition = {"resourceType": "Condition", "id": "c1", "subject": ME, "code": {"text": "Over-anticoagulation"}}
    assert only(request(**members), condition).reasons == {"over-anticoagulation"}


def test_a_reason_that_cannot_be_read_does_not_lose_the_medicine() -> None:
    assert only(request(reasonCode=[7])).reasons == frozenset()


def test_an_entry_that_cannot_be_read_leaves_its_list_incomplete() -> None:
    record = read(request(status=7), statement())
    assert incomplete(record) == {"medication-requests": "1 × MedicationRequest could not be read"}
    assert [use.reference for use in record.medications] == ["MedicationStatement/s1"]


def test_an_entry_that_cannot_be_read_and_is_of_no_interest_is_not_missed() -> None:
    assert read(request(status=7, medicationCodeableConcept={"text": "Aspirin"})).incomplete == {}


@pytest.mark.row("E-10")
def test_the_shapes_of_epics_examples_are_read() -> None:
    odd = request(
        category={"coding": [{"code": "outpatient"}]},
        dosageInstruction=[{"text": "5 mg daily", "doseQuantity": {"value": 5, "unit": "mg"}}],
    )
    assert only(odd).daily_dose == point(5000)


def test_the_same_entry_under_two_keys_is_one() -> None:
    assert len(read(request(), request()).medications) == 1
