"""The record of a call (service, cards, suggestions) and its rows in the tables.

It holds no patient data and no texts: ids of rules and orders, milliseconds, and keyed hashes of patient and user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from cds_service.store.tables import card, hook_call, sanitize_text, suggestion, to_utc_text


@dataclass(frozen=True, slots=True)
class SuggestionRecord:
    """One suggestion of a card.

    Attributes:
        id: its uuid, which feedback names when it was accepted.
        order: id in the catalogue of orders; None if it only removes or changes a draft.
    """

    id: str
    order: str | None
    recommended: bool


@dataclass(frozen=True, slots=True)
class CardRecord:
    """One card of a call.

    Attributes:
        id: its uuid, which feedback names.
        variant: which of the rule's variants it was; None if the rule has but one.
        shown: False if the rule is in shadow mode or the card is snoozed.
    """

    id: str
    rule: str
    variant: str | None
    indicator: str
    shown: bool
    suggestions: tuple[SuggestionRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call of a service, answered or refused.

    Attributes:
        id: the correlation id that the caller got.
        site: name of the site whose overlay was in force.
        knowledge: version of the knowledge.
        status: HTTP status of the answer.
        patient, user: keyed hashes (`pseudonym.py`); None where there is no key.
        unread: names of the unread and incomplete lists.
        undecided: ids of the rules that are undecided because of them.
    """

    id: str
    at: datetime
    service: str
    hook: str
    client: str
    site: str | None
    knowledge: str
    language: str
    status: int
    duration_ms: float
    patient: str | None = None
    user: str | None = None
    unread: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    cards: tuple[CardRecord, ...] = ()


def rows(records: Iterable[CallRecord]) -> Mapping[Table, list[dict[str, Any]]]:
    """The rows of these calls by table, ordered so that foreign keys refer to rows already inserted."""
    found: dict[Table, list[dict[str, Any]]] = {hook_call: [], card: [], suggestion: []}
    for record in records:
        found[hook_call].append(_call(record))
        for each in record.cards:
            found[card].append(
                {
                    "id": each.id,
                    "call_id": record.id,
                    "rule": each.rule,
                    "variant": each.variant,
                    "indicator": each.indicator,
                    "shown": each.shown,
                }
            )
            found[suggestion].extend(
                {"id": one.id, "card_id": each.id, "order_id": one.order, "recommended": one.recommended}
                for one in each.suggestions
            )
    return found


def _call(record: CallRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": to_utc_text(record.at),
        "service": record.service,
        "hook": record.hook,
        "client": sanitize_text(record.client),
        "site": None if record.site is None else sanitize_text(record.site),
        "knowledge": record.knowledge,
        "language": record.language,
        "status": record.status,
        "duration_ms": record.duration_ms,
        "patient_hash": record.patient,
        "user_hash": record.user,
        "unread": "\n".join(record.unread),
        "undecided": "\n".join(record.undecided),
    }
