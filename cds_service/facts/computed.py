"""Computed facts: the words of a fact's definition that stand for a function, each declared above that function.

The declaration says what the word gives and what the function reads. The vocabulary of definitions, the checks of the
knowledge, the prefetch keys and the unknown facts are derived from it. What a word means in each language stands in
`knowledge/computed.yaml` under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

from cds_service.facts.fact import NO, Fact, FactTable
from cds_service.facts.use import Member
from cds_service.record import LabResult, MedicationUse, Problem, Source
from cds_service.record_lists import sources_of


@dataclass(frozen=True, slots=True)
class Computed:
    """What is declared of one word.

    Attributes:
        name: the word, e.g. `highest_daily_dose`.
        gives: the type of the facts that it makes.
        unit: the unit of a quantity; None: that of the value set.
        words: the values of a fact that is a word.
        reads: the lists that the function looks at.
        thresholds, facts, value_sets: the names that the function reads; each must exist where a fact uses the word.
        of: which results a word over results looks at.
        extends: another word whose declaration and meaning are part of this one.
        grows: a quantity that further entries can only raise: open upwards while a list is not wholly read.
        windowed: a state that is asked of a window of days (`within` or `since`).
        none: the fact if the lists were read and hold no such entry; None: unknown, with the reason found there.
    """

    name: str
    gives: Literal["quantity", "boolean", "word"] = "boolean"
    unit: str | None = None
    words: tuple[str, ...] = ()
    reads: tuple[Source, ...] = ()
    thresholds: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    value_sets: tuple[str, ...] = ()
    of: Literal["usable", "flagged", "unusable"] = "usable"
    extends: str | None = None
    grows: bool = False
    windowed: bool = False
    none: Fact | None = NO


F = TypeVar("F", bound=Callable[..., object])
_declared: dict[str, Computed] = {}
COMPUTED: Mapping[str, Computed] = MappingProxyType(_declared)


class Words(Generic[F]):
    """The words that may stand in one place of a definition, with their functions; used as a decorator.

    >>> takes = Words[FromPatient]()
    >>> @takes(Computed("shoe_size", gives="quantity", unit="cm"))
    ... def shoe_size(table): ...
    >>> "shoe_size" in takes, COMPUTED["shoe_size"].unit
    (True, 'cm')
    """

    def __init__(self, reads: tuple[Source, ...] = ()) -> None:
        """
        Args:
            reads: the lists that every function of this place looks at.
        """
        self._reads = reads
        self._functions: dict[str, F] = {}

    def __call__(self, declared: Computed) -> Callable[[F], F]:
        def declare(function: F) -> F:
            if declared.name in _declared:
                raise ValueError(f"two computed facts are called {declared.name}")
            _declared[declared.name] = replace(declared, reads=(*self._reads, *declared.reads))
            self._functions[declared.name] = function
            return function

        return declare

    def __getitem__(self, name: str) -> F:
        return self._functions[name]

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def __str__(self) -> str:
        return ", ".join(self._functions)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a definition asks of a list of problems or orders.

    lifelong: those of the value sets whose conditions hold also when an entry marks them inactive.
    without: an entry that belongs to one of these, too, does not count.
    within: the threshold of the look-back.
    unconfirmed: only a diagnosis that is not confirmed is asked for.
    severe: only a severe reaction is asked for.
    """

    concepts: frozenset[str]
    lifelong: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    within: str | None = None
    unconfirmed: bool = False
    severe: bool = False


FromResults = Callable[[FactTable, LabResult, Iterator[LabResult]], Fact]
FromUses = Callable[[FactTable, tuple[MedicationUse, ...]], Fact]
InState = Callable[[FactTable, frozenset[str], date], Iterable[Member]]
Passes = Callable[[FactTable, MedicationUse], bool]
FromPatient = Callable[[FactTable], Fact]
FromEntries = Callable[[FactTable, Asked], "Fact | None"]
FromProblems = Callable[[FactTable, tuple[Problem, ...]], Fact]

# `take` over results: the newest usable result of the window, and the older ones.
observation_take = Words[FromResults](reads=sources_of("laboratory"))
# `take` over products: those found, at least one.
medication_take = Words[FromUses]()
# `state`: the products in that state, of these value sets; of a windowed state, those that were in it since a day.
state = Words[InState]()
# `except` and `only`: whether a product belongs to a group.
product_filter = Words[Passes]()
# `patient`.
patient_fact = Words[FromPatient]()
# `condition`, `family`, `pending`: what was found; None if nothing was.
entries = Words[FromEntries]()
# `take` over conditions: the certain ones that were found, at least one.
condition_take = Words[FromProblems]()
