"""A fact: what is known of one patient under one name, with its evidence, or why it is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Literal

import msgspec

from cds_service.gaps import Gaps
from cds_service.quantity import Interval
from cds_service.record import (
    InrGoal,
    LabResult,
    MedicationUse,
    Patient,
    PatientRecord,
    PendingTest,
    Private,
    Problem,
    Source,
)
from cds_service.record_lists import has_default, is_awaited

Evidence = LabResult | MedicationUse | Problem | PendingTest | Patient | InrGoal
Value = Interval | bool | str
# unread, incomplete: the list was not (wholly) read, so nothing can be said. The others were looked for:
# absent: none recorded; unusable: recorded but not to be used; unstated: there, but the detail is not stated;
# unclear: there, but the entry (the evidence) does not tell whether it holds.
Kind = Literal["unread", "incomplete", "absent", "unusable", "unstated", "unclear"]


class Missing(msgspec.Struct, frozen=True):
    """Why a fact is unknown. `about` names the list, the date or the detail; never patient data.

    `awaited` False: the list is one that may be missing, so the fact is unknown, but no rule waits for it.
    """

    kind: Kind
    about: str
    awaited: bool = True

    @property
    def unread(self) -> bool:
        """Whether reading more could have changed it."""
        return self.kind in ("unread", "incomplete")

    @property
    def may_exist(self) -> bool:
        """Whether reading more could have changed it, and a rule waits for that."""
        return self.unread and self.awaited


class Fact(Private, frozen=True):
    """A value with its evidence, or None with the reason. `on` is the day it speaks of."""

    value: Value | None
    evidence: tuple[Evidence, ...] = ()
    missing: Missing | None = None
    on: date | None = None


YES = Fact(True)
NO = Fact(False)


def unknown(kind: Kind, about: str) -> Fact:
    return Fact(None, missing=Missing(kind, about))


class FactTable(dict[str, Fact]):
    """All facts of one patient at one moment; each is derived when first asked for, and once."""

    __slots__ = ("_derivers", "as_of", "concepts_present", "limits", "record", "today")

    def __init__(
        self,
        record: PatientRecord,
        as_of: datetime,
        derivers: Mapping[str, Callable[[FactTable], Fact]],
        limits: Mapping[str, float],
    ) -> None:
        """
        Args:
            as_of: the moment of judgement, with the site's time zone.
            derivers: by fact name (rules/derive.py).
            limits: threshold values in force on that day, by name.
        """
        self.record = record
        self.as_of = as_of
        self.today = as_of.date()
        self.limits = limits
        # Most facts are about a product or a problem that this record does not name anywhere.
        self.concepts_present = _concepts_present(record)
        self._derivers = derivers

    def __missing__(self, name: str) -> Fact:
        fact = self[name] = self._derivers[name](self)
        return fact

    @property
    def derived(self) -> Mapping[str, Fact]:
        """The facts that have been asked for so far."""
        return self

    def unread(self, sources: tuple[Source, ...]) -> Missing | None:
        """Why one of these lists does not tell, if it does not; first a list that rules wait for.

        A list with a documented default always tells.
        """
        record = self.record
        if not (record.unread or record.incomplete):
            return None
        kinds: tuple[tuple[Kind, Mapping[Source, Gaps]], ...] = (
            ("unread", record.unread),
            ("incomplete", record.incomplete),
        )
        return first_awaited(
            Missing(kind, source, is_awaited(source))
            for kind, gaps in kinds
            for source in sources
            if source in gaps and not has_default(source)
        )


def first_awaited(missing: Iterable[Missing]) -> Missing | None:
    """Of several reasons why a fact is unknown, one that rules wait for, if there is one."""
    found = list(missing)
    return next((one for one in found if one.awaited), found[0] if found else None)


def _concepts_present(record: PatientRecord) -> frozenset[str]:
    """The value sets of everything in the record that is no result: products, drafts, conditions and procedures."""
    drafts = (order.use.concepts for order in record.orders or () if order.use is not None)
    lists = (record.medications, record.unused, record.dispensed, record.problems)
    return frozenset[str]().union(*drafts, *(entry.concepts for entries in lists for entry in entries))
