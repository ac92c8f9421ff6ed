"""Explains a decision clause by clause: fact, value, unit, date, evidence, limit with its source, reason of unknown.

A slow reference implementation of the conditions that `rules/conditions.py` compiles; a test checks that both agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from math import isfinite
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.vocabulary import Condition
from cds_service.facts.fact import Evidence, Fact, FactTable
from cds_service.quantity import Interval
from cds_service.record import InrGoal, LabResult, MedicationUse, Patient, PendingTest, Problem
from cds_service.rules.decide import Decision

Node = dict[str, Any]
_WORDS = {True: "yes", False: "no", None: "unknown"}


def explain(knowledge: KnowledgeBase, facts: FactTable, decisions: Iterable[Decision]) -> list[Node]:
    """Every decision with its clauses, as JSON-ready trees."""
    return [_decision(knowledge, facts, decision) for decision in decisions]


def _decision(knowledge: KnowledgeBase, facts: FactTable, decision: Decision) -> Node:
    rule = decision.rule
    node: Node = {
        "rule": rule.id,
        "version": rule.version,
        "outcome": decision.outcome,
        "at": knowledge.where[f"rule:{rule.id}"],
        "statements": list(rule.source),
    }
    if change := knowledge.site_changes.get(f"rule:{rule.id}"):
        node["site"] = {"at": change.where, "decided": change.decided}
    if decision.variant:
        node["variant"] = decision.variant.id
    if decision.silenced_by:
        node["silencedBy"] = decision.silenced_by
    applies = clause(knowledge, facts, knowledge.scope_of(rule.id))
    if applies["outcome"] != "yes":
        node["applies"] = applies
    if decision.outcome == "not applicable":
        return node
    node["when"] = clause(knowledge, facts, rule.when)
    if rule.unless:
        node["unless"] = clause(knowledge, facts, rule.unless)
    if decision.variant:
        node["variantWhen"] = clause(knowledge, facts, decision.variant.when)
    return node


def clause(knowledge: KnowledgeBase, facts: FactTable, condition: Condition) -> Node:
    """The tree of one condition: its result, and the conditions below it."""
    if condition.all is not None:
        parts = [clause(knowledge, facts, child) for child in condition.all]
        outcomes = [part["outcome"] for part in parts]
        return {"outcome": "no" if "no" in outcomes else "unknown" if "unknown" in outcomes else "yes", "all": parts}
    if condition.any is not None:
        parts = [clause(knowledge, facts, child) for child in condition.any]
        outcomes = [part["outcome"] for part in parts]
        return {"outcome": "yes" if "yes" in outcomes else "unknown" if "unknown" in outcomes else "no", "any": parts}
    if condition.not_ is not None:
        part = clause(knowledge, facts, condition.not_)
        return {"outcome": {"yes": "no", "no": "yes"}.get(part["outcome"], "unknown"), "not": part}
    return _leaf(knowledge, facts, condition)


def _leaf(knowledge: KnowledgeBase, facts: FactTable, condition: Condition) -> Node:
    name = condition.fact or ""
    fact, definition = facts[name], knowledge.facts[name]
    node: Node = {"outcome": _WORDS[_test(facts, fact, condition)], "fact": name}
    if comparison := condition.comparison:
        word, limit = comparison
        threshold = knowledge.thresholds[limit]
        node |= {
            "test": word,
            "limit": {
                "name": limit,
                "value": facts.limits[limit],
                "unit": threshold.unit,
                "source": list(threshold.source),
            },
        }
        if decided := threshold.in_force(facts.today).decided:
            node["limit"]["decided"] = decided
    elif condition.is_ is not None:
        node |= {"test": "is", "wanted": condition.is_}
    elif condition.known is not None:
        node |= {"test": "known", "wanted": condition.known}
    else:
        node |= {"test": "may_be", "wanted": condition.may_be}
    if fact.value is not None:
        node["value"] = _value(fact.value, definition.unit)
    if fact.on is not None:
        node["date"] = fact.on.isoformat()
    if entries := [evidence(item) for item in fact.evidence]:
        node["evidence"] = entries
    if fact.missing is not None:
        node["because"] = f"{fact.missing.kind}: {fact.missing.about}"
    if definition.when is not None:
        node["definition"] = clause(knowledge, facts, definition.when)
    if definition.count is not None:
        parts = (Condition.model_validate({"fact": part, "is": True}) for part in definition.count)
        node["counted"] = [_leaf(knowledge, facts, part) for part in parts]
    return node


def _test(facts: FactTable, fact: Fact, condition: Condition) -> bool | None:
    """The test of one leaf with its limit as JSON data."""
    if condition.may_be is not None:
        return fact.value is None or fact.value == condition.may_be
    if condition.known is not None:
        if fact.value is None and fact.missing is not None and fact.missing.kind in ("unread", "incomplete"):
            return None
        return (fact.value is not None) == condition.known
    if fact.value is None:
        return None
    if condition.is_ is not None:
        return fact.value == condition.is_
    assert condition.comparison is not None
    assert isinstance(fact.value, Interval)
    word, name = condition.comparison
    limit = facts.limits[name]
    match word:
        case "below":
            return fact.value.below(limit)
        case "at_most":
            return fact.value.at_most(limit)
        case "above":
            return fact.value.above(limit)
        case "at_least":
            return fact.value.at_least(limit)


def _value(value: Interval | bool | str, unit: str | None) -> Any:
    if not isinstance(value, Interval):
        return value
    if value.is_point:
        return {"value": value.low, "unit": unit}
    bounds: Node = {"above" if value.low_open else "atLeast": value.low, "unit": unit}
    if isfinite(value.high):
        bounds["below" if value.high_open else "atMost"] = value.high
    return bounds


def evidence(item: Evidence) -> Node:
    """One entry of the record behind a fact, as JSON data."""
    match item:
        case LabResult():
            return {"reference": item.reference, "concept": item.concept, "reported": item.reported} | _given(
                date=item.effective, flag=item.flag, unusable=item.unusable
            )
        case MedicationUse():
            daily = None if item.daily_dose is None or item.single_dose else _value(item.daily_dose, "ug")
            return {"reference": item.reference, "product": item.product} | _given(
                start=item.start,
                end=item.last_day,
                daily=daily,
                dosage=item.reported_dose,
                draft=item.status == "draft",
                doubt=item.doubt,
            )
        case Problem():
            undated = item.since is None
            return {"reference": item.reference, "text": item.text} | _given(since=item.since, undated=undated)
        case PendingTest():
            return {"reference": item.reference, "pending": item.kind, "concepts": sorted(item.concepts)} | _given(
                since=item.since
            )
        case InrGoal():
            return {"reference": item.reference, "target": {"low": item.low, "high": item.high}}
        case Patient():
            return {"reference": f"Patient/{item.id}"}
    raise TypeError(type(item))


def _given(**members: object) -> Node:
    """The members that are not empty; days as text."""
    return {name: m.isoformat() if isinstance(m, date) else m for name, m in members.items() if m}


def as_lines(nodes: Iterable[Node]) -> Iterator[str]:
    """Explained decisions as indented lines for a terminal."""
    for node in nodes:
        outcome = node["outcome"] + (f" ({node['variant']})" if "variant" in node else "")
        outcome += f" by {node['silencedBy']}" if "silencedBy" in node else ""
        yield f"{node['rule']}: {outcome}    {node['at']}"
        for part, said in (("applies", "applies"), ("when", "when"), ("unless", "unless"), ("variantWhen", "variant")):
            if part in node:
                yield from _clause_lines(node[part], 1, f"{said} ")


def _clause_lines(node: Node, depth: int, prefix: str = "") -> Iterator[str]:
    indent = "  " * depth
    for word in ("all", "any"):
        if word in node:
            yield f"{indent}{prefix}{word}: {node['outcome']}"
            for child in node[word]:
                yield from _clause_lines(child, depth + 1)
            return
    if "not" in node:
        yield f"{indent}{prefix}not: {node['outcome']}"
        yield from _clause_lines(node["not"], depth + 1)
        return
    yield f"{indent}{prefix}{_leaf_line(node)}"
    if "definition" in node:
        yield from _clause_lines(node["definition"], depth + 1)
    for part in node.get("counted", ()):
        yield from _clause_lines(part, depth + 1)


def _leaf_line(node: Node) -> str:
    parts = [node["fact"]]
    value = node.get("value")
    if isinstance(value, dict):
        low, high = value.get("atLeast", value.get("above")), value.get("below", value.get("atMost"))
        number = (
            f"{value['value']:g}" if "value" in value else f"{low:g} to {'unbounded' if high is None else f'{high:g}'}"
        )
        parts.append(f"= {number} {value['unit']}")
    elif value is not None:
        parts.append(f"= {value}")
    if "limit" in node:
        limit = node["limit"]
        parts.append(
            f"{node['test']} {limit['name']} {limit['value']:g} {limit['unit']} "
            f"[{limit.get('decided') or ', '.join(limit['source'])}]"
        )
    else:
        parts.append(f"{node['test']} {node['wanted']}")
    if "date" in node:
        parts.append(node["date"])
    parts.append(f"-> {node['outcome']}")
    if "because" in node:
        parts.append(f"because {node['because']}")
    parts += [f"({item['product']}: {item['doubt']})" for item in node.get("evidence", ()) if item.get("doubt")]
    referenced = [item for item in node.get("evidence", ()) if item.get("reference")]
    if references := [item["reference"] + (" (no date)" if item.get("undated") else "") for item in referenced]:
        parts.append(" ".join(references))
    return "  ".join(str(part) for part in parts)
