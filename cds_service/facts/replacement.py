"""B12 products to replacement of B12: which of them are one, and since when the present course runs."""

from __future__ import annotations

from cds_service.facts.computed import Computed, medication_take, product_filter
from cds_service.facts.fact import Fact, FactTable, Missing
from cds_service.facts.intake import INJECTED, chain_start, daily_dose
from cds_service.facts.use import LIMITS, is_active
from cds_service.quantity import point
from cds_service.record import MedicationUse

_B12 = frozenset(
    {"cyanocobalamin", "hydroxocobalamin", "mecobalamin", "adenosylcobalamin", "vitamin-b12-unspecified"},
)


@product_filter(Computed("replacement", thresholds=("b12_therapy_min_dose", *LIMITS), value_sets=tuple(sorted(_B12))))
def is_replacement(table: FactTable, use: MedicationUse) -> bool:
    """In use as replacement: an injection whose effect may last, or a product taken now in a sufficient dose.

    How long an injection lasts is for the fact to say (`within`); a swallowed product must be active.
    """
    return suffices(table, use) and (use.route in INJECTED or is_active(table, use))


def suffices(table: FactTable, use: MedicationUse) -> bool:
    """B12 on its own by injection, or from `b12_therapy_min_dose` micrograms a day, or of a dose not stated."""
    if _B12.isdisjoint(use.concepts):
        return False
    dose = daily_dose(use)
    return use.route in INJECTED or dose is None or dose.at_least(table.limits["b12_therapy_min_dose"]) is True


@medication_take(
    Computed(
        "replacement_course",
        gives="quantity",
        unit="d",
        thresholds=("b12_therapy_min_dose", "medication_gap"),
        value_sets=tuple(sorted(_B12)),
        none=Fact(point(0)),
    )
)
def course(table: FactTable, found: tuple[MedicationUse, ...]) -> Fact:
    """Days since the present course of replacement began; its day is the first start.

    One product may follow another: injections and then tablets are one course, if no gap is longer than
    `medication_gap`. A lower dose before it is no part of the course.
    """
    history = [use for use in table.record.medications if suffices(table, use)]
    started = [(chain_start(use, history, table), use) for use in found]
    known = [(start, use) for start, use in started if start is not None]
    if not known:
        return Fact(None, found, Missing("unstated", "the start is not stated"))
    first = min(start for start, _ in known)
    return Fact(point((table.today - first).days), tuple(use for _, use in known), on=first)
