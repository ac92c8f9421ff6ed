"""A clause of a trace to a sentence: what was asked, what was found, of which day, against which limit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from math import inf
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.hooks.cards.texts import clean, day, number, quantity, unit_name
from cds_service.languages import Language
from cds_service.present.chart.texts import chart_say
from cds_service.present.explanation.texts import reason_said, unusable_said, why_say
from cds_service.present.texts import say
from cds_service.quantity import Interval, point

Node = dict[str, Any]

_COMPARISONS = ("below", "at_most", "above", "at_least")
_LOCAL = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")


# How many of the facts behind an unknown one are named in its sentence; all stand in the tree below it.
_MOST_CAUSES = 2


def _open_leaves(node: Node) -> Iterator[Node]:
    """The facts at the bottom of a named condition that leave it open."""
    for part in _parts(node.get("definition")):
        if "value" not in part:
            deeper = list(_open_leaves(part))
            yield from deeper or [part]


def _parts(node: Node | None) -> Iterator[Node]:
    """The facts that a condition asks for, where their outcome is open."""
    if node is None or node["outcome"] != "unknown":
        return
    for part in (*node.get("all", ()), *node.get("any", ()), *([node["not"]] if "not" in node else ())):
        yield from _parts(part)
    if "fact" in node:
        yield node


class Clauses:
    """Puts clauses into one language, for one day of judgement."""

    def __init__(self, knowledge: KnowledgeBase, language: Language, today: date) -> None:
        self._knowledge = knowledge
        self._language = language
        self._today = today

    def told(self, node: Node) -> Node:
        """A clause with everything below it, each part with its `text`."""
        for word in ("all", "any"):
            if word in node:
                return {"text": say(word, self._language), **node, word: [self.told(part) for part in node[word]]}
        if "not" in node:
            return {"text": say("not", self._language), **node, "not": self.told(node["not"])}
        return self._leaf(node)

    def sources(self, ids: Sequence[str], *, with_text: bool = False) -> list[Node]:
        """Statements by id: the document as cards name it, the page of the catalogue that has it, and what it says."""
        found = []
        for cite in ids:
            source, statement = self._knowledge.source_of(cite), self._knowledge.statements.get(cite)
            one: Node = {
                "id": cite,
                "document": source.short.in_language(self._language),
                "page": "sources" if statement is None else "statements",
            }
            if with_text:
                one["text"] = (source.title if statement is None else statement.text).in_language(self._language)
            found.append(one)
        return found

    def _leaf(self, node: Node) -> Node:
        told = {"text": self._sentence(node), **node}
        if "limit" in node:
            told["limit"] = self._limit(node["limit"])
        if "evidence" in node:
            told["evidence"] = [self._evidence(item) for item in node["evidence"]]
        if "definition" in node:
            told["definition"] = self.told(node["definition"])
        if "counted" in node:
            told["counted"] = [self._leaf(part) for part in node["counted"]]
        return told

    def _sentence(self, node: Node) -> str:
        label = self._knowledge.facts[node["fact"]].label.in_language(self._language)
        found, asked = self._found(node), self._asked(node)
        if asked:
            found = self._say("holds" if node["outcome"] == "yes" else "asked for", found=found, asked=asked)
        return label + say("colon", self._language) + found

    def _asked(self, node: Node) -> str:
        """What must be so for the clause to hold; "" where the outcome beside it says so, for what is yes or no."""
        if node["test"] in _COMPARISONS:
            return say(node["test"], self._language, limit=self._amount(node["limit"]["value"], node["limit"]["unit"]))
        if isinstance(node["wanted"], bool) or node["outcome"] == "yes":
            return ""
        return self._word(node["fact"], node["wanted"])

    def _found(self, node: Node) -> str:
        """What the record says, of which day, or why it says nothing."""
        if "value" not in node:
            return self._say("unknown fact", reason=self._reason(node))
        value = node["value"]
        if isinstance(value, dict):
            text = quantity(interval(value), value["unit"], self._language)
        else:
            text = self._word(node["fact"], value)
        if "date" not in node or isinstance(value, bool):
            return text
        # A result is of a day; a duration is counted from one.
        key = "on" if self._knowledge.facts[node["fact"]].origin == "observation" else "since"
        return self._say(key, found=text, day=day_said(node["date"], self._language))

    def _reason(self, node: Node) -> str:
        definition = self._knowledge.facts[node["fact"]]
        if causes := list(dict.fromkeys(self._sentence(leaf) for leaf in _open_leaves(node))):
            return say("semicolon", self._language).join(causes[:_MOST_CAUSES])
        reason = reason_said(node["because"], self._language)
        if node["because"].startswith("absent") and definition.origin == "observation" and definition.within:
            threshold = self._knowledge.thresholds[definition.within]
            within = say("within", self._language, window=self._amount(threshold.at(self._today), threshold.unit))
            return self._say("reason within", reason=reason, within=within)
        return reason

    def _limit(self, limit: Node) -> Node:
        threshold = self._knowledge.thresholds[limit["name"]]
        amount = self._amount(limit["value"], limit["unit"])
        text = threshold.label.in_language(self._language) + say("colon", self._language) + amount
        if "decided" in limit:
            text = self._say("site limit", limit=text)
        return {**limit, "text": text, "sources": self.sources(limit["source"])}

    def _evidence(self, item: Node) -> Node:
        reference = item.get("reference", "")
        told = {"text": self.entry(item), **item}
        # What is drafted in this session stands in no chart.
        if _LOCAL.fullmatch(reference) and not item.get("draft"):
            told["ref"] = reference
        return told

    def entry(self, item: Node) -> str:
        """One entry of the record, in its own words."""
        if "reported" in item:
            return self._result(item)
        if "product" in item:
            return self._product(item)
        if "pending" in item:
            return self._say(item["pending"], test=self._titles(item["concepts"])) + self._dated(
                "at", item.get("since")
            )
        if "target" in item:
            ends = {end: number(item["target"][end], self._language) for end in ("low", "high")}
            return self._say("target", **ends)
        if "text" in item:
            undated = self._say("undated") if item.get("undated") else ""
            return clean(item["text"]) + self._dated("from", item.get("since")) + undated
        return self._say("birth date")

    def _result(self, item: Node) -> str:
        analyte = self._knowledge.terminology.analyte(item["concept"])
        written = _as_people_write(clean(item["reported"]), ratio=analyte is not None and analyte.ratio)
        text = self._say("test", test=self._titles([item["concept"]]), result=written) + self._dated(
            "at", item.get("date")
        )
        if "flag" in item:
            text += self._say("flag", flag=clean(item["flag"]))
        if "unusable" in item:
            text += self._say("not usable", reason=unusable_said(item["unusable"], self._language))
        return text

    def _product(self, item: Node) -> str:
        text = clean(item["product"])
        if "daily" in item:
            daily = quantity(interval(item["daily"]), item["daily"]["unit"], self._language)
            text += self._say("at", what=chart_say("daily", self._language, dose=daily))
        elif "dosage" in item:
            text += self._say("at", what=clean(item["dosage"]))
        text += self._dated("from", item.get("start")) + self._dated("until", item.get("end"))
        text += self._say(item["doubt"]) if item.get("doubt") else ""
        return text + (self._say("draft") if item.get("draft") else "")

    def _dated(self, key: str, iso: str | None) -> str:
        return self._say(key, what=day_said(iso, self._language)) if iso else ""

    def _titles(self, concepts: Sequence[str]) -> str:
        sets = self._knowledge.value_sets
        return say("listing", self._language).join(sets[each].title.in_language(self._language) for each in concepts)

    def _word(self, fact: str, value: bool | str) -> str:
        if isinstance(value, bool):
            return say("yes" if value else "no", self._language)
        return self._knowledge.value_of(fact, value).in_language(self._language)

    def _amount(self, value: float, unit: str) -> str:
        return quantity(point(value), unit, self._language)

    def _say(self, key: str, **values: object) -> str:
        return why_say(key, self._language, **values)


def interval(value: Node) -> Interval:
    """What the trace says of a number, as a number again."""
    if "value" in value:
        return point(value["value"])
    low = value["above"] if "above" in value else value["atLeast"]
    high = value["below"] if "below" in value else value.get("atMost", inf)
    return Interval(low, high, low_open="above" in value, high_open="below" in value)


def _as_people_write(reported: str, *, ratio: bool) -> str:
    """A reported value with its unit not as a code; a ratio has no unit worth showing."""
    number, blank, unit = reported.rpartition(" ")
    if not blank:
        return reported
    return number if ratio else f"{number} {unit_name(unit)}"


def day_said(iso: str, language: Language) -> str:
    return day(date.fromisoformat(iso), language)
