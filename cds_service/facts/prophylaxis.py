"""Heparins to prophylaxis: doses that prevent clots after surgery and in bed, and bleed little."""

from __future__ import annotations

from cds_service.facts.computed import Computed, product_filter
from cds_service.facts.fact import FactTable
from cds_service.facts.intake import daily_dose
from cds_service.record import MedicationUse

# Substances that are ordered by weight, and the threshold of the dose that is prophylaxis. Other heparins are ordered
# in international units, which the record does not hold as a dose: they are never taken for prophylaxis.
_LIMITS = {"enoxaparin": "enoxaparin_prophylaxis_max", "fondaparinux": "fondaparinux_prophylaxis_max"}


@product_filter(Computed("prophylaxis", thresholds=tuple(_LIMITS.values()), value_sets=tuple(_LIMITS)))
def is_prophylaxis(table: FactTable, use: MedicationUse) -> bool:
    """A heparin whose daily dose is known to be no more than prophylaxis; a dose not stated is taken for treatment."""
    dose = daily_dose(use)
    limits = [table.limits[limit] for substance, limit in _LIMITS.items() if substance in use.concepts]
    return dose is not None and bool(limits) and all(dose.at_most(limit) is True for limit in limits)
