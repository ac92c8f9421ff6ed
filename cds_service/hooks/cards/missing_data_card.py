"""What could not be read, said plainly: the card that stands where a confident empty answer would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.fhir.bundle import ListResult
from cds_service.gap_texts import gaps_text
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.hooks.cards.suggestions import NewId
from cds_service.hooks.prefetch import PrefetchKey
from cds_service.languages import Language
from cds_service.record import PatientRecord
from cds_service.record_lists import has_default, is_awaited
from cds_service.texts import Texts

RULE = "data-incomplete"
_say, _list_name = Texts("cards").get, Texts("lists").get


def list_name(name: str, language: Language) -> str:
    """What a clinician calls a list of the record (`record.Source`), or `patient`."""
    return _list_name(name, language)


@dataclass(frozen=True, slots=True)
class MissingParts:
    """What was wanting.

    Attributes:
        unread: prefetch keys that could not be read at all.
        lists: names of the lists (`record.Source`) that are unread or incomplete.
        reasons: each shortfall with its cause, in English, for the integrator.
    """

    unread: tuple[str, ...]
    lists: tuple[str, ...]
    reasons: tuple[str, ...]


def missing_parts(record: PatientRecord, needs: Sequence[PrefetchKey], obtained: Sequence[ListResult]) -> MissingParts:
    """What could not be read, of what was obtained and of what the record says of itself."""
    short = [
        (need, part)
        for need, part in zip(needs, obtained, strict=True)
        if (part.unread or part.incomplete) and not need.optional
    ]
    named = [source for need, _ in short for source in need.sources]
    further = {
        source: gaps
        for source, gaps in record.incomplete.items()
        if source not in named and (is_awaited(source) or has_default(source))
    }
    return MissingParts(
        unread=tuple(need.key for need, part in short if part.unread),
        lists=(*named, *further),
        reasons=(
            *(f"{need.key} ({gaps_text(part.unread or part.incomplete, 'en')})" for need, part in short),
            *(f"{source} ({gaps_text(gaps, 'en')})" for source, gaps in further.items()),
        ),
    )


def incomplete_card(
    knowledge: KnowledgeBase, lists: Sequence[str], capabilities: ClientCapabilities, new_id: NewId
) -> dict[str, Any]:
    """An info card that names the lists that could not be read. It suggests nothing: nothing is known to be wrong."""
    language = capabilities.language
    named = "\n".join(f"- {list_name(name, language)}" for name in lists)
    return {
        "uuid": new_id(),
        "summary": _say("data_summary", language),
        "detail": f"{_say('data_detail', language)}\n\n{named}",
        "indicator": "info",
        "source": {
            "label": _say("service", language),
            "topic": {
                "system": "urn:cds-service:rule",
                "code": capabilities.topic(RULE),
                "display": _say("data_title", language),
            },
        },
        "extension": {"cds-service.rule": {"id": RULE, "knowledge": knowledge.version}},
    }
