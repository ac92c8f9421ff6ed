"""Writes one entry of a worked patient as one FHIR R4 resource."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from cds_service.artifacts.worked_patients import (
    Allergy,
    Draft,
    Entry,
    Lab,
    Medication,
    Pending,
    Person,
    Problem,
    When,
    is_relative,
)
from cds_service.coding import SNOMED, UCUM
from cds_service.errors import KnowledgeError
from cds_service.json_types import Json
from cds_service.terminology import Kind, Terminology

_HL7 = "http://terminology.hl7.org/CodeSystem/"
# Mostly bought or reported by the patient rather than ordered, so recorded as a statement.
_REPORTED = frozenset(
    {
        "phytomenadione",
        "menadione-derivative",
        "vitamin-k-unspecified",
        "menatetrenone",
        "menaquinone-7",
        "vitamin-d3-k2",
        "vitamin-k2-unspecified",
        "multivitamin-with-vitamin-k",
        "cyanocobalamin",
        "hydroxocobalamin",
        "mecobalamin",
        "adenosylcobalamin",
        "vitamin-b12-unspecified",
        "b12-combination",
    }
)
_ROUTES = {
    "oral": ("26643006", "Oral route"),
    "sublingual": ("37839007", "Sublingual route"),
    "nasal": ("46713006", "Nasal route"),
    "im": ("78421000", "Intramuscular route"),
    "sc": ("34206005", "Subcutaneous route"),
    "iv": ("47625008", "Intravenous route"),
    "topical": ("6064005", "Topical route"),
}
# Units that are written with a UCUM code beside the text; any other spelling is written as text alone, as laboratories
# with local units send it.
_UCUM = frozenset(
    (
        *("pg/mL", "ng/mL", "ug/mL", "ng/L", "ug/L", "mg/L", "g/L", "mg/dL", "g/dL"),
        *("pmol/L", "nmol/L", "umol/L", "mmol/L", "meq/L", "10*3/uL", "10*9/L"),
        *("fL", "s", "1", "{INR}", "%", "mL/min", "mL/min/{1.73_m2}"),
        *("ng", "ug", "mg", "g", "mL", "[IU]", "h", "d", "wk", "mo", "a"),
    )
)


class EntryWriter:
    """Writes the entries of one patient.

    Args:
        patient_id: the patient's id; the ids of the entries begin with it.
        as_of: the day or instant to which relative dates refer; see `fhir_date`.
    """

    def __init__(self, patient_id: str, terminology: Terminology, as_of: date | datetime) -> None:
        self.patient_id = patient_id
        self.terminology = terminology
        self.as_of = as_of

    def patient(self, person: Person) -> Json:
        day = self.as_of.date() if isinstance(self.as_of, datetime) else self.as_of
        return filled(
            resourceType="Patient",
            id=self.patient_id,
            name=[filled(use="usual", given=[person.given] if person.given else None, family=person.family)]
            if person.given or person.family
            else None,
            gender=person.sex,
            # The first of this month, so that the patient has exactly this age all month.
            birthDate=None if person.age is None else _years_on(day.replace(day=1), -person.age).isoformat(),
            deceasedBoolean=person.deceased,
        )

    def lab(self, lab: Lab, name: str) -> Json:
        number = lab.value if isinstance(lab.value, int | float) else None
        return filled(
            resourceType="Observation",
            id=f"{self.patient_id}-{name}",
            status=lab.status,
            category=[_concept(f"{_HL7}observation-category", "laboratory")],
            code=self._code("observation", lab.test, lab),
            subject=self._subject(lab),
            effectiveDateTime=self._date(lab.date),
            issued=self._date(lab.issued),
            valueQuantity=None if number is None else _quantity(number, lab.unit, comparator=lab.comparator),
            valueString=lab.value if isinstance(lab.value, str) else None,
            dataAbsentReason=_concept(f"{_HL7}data-absent-reason", "unknown") if lab.value is None else None,
            interpretation=[_concept(f"{_HL7}v3-ObservationInterpretation", lab.interpretation)]
            if lab.interpretation
            else None,
            referenceRange=[{"low": _quantity(lab.range[0], lab.unit), "high": _quantity(lab.range[1], lab.unit)}]
            if lab.range
            else None,
        )

    def condition(self, problem: Problem, name: str) -> Json:
        # R4 con-5: an entry made in error has no clinical status.
        clinical = None if problem.verification == "entered-in-error" else problem.status or "active"
        return filled(
            resourceType="Condition",
            id=f"{self.patient_id}-{name}",
            clinicalStatus=_concept(f"{_HL7}condition-clinical", clinical) if clinical else None,
            verificationStatus=_concept(f"{_HL7}condition-ver-status", problem.verification),
            category=[_concept(f"{_HL7}condition-category", "problem-list-item")],
            code=self._code("condition", problem.concept, problem),
            subject=self._subject(problem),
            onsetDateTime=self._date(problem.date),
        )

    def relative(self, problem: Problem, name: str) -> Json:
        return filled(
            resourceType="FamilyMemberHistory",
            id=f"{self.patient_id}-{name}",
            status=problem.status or "completed",
            patient=self._subject(problem),
            relationship=_concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "FAMMEMB"),
            condition=[{"code": self._code("condition", problem.concept, problem)}],
        )

    def allergy(self, allergy: Allergy, name: str) -> Json:
        # R4 ait-2: an entry made in error has no clinical status.
        clinical = None if allergy.verification == "entered-in-error" else allergy.status
        return filled(
            resourceType="AllergyIntolerance",
            id=f"{self.patient_id}-{name}",
            clinicalStatus=_concept(f"{_HL7}allergyintolerance-clinical", clinical) if clinical else None,
            verificationStatus=_concept(f"{_HL7}allergyintolerance-verification", allergy.verification),
            criticality="high" if allergy.severe else None,
            code=self._code("medication", allergy.to, allergy),
            patient=self._subject(allergy),
            recordedDate=self._date(allergy.date),
        )

    def procedure(self, problem: Problem, name: str) -> Json:
        return filled(
            resourceType="Procedure",
            id=f"{self.patient_id}-{name}",
            status=problem.status or "completed",
            code=self._code("condition", problem.concept, problem),
            subject=self._subject(problem),
            performedDateTime=self._date(problem.date),
        )

    def test(self, test: Pending, name: str) -> Json:
        return filled(
            resourceType="ServiceRequest",
            id=f"{self.patient_id}-{name}",
            status=test.status,
            intent="order",
            code=self._code("observation", test.test, test),
            subject=self._subject(test),
            authoredOn=self._date(test.date),
        )

    def goal(self, low: float, high: float) -> Json:
        return {
            "resourceType": "Goal",
            "id": f"{self.patient_id}-goal-1",
            "lifecycleStatus": "active",
            "description": {"text": f"INR {low:g} - {high:g}"},
            "subject": {"reference": f"Patient/{self.patient_id}"},
            "target": [
                {
                    "measure": self._code("observation", "inr", None),
                    "detailRange": {"low": _quantity(low, "1"), "high": _quantity(high, "1")},
                }
            ],
        }

    def draft(self, draft: Draft, name: str) -> Json:
        if draft.test is None:
            return self._request(draft, name, "draft")
        return self.test(Pending(test=draft.test, text=draft.text, code=draft.code, status="draft"), name)

    def medication(self, use: Medication, name: str) -> Json:
        as_ = use.as_ or ("statement" if use.drug in _REPORTED else "order")
        return self._request(use, name, use.status) if as_ == "order" else self._statement(use, name)

    def _request(self, use: Medication, name: str, status: str) -> Json:
        return filled(
            resourceType="MedicationRequest",
            id=f"{self.patient_id}-{name}",
            status=status,
            intent="order",
            subject=self._subject(use),
            authoredOn=self._date(use.start),
            reasonCode=self._reason(use),
            dosageInstruction=self._dosage(use, period=use.end is not None),
            **self._product(use),
        )

    def _statement(self, use: Medication, name: str) -> Json:
        period = filled(start=self._date(use.start), end=self._date(use.end))
        return filled(
            resourceType="MedicationStatement",
            id=f"{self.patient_id}-{name}",
            status=use.status,
            subject=self._subject(use),
            effectivePeriod=period or None,
            reasonCode=self._reason(use),
            dosage=self._dosage(use, period=False),
            **self._product(use),
        )

    def _product(self, use: Medication) -> Json:
        """The medicine as a code, or as a contained Medication if its strength or form is given."""
        code = self._code("medication", use.drug, use)
        if use.strength is None and use.form is None:
            return {"medicationCodeableConcept": code}
        unit = use.form or "unit"
        ingredient = use.strength and {
            "itemCodeableConcept": code,
            "strength": {"numerator": _quantity(*use.strength), "denominator": {"value": 1, "unit": unit}},
        }
        medication = filled(
            resourceType="Medication",
            id="product",
            code=code,
            form={"text": use.form} if use.form else None,
            ingredient=[ingredient] if ingredient else None,
        )
        return {"contained": [medication], "medicationReference": {"reference": "#product"}}

    def _dosage(self, use: Medication, *, period: bool) -> list[Json] | None:
        bounds: Json = {}
        if use.course is not None:
            bounds = {"boundsDuration": _quantity(*use.course)}
        elif period:
            bounds = {"boundsPeriod": filled(start=self._date(use.start), end=self._date(use.end))}
        repeat = {**bounds, **({"count": 1} if use.once else {})}
        if use.daily is not None and not use.once:
            repeat |= {"frequency": 1, "period": 1, "periodUnit": "d"}
        amount = use.daily or use.dose
        route = _ROUTES[use.route] if use.route else None
        dosage = filled(
            timing={"repeat": repeat} if repeat else None,
            asNeededBoolean=True if use.as_needed else None,
            route=_concept(SNOMED, *route) if route else None,
            doseAndRate=[{"doseQuantity": _quantity(*amount)}] if amount else None,
        )
        return [dosage] if dosage else None

    def _reason(self, use: Medication) -> list[Json] | None:
        return [self._code("condition", use.reason, None)] if use.reason else None

    def _code(self, kind: Kind, concept: str | None, entry: Entry | None) -> Json:
        """The CodeableConcept of an entry.

        Its own code and text come first. A text that is recognised by itself is written alone: beside "Warfarin 2 mg"
        the value set's preferred code, of another strength, would be a contradiction.
        """
        text = entry.text if entry is not None else None
        if entry is not None and entry.code is not None:
            own = filled(system=entry.code.uri or None, code=entry.code.code, display=entry.code.display or None)
            return filled(coding=[own], text=text)
        if concept is None:
            return {"text": text}
        value_set = self.terminology.value_sets.get(concept)
        if value_set is None or value_set.kind != kind:
            raise KnowledgeError(
                f"worked patient {self.patient_id}",
                f"{concept} is not a {kind} value set.",
                "Use an id of knowledge/valuesets/.",
            )
        if text is not None and concept in self.terminology.concepts(kind, (), text):
            return {"text": text}
        preferred = value_set.preferred
        if preferred is None:
            if not value_set.texts:
                raise KnowledgeError(
                    f"worked patient {self.patient_id}",
                    f"{concept} has neither a preferred code nor a synonym to write.",
                    "Add one to its value set.",
                )
            return {"text": text or value_set.texts[0]}
        coding = filled(system=preferred.system, code=preferred.code, display=preferred.display or None)
        return filled(coding=[coding], text=text)

    def _subject(self, entry: Entry) -> Json:
        return {"reference": f"Patient/{self.patient_id if entry.subject == 'patient' else 'somebody-else'}"}

    def _date(self, when: When | None) -> str | None:
        return None if when is None else fhir_date(when, self.as_of)


def _quantity(value: float, unit: str | None, comparator: str | None = None) -> Json:
    number = int(value) if value == int(value) else value
    coded = {"system": UCUM, "code": unit} if unit in _UCUM else {}
    # "1" is a code, not a text: no one writes "INR 2.4 1".
    return filled(value=number, comparator=comparator, unit=None if unit == "1" else unit, **coded)


def _concept(system: str, code: str, display: str | None = None) -> Json:
    return {"coding": [filled(system=system, code=code, display=display)]}


def fhir_date(when: When, as_of: date | datetime) -> str:
    """A date of a worked patient as a FHIR dateTime.

    >>> fhir_date("-10d", date(2025, 11, 20))
    '2025-11-10'
    >>> fhir_date("-72h", date(2025, 11, 20))
    '2025-11-17T12:00:00+00:00'
    >>> fhir_date("-1y", date(2024, 2, 29))
    '2023-02-28'
    """
    if not is_relative(when):
        return when
    number, unit = int(when[:-1]), when[-1]
    if unit == "h":
        instant = as_of if isinstance(as_of, datetime) else datetime.combine(as_of, time(12), UTC)
        return (instant + timedelta(hours=number)).isoformat(timespec="seconds")
    day = as_of.date() if isinstance(as_of, datetime) else as_of
    if unit == "y":
        return _years_on(day, number).isoformat()
    return (day + timedelta(days=number * (7 if unit == "w" else 1))).isoformat()


def filled(**members: Any) -> Json:
    """The members that have a value; FHIR JSON writes no nulls."""
    return {name: value for name, value in members.items() if value is not None}


def _years_on(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return day.replace(year=day.year + years, day=28)
