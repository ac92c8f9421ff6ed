"""Evaluates a record at one moment: facts and decisions. The web, the page and the command line all use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.facts.fact import FactTable
from cds_service.record import PatientRecord
from cds_service.rules.decide import Decider, Decision
from cds_service.rules.derive import derivers, limits


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decisions for one patient at one moment, and the facts behind them."""

    facts: FactTable
    decisions: list[Decision]

    @property
    def firing(self) -> list[Decision]:
        """The rules that have a card to show, in order of priority."""
        return [d for d in self.decisions if d.outcome == "speaks" and d.rule.kind == "rule"]

    @property
    def is_provisional(self) -> bool:
        """Whether a rule fires on what was read although a list that was not read could change that."""
        return any(d.provisional for d in self.firing)

    @property
    def counted(self) -> list[Decision]:
        """The rules in shadow mode that would have a card to show."""
        return [d for d in self.decisions if d.outcome == "counted" and d.rule.kind == "rule"]


class Evaluator:
    """Evaluates records with one version of the knowledge. Thread-safe; holds no patient data."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self.knowledge = knowledge
        self._derivers = derivers(knowledge)
        self._decider = Decider(knowledge)
        self._limits = lru_cache(maxsize=8)(lambda day: limits(knowledge, day))

    def evaluate(
        self, record: PatientRecord, as_of: datetime, rules: Iterable[str], enabled: frozenset[str] = frozenset()
    ) -> Evaluation:
        """Evaluates one record.

        Args:
            as_of: the moment of evaluation, in the site's time zone; no code below reads a clock.
            rules: rule ids, e.g. those of a service.
            enabled: rules to switch on although they are off by default.
        """
        facts = self.facts(record, as_of)
        return Evaluation(facts, self._decider.decide(facts, rules, enabled))

    def facts(self, record: PatientRecord, as_of: datetime) -> FactTable:
        """The facts of a record, derived on demand."""
        return FactTable(record.known_on(as_of.date()), as_of, self._derivers, self.limits(as_of.date()))

    def limits(self, day: date) -> Mapping[str, float]:
        """The threshold values in force on a day, by name."""
        return self._limits(day)
