"""The small parts of a rule's page: words, headings, lists and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Rule
from cds_service.languages import FALLBACK, Language, LanguageRow
from cds_service.present.catalogue.page import Heading, PageLink, Row, Span, Spans, Table
from cds_service.present.catalogue.phrases import Phrases
from cds_service.present.texts import foreign, language_names, say, words


class RulePageParts:
    """What the sections of a rule's page are put together from, in the language of the page."""

    def __init__(self, knowledge: KnowledgeBase, rule: Rule, language: Language) -> None:
        self.knowledge = knowledge
        self.rule = rule
        self.language = language
        self.topic = knowledge.topics[knowledge.topic_of[rule.id]]
        self.phrases = Phrases(knowledge, language)

    def say(self, key: str, **values: object) -> str:
        return say(key, self.language, **values)

    def word(self, key: str, **values: object) -> Span:
        return words(key, self.language, **values)

    def english(self, text: str) -> Span:
        """Words that the knowledge holds in English only."""
        return foreign(text, FALLBACK, self.language)

    def heading(self, key: str, anchor: str = "") -> Heading:
        return Heading(self.say(key), 2, (anchor or key).replace("_", "-"))

    def listed(self, parts: Iterable[str]) -> str:
        return self.say("listing").join(parts)

    def title(self, rule: str) -> str:
        return self.knowledge.rules[rule].title.in_language(self.language)

    def label(self, order: str) -> str:
        return self.knowledge.orders[order].label.in_language(self.language)

    def rules(self, ids: Sequence[str]) -> Spans:
        spans: list[Span] = []
        for one in ids:
            spans += [self.word("semicolon")] if spans else []
            spans.append(Span(self.title(one), to=PageLink(one)))
        return tuple(spans) or (self.word("none"),)

    def table(self, caption: str, head: Sequence[str | Mapping[str, LanguageRow]], rows: Sequence[Row]) -> Table:
        """Args: head: the key of each column; LANGUAGES for one column per language."""
        heads = [(self.say(key),) if isinstance(key, str) else language_names(self.language) for key in head]
        return Table(caption, tuple(chain.from_iterable(heads)), tuple(rows))

    def pairs(self, caption: str, rows: Iterable[tuple[str, Spans]]) -> Table:
        return self.table(
            self.say(caption), ("attribute", "content"), [Row(((self.word(key),), value)) for key, value in rows]
        )
