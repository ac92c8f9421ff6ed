"""Replacement of B12 over time: since when the present course runs without a gap, and when the last one ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from cds_service.facts.amounts import dose_bounds, products
from cds_service.facts.computed import Computed, patient_fact
from cds_service.facts.fact import Fact, FactTable, Missing
from cds_service.facts.intake import MEDICATION_LISTS
from cds_service.facts.replacement import (
    ANY_B12,
    CONTENT_LIMITS,
    INJECTION_LIMITS,
    ORDERS,
    days_ago,
    injection_suffices,
    is_injection,
)
from cds_service.facts.use import DISPENSE, has_begun, uses_of
from cds_service.quantity import point
from cds_service.record import MedicationUse

_LIMITS = (*CONTENT_LIMITS, *INJECTION_LIMITS, "nasal_weekly_min")
_SETS = tuple(sorted(ANY_B12))
_DAYS_OF_A_WEEK = 7


class _Span(NamedTuple):
    """From the first day of a product to the last day on which it was used, and to the last on which that counts."""

    use: MedicationUse
    first: date
    last: date
    counts_to: date


@patient_fact(
    Computed(
        "replacement_course",
        gives="quantity",
        unit="d",
        reads=MEDICATION_LISTS,
        thresholds=_LIMITS,
        facts=("takes_b12_therapy",),
        value_sets=_SETS,
    )
)
def present_course(table: FactTable) -> Fact:
    """Days since the present course of replacement began; its day is the first day of continuous evidence.

    The products of a day add up. Tablets bridge `medication_gap`, injections `parenteral_b12_effect`. An order of
    injections is no evidence that one was given.
    """
    cover = table["takes_b12_therapy"]
    if cover.value is not True:
        return Fact(point(0)) if cover.value is False else Fact(None, cover.evidence, cover.missing)
    spans = [span for span in _spans(table) if not (is_injection(span.use) and span.use.resource in ORDERS)]
    days = _covered(table, spans, until=table.today)
    if not days:
        return Fact(None, cover.evidence, Missing("unstated", "the start is not stated"))
    first = days[0]
    return Fact(point(days_ago(table, first)), tuple(span.use for span in spans if span.counts_to >= first), on=first)


@patient_fact(
    Computed(
        "days_since_replacement",
        gives="quantity",
        unit="d",
        reads=MEDICATION_LISTS,
        thresholds=(*_LIMITS, "cover_course_injections", "cover_course_min"),
        value_sets=_SETS,
    )
)
def days_since_replacement(table: FactTable) -> Fact:
    """Days since the last use of the latest course that lasted `cover_course_min` or had enough injections."""
    if missing := table.unread(MEDICATION_LISTS):
        return Fact(None, missing=missing)
    spans = _spans(table)
    ends = sorted({span.counts_to for span in spans}, reverse=True)
    for end in ends:
        days = _covered(table, spans, until=min(end, table.today))
        if days and (course := _long_enough(table, spans, days[0], end)):
            last = max(span.last for span in course)
            return Fact(point(days_ago(table, last)), tuple(span.use for span in course), on=last)
    return Fact(None, missing=Missing("absent", "no such product"))


def _long_enough(table: FactTable, spans: Sequence[_Span], first: date, end: date) -> list[_Span]:
    course = [span for span in spans if span.first <= end and span.counts_to >= first]
    injections = sum(is_injection(span.use) and span.use.single_dose for span in course)
    lasted = (max(span.last for span in course) - first).days
    enough = injections >= table.limits["cover_course_injections"] or lasted >= table.limits["cover_course_min"]
    return course if enough else []


def _spans(table: FactTable) -> list[_Span]:
    return [span for use in uses_of(table, ANY_B12) if (span := _span(table, use)) is not None]


def _span(table: FactTable, use: MedicationUse) -> _Span | None:
    """The days on which a product surely counts."""
    if use.start is None or not has_begun(table, use) or use.status in ("held", "unclear") or use.resource == DISPENSE:
        return None
    injection = is_injection(use)
    if injection and injection_suffices(table, use) is not True:
        return None
    if use.single_dose:
        last = use.start if injection else None
    else:
        last = use.last_day or (table.today if use.status == "active" else use.start)
    if last is None:
        return None
    # The day after a gap of exactly `medication_gap` is the first that needs the next product.
    lasts = table.limits["parenteral_b12_effect"] if injection else table.limits["medication_gap"] - 1
    last = min(last, table.today)
    return _Span(use, use.start, last, last + timedelta(days=lasts))


def _covered(table: FactTable, spans: Sequence[_Span], *, until: date) -> list[date]:
    """The days on which something changed and from which on every day was covered until this one, the first first."""
    days = {until, *(span.first for span in spans), *(span.counts_to + timedelta(days=1) for span in spans)}
    covered: list[date] = []
    for day in sorted((day for day in days if day <= until), reverse=True):
        if not _suffice(table, [span.use for span in spans if span.first <= day <= span.counts_to]):
            break
        covered.insert(0, day)
    return covered


def _suffice(table: FactTable, uses: Sequence[MedicationUse]) -> bool:
    """Whether what counts on a day surely suffices together."""
    if any(is_injection(use) for use in uses):
        return True
    daily = nasal = 0.0
    for group in products(uses):
        least = min((dose.low for use in group if (dose := dose_bounds(table, use)) is not None), default=0.0)
        daily += least
        nasal += least if group[0].route == "nasal" else 0.0
    weekly = round(nasal * _DAYS_OF_A_WEEK, 6)
    return daily >= table.limits["b12_therapy_min_dose"] or weekly >= table.limits["nasal_weekly_min"] > 0
