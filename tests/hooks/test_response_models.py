"""The models of replies refuse what the CDS Hooks text forbids: rows GEN, RSP, CRD, SRC, SUG, ACT, OVR, LNK."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from cds_service.hooks.response_models import Discovery, HookResponse

CARD: dict[str, Any] = {
    "uuid": "c1",
    "summary": "s" * 139,
    "indicator": "critical",
    "detail": "**Detail**",
    "source": {"label": "Guideline", "url": "https://example.org/g", "topic": {"code": "b12", "system": "https://x.y"}},
    "suggestions": [
        {
            "label": "Order MMA",
            "uuid": "s1",
            "isRecommended": True,
            "actions": [
                {"type": "create", "description": "Order MMA", "resource": {"resourceType": "ServiceRequest"}},
                {"type": "delete", "description": "Remove it", "resourceId": "MedicationRequest/1"},
            ],
        },
        {"label": "Nothing", "uuid": "s2"},
    ],
    "selectionBehavior": "at-most-one",
    "overrideReasons": [{"code": "a", "system": "b", "display": "c"}],
    "links": [{"label": "App", "url": "https://example.org/app", "type": "smart", "appContext": "x"}],
    "extension": {"org.example.trace": {"rule": "b12-low"}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The card with one member replaced, or taken out with `...`."""
    card = deepcopy(CARD)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = card
    for parent in parents:
        target = target[parent]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return card


def forbidden(row: str, path: str, value: Any) -> Any:
    """A change of the card that a row of the specification forbids."""
    return pytest.param(path, value, marks=pytest.mark.row(row))


def test_a_full_card_passes() -> None:
    reply = HookResponse.model_validate({"cards": [CARD]})
    assert reply.cards[0].suggestions is not None
    assert len(reply.cards[0].suggestions) == 2


@pytest.mark.parametrize("path", ["detail", "overrideReasons", "links", "extension", "source.url", "source.topic"])
def test_optional_members_may_be_left_out(path: str) -> None:
    (card,) = HookResponse.model_validate({"cards": [changed(path, ...)]}).cards
    assert card.summary == CARD["summary"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        forbidden("GEN-03", "detail", None),
        forbidden("GEN-03", "source.url", None),
        forbidden("GEN-04", "detail", ""),
        forbidden("GEN-04", "links", []),
        forbidden("GEN-04", "suggestions.1.actions", []),
        forbidden("GEN-04", "extension", {}),
        forbidden("GEN-06", "source.label", "  "),
        forbidden("CRD-01", "uuid", ...),
        forbidden("CRD-02", "summary", "s" * 140),
        forbidden("CRD-02", "summary", "two\nlines"),
        forbidden("CRD-02", "summary", ""),
        forbidden("CRD-05", "indicator", "hard-stop"),
        forbidden("CRD-06", "source", ...),
        forbidden("CRD-08", "selectionBehavior", ...),
        forbidden("CRD-08", "suggestions", ...),
        forbidden("CRD-09", "selectionBehavior", "all"),
        forbidden("EXT-01", "invented", 1),
        forbidden("EXT-02", "extension", ["x"]),
        forbidden("SRC-02", "source.url", "http://example.org"),
        forbidden("SRC-03", "source.icon", "data:image/png;base64,AA"),
        forbidden("SUG-01", "suggestions.0.label", ...),
        forbidden("SUG-02", "suggestions.0.uuid", ...),
        forbidden("SUG-02", "suggestions.1.uuid", "s1"),
        forbidden("SUG-03", "suggestions.1.isRecommended", True),
        forbidden("SUG-03", "suggestions.1.isRecommended", False),
        forbidden("SUG-05", "suggestions.0.actionSelectionBehavior", "any"),
        forbidden("ACT-01", "suggestions.0.actions.0.type", "remove"),
        forbidden("ACT-02", "suggestions.0.actions.0.description", " "),
        forbidden("ACT-03", "suggestions.0.actions.0.resource", ...),
        forbidden("ACT-03", "suggestions.0.actions.0.resource", {"id": "1"}),
        forbidden("ACT-05", "suggestions.0.actions.1.resourceId", ...),
        forbidden("ACT-05", "suggestions.0.actions.1.resource", {"resourceType": "X"}),
        forbidden("OVR-01", "overrideReasons.0.system", ...),
        forbidden("OVR-02", "overrideReasons.0.display", ...),
        forbidden("LNK-01", "links.0.label", ...),
        forbidden("LNK-02", "links.0.url", "javascript:alert(1)"),
        forbidden("LNK-03", "links.0.type", "other"),
        forbidden("LNK-04", "links.0.type", "absolute"),
    ],
)
def test_what_the_specification_forbids_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        HookResponse.model_validate({"cards": [changed(path, value)]})


@pytest.mark.row("SUG-03")
def test_several_recommendations_go_with_any() -> None:
    card = changed("suggestions.1.isRecommended", True)
    with pytest.raises(ValidationError):
        HookResponse.model_validate({"cards": [card]})
    assert HookResponse.model_validate({"cards": [card | {"selectionBehavior": "any"}]}).cards


@pytest.mark.row("RSP-01", "GEN-04")
@pytest.mark.parametrize("reply", [{}, {"cards": None}, {"cards": {}}, {"cards": [], "systemActions": []}, []])
def test_a_reply_has_a_list_of_cards(reply: Any) -> None:
    with pytest.raises(ValidationError):
        HookResponse.model_validate(reply)


SERVICE = {"id": "a-b.c_d~1", "hook": "patient-view", "description": "What", "prefetch": {"p": "Patient/{{x}}"}}


@pytest.mark.row("DIS-02", "DIS-04", "DIS-06", "DIS-07", "DIS-08")
@pytest.mark.parametrize(
    "change",
    [
        {"id": "a/b"},
        {"id": ""},
        {"hook": ...},
        {"description": ...},
        {"description": " "},
        {"prefetch": {}},
        {"prefetch": {"p": None}},
        {"name": "x"},
        {"title": None},
    ],
)
def test_discovery_with_a_faulty_service_is_refused(change: dict[str, Any]) -> None:
    Discovery.model_validate({"services": [SERVICE]})
    with pytest.raises(ValidationError):
        Discovery.model_validate({"services": [{k: v for k, v in (SERVICE | change).items() if v is not ...}]})
