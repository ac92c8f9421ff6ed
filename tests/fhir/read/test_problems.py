"""Conditions, procedures, pending tests and INR goals; and what is known of lists that could not be read."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.coding import ICD10, LOINC, SNOMED
from cds_service.fhir.bundle import ListResult, open_resource
from cds_service.fhir.read.record import read_record
from cds_service.gaps import Gap, GapKind
from cds_service.record import PatientRecord, Source
from tests.support.reasons import incomplete
from tests.support.small_terminology import ALL, ME, PATIENT, TERMINOLOGY, UNITS, bundle, observation, read


def condition(**members: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": ME,
        "code": {"coding": [{"system": ICD10, "code": "K50.9"}]},
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def procedure(**members: Any) -> dict[str, Any]:
    code = {"coding": [{"system": SNOMED, "code": "442338001", "display": "Gastric bypass"}]}
    base = {"resourceType": "Procedure", "id": "x1", "subject": ME, "status": "completed", "code": code}
    return {name: value for name, value in (base | members).items() if value is not None}


def order(**members: Any) -> dict[str, Any]:
    code = {"coding": [{"system": LOINC, "code": "2132-9"}]}
    base = {"resourceType": "ServiceRequest", "id": "t1", "subject": ME, "status": "active", "code": code}
    return {name: value for name, value in (base | members).items() if value is not None}


def goal(**members: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Goal",
        "id": "g1",
        "subject": ME,
        "lifecycleStatus": "active",
        "target": [inr_target(2, 3)],
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def inr_target(low: float, high: float, **unit: str) -> dict[str, Any]:
    limits = {"low": {"value": low, **unit}, "high": {"value": high, **unit}}
    return {"measure": {"coding": [{"system": LOINC, "code": "6301-6"}]}, "detailRange": limits}


def status(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


@pytest.mark.parametrize(
    ("clinical", "current"),
    [
        (None, True),
        (status("active"), True),
        (status("recurrence"), True),
        (status("relapse"), True),
        ("active", True),  # STU3 writes a plain code
        (status("inactive"), False),
        (status("resolved"), False),
        (status("remission"), False),
        ("resolved", False),
        ({"text": "Active"}, True),
    ],
)
def test_the_clinical_status_tells_whether_a_problem_is_current(clinical: object, current: bool) -> None:
    (problem,) = read(condition(clinicalStatus=clinical)).problems
    assert (problem.current, problem.concepts) == (current, frozenset({"crohn-disease"}))


def test_a_problem_that_has_abated_is_not_current_though_its_status_is_missing() -> None:
    (problem,) = read(condition(abatementDateTime="2020")).problems
    assert not problem.current


@pytest.mark.parametrize("denied", [status("refuted"), status("entered-in-error"), "refuted", "entered-in-error"])
def test_a_refuted_problem_does_not_exist(denied: object) -> None:
    assert read(condition(verificationStatus=denied)).problems == ()


@pytest.mark.parametrize("verification", [status("unconfirmed"), status("confirmed"), "provisional"])
def test_a_problem_that_is_not_refuted_exists(verification: object) -> None:
    assert len(read(condition(verificationStatus=verification)).problems) == 1


@pytest.mark.parametrize(
    ("verification", "certain"),
    [
        (None, True),
        (status("confirmed"), True),
        ("unknown", True),  # STU3
        (status("provisional"), False),
        (status("differential"), False),
        ("unconfirmed", False),
    ],
)
def test_a_diagnosis_that_is_only_considered_is_not_certain(verification: object, certain: bool) -> None:
    (problem,) = read(condition(verificationStatus=verification)).problems
    assert problem.certain is certain


@pytest.mark.parametrize(
    ("members", "recorded"),
    [
        ({"onsetDateTime": "2020-05", "recordedDate": "2021-01-01"}, date(2021, 1, 1)),
        ({"onsetDateTime": "2020-05"}, None),
        ({"assertedDate": "2019-01-01"}, date(2019, 1, 1)),
        ({"dateRecorded": "2018-01-01"}, date(2018, 1, 1)),
        ({"recordedDate": "last year"}, None),
    ],
)
def test_when_the_entry_of_a_problem_was_made(members: dict[str, Any], recorded: date | None) -> None:
    (problem,) = read(condition(**members)).problems
    assert problem.recorded == recorded


@pytest.mark.parametrize(
    ("members", "since"),
    [
        ({"onsetDateTime": "2020-05", "recordedDate": "2021-01-01"}, date(2020, 5, 31)),
        ({"onsetPeriod": {"start": "2020-05-06"}}, date(2020, 5, 6)),
        ({"onsetString": "as a child", "recordedDate": "2021-01-01"}, date(2021, 1, 1)),
        ({"assertedDate": "2019-01-01"}, date(2019, 1, 1)),
        ({}, None),
    ],
)
def test_since_when_a_problem_is_known(members: dict[str, Any], since: date | None) -> None:
    (problem,) = read(condition(**members)).problems
    assert problem.since == since


@pytest.mark.parametrize("members", [{"patient": ME, "subject": None}, {}])
def test_the_subject_of_a_condition_may_be_called_patient(members: dict[str, Any]) -> None:
    assert len(read(condition(**members)).problems) == 1


@pytest.mark.parametrize(
    ("members", "since"),
    [
        ({"performedDateTime": "2019-06-07"}, date(2019, 6, 7)),
        ({"performedPeriod": {"start": "2019-06-07", "end": "2019-06-09"}}, date(2019, 6, 7)),
        ({"occurrenceDateTime": "2019-06-07"}, date(2019, 6, 7)),
        ({"occurrencePeriod": {"start": "2019-06-07"}}, date(2019, 6, 7)),
        ({}, None),
    ],
)
def test_a_completed_procedure_is_a_current_problem(members: dict[str, Any], since: date | None) -> None:
    (problem,) = read(procedure(**members)).problems
    assert (problem.current, problem.since, problem.text) == (True, since, "Gastric bypass")


@pytest.mark.parametrize(
    "members",
    [
        {"status": "preparation"},
        {"status": "not-done"},
        {"status": None},
        {"notDone": True},
        {"status": "entered-in-error"},
    ],
)
def test_a_procedure_that_was_not_done_is_no_problem(members: dict[str, Any]) -> None:
    assert read(procedure(**members)).problems == ()


@pytest.mark.parametrize("kind", ["ServiceRequest", "ProcedureRequest"])
@pytest.mark.parametrize("state", ["active", "draft"])
def test_an_ordered_test_is_pending(kind: str, state: str) -> None:
    (pending,) = read(order(resourceType=kind, status=state, authoredOn="2026-11-01")).pending
    assert pending.concepts == {"serum-vitamin-b12"}
    assert (pending.kind, pending.since) == ("order", date(2026, 11, 1))
    assert pending.reference == f"{kind}/t1"


@pytest.mark.parametrize(
    "members",
    [
        {"status": "completed"},
        {"status": "revoked"},
        {"status": None},
        {"doNotPerform": True},
        {"code": {"text": "X-ray"}},
    ],
)
def test_these_orders_are_not_pending(members: dict[str, Any]) -> None:
    assert read(order(**members)).pending == ()


def test_an_r5_order_names_its_test_in_a_concept() -> None:
    (pending,) = read(order(code={"concept": {"text": "Vitamin B12"}})).pending
    assert pending.concepts == {"serum-vitamin-b12"}


def test_the_inr_range_of_the_latest_goal_counts() -> None:
    record = read(
        goal(startDate="2025-01-01", target=[inr_target(2, 3)]),
        goal(id="g2", statusDate="2026-01-01", target=[{"measure": {"text": "HbA1c"}}, inr_target(2.5, 3.5)]),
        goal(id="g3", target=[inr_target(1.5, 2)]),
    )
    assert record.inr_goal is not None
    assert (record.inr_goal.low, record.inr_goal.high, record.inr_goal.reference) == (2.5, 3.5, "Goal/g2")


@pytest.mark.parametrize(
    "members",
    [
        {"target": inr_target(2, 3), "lifecycleStatus": None, "status": "in-progress"},  # STU3
        {"target": [inr_target(2, 3, unit="INR")]},
        {"target": [{"detailRange": inr_target(2, 3)["detailRange"]}], "description": {"text": "Target INR"}},
        {"target": None, "description": {"text": "Keep the INR within 2.0-3.0"}},
    ],
)
def test_an_inr_goal_is_read(members: dict[str, Any]) -> None:
    found = read(goal(**members)).inr_goal
    assert found is not None
    assert (found.low, found.high) == (2, 3)


@pytest.mark.parametrize(
    "members",
    [
        {"lifecycleStatus": "cancelled"},
        {"lifecycleStatus": "completed"},
        {"lifecycleStatus": "entered-in-error"},
        {"lifecycleStatus": "proposed"},
        {"target": [inr_target(3, 2)]},
        {"target": [inr_target(20, 30)]},
        {"target": [inr_target(2, 3, unit="%")]},
        {"target": [{"measure": {"text": "INR"}, "detailQuantity": {"value": 2}}]},
        {"target": [{"measure": {"text": "HbA1c"}, "detailRange": inr_target(2, 3)["detailRange"]}]},
        {"target": None, "description": {"text": "INR 2.0-3.0, later 2.5-3.5"}},
        {"target": 7},
    ],
)
def test_this_is_no_inr_goal(members: dict[str, Any]) -> None:
    assert read(goal(**members)).inr_goal is None


@pytest.mark.parametrize(
    ("resource", "source"),
    [
        (condition(code=7), "conditions"),
        (procedure(code=[7]), "procedures"),
        (order(code=7), "service-requests"),
        (goal(description=7), "goals"),
        (condition(id=7), "conditions"),
    ],
)
def test_one_that_cannot_be_read_leaves_its_list_incomplete(resource: dict[str, Any], source: Source) -> None:
    record = read(resource, observation())
    assert incomplete(record) == {source: f"1 × {resource['resourceType']} could not be read"}
    assert record.labs


def obtained(*held: ListResult) -> PatientRecord:
    patient = ListResult((), open_resource(bundle([PATIENT])).entries)
    return read_record("p1", (patient, *held), TERMINOLOGY, UNITS)


def test_a_list_is_unread_if_one_of_its_keys_is() -> None:
    record = obtained(
        ListResult(("observations",), open_resource(bundle([observation()])).entries),
        ListResult(("observations",), unread=(Gap(GapKind.NO_CONNECTION),)),
        ListResult(("conditions",)),
    )
    assert record.unread == {"observations": (Gap(GapKind.NO_CONNECTION),)}
    assert record.labs


def test_a_missing_page_and_a_bad_entry_are_both_told() -> None:
    bad = open_resource(bundle([observation(code=7)])).entries
    record = obtained(ListResult(("observations",), bad, incomplete=(Gap(GapKind.TOO_MANY_PAGES, count=4),)))
    assert incomplete(record) == {"observations": "more than 4 pages; 1 × Observation could not be read"}


def test_a_list_that_was_read_and_is_empty_is_neither_unread_nor_incomplete() -> None:
    record = obtained(ListResult(ALL))
    assert (record.unread, record.incomplete, record.orders) == ({}, {}, None)


def test_resources_of_other_types_are_of_no_interest() -> None:
    record = read({"resourceType": "Practitioner", "id": "d1"}, {"resourceType": "Observation2"})
    assert (record.notes, record.incomplete) == ({}, {})
