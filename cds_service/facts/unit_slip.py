"""Whether the dose of a vitamin K2 draft looks like milligrams written for micrograms, or the other way round."""

from __future__ import annotations

from cds_service.facts.computed import Computed, product_filter
from cds_service.facts.fact import FactTable
from cds_service.quantity import Interval, point
from cds_service.record import MedicationUse

_SUPPLEMENT = frozenset({"menaquinone-7", "vitamin-d3-k2"})


@product_filter(
    Computed(
        "unit_slip",
        thresholds=("mk4_dose_number", "mk4_day_number", "mk7_suspect"),
        value_sets=("menatetrenone", *sorted(_SUPPLEMENT)),
    )
)
def is_unit_slip(table: FactTable, use: MedicationUse) -> bool:
    """A dose a thousand times too high or too low for its form.

    Menatetrenone (MK-4) comes as 15 mg three times a day: exactly 15 or 45 micrograms are its numbers in the wrong
    unit. MK-7 and D3 with K2 are taken in tens or hundreds of micrograms (`mk7_suspect` is far above them). A product
    that names both forms is judged as menatetrenone, and vitamin K2 without a stated form never: both its ranges are
    in use.
    Source: S2-20, S0-08, S3-30 and G32 of the register.
    """
    doses = [dose for dose in (use.daily_dose, use.dose) if dose is not None]
    if "menatetrenone" in use.concepts:
        usual = [point(table.limits[name]) for name in ("mk4_dose_number", "mk4_day_number")]
        return any(dose in usual for dose in doses)
    if use.concepts.isdisjoint(_SUPPLEMENT):
        return False
    return any(_reaches(dose, table.limits["mk7_suspect"]) for dose in doses)


def _reaches(dose: Interval, limit: float) -> bool:
    return dose.at_least(limit) is True
