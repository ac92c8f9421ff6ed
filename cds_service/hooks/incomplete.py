"""What could not be read, said plainly: the card that stands where a confident empty answer would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.artifacts.base import KnowledgeBase
from cds_service.evaluate import Evaluation
from cds_service.fhir.bundle import Obtained
from cds_service.hooks.needs import Need
from cds_service.hooks.suggestions import NewId

_TEXT = {
    "en": {
        "summary": "Some vitamin B12 and vitamin K checks could not be made because data could not be read.",
        "detail": "No conclusion can be drawn from the silence of these checks. Not readable:",
        "label": "Vitamin B12 and K decision support",
        "title": "Data could not be read",
    },
    "zh": {
        "summary": "部分数据无法读取，未能完成维生素B12与维生素K的全部核查。",
        "detail": "不可将未提示视为无问题。无法读取的内容：",
        "label": "维生素B12与维生素K决策支持",
        "title": "数据无法读取",
    },
}
RULE = "data-incomplete"


@dataclass(frozen=True, slots=True)
class MissingParts:
    """What was wanting: prefetch keys that could not be read at all, and every shortfall in words."""

    unread: tuple[str, ...]
    words: tuple[str, ...]


def missing_parts(evaluation: Evaluation, needs: Sequence[Need], obtained: Sequence[Obtained]) -> MissingParts:
    """The lists that left rules undecided, each with the reason."""
    unread = tuple(need.key for need, part in zip(needs, obtained, strict=True) if part.unread is not None)
    words = [
        f"{need.key} ({part.unread or part.incomplete})"
        for need, part in zip(needs, obtained, strict=True)
        if part.unread or part.incomplete
    ]
    record = evaluation.facts.record
    named = {
        source
        for need, part in zip(needs, obtained, strict=True)
        if part.unread or part.incomplete
        for source in need.sources
    }
    words += [f"{source} ({reason})" for source, reason in record.incomplete.items() if source not in named]
    return MissingParts(unread, tuple(words))


def incomplete_card(knowledge: KnowledgeBase, parts: Sequence[str], language: str, new_id: NewId) -> dict[str, Any]:
    """An info card that names what could not be read. It has no suggestions: nothing is known to be wrong."""
    text = _TEXT[language]
    return {
        "uuid": new_id(),
        "summary": text["summary"],
        "detail": text["detail"] + "\n\n" + "\n".join(f"- {part}" for part in parts),
        "indicator": "info",
        "source": {
            "label": text["label"],
            "topic": {"system": "urn:cds-service:rule", "code": RULE, "display": text["title"]},
        },
        "extension": {"cds-service.rule": {"id": RULE, "knowledge": knowledge.version}},
    }
