"""The words of a trace: what became of a rule, and why a fact is not known."""

from __future__ import annotations

from cds_service.hooks.cards.missing_data_card import list_name
from cds_service.languages import Language
from cds_service.texts import Texts

why_say, _reasons = Texts("explanation").get, Texts("reasons")


def reason_said(because: str, language: Language) -> str:
    """Why a fact is unknown, from the trace's `kind: about`.

    Raises:
        KeyError: there are no words for what it is about.
    """
    kind, _, about = because.partition(": ")
    if kind in ("unread", "incomplete") and not _reasons.has(about):
        return why_say(kind, language, list=list_name(about, language))
    return unusable_said(about, language)


def unusable_said(reason: str, language: Language) -> str:
    """Why a value, or a result, cannot be used."""
    return _reasons.get(reason, language)
