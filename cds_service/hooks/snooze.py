"""Cards that are not shown again: a clinician has overridden them for a reason that lasts, and the site wants that.

Off unless the site's overlay has `snooze`. The rules are decided as always; this takes some of those that speak out of
the answer, says so in the trace, and counts them as silent. Where there is a doubt, the card is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase, Snooze
from cds_service.artifacts.schema import Rule
from cds_service.errors import SettingsError, Unavailable
from cds_service.evaluate import Evaluation
from cds_service.hooks.call_outcome import indicator_of
from cds_service.hooks.cards.card_maker import OVERRIDE_REASONS
from cds_service.rules.decide import Decision
from cds_service.settings import Settings
from cds_service.store.pseudonym import Pseudonyms
from cds_service.store.snooze import Answers, OverrideAnswer

_SEVERITY = {"info": 0, "warning": 1, "critical": 2}
# Some clients send the code of a reason without its system.
_OURS = (OVERRIDE_REASONS, None)


@dataclass(frozen=True, slots=True)
class Snoozed:
    """A rule that speaks and is not heard.

    Attributes:
        reason: why its card was overridden.
        on: the day of the override.
        until: the first day on which the card may be shown again.
    """

    decision: Decision
    reason: str
    on: date
    until: date


def make_snooze_filter(knowledge: KnowledgeBase, settings: Settings, answers: Answers) -> SnoozeFilter | None:
    """The snoozer of a site; None if its overlay snoozes nothing.

    Raises:
        SettingsError: patients cannot be recognised, or answers are removed too soon.
    """
    check_snooze(knowledge, settings)
    snooze = knowledge.snooze
    return None if snooze is None else SnoozeFilter(snooze, Pseudonyms(settings.hash_key), answers)


def check_snooze(knowledge: KnowledgeBase, settings: Settings) -> None:
    """Raises SettingsError: what the site's overlay wants cannot be done with these settings."""
    snooze = knowledge.snooze
    if snooze is None:
        return
    if settings.hash_key is None:
        raise SettingsError(
            f"CDS_HASH_KEY: {snooze.where} snoozes overridden cards. Without a key no patient is recognised, so no card"
            " could be. Give at least 32 random characters, such as `openssl rand -hex 32` prints, or remove `snooze`."
        )
    if snooze.longest > settings.retention_days:
        raise SettingsError(
            f"CDS_RETENTION_DAYS: {snooze.where} snoozes cards for {snooze.longest} days, but `cds purge` removes"
            f" answers after {settings.retention_days}. Keep them for {snooze.longest} days or longer, or snooze less."
        )


class SnoozeFilter:
    """Decides which rules that speak are not heard. Safe to use from several threads."""

    def __init__(self, snooze: Snooze, hashes: Pseudonyms, answers: Answers) -> None:
        self._snooze = snooze
        self._hashes = hashes
        self._answers = answers

    def snoozed(self, evaluation: Evaluation, client: str, patient: str, now: datetime) -> list[Snoozed]:
        """The rules of this evaluation that are to be left out.

        Args:
            client, patient: whose card it was, as the record of the call has them.
            now: the moment of the call, in the site's time zone.
        """
        able = [each for each in evaluation.firing if self._may_snooze(each, evaluation.decisions)]
        hashed = self._hashes.of("patient", client, patient)
        if not able or hashed is None:
            return []
        try:
            answers = self._answers.of(hashed, now - timedelta(days=self._snooze.longest))
        except Unavailable:
            # Told in the log, once. Whether a card was overridden is unknown now, so it is shown.
            return []
        last = {(answer.rule, answer.variant): answer for answer in answers}
        found = ((each, last.get((each.rule.id, each.variant.id if each.variant else None))) for each in able)
        return [rest for each, answer in found if answer and (rest := self._snoozed_until(each, answer, now))]

    def _may_snooze(self, decision: Decision, decisions: Sequence[Decision]) -> bool:
        """Whether a card of this severity is ever snoozed, and nothing more severe goes unsaid on its account."""
        severity = indicator_of(decision)
        if not any(severity in days for days in self._snooze.days.values()):
            return False
        silenced = (each.rule for each in decisions if each.silenced_by == decision.rule.id)
        return all(_worst(rule) <= _SEVERITY[severity] for rule in silenced)

    def _snoozed_until(self, decision: Decision, answer: OverrideAnswer, now: datetime) -> Snoozed | None:
        if answer.accepted or answer.reason_system not in _OURS or answer.reason_code is None:
            return None
        severity = indicator_of(decision)
        # What was set aside when it was a remark has not been set aside as a warning.
        if _SEVERITY[severity] > _SEVERITY[answer.indicator]:
            return None
        days = self._snooze.days.get(answer.reason_code, {}).get(severity)
        if days is None or now >= answer.at + timedelta(days=days):
            return None
        on = answer.at.astimezone(now.tzinfo)
        return Snoozed(decision, answer.reason_code, on.date(), (on + timedelta(days=days)).date())


def without(firing: Iterable[Decision], resting: Iterable[Snoozed]) -> list[Decision]:
    """The rules that speak and are heard."""
    rules = {each.decision.rule.id for each in resting}
    return [decision for decision in firing if decision.rule.id not in rules]


def tell(nodes: Iterable[dict[str, Any]], resting: Iterable[Snoozed]) -> None:
    """Writes into the trace of the rules why no card of theirs is there."""
    by_rule = {each.decision.rule.id: each for each in resting}
    for node in nodes:
        if rest := by_rule.get(node["rule"]):
            node["outcome"] = "snoozed"
            node["snoozed"] = {
                "until": rest.until.isoformat(),
                "reason": rest.reason,
                "on": rest.on.isoformat(),
                "text": f"snoozed until {rest.until} because overridden as {rest.reason} on {rest.on}",
            }


def _worst(rule: Rule) -> int:
    """Severity of the most severe card that a rule can have."""
    assert rule.card is not None
    return max(_SEVERITY[one or rule.card.indicator] for one in (None, *(each.indicator for each in rule.variants)))
