"""Value sets to their register: what each concept includes, by which codes and words it is found."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.value_set_schema import AnalyteDefinition, ValueSet
from cds_service.languages import Language
from cds_service.present.catalogue.page import CodeList, Page, Paragraph, Row, Span, Spans, Table
from cds_service.present.catalogue.phrases import Phrases
from cds_service.present.catalogue.registers import rule_links
from cds_service.present.catalogue.usage_index import Uses
from cds_service.present.texts import plain, say, words

_KIND = {"observation": "observation", "medication": "medication", "condition": "problem"}
_HEAD = ("concept", "kind", "includes", "codes", "verified", "synonyms", "used_by")


def value_sets_page(knowledge: KnowledgeBase, root: Path, uses: Uses, language: Language) -> Page:
    """The register of value sets.

    Args:
        root: the knowledge folder, whose code tables say which codes were verified.
    """
    phrases = Phrases(knowledge, language)
    rows = []
    for value_set in knowledge.value_sets.values():
        codes, verified = _codes(value_set, root, language)
        rows.append(
            Row(
                (
                    (plain(value_set.title, language), Span(" "), Span(value_set.id, look="small")),
                    _kind(value_set, phrases, language),
                    (plain(value_set.includes, language),),
                    codes,
                    verified,
                    _words(value_set, language),
                    rule_links(knowledge, uses.of_value_set.get(value_set.id, []), language),
                ),
                value_set.id,
            )
        )
    title = say("value-sets", language)
    table = Table(title, tuple(say(key, language) for key in _HEAD), tuple(rows))
    return Page("value-sets", language, title, (Paragraph((words("value_sets_note", language),)), table))


def code_table(root: Path, value_set: str) -> Path:
    """Where the codes of a value set stand; a concept that is found by words only has no such file."""
    return root / "valuesets" / f"{value_set}.csv"


def _codes(value_set: ValueSet, root: Path, language: Language) -> tuple[Spans, Spans]:
    """How many codes of each system, and how many of them were seen in a published list."""
    path = code_table(root, value_set.id)
    if not path.is_file():
        return (words("no_codes", language),), (words("none", language),)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    systems = Counter(row["system"] for row in rows)
    counted = say("listing", language).join(
        say("by_system", language, system=system, count=count) for system, count in sorted(systems.items())
    )
    spans = [Span(counted), words("semicolon", language)]
    if excluded := sum(row["match"] == "exclude" for row in rows):
        spans += [words("excluded", language, count=excluded), words("semicolon", language)]
    spans.append(Span(say("csv", language), to=CodeList(value_set.id)))
    verified = sum(row["verified"] == "yes" for row in rows)
    return tuple(spans), (words("of", language, part=verified, whole=len(rows)),)


def _kind(value_set: ValueSet, phrases: Phrases, language: Language) -> Spans:
    said = [say(_KIND[value_set.kind], language)]
    if value_set.lifelong:
        said.append(say("lifelong", language))
    if value_set.analyte is not None:
        said += _measured(value_set.analyte, phrases, language)
    return (Span(say("semicolon", language).join(said)),)


def _measured(analyte: AnalyteDefinition, phrases: Phrases, language: Language) -> list[str]:
    """The unit of an analyte and the values that are plausible in it."""
    unit = analyte.unit or "1"
    said = [say("measured", language, unit=phrases.unit(unit))] if unit != "1" else []
    low, high = analyte.plausible or (None, None)
    bounds = [
        say(word, language, limit=phrases.amount(bound, unit))
        for word, bound in (("at_least", low), ("at_most", high))
        if bound is not None
    ]
    return [*said, say("plausible", language, range=say("listing", language).join(bounds))] if bounds else said


def _words(value_set: ValueSet, language: Language) -> Spans:
    said = [say("listing", language).join(value_set.text) or say("none", language)]
    if value_set.not_text:
        said.append(say("not_synonyms", language, words=say("listing", language).join(value_set.not_text)))
    return (Span(say("semicolon", language).join(said)),)
