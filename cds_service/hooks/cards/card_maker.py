"""Decisions to CDS Hooks cards: ranked, without repetition, in the language of the reader."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from cds_service.artifacts.evidence import Source
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import PARTS, Line, Part, Rule, SuggestionUse, Variant
from cds_service.facts.fact import Evidence, FactTable
from cds_service.fhir.reference import leads_somewhere
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.hooks.cards.suggestions import NewId, Offer, Suggestion, make_offer, suggest
from cds_service.hooks.cards.texts import Wording, neutral
from cds_service.json_types import Json
from cds_service.languages import LANGUAGES, Language
from cds_service.record import LabResult, MedicationUse, Problem
from cds_service.rules.conditions import Test, compiled, evidence
from cds_service.rules.decide import Decision
from cds_service.rules.withheld import Reason, Withheld
from cds_service.texts import Texts

# The system of the codes of our override reasons.
OVERRIDE_REASONS = "urn:cds-service:override-reason"
_RANK = {"critical": 0, "warning": 1, "info": 2}
# Clinical logic, presentation: a chart that opens shows at most three cards; critical and warning ones always.
_MOST_ON_CHART = 3
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
_say = Texts("cards").get


@dataclass(frozen=True, slots=True)
class _LineText:
    """A line in one language: when it is shown; its pieces, text and placeholder by turns; the documents behind it."""

    part: Part
    when: Test | None
    pieces: Sequence[str]
    ending: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """A card's content for one rule and variant, in one language, with everything fixed made ready."""

    indicator: str
    summary: str
    lines: tuple[_LineText, ...]
    evidence: Callable[[FactTable], tuple[Evidence, ...]]
    offers: tuple[Offer, ...]
    reasons: tuple[dict[str, str], ...]
    source: dict[str, str]
    title: str


@dataclass(frozen=True, slots=True)
class CardContext:
    """What the cards of one answer are made for.

    Attributes:
        draft_context: whom drafts are for; reason and supporting results are filled in per card.
        new_id: makes a new UUID for every card and suggestion.
    """

    facts: FactTable
    draft_context: DraftContext
    capabilities: ClientCapabilities
    new_id: NewId


@dataclass(frozen=True, slots=True)
class CardOutcome:
    """The cards of one answer.

    Attributes:
        orders: the order in the catalogue behind each suggestion, by the suggestion's UUID.
        withheld: rules that fire but have no card.
    """

    cards: list[Json]
    orders: Mapping[str, str]
    withheld: tuple[Withheld, ...]


class CardMaker:
    """Cards for the rules of a knowledge base; holds no patient data."""

    def __init__(self, knowledge: KnowledgeBase, catalogue: str | None = None, launch: str | None = None) -> None:
        """
        Args:
            catalogue: https address under which people find the page of each rule by its id, and the icon; without
                it, cards have neither.
            launch: address at which an EHR launches the page (SMART), for clients that are registered for it.
        """
        self.knowledge = knowledge
        self._catalogue = catalogue
        self._launch = launch
        self._no_info_when = {t.id: compiled(t.no_info_when) for t in knowledge.topics.values() if t.no_info_when}
        self._texts = {
            (rule.id, variant.id if variant else "", language): self._text(rule, variant, language)
            for rule in knowledge.rules.values()
            if rule.card
            for variant in (None, *rule.variants)
            for language in LANGUAGES
        }

    def cards(self, decisions: Iterable[Decision], context: CardContext) -> CardOutcome:
        """The cards of the rules that fire, most severe first, and the rules that fire without a card."""
        candidates = [(decision, self._texts[_key(decision, context.capabilities.language)]) for decision in decisions]
        candidates.sort(key=lambda pair: (_RANK[pair[1].indicator], pair[0].rule.priority))
        suppressed = [d for d, text in candidates if text.indicator == "info" and self._info_suppressed(d, context)]
        chosen = [(d, text) for d, text in candidates if d not in suppressed]
        over: list[tuple[Decision, _Text]] = []
        if context.capabilities.chart:
            certain = sum(text.indicator != "info" for _, text in chosen)
            limit = max(certain, _MOST_ON_CHART)
            chosen, over = chosen[:limit], chosen[limit:]
        writer = _CardWriter(self, context)
        return CardOutcome(
            [writer.card(decision, text) for decision, text in chosen],
            writer.orders,
            (
                *(Withheld(decision.rule.id, Reason.INFO_SUPPRESSED) for decision in suppressed),
                *(Withheld(decision.rule.id, Reason.OVER_LIMIT) for decision, _ in over),
            ),
        )

    def _info_suppressed(self, decision: Decision, context: CardContext) -> bool:
        """Whether the topic shows this patient no info cards (palliative care)."""
        wants_none = self._no_info_when.get(self.knowledge.topic_of[decision.rule.id])
        return wants_none is not None and wants_none(context.facts) is True

    def links(self, rule: str, capabilities: ClientCapabilities) -> list[dict[str, str]]:
        """CDS Hooks 2.0, Link: `absolute` is a page to be opened as it is, `smart` an app for the client to launch."""
        language, links = capabilities.language, []
        if self._catalogue is not None and capabilities.links:
            links.append({"label": _say("read", language), "url": f"{self._catalogue}/{rule}", "type": "absolute"})
        if self._launch is not None and capabilities.launch:
            links.append({"label": _say("open", language), "url": self._launch, "type": "smart", "appContext": rule})
        return links

    def _text(self, rule: Rule, variant: Variant | None, language: Language) -> _Text:
        assert rule.card is not None
        card, knowledge = rule.card, self.knowledge
        lines: list[Line] = card.detail
        uses: list[SuggestionUse] = card.suggestions
        if variant is not None:
            # What a variant leaves out is the card's; an empty list is not left out: it offers nothing.
            own = variant.detail or []
            lines = [*(line for line in lines if line.part not in {one.part for one in own}), *own]
            uses = uses if variant.suggestions is None else variant.suggestions
        topic = knowledge.topics[knowledge.topic_of[rule.id]]
        primary = knowledge.source_of(rule.source[0])
        return _Text(
            indicator=(variant and variant.indicator) or card.indicator,
            summary=((variant and variant.summary) or card.summary).in_language(language),
            lines=tuple(self._line(line, language) for line in lines),
            evidence=evidence(rule.when),
            offers=tuple(make_offer(use, knowledge.orders[use.order], compiled) for use in uses),
            reasons=tuple(
                {
                    "system": OVERRIDE_REASONS,
                    "code": reason,
                    "display": knowledge.override_reasons[reason].text.in_language(language),
                }
                for reason in (*card.override_reasons, *topic.override_reasons)
            ),
            source=self._source(primary, language),
            title=rule.title.in_language(language),
        )

    def _source(self, primary: Source, language: Language) -> dict[str, str]:
        """Who says so. CDS Hooks 2.0, Source: the URL tells more of the source itself; the rule's page is a link."""
        # Clinical logic, presentation: the label names the service and the trust tier of the source.
        service, tier = _say("service", language), _say("tier", language, tier=primary.tier)
        colon = LANGUAGES[language].colon
        source = {"label": f"{service}{colon}{primary.short.in_language(language)} ({tier})"}
        if primary.url is not None and primary.url.startswith("https://"):
            source["url"] = primary.url
        if self._catalogue is not None:
            source["icon"] = f"{self._catalogue}/icon.png"
        return source

    def _line(self, line: Line, language: Language) -> _LineText:
        """A line; what no seed document says is marked as an addition."""
        sources = {source.id: source for source in map(self.knowledge.source_of, line.cites)}
        added = bool(sources) and all(source.kind == "addition" for source in sources.values())
        return _LineText(
            line.part,
            compiled(line.when) if line.when else None,
            _PLACEHOLDER.split(line.in_language(language)),
            f" *({_say('addition', language)})*" if added else "",
            tuple(source.short.in_language(language) for source in sources.values()),
        )


class _CardWriter:
    """Writes the cards of one answer; remembers what earlier cards offer, so that nothing is offered twice."""

    def __init__(self, maker: CardMaker, context: CardContext) -> None:
        self._maker = maker
        self._context = context
        self._wording = Wording(maker.knowledge, context.capabilities.language, context.facts.today)
        self._offered: set[tuple[str, str]] = set()
        self.orders: dict[str, str] = {}

    def card(self, decision: Decision, text: _Text) -> Json:
        capabilities, rule = self._context.capabilities, decision.rule
        fresh, notes = self._suggestions(text)
        card: Json = {
            "uuid": self._context.new_id(),
            "summary": text.summary,
            "detail": self._detail(text, notes),
            "indicator": text.indicator,
            "source": text.source
            | {"topic": {"system": "urn:cds-service:rule", "code": capabilities.topic(rule.id), "display": text.title}},
            "extension": {
                "cds-service.rule": {
                    "id": rule.id,
                    "version": rule.version,
                    "knowledge": self._maker.knowledge.version,
                    "statements": rule.source,
                    **({"variant": decision.variant.id} if decision.variant else {}),
                }
            },
        }
        if links := self._maker.links(rule.id, capabilities):
            card["links"] = links
        if text.reasons:
            card["overrideReasons"] = list(text.reasons)
        if fresh:
            arranged, only_rivals = _arranged(fresh, capabilities.language)
            card["suggestions"] = [one.message(self._context.new_id, capabilities) for one in arranged]
            # CDS Hooks 2.0, Card Attributes: with at-most-one, at most one suggestion may be recommended.
            card["selectionBehavior"] = "at-most-one" if only_rivals and not capabilities.any_selection else "any"
            written = zip(card["suggestions"], arranged, strict=True)
            self.orders.update((message["uuid"], suggestion.key[0]) for message, suggestion in written)
        return card

    def _detail(self, text: _Text, notes: Sequence[str]) -> str:
        """Three short paragraphs (found, do first, mind), notes on the suggestions, and the sources, each once."""
        facts, language = self._context.facts, self._context.capabilities.language
        shown = [line for line in text.lines if line.when is None or line.when(facts) is True]
        paragraphs = [self._part(part, [line for line in shown if line.part == part]) for part in PARTS]
        if sources := dict.fromkeys(name for line in shown for name in line.sources):
            named = _say("sources", language, sources=LANGUAGES[language].semicolon.join(sources))
            notes = (*notes, f"*{named}*")
        return "\n\n".join(filter(None, (*paragraphs, *notes)))

    def _part(self, part: Part, lines: Sequence[_LineText]) -> str:
        """One part of the detail as a paragraph that begins with its name; "" if it has nothing to say."""
        facts, language = self._context.facts, self._context.capabilities.language
        if not lines:
            return ""
        said = (
            "".join(self._wording.placeholder(piece, facts) if i % 2 else piece for i, piece in enumerate(line.pieces))
            + line.ending
            for line in lines
        )
        row = LANGUAGES[language]
        return f"**{_say(part, language)}**{row.colon}{row.space.join(said)}"

    def _suggestions(self, text: _Text) -> tuple[list[Suggestion], list[str]]:
        """The suggestions of a card, and lines that name those offered above or not possible for this client."""
        language, actions = self._context.capabilities.language, self._context.capabilities.actions
        drafts = replace(
            self._context.draft_context,
            reason=text.title,
            supporting=_supporting(text, self._context.facts),
            urgent=text.indicator == "critical",
        )
        found = [s for offer in text.offers for s in suggest(offer, self._context.facts, drafts, language)]
        fresh = [s for s in found if s.key not in self._offered]
        # Labels are plain text; in a line of the card, the product's name in them must be neutral Markdown.
        above = [neutral(s.label) for s in found if s.key in self._offered]
        by_hand = [neutral(s.label) for s in fresh if s.action["type"] not in actions]
        self._offered.update(s.key for s in fresh)
        notes = [
            _say(key, language, suggestions=LANGUAGES[language].semicolon.join(labels))
            for key, labels in (("above", above), ("by_hand", by_hand))
            if labels
        ]
        return [s for s in fresh if s.action["type"] in actions], notes


def _key(decision: Decision, language: Language) -> tuple[str, str, str]:
    return decision.rule.id, decision.variant.id if decision.variant else "", language


def _supporting(text: _Text, table: FactTable) -> tuple[str, ...]:
    """References of the results, medicines and conditions that made the rule speak (drafts have no address yet)."""
    return tuple(
        dict.fromkeys(
            item.reference
            for item in text.evidence(table)
            if isinstance(item, LabResult | Problem) or (isinstance(item, MedicationUse) and item.status != "draft")
            if leads_somewhere(item.reference)
        )
    )


def _arranged(suggestions: Sequence[Suggestion], language: Language) -> tuple[list[Suggestion], bool]:
    """The suggestions in the order of the rule, and whether they are nothing but rivals of each other.

    Of rivals the recommended one, else the first, stays in its place. The others are not recommended; beside what can
    be taken as well, they go to the end and their labels say that they stand instead of it.
    """
    first: dict[str, Suggestion] = {}
    for one in sorted(suggestions, key=lambda one: not one.recommended):
        first.setdefault(one.rivals, one)
    only_rivals = len(suggestions) > 1 and "" not in first and len(first) == 1
    chosen = [one for one in suggestions if not one.rivals or first[one.rivals] is one]
    others = [dataclasses.replace(one, recommended=False) for one in suggestions if one not in chosen]
    if not only_rivals:
        others = [dataclasses.replace(one, label=_say("instead", language, label=one.label)) for one in others]
    return [*chosen, *others], only_rivals
