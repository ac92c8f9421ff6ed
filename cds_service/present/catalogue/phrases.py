"""Conditions and facts to plain language: what a rule asks of a patient, as a clinician would say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from babel.dates import format_date

from cds_service.artifacts.evidence import Source, Threshold
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Line, Rule
from cds_service.artifacts.vocabulary import Condition, FactDefinition
from cds_service.hooks.cards.texts import quantity
from cds_service.languages import FALLBACK, LANGUAGES, Language
from cds_service.present.catalogue.page import HERE, Item, PageLink, Span, Spans
from cds_service.present.catalogue.usage_index import details_of
from cds_service.present.texts import foreign, say
from cds_service.quantity import point


class Phrases:
    """Plain words for the conditions and facts of a knowledge base, in one language."""

    def __init__(self, knowledge: KnowledgeBase, language: Language) -> None:
        self._knowledge = knowledge
        self._language = language

    # --- conditions ------------------------------------------------------------------------------------------------

    def tree(self, condition: Condition) -> Item:
        """A condition as an indented tree; every fact leads to its explanation on the same page."""
        for word, parts in (("all", condition.all), ("any", condition.any)):
            if parts is not None:
                return Item((self._words(word), self._words("colon")), tuple(self.tree(part) for part in parts))
        if condition.not_ is not None:
            return Item((self._words("not"), self._words("colon")), (self.tree(condition.not_),))
        return Item(self._leaf(condition, in_full=True))

    def under(self, head: Spans, condition: Condition, anchor: str = "") -> Item:
        """A condition below a few words; the words that join its parts stand on the same line."""
        tree = self.tree(condition)
        if tree.children:
            return Item((*head, *tree.spans), tree.children, anchor)
        return Item(head, (tree,), anchor)

    def inline(self, condition: Condition) -> Spans:
        """A condition in one line, for the cell of a table."""
        for word, parts in (("and", condition.all), ("or", condition.any)):
            if parts is not None:
                return self._joined([self._nested(part) for part in parts], self._words(word))
        if condition.not_ is not None:
            return (self._words("inline_not"), Span(" ("), *self.inline(condition.not_), Span(")"))
        return self._leaf(condition, in_full=False)

    def _nested(self, condition: Condition) -> Spans:
        inner = self.inline(condition)
        return (Span("("), *inner, Span(")")) if condition.all or condition.any else inner

    def _leaf(self, condition: Condition, *, in_full: bool) -> Spans:
        fact = condition.fact or ""
        label = (self.fact_name(fact), self._words("colon"))
        if condition.comparison is not None:
            word, name = condition.comparison
            limit = Span(say(word, self._language, limit=self.limit(name)), look="strong")
            return (*label, limit, *(self._limit_origin(name) if in_full else ()))
        if condition.known is not None:
            return (*label, Span(self._say("known" if condition.known else "unknown"), look="strong"))
        if condition.may_be is not None:
            return (*label, Span(self._say("may be yes" if condition.may_be else "may be no"), look="strong"))
        wanted = condition.is_
        if isinstance(wanted, bool):
            return (*label, Span(self._say("yes" if wanted else "no"), look="strong"))
        value = self._knowledge.value_of(fact, wanted or "").in_language(self._language)
        return (*label, Span(value, look="strong"))

    def _limit_origin(self, name: str) -> Spans:
        """Which limit it is, since when it is valid and what it rests on."""
        threshold = self._knowledge.thresholds[name]
        return (
            self._words("opening"),
            self._words("threshold"),
            self._words("colon"),
            Span(threshold.label.in_language(self._language), to=PageLink("thresholds", name)),
            self._words("comma"),
            Span(say("semicolon", self._language).join(self.values(threshold))),
            self._words("semicolon"),
            *self.cites(threshold.source, short=True),
            self._words("closing"),
        )

    # --- facts -----------------------------------------------------------------------------------------------------

    def fact_name(self, name: str) -> Span:
        return Span(self._knowledge.facts[name].label.in_language(self._language), to=PageLink(HERE, f"fact-{name}"))

    def fact(self, name: str) -> Item:
        """A fact with where it is taken from; a named condition with its tree."""
        definition = self._knowledge.facts[name]
        head: Spans = (
            Span(definition.label.in_language(self._language), look="strong"),
            Span(" "),
            Span(name, look="code"),
            self._words("colon"),
        )
        children: tuple[Item, ...] = ()
        said: Spans
        match definition.origin:
            case "when":
                if definition.perhaps:
                    head = (*head, self._words("perhaps"), self._words("colon"))
                return self.under(head, cast(Condition, definition.when), f"fact-{name}")
            case "count":
                said = (self._words("count"), self._words("colon"))
                children = tuple(Item((self.fact_name(part),)) for part in definition.count or ())
            case "patient":
                said = (self._phrase(definition.patient or ""),)
            case _:
                said = self._taken_from(definition)
        details = details_of(self._knowledge, name)
        explained = tuple(Item(self._with_limits(text.in_language(self._language))) for text in details)
        return Item((*head, *said), (*children, *explained), f"fact-{name}")

    def _with_limits(self, words: str) -> Spans:
        """Words with each {threshold} as its value, leading to the register."""
        return tuple(
            Span(self.limit(part), to=PageLink("thresholds", part)) if odd else Span(part)
            for odd, part in _split(words)
            if part
        )

    def _taken_from(self, definition: FactDefinition) -> Spans:
        performed = any(self._knowledge.value_sets[one].performed for one in definition.condition or ())
        plainly = performed and definition.take is None
        word = "condition_or_procedure" if plainly else definition.take or definition.origin
        said = say(word, self._language, what="\0") if plainly else self._computed(word).format("\0")
        parts: list[Spans] = [filled(said, self._value_sets(definition.condition or definition.value_sets))]
        if definition.state:
            parts.append((self._phrase(definition.state),))
        if definition.route:
            routes = say("listing", self._language).join(self._say(route) for route in definition.route)
            parts.append((Span(say("route", self._language, routes=routes)),))
        if definition.dose:
            parts.append((self._words(f"dose_{definition.dose}"),))
        if definition.before:
            window = say("change_before", self._language, window=self.limit(definition.within or ""), fact="\0")
            parts.append(filled(window, (self.fact_name(definition.before),)))
        elif definition.within:
            key = "within_or_undated" if definition.condition else "within"
            parts.append((Span(say(key, self._language, window=self.limit(definition.within))),))
        if definition.since:
            parts.append(self._window(definition))
        if definition.with_taken:
            parts.append((self._words("with_taken"),))
        for filtered in definition.except_:
            parts.append((Span(say("except", self._language, what=self._computed(filtered))),))
        if definition.only:
            parts.append((Span(say("only", self._language, what=self._computed(definition.only))),))
        if definition.without:
            parts.append(filled(say("without", self._language, what="\0"), self._value_sets(definition.without)))
        parts += [(self._words(word),) for word in ("unconfirmed", "severe") if getattr(definition, word)]
        if definition.condition and any(self._knowledge.value_sets[one].lifelong for one in definition.condition):
            parts.append((self._words("lifelong"),))
        return self._joined(parts, self._words("semicolon"))

    def _window(self, definition: FactDefinition) -> Spans:
        assert definition.since is not None
        since = definition.since
        key = "opens_after" if since.days > 0 else "opens_before" if since.days < 0 else "opens_on"
        opens = filled(say(key, self._language, days=abs(since.days), fact="\0"), (self.fact_name(since.fact),))
        if since.to is None:
            return opens
        closes = say("closes_after" if since.to >= 0 else "closes_before", self._language, days=abs(since.to))
        return (*opens, self._words("comma"), Span(closes))

    def _value_sets(self, ids: Iterable[str]) -> Spans:
        sets = self._knowledge.value_sets
        return self._joined(
            [(Span(sets[one].title.in_language(self._language), to=PageLink("value-sets", one)),) for one in ids],
            self._words("listing"),
        )

    # --- numbers, days, sources ------------------------------------------------------------------------------------

    def limit(self, name: str) -> str:
        """The newest value of a threshold with its unit, worded as on a card."""
        threshold = self._knowledge.thresholds[name]
        return self.amount(max(threshold.values, key=lambda dated: dated.since).value, threshold.unit)

    def values(self, threshold: Threshold) -> list[str]:
        """Every value of a threshold, newest first, with its first day and, if it is a site's own, who decided it."""
        newest_first = sorted(threshold.values, key=lambda dated: dated.since, reverse=True)
        return [
            say("valid", self._language, amount=self.amount(dated.value, threshold.unit), day=self.day(dated.since))
            + (say("comma", self._language) + dated.decided if dated.decided else "")
            for dated in newest_first
        ]

    def amount(self, value: float, unit: str) -> str:
        return quantity(point(value), unit, self._language)

    def unit(self, code: str) -> str:
        """A UCUM unit as people write it."""
        return self.amount(1, code).partition(" ")[2]

    def day(self, when: date) -> str:
        return str(format_date(when, "medium", LANGUAGES[self._language].locale))

    def cites(self, ids: Sequence[str], *, short: bool = False) -> Spans:
        """The documents behind these statements, each with its statement ids.

        Args:
            short: name a document as cards do, instead of by title, author and year.
        """
        by_source: dict[str, list[str]] = {}
        for cite in ids:
            by_source.setdefault(self._knowledge.source_of(cite).id, []).append(cite)
        return self._joined(
            [self._document(source, mine, short) for source, mine in by_source.items()], self._words("semicolon")
        )

    def _document(self, source_id: str, ids: Sequence[str], short: bool) -> Spans:
        source = self._knowledge.sources[source_id]
        spans = [Span(source.short.in_language(self._language))] if short else [*self._title(source)]
        for cite in ids:
            spans += [Span(" "), statement_link(cite)]
        return tuple(spans)

    def document(self, source: Source) -> Spans:
        """Title, author and year, leading to the register of sources."""
        title, *rest = self._title(source)
        return (Span(title.text, to=PageLink("sources", source.id)), *rest)

    def _title(self, source: Source) -> Spans:
        year = Span(f"{say('comma', self._language)}{source.year}")
        title = Span(source.title.in_language(self._language))
        return (title, self._words("opening"), self.author(source), year, self._words("closing"))

    def author(self, source: Source) -> Span:
        """The author as the document names them, which is not translated."""
        if source.author == "not stated":
            return self._words("author_not_stated")
        return foreign(source.author, FALLBACK, self._language)

    # --- card text -------------------------------------------------------------------------------------------------

    def card_line(self, line: Line, language: Language) -> Spans:
        """One line of a card in any language: limits filled in, facts named; nothing where it lacks the language."""
        if language not in line.by_language:
            return ()
        other = None if language == self._language else language
        mine = self if other is None else Phrases(self._knowledge, language)
        spans: list[Span] = []
        for depth, bold in enumerate(line.in_language(language).split("**")):
            for odd, part in _split(bold):
                if not part:
                    continue
                if odd and part in self._knowledge.thresholds and part not in self._knowledge.facts:
                    spans.append(Span(mine.limit(part), other, PageLink("thresholds", part)))
                elif odd:
                    label = self._knowledge.facts[part].label.in_language(language)
                    spans.append(Span(f"‹{label}›", other, PageLink(HERE, f"fact-{part}"), "slot"))
                else:
                    # Knowledge writes **emphasis** in pairs, so every second piece is emphasised.
                    spans.append(Span(part, other, look="strong" if depth % 2 else "plain"))
        return tuple(spans)

    def _words(self, key: str) -> Span:
        return Span(say(key, self._language))

    def _computed(self, word: str) -> str:
        """A word of a fact that is computed, as part of a sentence."""
        return self._knowledge.computed[word].phrase.in_language(self._language)

    def _phrase(self, word: str) -> Span:
        return Span(self._computed(word))

    def _say(self, key: str) -> str:
        return say(key, self._language)

    def _joined(self, parts: Sequence[Spans], between: Span) -> Spans:
        spans: list[Span] = []
        for index, part in enumerate(parts):
            spans += [between, *part] if index else part
        return tuple(spans)


def switched(rule: Rule, language: Language) -> Span:
    """Whether a rule is on; a site may have it judged without its card being shown."""
    return Span(say("silent_mode" if rule.enabled and rule.silent else "yes" if rule.enabled else "no", language))


def statement_link(cite: str) -> Span:
    """A statement id that leads to the register; an addition (G01) is its own statement and stands with the sources."""
    return Span(cite, to=PageLink("statements" if "-" in cite else "sources", cite), look="small")


def filled(words: str, inner: Spans) -> Spans:
    """Words with a gap (a NUL) filled with spans."""
    before, _, after = words.partition("\0")
    return tuple(span for span in (Span(before), *inner, Span(after)) if span.text)


def _split(text: str) -> list[tuple[bool, str]]:
    """Pieces of a card's line: (is a placeholder, text or name)."""
    pieces: list[tuple[bool, str]] = []
    for index, part in enumerate(text.split("{")):
        name, closed, rest = part.partition("}")
        pieces += [(True, name), (False, rest)] if index and closed else [(False, part)]
    return pieces
