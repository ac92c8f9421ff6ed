"""What one client takes of a card: the switches of its profile, and the parts of a card that depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.json_types import Json
from cds_service.languages import FALLBACK, Language
from cds_service.security.clients import ClientProfile


@dataclass(frozen=True, slots=True)
class ClientCapabilities:
    """What a client wants cards to look like.

    Attributes:
        any_selection: send selectionBehavior `any` throughout (Epic takes nothing else).
        alphanumeric_topic: source.topic.code without hyphens (Epic).
        chart: the cards are shown when a chart opens, where at most three fit.
        links: cards may have links; what they lead to is not needed to act on the card.
        launch: cards may have a link that opens the page from within the EHR (SMART).
        delete_in_resource: a delete names what to remove in `resource`, as CDS Hooks 1.0 had it.
        order_systems: code system -> what the client calls it, in the orders we propose to create.
        actions: the types of action it can carry out; a suggestion of another type is told in words.
    """

    language: Language = FALLBACK
    any_selection: bool = False
    alphanumeric_topic: bool = False
    chart: bool = False
    links: bool = True
    launch: bool = False
    delete_in_resource: bool = False
    order_systems: Mapping[str, str] = field(default_factory=dict)
    actions: tuple[str, ...] = ("create", "update", "delete")

    def topic(self, rule: str) -> str:
        """`source.topic.code` for the id of a rule."""
        return rule.replace("-", "") if self.alphanumeric_topic else rule

    def action(self, action: Json) -> Json:
        """An action as this client takes it."""
        if self.order_systems and action["type"] == "create":
            return action | {"resource": _renamed(action["resource"], self.order_systems)}
        if self.delete_in_resource and action["type"] == "delete":
            # CDS Hooks 1.0, Action: for delete, `resource` is the id; 2.0 deprecates it for resourceId.
            rest = {name: value for name, value in action.items() if name != "resourceId"}
            return rest | {"resource": action["resourceId"]}
        return action


def capabilities_of(profile: ClientProfile, language: Language, *, chart: bool) -> ClientCapabilities:
    """The style that has been agreed with a client."""
    return ClientCapabilities(
        language=language,
        any_selection=profile.selection_behavior == "any",
        alphanumeric_topic=profile.topic_alphanumeric,
        chart=chart,
        links=profile.links,
        launch=profile.links and profile.smart_client_id is not None,
        delete_in_resource=profile.delete_style == "resource",
        order_systems=profile.order_systems,
        actions=profile.actions,
    )


def _renamed(value: Any, systems: Mapping[str, str]) -> Any:
    """A copy with every code system called what the client calls it; drafts share parts, so nothing is changed."""
    if isinstance(value, dict):
        return {
            name: systems.get(inner, inner) if name == "system" else _renamed(inner, systems)
            for name, inner in value.items()
        }
    return [_renamed(inner, systems) for inner in value] if isinstance(value, list) else value
