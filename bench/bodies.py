"""The two calls that are timed: a small one (10 resources, 9 kB) and a large one (551 resources, 550 kB)."""

from __future__ import annotations

import json
from typing import Any

from cds_service.record_lists import lists_asked_for

_PATIENT = "bench-1"
# A ward's usual tests; the rules read seven of them.
_TESTS = (
    ("2132-9", "Cobalamin (Vitamin B12) [Mass/volume] in Serum or Plasma", 151, "pg/mL"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", 131, "g/L"),
    ("787-2", "MCV [Entitic volume] by Automated count", 96, "fL"),
    ("6301-6", "INR in Platelet poor plasma by Coagulation assay", 2.4, "{INR}"),
    ("33914-3", "GFR/1.73 sq M.predicted by Creatinine-based formula (MDRD)", 78, "mL/min/{1.73_m2}"),
    ("13965-9", "Homocysteine [Moles/volume] in Serum or Plasma", 12.5, "umol/L"),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", 4.1, "mmol/L"),
    ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", 139, "mmol/L"),
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", 84, "umol/L"),
    ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", 5.4, "mmol/L"),
    ("1742-6", "Alanine aminotransferase in Serum or Plasma", 23, "U/L"),
    ("1920-8", "Aspartate aminotransferase in Serum or Plasma", 25, "U/L"),
    ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", 6.1, "10*9/L"),
    ("777-3", "Platelets [#/volume] in Blood by Automated count", 240, "10*9/L"),
    ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", 4.9, "mmol/L"),
    ("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", 1.3, "mmol/L"),
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 5.9, "%"),
    ("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", 2.1, "m[IU]/L"),
    ("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", 3, "mg/L"),
    ("2276-4", "Ferritin [Mass/volume] in Serum or Plasma", 61, "ug/L"),
)
_PRODUCTS = (
    ("855332", "Warfarin Sodium 5 MG Oral Tablet", 5, "mg"),
    ("861007", "Metformin hydrochloride 500 MG Oral Tablet", 1000, "mg"),
    ("197361", "Amlodipine 5 MG Oral Tablet", 5, "mg"),
    ("617310", "Atorvastatin 20 MG Oral Tablet", 20, "mg"),
    ("314077", "Lisinopril 20 MG Oral Tablet", 20, "mg"),
)


def call(observations: int, medicines: int) -> bytes:
    """A patient-view call with full prefetch for an invented patient with low B12 who takes warfarin."""
    labs = [_observation(number) for number in range(observations)]
    uses = [_medicine(number) for number in range(medicines)]
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in (*labs, *uses):
        by_type.setdefault(resource["resourceType"], []).append(resource)
    lists = {row.key: by_type.get(row.type, []) for row in lists_asked_for()}
    patient = {"resourceType": "Patient", "id": _PATIENT, "gender": "female", "birthDate": "1951-04-02"}
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/bench", "patientId": _PATIENT},
        "prefetch": {"patient": patient, **{key: _bundle(resources) for key, resources in lists.items()}},
    }
    return json.dumps(body).encode()


def _bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(resources)}
    if resources:
        bundle["entry"] = [
            {"fullUrl": f"https://ehr.example/fhir/{r['resourceType']}/{r['id']}", "resource": r} for r in resources
        ]
    return bundle


def _observation(number: int) -> dict[str, Any]:
    code, name, value, unit = _TESTS[number % len(_TESTS)]
    when = "2026-10-28T08:30:00Z"
    if number >= len(_TESTS):
        when = f"2026-{12 - number // 28 % 12:02d}-{28 - number % 28:02d}T08:30:00Z"
    return {
        "resourceType": "Observation",
        "id": f"lab-{number}",
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": name}], "text": name},
        "subject": {"reference": f"Patient/{_PATIENT}"},
        "encounter": {"reference": "Encounter/bench-7"},
        "effectiveDateTime": when,
        "issued": when,
        "performer": [{"reference": "Organization/laboratory", "display": "Central laboratory"}],
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        "referenceRange": [{"low": {"value": 1, "unit": unit}, "high": {"value": 900, "unit": unit}}],
        "note": [{"text": "Sample received within two hours; no haemolysis, no lipaemia."}],
    }


def _medicine(number: int) -> dict[str, Any]:
    code, name, dose, unit = _PRODUCTS[number % len(_PRODUCTS)]
    use: dict[str, Any] = {
        "status": "active",
        "medicationCodeableConcept": {
            "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code, "display": name}],
            "text": name,
        },
        "subject": {"reference": f"Patient/{_PATIENT}"},
    }
    dosage = {
        "text": f"{dose} {unit} once daily",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "route": {"coding": [{"system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route"}]},
        "doseAndRate": [
            {"doseQuantity": {"value": dose, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}
        ],
    }
    if number % 2:
        period = {"effectivePeriod": {"start": "2022-02-01"}, "dateAsserted": "2026-10-01", "dosage": [dosage]}
        return {"resourceType": "MedicationStatement", "id": f"use-{number}", **use, **period}
    order = {"intent": "order", "authoredOn": "2022-02-01", "dosageInstruction": [dosage]}
    return {"resourceType": "MedicationRequest", "id": f"order-{number}", **use, **order}


SMALL = call(6, 3)
LARGE = call(500, 50)
