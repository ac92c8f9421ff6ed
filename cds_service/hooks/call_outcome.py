"""What a call leaves behind besides its answer: which cards and suggestions it was, and what could not be decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.artifacts.text import Indicator
from cds_service.rules.decide import Decision
from cds_service.rules.withheld import Reason, Withheld
from cds_service.store.call_records import CardRecord, SuggestionRecord


@dataclass(slots=True)
class CallOutcome:
    """Filled in on the way of one call.

    Attributes:
        patient, user: their ids as the request has them; only ever stored as keyed hashes.
        unread: names of the lists that could not be wholly read.
        withheld: rules without a card although they fire, or may fire.
    """

    patient: str | None = None
    user: str | None = None
    cards: tuple[CardRecord, ...] = ()
    unread: tuple[str, ...] = ()
    withheld: tuple[Withheld, ...] = ()

    @property
    def undecided(self) -> tuple[str, ...]:
        """Ids of the rules that could not be decided because lists could not be read."""
        return tuple(each.rule for each in self.withheld if each.reason is Reason.DATA_MISSING)


def shown(cards: Iterable[dict[str, Any]], orders: Mapping[str, str]) -> tuple[CardRecord, ...]:
    """The cards of an answer.

    Args:
        orders: the order in the catalogue behind a suggestion, by the suggestion's uuid.
    """
    return tuple(_shown(card, orders) for card in cards)


def _shown(card: dict[str, Any], orders: Mapping[str, str]) -> CardRecord:
    rule = card["extension"]["cds-service.rule"]
    return CardRecord(
        card["uuid"],
        rule["id"],
        rule.get("variant"),
        card["indicator"],
        True,
        tuple(
            SuggestionRecord(each["uuid"], orders.get(each["uuid"]), each.get("isRecommended", False))
            for each in card.get("suggestions", ())
        ),
    )


def not_shown(decision: Decision, card_id: str) -> CardRecord:
    """The card that a rule would have had, were it not in shadow mode or snoozed."""
    rule, variant = decision.rule, decision.variant
    return CardRecord(card_id, rule.id, variant.id if variant else None, indicator_of(decision), False)


def indicator_of(decision: Decision) -> Indicator:
    """The severity of the card that a rule has, or would have."""
    rule, variant = decision.rule, decision.variant
    return (variant and variant.indicator) or (rule.card and rule.card.indicator) or "info"
