"""FHIR servers that the page may show: the sandbox in this process, and remote ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

import msgspec

from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, Forbidden, NotFound, RequestError
from cds_service.fhir.bundle import open_resource
from cds_service.fhir.fetch.client import Fetched, fetch_all, fhir_headers
from cds_service.fhir.reference import PatientMatcher, is_other_patient, normal_base
from cds_service.gap_texts import gap_text
from cds_service.gaps import Gap, GapKind
from cds_service.sandbox.fhir_api import SamplePatients

Parameters = Sequence[tuple[str, str]]

# A person waits for a chart, not a CDS client, so it may take longer than a call.
_DEADLINE = 10.0
SANDBOX = "sandbox"
_MOST_BYTES = 20_000_000


class ServerFault(RequestError):
    """502: the FHIR server gave no usable answer; the reason is a fixed text of ours."""

    status = 502
    code = "transient"


class FhirSource(Protocol):
    """A FHIR server as the page needs it. `patient`: the only patient it is shown for; None for all."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def patient(self) -> str | None: ...
    def base(self) -> str: ...
    def read(self, kind: str, resource_id: str) -> bytes: ...
    def search(self, kind: str, parameters: Parameters) -> bytes: ...
    def fetch(self, queries: Mapping[str, str]) -> Mapping[str, Fetched]: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """The sample patients of this process.

    Attributes:
        base: the base URL at which clients reach them.
    """

    patients: SamplePatients
    base: Callable[[], str]
    id: str = SANDBOX
    name: str = SANDBOX
    patient: str | None = None

    def read(self, kind: str, resource_id: str) -> bytes:
        return msgspec.json.encode(self.patients.read(kind, resource_id))

    def search(self, kind: str, parameters: Parameters) -> bytes:
        return msgspec.json.encode(self.patients.search(self.base(), kind, parameters))

    def fetch(self, queries: Mapping[str, str]) -> Mapping[str, Fetched]:
        return {key: self._fetched(query) for key, query in queries.items()}

    def _fetched(self, query: str) -> Fetched:
        kind, mark, rest = query.partition("?")
        try:
            if not mark:
                return Fetched((self.read(*kind.split("/", 1)),))
            return Fetched((self.search(kind, parse_qsl(rest)),))
        except NotFound:
            return Fetched(failure=Gap(GapKind.HTTP_STATUS, status=404))


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote server, called without a token, or with the one that the EHR issued for this patient.

    Attributes:
        address: its base URL, which the egress allows.
    """

    id: str
    name: str
    address: str
    egress: Egress
    token: str | None = field(default=None, repr=False)
    patient: str | None = field(default=None, repr=False)

    def base(self) -> str:
        return self.address

    def read(self, kind: str, resource_id: str) -> bytes:
        return self._get(f"{kind}/{resource_id}")

    def search(self, kind: str, parameters: Parameters) -> bytes:
        return self._get(f"{kind}?{urlencode(list(parameters))}")

    def fetch(self, queries: Mapping[str, str]) -> Mapping[str, Fetched]:
        deadline = time.monotonic() + _DEADLINE
        return fetch_all(self.egress, self.address, self.token, queries, deadline=deadline)

    def _get(self, query: str) -> bytes:
        try:
            url = f"{self.address.rstrip('/')}/{query}"
            self.egress.check(url, below=self.address)
            deadline = time.monotonic() + _DEADLINE
            headers = fhir_headers(self.token)
            answer = self.egress.get(url, headers=headers, deadline=deadline, max_bytes=_MOST_BYTES)
        except EgressError as error:
            reason = gap_text(error.gap, "en")
            raise ServerFault(f"The FHIR server gave nothing: {reason}. Try again, or tell who runs it.") from error
        if answer.status in (404, 410):
            raise NotFound("The FHIR server has no such resource.")
        if answer.status != 200:
            raise ServerFault(f"The FHIR server answered HTTP {answer.status}. Try again, or tell who runs it.")
        return answer.body


@dataclass(frozen=True, slots=True)
class Launched:
    """A server restricted to one patient: its token may allow more than the chart that the clinician opened."""

    remote: Remote
    patient: str = field(repr=False)

    @property
    def id(self) -> str:
        return self.remote.id

    @property
    def name(self) -> str:
        return self.remote.name

    def base(self) -> str:
        return self.remote.base()

    def read(self, kind: str, resource_id: str) -> bytes:
        if kind == "Patient" and resource_id != self.patient:
            raise Forbidden(_OTHER)
        body = self.remote.read(kind, resource_id)
        patient_matcher = PatientMatcher(self.patient, normal_base(self.base()))
        if kind not in ("Patient", "Medication"):
            entries = open_resource(body).entries
            if not entries or any(is_other_patient(entry, patient_matcher) for entry in entries):
                raise Forbidden(_OTHER)
        return body

    def search(self, kind: str, parameters: Parameters) -> bytes:
        if kind == "Medication":
            raise Forbidden("Medicines are read one by one here. Follow the links of the page.")
        kept = [(name, value) for name, value in parameters if name not in ("patient", "subject", "_id", "name")]
        return self.remote.search(kind, [("_id" if kind == "Patient" else "patient", self.patient), *kept])

    def fetch(self, queries: Mapping[str, str]) -> Mapping[str, Fetched]:
        return self.remote.fetch(queries)


_OTHER = "This is not of the patient whose record was opened. Open the page again from the other record."
