"""What became of cards, counted by the database: on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from cds_service.errors import BadRequest, Unavailable
from cds_service.store.database import Database
from cds_service.store.report_figures import DIMENSIONS, Calls, Figures, Reason, SuggestionUptake, Usage
from cds_service.store.report_query import Dimension, Selection
from cds_service.store.tables import card, suggestion
from tests.support.records import AT, SERVICE, answer, keep, opened, shown

SHANGHAI = ZoneInfo("Asia/Shanghai")
IN_UTC = Selection(zone=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


def figures(database: Database, *by: Dimension, of: Selection = IN_UTC) -> dict[tuple[str | None, ...], Figures]:
    with database.snapshot("") as connection:
        return Usage(connection, of).figures(*by)


def total(database: Database, of: Selection = IN_UTC) -> Figures:
    return figures(database, of=of)[()]


# --- outcomes ----------------------------------------------------------------------------------------------------


def test_a_card_that_nobody_answered_is_unanswered_and_not_overridden(database: Database) -> None:
    keep(database, shown(), shown())
    found = total(database)
    assert (found.shown, found.answered, found.unanswered, found.override_rate) == (2, 0, 2, None)


def test_a_card_that_was_accepted_and_then_overridden_is_overridden(database: Database) -> None:
    one = shown()
    keep(database, one)
    answer(database, one, "overridden", after=120, reason_code="disagree")
    answer(database, one, "accepted", after=60)
    found = total(database)
    assert (found.accepted, found.overridden, found.unanswered) == (0, 1, 0)
    assert found.reasons == {Reason("disagree", None): 1}


def test_a_card_that_was_overridden_and_then_accepted_is_accepted_and_has_no_reason(database: Database) -> None:
    one = shown()
    keep(database, one)
    answer(database, one, "overridden", after=60, reason_code="disagree")
    answer(database, one, "accepted", after=90)
    found = total(database)
    assert (found.accepted, found.overridden, found.reasons) == (1, 0, {})


def test_of_two_answers_of_one_moment_the_later_report_counts(database: Database) -> None:
    one = shown()
    keep(database, one)
    answer(database, one, "overridden")
    answer(database, one, "accepted")
    assert (total(database).accepted, total(database).overridden) == (1, 0)


def test_a_silent_card_is_neither_shown_nor_unanswered(database: Database) -> None:
    keep(database, shown(), shown(shown=False))
    assert (total(database).shown, total(database).silent, total(database).unanswered) == (1, 1, 1)


def test_answers_are_counted_by_their_reasons(database: Database) -> None:
    cards = [shown() for _ in range(4)]
    keep(database, *cards)
    for one, reason in zip(cards, ("disagree", "disagree", "not-applicable", None), strict=True):
        answer(database, one, reason_code=reason, reason_system=reason and "urn:x")
    assert total(database).reasons == {
        Reason("disagree", "urn:x"): 2,
        Reason("not-applicable", "urn:x"): 1,
        Reason(None, None): 1,
    }


# --- suggestions -------------------------------------------------------------------------------------------------


def test_suggestions_are_counted_by_their_orders(database: Database) -> None:
    first, second = shown(orders=("order-mma", "order-hcy")), shown(orders=("order-mma", None))
    keep(database, first, second)
    answer(database, first, "accepted", accepted=(first.suggestions[0].id, first.suggestions[1].id))
    answer(database, second, "accepted", accepted=(second.suggestions[1].id,))
    found = total(database)
    assert found.orders == {
        "order-mma": SuggestionUptake(2, 1),
        "order-hcy": SuggestionUptake(1, 1),
        None: SuggestionUptake(1, 1),
    }
    assert found.suggestions == SuggestionUptake(4, 3)


def test_suggestions_that_were_accepted_one_after_the_other_all_count(database: Database) -> None:
    one = shown(orders=("order-mma", "order-hcy"))
    keep(database, one)
    answer(database, one, "accepted", after=10, accepted=(one.suggestions[0].id,))
    answer(database, one, "accepted", after=20, accepted=(one.suggestions[1].id,))
    assert total(database).orders == {"order-mma": SuggestionUptake(1, 1), "order-hcy": SuggestionUptake(1, 1)}
    assert total(database).accepted == 1


def test_a_suggestion_of_a_card_that_was_overridden_in_the_end_is_not_accepted(database: Database) -> None:
    one = shown(orders=("order-mma",))
    keep(database, one)
    answer(database, one, "accepted", after=10, accepted=(one.suggestions[0].id,))
    answer(database, one, "overridden", after=20)
    assert total(database).orders == {"order-mma": SuggestionUptake(1, 0)}


def test_a_suggestion_of_another_card_is_not_accepted_by_a_name_that_only_begins_alike(database: Database) -> None:
    one = shown(orders=("order-mma",))
    keep(database, one)
    answer(database, one, "accepted", accepted=(one.suggestions[0].id + "0", "x" + one.suggestions[0].id))
    assert total(database).orders == {"order-mma": SuggestionUptake(1, 0)}


# --- how fast, for how many --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("waited", "median"), [((7,), 7), ((1, 100, 5), 5), ((4, 1, 100, 6), 5), ((0, 0.25), 0.125)])
def test_the_median_time_is_that_in_the_middle(database: Database, waited: tuple[float, ...], median: float) -> None:
    for seconds in waited:
        one = shown()
        keep(database, one)
        answer(database, one, after=seconds)
    assert total(database).seconds == pytest.approx(median, abs=0.002)
    assert total(database).timed_answers == len(waited)


def test_an_answer_from_before_its_card_has_no_time_but_counts(database: Database) -> None:
    one, two = shown(), shown()
    keep(database, one, two)
    answer(database, one, after=-5)
    answer(database, two, after=40)
    found = total(database)
    assert (found.overridden, found.timed_answers) == (2, 1)
    assert found.seconds == pytest.approx(40, abs=0.002)


def test_without_answers_there_is_no_time(database: Database) -> None:
    keep(database, shown())
    assert (total(database).seconds, total(database).timed_answers) == (None, 0)


def test_a_patient_with_two_cards_counts_once(database: Database) -> None:
    keep(database, shown(), shown("vka-vitk-concurrent"), patient="a" * 64)
    keep(database, shown(), patient="b" * 64)
    assert total(database).patients == 2
    assert {key: found.patients for key, found in figures(database, "rule").items()} == {
        ("b12-low",): 2,
        ("vka-vitk-concurrent",): 1,
    }


def test_how_many_patients_there_were_is_unknown_where_one_has_no_hash(database: Database) -> None:
    keep(database, shown(), patient=None)
    keep(database, shown(), shown("vka-vitk-concurrent"), patient="a" * 64)
    assert total(database).patients is None
    assert figures(database, "rule")[("vka-vitk-concurrent",)].patients == 1


# --- groups ------------------------------------------------------------------------------------------------------


def test_rule_variant_severity_and_site_are_told_apart(database: Database) -> None:
    keep(database, shown(), shown(variant="pregnancy"), site="north")
    keep(database, shown(indicator="warning"))
    assert {key: found.shown for key, found in figures(database, *DIMENSIONS).items()} == {
        ("b12-low", None, "info", "north", "2026-10"): 1,
        ("b12-low", "pregnancy", "info", "north", "2026-10"): 1,
        ("b12-low", None, "warning", None, "2026-10"): 1,
    }
    assert {key: found.shown for key, found in figures(database, "site").items()} == {("north",): 2, (None,): 1}


@pytest.mark.parametrize(
    ("zone", "months"),
    [(UTC, ["2026-09", "2026-10"]), (SHANGHAI, ["2026-10"]), (ZoneInfo("America/New_York"), ["2026-09"])],
)
def test_a_month_begins_at_midnight_of_the_site(database: Database, zone: ZoneInfo, months: list[str]) -> None:
    keep(database, shown(), at=datetime(2026, 9, 30, 20, tzinfo=UTC))
    keep(database, shown(), at=datetime(2026, 10, 1, 2, tzinfo=UTC))
    assert [key[0] for key in figures(database, "month", of=Selection(zone=zone))] == months


def test_months_on_both_sides_of_a_new_year_are_in_their_order(database: Database) -> None:
    for month, year in ((1, 2027), (12, 2026), (2, 2027)):
        keep(database, shown(), at=datetime(year, month, 3, tzinfo=UTC))
    assert [key[0] for key in figures(database, "month")] == ["2026-12", "2027-01", "2027-02"]


# --- selections --------------------------------------------------------------------------------------------------


def test_both_days_of_a_period_belong_to_it(database: Database) -> None:
    for day in (5, 6, 7, 8):
        keep(database, shown(f"rule-{day}"), at=datetime(2026, 10, day, 23, 59, 59, 999_999, tzinfo=UTC))
    keep(database, shown("rule-6"), at=datetime(2026, 10, 6, tzinfo=UTC))
    period = Selection(date(2026, 10, 6), date(2026, 10, 7), UTC)
    assert {key[0]: found.shown for key, found in figures(database, "rule", of=period).items()} == {
        "rule-6": 2,
        "rule-7": 1,
    }


def test_days_are_those_of_the_site(database: Database) -> None:
    keep(database, shown(), at=datetime(2026, 10, 5, 17, tzinfo=UTC))
    day = date(2026, 10, 6)
    assert total(database, of=Selection(day, day, SHANGHAI)).shown == 1
    assert figures(database, of=Selection(day, day, UTC)) == {}


def test_an_answer_counts_in_the_period_of_its_card(database: Database) -> None:
    one = shown()
    keep(database, one, at=datetime(2026, 10, 6, 12, tzinfo=UTC))
    answer(database, one, since=datetime(2026, 10, 9, tzinfo=UTC))
    day = date(2026, 10, 6)
    assert total(database, of=Selection(day, day, UTC)).overridden == 1


@pytest.mark.parametrize("member", ["service", "rule", "site"])
def test_a_selection_leaves_out_what_is_of_another(database: Database, member: str) -> None:
    keep(database, shown(), site="north")
    keep(database, shown("other-rule"), site="south", service="other-service")
    wanted = {"service": SERVICE, "rule": "b12-low", "site": "north"}[member]
    chosen = Selection(zone=UTC, **{member: wanted})  # type: ignore[arg-type]
    assert list(figures(database, "rule", of=chosen)) == [("b12-low",)]


@pytest.mark.parametrize(
    ("first", "last"), [(date(2026, 10, 7), date(2026, 10, 6)), (date(1, 1, 1), None), (None, date(9999, 12, 31))]
)
def test_days_that_make_no_period_are_refused(first: date | None, last: date | None) -> None:
    with pytest.raises(BadRequest, match="period"):
        Selection(first, last)


# --- besides the cards -------------------------------------------------------------------------------------------


def test_calls_are_counted_whether_or_not_they_had_a_card(database: Database) -> None:
    keep(database, shown(), shown(shown=False), knowledge="2")
    keep(database, shown(shown=False), undecided=("b12-low",), knowledge="1", at=datetime(2026, 10, 1, tzinfo=UTC))
    keep(database, status=412, undecided=("b12-low",), knowledge="2")
    with database.snapshot("") as connection:
        assert Usage(connection, IN_UTC).calls() == Calls(3, 1, 1, 2, ("1", "2"))


def unmatched(database: Database, **selected: str) -> int | None:
    with database.snapshot("") as connection:
        return Usage(connection, Selection(zone=UTC, **selected)).unmatched()  # type: ignore[arg-type]


def test_feedback_on_unknown_cards_is_counted_apart(database: Database) -> None:
    keep(database, shown())
    for after in (1, 2):
        answer(database, "card-of-nobody", after=after)
    answer(database, "another")
    assert (total(database).answered, unmatched(database)) == (0, 2)
    assert (unmatched(database, service=SERVICE), unmatched(database, service="other")) == (2, 0)


def test_feedback_on_a_card_that_was_not_shown_is_unmatched(database: Database) -> None:
    one = shown(shown=False)
    keep(database, one)
    answer(database, one)
    assert (total(database).answered, total(database).silent, unmatched(database)) == (0, 1, 1)


@pytest.mark.parametrize("member", ["rule", "site"])
def test_feedback_on_unknown_cards_belongs_to_no_rule_and_no_site(database: Database, member: str) -> None:
    answer(database, "card-of-nobody")
    assert unmatched(database, **{member: "b12-low"}) is None


def test_comments_come_rule_by_rule_and_oldest_first(database: Database) -> None:
    one, two = shown("b"), shown("a")
    keep(database, one, two)
    answer(database, one, comment="second", after=20)
    answer(database, one, "accepted", comment="first", after=10)
    answer(database, two, comment="of a")
    answer(database, "card-of-nobody", comment="of nobody")
    with database.snapshot("") as connection:
        found = list(Usage(connection, IN_UTC).comments())
    assert [(each.rule, each.text, each.outcome) for each in found] == [
        ("a", "of a", "overridden"),
        ("b", "first", "accepted"),
        ("b", "second", "overridden"),
    ]
    assert "second" not in repr(found)


def test_an_empty_database_has_no_figures(database: Database) -> None:
    with database.snapshot("") as connection:
        usage = Usage(connection, IN_UTC)
        assert (usage.figures(), usage.figures(*DIMENSIONS), usage.unmatched()) == ({}, {}, 0)
        assert usage.calls() == Calls(0, 0, 0, 0, ())


# --- snapshots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_timeout", [False, True])
def test_within_a_snapshot_nothing_changes_and_nobody_is_held_up(database: Database, no_timeout: bool) -> None:
    keep(database, shown())
    with database.snapshot("", no_timeout=no_timeout) as connection:
        usage = Usage(connection, IN_UTC)
        keep(database, shown(), at=AT)
        assert (usage.calls().number, usage.figures()[()].patients) == (1, 1)
    assert total(database).shown == 2


def test_a_snapshot_leaves_no_transaction_behind(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.snapshot(""):
        raise ZeroDivisionError
    for _ in range(3):
        keep(database, shown())
        assert figures(database)[()].shown


def test_a_question_that_the_database_cannot_answer_is_told_as_such(database: Database) -> None:
    with database.transaction("") as connection:
        suggestion.drop(connection)
        card.drop(connection)
    with pytest.raises(Unavailable, match="not now"), database.snapshot("not now") as connection:
        Usage(connection, IN_UTC)
