"""A terminology server that is asked: questions, answers, and a clock that a test moves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from cds_service.coding import Coding
from cds_service.egress.egress import Egress
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.record import PatientRecord, Unmatched
from tests.support.fault_server import FaultServer, resource
from tests.support.kb import knowledge, record

OURS = "urn:oid:2.999.1"
VKA, B12 = "https://terms.example/ValueSet/vka", "https://terms.example/ValueSet/b12"
CANONICALS = {"vitamin-k-antagonist": VKA, "serum-vitamin-b12": B12}


class Clock:
    """Seconds that go forward when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def question(code: str, canonical: str = VKA) -> str:
    return "ValueSet/$validate-code?" + urlencode({"url": canonical, "system": OURS, "code": code})


def said(result: bool) -> Any:
    return resource({"resourceType": "Parameters", "parameter": [{"name": "result", "valueBoolean": result}]})


def unknown(*codes: str, kind: str = "MedicationRequest") -> PatientRecord:
    return record(unmatched=tuple(Unmatched(kind, (Coding(OURS, code),), "Canary", 1) for code in codes))


def server_at(terms: FaultServer, clock: Clock | None = None) -> TerminologyServer:
    egress = Egress([terms.base])
    return TerminologyServer(terms.base, CANONICALS, knowledge().terminology, egress, clock or Clock())


def concepts(server: TerminologyServer, code: str) -> frozenset[str]:
    return server.terminology.concepts("medication", [Coding(OURS, code)])
