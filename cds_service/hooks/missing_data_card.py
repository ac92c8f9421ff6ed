"""What could not be read, said plainly: the card that stands where a confident empty answer would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.fhir.bundle import ListResult
from cds_service.gap_texts import gaps_text
from cds_service.hooks.client_capabilities import ClientCapabilities
from cds_service.hooks.prefetch import PrefetchKey
from cds_service.hooks.suggestions import NewId
from cds_service.record import PatientRecord

_TEXT = {
    "en": {
        "summary": "Some vitamin B12 and vitamin K checks could not be made because data could not be read.",
        "detail": "No conclusion can be drawn from the silence of these checks. Not wholly readable:",
        "label": "Vitamin B12 and K decision support",
        "title": "Data could not be read",
    },
    "zh": {
        "summary": "部分数据无法读取，未能完成维生素B12与维生素K的全部核查。",
        "detail": "不可将未提示视为无问题。未能完整读取：",
        "label": "维生素B12与维生素K决策支持",
        "title": "数据无法读取",
    },
}
RULE = "data-incomplete"


# What a clinician calls the lists that the record is read from.
_LISTS = {
    "patient": {"en": "Patient", "zh": "患者信息"},
    "observations": {"en": "Laboratory results", "zh": "检验结果"},
    "medication-requests": {"en": "Medication orders", "zh": "用药医嘱"},
    "medication-statements": {
        "en": "Medication statements (over-the-counter products included)",
        "zh": "用药记录（含非处方产品）",
    },
    "conditions": {"en": "Problems and diagnoses", "zh": "问题与诊断"},
    "procedures": {"en": "Procedures", "zh": "手术与操作"},
    "service-requests": {"en": "Test orders", "zh": "检验申请"},
    "goals": {"en": "Goals", "zh": "治疗目标"},
    "family-history": {"en": "Family history", "zh": "家族史"},
    "draft-orders": {"en": "Draft orders", "zh": "医嘱草稿"},
}


def list_name(name: str, language: str) -> str:
    """What a clinician calls a list of the record (`record.Source`), or `patient`."""
    return _LISTS[name][language]


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
    short = [(need, part) for need, part in zip(needs, obtained, strict=True) if part.unread or part.incomplete]
    named = [source for need, _ in short for source in need.sources]
    further = {source: gaps for source, gaps in record.incomplete.items() if source not in named}
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
    text = _TEXT[capabilities.language]
    return {
        "uuid": new_id(),
        "summary": text["summary"],
        "detail": text["detail"] + "\n\n" + "\n".join(f"- {list_name(name, capabilities.language)}" for name in lists),
        "indicator": "info",
        "source": {
            "label": text["label"],
            "topic": {"system": "urn:cds-service:rule", "code": capabilities.topic(RULE), "display": text["title"]},
        },
        "extension": {"cds-service.rule": {"id": RULE, "knowledge": knowledge.version}},
    }
