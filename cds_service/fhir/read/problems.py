"""FHIR Conditions, Procedures, test orders and INR goals to the record's problems, pending tests and target."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

import msgspec

from cds_service.fhir.codeable_concept import optional, parse_concept
from cds_service.fhir.dates import first_day
from cds_service.fhir.read.allergy import allergy_of
from cds_service.fhir.read.context import ERRONEOUS, ReadContext
from cds_service.fhir.shapes import (
    ConditionShape,
    FamilyMemberHistoryShape,
    GoalShape,
    GoalTargetShape,
    PeriodShape,
    ProcedureShape,
    QuantityShape,
    RelativesConditionShape,
    ServiceRequestShape,
)
from cds_service.quantity import is_ratio_unit
from cds_service.record import InrGoal, PendingTest, Problem

# A clinical status that is missing says nothing against the problem.
_CURRENT = frozenset(("active", "recurrence", "relapse"))
_DENIED = frozenset(("refuted", ERRONEOUS))
_UNCERTAIN = frozenset(("provisional", "differential", "unconfirmed"))
_PURSUED = frozenset(
    (
        None,
        "accepted",
        "active",
        "planned",
        "in-progress",
        "on-target",
        "ahead-of-target",
        "behind-target",
        "sustaining",
    )
)
_INR = "inr"
_RANGE_IN_TEXT = re.compile(r"(?<![\d.])(\d\.?\d?)\s?(?:-|–|~|to|至)\s?(\d\.?\d?)(?![\d.])")

_condition = msgspec.json.Decoder(ConditionShape)
_family_history = msgspec.json.Decoder(FamilyMemberHistoryShape)
_relatives_conditions = msgspec.json.Decoder(list[RelativesConditionShape] | RelativesConditionShape | None)
_procedure = msgspec.json.Decoder(ProcedureShape)
_service_request = msgspec.json.Decoder(ServiceRequestShape)
_goal = msgspec.json.Decoder(GoalShape)
_targets = msgspec.json.Decoder(list[GoalTargetShape] | GoalTargetShape | None)
_period = msgspec.json.Decoder(PeriodShape | None)


def read_condition(raw: msgspec.Raw, reading: ReadContext, address: str) -> list[Problem]:
    """A Condition as a problem, and as the allergy that it tells of.

    Nothing if it is refuted, entered in error, not of this patient, or of no interest.
    """
    condition = _condition.decode(raw)
    concepts = reading.concepts("condition", condition.code)
    if not concepts:
        reading.count_unmatched("Condition", condition.code)
    verification = parse_concept(condition.verification_status).code
    if not concepts or verification in _DENIED:
        return []
    if not reading.is_call_patient("Condition", condition.subject, condition.patient):
        return []
    status = parse_concept(condition.clinical_status).code
    if status == ERRONEOUS:
        return []
    onset = (condition.onset_date_time, _start(condition.onset_period))
    recorded = (condition.recorded_date, condition.asserted_date, condition.date_recorded)
    abated = (condition.abatement_date_time, condition.abatement_period, condition.abatement_boolean)
    over = any(member is not None and member is not False for member in abated)
    reference = f"Condition/{condition.id}" if condition.id else address
    problem = Problem(
        concepts=concepts,
        text=parse_concept(condition.code).label,
        reference=reference,
        current=status in _CURRENT if status else not over,
        certain=verification not in _UNCERTAIN,
        since=first_day(*onset, *recorded),
        recorded=first_day(*recorded),
    )
    allergy = allergy_of(condition, reading, reference) if problem.current else None
    return [problem] if allergy is None else [problem, allergy]


def read_procedure(raw: msgspec.Raw, reading: ReadContext, address: str) -> Problem | None:
    """A completed Procedure as a problem; None if it was not done, is not of this patient, or of no interest."""
    procedure = _procedure.decode(raw)
    if procedure.status != "completed" or True in (procedure.not_done, procedure.not_performed):
        return None
    concepts = reading.concepts("condition", procedure.code)
    if not concepts:
        reading.count_unmatched("Procedure", procedure.code)
    if not concepts or not reading.is_call_patient("Procedure", procedure.subject):
        return None
    dates = (
        procedure.performed_date_time,
        procedure.occurrence_date_time,
        _start(procedure.performed_period),
        _start(procedure.occurrence_period),
    )
    return Problem(
        concepts=concepts,
        text=parse_concept(procedure.code).label,
        reference=f"Procedure/{procedure.id}" if procedure.id else address,
        since=first_day(*dates),
    )


def read_family_history(raw: msgspec.Raw, reading: ReadContext, address: str) -> list[Problem]:
    """The conditions of one relative that the knowledge names; none if the entry was made in error or is not ours."""
    history = _family_history.decode(raw)
    if history.status == ERRONEOUS:
        return []
    held = optional(_relatives_conditions, history.condition)
    conditions = held if isinstance(held, list) else [held] if held is not None else []
    found = [
        Problem(
            concepts=concepts,
            text=parse_concept(condition.code).label,
            reference=f"FamilyMemberHistory/{history.id}" if history.id else address,
        )
        for condition in conditions
        if (concepts := reading.concepts("condition", condition.code))
    ]
    return found if found and reading.is_call_patient("FamilyMemberHistory", history.patient) else []


def read_service_request(raw: msgspec.Raw, kind: str, reading: ReadContext, address: str) -> PendingTest | None:
    """An active or drafted order of a test; None if it is over, refused, not of this patient, or of no interest."""
    request = _service_request.decode(raw)
    if request.status not in ("active", "draft") or request.do_not_perform is True:
        return None
    tests = reading.concepts("observation", request.code)
    if not tests or not reading.is_call_patient(kind, request.subject):
        return None
    return PendingTest(tests, f"{kind}/{request.id}" if request.id else address, first_day(request.authored_on))


def read_draft_test(
    raw: msgspec.Raw, kind: str, reading: ReadContext, address: str
) -> tuple[str, frozenset[str]] | None:
    """A drafted ServiceRequest: its reference and the tests it asks for; None if it is not to be judged."""
    request = _service_request.decode(raw)
    if request.status in (ERRONEOUS, "revoked", "cancelled", "completed", "stopped") or request.do_not_perform is True:
        return None
    if not reading.is_call_patient(kind, request.subject, missing=True):
        return None
    return f"{kind}/{request.id}" if request.id else address, reading.concepts("observation", request.code)


class DatedGoal(NamedTuple):
    """An INR goal, and the day it was set, to take the latest."""

    since: date
    goal: InrGoal


def read_goal(raw: msgspec.Raw, reading: ReadContext, address: str) -> DatedGoal | None:
    """The INR range of a Goal; None if it is of something else, given up, or states no range."""
    goal = _goal.decode(raw)
    if (goal.lifecycle_status or goal.status) not in _PURSUED:
        return None
    targets = optional(_targets, goal.target) or []
    by_description = reading.concepts("observation", goal.description)
    for target in targets if isinstance(targets, list) else [targets]:
        measured = reading.concepts("observation", target.measure) if bytes(target.measure) else by_description
        limits = target.detail_range
        if _INR not in measured or limits is None:
            continue
        found = _inr_range(_inr_limit(limits.low), _inr_limit(limits.high))
        if found is not None:
            return _ours(goal, found, reading, address)
    # Many goals are a sentence: "Target INR 2.0-3.0".
    written = (
        _RANGE_IN_TEXT.findall(parse_concept(goal.description).text) if _INR in by_description and not targets else []
    )
    found = _inr_range(float(written[0][0]), float(written[0][1])) if len(written) == 1 else None
    return _ours(goal, found, reading, address) if found is not None else None


def _ours(goal: GoalShape, limits: tuple[float, float], reading: ReadContext, address: str) -> DatedGoal | None:
    if not reading.is_call_patient("Goal", goal.subject):
        return None
    since = first_day(goal.status_date, goal.start_date) or date.min
    return DatedGoal(since, InrGoal(*limits, f"Goal/{goal.id}" if goal.id else address))


def _inr_limit(quantity: QuantityShape | None) -> float | None:
    if quantity is None or quantity.comparator:
        return None
    return quantity.value if is_ratio_unit(quantity.unit) and is_ratio_unit(quantity.code) else None


def _inr_range(low: float | None, high: float | None) -> tuple[float, float] | None:
    """The range, if it can be one of INR: anything outside 1 to 10 is a slip."""
    return (low, high) if low is not None and high is not None and 1 <= low < high <= 10 else None


def _start(raw: msgspec.Raw) -> object:
    period = optional(_period, raw)
    return period.start if period is not None else None
