"""One rule or silence to its page: when it speaks, what it says, what it rests on and how it is proved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from cds_service.artifacts.evidence import Statement
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Line, Rule, SuggestionUse, Variant
from cds_service.artifacts.text import Summary, Text
from cds_service.artifacts.vocabulary import Condition
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.languages import FALLBACK, LANGUAGES, Language, LanguageRow
from cds_service.present.catalogue.page import (
    Block,
    Heading,
    Item,
    Page,
    PageLink,
    Paragraph,
    Row,
    Span,
    Spans,
    Table,
    Tree,
)
from cds_service.present.catalogue.phrases import Phrases, statement_link, switched
from cds_service.present.catalogue.suggestion_words import offers
from cds_service.present.catalogue.usage_index import facts_of
from cds_service.present.texts import foreign, has_words, language_names, plain, say, side_by_side, words
from cds_service.texts import Texts

_card_word = Texts("cards").get


def rule_page(knowledge: KnowledgeBase, rule: Rule, worked: Sequence[WorkedPatient], language: Language) -> Page:
    """The page of a rule.

    Args:
        worked: its worked patients, as they stand beside the rule.
    """
    return _Writer(knowledge, rule, language).page(worked)


class _Writer:
    def __init__(self, knowledge: KnowledgeBase, rule: Rule, language: Language) -> None:
        self.knowledge = knowledge
        self.rule = rule
        self.language = language
        self.topic = knowledge.topics[knowledge.topic_of[rule.id]]
        self.phrases = Phrases(knowledge, language)

    def page(self, worked: Sequence[WorkedPatient]) -> Page:
        sections = [self._glance(), self._when()]
        if self.rule.variants:
            sections.append(self._variants())
        if self.rule.card:
            sections += [self._card(), self._suggestions(), self._reasons()]
        sections += [self._wrong(), self._basis(), self._facts(), self._worked(worked), self._responsible()]
        title = self.rule.title.in_language(self.language)
        blocks = tuple(block for section in sections for block in section)
        return Page(self.rule.id, self.language, title, blocks)

    # --- when it speaks --------------------------------------------------------------------------------------------

    def _glance(self) -> Iterator[Block]:
        rule, silence = self.rule, self.rule.kind == "silence"
        yield Paragraph(
            (
                self._word("silence" if silence else "rule"),
                Span(" "),
                Span(rule.id, look="code"),
                self._word("comma"),
                self._word("rule_version", version=rule.version),
            )
        )
        if silence:
            yield Paragraph((self._word("silence_note"),))
        yield self._heading("at_a_glance")
        rows: list[tuple[str, Spans]] = [
            ("topic", (plain(self.topic.title, self.language),)),
            ("why", (plain(rule.why, self.language),)),
            ("hooks", (Span(self._listed(self._say(hook) for hook in rule.hooks)),)),
        ]
        if rule.card:
            rows.append(("severity", self._severities()))
            rows.append(("priority", (Span(str(rule.priority)),)))
        rows.append(("default", (switched(rule, self.language),)))
        rows.append(("status", (self._word("active_status" if rule.status == "active" else rule.status),)))
        others = self.knowledge.rules.values()
        for key, ids in (
            ("silenced_by", rule.silenced_by),
            ("silences", [other.id for other in others if rule.id in other.silenced_by]),
            ("explains", rule.explains),
            ("explained_by", [other.id for other in others if rule.id in other.explains]),
        ):
            if ids or (key == "silenced_by" and not silence):
                rows.append((key, self._rules(ids)))
        yield self._pairs("at_a_glance", rows)

    def _severities(self) -> Spans:
        assert self.rule.card is not None
        spans: list[Span] = [Span(self._say(self.rule.card.indicator), look="strong")]
        for variant in self.rule.variants:
            if variant.indicator and variant.indicator != self.rule.card.indicator:
                spans += [
                    self._word("semicolon"),
                    Span(f"{variant.id}{self._say('colon')}{self._say(variant.indicator)}"),
                ]
        return tuple(spans)

    def _when(self) -> Iterator[Block]:
        silence = self.rule.kind == "silence"
        yield self._heading("when_silent" if silence else "when", "when")
        yield Paragraph((self._word("unknown_note"),))
        items = [
            self._branch("first", self.topic.applies),
            self._branch("then_silent" if silence else "then", self.rule.when),
        ]
        if self.rule.unless:
            items.append(self._branch("unless", self.rule.unless))
        if self.topic.no_info_when and self._may_inform():
            items.append(self._branch("no_info_when", self.topic.no_info_when))
        yield Tree(tuple(items))

    def _may_inform(self) -> bool:
        levels = [self.rule.card.indicator] if self.rule.card else []
        return "info" in [*levels, *(variant.indicator for variant in self.rule.variants)]

    def _branch(self, key: str, condition: Condition) -> Item:
        return self.phrases.under((Span(self._say(key), look="strong"), self._word("colon")), condition)

    def _variants(self) -> Iterator[Block]:
        yield self._heading("variants")
        yield Paragraph((self._word("variants_note"),))
        yield Tree(
            tuple(
                self.phrases.under(
                    (
                        Span(variant.id, look="code"),
                        self._word("comma"),
                        self._word(variant.indicator or (self.rule.card.indicator if self.rule.card else "none")),
                        self._word("comma"),
                        self._word("applies_if"),
                        self._word("colon"),
                    ),
                    variant.when,
                    f"variant-{variant.id}",
                )
                for variant in self.rule.variants
            )
        )

    # --- what it says ----------------------------------------------------------------------------------------------

    def _card(self) -> Iterator[Block]:
        assert self.rule.card is not None
        yield self._heading("card")
        yield Paragraph((self._word("card_note"),))
        yield self._said(self._say("card"), self.rule.card.summary, self.rule.card.detail, "line")
        for variant in self.rule.variants:
            if variant.summary is not None or variant.detail is not None:
                name = self._say("card_of_variant", variant=variant.id)
                yield Heading(name, 3, f"card-{variant.id}")
                yield self._said(name, variant.summary, variant.detail or (), f"variant-{variant.id}-line")

    def _said(self, caption: str, summary: Summary | None, lines: Sequence[Line], anchor: str) -> Table:
        """The words of a card, one language beside the other."""
        rows = []
        if summary is not None:
            rows.append(
                Row(((self._word("summary"),), *side_by_side(summary, self.language), (self._word("always"),), ()))
            )
        for number, line in enumerate(lines, start=1):
            rows.append(
                Row(
                    (
                        (self._part(line), self._word("comma"), self._word("line", number=number)),
                        *(self.phrases.card_line(line, code) for code in LANGUAGES),
                        self.phrases.inline(line.when) if line.when else (self._word("always"),),
                        self.phrases.cites(line.cites),
                    ),
                    f"{anchor}-{number}",
                )
            )
        return self._table(caption, ("part", LANGUAGES, "shown_if", "sources"), rows)

    def _suggestions(self) -> Iterator[Block]:
        assert self.rule.card is not None
        yield self._heading("suggestions")
        uses: list[tuple[Variant | None, Sequence[SuggestionUse]]] = [(None, self.rule.card.suggestions)]
        uses += [(v, v.suggestions) for v in self.rule.variants if v.suggestions is not None]
        if not any(given for _, given in uses):
            yield Paragraph((self._word("no_suggestions"),))
            return
        yield Paragraph((self._word("suggestions_note"),))
        for variant, given in uses:
            if variant is not None:
                name = self._say("suggestions_of_variant", variant=variant.id)
                yield Heading(name, 3, f"suggestions-{variant.id}")
            items = offers(self.knowledge, self.phrases, given, self.language)
            yield Tree(items) if items else Paragraph((self._word("no_suggestions"),))

    def _reasons(self) -> Iterator[Block]:
        assert self.rule.card is not None
        yield self._heading("override_reasons")
        yield Tree(
            tuple(
                Item(
                    (plain(self.knowledge.override_reasons[one].text, self.language), Span(" "), Span(one, look="code"))
                )
                for one in (*self.rule.card.override_reasons, *self.topic.override_reasons)
            )
        )

    # --- what it rests on ------------------------------------------------------------------------------------------

    def _wrong(self) -> Iterator[Block]:
        yield self._heading("known_wrong")
        yield Paragraph((plain(self.rule.known_wrong, self.language),))

    def _basis(self) -> Iterator[Block]:
        yield self._heading("basis")
        rows = []
        for cite in self.rule.source:
            source = self.knowledge.source_of(cite)
            statement = self.knowledge.statements.get(cite)
            text: Text = statement.text if statement else source.title
            rows.append(
                Row(
                    (
                        (statement_link(cite),),
                        *side_by_side(text, self.language),
                        self.phrases.document(source),
                        (Span(str(source.tier)),),
                        self._disposed(statement),
                    )
                )
            )
        head = ("statement", LANGUAGES, "sources", "tier", "disposition")
        yield self._table(self._say("basis"), head, rows)

    def _disposed(self, statement: Statement | None) -> Spans:
        if statement is None:
            return (self._word("addition"),)
        spans = [Span(self._listed(self._say(f"disposed_{one}") for one in statement.disposition))]
        if statement.because:
            spans += [self._word("colon"), plain(statement.because, self.language)]
        return tuple(spans)

    def _facts(self) -> Iterator[Block]:
        yield self._heading("facts")
        yield Paragraph((self._word("facts_note"),))
        yield Tree(tuple(self.phrases.fact(name) for name in facts_of(self.knowledge, self.rule)))

    # --- how it is proved, and by whom -----------------------------------------------------------------------------

    def _worked(self, worked: Sequence[WorkedPatient]) -> Iterator[Block]:
        yield self._heading("worked")
        yield Paragraph((self._word("worked_note"),))
        rows = [
            Row(((plain(one.name, self.language), Span(" "), Span(one.id, look="small")), self._expected(one)))
            for one in worked
        ]
        yield self._table(self._say("worked"), ("patient", "expected"), rows)

    def _expected(self, patient: WorkedPatient) -> Spans:
        said: list[Spans] = []
        for rule, expected in patient.expect.items():
            words_ = [*self._rules([rule]), self._word("colon"), self._word(expected.severity)]
            for key, orders in (("suggests", expected.suggest), ("not_suggests", expected.forbid)):
                if orders:
                    words_ += [
                        self._word("comma"),
                        Span(self._say(key, orders=self._listed(self._label(o) for o in orders))),
                    ]
            said.append(tuple(words_))
        if not patient.expect:
            said.append((self._word("no_card"),))
        for key, rules in (("stays_silent", patient.silent), ("cannot_tell", list(patient.undecided))):
            if rules:
                said.append((Span(self._say(key, rules=self._listed(self._title(rule) for rule in rules))),))
        if patient.enable:
            said.append((Span(self._say("with_enabled", rules=self._listed(self._title(r) for r in patient.enable))),))
        return tuple(
            span for index, part in enumerate(said) for span in ((self._word("semicolon"), *part) if index else part)
        )

    def _responsible(self) -> Iterator[Block]:
        rule, attributes = self.rule, self.topic.attributes
        yield self._heading("responsible")
        uses = self._listed(self._say(f"uses_{u}") if has_words(f"uses_{u}") else u for u in attributes.uses)
        rows: list[tuple[str, Spans]] = [
            ("author", (self._english(rule.author),)),
            ("checked_by", (Span(rule.checked_by),) if rule.checked_by else (self._word("not_checked"),)),
            ("reviewed", (Span(rule.reviewed),) if rule.reviewed else (self._word("not_checked"),)),
            ("next_review", (Span(rule.next_review),)),
            ("owner", (self._english(self.topic.owner),)),
            ("scope", (plain(self.topic.scope, self.language),)),
        ]
        if change := self.knowledge.site_changes.get(f"rule:{rule.id}"):
            rows.append(("site_change", (Span(change.decided),)))
        yield self._pairs("responsible", rows)
        yield Paragraph((self._word("hti_note"),))
        yield self._pairs(
            "hti_note",
            [
                ("citation", self.phrases.cites(rule.source)),
                ("developer", (self._english(attributes.developer),)),
                ("funding", (self._english(attributes.funding),)),
                ("version", (Span(rule.version),)),
                ("data_used", (Span(uses),)),
            ],
        )

    # --- small parts -----------------------------------------------------------------------------------------------

    def _say(self, key: str, **values: object) -> str:
        return say(key, self.language, **values)

    def _part(self, line: Line) -> Span:
        return Span(_card_word(line.part, self.language))

    def _word(self, key: str, **values: object) -> Span:
        return words(key, self.language, **values)

    def _english(self, text: str) -> Span:
        """Words that the knowledge holds in English only."""
        return foreign(text, FALLBACK, self.language)

    def _heading(self, key: str, anchor: str = "") -> Heading:
        return Heading(self._say(key), 2, (anchor or key).replace("_", "-"))

    def _listed(self, parts: Iterable[str]) -> str:
        return self._say("listing").join(parts)

    def _title(self, rule: str) -> str:
        return self.knowledge.rules[rule].title.in_language(self.language)

    def _label(self, order: str) -> str:
        return self.knowledge.orders[order].label.in_language(self.language)

    def _rules(self, ids: Sequence[str]) -> Spans:
        spans: list[Span] = []
        for one in ids:
            spans += [self._word("semicolon")] if spans else []
            spans.append(Span(self._title(one), to=PageLink(one)))
        return tuple(spans) or (self._word("none"),)

    def _table(self, caption: str, head: Sequence[str | Mapping[str, LanguageRow]], rows: Sequence[Row]) -> Table:
        """Args: head: the key of each column; LANGUAGES for one column per language."""
        heads = [(self._say(key),) if isinstance(key, str) else language_names(self.language) for key in head]
        return Table(caption, tuple(chain.from_iterable(heads)), tuple(rows))

    def _pairs(self, caption: str, rows: Iterable[tuple[str, Spans]]) -> Table:
        return self._table(
            self._say(caption), ("attribute", "content"), [Row(((self._word(key),), value)) for key, value in rows]
        )
