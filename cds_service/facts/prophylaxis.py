"""Heparins to prophylaxis: doses that prevent clots after surgery and in bed, and bleed little."""

from __future__ import annotations

from typing import NamedTuple

from cds_service.facts.computed import Computed, product_filter
from cds_service.facts.fact import FactTable
from cds_service.facts.intake import daily_dose
from cds_service.record import MedicationUse


class _Most(NamedTuple):
    """The thresholds of the highest preventive dose a day: by weight, in international units; a route that it needs."""

    weight: str | None = None
    units: str | None = None
    route: str | None = None


# A dose is compared in the measure in which it is written. Other heparins are never taken for prophylaxis.
_MOST = {
    "enoxaparin": _Most("enoxaparin_prophylaxis_max", "enoxaparin_prophylaxis_max_units"),
    "fondaparinux": _Most("fondaparinux_prophylaxis_max"),
    "dalteparin": _Most(units="dalteparin_prophylaxis_max_units"),
    "tinzaparin": _Most(units="tinzaparin_prophylaxis_max_units"),
    "unfractionated-heparin": _Most(units="heparin_prophylaxis_max_units", route="sc"),
}
_LIMITS = tuple(limit for most in _MOST.values() for limit in (most.weight, most.units) if limit)


@product_filter(Computed("prophylaxis", thresholds=_LIMITS, value_sets=tuple(_MOST)))
def is_prophylaxis(table: FactTable, use: MedicationUse) -> bool:
    """A heparin whose daily dose is known to be no more than prophylaxis; a dose not stated is taken for treatment."""
    limits = [most for substance, most in _MOST.items() if substance in use.concepts]
    return bool(limits) and all(_is_within(table, use, most) for most in limits)


def _is_within(table: FactTable, use: MedicationUse, most: _Most) -> bool:
    if most.route is not None and use.route != most.route:
        return False
    doses = ((most.weight, daily_dose(use)), (most.units, use.daily_units))
    stated = [(limit, dose) for limit, dose in doses if dose is not None]
    return bool(stated) and all(
        limit is not None and dose.at_most(table.limits[limit]) is True for limit, dose in stated
    )
