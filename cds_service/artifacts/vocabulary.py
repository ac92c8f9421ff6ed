"""What can be said of a patient: conditions in the closed vocabulary, and the facts they speak of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from cds_service.artifacts.text import Id, Name, Phrase, Plain, Strict, Text
from cds_service.facts.computed import Words
from cds_service.facts.registry import (
    COMPUTED,
    Computed,
    change,
    condition_take,
    medication_take,
    observation_take,
    patient_fact,
    product_filter,
    state,
)
from cds_service.record import Route


class Condition(Strict):
    """A condition in the closed vocabulary: all any not; below at_most above at_least; is; known; may_be.

    `may_be` is true if the fact has that value or is unknown for whatever reason: a red flag speaks unless it is surely
    answered. A rule that fires on it while a list was not read fires provisionally (`Decision.provisional`).
    """

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
    may_be: bool | None = None

    @property
    def comparison(self) -> tuple[Literal["below", "at_most", "above", "at_least"], str] | None:
        for word in ("below", "at_most", "above", "at_least"):
            limit = getattr(self, word)
            if limit is not None:
                return word, limit
        return None

    @model_validator(mode="after")
    def _one_word(self) -> Condition:
        words = ("below", "at_most", "above", "at_least", "is_", "known", "may_be")
        tests = [word for word in words if getattr(self, word) is not None]
        groups = [w for w in ("all", "any", "not_") if getattr(self, w) is not None]
        if self.fact is None and (tests or len(groups) != 1):
            raise ValueError("a condition is one of all, any, not, or a fact with one test")
        if self.fact is not None and (groups or len(tests) != 1):
            raise ValueError("a fact takes exactly one of below, at_most, above, at_least, is, known, may_be")
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

    observation: what `take` makes of the results of a value set.
    medication: what `take` makes of the products of these value sets that are in a state. State recent: in use in the
        last days (`within`), or since the day of another fact (`since`). State raised or lowered: begun or dose raised,
        stopped or dose lowered, in the days (`within`) before the day of the fact named in `before`. `with_taken`: to
        the drafts found, what is in use of these value sets is added, unless a draft renews it. `dose`: only products
        of which no daily dose is stated (unstated), or of which the strength does not bound it either (unknown).
    condition: a current condition or completed procedure (boolean), or what `take` makes of those found. `without`:
        entries that belong to one of these value sets, too, do not count. `within`: its onset or its entry lies in the
        look-back, or has no day. `unconfirmed`: there is one whose diagnosis is not confirmed, and none that is.
    allergy: a reaction to one of these products or substances (boolean); `severe`: a severe one.
    family: a condition recorded of a relative (boolean); without such a list, none is recorded.
    pending: the test is ordered or in progress (boolean).
    patient: one of the words about the patient.
    when: a named condition over other facts (boolean). With `perhaps` it only leaves the fact open: unknown where the
        condition holds, no where it does not.
    count: how many of the named facts are true (quantity).

    The words of take, state, except, only and patient are declared in cds_service/facts/ and explained in
    knowledge/computed.yaml.
    """

    label: Plain
    observation: Id | None = None
    medication: list[Id] | None = None
    condition: list[Id] | None = None
    family: list[Id] | None = None
    allergy: list[Id] | None = None
    pending: list[Id] | None = None
    patient: Name | None = None
    when: Condition | None = None
    perhaps: Literal[True] | None = None
    count: list[Name] | None = None
    take: Name | None = None
    unit: str | None = None
    within: Name | None = None
    since: Since | None = None
    before: Name | None = None
    state: Name | None = None
    with_taken: Literal[True] | None = None
    route: list[Route] | None = None
    dose: Literal["unknown", "unstated"] | None = None
    without: list[Id] | None = None
    unconfirmed: Literal[True] | None = None
    severe: Literal[True] | None = None
    except_: list[Name] = Field(default=[], alias="except")
    only: Name | None = None

    @property
    def origin(self) -> str:
        return next(o for o in _ORIGINS if getattr(self, o) is not None)

    @property
    def value_sets(self) -> tuple[str, ...]:
        """The value sets that it names itself."""
        if self.observation:
            return (self.observation,)
        named = self.medication or self.condition or self.family or self.pending or self.allergy or ()
        return (*named, *(self.without or ()))

    @property
    def computed(self) -> tuple[Computed, ...]:
        """The declarations of its words, each after the one that it extends."""
        found: dict[str, Computed] = {}
        beside = "active" if self.with_taken else None
        for word in (self.take, self.state, *self.except_, self.only, self.patient, self.origin, beside):
            if declared := COMPUTED.get(word or ""):
                if declared.extends:
                    found[declared.extends] = COMPUTED[declared.extends]
                found[declared.name] = declared
        return tuple(found.values())

    @property
    def words(self) -> tuple[str, ...]:
        """The values of a fact that is a word."""
        return self.made_by.words if self.made_by else ()

    @property
    def type(self) -> Literal["quantity", "boolean", "word"]:
        if self.count is not None:
            return "quantity"
        return self.made_by.gives if self.made_by else "boolean"

    @property
    def made_by(self) -> Computed | None:
        return COMPUTED.get(self.take or self.patient or "")

    @model_validator(mode="after")
    def _shape(self) -> FactDefinition:
        origins = [o for o in _ORIGINS if getattr(self, o) is not None]
        if len(origins) != 1:
            raise ValueError(f"a fact has exactly one of {', '.join(_ORIGINS)}")
        origin = origins[0]
        given = [m for m in _OPTIONAL if getattr(self, m) is not None]
        given += ["except"] if self.except_ else []
        if wrong := [m for m in given if m not in _MEMBERS[origin]]:
            raise ValueError(f"{wrong[0]} means nothing for a fact from {origin}")
        if origin == "medication" and (self.state is None or self.take is None):
            raise ValueError("a fact from medication needs state and take")
        if origin == "observation" and self.take is None:
            raise ValueError("a fact from observation needs take")
        for member, word, places in self._placed(origin):
            if not any(word in place for place in places):
                known = ", ".join(map(str, places))
                raise ValueError(f"{member}: {word} means nothing for a fact from {origin}; known are {known}")
        if (
            (asked := COMPUTED.get(self.state or ""))
            and asked.windowed
            and (self.within is None) == (self.since is None)
        ):
            raise ValueError(f"state: {self.state} needs within or since")
        changed = self.state in change
        if changed != (self.before is not None):
            raise ValueError("before goes with state: raised or lowered")
        if changed and (self.within is None or self.take != "exists"):
            raise ValueError(f"state: {self.state} needs within and take: exists")
        if (self.type == "quantity") != (self.unit is not None):
            raise ValueError("a quantity names its unit, and nothing else does")
        if self.made_by and self.made_by.unit not in (None, self.unit):
            raise ValueError(f"{self.made_by.name} is in {self.made_by.unit}")
        return self

    def _placed(self, origin: str) -> Iterator[tuple[str, str, tuple[Words[Any], ...]]]:
        """Each of its words with the member it stands in and the words that may stand there."""
        by_origin: dict[str, Words[Any]] = {"observation": observation_take, "condition": condition_take}
        takes = by_origin.get(origin, medication_take)
        placed: tuple[tuple[str, str | None, tuple[Words[Any], ...]], ...] = (
            ("take", self.take, (takes,)),
            ("state", self.state, (state, change)),
            ("patient", self.patient, (patient_fact,)),
            ("only", self.only, (product_filter,)),
            *(("except", word, (product_filter,)) for word in self.except_),
        )
        return ((member, word, places) for member, word, places in placed if word is not None)


_ORIGINS = ("observation", "medication", "condition", "family", "allergy", "pending", "patient", "when", "count")
_OPTIONAL = (
    *("take", "within", "since", "before", "state", "route", "dose", "only"),
    *("without", "unconfirmed", "severe", "perhaps", "with_taken"),
)
_MEMBERS: dict[str, set[str]] = {
    "observation": {"take", "within", "since"},
    "medication": {"take", "state", "within", "since", "before", "route", "dose", "except", "only", "with_taken"},
    "condition": {"take", "within", "without", "unconfirmed"},
    "family": set(),
    "allergy": {"severe"},
    "pending": {"within"},
    "patient": set(),
    "when": {"perhaps"},
    "count": set(),
}


class ComputedText(Strict):
    """What a computed fact means, for people.

    phrase: the word as a part of a sentence; `{}` stands for the value sets.
    words: the values of a fact that is a word.
    detail: what the function takes for it, with the {thresholds} that it reads.
    """

    phrase: Phrase
    words: dict[str, Plain] = {}
    detail: Text | None = None
