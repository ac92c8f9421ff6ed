"""How much of a substance a day: doses of several products add up, and what is not stated leaves the sum open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from cds_service.facts.computed import Computed, medication_take, product_filter
from cds_service.facts.fact import Fact, FactTable, Missing, unknown
from cds_service.facts.intake import INJECTED, daily_dose
from cds_service.quantity import Interval, point
from cds_service.record import ADMINISTRATION, MedicationUse

# The lists were read and hold no such product.
_NONE_TAKEN = Fact(point(0))
DOSE_LIMITS = ("unread_sig_units_max",)
_DAYS_OF_A_WEEK = 7
_ORDERS = frozenset(("MedicationRequest", "MedicationOrder"))


def dose_bounds(table: FactTable, use: MedicationUse) -> Interval | None:
    """Micrograms on a day of use: as stated, else what at most `unread_sig_units_max` units of the product hold.

    None: nothing bounds it: the strength is not known, or it is taken when needed.
    """
    stated = daily_dose(use)
    if stated is not None:
        return stated
    if use.strength is None or use.as_needed or use.single_dose or use.resource == ADMINISTRATION:
        return None
    most = use.strength * table.limits["unread_sig_units_max"]
    return Interval(0, max(most, use.dose.high) if use.dose is not None else most)


def _upper_end(table: FactTable, use: MedicationUse) -> Interval | None:
    """The same, but an instruction that was not read counts with the most that it may mean."""
    bounds = dose_bounds(table, use)
    return point(bounds.high) if bounds is not None and daily_dose(use) is None else bounds


def same_product(use: MedicationUse, other: MedicationUse) -> bool:
    """Whether an order and a statement are about one product: linked, or of one ingredient, strength and route."""
    if use.reference in other.rests_on or other.reference in use.rests_on:
        return True
    if (use.resource in _ORDERS) == (other.resource in _ORDERS) or use.concepts != other.concepts:
        return False
    if None not in (use.route, other.route) and use.route != other.route:
        return False
    if use.strength is None and other.strength is None:
        return None in (use.daily_dose, other.daily_dose) or use.daily_dose == other.daily_dose
    return use.strength == other.strength


def renews(draft: MedicationUse, use: MedicationUse) -> bool:
    """Whether a draft takes the place of what is in use: it says so, or is of one ingredient, strength and route."""
    if use.reference in draft.rests_on:
        return True
    if use.concepts != draft.concepts or (None not in (use.route, draft.route) and use.route != draft.route):
        return False
    return use.strength == draft.strength or None in (use.strength, draft.strength)


def products(found: Iterable[MedicationUse]) -> list[list[MedicationUse]]:
    """The entries of each product; an order and a statement of the same one stand together."""
    groups: list[list[MedicationUse]] = []
    for use in found:
        group = next((one for one in groups if len(one) == 1 and same_product(one[0], use)), None)
        if group is None:
            groups.append([use])
        else:
            group.append(use)
    return groups


def _total(found: Sequence[MedicationUse], doses: Sequence[Interval | None]) -> Fact:
    """The sum over the products; open upwards if one of them has no known dose, unknown if none has."""
    dose_of = dict(zip(map(id, found), doses, strict=True))
    parts = [[dose for use in group if (dose := dose_of[id(use)]) is not None] for group in products(found)]
    known = [_hull(part) for part in parts if part]
    if not known:
        return Fact(None, tuple(found), Missing("unstated", "the dose is not stated"))
    total = known[0]
    for part in known[1:]:
        total = total.plus(part)
    if len(known) < len(parts):
        total = Interval(total.low, inf)
    unstated = any(daily_dose(use) is None for use in found)
    return Fact(total, tuple(found), Missing("unstated", "the dose is not stated") if unstated else None)


def _hull(doses: Sequence[Interval]) -> Interval:
    whole = doses[0]
    for dose in doses[1:]:
        whole = whole.hull(dose)
    return whole


@medication_take(
    Computed("daily_total", gives="quantity", unit="ug", thresholds=DOSE_LIMITS, none=_NONE_TAKEN, grows=True),
)
def daily_total(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    return _total(found, [dose_bounds(table, use) for use in found])


@medication_take(
    Computed("highest_daily_total", gives="quantity", unit="ug", thresholds=DOSE_LIMITS, none=_NONE_TAKEN, grows=True),
)
def highest_daily_total(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    return _total(found, [_upper_end(table, use) for use in found])


@medication_take(
    Computed(
        "total_of_several",
        gives="quantity",
        unit="ug",
        thresholds=DOSE_LIMITS,
        none=unknown("absent", "no such product"),
        grows=True,
    ),
)
def total_of_several(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    """The sum to be shown beside its parts: of at least two products, each with a stated daily dose."""
    if len(products(found)) < 2:
        return Fact(None, found, Missing("absent", "a second product"))
    if any(use.single_dose or use.daily_dose is None for use in found):
        return Fact(None, found, Missing("unstated", "the dose is not stated"))
    return daily_total(table, found)


@medication_take(
    Computed("weekly_total", gives="quantity", unit="ug", thresholds=DOSE_LIMITS, none=_NONE_TAKEN, grows=True),
)
def weekly_total(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    daily = daily_total(table, found)
    if not isinstance(daily.value, Interval):
        return daily
    # A dose once a week is a seventh of it a day, of which the last of many digits is lost.
    low, high = (round(end * _DAYS_OF_A_WEEK, 6) for end in (daily.value.low, daily.value.high))
    return Fact(Interval(low, high), daily.evidence)


@product_filter(Computed("single_dose"))
def single_dose(table: FactTable, use: MedicationUse) -> bool:
    return use.single_dose


@product_filter(Computed("injected"))
def injected(table: FactTable, use: MedicationUse) -> bool:
    return use.route in INJECTED
