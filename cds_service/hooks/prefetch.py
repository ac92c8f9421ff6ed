"""What data a service needs: its prefetch keys and FHIR queries, derived from the facts its rules ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from cds_service.artifacts.knowledge_base import KnowledgeBase, Service
from cds_service.artifacts.schema import Rule
from cds_service.artifacts.vocabulary import Condition
from cds_service.artifacts.walk import conditions_of, facts_behind, leaves, lines_of, lists_read_by, suggestions_of
from cds_service.coding import LOINC
from cds_service.record import ListName
from cds_service.record_lists import CODES, RECORD_LISTS, RecordList, sources_of

# CDS Hooks 2.0, Prefetch Template: only root-level context fields are tokens, so dates cannot move; the newest results
# come first and the window is applied here.
_PATIENT = "{{context.patientId}}"


@dataclass(frozen=True, slots=True)
class PrefetchKey:
    """One prefetch key.

    Attributes:
        template: FHIR read or search as discovery publishes it.
        record_list: the list of the record that it fills; None for the Patient.
    """

    template: str
    record_list: RecordList | None = None

    @property
    def key(self) -> str:
        return self.record_list.key if self.record_list else "patient"

    @property
    def type(self) -> str:
        """The FHIR R4 type that satisfies the key."""
        return self.record_list.type if self.record_list else "Patient"

    @property
    def sources(self) -> tuple[ListName, ...]:
        return (self.record_list.source,) if self.record_list else ()

    @property
    def worth_waiting_for(self) -> bool:
        """Whether fetching waits for it until the deadline."""
        return self.record_list is None or self.record_list.worth_waiting_for

    @property
    def optional(self) -> bool:
        """Whether no rule waits for it, so that its absence is no reason to withhold advice."""
        return self.record_list is not None and not self.record_list.awaited

    def query(self, patient_id: str) -> str:
        """The template filled in for one patient."""
        return self.template.replace(_PATIENT, patient_id)


def prefetch_for(knowledge: KnowledgeBase, service: Service) -> tuple[PrefetchKey, ...]:
    """The prefetch keys of a service, the Patient first. A key that no rule of the service needs is not asked for.

    A rule that the site has switched off needs nothing; one that is off as shipped can be switched on for a call.
    """
    return _needs(knowledge, [service])


def needs_of_all(knowledge: KnowledgeBase) -> tuple[PrefetchKey, ...]:
    """The prefetch keys of all services together: what is to be read of a chart once, whichever service is called."""
    return _needs(knowledge, list(knowledge.services.values()))


def _needs(knowledge: KnowledgeBase, services: list[Service]) -> tuple[PrefetchKey, ...]:
    rules: list[Rule] = []
    named: set[str] = set()
    for service in services:
        mine = [knowledge.rules[rule] for rule in service.rules if not _switched_off(knowledge, rule)]
        named |= _facts_named(knowledge, service, mine)
        rules += mine
    facts = facts_behind(knowledge, named)
    tests = [test for rule in rules for use in suggestions_of(rule) if (test := knowledge.orders[use.order].test)]
    observed = {definition.observation for name in facts if (definition := knowledge.facts[name]).observation}
    observed |= {value_set for test in tests for value_set in (test.observation, *test.also_fresh)}
    observed |= {value_set for name in facts for value_set in knowledge.facts[name].pending or ()}
    codes = _codes(knowledge, observed)
    read = {source for name in facts for source in lists_read_by(knowledge, knowledge.facts[name])}
    read |= set(sources_of("order")) if tests else set()
    needed = (row for row in RECORD_LISTS if (codes if CODES in row.search else row.source in read))
    lists = (PrefetchKey(_template(row, codes), row) for row in needed)
    return PrefetchKey(f"Patient/{_PATIENT}"), *lists


def _switched_off(knowledge: KnowledgeBase, rule: str) -> bool:
    return not knowledge.rules[rule].enabled and f"rule:{rule}" in knowledge.site_changes


def _template(row: RecordList, codes: str) -> str:
    return f"{row.type}?patient={_PATIENT}&{row.search.replace(CODES, codes)}"


def _codes(knowledge: KnowledgeBase, value_sets: Iterable[str]) -> str:
    """All LOINC codes of the value sets, and the codes of the site's own systems, as one `code` parameter."""
    codes = {
        key
        for value_set in value_sets
        for key in knowledge.terminology.value_sets[value_set].codes
        if key[0] == LOINC or key in knowledge.local_codes
    }
    return ",".join(f"{_escaped(system)}|{_escaped(code)}" for system, code in sorted(codes))


def _escaped(part: str) -> str:
    """FHIR search, Escaping Search Parameters: a sign that separates values is written with a backslash before it."""
    return quote(re.sub(r"([\\$,|])", r"\\\1", part), safe=":/.-")


def _facts_named(knowledge: KnowledgeBase, service: Service, rules: list[Rule]) -> set[str]:
    topic = knowledge.topics[service.topic]
    conditions: list[Condition] = [topic.applies, *([topic.no_info_when] if topic.no_info_when else [])]
    named: set[str] = set()
    for rule in rules:
        conditions += conditions_of(rule)
        named |= {name for line in lines_of(rule) for name in line.placeholders if name in knowledge.facts}
        for use in suggestions_of(rule):
            order = knowledge.orders[use.order]
            named |= {use.of} if use.of else set()
            conditions += order.against
            conditions += [choice.when for choice in order.medicine or () if choice.when]
    return named | {leaf.fact for condition in conditions for leaf in leaves(condition) if leaf.fact}
