"""Whether a medicine is or was in use on a day: yes, no, or not to be told from the record.

An entry that is held, ended on an unknown day, or without a readable status is *open*: it may not count as no. A later
record of the same ingredient settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from cds_service.facts.fact import FactTable
from cds_service.record import MedicationUse

DISPENSE = "MedicationDispense"
LIMITS = ("medication_gap", "single_dose_effect")


class Member(NamedTuple):
    """A product in a state; `sure` False: the record does not tell whether it is in that state."""

    use: MedicationUse
    sure: bool = True


def uses_of(table: FactTable, concepts: Iterable[str]) -> list[MedicationUse]:
    """All entries of these products, what was handed over included."""
    wanted = frozenset(concepts)
    found = [use for use in table.record.medications if not wanted.isdisjoint(use.concepts)]
    if table.record.dispensed:
        found += _dispensed(table, wanted)
    return found


def _dispensed(table: FactTable, wanted: frozenset[str]) -> Iterator[MedicationUse]:
    """What was handed over, as entries that end with its supply; without a stated supply after `medication_gap`."""
    for one in table.record.dispensed:
        if wanted.isdisjoint(one.concepts):
            continue
        lasts = timedelta(days=table.limits["medication_gap"] if one.supply_days is None else one.supply_days)
        yield MedicationUse(
            concepts=one.concepts,
            product=one.product,
            resource=DISPENSE,
            reference=one.reference,
            status="ended",
            start=one.on,
            end=one.on + lasts if one.on else None,
            daily_dose=one.daily_dose,
            reported_dose=one.reported_dose,
            route=one.route,
            strength=one.strength,
            rests_on=one.rests_on,
            partial_start=one.partial_date,
        )


def is_active(table: FactTable, use: MedicationUse) -> bool:
    """Active by its status, begun, and not yet ended; a single dose is over after `single_dose_effect`."""
    if use.status != "active" or not has_begun(table, use) or (use.end is not None and use.end < table.today):
        return False
    if use.single_dose and use.start is not None:
        return (table.today - use.start).days <= table.limits["single_dose_effect"]
    return True


def has_begun(table: FactTable, use: MedicationUse) -> bool:
    return use.start is None or use.start <= table.today


def same_ingredient(use: MedicationUse, other: MedicationUse) -> bool:
    return use.concepts == other.concepts


def is_open(table: FactTable, use: MedicationUse) -> bool:
    """Whether the entry leaves open if or until when it was in use. One that is over by a known day does not."""
    if not has_begun(table, use) or (use.last_day is not None and use.last_day < table.today):
        return False
    return use.doubt is not None


def unsettled(table: FactTable, uses: Iterable[MedicationUse]) -> Iterator[MedicationUse]:
    """The open entries of these that no later record of the same ingredient settles."""
    every = list(uses)
    return (use for use in every if is_open(table, use) and not any(_settles(table, use, other) for other in every))


def _settles(table: FactTable, use: MedicationUse, other: MedicationUse) -> bool:
    """Whether another record, not older than this one, says that its ingredient is in use, or until when it was."""
    if other is use or not same_ingredient(use, other):
        return False
    if use.start is None or other.start is None or other.partial_start or other.start < use.start:
        return False
    return has_begun(table, other) and (is_active(table, other) or (other.status == "ended" and other.doubt is None))


def just_ran_out(table: FactTable, uses: Iterable[MedicationUse]) -> Iterator[MedicationUse]:
    """Courses that are over and that nobody stopped: for `medication_gap` a repeat may be on its way."""
    every = list(uses)
    for use in every:
        if use.ran_out and use.end is None and use.last_day is not None and not use.single_dose:
            over = (table.today - use.last_day).days
            if 0 < over <= table.limits["medication_gap"] and not any(_settles(table, use, one) for one in every):
                yield use


def in_use(table: FactTable, uses: Iterable[MedicationUse]) -> Iterator[Member]:
    """In use today; open where the status is unclear, or where what was handed over has not run out."""
    every = list(uses)
    active = [use for use in every if is_active(table, use)]
    yield from map(Member, active)
    for use in unsettled(table, every):
        if use.status == "unclear":
            yield Member(use, sure=False)
    for use in every:
        if _is_in_hand(table, use) and not any(same_ingredient(use, other) for other in active):
            yield Member(use, sure=False)


def _is_in_hand(table: FactTable, use: MedicationUse) -> bool:
    return use.resource == DISPENSE and has_begun(table, use) and use.end is not None and use.end >= table.today


def on_hold(table: FactTable, uses: Iterable[MedicationUse]) -> Iterator[Member]:
    """On hold; an entry without a readable status may be."""
    return (Member(use, sure=use.status == "held") for use in unsettled(table, uses) if use.status != "ended")


def perhaps_in_use(table: FactTable, uses: Iterable[MedicationUse]) -> Iterator[Member]:
    """In use today; open is all that is not known to be over: held, ended on an unknown day, unclear, just run out."""
    every = list(uses)
    found = list(in_use(table, every))
    yield from found
    for use in (*unsettled(table, every), *just_ran_out(table, every)):
        if not any(member.use is use for member in found):
            yield Member(use, sure=False)


def since(table: FactTable, uses: Iterable[MedicationUse], first: date, *, held: bool) -> Iterator[Member]:
    """In use at any time since a day.

    Args:
        held: what is on hold surely was: for what must not be missed. False: that is open, too.
    """
    every = list(uses)
    still_open, ran_out = list(unsettled(table, every)), list(just_ran_out(table, every))
    for use in every:
        if not has_begun(table, use):
            continue
        begun_within = use.start is not None and use.start >= first
        if use.single_dose and use.start is not None:
            if begun_within:
                yield Member(use, sure=use.status != "unclear")
        elif use in still_open:
            yield Member(use, sure=held if use.status == "held" else use.status == "ended" and begun_within)
        elif is_active(table, use) or (use.last_day is not None and use.last_day >= first):
            yield Member(use, sure=use.status != "unclear")
        elif use in ran_out:
            yield Member(use, sure=False)
