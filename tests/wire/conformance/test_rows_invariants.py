"""HL7's invariants of requests, answers and feedback, as FHIRPath expressions of ours; each can be false."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest

from tests.support.real_inputs import shipped_service
from tests.support.recorder import VIEW
from tests.wire.conformance.answers import Json, kinds_of_answers

# What a broken sample of each looks like stands beside it. cds-r-2 is only a warning there and is none here: clients
# send patient scopes without a patient, and such a token serves.
RESPONSE: dict[str, tuple[str, Json]] = {
    "cds-resp-1": (
        "cards.all(selectionBehavior = 'at-most-one' implies suggestions.where(isRecommended = true).count() <= 1)",
        {"selectionBehavior": "at-most-one", "suggestions": [{"isRecommended": True}, {"isRecommended": True}]},
    ),
    "cds-resp-2": (
        "cards.suggestions.actions.where(type = 'delete').all(resourceId.exists() and resource.empty())",
        {"suggestions": [{"actions": [{"type": "delete", "resource": "1"}]}]},
    ),
    "cds-resp-3": (
        "cards.links.where(type = 'absolute').all(appContext.empty())",
        {"links": [{"type": "absolute", "appContext": "x"}]},
    ),
    "cds-resp-4": ("cards.overrideReasons.all(display.exists())", {"overrideReasons": [{"code": "a", "system": "b"}]}),
    "cds-resp-5": (
        "cards.suggestions.actions.all(description.exists())",
        {"suggestions": [{"actions": [{"type": "create"}]}]},
    ),
    "cds-resp-6": ("cards.all(suggestions.exists() implies selectionBehavior.exists())", {"suggestions": [{}]}),
    "cds-resp-7": (
        "cards.suggestions.all(actionSelectionBehavior.empty())",
        {"suggestions": [{"actionSelectionBehavior": "any"}]},
    ),
}
REQUEST: dict[str, tuple[str, Json]] = {
    "cds-r-1": ("fhirAuthorization.exists() implies fhirServer.exists()", {"fhirAuthorization": {"subject": "x"}}),
    "ord-1 of the user": ("context.userId.matches('^Practitioner(Role)?/.+$')", {"context": {"userId": "7"}}),
    "ord-1 of selections": (
        "context.selections.all(matches('^[A-Z][A-Za-z]+/.+$'))",
        {"context": {"selections": ["7"]}},
    ),
}
# Whether we refuse what breaks it: without suggestions `accepted` tells nothing; an override needs no reason.
FEEDBACK: dict[str, tuple[str, Json, int]] = {
    "cds-fb-1": ("outcome = 'accepted' or outcome = 'overridden'", {"outcome": "ignored"}, 400),
    "cds-fb-2": ("outcome = 'accepted' implies acceptedSuggestions.exists()", {"outcome": "accepted"}, 400),
    "cds-fb-3": (
        "overrideReason.exists() implies (overrideReason.reason.exists() or overrideReason.userComment.exists())",
        {"outcome": "overridden", "overrideReason": {"extension": {"x": 1}}},
        200,
    ),
}


@lru_cache
def _compiled(expression: str) -> Callable[..., list[Any]]:
    return fhirpathpy.compile(expression)


def holds(expression: str, body: Json) -> bool:
    return _compiled(expression)(body) == [True]


@pytest.mark.row("SUG-03", "ACT-02", "ACT-05", "OVR-02", "LNK-04", "CRD-08", "SUG-05")
@pytest.mark.parametrize("name", RESPONSE)
def test_every_answer_keeps_hl7_s_invariants(name: str) -> None:
    expression, broken = RESPONSE[name]
    assert not holds(expression, {"cards": [broken]})
    for answered in kinds_of_answers():
        assert holds(expression, answered.told), answered.patient


@pytest.mark.row("REQ-09", "CTX-03", "CTX-04")
@pytest.mark.parametrize("name", REQUEST)
def test_the_requests_of_these_tests_keep_hl7_s_invariants(name: str) -> None:
    expression, broken = REQUEST[name]
    assert not holds(expression, broken)
    for answered in kinds_of_answers():
        assert holds(expression, answered.request), answered.patient


@pytest.mark.row("FBK-04", "FBK-05", "FBK-06")
@pytest.mark.parametrize("name", FEEDBACK)
def test_feedback_that_breaks_an_invariant_is_refused_unless_we_are_lenient(tmp_path: Path, name: str) -> None:
    expression, broken, status = FEEDBACK[name]
    report = {"card": "1", "outcomeTimestamp": "2026-11-20T08:30:00Z"} | broken
    sound = {"card": "1", "outcomeTimestamp": "2026-11-20T08:30:00Z", "outcome": "overridden"}
    assert not holds(expression, report)
    assert holds(expression, sound)
    with shipped_service(tmp_path) as client:
        post = [client.post(VIEW + "/feedback", json={"feedback": [each]}).status_code for each in (report, sound)]
    assert post == [status, 200]
