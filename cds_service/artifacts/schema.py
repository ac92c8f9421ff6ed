"""What a knowledge file may say: sources, statements, thresholds, facts, rules, orders, services."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from cds_service.record import Route

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
StatementId = Annotated[str, StringConstraints(pattern=r"^(S[0-4]-\d{2}|G\d{2})$")]
SourceId = Annotated[str, StringConstraints(pattern=r"^(S[0-4]|G\d{2})$")]
Hook = Literal["patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge"]
Indicator = Literal["info", "warning", "critical"]
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Strict(BaseModel):
    """No unknown members, no silent conversions, no later change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Text(Strict):
    """The same words in English and Chinese, side by side."""

    en: Annotated[str, StringConstraints(min_length=1)]
    zh: Annotated[str, StringConstraints(min_length=1)]

    def in_language(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    @property
    def placeholders(self) -> set[str]:
        return set(_PLACEHOLDER.findall(self.en))

    @model_validator(mode="after")
    def _same_placeholders(self) -> Text:
        if set(_PLACEHOLDER.findall(self.en)) != set(_PLACEHOLDER.findall(self.zh)):
            raise ValueError("English and Chinese must use the same {placeholders}")
        return self


class Plain(Text):
    """Text without placeholders."""

    @model_validator(mode="after")
    def _no_placeholders(self) -> Plain:
        if self.placeholders:
            raise ValueError("no {placeholders} are filled in here")
        return self


class Summary(Plain):
    """CDS Hooks 2.0, Card Attributes: summary is one sentence of fewer than 140 characters."""

    @model_validator(mode="after")
    def _short(self) -> Summary:
        for language, text in (("en", self.en), ("zh", self.zh)):
            if len(text) > 139:
                raise ValueError(f"the {language} summary has {len(text)} characters; a summary has at most 139")
            if "\n" in text:
                raise ValueError(f"the {language} summary has a line break; it is one sentence")
        return self


class Quantity(Strict):
    value: float
    unit: str


class Source(Strict):
    """One document that statements come from. `tier` 1 is the most trusted; see knowledge/README.md."""

    id: SourceId
    kind: Literal["seed", "addition"]
    title: Plain
    author: str
    year: int
    short: Plain
    tier: Literal[1, 2, 3, 4]
    seen: Literal["read", "secondary", "memory"]
    url: str | None = None
    note: Plain | None = None
    defects: list[Plain] = []


class Statement(Strict):
    """One statement of a source, in our words, and what was done with it."""

    id: StatementId
    text: Plain
    kind: Literal[
        "threshold", "population", "cause", "drug effect", "dose", "monitoring", "interaction", "contraindication",
        "evidence", "mechanism", "caveat", "about the document",
    ]
    disposition: Annotated[list[Literal["rule", "parameter", "card", "context", "rejected"]], Field(min_length=1)]
    because: Plain | None = None

    @model_validator(mode="after")
    def _rejection_has_a_reason(self) -> Statement:
        if "rejected" in self.disposition and self.because is None:
            raise ValueError("a rejected statement says why in `because`")
        return self


class DatedValue(Strict):
    since: date
    value: float

    @field_validator("since", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        return date.fromisoformat(value) if isinstance(value, str) else value


class Threshold(Strict):
    """A number that decisions rest on. The latest value whose `since` has come applies."""

    label: Plain
    unit: str
    values: Annotated[list[DatedValue], Field(min_length=1)]
    source: Annotated[list[StatementId], Field(min_length=1)]
    section: str = ""
    note: Plain | None = None

    def at(self, as_of: date) -> float:
        """The value in force on a day; before the first `since`, the first value."""
        started = [dated for dated in self.values if dated.since <= as_of]
        return max(started, key=lambda dated: dated.since).value if started else self.values[0].value


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
    """A window that opens some days before (negative) or after (positive) the day of another fact."""

    fact: Name
    days: int


class FactDefinition(Strict):
    """A name for something that can be known of a patient. Exactly one of the origins is given.

    observation: take latest (a quantity), tested, flagged_low (booleans), or against_inr_target (a word).
    medication: take exists (boolean), highest_daily_dose, highest_dose, longest_duration, shortest_unchanged (quantities).
    condition: a current condition or completed procedure (boolean).
    pending: the test is ordered or in progress (boolean).
    patient: age (years), alive or orders_in_hand (booleans).
    when: a named condition over other facts (boolean).
    count: how many of the named facts are true (quantity).
    """

    label: Plain
    observation: Id | None = None
    medication: list[Id] | None = None
    condition: list[Id] | None = None
    pending: list[Id] | None = None
    patient: Literal["age", "alive", "orders_in_hand"] | None = None
    when: Condition | None = None
    count: list[Name] | None = None
    take: Literal[
        "latest", "tested", "flagged_low", "against_inr_target",
        "exists", "highest_daily_dose", "highest_dose", "longest_duration", "shortest_unchanged",
    ] | None = None
    unit: str | None = None
    within: Name | None = None
    since: Since | None = None
    state: Literal["active", "selected", "drafted", "recent"] | None = None
    route: list[Route] | None = None
    dose: Literal["known", "unknown"] | None = None
    except_: list[Literal["topical", "unchanged_renewal", "reversal"]] = Field(default=[], alias="except")
    only: Literal["reversal"] | None = None

    @property
    def origin(self) -> str:
        return next(o for o in _ORIGINS if getattr(self, o) is not None)

    @property
    def type(self) -> Literal["quantity", "boolean", "word"]:
        if self.take == "against_inr_target":
            return "word"
        if self.take in ("latest", "highest_daily_dose", "highest_dose", "longest_duration", "shortest_unchanged"):
            return "quantity"
        return "quantity" if self.patient == "age" or self.count is not None else "boolean"

    @model_validator(mode="after")
    def _shape(self) -> FactDefinition:
        origins = [o for o in _ORIGINS if getattr(self, o) is not None]
        if len(origins) != 1:
            raise ValueError(f"a fact has exactly one of {', '.join(_ORIGINS)}")
        allowed = _MEMBERS[origins[0]]
        given = [m for m in ("take", "within", "since", "state", "route", "dose", "only") if getattr(self, m) is not None]
        given += ["except"] if self.except_ else []
        if wrong := [m for m in given if m not in allowed]:
            raise ValueError(f"{wrong[0]} means nothing for a fact from {origins[0]}")
        if origins[0] == "medication" and (self.state is None or self.take is None):
            raise ValueError("a fact from medication needs state and take")
        if origins[0] == "observation" and self.take is None:
            raise ValueError("a fact from observation needs take")
        if self.take and self.take not in _TAKES[origins[0]]:
            raise ValueError(f"take: {self.take} means nothing for a fact from {origins[0]}")
        if self.state == "recent" and self.within is None:
            raise ValueError("state: recent needs within")
        if (self.type == "quantity") != (self.unit is not None):
            raise ValueError("a quantity names its unit, and nothing else does")
        return self


_ORIGINS = ("observation", "medication", "condition", "pending", "patient", "when", "count")
_MEMBERS: dict[str, set[str]] = {
    "observation": {"take", "within", "since"},
    "medication": {"take", "state", "within", "route", "dose", "except", "only"},
    "condition": {"within"},
    "pending": {"within"},
    "patient": set(),
    "when": set(),
    "count": set(),
}
_TAKES: dict[str, set[str]] = {
    "observation": {"latest", "tested", "flagged_low", "against_inr_target"},
    "medication": {"exists", "highest_daily_dose", "highest_dose", "longest_duration", "shortest_unchanged"},
}


class Line(Text):
    """One paragraph of a card's detail. `{fact}` prints value, unit and date; `{threshold}` prints the limit."""

    when: Condition | None = None
    cites: list[StatementId] = []


class SuggestionUse(Strict):
    """An order of the catalogue, offered when its condition (if any) is true.

    of: for orders that remove or stop something, the fact whose products they are about.
    """

    order: Id
    of: Name | None = None
    when: Condition | None = None
    recommended: bool | Condition = False


class CardText(Strict):
    indicator: Indicator
    summary: Summary
    detail: Annotated[list[Line], Field(min_length=1)]
    suggestions: list[SuggestionUse] = []
    override_reasons: list[Id] = []


class Variant(Strict):
    """What a rule says to some of its patients. The first variant whose condition is true applies; what it leaves out
    is taken from the rule's card."""

    id: Id
    when: Condition
    indicator: Indicator | None = None
    summary: Summary | None = None
    detail: list[Line] | None = None
    suggestions: list[SuggestionUse] | None = None


class Attributes(Strict):
    """Source attributes of evidence-based decision support (45 CFR 170.315(b)(11), HTI-1)."""

    developer: str
    funding: str
    uses: list[str] = []


class Rule(Strict):
    """One rule: when it speaks, what it says, where that comes from and when it is wrong.

    kind `silence`: it never shows a card; it names a situation in which the service deliberately says nothing, so that
    a trace and the catalogue can show that silence as a decision. `explains` lists the rules it keeps quiet.
    """

    id: Id
    kind: Literal["rule", "silence"] = "rule"
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    status: Literal["draft", "active", "retired"]
    enabled: bool = True
    hooks: Annotated[list[Hook], Field(min_length=1)]
    priority: Annotated[int, Field(ge=1)] | None = None
    title: Plain
    why: Plain
    when: Condition
    unless: Condition | None = None
    when_unknown: Literal["silent"] = "silent"
    silenced_by: list[Id] = []
    explains: list[Id] = []
    variants: list[Variant] = []
    card: CardText | None = None
    known_wrong: Plain
    source: Annotated[list[StatementId], Field(min_length=1)]
    author: str
    checked_by: str | None = None
    reviewed: str | None = None
    next_review: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]

    @model_validator(mode="after")
    def _kind(self) -> Rule:
        if self.kind == "rule" and (self.card is None or self.priority is None):
            raise ValueError("a rule has a card and a priority")
        if self.kind == "silence" and (self.card is not None or self.variants or not self.explains):
            raise ValueError("a silence has no card and no variants, and explains at least one rule")
        if len({variant.id for variant in self.variants}) != len(self.variants):
            raise ValueError("two variants have one id")
        return self


class Topic(Strict):
    """A field of decisions: whom it applies to and who answers for it."""

    id: Id
    title: Plain
    scope: Plain
    applies: Condition
    no_info_when: Condition | None = None
    owner: str
    attributes: Attributes
    override_reasons: list[Id]


class OverrideReason(Strict):
    text: Plain


class CodeRef(Strict):
    """A code as it is written into a draft order; `system` is a short name of cds_service/coding.py."""

    system: str
    code: str
    display: str


class Step(Strict):
    """One step of a schedule: once every so many days (d), weeks (wk) or months (mo), for so many days."""

    text: Plain
    every: Annotated[int, Field(ge=1)]
    unit: Literal["d", "wk", "mo"]
    for_days: list[int] | None = None

    @field_validator("for_days")
    @classmethod
    def _range(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and (len(value) != 2 or not 0 < value[0] <= value[1]):
            raise ValueError("for_days is two whole numbers, the shortest and the longest duration")
        return value


class Medicine(Strict):
    """A medicine to be drafted: product, dose, route and schedule, each in code and in words."""

    text: Plain
    codings: list[CodeRef] = []
    dose: Quantity
    route: Literal["oral", "sublingual", "im"]
    schedule: Annotated[list[Step], Field(min_length=1)]


class MedicineChoice(Strict):
    when: Condition | None = None
    medicine: Medicine


class LabOrder(Strict):
    """A laboratory test to be drafted. It is not offered while a result is fresh or the test is pending."""

    observation: Id
    text: Plain
    codings: Annotated[list[CodeRef], Field(min_length=1)]
    note: Plain | None = None
    fresh_within: Name | None = None
    also_fresh: list[Id] = []


class Order(Strict):
    """One entry of the suggestion catalogue. Exactly one of test, medicine, remove, stop."""

    label: Plain
    test: LabOrder | None = None
    medicine: list[MedicineChoice] | None = None
    remove: Literal[True] | None = None
    stop: Literal[True] | None = None
    withheld_when: Condition | None = None
    source: list[StatementId] = []

    @property
    def is_treatment(self) -> bool:
        return self.test is None

    @model_validator(mode="after")
    def _one_kind(self) -> Order:
        if len([k for k in (self.test, self.medicine, self.remove, self.stop) if k is not None]) != 1:
            raise ValueError("an order is exactly one of test, medicine, remove, stop")
        return self


class Service(Strict):
    """One CDS Hooks service: a topic at a hook."""

    id: Id
    hook: Hook
    topic: Id
    title: Plain
    description: Plain
    rules_of: Hook | None = None


class AnalyteDefinition(Strict):
    unit: str | None = None
    molar_mass: float | None = None
    plausible: list[float | None] | None = None
    refused_units: list[str] = []
    ratio: bool = False


class ValueSet(Strict):
    """One concept: its synonyms here, its codes in the CSV file of the same name.

    lifelong: a condition that holds also when an entry marks it inactive.
    performed: it may also be recorded as a procedure, so procedures are asked for.
    """

    id: Id
    kind: Literal["observation", "medication", "condition"]
    title: Plain
    includes: Plain
    lifelong: bool = False
    performed: bool = False
    analyte: AnalyteDefinition | None = None
    preferred: dict[Literal["system", "code"], str] | None = None
    text: list[str] = []
    not_text: list[str] = []
    reviewed: str | None = None


class UnitSpelling(Strict):
    spelling: str
    ucum: str
    for_: list[Id] | None = Field(default=None, alias="for")
