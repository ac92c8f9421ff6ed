"""Heparins to prophylaxis: doses that prevent clots after surgery and in bed, and bleed little."""

from __future__ import annotations

from cds_service.facts.computed import Computed, product_filter
from cds_service.facts.fact import FactTable
from cds_service.facts.intake import daily_dose
from cds_service.record import MedicationUse

# Names as a record writes them, and the threshold of the dose that is prophylaxis. Other heparins are ordered in
# international units, which tell micrograms of nothing: they are never taken for prophylaxis.
_LIMITS = (
    (("enoxaparin", "依诺肝素"), "enoxaparin_prophylaxis_max"),
    (("fondaparinux", "磺达肝癸"), "fondaparinux_prophylaxis_max"),
)


@product_filter(
    Computed(
        "prophylaxis",
        thresholds=tuple(limit for _, limit in _LIMITS),
        value_sets=("heparin-or-parenteral-anticoagulant",),
    )
)
def is_prophylaxis(table: FactTable, use: MedicationUse) -> bool:
    """A heparin whose daily dose is known to be no more than prophylaxis; a dose not stated is taken for treatment."""
    dose, name = daily_dose(use), use.product.casefold()
    if dose is None or "heparin-or-parenteral-anticoagulant" not in use.concepts:
        return False
    limit = next((limit for names, limit in _LIMITS if any(one in name for one in names)), None)
    return limit is not None and dose.at_most(table.limits[limit]) is True
