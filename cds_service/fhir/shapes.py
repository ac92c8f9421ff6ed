"""The few FHIR members we read, as narrow msgspec Structs that fit R4, R4B, R5, STU3 and mostly DSTU2.

Three habits keep one odd member from costing a whole resource:
- every member may be missing or null;
- members that are nice to have (`interpretation`, `reasonCode` ...) stay `Raw` and are decoded apart, with a fall-back;
- dates and booleans that clients send in odd forms are `Any`, and judged where they are used.
Codes stay `Raw` too: the same few CodeableConcepts come hundreds of times, so they are looked up by their bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

NOTHING = msgspec.Raw(b"")


class CodingShape(msgspec.Struct, gc=False):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class ConceptShape(msgspec.Struct):
    """A CodeableConcept, or an R5 CodeableReference with its `concept`."""

    coding: list[CodingShape] | None = None
    text: str | None = None
    concept: msgspec.Raw = NOTHING


class ReferenceShape(msgspec.Struct, gc=False):
    reference: str | None = None
    display: str | None = None


class PeriodShape(msgspec.Struct):
    start: Any = None
    end: Any = None


class QuantityShape(msgspec.Struct, gc=False):
    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class RangeShape(msgspec.Struct):
    low: QuantityShape | None = None
    high: QuantityShape | None = None


class RatioShape(msgspec.Struct):
    numerator: QuantityShape | None = None
    denominator: QuantityShape | None = None


class ComponentHead(msgspec.Struct):
    code: msgspec.Raw = NOTHING


class ObservationHead(msgspec.Struct):
    """Just enough to know whether an Observation matters: nine in ten do not."""

    status: str | None = None
    code: msgspec.Raw = NOTHING
    component: list[ComponentHead] | None = None


class ResultShape(msgspec.Struct, rename="camel"):
    """What an Observation and its components have in common."""

    code: msgspec.Raw = NOTHING
    value_quantity: QuantityShape | None = None
    value_string: str | None = None
    value_integer: int | None = None
    data_absent_reason: msgspec.Raw = NOTHING
    interpretation: msgspec.Raw = NOTHING
    reference_range: msgspec.Raw = NOTHING


class ObservationShape(ResultShape, rename="camel"):
    id: str | None = None
    subject: msgspec.Raw = NOTHING
    focus: msgspec.Raw = NOTHING
    status: str | None = None
    effective_date_time: Any = None
    effective_instant: Any = None
    effective_period: PeriodShape | None = None
    issued: Any = None
    component: list[ResultShape] | None = None
    specimen: msgspec.Raw = NOTHING
    has_member: msgspec.Raw = NOTHING
    related: msgspec.Raw = NOTHING


class LabRangeShape(msgspec.Struct):
    low: QuantityShape | None = None
    high: QuantityShape | None = None
    text: str | None = None


class MedicationShape(msgspec.Struct, rename="camel"):
    """A Medication: what is in it, and how strong."""

    id: str | None = None
    status: str | None = None
    code: msgspec.Raw = NOTHING
    form: msgspec.Raw = NOTHING
    dose_form: msgspec.Raw = NOTHING
    ingredient: msgspec.Raw = NOTHING
    product: msgspec.Raw = NOTHING


class DrugProductShape(msgspec.Struct):
    """DSTU2 kept form and ingredients one level deeper."""

    form: msgspec.Raw = NOTHING
    ingredient: msgspec.Raw = NOTHING


class IngredientShape(msgspec.Struct, rename="camel"):
    item: msgspec.Raw = NOTHING
    item_codeable_concept: msgspec.Raw = NOTHING
    strength: RatioShape | None = None
    amount: RatioShape | None = None
    strength_ratio: RatioShape | None = None
    strength_quantity: QuantityShape | None = None


class MedicationEntry(msgspec.Struct, rename="camel"):
    """MedicationRequest, MedicationStatement, MedicationAdministration and DSTU2's MedicationOrder in one."""

    id: str | None = None
    status: str | None = None
    intent: str | None = None
    do_not_perform: Any = None
    subject: msgspec.Raw = NOTHING
    patient: msgspec.Raw = NOTHING
    medication_codeable_concept: msgspec.Raw = NOTHING
    medication_reference: msgspec.Raw = NOTHING
    medication: msgspec.Raw = NOTHING
    contained: msgspec.Raw = NOTHING
    dosage_instruction: msgspec.Raw = NOTHING
    dosage: msgspec.Raw = NOTHING
    reason: msgspec.Raw = NOTHING
    reason_code: msgspec.Raw = NOTHING
    reason_codeable_concept: msgspec.Raw = NOTHING
    reason_reference: msgspec.Raw = NOTHING
    reason_for_use_codeable_concept: msgspec.Raw = NOTHING
    authored_on: Any = None
    date_written: Any = None
    date_ended: Any = None
    date_asserted: Any = None
    based_on: msgspec.Raw = NOTHING
    derived_from: msgspec.Raw = NOTHING
    prior_prescription: msgspec.Raw = NOTHING
    authorizing_prescription: msgspec.Raw = NOTHING
    effective_date_time: Any = None
    effective_period: msgspec.Raw = NOTHING
    occurence_date_time: Any = None  # R5 spells it so for MedicationAdministration
    occurence_period: msgspec.Raw = NOTHING
    occurrence_date_time: Any = None
    occurrence_period: msgspec.Raw = NOTHING
    effective_time_date_time: Any = None
    effective_time_period: msgspec.Raw = NOTHING
    dispense_request: msgspec.Raw = NOTHING
    taken: str | None = None
    was_not_taken: Any = None
    not_given: Any = None
    was_not_given: Any = None
    adherence: msgspec.Raw = NOTHING


class DispenseShape(msgspec.Struct, rename="camel"):
    expected_supply_duration: QuantityShape | None = None
    quantity: QuantityShape | None = None
    number_of_repeats_allowed: int | None = None
    validity_period: PeriodShape | None = None


class AdherenceShape(msgspec.Struct):
    code: msgspec.Raw = NOTHING


class RepeatShape(msgspec.Struct, rename="camel"):
    bounds_duration: QuantityShape | None = None
    bounds_period: PeriodShape | None = None
    bounds_range: RangeShape | None = None
    count: float | None = None
    count_max: float | None = None
    frequency: float | None = None
    frequency_max: float | None = None
    period: float | None = None
    period_max: float | None = None
    period_unit: str | None = None
    period_units: str | None = None  # DSTU2
    when: list[str] | str | None = None
    time_of_day: list[str] | None = None
    day_of_week: list[str] | None = None


class TimingShape(msgspec.Struct):
    event: list[Any] | None = None
    repeat: RepeatShape | None = None
    code: msgspec.Raw = NOTHING


class DoseAndRateShape(msgspec.Struct, rename="camel"):
    dose_quantity: QuantityShape | None = None
    dose_range: RangeShape | None = None


class DosageShape(msgspec.Struct, rename="camel"):
    """A Dosage of any version, and the `dosage` of a MedicationAdministration (`dose`)."""

    text: str | None = None
    sequence: int | None = None
    timing: TimingShape | None = None
    as_needed: Any = None
    as_needed_boolean: Any = None
    as_needed_codeable_concept: Any = None
    as_needed_for: Any = None
    route: msgspec.Raw = NOTHING
    dose_and_rate: list[DoseAndRateShape] | DoseAndRateShape | None = None
    dose_quantity: QuantityShape | None = None
    dose_range: RangeShape | None = None
    quantity_quantity: QuantityShape | None = None
    quantity_range: RangeShape | None = None
    quantity: QuantityShape | None = None
    dose: QuantityShape | None = None


class ConditionShape(msgspec.Struct, rename="camel"):
    id: str | None = None
    subject: msgspec.Raw = NOTHING
    patient: msgspec.Raw = NOTHING
    code: msgspec.Raw = NOTHING
    clinical_status: msgspec.Raw = NOTHING
    verification_status: msgspec.Raw = NOTHING
    onset_date_time: Any = None
    onset_period: msgspec.Raw = NOTHING
    recorded_date: Any = None
    asserted_date: Any = None
    date_recorded: Any = None
    abatement_date_time: Any = None
    abatement_period: Any = None
    abatement_boolean: Any = None
    severity: msgspec.Raw = NOTHING


class ReactionShape(msgspec.Struct):
    substance: msgspec.Raw = NOTHING
    manifestation: msgspec.Raw = NOTHING
    severity: str | None = None


class AllergyShape(msgspec.Struct, rename="camel"):
    id: str | None = None
    patient: msgspec.Raw = NOTHING
    subject: msgspec.Raw = NOTHING
    code: msgspec.Raw = NOTHING
    substance: msgspec.Raw = NOTHING  # DSTU2
    status: msgspec.Raw = NOTHING  # DSTU2
    clinical_status: msgspec.Raw = NOTHING
    verification_status: msgspec.Raw = NOTHING
    criticality: str | None = None
    reaction: msgspec.Raw = NOTHING
    onset_date_time: Any = None
    recorded_date: Any = None
    asserted_date: Any = None


class RelativesConditionShape(msgspec.Struct):
    code: msgspec.Raw = NOTHING


class FamilyMemberHistoryShape(msgspec.Struct):
    id: str | None = None
    patient: msgspec.Raw = NOTHING
    status: str | None = None
    condition: msgspec.Raw = NOTHING


class ProcedureShape(msgspec.Struct, rename="camel"):
    id: str | None = None
    subject: msgspec.Raw = NOTHING
    status: str | None = None
    code: msgspec.Raw = NOTHING
    not_done: Any = None
    not_performed: Any = None
    performed_date_time: Any = None
    performed_period: msgspec.Raw = NOTHING
    occurrence_date_time: Any = None
    occurrence_period: msgspec.Raw = NOTHING


class ServiceRequestShape(msgspec.Struct, rename="camel"):
    id: str | None = None
    subject: msgspec.Raw = NOTHING
    status: str | None = None
    code: msgspec.Raw = NOTHING
    do_not_perform: Any = None
    authored_on: Any = None


class GoalShape(msgspec.Struct, rename="camel"):
    id: str | None = None
    subject: msgspec.Raw = NOTHING
    lifecycle_status: str | None = None
    status: str | None = None
    description: msgspec.Raw = NOTHING
    target: msgspec.Raw = NOTHING
    start_date: Any = None
    status_date: Any = None


class GoalTargetShape(msgspec.Struct, rename="camel"):
    measure: msgspec.Raw = NOTHING
    detail_range: RangeShape | None = None


class PatientShape(msgspec.Struct, rename="camel"):
    id: str | None = None
    birth_date: Any = None
    gender: Any = None
    deceased_boolean: Any = None
    deceased_date_time: Any = None


class OtherShape(msgspec.Struct):
    """A drafted order of a kind we do not judge: only its identity counts (for the selections)."""

    id: str | None = None
    subject: msgspec.Raw = NOTHING
    patient: msgspec.Raw = NOTHING
    status: str | None = None
