"""Figures about cards, counted by the database: shown, accepted, overridden, unanswered, response time, patients.

Counts add up, so one query reads them in the finest groups. Medians and numbers of patients do not add up: every
grouping queries them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, String, and_, case, exists, func, literal, not_, or_, select

from cds_service.store.report_query import Dimension, Selection, cards_of, seconds_between
from cds_service.store.tables import card, feedback_event, hook_call, suggestion

DIMENSIONS: tuple[Dimension, ...] = ("rule", "variant", "indicator", "site", "month")
Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """The override reason sent by the client; code None: none was sent."""

    code: str | None
    system: str | None


@dataclass(frozen=True, slots=True)
class SuggestionUptake:
    """How often an order was suggested on a shown card, and how often it was accepted."""

    offered: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a group of cards.

    Attributes:
        silent: cards not shown, because the rule is in shadow mode or the card was snoozed for the patient.
        unanswered: shown, without feedback. Not the same as ignored: some clients send no feedback.
        patients: number of different patients; None (unknown) if any card has no patient hash.
        seconds: median time from call to answer; None without timed answers.
        timed_answers: number of answers in that median; an answer dated before its card (a wrong clock) is left out.
        orders: by id in the catalogue; None: suggestions that only change or remove a draft.
    """

    shown: int = 0
    silent: int = 0
    accepted: int = 0
    overridden: int = 0
    patients: int | None = 0
    seconds: float | None = None
    timed_answers: int = 0
    reasons: Mapping[Reason, int] = field(default_factory=dict)
    orders: Mapping[str | None, SuggestionUptake] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        return self.accepted + self.overridden

    @property
    def unanswered(self) -> int:
        return self.shown - self.answered

    @property
    def override_rate(self) -> float | None:
        """Share of the answered cards that were overridden; None without an answer."""
        return self.overridden / self.answered if self.answered else None

    @property
    def suggestions(self) -> SuggestionUptake:
        return _added(self.orders.values())


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a selection; its rule is ignored.

    Attributes:
        refused: answered with an error.
        with_cards: answered with at least one card.
        undecided: with a rule that was undecided because data could not be read.
        knowledge: the knowledge versions used, oldest first.
    """

    number: int
    refused: int
    with_cards: int
    undecided: int
    knowledge: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """A user's free text about a card; it may contain patient data."""

    rule: str
    at: str
    outcome: Literal["accepted", "overridden"]
    text: str = field(repr=False)


class Usage:
    """Figures of a selection, read over one connection; consistent with each other within a snapshot."""

    def __init__(self, connection: Connection, selection: Selection) -> None:
        self._connection = connection
        self._selection = selection
        if connection.dialect.name == "postgresql":
            # The planner underestimates the rows of "last answer of each card" and would scan all answers per card.
            # The setting lasts until the snapshot ends.
            connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
        first, last = connection.execute(
            select(func.min(hook_call.c.at), func.max(hook_call.c.at)).where(*selection.of_calls())
        ).one()
        self._cards = cards_of(selection, [] if first is None else list(selection.months(first, last)))
        self._finest = self._counts()

    def figures(self, *by: Dimension) -> dict[Key, Figures]:
        """Figures by group, keyed by the values in the order of `by`; without `by`, one group of all cards."""
        places = [DIMENSIONS.index(name) for name in by]
        counts: dict[Key, _Counts] = defaultdict(_Counts)
        for key, count in self._finest.items():
            counts[tuple(key[place] for place in places)].add(count)
        patients, medians = self._patients(by), self._medians(by)
        return {
            key: count.figures(patients[key], *medians.get(key, (None, 0)))
            for key, count in sorted(counts.items(), key=lambda item: tuple(part or "" for part in item[0]))
        }

    def calls(self) -> Calls:
        """The calls, whether or not they had a card."""
        shown = exists().where(card.c.call_id == hook_call.c.id, card.c.shown)
        wanted = self._selection.of_calls()
        row = self._connection.execute(
            select(
                func.count(),
                func.count().filter(hook_call.c.status != 200),
                func.count().filter(shown),
                func.count().filter(hook_call.c.undecided != ""),
            ).where(*wanted)
        ).one()
        versions = (
            select(hook_call.c.knowledge)
            .where(*wanted)
            .group_by(hook_call.c.knowledge)
            .order_by(func.min(hook_call.c.at))
        )
        return Calls(row[0], row[1], row[2], row[3], tuple(self._connection.execute(versions).scalars()))

    def unmatched(self) -> int | None:
        """Number of unknown cards with feedback; None if a rule or site is selected."""
        chosen, event = self._selection, feedback_event.c
        if chosen.rule is not None or chosen.site is not None:
            return None
        wanted = chosen.during(event.received)
        if chosen.service is not None:
            wanted.append(event.service == chosen.service)
        known = exists().where(card.c.id == event.card, card.c.shown)
        return self._connection.execute(
            select(func.count(event.card.distinct())).where(not_(known), *wanted)
        ).scalar_one()

    def comments(self) -> Iterator[Comment]:
        """Comments on the cards of the selection, by rule, oldest first."""
        cards, event = self._cards.c, feedback_event.c
        query = (
            select(cards.rule, event.at, event.outcome, event.comment)
            .join(self._cards, and_(cards.id == event.card, cards.shown))
            .where(event.comment.is_not(None))
            .order_by(cards.rule, event.at, event.id)
        )
        return (Comment(*row) for row in self._connection.execute(query))

    def _counts(self) -> dict[Key, _Counts]:
        cards = self._cards.c
        found: dict[Key, _Counts] = defaultdict(_Counts)
        keys = self._columns(DIMENSIONS)
        counted = select(
            *keys,
            func.count().filter(cards.shown),
            func.count().filter(not_(cards.shown)),
            func.count().filter(cards.outcome == "accepted"),
            func.count().filter(cards.outcome == "overridden"),
        ).group_by(*keys)
        for key, values in self._rows(counted, DIMENSIONS):
            found[key].numbers = list(values)
        reasons = (
            select(*keys, cards.reason_code, cards.reason_system, func.count())
            .where(cards.outcome == "overridden")
            .group_by(*keys, cards.reason_code, cards.reason_system)
        )
        for key, (code, system, number) in self._rows(reasons, DIMENSIONS):
            found[key].reasons[Reason(code, system)] = number
        for key, (order, offered, accepted) in self._rows(self._orders(), DIMENSIONS):
            found[key].orders[order] = SuggestionUptake(offered, accepted)
        return found

    def _orders(self) -> Any:
        cards, event, keys = self._cards.c, feedback_event.c, self._columns(DIMENSIONS)
        # `accepted` holds one suggestion id per line.
        lines = literal("\n", String) + event.accepted + "\n"
        named = exists().where(
            event.card == cards.id, event.outcome == "accepted", lines.contains("\n" + suggestion.c.id + "\n")
        )
        taken = case((cards.outcome == "accepted", case((named, 1), else_=0)), else_=0)
        return (
            select(*keys, suggestion.c.order_id, func.count(), func.sum(taken))
            .join(self._cards, cards.id == suggestion.c.card_id)
            .where(cards.shown)
            .group_by(*keys, suggestion.c.order_id)
        )

    def _patients(self, by: Sequence[Dimension]) -> dict[Key, int | None]:
        cards, keys = self._cards.c, self._columns(by)
        unknown = func.count().filter(cards.patient_hash.is_(None))
        query = select(*keys, func.count(cards.patient_hash.distinct()), unknown).group_by(*keys)
        return {key: None if unnamed else number for key, (number, unnamed) in self._rows(query, by)}

    def _medians(self, by: Sequence[Dimension]) -> dict[Key, tuple[float, int]]:
        """The median response time per group, with the number of answers it covers."""
        cards, keys = self._cards.c, self._columns(by)
        seconds = seconds_between(cards.at, cards.answered)
        timed = select(*keys, seconds.label("seconds")).where(cards.outcome.is_not(None), seconds >= 0).cte("timed")
        groups = [timed.c[name] for name in by]
        placed = select(
            timed,
            func.row_number().over(partition_by=groups or None, order_by=timed.c.seconds).label("place"),
            func.count().over(partition_by=groups or None).label("number"),
        ).cte("placed")
        place, number = placed.c.place * 2, placed.c.number
        groups = [placed.c[name] for name in by]
        query = (
            select(*groups, func.avg(placed.c.seconds), func.max(number))
            .where(or_(place == number, place == number + 1, place == number + 2))
            .group_by(*groups)
        )
        return {key: (middle, count) for key, (middle, count) in self._rows(query, by) if count}

    def _columns(self, names: Sequence[Dimension]) -> list[Any]:
        return [self._cards.c[name] for name in names]

    def _rows(self, query: Any, by: Sequence[Dimension]) -> Iterator[tuple[Key, Sequence[Any]]]:
        row: Row[Any]
        for row in self._connection.execute(query):
            yield tuple(row[: len(by)]), row[len(by) :]


class _Counts:
    """Summable counts of a group."""

    def __init__(self) -> None:
        self.numbers = [0, 0, 0, 0]
        self.reasons: dict[Reason, int] = defaultdict(int)
        self.orders: dict[str | None, SuggestionUptake] = {}

    def add(self, other: _Counts) -> None:
        self.numbers = [one + more for one, more in zip(self.numbers, other.numbers, strict=True)]
        for reason, number in other.reasons.items():
            self.reasons[reason] += number
        for order, taken in other.orders.items():
            self.orders[order] = _added([self.orders.get(order, SuggestionUptake(0, 0)), taken])

    def figures(self, patients: int | None, seconds: float | None, timed_answers: int) -> Figures:
        shown, silent, accepted, overridden = self.numbers
        reasons, orders = dict(self.reasons), dict(self.orders)
        return Figures(shown, silent, accepted, overridden, patients, seconds, timed_answers, reasons, orders)


def _added(several: Collection[SuggestionUptake]) -> SuggestionUptake:
    return SuggestionUptake(sum(one.offered for one in several), sum(one.accepted for one in several))
