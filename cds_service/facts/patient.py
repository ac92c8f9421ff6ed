"""Who the patient is, and whether draft orders are being judged."""

from __future__ import annotations

from datetime import date

from cds_service.facts.computed import Computed, patient_fact
from cds_service.facts.fact import NO, YES, Fact, FactTable, Missing
from cds_service.quantity import point
from cds_service.record_lists import is_awaited, sources_of


@patient_fact(Computed("age", gives="quantity", unit="a"))
def age(table: FactTable) -> Fact:
    """Age in completed years on the day of judgement."""
    years = age_in_years(table.record.patient.birth_date, table.today)
    if years is None:
        return Fact(None, missing=Missing("absent", "no usable birth date"))
    return Fact(point(years), (table.record.patient,))


@patient_fact(Computed("sex", gives="word", words=("male", "female")))
def sex(table: FactTable) -> Fact:
    """Male or female as the record says; anything else leaves it unknown, since limits differ by sex."""
    recorded = table.record.patient.sex
    if recorded not in ("male", "female"):
        return Fact(None, missing=Missing("absent", "no sex on record for which limits exist"))
    return Fact(recorded)


@patient_fact(Computed("alive"))
def alive(table: FactTable) -> Fact:
    return NO if table.record.patient.deceased else YES


@patient_fact(Computed("orders_in_hand"))
def orders_in_hand(table: FactTable) -> Fact:
    return NO if table.record.orders is None else YES


@patient_fact(Computed("inr_target_recorded", reads=sources_of("goal")))
def inr_target_recorded(table: FactTable) -> Fact:
    """Whether the patient's own INR target is on record; a list of goals that was not read does not deny it."""
    record = table.record
    if record.inr_goal is not None:
        return Fact(True, (record.inr_goal,))
    unread = next((goals for goals in sources_of("goal") if goals in record.unread or goals in record.incomplete), None)
    return NO if unread is None else Fact(None, missing=Missing("unread", unread, is_awaited(unread)))


def age_in_years(born: date | None, today: date) -> int | None:
    """Completed years; None without a birth date or with one that has not come."""
    if born is None or born > today:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
