"""The trace of a call to sentences: why each rule spoke or kept silent, clause by clause, in the reader's language.

`rules/explain.py` makes the trace as plain data. Here every node of it gets a `text`, every limit and rule its sources
by name, and the rules that were not judged are added. Nothing else of the trace changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from cds_service.artifacts.knowledge_base import KnowledgeBase, Service
from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.json_types import Json
from cds_service.languages import LANGUAGES, Language
from cds_service.present.catalogue.phrases import Phrases
from cds_service.present.explanation.clauses import Clauses, Node, day_said
from cds_service.present.explanation.texts import why_say
from cds_service.present.texts import say
from cds_service.rules.withheld import Reason

Answer = Callable[[str, HookRequest, CallContext], Json]

_TRACE = "cds-service.explain"
_PARTS = ("applies", "when", "unless", "variantWhen")
# So many clauses at most are named in a rule's own sentence; the tree below it has all of them.
_MOST_NAMED = 4


def worded(knowledge: KnowledgeBase, answer: Answer) -> Answer:
    """The same answers, with the trace in words where there is one."""
    writers = {language: ExplanationWriter(knowledge, language) for language in LANGUAGES}

    def answered(service_id: str, request: HookRequest, call: CallContext) -> Json:
        reply = answer(service_id, request, call)
        if _TRACE in reply["extension"]:
            writer, service = writers[call.language], knowledge.services[service_id]
            withheld = {each.rule: each.reason for each in call.outcome.withheld}
            trace = writer.write(service, reply["extension"][_TRACE], withheld, call.now.date())
            reply["extension"][_TRACE] = trace
        return reply

    return answered


class ExplanationWriter:
    """Puts traces into one language; holds no patient data."""

    def __init__(self, knowledge: KnowledgeBase, language: Language) -> None:
        self._knowledge = knowledge
        self._language = language
        self._phrases = Phrases(knowledge, language)

    def write(self, service: Service, nodes: Sequence[Node], withheld: Mapping[str, Reason], today: date) -> list[Node]:
        """A trace in words.

        Args:
            nodes: the trace of `rules/explain.py`; it stays as it is.
            withheld: by rule id, why a rule that fires has no card.
            today: the day of judgement.
        """
        clauses = Clauses(self._knowledge, self._language, today)
        traced = {node["rule"] for node in nodes}
        off = [self._off(rule) for rule in service.rules if rule not in traced]
        return [self._decision(node, clauses, withheld.get(node["rule"])) for node in (*nodes, *off)]

    def _off(self, rule_id: str) -> Node:
        rule = self._knowledge.rules[rule_id]
        return {
            "rule": rule_id,
            "version": rule.version,
            "outcome": "off",
            "at": self._knowledge.where[f"rule:{rule_id}"],
            "statements": list(rule.source),
        }

    def _decision(self, node: Node, clauses: Clauses, withheld: Reason | None) -> Node:
        rule = self._knowledge.rules[node["rule"]]
        parts = {name: clauses.told(node[name]) for name in _PARTS if name in node}
        told = {**node, "title": rule.title.in_language(self._language), "kind": rule.kind, **parts}
        if "silencedBy" in node:
            told["silencedByTitle"] = self._title(node["silencedBy"])
        if "snoozed" in node:
            told["snoozed"] = {**node["snoozed"], "text": self._snoozed(node["snoozed"])}
        told["text"] = self._sentence(told, withheld)
        told["sources"] = clauses.sources(rule.source, with_text=True)
        return told

    def _sentence(self, node: Node, withheld: Reason | None) -> str:
        """What became of the rule, and which clause decided it."""
        match node["outcome"]:
            case "speaks" if node["kind"] == "silence":
                return self._say("silence")
            case "speaks":
                return self._speaks(node["rule"], withheld)
            case "silenced":
                return self._say("silenced", rule=node["silencedByTitle"])
            case "snoozed":
                return str(node["snoozed"]["text"])
            case "silent":
                return self._silent(node)
            case "unknown" | "undecided" | "not applicable" as outcome:
                open_ = next(node[name] for name in ("applies", "when", "unless") if _is_open(node, name))
                return self._say(outcome, clauses=self._listed(_deciding(open_)))
            case outcome:
                return self._say(outcome)

    def _silent(self, node: Node) -> str:
        if node["when"]["outcome"] != "no":
            return self._say("excepted", clauses=self._listed(_deciding(node["unless"])))
        head = "no silence" if node["kind"] == "silence" else "silent"
        return self._say(head, clauses=self._listed(_deciding(node["when"])))

    def _speaks(self, rule: str, withheld: Reason | None) -> str:
        """What became of a rule that fires: it has a card, unless that was withheld."""
        no_info_when = self._knowledge.topics[self._knowledge.topic_of[rule]].no_info_when
        if withheld is Reason.OVER_LIMIT:
            return self._say("limited")
        if withheld is Reason.INFO_SUPPRESSED and no_info_when is not None:
            condition = "".join(span.text for span in self._phrases.inline(no_info_when))
            return self._say("quiet", condition=condition)
        return self._say("speaks")

    def _snoozed(self, rest: Node) -> str:
        reason = self._knowledge.override_reasons[rest["reason"]].text.in_language(self._language)
        days = {name: day_said(rest[name], self._language) for name in ("until", "on")}
        return self._say("snoozed", **days, reason=reason)

    def _listed(self, deciding: Iterator[Node] | Sequence[Node]) -> str:
        texts = _texts(deciding)
        listed = say("semicolon", self._language).join(texts[:_MOST_NAMED])
        more = len(texts) - _MOST_NAMED
        return listed + (self._say("others", number=more) if more > 0 else "")

    def _title(self, rule: str) -> str:
        return self._knowledge.rules[rule].title.in_language(self._language)

    def _say(self, key: str, **values: object) -> str:
        return why_say(key, self._language, **values)


def _is_open(node: Node, name: str) -> bool:
    """Whether this part keeps the rule from being decided, or from applying."""
    return name in node and node[name]["outcome"] != ("no" if name == "unless" else "yes")


def _deciding(node: Node) -> Iterator[Node]:
    """The leaves on which the outcome of a clause hangs: one `no` settles an `all`, one `yes` an `any`."""
    if "not" in node:
        yield from _deciding(node["not"])
    elif "all" in node or "any" in node:
        alike = [part for part in node.get("all") or node["any"] if part["outcome"] == node["outcome"]]
        settles = "no" if "all" in node else "yes"
        for part in alike[:1] if node["outcome"] == settles else alike:
            yield from _deciding(part)
    else:
        yield from _compared(node) or [node]


def _compared(node: Node) -> list[Node]:
    """The measured values behind a named condition that does not hold: they say more than its "no"."""
    if node["outcome"] != "no" or "definition" not in node:
        return []
    return [part for part in _deciding(node["definition"]) if "limit" in part and "value" in part]


def _texts(nodes: Iterator[Node] | Sequence[Node]) -> list[str]:
    return list(dict.fromkeys(node["text"] for node in nodes))
