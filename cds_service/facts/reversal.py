"""When vitamin K is given to reverse anticoagulation, and when a draft only renews what is taken."""

from __future__ import annotations

from cds_service.facts.computed import Computed, product_filter
from cds_service.facts.fact import FactTable
from cds_service.facts.intake import INJECTED, MEDICATION_LISTS, daily_dose, unchanged_since
from cds_service.facts.observations import Window, is_future, usable
from cds_service.facts.use import LIMITS, is_active
from cds_service.record import MedicationUse

_K1 = frozenset({"phytomenadione", "vitamin-k-unspecified"})
_REVERSAL_REASONS = frozenset({"over-anticoagulation", "active-bleeding", "urgent-procedure"})
_HAEMOSTATIC = ("menatetrenone", *sorted(_K1))


@product_filter(Computed("topical"))
def topical(table: FactTable, use: MedicationUse) -> bool:
    return use.route == "topical"


@product_filter(Computed("unchanged_renewal", reads=MEDICATION_LISTS, thresholds=(*LIMITS, "renewal_min")))
def unchanged_renewal(table: FactTable, draft: MedicationUse) -> bool:
    """A draft of what is already taken: same product and daily dose, active for at least `renewal_min` days."""
    dose = daily_dose(draft)
    if dose is None or draft.status != "draft":
        return False
    for use in table.record.medications:
        if is_active(table, use) and use.concepts == draft.concepts and daily_dose(use) == dose:
            since = unchanged_since(table, use)
            if since is not None and (table.today - since).days >= table.limits["renewal_min"]:
                return True
    return False


@product_filter(Computed("reversal", thresholds=("reversal_start_max",), extends="past_reversal"))
def reversal(table: FactTable, use: MedicationUse) -> bool:
    """Vitamin K given to reverse over-anticoagulation: a form used for that, a short course, and a reason on record.

    The reason is an INR of at least `reversal_inr` in the `reversal_window` before, active bleeding, an urgent
    procedure, or such a reason on the order itself. A course already on the list must have begun in the last
    `reversal_start_max` days.
    """
    if use.status != "draft" and (
        use.start is None or (table.today - use.start).days > table.limits["reversal_start_max"]
    ):
        return False
    return past_reversal(table, use)


@product_filter(
    Computed(
        "past_reversal",
        thresholds=(
            *("haemostatic_mk4_strength", "k1_critical", "reversal_course_max", "reversal_inr", "reversal_window"),
        ),
        facts=("urgent_reversal_reason", "latest_inr"),
        value_sets=("inr", *_HAEMOSTATIC, *_REVERSAL_REASONS),
    )
)
def past_reversal(table: FactTable, use: MedicationUse) -> bool:
    """A reversal, however long ago it was given: one dose, or a few days with an end.

    A daily dose without an end is none, whatever the INR; an order that states neither dose nor frequency may be one.
    """
    return not _has_no_end(use) and _is_meant_to_reverse(table, use)


@product_filter(Computed("reversal_of_unstated_length", thresholds=("k1_critical",), extends="past_reversal"))
def reversal_of_unstated_length(table: FactTable, use: MedicationUse) -> bool:
    """A daily dose that is too high for a supplement and meant to reverse, without a number of days."""
    dose = daily_dose(use)
    high = dose is not None and dose.at_least(table.limits["k1_critical"]) is True
    return high and _has_no_end(use) and _is_meant_to_reverse(table, use)


def _has_no_end(use: MedicationUse) -> bool:
    return not use.single_dose and use.daily_dose is not None and _length(use) is None


def _length(use: MedicationUse) -> float | None:
    """Days of the course; None if its end is not known."""
    if use.course_days is None and use.start is not None and use.end is not None:
        return (use.end - use.start).days + 1
    return use.course_days


def _is_meant_to_reverse(table: FactTable, use: MedicationUse) -> bool:
    """A form used for that, not for longer than a reversal takes, and a reason on record."""
    if not _is_reversal_form(table, use):
        return False
    length = None if use.single_dose else _length(use)
    if length is not None and length > table.limits["reversal_course_max"]:
        return False
    if use.reasons & _REVERSAL_REASONS or table["urgent_reversal_reason"].value is True:
        return True
    return _high_inr_before(table, use)


def _is_reversal_form(table: FactTable, use: MedicationUse) -> bool:
    """Phytomenadione, or a haemostatic menatetrenone product: an injection or the 5 mg capsule."""
    if use.route == "topical":
        return False
    if use.concepts & _K1:
        return True
    return "menatetrenone" in use.concepts and (
        use.route in INJECTED or use.strength == table.limits["haemostatic_mk4_strength"]
    )


def _high_inr_before(table: FactTable, use: MedicationUse) -> bool:
    limit = table.limits["reversal_inr"]
    if use.status == "draft":
        results = usable(table, "inr", Window("reversal_window", "h"))
        return any(result.value is not None and result.value.at_least(limit) is True for result in results)
    days = table.limits["reversal_window"] / 24
    return any(
        result.value is not None
        and result.effective is not None
        and use.start is not None
        and not is_future(table, result)
        and 0 <= (use.start - result.effective).days <= days
        and result.value.at_least(limit) is True
        for result in table.record.labs.get("inr", ())
    )
