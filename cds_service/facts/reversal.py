"""How long a product has been taken unchanged, and when vitamin K is a reversal of anticoagulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta

from cds_service.facts.fact import FactTable
from cds_service.facts.observations import Window, is_future, usable
from cds_service.facts.unit_slip import is_unit_slip
from cds_service.quantity import Interval
from cds_service.record import MedicationUse

_K1 = frozenset({"phytomenadione", "vitamin-k-unspecified"})
_REVERSAL_REASONS = frozenset({"over-anticoagulation", "active-bleeding", "urgent-procedure"})
_PARENTERAL = frozenset({"im", "sc", "iv", "parenteral"})


def daily_dose(use: MedicationUse) -> Interval | None:
    """Micrograms on a day of use: the daily dose, or the one dose of a single-dose order."""
    return use.daily_dose or (use.dose if use.single_dose else None)


def is_active(table: FactTable, use: MedicationUse) -> bool:
    """Active by its status, begun, and not yet ended (clinical reading: start <= today, no end or end >= today)."""
    return (
        use.status == "active"
        and (use.start is None or use.start <= table.today)
        and (use.end is None or use.end >= table.today)
    )


def chain_start(use: MedicationUse, others: Iterable[MedicationUse], table: FactTable) -> date | None:
    """The first start of a continuous chain of uses that leads to this one; None if its own start is not known.

    Two uses are continuous if no more than `medication_gap` days lie between the end of one and the start of the next;
    a use without a recorded end reaches to its start only.
    """
    if use.start is None:
        return None
    first = use.start
    gap = timedelta(days=table.limits["medication_gap"])
    earlier = sorted((o for o in others if o.start is not None), key=lambda o: o.start or date.min, reverse=True)
    for other in earlier:
        if other.start is not None and other.start < first and (other.end or other.start) + gap >= first:
            first = other.start
    return first


def unchanged_since(table: FactTable, use: MedicationUse) -> date | None:
    """Since when this product has been taken at its present daily dose; None if that is not recorded."""
    dose = daily_dose(use)
    same = [
        other
        for other in table.record.medications
        if other is not use and other.concepts == use.concepts and dose is not None and daily_dose(other) == dose
    ]
    return chain_start(use, same, table)


def _topical(table: FactTable, use: MedicationUse) -> bool:
    return use.route == "topical"


def _unchanged_renewal(table: FactTable, draft: MedicationUse) -> bool:
    """A draft of what is already taken: same product and daily dose, active for at least `renewal_min` days."""
    dose = daily_dose(draft)
    if dose is None:
        return False
    for use in table.record.medications:
        if is_active(table, use) and use.concepts == draft.concepts and daily_dose(use) == dose:
            since = unchanged_since(table, use)
            if since is not None and (table.today - since).days >= table.limits["renewal_min"]:
                return True
    return False


def _reversal(table: FactTable, use: MedicationUse) -> bool:
    """Vitamin K given to reverse over-anticoagulation: a form used for that, a short course, and a reason on record.

    The reason is an INR of at least `reversal_inr` in the `reversal_window` before, active bleeding, an urgent
    procedure, or such a reason on the order itself. A course already on the list must have begun in the last
    `reversal_start_max` days.
    """
    if use.status != "draft" and (
        use.start is None or (table.today - use.start).days > table.limits["reversal_start_max"]
    ):
        return False
    return _given_as_reversal(table, use)


def _given_as_reversal(table: FactTable, use: MedicationUse) -> bool:
    """A reversal, however long ago it was given."""
    if not _is_reversal_form(table, use):
        return False
    if use.course_days is not None and not use.single_dose and use.course_days > table.limits["reversal_course_max"]:
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
        use.route in _PARENTERAL or use.strength == table.limits["haemostatic_mk4_strength"]
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


FILTERS: dict[str, Callable[[FactTable, MedicationUse], bool]] = {
    "topical": _topical,
    "unchanged_renewal": _unchanged_renewal,
    "reversal": _reversal,
    "past_reversal": _given_as_reversal,
    "unit_slip": is_unit_slip,
}
