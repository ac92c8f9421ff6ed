"""The models of replies refuse what the CDS Hooks text forbids: rows GEN, RSP, CRD, SRC, SUG, ACT, OVR, LNK."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from cds_service.hooks.replies import Discovery, HookResponse

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


def test_a_full_card_passes() -> None:
    reply = HookResponse.model_validate({"cards": [CARD]})
    assert reply.cards[0].suggestions is not None
    assert len(reply.cards[0].suggestions) == 2


@pytest.mark.parametrize("path", ["detail", "overrideReasons", "links", "extension", "source.url", "source.topic"])
def test_optional_members_may_be_left_out(path: str) -> None:
    HookResponse.model_validate({"cards": [changed(path, ...)]})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("detail", None),  # GEN-03
        ("source.url", None),
        ("detail", ""),  # GEN-04
        ("links", []),
        ("suggestions.1.actions", []),
        ("extension", {}),
        ("source.label", "  "),  # GEN-06
        ("uuid", ...),  # CRD-01
        ("summary", "s" * 140),  # CRD-02
        ("summary", "two\nlines"),
        ("summary", ""),
        ("indicator", "hard-stop"),  # CRD-05
        ("source", ...),  # CRD-06
        ("selectionBehavior", ...),  # CRD-08
        ("suggestions", ...),
        ("selectionBehavior", "all"),  # CRD-09
        ("invented", 1),  # EXT-01
        ("extension", ["x"]),  # EXT-02
        ("source.url", "http://example.org"),  # SRC-02
        ("source.icon", "data:image/png;base64,AA"),  # SRC-03
        ("suggestions.0.label", ...),  # SUG-01
        ("suggestions.0.uuid", ...),  # SUG-02
        ("suggestions.1.uuid", "s1"),
        ("suggestions.1.isRecommended", True),  # SUG-03
        ("suggestions.1.isRecommended", False),
        ("suggestions.0.actionSelectionBehavior", "any"),  # SUG-05
        ("suggestions.0.actions.0.type", "remove"),  # ACT-01
        ("suggestions.0.actions.0.description", " "),  # ACT-02
        ("suggestions.0.actions.0.resource", ...),  # ACT-03
        ("suggestions.0.actions.0.resource", {"id": "1"}),
        ("suggestions.0.actions.1.resourceId", ...),  # ACT-05
        ("suggestions.0.actions.1.resource", {"resourceType": "X"}),
        ("overrideReasons.0.system", ...),  # OVR-01
        ("overrideReasons.0.display", ...),  # OVR-02
        ("links.0.label", ...),  # LNK-01
        ("links.0.url", "javascript:alert(1)"),  # LNK-02
        ("links.0.type", "other"),  # LNK-03
        ("links.0.type", "absolute"),  # LNK-04
    ],
)
def test_what_the_specification_forbids_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        HookResponse.model_validate({"cards": [changed(path, value)]})


def test_several_recommendations_go_with_any() -> None:
    """SUG-03"""
    card = changed("suggestions.1.isRecommended", True) | {"selectionBehavior": "any"}
    HookResponse.model_validate({"cards": [card]})


@pytest.mark.parametrize("reply", [{}, {"cards": None}, {"cards": {}}, {"cards": [], "systemActions": []}, []])
def test_a_reply_has_a_list_of_cards(reply: Any) -> None:
    """RSP-01, GEN-04"""
    with pytest.raises(ValidationError):
        HookResponse.model_validate(reply)


SERVICE = {"id": "a-b.c_d~1", "hook": "patient-view", "description": "What", "prefetch": {"p": "Patient/{{x}}"}}


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
    """DIS-02, DIS-04, DIS-06, DIS-07, DIS-08"""
    Discovery.model_validate({"services": [SERVICE]})
    with pytest.raises(ValidationError):
        Discovery.model_validate({"services": [{k: v for k, v in (SERVICE | change).items() if v is not ...}]})
