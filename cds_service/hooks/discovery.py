"""The knowledge to the answer of `GET /cds-services`."""

from __future__ import annotations

from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.hooks.prefetch import prefetch_for
from cds_service.languages import Language
from cds_service.texts import Texts

# CDS Hooks, continuous build of 2026: `version` and `hookVersion` are new members, which 2.0 clients do not know. The
# versions of the hooks are those of the metadata in HL7's hooks library v1.0.1.
_VERSION = "2.0.1"
_HOOK_VERSIONS = {
    "patient-view": "1.0",
    "order-select": "1.0",
    "order-sign": "1.0",
    "encounter-start": "1.0",
    "encounter-discharge": "1.0",
}
_say = Texts("cards").get


def discovery(knowledge: KnowledgeBase, language: Language, versions: bool = False) -> dict[str, Any]:
    """CDS Hooks 2.0, Discovery: every service with hook, title, description, id, prefetch and what it needs.

    Args:
        versions: tell the versions of CDS Hooks and of each hook, too.
    """
    return {"services": [_service(knowledge, service_id, language, versions) for service_id in knowledge.services]}


def _service(knowledge: KnowledgeBase, service_id: str, language: Language, versions: bool) -> dict[str, Any]:
    service = knowledge.services[service_id]
    needs = prefetch_for(knowledge, service)
    optional = ", ".join(need.key for need in needs if need.optional)
    told = {"version": _VERSION, "hookVersion": _HOOK_VERSIONS[service.hook]} if versions else {}
    return {
        "hook": service.hook,
        "title": service.title.in_language(language),
        "description": service.description.in_language(language),
        "id": service.id,
        "prefetch": {need.key: need.template for need in needs},
        "usageRequirements": _say(
            "usage",
            language,
            required=", ".join(need.key for need in needs if not need.optional),
            optional=_say("usage_optional", language, keys=optional) if optional else "",
        ),
        **told,
    }
