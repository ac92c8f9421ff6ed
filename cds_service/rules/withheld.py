"""Why a rule whose condition holds, or may hold, has no card in an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cds_service.rules.decide import Decision


class Reason(StrEnum):
    """The reasons; each is decided in one place.

    SNOOZED: the card was overridden before (`hooks/snooze.py`).
    SHADOW: the rule is counted but not shown (the site's overlay).
    SILENCED: another rule speaks instead (`silenced_by`).
    INFO_SUPPRESSED: the topic shows this patient no info cards (`no_info_when`, palliative care).
    OVER_LIMIT: an opened chart shows few cards.
    DATA_MISSING: a list was not read.
    """

    SNOOZED = "snoozed"
    SHADOW = "shadow"
    SILENCED = "silenced"
    INFO_SUPPRESSED = "info_suppressed"
    OVER_LIMIT = "over_limit"
    DATA_MISSING = "data_missing"


@dataclass(frozen=True, slots=True)
class Withheld:
    """One rule without a card."""

    rule: str
    reason: Reason


_OF_OUTCOMES = {"counted": Reason.SHADOW, "silenced": Reason.SILENCED, "undecided": Reason.DATA_MISSING}


def by_decision(decisions: Iterable[Decision]) -> tuple[Withheld, ...]:
    """The rules withheld by their decision alone; the other reasons come with snoozes and with the cards made."""
    return tuple(
        Withheld(decision.rule.id, _OF_OUTCOMES[decision.outcome])
        for decision in decisions
        if decision.outcome in _OF_OUTCOMES and decision.rule.kind == "rule"
    )
