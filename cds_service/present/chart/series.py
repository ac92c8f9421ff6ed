"""Laboratory results to curves: points in one unit, other units to switch to, the band, and the limits of the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isfinite

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import Condition
from cds_service.artifacts.walk import conditions_of, facts_behind, leaves
from cds_service.facts.fact import FactTable
from cds_service.facts.observations import inr_target, is_future, is_high, is_low
from cds_service.fhir.lab_range import read_range
from cds_service.fhir.read.observation import alias
from cds_service.hooks.cards.texts import unit_name
from cds_service.json_types import Json
from cds_service.languages import LANGUAGES, Language
from cds_service.present.chart.texts import chart_say
from cds_service.quantity import Interval, factor, tidy
from cds_service.record import LabResult
from cds_service.terminology import Analyte

# What is drawn, by the name the page knows it by, and the units a reader may want to see it in.
TRENDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "b12": ("serum-vitamin-b12", ("pg/mL", "pmol/L")),
    "mma": ("methylmalonic-acid", ("umol/L", "nmol/L")),
    "homocysteine": ("homocysteine", ("umol/L", "mg/L")),
    "haemoglobin": ("haemoglobin", ("g/L", "g/dL", "mmol/L")),
    "mcv": ("mcv", ("fL",)),
    "inr": ("inr", ("1",)),
}
_WRITTEN = re.compile(r"(?P<sign>[<>]=?)?\s*(?P<number>-?\d{1,15}(?:\.\d{1,15})?)(?:\s+(?P<unit>.{1,40}))?")


def trends(knowledge: KnowledgeBase, facts: FactTable, language: Language) -> list[Json]:
    """One entry per analyte of `CURVES` that has at least one point, in their order."""
    return [
        _curve(knowledge, facts, language, name)
        for name, (concept, _) in TRENDS.items()
        if any(_is_drawn(facts, result) for result in facts.record.labs.get(concept, ()))
    ]


def as_written(result: LabResult) -> tuple[str | None, float | None, str]:
    """Comparator, number and unit as the laboratory wrote them; (None, None, "") if it wrote no plain number.

    >>> as_written(LabResult("inr", None, "<150 pg/mL", None, "Observation/1"))
    ('<', 150.0, 'pg/mL')
    """
    match = _WRITTEN.fullmatch(result.reported)
    if match is None:
        return None, None, ""
    return match["sign"], float(match["number"]), unit_name((match["unit"] or "").strip())


def own_range(result: LabResult, knowledge: KnowledgeBase) -> tuple[float | None, float | None]:
    """The laboratory's range in the result's own unit; (None, None) if it states none, or in another unit."""
    found, own = read_range(result.lab_range or ""), as_written(result)[2]
    if found.unit and not _same_unit(found.unit, own, result.concept, knowledge):
        return None, None
    return found.low, found.high


def flag_of(result: LabResult) -> str | None:
    """Low or high by the laboratory's own words; None if it says nothing of the kind."""
    return "low" if is_low(result) else "high" if is_high(result) else None


def _curve(knowledge: KnowledgeBase, facts: FactTable, language: Language, name: str) -> Json:
    concept, units = TRENDS[name]
    value_set = knowledge.terminology.value_sets[concept]
    analyte = value_set.analyte
    assert analyte is not None
    results = [result for result in reversed(facts.record.labs[concept]) if _is_drawn(facts, result)]
    return {
        "analyte": name,
        "concept": concept,
        "title": value_set.title.get(language, concept),
        "unit": unit_name(analyte.unit),
        "units": [
            {"unit": unit_name(unit), "factor": multiplier}
            for unit in units
            if (multiplier := factor(analyte.unit, unit, analyte.molar_mass)) is not None
        ],
        "band": _band(knowledge, facts, language, results),
        "points": [_point(result, knowledge) for result in results],
        "limits": list(_limits(knowledge, facts, concept, language)),
    }


def _is_drawn(facts: FactTable, result: LabResult) -> bool:
    return result.value is not None and result.effective is not None and not is_future(facts, result)


def _point(result: LabResult, knowledge: KnowledgeBase) -> Json:
    assert result.value is not None
    assert result.effective is not None
    value, comparator = _position(result.value)
    at = result.effective_at.isoformat() if result.effective_at else None
    return {
        "date": result.effective.isoformat(),
        "at": at,
        "value": value,
        "comparator": comparator,
        "ref": result.reference,
        "flag": flag_of(result),
    }


def _position(value: Interval) -> tuple[float, str | None]:
    """Where an interval is drawn, and the sign that stands before it."""
    if value.is_point:
        return value.low, None
    if isfinite(value.high):
        return value.high, "<" if value.high_open else "<="
    return value.low, ">" if value.low_open else ">="


def _band(knowledge: KnowledgeBase, facts: FactTable, language: Language, results: list[LabResult]) -> Json | None:
    """For an INR the target; else the range that the laboratory stated with the newest result that has one."""
    if results[0].concept == "inr":
        low, high = inr_target(facts)
        label = "own target" if facts.record.inr_goal else "usual target"
        return {"low": low, "high": high, "label": chart_say(label, language)}
    for result in reversed(results):
        low_, high_ = own_range(result, knowledge)
        multiplier = _to_canonical(result)
        if (low_ is not None or high_ is not None) and multiplier is not None:
            return {
                "low": None if low_ is None else tidy(low_ * multiplier),
                "high": None if high_ is None else tidy(high_ * multiplier),
                "label": chart_say("laboratory range", language),
            }
    return None


def _to_canonical(result: LabResult) -> float | None:
    """What the laboratory's number was multiplied with."""
    number = as_written(result)[1]
    return None if not number or result.value is None else _position(result.value)[0] / number


def _same_unit(unit: str, own: str, concept: str, knowledge: KnowledgeBase) -> bool:
    analyte = knowledge.terminology.analyte(concept)
    return analyte is not None and _ucum(unit, concept, knowledge, analyte) == _ucum(own, concept, knowledge, analyte)


def _ucum(unit: str, concept: str, knowledge: KnowledgeBase, analyte: Analyte) -> str:
    if analyte.ratio:
        return "1"
    return alias(unit, concept, knowledge.units) or unit


def _limits(knowledge: KnowledgeBase, facts: FactTable, concept: str, language: Language) -> Iterator[Json]:
    """The limits that rules hold results of this concept against, in rising order."""
    users: dict[str, set[str]] = {}
    for rule in knowledge.rules.values():
        if not rule.enabled or rule.kind != "rule":
            continue
        for condition in _all_conditions(knowledge, list(conditions_of(rule))):
            for leaf in leaves(condition):
                if leaf.comparison and leaf.fact and knowledge.facts[leaf.fact].observation == concept:
                    users.setdefault(leaf.comparison[1], set()).add(rule.id)
    other = {"male": "_women", "female": "_men"}.get(facts.record.patient.sex or "")
    for name in sorted(users, key=lambda one: facts.limits[one]):
        threshold = knowledge.thresholds[name]
        # Limits of one sex are named so; those of the other say nothing here.
        if other is not None and name.endswith(other):
            continue
        own = threshold.in_force(facts.today).decided
        sources = dict.fromkeys(knowledge.source_of(each).short.in_language(language) for each in threshold.source)
        yield {
            "name": name,
            "value": facts.limits[name],
            "label": threshold.label.in_language(language),
            "source": own or LANGUAGES[language].semicolon.join(sources),
            "statements": list(threshold.source),
            "rules": sorted(users[name]),
        }


def _all_conditions(knowledge: KnowledgeBase, conditions: list[Condition]) -> Iterator[Condition]:
    """The conditions, and those of the named conditions in them."""
    yield from conditions
    named = {leaf.fact for condition in conditions for leaf in leaves(condition) if leaf.fact}
    for name in facts_behind(knowledge, named):
        definition = knowledge.facts[name].when
        if definition is not None:
            yield definition
