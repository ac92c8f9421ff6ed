"""A FHIR server's patients, and one patient's chart with the prefetch that an EHR would send."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.errors import BadRequest, Forbidden, NotFound, Unprocessable
from cds_service.evaluate import Evaluator
from cds_service.fhir.bundle import UNREADABLE, Entry, ListResult, open_resource
from cds_service.fhir.codeable_concept import optional
from cds_service.fhir.dates import moment
from cds_service.fhir.fetch.client import Fetched
from cds_service.fhir.read.gather import gather
from cds_service.fhir.read.record import read_record
from cds_service.fhir.reference import PatientMatcher, is_other_patient, normal_base
from cds_service.fhir.shapes import ConditionShape
from cds_service.gap_texts import gap_text
from cds_service.hooks.cards.texts import clean
from cds_service.hooks.complete_prefetch import entries_of, from_fetch
from cds_service.hooks.prefetch import PrefetchKey, needs_of_all
from cds_service.json_types import Json
from cds_service.languages import Language
from cds_service.present.chart.chart import ChartExtras, chart
from cds_service.record import PatientRecord
from cds_service.record_lists import readable_types
from cds_service.web.viewer.fhir_sources import Embedded, FhirSource, ServerFault

_MOST_PATIENTS = 50
# What the service itself reads, and no more: the page is no way around the server's own front door.
READABLE = readable_types()
# FHIR ids have at most 64 signs; Epic's are longer.
_ID = re.compile(r"[A-Za-z0-9.-]{1,200}")
_USES = ("usual", "official")
_HAN = re.compile(r"[\u3400-\u9fff]")
_patient = msgspec.json.Decoder(dict[str, Any])
_condition = msgspec.json.Decoder(ConditionShape)


class Charts:
    """Reads charts from the servers that the page may show; holds no patient data."""

    def __init__(self, knowledge: KnowledgeBase, now: Callable[[], datetime]) -> None:
        self._knowledge = knowledge
        self._evaluator = Evaluator(knowledge)
        self._needs = needs_of_all(knowledge)
        self._now = now

    def patients(self, source: FhirSource, name: str, language: Language) -> list[Json]:
        """The first fifty patients with these letters in the name; sample patients also by what they show."""
        if isinstance(source, Embedded):
            return self._samples(source, name.casefold(), language)[:_MOST_PATIENTS]
        parameters = [("_count", str(_MOST_PATIENTS)), *([("name", name)] if name else [])]
        opened = open_resource(source.search("Patient", parameters))
        if opened.resource_type != "Bundle" or (opened.outcome and not opened.entries):
            raise ServerFault("The FHIR server did not answer the search for patients. Try again, or tell who runs it.")
        return [_listed(entry.resource) for entry in opened.entries if entry.resource_type == "Patient"][
            :_MOST_PATIENTS
        ]

    def _samples(self, source: Embedded, wanted: str, language: Language) -> list[Json]:
        samples = source.patients
        listed = [
            _listed(msgspec.json.encode(samples.read("Patient", worked.id)))
            | {"about": worked.name.in_language(language)}
            for worked in samples.worked.values()
        ]
        return [one for one in listed if any(wanted in one[part].casefold() for part in ("id", "name", "about"))]

    def chart(self, source: FhirSource, patient_id: str, language: Language) -> Json:
        """The chart of a patient, and what an EHR would send as prefetch.

        Raises:
            Forbidden: the server is shown for another patient only.
            NotFound: the server has no such patient.
            ServerFault: it did not give the Patient, so nothing can be shown.
        """
        if source.patient not in (None, patient_id):
            raise Forbidden("This is not the patient whose record was opened. Open the page from the other record.")
        opened = ChartSource(source, self._needs, patient_id)

        def read(obtained: Sequence[ListResult]) -> PatientRecord:
            terminology, units = self._knowledge.terminology, self._knowledge.units
            return read_record(patient_id, obtained, terminology, units, fhir_server=source.base())

        try:
            record, held = gather(opened, read)
        except Unprocessable as error:
            raise ServerFault(f"The FHIR server gave no usable Patient. {error}") from error
        facts = self._evaluator.facts(record, self._now())
        prefetch = opened.prefetch()
        beside = ChartExtras(_name(prefetch.get("patient", {})), _ended(held), opened.defaulted())
        return {**chart(self._knowledge, facts, beside, language), "prefetch": prefetch}


@dataclass(slots=True)
class ChartSource:
    """A server that the page shows as a source of the record; keeps what came, to send it as an EHR would."""

    source: FhirSource
    needs: Sequence[PrefetchKey]
    patient_id: str
    _fetched: list[tuple[PrefetchKey, Fetched, ListResult]] = field(default_factory=list)

    def lists(self) -> list[ListResult]:
        """What the server has for each need.

        Raises:
            NotFound: the server has no such patient.
            ServerFault: it did not give the Patient.
        """
        fetched = self.source.fetch({need.key: need.query(self.patient_id) for need in self.needs})
        failure = fetched["patient"].failure
        if failure is not None and failure.status in (404, 410):
            raise NotFound("The FHIR server has no such patient.")
        if failure is not None:
            reason = gap_text(failure, "en")
            raise ServerFault(f"The FHIR server did not give the patient: {reason}. Try again, or tell who runs it.")
        for need in self.needs:
            self._fetched.append((need, fetched[need.key], from_fetch(need, fetched[need.key], self._patient_matcher)))
        return [obtained for _, _, obtained in self._fetched]

    def references(self, references: Sequence[str]) -> list[Entry]:
        return entries_of(self.source.fetch({reference: reference for reference in references}))

    def prefetch(self) -> dict[str, Any]:
        """What an EHR would send of what came."""
        sent = {
            need.key: _sent(need, obtained, fetched, self._patient_matcher) for need, fetched, obtained in self._fetched
        }
        return {key: value for key, value in sent.items() if value is not None}

    def defaulted(self) -> tuple[str, ...]:
        """The lists that could not be read and without which rules use a default or go on."""
        return tuple(
            name for need, _, obtained in self._fetched if need.optional and obtained.unread for name in need.sources
        )

    @property
    def _patient_matcher(self) -> PatientMatcher:
        return PatientMatcher(self.patient_id, normal_base(self.source.base()))


def checked_id(text: str) -> str:
    """A FHIR id from an address; BadRequest for anything else."""
    if not _ID.fullmatch(text):
        raise BadRequest("This is no id of FHIR: letters, digits, hyphens and dots. Follow the links of the page.")
    return text


def checked_kind(text: str) -> str:
    """A type that the service reads; NotFound for another."""
    if text not in READABLE:
        raise NotFound(f"The page reads no resources of this type, only {', '.join(sorted(READABLE))}.")
    return text


def _sent(need: PrefetchKey, obtained: ListResult, fetched: Fetched, patient_matcher: PatientMatcher) -> Any:
    """A list as an EHR would send it: one Bundle, which says so if it is not whole; None if nothing can be sent."""
    if obtained.unread:
        return None
    if not need.sources:
        return msgspec.json.decode(obtained.entries[0].resource)
    # A careless server may give more than was asked for; of whom it is not, it is none of the page's business.
    entries = [entry for entry in obtained.entries if not is_other_patient(entry, patient_matcher)]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    if entries:
        bundle["entry"] = [
            {**({"fullUrl": entry.full_url} if entry.full_url else {}), "resource": msgspec.json.decode(entry.resource)}
            for entry in entries
        ]
    if obtained.incomplete:
        # One page of several is known by its next link, or by its total; a part of a list in no other way.
        last = open_resource(fetched.pages[-1])
        bundle["total"] = max(len(entries), last.total or 0)
        if last.next_url is not None:
            bundle["link"] = [{"relation": "next", "url": last.next_url}]
        elif bundle["total"] == len(entries):
            return None
    return bundle


def _listed(raw: msgspec.Raw | bytes) -> Json:
    patient = _decoded(raw)
    return {
        "id": str(patient.get("id") or ""),
        "name": clean(_name(patient)),
        "birthDate": patient.get("birthDate") if isinstance(patient.get("birthDate"), str) else None,
        "sex": patient.get("gender") if isinstance(patient.get("gender"), str) else None,
    }


def _decoded(raw: msgspec.Raw | bytes) -> Json:
    try:
        return _patient.decode(raw)
    except UNREADABLE:
        return {}


def _name(patient: Mapping[str, Any]) -> str:
    """The first usual or official name as people write it; family name first where it is Chinese."""
    names = [one for one in patient.get("name") or () if isinstance(one, dict)] if _is_list(patient.get("name")) else []
    ranked = sorted(names, key=lambda one: _USES.index(one["use"]) if one.get("use") in _USES else len(_USES))
    for one in ranked:
        if isinstance(one.get("text"), str) and one["text"].strip():
            return str(one["text"])
        given = (
            " ".join(part for part in one.get("given") or () if isinstance(part, str))
            if _is_list(one.get("given"))
            else ""
        )
        family = one["family"] if isinstance(one.get("family"), str) else ""
        if given or family:
            return f"{family}{given}" if _HAN.search(family) else f"{given} {family}".strip()
    return ""


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _ended(obtained: Sequence[ListResult]) -> dict[str, date]:
    """When Conditions ended, by reference."""
    found: dict[str, date] = {}
    for entry in (entry for one in obtained for entry in one.entries if entry.resource_type == "Condition"):
        condition = optional(_condition, entry.resource)
        ended = moment(condition.abatement_date_time) if condition is not None else None
        if condition is not None and condition.id and ended is not None:
            found[f"Condition/{condition.id}"] = ended.day
    return found
