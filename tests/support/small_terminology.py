"""A terminology of a few value sets, and short ways to hand resources to the reader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cds_service.coding import ATC, ICD10, LOINC, RXNORM, SNOMED
from cds_service.fhir.bundle import ListResult, open_resource
from cds_service.fhir.read.record import read_record
from cds_service.record import PatientRecord, Source
from cds_service.terminology import Analyte, ConceptCodes, Terminology

B12 = Analyte("pg/mL", 1355.37, 20, 60000, frozenset(("umol/L", "mmol/L", "mol/L")))

TERMINOLOGY = Terminology(
    [
        ConceptCodes(
            "serum-vitamin-b12",
            "observation",
            frozenset({(LOINC, "2132-9"), (LOINC, "14685-2")}),
            texts=("vitamin b12", "维生素b12"),
            not_texts=("binding capacity",),
            analyte=B12,
        ),
        ConceptCodes(
            "inr",
            "observation",
            frozenset({(LOINC, "6301-6")}),
            texts=("inr",),
            analyte=Analyte("1", low=0.5, high=30, ratio=True),
        ),
        ConceptCodes("haemoglobin", "observation", frozenset({(LOINC, "718-7")}), analyte=Analyte("g/L", 16114.5)),
        ConceptCodes(
            "homocysteine", "observation", frozenset({(LOINC, "13965-9")}), analyte=Analyte("umol/L", 135.185, high=500)
        ),
        ConceptCodes("potassium", "observation", frozenset({(LOINC, "2823-3")}), analyte=Analyte("mmol/L")),
        ConceptCodes("egfr", "observation", frozenset({(LOINC, "33914-3")}), analyte=Analyte("mL/min/{1.73_m2}")),
        ConceptCodes("complete-blood-count", "observation", frozenset({(LOINC, "58410-2")})),
        ConceptCodes(
            "vitamin-k-antagonist",
            "medication",
            frozenset({(RXNORM, "855332"), (ATC, "B01AA03")}),
            texts=("warfarin", "华法林"),
        ),
        ConceptCodes("menatetrenone", "medication", texts=("mk-4", "menatetrenone", "四烯甲萘醌")),
        ConceptCodes("menaquinone-7", "medication", texts=("mk-7",)),
        ConceptCodes(
            "vitamin-k2-unspecified",
            "medication",
            texts=("k2", "维生素k2"),
            not_texts=("mk-7", "mk-4", "d3 + k2", "d3k2"),
        ),
        ConceptCodes("vitamin-d3-k2", "medication", texts=("d3 + k2", "d3k2")),
        ConceptCodes("phytomenadione", "medication", texts=("phytomenadione", "phytonadione", "vitamin k1")),
        ConceptCodes("cyanocobalamin", "medication", texts=("cyanocobalamin",)),
        ConceptCodes("vitamin-b12-unspecified", "medication", texts=("vitamin b12", "维生素b12")),
        ConceptCodes("folic-acid", "medication", texts=("folic acid",)),
        ConceptCodes("metformin", "medication", frozenset({(RXNORM, "860975")}), texts=("metformin",)),
        ConceptCodes("crohn-disease", "condition", prefixes=frozenset({(ICD10, "K50")}), lifelong=True),
        ConceptCodes(
            "over-anticoagulation",
            "condition",
            frozenset({(ICD10, "D68.3")}),
            texts=("over-anticoagulation", "inr too high"),
        ),
        ConceptCodes(
            "gastric-bypass", "condition", frozenset({(SNOMED, "442338001")}), texts=("gastric bypass",), lifelong=True
        ),
    ]
)
UNITS = {
    "pg/ml": "pg/mL",
    "pmol/l": "pmol/L",
    "µmol/l": "umol/L",
    "umol/l": "umol/L",
    "g/dl": "g/dL",
    "皮克/毫升": "pg/mL",
    "potassium:meq/l": "mmol/L",
}
ME = {"reference": "Patient/p1"}
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1950-03-04", "gender": "female"}
ALL: tuple[Source, ...] = (
    "observations",
    "medication-requests",
    "medication-statements",
    "conditions",
    "procedures",
    "service-requests",
    "goals",
    "medication-dispenses",
    "medication-administrations",
)


def bundle(resources: Sequence[dict[str, Any]], **urls: str) -> bytes:
    """A Bundle; `urls` gives entries a fullUrl by the id of their resource."""
    entries = []
    for one in resources:
        url = urls.get(str(one.get("id")))
        entries.append({"resource": one, "fullUrl": url} if url else {"resource": one})
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode()


def read(
    *resources: dict[str, Any],
    patient: dict[str, Any] = PATIENT,
    drafts: Sequence[dict[str, Any]] | None = None,
    selections: Sequence[str] | None = None,
    server: str | None = None,
    urls: dict[str, str] | None = None,
) -> PatientRecord:
    """The record of patient p1 from these resources, which came under one key for all lists."""
    held = open_resource(bundle(resources, **(urls or {})))
    obtained = (
        ListResult((), open_resource(bundle([patient], **(urls or {}))).entries),
        ListResult(ALL, held.entries),
    )
    return read_record(
        "p1",
        obtained,
        TERMINOLOGY,
        UNITS,
        drafts=bundle(drafts) if drafts is not None else None,
        selections=selections,
        fhir_server=server,
    )


def observation(**members: Any) -> dict[str, Any]:
    """A final B12 of 210 pg/mL; members replace or, with None, remove those of this one."""
    base = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2132-9"}]},
        "subject": ME,
        "effectiveDateTime": "2026-05-01",
        "valueQuantity": {"value": 210, "unit": "pg/mL", "system": "http://unitsofmeasure.org", "code": "pg/mL"},
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def request(**members: Any) -> dict[str, Any]:
    """An active order of warfarin 5 mg."""
    base = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Warfarin Sodium 5 MG Oral Tablet"},
        "subject": ME,
        "authoredOn": "2026-01-02",
    }
    return {name: value for name, value in (base | members).items() if value is not None}


def statement(**members: Any) -> dict[str, Any]:
    """An active statement of MK-7."""
    base = {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "active",
        "medicationCodeableConcept": {"text": "MK-7 180 µg capsule"},
        "subject": ME,
    }
    return {name: value for name, value in (base | members).items() if value is not None}
