"""Whether a medicine is or was in use: five states of an entry, three values of a fact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.facts.fact import Fact, FactTable
from cds_service.record import Dispense, MedicationUse
from tests.support.kb import ago, facts, med, problem, record

WARFARIN = ("vitamin-k-antagonist", "warfarin")
PHENPROCOUMON = ("vitamin-k-antagonist", "phenprocoumon")
ACENOCOUMAROL = ("vitamin-k-antagonist", "acenocoumarol")
APIXABAN = ("direct-oral-anticoagulant", "apixaban")


def product(concepts: tuple[str, ...] = WARFARIN, **more: Any) -> MedicationUse:
    return med(concepts[-1], concepts=frozenset(concepts), **more)


def of(*uses: MedicationUse, **more: Any) -> FactTable:
    return facts(record(medications=uses, **more))


def handed_over(days: int | None, supply: float | None = 28, concepts: tuple[str, ...] = WARFARIN) -> Dispense:
    on = None if days is None else ago(days)
    return Dispense(frozenset(concepts), concepts[-1], f"MedicationDispense/{days}", on=on, supply_days=supply)


def is_unclear(fact: Fact) -> bool:
    return fact.value is None and fact.missing is not None and fact.missing.kind == "unclear" and bool(fact.evidence)


@pytest.mark.parametrize(
    ("entry", "takes", "held", "recent"),
    [
        pytest.param({}, True, False, True, id="in use"),
        pytest.param({"status": "held", "start": 3}, False, True, True, id="on hold"),
        pytest.param({"status": "held", "start": 900, "end": 20}, False, False, False, id="on hold, ended long ago"),
        pytest.param({"status": "ended", "start": 900, "end": 14}, False, False, True, id="ended within the washout"),
        pytest.param({"status": "ended", "start": 900, "end": 15}, False, False, False, id="ended before the washout"),
        pytest.param({"start": 900, "end": 15}, False, False, False, id="active, with an end that has passed"),
        pytest.param({"status": "ended", "start": 900}, False, False, None, id="stopped, day not recorded"),
        pytest.param({"status": "ended", "start": None}, False, False, None, id="stopped, nothing recorded"),
        pytest.param({"status": "ended", "start": 14}, False, False, True, id="stopped, begun within the washout"),
        pytest.param({"status": "unclear", "start": 900}, None, None, None, id="status not recorded"),
        pytest.param({"status": "unclear", "start": 900, "end": 15}, False, False, False, id="no status, over"),
        pytest.param({"status": "unclear", "start": 900, "end": 3}, False, False, None, id="no status, just over"),
        pytest.param({"status": "held", "start": -5}, False, False, False, id="on hold, not begun"),
        pytest.param({"status": "unclear", "start": -5}, False, False, False, id="no status, not begun"),
    ],
)
def test_an_entry_tells_whether_it_is_taken_held_or_recent(
    entry: dict[str, Any], takes: bool | None, held: bool, recent: bool | None
) -> None:
    table = of(product(**entry))
    assert (table["takes_vka"].value, table["holds_vka"].value) == (takes, held)
    assert table["recent_vka"].value is recent
    assert table["listed_vka"].value is True
    for name in ("takes_vka", "recent_vka"):
        assert table[name].value is not None or is_unclear(table[name])


@pytest.mark.parametrize(
    ("entry", "recent"),
    [
        ({"start": 40, "course_days": 28}, True),
        ({"start": 43, "course_days": 28}, None),
        ({"start": 60, "course_days": 28, "ran_out": True}, None),
        ({"start": 118, "course_days": 28, "ran_out": True}, None),
        ({"start": 119, "course_days": 28, "ran_out": True}, False),
        ({"start": 60, "course_days": 28}, False),
    ],
)
def test_a_course_ends_after_its_days_and_one_that_nobody_stopped_may_be_repeated(
    entry: dict[str, Any], recent: bool | None
) -> None:
    if entry["start"] == 43:
        entry |= {"ran_out": True}
    assert of(product(status="ended", **entry))["recent_vka"].value is recent


@pytest.mark.parametrize(
    ("concepts", "days", "name", "recent"),
    [
        (PHENPROCOUMON, 35, "recent_vka", True),
        (PHENPROCOUMON, 36, "recent_vka", False),
        (ACENOCOUMAROL, 14, "recent_vka", True),
        (ACENOCOUMAROL, 15, "recent_vka", False),
        (APIXABAN, 7, "recent_doac", True),
        (APIXABAN, 8, "recent_doac", False),
    ],
)
def test_each_drug_has_its_own_washout(concepts: tuple[str, ...], days: int, name: str, recent: bool) -> None:
    assert of(product(concepts, status="ended", start=500, end=days))[name].value is recent


@pytest.mark.parametrize(
    ("later", "recent"),
    [
        pytest.param({"start": 100, "end": 50, "status": "ended"}, False, id="ended with a day"),
        pytest.param({"start": 100}, True, id="in use"),
        pytest.param({"start": 100, "status": "ended"}, None, id="as open"),
        pytest.param({"start": 1000, "end": 950, "status": "ended"}, None, id="an earlier record"),
        pytest.param({"start": None, "end": 50, "status": "ended"}, None, id="a record of no known beginning"),
        pytest.param({"start": 100, "end": 50, "status": "ended", "partial_start": True}, None, id="a vague day"),
    ],
)
@pytest.mark.parametrize("status", ["ended", "unclear"])
def test_a_later_record_of_the_same_ingredient_settles_an_open_one(
    status: str, later: dict[str, Any], recent: bool | None
) -> None:
    assert of(product(status=status, start=900), product(**later))["recent_vka"].value is recent


def test_a_record_of_another_ingredient_settles_nothing() -> None:
    ended = product(ACENOCOUMAROL, status="ended", start=100, end=50)
    assert is_unclear(of(product(status="ended", start=900), ended)["recent_vka"])


def test_a_later_administration_is_the_last_dose() -> None:
    gift = product(status="ended", start=20, end=20, single_dose=True, resource="MedicationAdministration")
    assert of(product(status="ended", start=900), gift)["recent_vka"].value is False
    held = of(product(status="held", start=900), gift)
    assert held["recent_vka"].value is False


def test_an_entry_that_became_active_again_is_not_on_hold() -> None:
    assert of(product(status="held", start=90), product(start=10))["holds_vka"].value is False


@pytest.mark.parametrize(
    ("days", "supply", "takes", "recent"),
    [
        (20, 28, None, True),
        (28, 28, None, True),
        (42, 28, False, True),
        (43, 28, False, False),
        (104, None, False, True),
        (105, None, False, False),
        (None, 28, False, None),
        (-2, 28, False, False),
    ],
)
def test_what_was_handed_over_lasts_as_long_as_its_supply(
    days: int | None, supply: float | None, takes: bool | None, recent: bool | None
) -> None:
    table = facts(record(dispensed=(handed_over(days, supply),)))
    assert (table["takes_vka"].value, table["recent_vka"].value) == (takes, recent)


def test_what_was_handed_over_for_a_product_in_use_leaves_nothing_open() -> None:
    table = facts(record(medications=(product(),), dispensed=(handed_over(20),)))
    assert table["takes_vka"].value is True


def test_a_list_that_was_not_read_is_not_merely_unclear() -> None:
    fact = of(product(status="ended", start=900), unread=["medication-requests"])["recent_vka"]
    assert fact.missing is not None
    assert (fact.value, fact.missing.unread) == (None, True)


@pytest.mark.parametrize("known", ["mechanical-heart-valve", "long-term-anticoagulant-use"])
def test_who_is_anticoagulated_and_has_nothing_on_the_list_may_take_any(known: str) -> None:
    table = of(problems=(problem(known),))
    for name in ("recent_vka", "recent_vka_or_heparin", "recent_doac"):
        assert is_unclear(table[name]), name
    assert table["takes_vka"].value is False
    explained = of(product(APIXABAN), problems=(problem(known),))
    assert (explained["recent_doac"].value, explained["recent_vka_or_heparin"].value) == (True, False)


def test_an_entry_in_error_was_listed_and_never_used() -> None:
    table = facts(record(unused=(product(),)))
    assert [table[name].value for name in ("takes_vka", "holds_vka", "recent_vka", "listed_vka")] == [
        False, False, False, True,
    ]  # fmt: skip


def test_the_entries_that_leave_it_open_are_named() -> None:
    stopped, unclear = product(status="ended", start=900), product(APIXABAN, status="unclear", start=5)
    table = of(stopped, unclear, product(ACENOCOUMAROL, start=800, end=400, status="ended"))
    assert set(table["unclear_anticoagulants"].evidence) == {stopped, unclear}
    assert of(product())["unclear_anticoagulants"].value is False


ENTRIES = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["active", "held", "ended"]),
        "start": st.one_of(st.none(), st.integers(-50, 4000)),
        "end": st.one_of(st.none(), st.integers(-50, 4000)),
        "course_days": st.one_of(st.none(), st.integers(1, 400)),
        "ran_out": st.booleans(),
        "single_dose": st.booleans(),
    }
)
TESTED = ("takes_vka", "holds_vka", "recent_vka", "recent_vka_or_heparin")
STRENGTH = {False: 0, None: 1, True: 2}


@given(ENTRIES)
def test_an_unreadable_status_never_turns_a_yes_into_a_no(entry: dict[str, Any]) -> None:
    stated, unreadable = of(product(**entry)), of(product(**entry | {"status": "unclear"}))
    for name in ("takes_vka", "recent_vka"):
        if stated[name].value is True:
            assert unreadable[name].value is not False, name


@given(ENTRIES)
def test_an_end_that_is_not_recorded_never_turns_a_yes_into_a_no(entry: dict[str, Any]) -> None:
    stated = of(product(**entry))
    silent = of(product(**entry | {"end": None, "course_days": None, "ran_out": False}))
    if stated["recent_vka"].value is True and not (entry["single_dose"] and entry["start"] is not None):
        assert silent["recent_vka"].value is not False


@given(ENTRIES)
def test_an_entry_of_ten_years_earlier_is_no_stronger_evidence(entry: dict[str, Any]) -> None:
    aged = {name: day + 3653 for name in ("start", "end") if (day := entry[name]) is not None and day >= 0}
    if any((entry[name] or 0) < 0 for name in ("start", "end")):
        return
    younger, older = of(product(**entry)), of(product(**entry | aged))
    for name in TESTED:
        assert STRENGTH[older[name].value] <= STRENGTH[younger[name].value], name
