"""The context of each hook, checked: which members it has, and what an id looks like.

Rules of the CDS Hooks library (v1.0.1): patient-view, order-select, order-sign, encounter-start, encounter-discharge.
Ids are read as clients really send them: a bare id, `Patient/123` or an absolute URL all mean the id 123, and ids may
be longer than FHIR's 64 characters (Epic's unsigned orders have about 194).
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from cds_service.fhir.bundle import resource_type

_ID = r"[A-Za-z0-9.\-_~:|%+=]{1,256}"
_ID_OF = {
    kind: re.compile(rf"(?:(?:https?://\S+/)?{kind}/)?({_ID})(?:/_history/[A-Za-z0-9.\-]+)?")
    for kind in ("Patient", "Encounter")
}
_USER = re.compile(rf"(?:https?://\S+/)?([A-Za-z]+)/({_ID})(?:/_history/[A-Za-z0-9.\-]+)?")
_BARE = re.compile(_ID)

_CLINICIANS = frozenset({"Practitioner", "PractitionerRole"})
_ANYONE = _CLINICIANS | {"Patient", "RelatedPerson"}


def _id_of(kind: str, value: str) -> str:
    match = _ID_OF[kind].fullmatch(value)
    if match is None:
        raise ValueError(f"must be the id of one {kind}, such as 123")
    return match[1]


def _selections(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("must name at least one of the draft orders")
    if any(not item.strip() or len(item) > 1024 for item in value):
        raise ValueError("must hold references such as MedicationRequest/123")
    return value


def _bundle(value: msgspec.Raw) -> msgspec.Raw:
    # A Bundle without `type` is fine: the CDS Hooks Sandbox and the examples of HL7 PDDI-CDS leave it out.
    if resource_type(value) != "Bundle":
        raise ValueError("must be a FHIR Bundle")
    return value


def _id_schema(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{_ID_OF[kind].pattern}$"})


PatientId = Annotated[str, AfterValidator(lambda value: _id_of("Patient", value)), _id_schema("Patient")]
EncounterId = Annotated[str, AfterValidator(lambda value: _id_of("Encounter", value)), _id_schema("Encounter")]
_A_REFERENCE = {"type": "string", "pattern": r"\S", "maxLength": 1024}
Selections = Annotated[
    list[str],
    AfterValidator(_selections),
    WithJsonSchema({"type": "array", "items": _A_REFERENCE, "minItems": 1}),
]
Drafts = Annotated[msgspec.Raw, AfterValidator(_bundle)]


class Context(BaseModel):
    """What every hook's context has. Members that we do not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", arbitrary_types_allowed=True)

    users: ClassVar[frozenset[str]] = _CLINICIANS

    user_id: str = Field(alias="userId", min_length=1)
    patient_id: PatientId = Field(alias="patientId")
    encounter_id: EncounterId | None = Field(default=None, alias="encounterId")


class PatientView(Context):
    """A patient's record is opened; patients and relatives may be the user, in a portal."""

    users: ClassVar[frozenset[str]] = _ANYONE


class OrderSign(Context):
    """Orders are about to be signed."""

    draft_orders: Drafts = Field(alias="draftOrders")


class OrderSelect(OrderSign):
    """Orders are being chosen; `selections` names those that are new."""

    selections: Selections = Field(alias="selections")


class EncounterEvent(Context):
    """An encounter starts or ends."""

    encounter_id: EncounterId = Field(alias="encounterId")


CONTEXTS: dict[str, type[Context]] = {
    "patient-view": PatientView,
    "order-select": OrderSelect,
    "order-sign": OrderSign,
    "encounter-start": EncounterEvent,
    "encounter-discharge": EncounterEvent,
}


def user_reference(value: str, allowed: frozenset[str]) -> tuple[str, bool] | None:
    """A userId as `Type/id`, and whether it said its type; None if it names no user this hook can have.

    >>> user_reference("https://ehr.example/fhir/Practitioner/7", frozenset({"Practitioner"}))
    ('Practitioner/7', True)
    """
    match = _USER.fullmatch(value)
    if match is not None:
        return (f"{match[1]}/{match[2]}", True) if match[1] in allowed else None
    return (value, False) if _BARE.fullmatch(value) else None
