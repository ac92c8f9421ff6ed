"""B12 products to replacement of B12: which of them suffice, and which injections still work."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from cds_service.facts.amounts import DOSE_LIMITS, dose_bounds
from cds_service.facts.computed import Computed, patient_fact, product_filter
from cds_service.facts.fact import NO, Fact, FactTable, Missing
from cds_service.facts.intake import INJECTED, MEDICATION_LISTS
from cds_service.facts.use import DISPENSE, LIMITS, is_active, same_ingredient, since, uses_of
from cds_service.record import ADMINISTRATION, MedicationUse

_B12 = frozenset(
    {"cyanocobalamin", "hydroxocobalamin", "mecobalamin", "adenosylcobalamin", "vitamin-b12-unspecified"},
)
_COMBINED = frozenset({"b12-combination"})
ANY_B12 = _B12 | _COMBINED
ORDERS = frozenset(("MedicationRequest", "MedicationOrder"))
CONTENT_LIMITS = ("b12_therapy_min_dose", *DOSE_LIMITS)
INJECTION_LIMITS = ("b12_therapy_min_dose", "injection_order_max_age", "parenteral_b12_effect", *LIMITS)


def is_injection(use: MedicationUse) -> bool:
    return use.route in INJECTED and not ANY_B12.isdisjoint(use.concepts)


def injection_suffices(table: FactTable, use: MedicationUse) -> bool | None:
    """Whether an injection holds enough B12: any of B12 alone, a combination by its content; None: not stated."""
    if not _B12.isdisjoint(use.concepts):
        return True
    content = use.dose.low if use.dose is not None else use.strength
    return None if content is None else content >= table.limits["b12_therapy_min_dose"]


def _swallowed_suffices(table: FactTable, use: MedicationUse) -> bool | None:
    dose = dose_bounds(table, use)
    return None if dose is None else dose.at_least(table.limits["b12_therapy_min_dose"])


def _is_aged_order(table: FactTable, use: MedicationUse, others: Iterable[MedicationUse]) -> bool:
    """A standing order of injections that nobody renewed, and from which none is known to have been given lately."""
    if use.resource not in ORDERS or use.single_dose or not is_active(table, use):
        return False
    known = [day for day in (use.start, use.recorded) if day is not None]
    if not known or (table.today - max(known)).days <= table.limits["injection_order_max_age"]:
        return False
    return not any(_was_given(table, use, other) for other in others)


def _was_given(table: FactTable, use: MedicationUse, other: MedicationUse) -> bool:
    given = other.resource in (ADMINISTRATION, DISPENSE) and other.start is not None and same_ingredient(use, other)
    return given and other.start is not None and days_ago(table, other.start) <= table.limits["parenteral_b12_effect"]


def days_ago(table: FactTable, day: date) -> int:
    return (table.today - day).days


class _Injections(NamedTuple):
    """The injections that surely still work, and the entries of which that cannot be told."""

    sure: tuple[MedicationUse, ...]
    open: tuple[MedicationUse, ...]


def _injections(table: FactTable) -> _Injections:
    """Given within `parenteral_b12_effect`, or ordered for no longer than `injection_order_max_age` and active."""
    every = [use for use in uses_of(table, ANY_B12) if is_injection(use)]
    first = table.today - timedelta(days=table.limits["parenteral_b12_effect"])
    sure: list[MedicationUse] = []
    unclear: list[MedicationUse] = []
    for use, is_sure in since(table, every, first, held=False):
        suffices = injection_suffices(table, use)
        if suffices is False:
            continue
        certain = is_sure and suffices is True and not _is_aged_order(table, use, every)
        (sure if certain else unclear).append(use)
    return _Injections(tuple(sure), tuple(unclear))


@patient_fact(
    Computed("b12_injected", reads=MEDICATION_LISTS, thresholds=INJECTION_LIMITS, value_sets=tuple(sorted(ANY_B12))),
)
def b12_injected(table: FactTable) -> Fact:
    """An injection of B12 that still works; unknown where an entry leaves that open."""
    sure, unclear = _injections(table)
    if sure:
        return Fact(True, sure, on=min((use.start for use in sure if use.start), default=None))
    if missing := table.unread(MEDICATION_LISTS):
        return Fact(None, unclear, missing)
    return Fact(None, unclear, Missing("unclear", "whether it is or was in use")) if unclear else NO


@patient_fact(
    Computed(
        "b12_course_broken_off",
        reads=MEDICATION_LISTS,
        thresholds=(*INJECTION_LIMITS, "neuro_course_gap", "neuro_course_injections", "neuro_course_span"),
        value_sets=tuple(sorted(ANY_B12)),
    ),
)
def b12_course_broken_off(table: FactTable) -> Fact:
    """A single injection, or a course that began in the last `neuro_course_span` days and has paused for too long.

    With `neuro_course_injections` given, or an active order, it is none.
    """
    sure, _ = _injections(table)
    if not sure:
        missing = table.unread(MEDICATION_LISTS)
        return Fact(None, missing=missing) if missing else NO
    given = sorted({use.start for use in sure if use.single_dose and use.start is not None})
    standing = [use for use in sure if not use.single_dose]
    if any(is_active(table, use) for use in standing) or len(given) >= table.limits["neuro_course_injections"]:
        return NO
    if len(given) == 1 and not standing:
        return Fact(True, sure)
    began = min((*given, *(use.start for use in standing if use.start is not None)), default=None)
    last = max((*given, *(use.last_day for use in standing if use.last_day is not None)), default=None)
    if began is None or last is None or days_ago(table, began) > table.limits["neuro_course_span"]:
        return NO
    return Fact(True, sure) if days_ago(table, last) > table.limits["neuro_course_gap"] else NO


@product_filter(
    Computed(
        "replacement",
        thresholds=CONTENT_LIMITS,
        value_sets=tuple(sorted(ANY_B12)),
    )
)
def is_replacement(table: FactTable, use: MedicationUse) -> bool:
    """Surely enough B12: an injection, or a product taken in a sufficient dose. How long it lasts is for the fact."""
    if is_injection(use):
        return injection_suffices(table, use) is True
    return not ANY_B12.isdisjoint(use.concepts) and _swallowed_suffices(table, use) is True


@product_filter(
    Computed(
        "unclear_b12",
        thresholds=(*CONTENT_LIMITS, *INJECTION_LIMITS),
        value_sets=tuple(sorted(ANY_B12)),
        reads=MEDICATION_LISTS,
    )
)
def is_unclear_b12(table: FactTable, use: MedicationUse) -> bool:
    """B12 that may or may not be replacement: its dose, its content or its use is not stated."""
    if is_injection(use):
        others = [other for other in uses_of(table, ANY_B12) if is_injection(other)]
        suffices = injection_suffices(table, use)
        in_use = is_active(table, use) and not _is_aged_order(table, use, others)
        return suffices is not False and not (suffices is True and in_use)
    suffices = _swallowed_suffices(table, use)
    if suffices is None:
        return not _B12.isdisjoint(use.concepts)
    return suffices and not is_active(table, use)


@product_filter(Computed("of_unstated_content", thresholds=DOSE_LIMITS, value_sets=tuple(sorted(_COMBINED))))
def of_unstated_content(table: FactTable, use: MedicationUse) -> bool:
    """A combination, to swallow, of which the record does not tell how much B12 it holds: usually a few micrograms."""
    return not _COMBINED.isdisjoint(use.concepts) and dose_bounds(table, use) is None
