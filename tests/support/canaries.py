"""Requests in which every word about the patient is a canary, and where canaries are looked for."""

from __future__ import annotations

import re
from typing import Any

from tests.support.recorder import request_body

Json = dict[str, Any]

PATIENT, USER, TOKEN = "canary-patient", "Practitioner/canary-user", "canary-access-token"
# What the requests hold of a patient that has no letters to be known by.
BORN, VALUE = "1943-07-19", 137.7319
COMMENT = "a comment of the user: canarycomment"
_CANARIES = re.compile("canary|" + "|".join(map(re.escape, (BORN, "19430719", str(VALUE)))), re.IGNORECASE)


def leaks(text: str | bytes, *but: str) -> list[str]:
    """The canaries in a text, each with a little of what stands around it; `but` is text that may be there."""
    found = text if isinstance(text, str) else text.decode("utf-8", "replace")
    for allowed in but:
        found = found.replace(allowed, "")
    return [found[max(0, hit.start() - 60) : hit.end() + 60] for hit in _CANARIES.finditer(found)]


def person() -> Json:
    return {
        "resourceType": "Patient",
        "id": PATIENT,
        "birthDate": BORN,
        "gender": "female",
        "name": [{"family": "Canary", "given": ["Carla"], "text": "Carla Canary"}],
        "telecom": [{"system": "phone", "value": "canary-555"}],
        "identifier": [{"system": "http://canary.example/mrn", "value": "canary-mrn"}],
    }


def chart() -> dict[str, list[Json]]:
    """Everything that the patient's record holds, each text and id a canary."""
    subject = {"reference": f"Patient/{PATIENT}", "display": "Carla Canary"}
    note = [{"text": "canary note"}]
    return {
        "labs": [
            {
                "resourceType": "Observation",
                "id": "canary-lab",
                "status": "final",
                "code": {"text": "canary B12", "coding": [{"system": "http://loinc.org", "code": "2132-9"}]},
                "subject": subject,
                "effectiveDateTime": "2026-11-01",
                "valueQuantity": {"value": VALUE, "unit": "pg/mL", "code": "pg/mL"},
                "interpretation": [{"text": "canary flag"}],
                "referenceRange": [{"text": "canary range"}],
                "note": note,
            },
            {
                "resourceType": "Observation",
                "id": "canary-odd",
                "status": "final",
                "code": {"text": "canary test", "coding": [{"system": "Canary Hospital", "code": "canary-code"}]},
                "subject": subject,
                "valueString": "canary value",
            },
        ],
        "medicationStatements": [
            {
                "resourceType": "MedicationStatement",
                "id": "canary-drug",
                "status": "active",
                "medicationCodeableConcept": {"text": "Warfarin canary 3 mg"},
                "subject": subject,
                "effectivePeriod": {"start": "2026-01-01"},
                "dosage": [{"text": "canary dose every canary"}],
                "note": note,
            },
            {
                "resourceType": "MedicationStatement",
                "id": "canary-unknown",
                "status": "active",
                "medicationCodeableConcept": {
                    "text": "Canarydrug",
                    "coding": [{"system": "canary system", "code": "canary/code", "display": "canary display"}],
                },
                "subject": subject,
            },
        ],
        "conditions": [
            {"resourceType": "Condition", "id": "canary-ill", "code": {"text": "canary illness"}, "subject": subject}
        ],
    }


def searchset(*resources: Any) -> Json:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": f"https://ehr.example/fhir/Observation?patient={PATIENT}"}],
        "entry": [{"fullUrl": f"https://ehr.example/fhir/canary/{n}", "resource": r} for n, r in enumerate(resources)],
    }


def prefetch(**changes: Any) -> Json:
    keys = ("medicationRequests", "procedures", "serviceRequests", "goals", "familyHistory")
    empty = {key: searchset() for key in keys}
    return {"patient": person(), **empty, **{key: searchset(*held) for key, held in chart().items()}, **changes}


def calling(hook: str = "patient-view", /, **changes: Any) -> Json:
    """A whole request about the patient, in which every word of its own is a canary; a change of `...` takes it out."""
    given = {"context__userId": USER, "context__patientId": PATIENT, "prefetch": prefetch()}
    return request_body(hook, **(given | changes))


def drafts() -> Json:
    drafted: Json = {"resourceType": "MedicationRequest", "id": "canary-draft", "status": "draft", "intent": "order"}
    medicine = {
        "medicationCodeableConcept": {"text": "Vitamin K2 canary 90 ug"},
        "dosageInstruction": [{"text": "canary"}],
    }
    return searchset({**drafted, **medicine, "subject": {"reference": f"Patient/{PATIENT}"}})


def selecting(**changes: Any) -> Json:
    chosen = {"context__draftOrders": drafts(), "context__selections": ["MedicationRequest/canary-draft"]}
    return calling("order-select", **(chosen | changes))


AUTHORIZATION = {
    "access_token": TOKEN,
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "canary/*.*",
    "subject": "canary-subject",
}
