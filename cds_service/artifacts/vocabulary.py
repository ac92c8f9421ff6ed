"""What can be said of a patient: conditions in the closed vocabulary, and the facts they speak of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cds_service.artifacts.text import Id, Name, Plain, Strict
from cds_service.record import Route


class Condition(Strict):
    """A condition in the closed vocabulary: all any not; below at_most above at_least; is; known."""

    all: list[Condition] | None = None
    any: list[Condition] | None = None
    not_: Condition | None = Field(default=None, alias="not")
    fact: Name | None = None
    below: Name | None = None
    at_most: Name | None = None
    above: Name | None = None
    at_least: Name | None = None
    is_: bool | str | None = Field(default=None, alias="is")
    known: bool | None = None

    @property
    def comparison(self) -> tuple[Literal["below", "at_most", "above", "at_least"], str] | None:
        for word in ("below", "at_most", "above", "at_least"):
            limit = getattr(self, word)
            if limit is not None:
                return word, limit
        return None

    @model_validator(mode="after")
    def _one_word(self) -> Condition:
        tests = [w for w in ("below", "at_most", "above", "at_least", "is_", "known") if getattr(self, w) is not None]
        groups = [w for w in ("all", "any", "not_") if getattr(self, w) is not None]
        if self.fact is None and (tests or len(groups) != 1):
            raise ValueError("a condition is one of all, any, not, or a fact with one test")
        if self.fact is not None and (groups or len(tests) != 1):
            raise ValueError("a fact takes exactly one of below, at_most, above, at_least, is, known")
        return self


class Since(Strict):
    """A window that opens some days before (negative) or after (positive) the day of another fact.

    to: the last day of the window, counted in the same way; without it the window is open to this day.
    """

    fact: Name
    days: int
    to: int | None = None


class FactDefinition(Strict):
    """A name for something that can be known of a patient. Exactly one of the origins is given.

    observation: take latest or lowest (quantities), tested, flagged_low, flagged_high (booleans), or
        against_inr_target (a word).
    medication: take exists (boolean), or highest_daily_dose, highest_dose, longest_duration, longest_course,
        shortest_unchanged, replacement_course (quantities). State recent: in use in the last days (`within`), or since
        the day of another fact (`since`). State raised or lowered: begun or dose raised, stopped or dose lowered, in
        the days (`within`) before the day of the fact named in `before`.
    condition: a current condition or completed procedure (boolean).
    family: a condition recorded of a relative (boolean); without such a list, none is recorded.
    pending: the test is ordered or in progress (boolean).
    patient: age (years), sex (a word), alive or orders_in_hand (booleans).
    when: a named condition over other facts (boolean).
    count: how many of the named facts are true (quantity).
    """

    label: Plain
    observation: Id | None = None
    medication: list[Id] | None = None
    condition: list[Id] | None = None
    family: list[Id] | None = None
    pending: list[Id] | None = None
    patient: Literal["age", "sex", "alive", "orders_in_hand"] | None = None
    when: Condition | None = None
    count: list[Name] | None = None
    take: (
        Literal[
            "latest",
            "lowest",
            "tested",
            "flagged_low",
            "flagged_high",
            "against_inr_target",
            "exists",
            "highest_daily_dose",
            "highest_dose",
            "longest_duration",
            "longest_course",
            "shortest_unchanged",
            "replacement_course",
        ]
        | None
    ) = None
    unit: str | None = None
    within: Name | None = None
    since: Since | None = None
    before: Name | None = None
    state: Literal["active", "selected", "drafted", "recent", "raised", "lowered"] | None = None
    route: list[Route] | None = None
    dose: Literal["known", "unknown"] | None = None
    except_: list[Literal["topical", "unchanged_renewal", "reversal", "past_reversal", "prophylaxis"]] = Field(
        default=[], alias="except"
    )
    only: Literal["reversal", "unit_slip", "replacement"] | None = None

    @property
    def origin(self) -> str:
        return next(o for o in _ORIGINS if getattr(self, o) is not None)

    @property
    def words(self) -> tuple[str, ...]:
        """The values of a fact that is a word."""
        if self.patient == "sex":
            return "male", "female"
        return ("below", "in_range", "above") if self.take == "against_inr_target" else ()

    @property
    def type(self) -> Literal["quantity", "boolean", "word"]:
        if self.words:
            return "word"
        if self.take in _QUANTITIES:
            return "quantity"
        return "quantity" if self.patient == "age" or self.count is not None else "boolean"

    @model_validator(mode="after")
    def _shape(self) -> FactDefinition:
        origins = [o for o in _ORIGINS if getattr(self, o) is not None]
        if len(origins) != 1:
            raise ValueError(f"a fact has exactly one of {', '.join(_ORIGINS)}")
        allowed = _MEMBERS[origins[0]]
        members = ("take", "within", "since", "before", "state", "route", "dose", "only")
        given = [m for m in members if getattr(self, m) is not None]
        given += ["except"] if self.except_ else []
        if wrong := [m for m in given if m not in allowed]:
            raise ValueError(f"{wrong[0]} means nothing for a fact from {origins[0]}")
        if origins[0] == "medication" and (self.state is None or self.take is None):
            raise ValueError("a fact from medication needs state and take")
        if origins[0] == "observation" and self.take is None:
            raise ValueError("a fact from observation needs take")
        if self.take and self.take not in _TAKES[origins[0]]:
            raise ValueError(f"take: {self.take} means nothing for a fact from {origins[0]}")
        if self.state == "recent" and (self.within is None) == (self.since is None):
            raise ValueError("state: recent needs within or since")
        if (self.state in ("raised", "lowered")) != (self.before is not None):
            raise ValueError("before goes with state: raised or lowered")
        if self.state in ("raised", "lowered") and (self.within is None or self.take != "exists"):
            raise ValueError(f"state: {self.state} needs within and take: exists")
        if (self.type == "quantity") != (self.unit is not None):
            raise ValueError("a quantity names its unit, and nothing else does")
        return self


_ORIGINS = ("observation", "medication", "condition", "family", "pending", "patient", "when", "count")
_MEMBERS: dict[str, set[str]] = {
    "observation": {"take", "within", "since"},
    "medication": {"take", "state", "within", "since", "before", "route", "dose", "except", "only"},
    "condition": {"within"},
    "family": set(),
    "pending": {"within"},
    "patient": set(),
    "when": set(),
    "count": set(),
}
_TAKES: dict[str, set[str]] = {
    "observation": {"latest", "lowest", "tested", "flagged_low", "flagged_high", "against_inr_target"},
    "medication": {
        "exists",
        "highest_daily_dose",
        "highest_dose",
        "longest_duration",
        "longest_course",
        "shortest_unchanged",
        "replacement_course",
    },
}
_QUANTITIES = (
    "latest",
    "lowest",
    "highest_daily_dose",
    "highest_dose",
    "longest_duration",
    "longest_course",
    "shortest_unchanged",
    "replacement_course",
)
