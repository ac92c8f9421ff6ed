"""What a fact reads is what is declared of it: over all worked patients, no threshold besides, and none in vain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from cds_service.artifacts.walk import lists_read_by, thresholds_read_by
from cds_service.facts.fact import Fact, FactTable
from cds_service.facts.registry import COMPUTED
from cds_service.record import PatientRecord
from cds_service.record_lists import has_default
from cds_service.rules.derive import Deriver, derivers, limits
from tests.knowledge.mutation.ward import read_worked_record
from tests.support.kb import NOW, TODAY, knowledge, record
from tests.support.worked_service import WORKED, WorkedService, noon, service

__all__ = ["service"]


class Watched(Mapping[str, float]):
    """Thresholds of which a fact may read only those that it declares."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values
        self.deriving: list[str] = []
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> float:
        fact = self.deriving[-1]
        if name not in thresholds_read_by(knowledge().facts[fact]):
            raise AssertionError(f"{fact} reads {name}, which it does not declare")
        self.read.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def watched(self, name: str, derive: Deriver) -> Deriver:
        def derived(table: FactTable) -> Fact:
            self.deriving.append(name)
            try:
                return derive(table)
            finally:
                self.deriving.pop()

        return derived


@pytest.mark.slow
def test_a_fact_reads_the_thresholds_that_it_declares_and_no_others(service: WorkedService) -> None:
    watched = Watched(limits(knowledge(), TODAY))
    functions = {name: watched.watched(name, derive) for name, derive in derivers(knowledge()).items()}
    for worked in WORKED:
        now = noon(worked)
        table = FactTable(read_worked_record(service, worked).known_on(now.date()), now, functions, watched)
        for name in knowledge().facts:
            assert table[name] is not None
    declared = {limit for one in COMPUTED.values() for limit in one.thresholds}
    assert declared - watched.read == set()


def test_a_threshold_that_is_not_declared_cannot_be_read() -> None:
    watched = Watched({"adult_age": 18, "course_gap": 30})
    table = FactTable(
        record(), NOW, {"age": watched.watched("age", lambda t: Fact(t.limits["course_gap"] > 1))}, watched
    )
    with pytest.raises(AssertionError, match="age reads course_gap"):
        assert table["age"]


@pytest.mark.parametrize("name", [name for name, fact in knowledge().facts.items() if not (fact.when or fact.count)])
def test_a_fact_over_a_list_that_was_not_read_is_unknown(name: str) -> None:
    definition = knowledge().facts[name]
    reads = {source for one in definition.computed for source in one.reads}
    table = knowledge_table(record(unread=lists_read_by(knowledge(), definition)))
    if any(not has_default(source) for source in reads):
        assert table[name].value is None
        assert table[name].missing is not None
    else:
        assert definition.origin in ("patient", "family")


def knowledge_table(patient: PatientRecord) -> FactTable:
    return FactTable(patient, NOW, derivers(knowledge()), limits(knowledge(), TODAY))
