"""Mutants to survivors: those that no worked patient notices, judged as the tests judge the knowledge itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import msgspec

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.evaluate import Evaluation, Evaluator
from cds_service.fhir.bundle import Entry, ListResult, open_resource
from cds_service.fhir.read.record import read_record
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.cards.card_maker import CardContext, CardMaker
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.hooks.cards.missing_data_card import incomplete_card
from cds_service.hooks.prefetch import prefetch_for
from cds_service.record import PatientRecord
from cds_service.rules.explain import explain
from tests.knowledge.mutation.mutants import Mutant, applied
from tests.support.worked_service import BESIDE, Outcome, WorkedService, complaints, complaints_of_silence, noon


@dataclass(frozen=True)
class Bed:
    """One worked patient, read once.

    Attributes:
        beside: the rule whose patients it belongs to.
        asked: the facts that the unchanged knowledge asks for; no other fact can change what it says.
        rules: the rules that its hook asks.
    """

    worked: WorkedPatient
    beside: str
    record: PatientRecord
    now: datetime
    asked: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()


class Ward:
    """All worked patients, and the knowledge as it is written.

    Attributes:
        ill: patients who complain of the knowledge as it is, with their complaints; they can judge nothing.
    """

    def __init__(self, service: WorkedService) -> None:
        self.service = service
        self.ill: dict[str, list[str]] = {}
        self._beds: list[Bed] = []
        judge = _Judge(service, service.knowledge)
        for beside, patients in BESIDE.items():
            for worked in patients:
                bed = Bed(worked, beside, read_worked_record(service, worked), noon(worked))
                outcome, asked = judge.outcome(bed)
                if found := list(judge.complaints(bed, outcome)):
                    self.ill[worked.id] = found
                else:
                    self._beds.append(Bed(worked, beside, bed.record, bed.now, asked, frozenset(judge.asked(bed))))

    def __len__(self) -> int:
        return len(self._beds)

    def survivors(self, mutants: Iterable[Mutant]) -> Iterator[Mutant]:
        """The mutants that nobody notices. Neighbours are best given together: who noticed one is asked first next."""
        keenest: list[Bed] = []
        for mutant in mutants:
            judge = _Judge(self.service, applied(self.service.knowledge, mutant))
            beds = [*keenest, *sorted(self._beds, key=lambda bed: bed.beside != mutant.name)]
            noticed = next((bed for bed in beds if _concerns(mutant, bed) and judge.notices(bed)), None)
            if noticed is None:
                yield mutant
            elif noticed not in keenest[:8]:
                keenest.insert(0, noticed)


class _Judge:
    """The service over one state of the knowledge, without the wire."""

    def __init__(self, service: WorkedService, knowledge: KnowledgeBase) -> None:
        self._service = service
        self._knowledge = knowledge
        self._evaluator = Evaluator(knowledge)
        self._cards = CardMaker(knowledge)

    def asked(self, bed: Bed) -> Iterator[str]:
        for service in self._knowledge.services.values():
            if service.hook == bed.worked.hook:
                yield from service.rules

    def notices(self, bed: Bed) -> bool:
        outcome, _ = self.outcome(bed)
        return next(self.complaints(bed, outcome), None) is not None

    def complaints(self, bed: Bed, outcome: Outcome) -> Iterator[str]:
        yield from complaints(self._service, outcome, bed.worked)
        yield from complaints_of_silence(self._service, outcome, bed.worked, bed.beside)

    def outcome(self, bed: Bed) -> tuple[Outcome, frozenset[str]]:
        """What comes of one patient, and the facts that were asked for."""
        outcome, asked = Outcome({}, {}), frozenset[str]()
        enabled = frozenset(bed.worked.enable)
        for service in self._knowledge.services.values():
            if service.hook != bed.worked.hook:
                continue
            evaluation = self._evaluator.evaluate(bed.record, bed.now, service.rules, enabled)
            outcome.responses[service.id] = {"cards": self._made(bed, evaluation)}
            reasons_wanted = [d for d in evaluation.decisions if d.rule.id in bed.worked.undecided]
            explained = explain(self._knowledge, evaluation.facts, reasons_wanted)
            outcome.explained.update({d.rule.id: {"outcome": d.outcome} for d in evaluation.decisions})
            outcome.explained.update({node["rule"]: node for node in explained})
            asked |= evaluation.facts.derived.keys()
        return outcome, asked

    def _made(self, bed: Bed, evaluation: Evaluation) -> list[dict[str, object]]:
        ids = (str(number) for number in count())
        draft_context = DraftContext(f"Patient/{bed.worked.id}", bed.now.isoformat(), "")
        style = ClientCapabilities(chart=bed.worked.hook in ("patient-view", "encounter-start"))
        cards = self._cards.cards(
            evaluation.firing, CardContext(evaluation.facts, draft_context, style, lambda: next(ids))
        ).cards
        if any(decision.outcome == "undecided" for decision in evaluation.decisions):
            cards.append(incomplete_card(self._knowledge, [], style, lambda: next(ids)))
        return cards


def _concerns(mutant: Mutant, bed: Bed) -> bool:
    """Whether a mutant can change what is said of a patient."""
    match mutant.kind:
        case "fact":
            return not bed.asked.isdisjoint(mutant.artifacts)
        case "rule":
            return mutant.name in bed.rules
    return True


def read_worked_record(service: WorkedService, worked: WorkedPatient) -> PatientRecord:
    resources = service.resources(worked)
    needs = [need for one in service.knowledge.services.values() for need in prefetch_for(service.knowledge, one)]
    sources = {need.type: need.sources for need in needs if need.sources}
    lists = [
        ListResult(sources[kind], [entry for one in found for entry in _entries(one)])
        for kind, found in resources.by_type.items()
        if kind in sources
    ]
    return read_record(
        worked.id,
        [ListResult((), _entries(resources.patient)), *lists],
        service.knowledge.terminology,
        service.knowledge.units,
        drafts=msgspec.json.encode(resources.drafts or {"resourceType": "Bundle", "type": "collection"})
        if worked.hook.startswith("order-")
        else None,
        selections=resources.selections if worked.hook == "order-select" else None,
    )


def _entries(resource: dict[str, object]) -> list[Entry]:
    return open_resource(msgspec.json.encode(resource)).entries
