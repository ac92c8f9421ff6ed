"""The knowledge to the answer of `GET /cds-services`."""

from __future__ import annotations

from typing import Any

from cds_service.artifacts.base import KnowledgeBase
from cds_service.hooks.needs import needs_of

_USAGE = {
    "en": (
        "Needs {required}; {optional}a key that is not sent is fetched from fhirServer with the token of "
        "fhirAuthorization. If a list that a rule depends on cannot be read, the answer is 412. FHIR R4; R4B, R5 and "
        "STU3 shapes are read too."
    ),
    "zh": (
        "需要{required}；{optional}未发送的键将凭fhirAuthorization令牌从fhirServer获取。"
        "规则所依赖的列表无法读取时返回412。FHIR R4，亦可读取R4B、R5与STU3。"
    ),
}
_OPTIONAL = {"en": "{keys} optional; ", "zh": "{keys}可选；"}


def discovery(knowledge: KnowledgeBase, language: str) -> dict[str, Any]:
    """CDS Hooks 2.0, Discovery: every service with hook, title, description, id, prefetch and what it needs."""
    return {"services": [_service(knowledge, service_id, language) for service_id in knowledge.services]}


def _service(knowledge: KnowledgeBase, service_id: str, language: str) -> dict[str, Any]:
    service = knowledge.services[service_id]
    needs = needs_of(knowledge, service)
    optional = ", ".join(need.key for need in needs if need.optional)
    return {
        "hook": service.hook,
        "title": service.title.in_language(language),
        "description": service.description.in_language(language),
        "id": service.id,
        "prefetch": {need.key: need.template for need in needs},
        "usageRequirements": _USAGE[language].format(
            required=", ".join(need.key for need in needs if not need.optional),
            optional=_OPTIONAL[language].format(keys=optional) if optional else "",
        ),
    }
