"""A sample of the mutants that `make mutate` makes of the knowledge: a worked patient notices each of them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest

from tests.knowledge.mutation.equivalent import equivalents, unnoticed
from tests.knowledge.mutation.mutants import Mutant, applied, mutants_of
from tests.knowledge.mutation.ward import Ward
from tests.support.worked_service import WorkedService, service

pytestmark = pytest.mark.slow

__all__ = ["service"]

_SAMPLE = 250


def _by_chance(mutant: Mutant) -> bytes:
    return sha256(mutant.id.encode()).digest()


@pytest.fixture(scope="module")
def ward(service: WorkedService) -> Ward:
    return Ward(service)


@pytest.fixture(scope="module")
def mutants(service: WorkedService) -> list[Mutant]:
    return list(mutants_of(service.knowledge))


def test_nobody_complains_of_the_knowledge_as_it_is(ward: Ward) -> None:
    assert ward.ill == {}


def test_each_mutant_of_a_sample_is_noticed_or_justified(ward: Ward, mutants: list[Mutant]) -> None:
    known = equivalents().keys() | unnoticed()
    # Chosen by their ids, so that a mutant that comes, goes or is listed changes the sample by itself only.
    sample = [one for one in sorted(mutants, key=_by_chance)[:_SAMPLE] if one.id not in known]
    sample.sort(key=lambda mutant: (mutant.kind, mutant.name))
    assert [f"{mutant.where}: {mutant.id}" for mutant in ward.survivors(sample)] == []


def test_a_mutant_that_changes_nothing_survives(service: WorkedService, ward: Ward, mutants: list[Mutant]) -> None:
    mutant = next(mutant for mutant in mutants if mutant.kind == "rule")
    unchanged = replace(mutant, artifacts={name: service.knowledge.rules[name] for name in mutant.artifacts})
    assert list(ward.survivors([unchanged])) == [unchanged]


def test_a_mutant_changes_one_kind_of_artifact_only(service: WorkedService, mutants: list[Mutant]) -> None:
    knowledge = service.knowledge
    for mutant in Random(1).sample(mutants, 100):
        changed = applied(knowledge, mutant)
        kinds = ("thresholds", "facts", "rules", "orders", "topics")
        assert [kind for kind in kinds if getattr(changed, kind) != getattr(knowledge, kind)] == [f"{mutant.kind}s"]


def test_no_two_mutants_have_one_id(mutants: list[Mutant]) -> None:
    assert len({mutant.id for mutant in mutants}) == len(mutants)


def test_every_listed_mutant_exists_and_is_in_one_list(mutants: list[Mutant]) -> None:
    assert equivalents().keys() | unnoticed() <= {mutant.id for mutant in mutants}
    assert not equivalents().keys() & unnoticed()
