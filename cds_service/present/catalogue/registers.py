"""The knowledge to its registers: index of rules, limits, sources, and statements with what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cds_service.artifacts.evidence import Source
from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Rule
from cds_service.languages import FALLBACK, Language
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
from cds_service.present.catalogue.phrases import Phrases, switched
from cds_service.present.catalogue.usage_index import Use, Uses
from cds_service.present.texts import foreign, language_names, plain, say, side_by_side, words

REGISTERS = ("thresholds", "sources", "statements", "value-sets", "sign-off")


def index_page(knowledge: KnowledgeBase, language: Language) -> Page:
    """All rules and silences, and the way to the registers."""
    rules = list(knowledge.rules.values())
    counts = {
        "rules": sum(rule.kind == "rule" for rule in rules),
        "silences": sum(rule.kind == "silence" for rule in rules),
        "limits": len(knowledge.thresholds),
        "value_sets": len(knowledge.value_sets),
        "sources": len(knowledge.sources),
        "statements": len(knowledge.statements),
        # Without the hash behind it, so that a change of one word changes one page.
        "knowledge": knowledge.version.partition("+")[0],
    }
    blocks: list[Block] = [
        Paragraph((words("catalogue_note", language),)),
        Paragraph((words("counts", language, **counts),)),
    ]
    for topic in knowledge.topics.values():
        mine = [rule for rule in rules if rule.kind == "rule" and knowledge.topic_of[rule.id] == topic.id]
        name = say("rules_of", language, topic=topic.title.in_language(language))
        head = ("rule", "hooks", "severity", "priority_short", "default")
        blocks += [
            Heading(name, 2, topic.id),
            Paragraph((words("scope", language), words("colon", language), plain(topic.scope, language))),
            Table(
                name, tuple(say(key, language) for key in head), tuple(_listed_rule(rule, language) for rule in mine)
            ),
        ]
    silences = [rule for rule in rules if rule.kind == "silence"]
    blocks += [
        Heading(say("silences_title", language), 2, "silences"),
        Table(
            say("silences_title", language),
            tuple(say(key, language) for key in ("silence", "hooks", "explains")),
            tuple(
                Row((_name(one, language), _hooks(one, language), rule_links(knowledge, one.explains, language)))
                for one in silences
            ),
        ),
        Heading(say("registers", language), 2, "registers"),
        Tree(tuple(Item((Span(say(name, language), to=PageLink(name)),)) for name in REGISTERS)),
    ]
    return Page("", language, say("catalogue", language), tuple(blocks))


def _listed_rule(rule: Rule, language: Language) -> Row:
    assert rule.card is not None
    levels = dict.fromkeys([rule.card.indicator, *(v.indicator for v in rule.variants if v.indicator)])
    return Row(
        (
            _name(rule, language),
            _hooks(rule, language),
            (Span(say("listing", language).join(say(level, language) for level in levels)),),
            (Span(str(rule.priority)),),
            (switched(rule, language),),
        )
    )


def _name(rule: Rule, language: Language) -> Spans:
    return (Span(rule.title.in_language(language), to=PageLink(rule.id)), Span(" "), Span(rule.id, look="small"))


def _hooks(rule: Rule, language: Language) -> Spans:
    return (Span(say("listing", language).join(say(hook, language) for hook in rule.hooks)),)


def thresholds_page(knowledge: KnowledgeBase, uses: Uses, language: Language) -> Page:
    """Every limit with its dated values, source, note, and the rules that use it."""
    phrases = Phrases(knowledge, language)
    rows = []
    for name, threshold in knowledge.thresholds.items():
        used = rule_links(knowledge, uses.of_threshold.get(name, []), language)
        if name in uses.by_code:
            by_code = words("by_code", language)
            used = (by_code, words("semicolon", language), *used) if uses.of_threshold.get(name) else (by_code,)
        rests = phrases.cites(threshold.source)
        if threshold.section:
            section = foreign(threshold.section, FALLBACK, language)
            rests = (*rests, words("comma", language), section)
        rows.append(
            Row(
                (
                    (plain(threshold.label, language), Span(" "), Span(name, look="small")),
                    (Span(say("semicolon", language).join(phrases.values(threshold))),),
                    rests,
                    (plain(threshold.note, language),) if threshold.note else (),
                    used,
                ),
                name,
            )
        )
    title = say("thresholds", language)
    head = ("limit", "value", "sources", "note", "used_by")
    table = Table(title, tuple(say(key, language) for key in head), tuple(rows))
    return Page("thresholds", language, title, (Paragraph((words("thresholds_note", language),)), table))


def sources_page(knowledge: KnowledgeBase, uses: Uses, language: Language) -> Page:
    """Every document: how far it is trusted, how it was seen, and what was found wrong with it."""
    phrases = Phrases(knowledge, language)
    blocks: list[Block] = [Paragraph((words("sources_note", language),))]
    for source in sorted(knowledge.sources.values(), key=lambda s: (s.kind != "seed", s.id)):
        name = f"{source.id}{say('colon', language)}{source.title.in_language(language)}"
        rows = [
            _pair("author", (phrases.author(source),), language),
            _pair("year", (Span(str(source.year)),), language),
            _pair("tier", (Span(str(source.tier)),), language),
            _pair("kind", (words(source.kind, language),), language),
            _pair("seen", (words(source.seen, language),), language),
        ]
        if source.url:
            rows.append(_pair("address", (Span(source.url, to=source.url),), language))
        if source.note:
            rows.append(_pair("note", (plain(source.note, language),), language))
        rows.append(_pair("used_by", _used_source(knowledge, source, uses, language), language))
        head = (say("attribute", language), say("content", language))
        blocks += [Heading(name, 2, source.id), Table(name, head, tuple(rows))]
        if source.defects:
            blocks.append(Paragraph((Span(say("defects", language), look="strong"), words("colon", language))))
            blocks.append(Tree(tuple(Item((plain(defect, language),)) for defect in source.defects)))
    return Page("sources", language, say("sources", language), tuple(blocks))


def _used_source(knowledge: KnowledgeBase, source: Source, uses: Uses, language: Language) -> Spans:
    if source.kind == "addition":
        return use_links(knowledge, uses.of_statement.get(source.id, []), language)
    return (Span(say("statements", language), to=PageLink("statements", source.id)),)


def statements_page(knowledge: KnowledgeBase, uses: Uses, language: Language) -> Page:
    """Every statement in both languages, what was decided about it, and where it went."""
    phrases = Phrases(knowledge, language)
    blocks: list[Block] = [Paragraph((words("statements_note", language),))]
    after = (say(key, language) for key in ("kind", "disposition", "used_by"))
    head = (say("statement", language), *language_names(language), *after)
    for source in knowledge.sources.values():
        mine = [one for one in knowledge.statements.values() if knowledge.source_of(one.id) is source]
        if not mine:
            continue
        name = f"{source.id}{say('colon', language)}{source.title.in_language(language)}"
        rows = []
        for statement in mine:
            disposed = [
                Span(say("listing", language).join(say(f"disposed_{d}", language) for d in statement.disposition))
            ]
            if statement.because:
                disposed += [words("colon", language), plain(statement.because, language)]
            rows.append(
                Row(
                    (
                        (Span(statement.id),),
                        *side_by_side(statement.text, language),
                        (words(f"kind_{statement.kind}", language),),
                        tuple(disposed),
                        use_links(knowledge, uses.of_statement.get(statement.id, []), language),
                    ),
                    statement.id,
                )
            )
        to_source = Paragraph(phrases.document(source))
        table = Table(name, head, tuple(rows))
        blocks += [Heading(name, 2, source.id), to_source, table]
    return Page("statements", language, say("statements", language), tuple(blocks))


def use_links(knowledge: KnowledgeBase, found: Iterable[Use], language: Language) -> Spans:
    """The places that cite a statement, each as a link."""
    spans: list[Span] = []
    for use in found:
        spans += [words("semicolon", language)] if spans else []
        spans += _use(knowledge, use, language)
    return tuple(spans) or (words("not_used", language),)


def _use(knowledge: KnowledgeBase, use: Use, language: Language) -> Spans:
    match use.kind:
        case "threshold":
            label = knowledge.thresholds[use.name].label.in_language(language)
            return (Span(say("used_in_threshold", language, threshold=label), to=PageLink("thresholds", use.name)),)
        case "order":
            return (words("used_in_order", language, order=knowledge.orders[use.name].label.in_language(language)),)
    title = knowledge.rules[use.name].title.in_language(language)
    if use.kind == "rule":
        return (Span(title, to=PageLink(use.name, "basis")),)
    if use.kind == "line":
        return (
            Span(say("used_in_line", language, rule=title, line=use.line), to=PageLink(use.name, f"line-{use.line}")),
        )
    said = say("used_in_variant_line", language, rule=title, variant=use.variant, line=use.line)
    return (Span(said, to=PageLink(use.name, f"variant-{use.variant}-line-{use.line}")),)


def rule_links(knowledge: KnowledgeBase, ids: Sequence[str], language: Language) -> Spans:
    """Rules by their titles, each as a link; all of them (what a topic asks of everybody) in two words."""
    if len(ids) == len(knowledge.rules):
        return (Span(say("every_rule", language), to=PageLink("")),)
    spans: list[Span] = []
    for one in ids:
        spans += [words("semicolon", language)] if spans else []
        spans.append(Span(knowledge.rules[one].title.in_language(language), to=PageLink(one)))
    return tuple(spans) or (words("none", language),)


def _pair(key: str, value: Spans, language: Language) -> Row:
    return Row(((words(key, language),), value))
