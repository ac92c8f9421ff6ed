"""Feedback as clients send it: accepted, overridden, and in two shapes of Epic's."""

from __future__ import annotations

ACCEPTED = {
    "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": "e56e1945-20b3-4393-8503-a1a20fd73152"}],
    "outcomeTimestamp": "2026-11-20T08:30:00Z",
}
OVERRIDDEN = {
    "card": "9368d37b-283f-44a0-93ea-547cebab93ed",
    "outcome": "overridden",
    "overrideReason": {
        "reason": {"code": "patient-refuses", "system": "https://example.org/reasons", "display": "Refuses"},
        "userComment": "Seen last week",
    },
    "outcomeTimestamp": "2026-11-20T08:31:00Z",
}
# Epic writes the member in the plural; with the customer's reasons mapped it holds a coding, else an extension.
EPIC_MAPPED = {
    "card": "123456",
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-20T08:32:00Z",
    "overrideReasons": {
        "reason": {"code": "contraindicated", "display": "bad", "system": "http: //example.org/reasons"},
        "userComment": "A free text",
    },
}
EPIC_UNMAPPED = {
    "card": "123456",
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-20T08:33:00Z",
    "overrideReasons": {
        "extension": {
            "com.epic.cdshooks.feedback.overrideReason.reasonCategory": "7",
            "com.epic.cdshooks.feedback.overrideReason.reasonDisplay": "Criteria not met",
            "com.epic.cdshooks.feedback.overrideReason.reasonTitle": "Criteria not met",
        },
        "userComment": "A free text",
    },
}
