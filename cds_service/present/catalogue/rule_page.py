"""One rule or silence to its page: when it speaks, what it says, what it rests on and how it is proved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cds_service.artifacts.evidence import Source, Statement
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Line, Rule, SuggestionUse, Variant
from cds_service.artifacts.text import Summary, Text
from cds_service.artifacts.vocabulary import Condition
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.languages import LANGUAGES, Language
from cds_service.present.catalogue.page import (
    Block,
    Heading,
    Item,
    Page,
    Paragraph,
    Row,
    Span,
    Spans,
    Table,
    Tree,
)
from cds_service.present.catalogue.phrases import statement_link, switched
from cds_service.present.catalogue.rule_page_parts import RulePageParts
from cds_service.present.catalogue.suggestion_words import offers
from cds_service.present.catalogue.usage_index import facts_of
from cds_service.present.texts import has_words, plain, side_by_side
from cds_service.texts import Texts

_card_word = Texts("cards").get


def rule_page(knowledge: KnowledgeBase, rule: Rule, worked: Sequence[WorkedPatient], language: Language) -> Page:
    """The page of a rule.

    Args:
        worked: its worked patients, as they stand beside the rule.
    """
    return _Writer(knowledge, rule, language).page(worked)


class _Writer(RulePageParts):
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
                self.word("silence" if silence else "rule"),
                Span(" "),
                Span(rule.id, look="code"),
                self.word("comma"),
                self.word("rule_version", version=rule.version),
            )
        )
        if silence:
            yield Paragraph((self.word("silence_note"),))
        yield self.heading("at_a_glance")
        rows: list[tuple[str, Spans]] = [
            ("topic", (plain(self.topic.title, self.language),)),
            ("why", (plain(rule.why, self.language),)),
            ("hooks", (Span(self.listed(self.say(hook) for hook in rule.hooks)),)),
        ]
        if rule.card:
            rows.append(("severity", self._severities()))
            rows.append(("priority", (Span(str(rule.priority)),)))
        rows.append(("default", (switched(rule, self.language),)))
        rows.append(("status", (self.word("active_status" if rule.status == "active" else rule.status),)))
        others = self.knowledge.rules.values()
        for key, ids in (
            ("silenced_by", rule.silenced_by),
            ("silences", [other.id for other in others if rule.id in other.silenced_by]),
            ("explains", rule.explains),
            ("explained_by", [other.id for other in others if rule.id in other.explains]),
        ):
            if ids or (key == "silenced_by" and not silence):
                rows.append((key, self.rules(ids)))
        yield self.pairs("at_a_glance", rows)

    def _severities(self) -> Spans:
        assert self.rule.card is not None
        spans: list[Span] = [Span(self.say(self.rule.card.indicator), look="strong")]
        for variant in self.rule.variants:
            if variant.indicator and variant.indicator != self.rule.card.indicator:
                spans += [
                    self.word("semicolon"),
                    Span(f"{variant.id}{self.say('colon')}{self.say(variant.indicator)}"),
                ]
        return tuple(spans)

    def _when(self) -> Iterator[Block]:
        silence = self.rule.kind == "silence"
        yield self.heading("when_silent" if silence else "when", "when")
        yield Paragraph((self.word("unknown_note"),))
        items = [
            self._branch("first", self.knowledge.scope_of(self.rule.id)),
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
        return self.phrases.under((Span(self.say(key), look="strong"), self.word("colon")), condition)

    def _variants(self) -> Iterator[Block]:
        yield self.heading("variants")
        yield Paragraph((self.word("variants_note"),))
        yield Tree(
            tuple(
                self.phrases.under(
                    (
                        Span(variant.id, look="code"),
                        self.word("comma"),
                        self.word(variant.indicator or (self.rule.card.indicator if self.rule.card else "none")),
                        self.word("comma"),
                        self.word("applies_if"),
                        self.word("colon"),
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
        yield self.heading("card")
        yield Paragraph((self.word("card_note"),))
        yield self._said(self.say("card"), self.rule.card.summary, self.rule.card.detail, "line")
        for variant in self.rule.variants:
            if variant.summary is not None or variant.detail is not None:
                name = self.say("card_of_variant", variant=variant.id)
                yield Heading(name, 3, f"card-{variant.id}")
                yield self._said(name, variant.summary, variant.detail or (), f"variant-{variant.id}-line")

    def _said(self, caption: str, summary: Summary | None, lines: Sequence[Line], anchor: str) -> Table:
        """The words of a card, one language beside the other."""
        rows = []
        if summary is not None:
            rows.append(
                Row(((self.word("summary"),), *side_by_side(summary, self.language), (self.word("always"),), ()))
            )
        for number, line in enumerate(lines, start=1):
            rows.append(
                Row(
                    (
                        (
                            Span(_card_word(line.part, self.language)),
                            self.word("comma"),
                            self.word("line", number=number),
                        ),
                        *(self.phrases.card_line(line, code) for code in LANGUAGES),
                        self.phrases.inline(line.when) if line.when else (self.word("always"),),
                        self.phrases.cites(line.cites),
                    ),
                    f"{anchor}-{number}",
                )
            )
        return self.table(caption, ("part", LANGUAGES, "shown_if", "sources"), rows)

    def _suggestions(self) -> Iterator[Block]:
        assert self.rule.card is not None
        yield self.heading("suggestions")
        uses: list[tuple[Variant | None, Sequence[SuggestionUse]]] = [(None, self.rule.card.suggestions)]
        uses += [(v, v.suggestions) for v in self.rule.variants if v.suggestions is not None]
        if not any(given for _, given in uses):
            yield Paragraph((self.word("no_suggestions"),))
            return
        yield Paragraph((self.word("suggestions_note"),))
        for variant, given in uses:
            if variant is not None:
                name = self.say("suggestions_of_variant", variant=variant.id)
                yield Heading(name, 3, f"suggestions-{variant.id}")
            items = offers(self.knowledge, self.phrases, given, self.language)
            yield Tree(items) if items else Paragraph((self.word("no_suggestions"),))

    def _reasons(self) -> Iterator[Block]:
        assert self.rule.card is not None
        yield self.heading("override_reasons")
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
        yield self.heading("known_wrong")
        yield Paragraph((plain(self.rule.known_wrong, self.language),))

    def _basis(self) -> Iterator[Block]:
        yield self.heading("basis")
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
                        self._disposed(statement) if statement else self._addition(source),
                    )
                )
            )
        head = ("statement", LANGUAGES, "sources", "tier", "disposition")
        yield self.table(self.say("basis"), head, rows)

    def _addition(self, source: Source) -> Spans:
        """That it is one, and what of it was read."""
        read = (self.word("colon"), plain(source.note, self.language)) if source.note else ()
        return (self.word("addition"), *read)

    def _disposed(self, statement: Statement) -> Spans:
        spans = [Span(self.listed(self.say(f"disposed_{one}") for one in statement.disposition))]
        if statement.because:
            spans += [self.word("colon"), plain(statement.because, self.language)]
        return tuple(spans)

    def _facts(self) -> Iterator[Block]:
        yield self.heading("facts")
        yield Paragraph((self.word("facts_note"),))
        yield Tree(tuple(self.phrases.fact(name) for name in facts_of(self.knowledge, self.rule)))

    # --- how it is proved, and by whom -----------------------------------------------------------------------------

    def _worked(self, worked: Sequence[WorkedPatient]) -> Iterator[Block]:
        yield self.heading("worked")
        yield Paragraph((self.word("worked_note"),))
        rows = [
            Row(((plain(one.name, self.language), Span(" "), Span(one.id, look="small")), self._expected(one)))
            for one in worked
        ]
        yield self.table(self.say("worked"), ("patient", "expected"), rows)

    def _expected(self, patient: WorkedPatient) -> Spans:
        said: list[Spans] = []
        for rule, expected in patient.expect.items():
            words_ = [*self.rules([rule]), self.word("colon"), self.word(expected.severity)]
            for key, orders in (("suggests", expected.suggest), ("not_suggests", expected.forbid)):
                if orders:
                    words_ += [
                        self.word("comma"),
                        Span(self.say(key, orders=self.listed(self.label(o) for o in orders))),
                    ]
            said.append(tuple(words_))
        if not patient.expect:
            said.append((self.word("no_card"),))
        for key, rules in (("stays_silent", patient.silent), ("cannot_tell", list(patient.undecided))):
            if rules:
                said.append((Span(self.say(key, rules=self.listed(self.title(rule) for rule in rules))),))
        if patient.enable:
            said.append((Span(self.say("with_enabled", rules=self.listed(self.title(r) for r in patient.enable))),))
        return tuple(
            span for index, part in enumerate(said) for span in ((self.word("semicolon"), *part) if index else part)
        )

    def _responsible(self) -> Iterator[Block]:
        rule, attributes = self.rule, self.topic.attributes
        yield self.heading("responsible")
        uses = self.listed(self.say(f"uses_{u}") if has_words(f"uses_{u}") else u for u in attributes.uses)
        rows: list[tuple[str, Spans]] = [
            ("author", (self.english(rule.author),)),
            ("checked_by", (Span(rule.checked_by),) if rule.checked_by else (self.word("not_checked"),)),
            ("reviewed", (Span(rule.reviewed),) if rule.reviewed else (self.word("not_checked"),)),
            ("next_review", (Span(rule.next_review),)),
            ("owner", (self.english(self.topic.owner),)),
            ("scope", (plain(self.topic.scope, self.language),)),
        ]
        if change := self.knowledge.site_changes.get(f"rule:{rule.id}"):
            rows.append(("site_change", (Span(change.decided),)))
        yield self.pairs("responsible", rows)
        yield Paragraph((self.word("hti_note"),))
        yield self.pairs(
            "hti_note",
            [
                ("citation", self.phrases.cites(rule.source)),
                ("developer", (self.english(attributes.developer),)),
                ("funding", (self.english(attributes.funding),)),
                ("version", (Span(rule.version),)),
                ("data_used", (Span(uses),)),
            ],
        )
