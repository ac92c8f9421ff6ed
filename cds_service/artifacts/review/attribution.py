"""Sentences and limits against what they cite: no figure that nobody states, no literature behind a patient's own data.

A figure of a line stands in a statement that the line cites, or is a threshold that the line names; one of an order
stands in a source of the order. The number of a threshold stands in a source of it, or its note says in every language
that it is a convention of this service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cds_service.artifacts.evidence import Threshold
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.review.figures import Figure, figures, limit_figure, stated
from cds_service.artifacts.review.finding import Finding
from cds_service.artifacts.schema import Line, Order, Rule
from cds_service.artifacts.text import Text
from cds_service.artifacts.walk import conditions_of, facts_behind, leaves, lines_of, thresholds_read_by
from cds_service.languages import FALLBACK, LANGUAGES, Language
from cds_service.texts import Texts

_say = Texts("catalogue").get
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# "Signs on record: {b12_sign}", "MCV {latest_mcv}": a name and what the record holds, and no claim.
_NAMED_FACT = re.compile(r"[^{}.,;:(]*:?\s*\{fact\}")
# "No INR is on record", "None on the list".
_ABSENCE = re.compile(r"(no|none)\b.*\b(on record|recorded|on the list|is known)", re.IGNORECASE)


def misattributions(knowledge: KnowledgeBase) -> Iterator[Finding]:
    """Figures and limits that what they cite does not state, and literature cited for what is the patient's own."""
    for rule in knowledge.rules.values():
        yield from _lines(knowledge, rule)
        yield from _summaries(knowledge, rule)
    for name, order in knowledge.orders.items():
        yield from _order(knowledge, name, order)
    for name, threshold in knowledge.thresholds.items():
        yield from _limit(knowledge, name, threshold)


def _lines(knowledge: KnowledgeBase, rule: Rule) -> Iterator[Finding]:
    where = knowledge.where[f"rule:{rule.id}"]
    for line in lines_of(rule):
        named = [knowledge.thresholds[name] for name in line.placeholders if name in knowledge.thresholds]
        for language, figure in _unstated(line, line.cites, named, knowledge):
            what = f"`{figure.written}` in the line {_quoted(line, language)} stands in none of its statements."
            yield Finding("warning", where, what, "Cite what states it, or make it a threshold and print that.")
        if line.cites and _is_of_the_record(line, knowledge):
            what = f"the line {_quoted(line)} states only what is on the patient's record, but cites {line.cites[0]}."
            yield Finding("error", where, what, "Drop its `cites`; what the rule rests on stands in its `source`.")


def _summaries(knowledge: KnowledgeBase, rule: Rule) -> Iterator[Finding]:
    """A summary bears no cites of its own: it rests on the rule's, and on the limits by which the rule decides."""
    if rule.card is None:
        return
    where = knowledge.where[f"rule:{rule.id}"]
    cites = {*rule.source, *(cite for line in lines_of(rule) for cite in line.cites)}
    limits = {comparison[1] for c in conditions_of(rule) for leaf in leaves(c) if (comparison := leaf.comparison)}
    facts = facts_behind(knowledge, (leaf.fact for c in conditions_of(rule) for leaf in leaves(c) if leaf.fact))
    limits |= {name for fact in facts for name in thresholds_read_by(knowledge.facts[fact])}
    for summary in (rule.card.summary, *(variant.summary for variant in rule.variants if variant.summary)):
        decided = [knowledge.thresholds[name] for name in sorted(limits)]
        for language, figure in _unstated(summary, cites, decided, knowledge):
            what = f"`{figure.written}` in the summary {_quoted(summary, language)} stands in no source of the rule."
            yield Finding("warning", where, what, "Cite what states it, or leave the figure out.")


def _order(knowledge: KnowledgeBase, name: str, order: Order) -> Iterator[Finding]:
    """What an order says of doses and intervals, each regimen against its own source."""
    choices = [(choice, order.source) for choice in order.medicine or ()]
    choices += [(choice, regimen.source) for regimen in order.regimens.values() for choice in regimen.medicine]
    said: list[tuple[Text, list[str]]] = [(order.label, order.source)]
    if order.test:
        said += [(text, order.source) for text in (order.test.text, order.test.note) if text]
    for choice, source in choices:
        medicine = choice.medicine
        said += [(text, source) for text in (medicine.text, *(step.text for step in medicine.schedule))]
    for text, source in said:
        for language, figure in _unstated(text, source, [], knowledge):
            what = f"`{figure.written}` in the text {_quoted(text, language)} stands in none of its sources."
            yield Finding("warning", knowledge.where[f"order:{name}"], what, "Name the source that states it.")


def _limit(knowledge: KnowledgeBase, name: str, threshold: Threshold) -> Iterator[Finding]:
    """Of the shipped values; for its own ones a site has said who decided them."""
    note = threshold.note.by_language if threshold.note else {}
    words = {language: _say("convention", language) for language, row in LANGUAGES.items() if not row.partial}
    unmarked = [word for language, word in words.items() if word not in note.get(language, "").lower()]
    if not unmarked:
        return
    for value in (dated.value for dated in threshold.values if dated.decided is None):
        figure = limit_figure(value, threshold.unit)
        if not any(stated(figure, _words(knowledge, cite, FALLBACK)) for cite in threshold.source):
            missing = " and ".join(f"`{word}`" for word in unmarked)
            what = f"no source of {name} states {figure.written}, and its note does not say {missing}."
            do = "Cite what states the number, or say in the note that it is a convention of this service."
            yield Finding("warning", knowledge.where[f"threshold:{name}"], what, do)


def _unstated(
    text: Text, cites: Iterable[str], limits: Iterable[Threshold], knowledge: KnowledgeBase
) -> Iterator[tuple[Language, Figure]]:
    """The figures of a text that neither a cited statement nor a limit states, each in the language it stands in."""
    cites, values = list(cites), [limit_figure(dated.value, limit.unit) for limit in limits for dated in limit.values]
    for language, words in text.by_language.items():
        for figure in figures(_PLACEHOLDER.sub("{}", words)):
            if not any(figure.equals(value) for value in values) and not any(
                stated(figure, _words(knowledge, cite, language)) for cite in cites
            ):
                yield language, figure


def _words(knowledge: KnowledgeBase, cite: str, language: Language) -> str:
    """What a cited statement says; of an addition, which is its own statement, what its entry says."""
    if cite in knowledge.statements:
        return knowledge.statements[cite].text.in_language(language)
    source = knowledge.sources[cite]
    said = [source.title, source.short, *([source.note] if source.note else [])]
    return " ".join([*(text.in_language(language) for text in said), str(source.year)])


def _is_of_the_record(line: Line, knowledge: KnowledgeBase) -> bool:
    """Whether a line only tells what is on the patient's record, or that something is not; the English text decides."""
    plain = _PLACEHOLDER.sub(lambda found: "{fact}" if found[1] in knowledge.facts else "limit", line.en)
    sentences = [part.strip() for part in re.split(r"[.;](?:\s|$)", plain.replace("*", "")) if part.strip()]
    return all(
        _ABSENCE.match(sentence) or all(_NAMED_FACT.fullmatch(part) for part in sentence.split(", "))
        for sentence in sentences
    )


def _quoted(text: Text, language: Language = "en") -> str:
    words = text.in_language(language)
    return f'"{words if len(words) <= 60 else words[:59] + "…"}"'
