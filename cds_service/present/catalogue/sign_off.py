"""The knowledge to one sheet that clinical owners print, decide on rule by rule, and sign."""

from __future__ import annotations

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import Rule
from cds_service.languages import Language
from cds_service.present.catalogue.page import Block, Heading, Page, PageLink, Paragraph, Row, Span, Table
from cds_service.present.catalogue.phrases import switched
from cds_service.present.texts import plain, say, words

_HEAD = ("rule", "it_says", "severity", "default", "checked_by", "decision", "signature")
# Room to write by hand, in HTML and Markdown alike.
_LINE = Span("____________________")


def sign_off_page(knowledge: KnowledgeBase, language: Language) -> Page:
    """Every rule and silence: what it says, whether it is on, who checked it, and room to decide and sign."""
    blocks: list[Block] = [Paragraph((words("sign_off_note", language),))]
    for topic in knowledge.topics.values():
        name = say("rules_of", language, topic=topic.title.in_language(language))
        rows = tuple(
            _row(rule, language) for rule in knowledge.rules.values() if knowledge.topic_of[rule.id] == topic.id
        )
        blocks += [Heading(name, 2, topic.id), Table(name, tuple(say(key, language) for key in _HEAD), rows)]
    whole = say("sign_off_whole", language)
    head = ("name_and_role", "date", "signature")
    signer = Row(((_LINE,), (_LINE,), (_LINE,)))
    blocks += [
        Heading(whole, 2, "signatures"),
        Table(whole, tuple(say(key, language) for key in head), (signer, signer)),
    ]
    return Page("sign-off", language, say("sign-off", language), tuple(blocks))


def _row(rule: Rule, language: Language) -> Row:
    says, severity = words("silence", language), words("none", language)
    if rule.card is not None:
        levels = dict.fromkeys([rule.card.indicator, *(v.indicator for v in rule.variants if v.indicator)])
        says = plain(rule.card.summary, language)
        severity = Span(say("listing", language).join(say(level, language) for level in levels))
    title = Span(rule.title.in_language(language), to=PageLink(rule.id))
    return Row(
        (
            (title, Span(" "), Span(f"{rule.id} {rule.version}", look="small")),
            (says,),
            (severity,),
            (switched(rule, language),),
            (Span(f"{rule.checked_by}, {rule.reviewed}") if rule.checked_by else words("not_checked", language),),
            (words("decision_boxes", language),),
            (_LINE,),
        ),
        rule.id,
    )
