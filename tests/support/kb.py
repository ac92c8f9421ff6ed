"""Small records, fact tables and rules for the tests of the engine; everything in them is invented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from cds_service.artifacts import schema
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.vocabulary import Condition
from cds_service.evaluate import Evaluator
from cds_service.facts.fact import Fact, FactTable, Missing
from cds_service.gaps import Gap, GapKind
from cds_service.quantity import Interval, point
from cds_service.record import (
    DraftOrder,
    LabResult,
    MedicationUse,
    Patient,
    PatientRecord,
    Problem,
    Source,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
UNREAD = Fact(None, missing=Missing("unread", "observations"))
ABSENT = Fact(None, missing=Missing("absent", "no usable result in the look-back"))
B12_LIMIT = 200.0
UNAUTHORIZED = Gap(GapKind.HTTP_STATUS, status=401)
SECOND_PAGE_FAILED = Gap(GapKind.PAGE, page=2, cause=Gap(GapKind.HTTP_STATUS, status=500))


@lru_cache(maxsize=1)
def knowledge() -> KnowledgeBase:
    """The knowledge that is shipped, loaded once."""
    return load_knowledge()


@lru_cache(maxsize=1)
def evaluator() -> Evaluator:
    return Evaluator(knowledge())


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def lab(concept: str, value: float | Interval | None, days: int | None = 1, **more: Any) -> LabResult:
    """A result of some days ago; without a value it is unusable, with `days=None` undated."""
    interval = value if isinstance(value, Interval) or value is None else point(float(value))
    fields: dict[str, Any] = {
        "reported": f"{value:g}" if isinstance(value, int | float) else "?",
        "effective": None if days is None else ago(days),
        "reference": f"Observation/{concept}-{days}",
        "unusable": "no unit" if value is None else None,
    }
    return LabResult(concept=concept, value=interval, **(fields | more))


def med(
    concept: str, *, start: int | None = 10, end: int | None = None, daily: float | None = None, **more: Any
) -> MedicationUse:
    """An active product begun `start` and ended `end` days ago; `daily` in micrograms."""
    fields: dict[str, Any] = {
        "concepts": frozenset({concept}),
        "product": concept,
        "resource": "MedicationStatement",
        "reference": f"MedicationStatement/{concept}-{start}",
        "status": "active",
        "start": None if start is None else ago(start),
        "end": None if end is None else ago(end),
        "daily_dose": None if daily is None else point(daily),
    }
    return MedicationUse(**(fields | more))


def draft(concept: str, *, selected: bool = True, name: str | None = None, **more: Any) -> DraftOrder:
    """A draft order for a product."""
    reference = f"MedicationRequest/{name or concept}"
    given = {"resource": "MedicationRequest", "reference": reference, "status": "draft", "start": None} | more
    return DraftOrder(reference, selected=selected, use=med(concept, **given))


def problem(*concepts: str, **more: Any) -> Problem:
    return Problem(
        **({"concepts": frozenset(concepts), "text": concepts[0], "reference": f"Condition/{concepts[0]}"} | more)
    )


def record(
    *,
    labs: Sequence[LabResult] = (),
    born: date | None = date(1950, 1, 1),
    unread: Iterable[Source] = (),
    incomplete: Iterable[Source] = (),
    **more: Any,
) -> PatientRecord:
    """A record; `labs` of one concept stand in the order given, which the reader makes newest first."""
    by_concept: dict[str, tuple[LabResult, ...]] = {}
    for result in labs:
        by_concept[result.concept] = (*by_concept.get(result.concept, ()), result)
    return PatientRecord(
        patient=Patient("p1", born),
        labs=by_concept,
        unread=dict.fromkeys(unread, (UNAUTHORIZED,)),
        incomplete=dict.fromkeys(incomplete, (SECOND_PAGE_FAILED,)),
        **more,
    )


def facts(patient: PatientRecord, now: datetime = NOW) -> FactTable:
    """The shipped facts of a record."""
    return evaluator().facts(patient, now)


def told(limits: Mapping[str, float] | None = None, **known: Fact | bool | float | str | None) -> FactTable:
    """A table in which facts are simply stated; None is unknown because it was looked for and not found."""
    stated = {name: _stated(value) for name, value in known.items()}
    derivers = {name: (lambda _, fact=fact: fact) for name, fact in stated.items()}
    return FactTable(record(), NOW, derivers, limits or {"limit": B12_LIMIT})


def _stated(value: Fact | bool | float | str | None) -> Fact:
    if isinstance(value, Fact):
        return value
    if value is None:
        return ABSENT
    return Fact(value if isinstance(value, bool | str) else point(value))


def condition(words: Mapping[str, Any]) -> Condition:
    return Condition.model_validate(words)


def rule(name: str, when: Mapping[str, Any], **more: Any) -> schema.Rule:
    """A rule in memory with a card that says little."""
    text = {"en": f"Card of {name}.", "zh": f"{name}的卡片。"}
    card = {"indicator": "warning", "summary": text, "detail": [{"part": "found", **text, "cites": ["S0-25"]}]}
    words: dict[str, Any] = {
        "id": name, "version": "1.0.0", "status": "active", "hooks": ["patient-view"], "priority": 1,
        "title": text, "why": text, "known_wrong": text, "source": ["S0-25"],
        "author": "A", "next_review": "2030-01-01", "when": when, "card": card,
    }  # fmt: skip
    changed = more.pop("card", {})
    return schema.Rule.model_validate(words | more | {"card": card | changed})


def knowledge_with(*rules: schema.Rule, **changes: Mapping[str, Any]) -> KnowledgeBase:
    """The shipped knowledge with only these rules, all of the topic vitamin-b12, and what else is changed."""
    base = knowledge()
    more: dict[str, Any] = {name: {**getattr(base, name), **members} for name, members in changes.items()}
    where = {**base.where, **{f"rule:{r.id}": f"vitamin-b12/{r.id}.yaml:1" for r in rules}}
    return replace(
        base,
        rules={r.id: r for r in rules},
        topic_of={r.id: "vitamin-b12" for r in rules},
        where=where,
        **more,
    )
