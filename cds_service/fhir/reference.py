"""FHIR references to what they point at: is it our patient, and which Medication is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from cds_service.fhir.bundle import Entry
from cds_service.fhir.codeable_concept import optional
from cds_service.fhir.shapes import MedicationShape, ReferenceShape

# FHIR allows ids of 64 characters; Epic's draft orders carry about 194.
_LITERAL = re.compile(
    r"(?:(https?://[^\s?#]{1,1000})/)?([A-Z][A-Za-z]{1,60})/([A-Za-z0-9\-._~%+=:]{1,256})(?:/_history/[^/\s]{1,256})?"
)
_LONGEST = 2000
_USUAL_PORT = {"https": ":443", "http": ":80"}

_medication = msgspec.json.Decoder(MedicationShape)
_contained = msgspec.json.Decoder(list[msgspec.Raw] | None)


class _Identity(msgspec.Struct, rename="camel"):
    id: str | None = None
    resource_type: str | None = None


class _Subjects(msgspec.Struct):
    subject: ReferenceShape | None = None
    patient: ReferenceShape | None = None


_identity = msgspec.json.Decoder(_Identity)
_subjects = msgspec.json.Decoder(_Subjects)


class Literal(NamedTuple):
    """A literal reference in parts: server base ("" if relative), type and id; versions are left out."""

    base: str
    type: str
    id: str


def literal(reference: str) -> Literal | None:
    """`Patient/p1`, `https://server/fhir/Patient/p1/_history/2` in parts; None for anything else."""
    match = _LITERAL.fullmatch(reference) if len(reference) <= _LONGEST else None
    return Literal(normal_base(match[1] or ""), match[2], match[3]) if match else None


def leads_somewhere(reference: str) -> bool:
    """Whether the EHR can follow it in what we write: `Type/id`, which is on its own server.

    Not so an entry without an id, known by its place or by a Bundle's urn, and nothing of another server.
    """
    parts = literal(reference)
    return parts is not None and not parts.base


def normal_base(url: str) -> str:
    """A server's base URL as it is compared: scheme and host in lower case, no usual port, no slash at the end."""
    scheme, mark, rest = url.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    scheme = scheme.lower()
    return f"{scheme}{mark}{host.lower().removesuffix(_USUAL_PORT.get(scheme, '/'))}{slash}{path}"


@dataclass(frozen=True, slots=True)
class PatientMatcher:
    """Tells the patient of the call from others.

    An absolute URL counts when it is of the FHIR server of the call; when the call names no server, by its id.
    `addresses`: what Bundles call the Patient entry (`fullUrl`, often urn:uuid).
    """

    patient_id: str
    server: str | None
    addresses: frozenset[str] = frozenset()

    def is_patient(self, reference: str) -> bool | None:
        """Whether the reference is the patient; None if nobody can tell whom it means.

        Nobody can with a bare id or an unknown urn; nor with our patient's id at another base, which may be an inner
        address of the same server behind its proxy, or another hospital's patient of that number.
        """
        if reference in self.addresses:
            return True
        parts = literal(reference)
        if parts is None:
            return None
        if parts.type != "Patient" or parts.id != self.patient_id:
            return False
        return True if not parts.base or self.server is None or parts.base == self.server else None


def is_other_patient(entry: Entry, patient_matcher: PatientMatcher) -> bool:
    """Whether an entry says that it is of another patient than that of the call; not if it does not say."""
    subjects = optional(_subjects, entry.resource)
    said = [found.reference for found in (subjects.subject, subjects.patient) if found is not None] if subjects else []
    return any(reference is not None and patient_matcher.is_patient(reference) is False for reference in said)


@dataclass(slots=True)
class Medications:
    """The Medication resources at hand, by every address a reference may use."""

    server: str | None
    by_address: dict[str, msgspec.Raw] = field(default_factory=dict)

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            identity = optional(_identity, entry.resource)
            if entry.full_url:
                self.by_address[_unversioned(entry.full_url)] = entry.resource
            if identity is not None and identity.id:
                self.by_address[f"Medication/{identity.id}"] = entry.resource

    def find(self, reference: str, contained: msgspec.Raw) -> MedicationShape | None:
        """The Medication that a reference means; None if it is not at hand, unreadable or entered in error."""
        raw = _in_contained(contained, reference[1:]) if reference.startswith("#") else self._stored(reference)
        found = optional(_medication, raw) if raw is not None else None
        return None if found is None or found.status == "entered-in-error" else found

    def address(self, reference: str) -> str | None:
        """`Medication/id` if a reference leads to this EHR's server, so that it can be fetched there; else None."""
        parts = literal(_unversioned(reference))
        if parts is None or parts.type != "Medication" or (parts.base and parts.base != self.server):
            return None
        return f"Medication/{parts.id}"

    def _stored(self, reference: str) -> msgspec.Raw | None:
        reference = _unversioned(reference)
        if reference in self.by_address:
            return self.by_address[reference]
        parts = literal(reference)
        # The same id on another server is another medicine.
        if parts is None or (parts.base and self.server is not None and parts.base != self.server):
            return None
        return self.by_address.get(f"{parts.type}/{parts.id}")


def _unversioned(reference: str) -> str:
    return reference.partition("/_history/")[0]


def _in_contained(contained: msgspec.Raw, wanted: str) -> msgspec.Raw | None:
    held: list[msgspec.Raw] = optional(_contained, contained) or []
    for raw in held:
        identity = optional(_identity, raw)
        if (
            identity is not None
            and identity.resource_type in (None, "Medication")
            and identity.id in (wanted, f"#{wanted}")
        ):
            return raw
    return None
