"""Cover with B12: what surely treats, what does not, and what the record leaves open."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.facts.fact import FactTable
from cds_service.quantity import Interval, point
from cds_service.record import Dispense, MedicationUse
from tests.support.kb import ago, facts, med, problem, record

B12, IM = "cyanocobalamin", "hydroxocobalamin"
COMPLEX = "b12-combination"
ORDER = {"resource": "MedicationRequest"}


def of(*uses: MedicationUse, **more: Any) -> FactTable:
    return facts(record(medications=uses, **more))


def swallowed(**more: Any) -> MedicationUse:
    return med(B12, **{"route": "oral", **more})


def injected(concept: str = IM, **more: Any) -> MedicationUse:
    return med(concept, **{"route": "im", **more})


def gift(days: int, **more: Any) -> MedicationUse:
    more = {"resource": "MedicationAdministration", "reference": f"MedicationAdministration/{days}"} | more
    return injected(start=days, end=days, status="ended", single_dose=True, **more)


def cover(*uses: MedicationUse, **more: Any) -> bool | None:
    value = of(*uses, **more)["takes_b12_therapy"].value
    assert value is None or isinstance(value, bool)
    return value


@pytest.mark.parametrize(
    ("use", "covered"),
    [
        ({"daily": 500}, True),
        ({"daily": 499}, False),
        ({}, None),
        ({"strength": 50.0}, False),
        ({"strength": 125.0}, None),
        ({"strength": 1000.0}, None),
        ({"strength": 1000.0, "as_needed": True}, None),
        ({"daily": 1000, "status": "held"}, None),
        ({"daily": 50, "status": "held"}, False),
        ({"daily": 1000, "status": "unclear"}, None),
        ({"daily": 1000, "status": "ended", "start": 900}, None),
        ({"daily": 1000, "status": "ended", "start": 900, "end": 1}, False),
        ({"daily": 1000, "start": None}, True),
        ({"daily": 2000 / 7}, False),
        ({"daily": 1000, "single_dose": True}, False),
    ],
)
def test_what_is_swallowed_covers_by_its_dose_and_its_use(use: dict[str, Any], covered: bool | None) -> None:
    assert cover(swallowed(**use)) is covered


def test_doses_that_are_swallowed_cover_together() -> None:
    assert cover(swallowed(daily=250), med("mecobalamin", daily=250, route="sublingual")) is True


@pytest.mark.parametrize(("weekly", "covered"), [(500, True), (499, False)])
def test_a_nasal_dose_counts_by_the_week(weekly: float, covered: bool) -> None:
    assert cover(swallowed(daily_dose=Interval(weekly * 0.142857142857, weekly * 0.142857142857), route="nasal")) is (
        covered
    )


@pytest.mark.parametrize(
    ("use", "covered"),
    [
        pytest.param({"start": 120, "end": 120, "status": "ended"}, True, id="given within its effect"),
        pytest.param({"start": 121, "end": 121, "status": "ended"}, False, id="given before"),
        pytest.param({**ORDER, "start": 365}, True, id="ordered within a year"),
        pytest.param({**ORDER, "start": 366}, None, id="ordered more than a year ago"),
        pytest.param({**ORDER, "start": 9000, "recorded": ago(300)}, True, id="renewed within a year"),
        pytest.param({**ORDER, "start": None}, True, id="ordered on an unknown day"),
        pytest.param({"start": 2000}, True, id="stated as in use"),
        pytest.param({"start": 300, "status": "held"}, None, id="on hold"),
        pytest.param({"start": 300, "status": "ended"}, None, id="stopped on an unknown day"),
    ],
)
def test_an_injection_covers_while_it_works_or_is_ordered(use: dict[str, Any], covered: bool | None) -> None:
    assert cover(injected(**use)) is covered


def test_an_old_order_counts_if_an_injection_was_given_or_handed_over_lately() -> None:
    old = injected(**ORDER, start=9000)
    assert cover(old, gift(40)) is True
    assert cover(old, gift(121)) is None
    handed = Dispense(frozenset({IM}), IM, "MedicationDispense/1", on=ago(40), supply_days=28, route="im")
    assert cover(old, dispensed=(handed,)) is True


@pytest.mark.parametrize(
    ("content", "covered"),
    [
        ({"strength": 1000.0}, True),
        ({"dose": point(500)}, True),
        ({"strength": 499.0}, False),
        ({}, None),
    ],
)
def test_a_combination_by_injection_counts_by_its_content(content: dict[str, Any], covered: bool | None) -> None:
    assert cover(injected(COMPLEX, start=10, end=10, status="ended", **content)) is covered


def test_a_combination_to_swallow_counts_only_with_its_content() -> None:
    assert cover(med(COMPLEX, route="oral")) is False
    assert cover(med(COMPLEX, route="oral", daily=2000)) is True


@pytest.mark.parametrize(
    ("given_days", "covered"),
    [
        ([3], None),
        ([2, 4], True),
        ([14, 16], True),
        ([15, 17], None),
        ([15, 17, 19, 21, 23, 25], True),
        ([15, 91], True),
        ([15, 90], None),
    ],
)
@pytest.mark.parametrize("why", ["neurological-signs", "nitrous-oxide-misuse"])
def test_nerves_need_a_course_of_injections(why: str, given_days: list[int], covered: bool | None) -> None:
    gifts = [gift(days) for days in given_days]
    assert cover(*gifts, problems=(problem(why),)) is covered
    assert cover(*gifts) is True


def test_an_active_order_of_injections_is_a_course_for_nerves() -> None:
    assert cover(gift(15), injected(**ORDER, start=20), problems=(problem("neurological-signs"),)) is True


@pytest.mark.parametrize(("how", "kind"), [("unread", "unread"), ("incomplete", "incomplete")])
def test_a_list_that_was_not_read_leaves_the_cover_open(how: str, kind: str) -> None:
    table = of(swallowed(daily=50), **{how: ["medication-requests"]})
    assert table["takes_b12_therapy"].value is None
    assert table["parenteral_b12"].missing is not None
    assert table["parenteral_b12"].missing.kind == kind


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (swallowed(), True),
        (swallowed(strength=1000.0), True),
        (swallowed(strength=50.0), False),
        (swallowed(daily=50), False),
        (swallowed(daily=1000), False),
        (swallowed(daily=1000, status="held"), True),
        (injected(**ORDER, start=9000), True),
        (injected(**ORDER, start=90), False),
        (injected(COMPLEX, start=10), True),
        (med(COMPLEX, route="oral"), False),
    ],
)
def test_the_products_behind_an_open_cover_are_named(use: MedicationUse, named: bool) -> None:
    fact = of(use)["b12_of_unclear_dose"]
    assert fact.value is named
    assert fact.evidence == ((use,) if named else ())


@pytest.mark.parametrize(("daily", "covered"), [(50, True), (49, False), (None, None)])
def test_a_diet_that_lacks_b12_needs_little(daily: float | None, covered: bool | None) -> None:
    vegan = (problem("strict-vegan-diet"),)
    assert of(swallowed(daily=daily), problems=vegan)["b12_diet_covered"].value is covered
    both = (*vegan, problem("crohn-disease"))
    assert of(swallowed(daily=daily), problems=both)["b12_diet_covered"].value is False


def test_a_course_begins_with_continuous_evidence_and_not_with_an_order() -> None:
    order = injected(**ORDER, start=300)
    assert of(order)["b12_course"].value is None
    assert of(order, gift(40), gift(160))["b12_course"].value == point(160)
    assert of(order, gift(40), gift(162))["b12_course"].value == point(40)
    assert of(injected(**ORDER, start=9000), gift(40))["b12_course"].value == point(40)


def test_products_that_suffice_together_are_one_course() -> None:
    table = of(swallowed(daily=250, start=90), med("mecobalamin", daily=250, start=60, route="oral"))
    assert table["b12_course"].value == point(60)


@pytest.mark.parametrize(
    ("uses", "days"),
    [
        ((gift(180), gift(210), gift(240)), 180),
        ((gift(180), gift(210)), None),
        ((swallowed(daily=1000, start=400, end=300, status="ended"),), 300),
        ((swallowed(daily=1000, start=380, end=300, status="ended"),), None),
        ((swallowed(daily=100, start=400, end=300, status="ended"),), None),
    ],
)
def test_a_past_course_is_counted_from_its_last_use(uses: tuple[MedicationUse, ...], days: int | None) -> None:
    assert of(*uses)["b12_cover_ended"].value == (None if days is None else point(days))


USES = st.fixed_dictionaries(
    {
        "concept": st.sampled_from([B12, IM, COMPLEX]),
        "route": st.sampled_from(["oral", "im", "nasal", None]),
        "status": st.sampled_from(["active", "held", "ended"]),
        "start": st.one_of(st.none(), st.integers(0, 4000)),
        "end": st.one_of(st.none(), st.integers(0, 4000)),
        "daily": st.one_of(st.none(), st.integers(1, 3000)),
        "resource": st.sampled_from(["MedicationRequest", "MedicationStatement"]),
        "single_dose": st.booleans(),
    }
)
STRENGTH = {False: 0, None: 1, True: 2}


@given(USES)
def test_an_unreadable_status_or_dose_never_turns_cover_into_none(use: dict[str, Any]) -> None:
    if cover(med(**use)) is True:
        assert cover(med(**use | {"status": "unclear"})) is not False
        if use["concept"] != COMPLEX or use["route"] == "im":
            assert cover(med(**use | {"daily": None})) is not False


@given(USES)
def test_ten_more_years_never_make_cover_surer(use: dict[str, Any]) -> None:
    aged = {name: use[name] + 3653 for name in ("start", "end") if use[name] is not None}
    assert STRENGTH[cover(med(**use | aged))] <= STRENGTH[cover(med(**use))]
