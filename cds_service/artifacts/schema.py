"""What a rule, an order, a service, a topic and a value set may say."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from cds_service.artifacts.text import Hook, Id, Indicator, Name, Plain, StatementId, Strict, Summary, Text
from cds_service.artifacts.vocabulary import Condition
from cds_service.coding import SYSTEMS

# FHIR R4, code: no white space at either end, and single spaces inside.
Code = Annotated[str, StringConstraints(pattern=r"^\S+( \S+)*$")]


class Quantity(Strict):
    value: Annotated[float, Field(gt=0)]
    unit: Code


# The parts of a card's detail, in the order of reading: what was found, what to do, what could change that.
Part = Literal["found", "do", "mind"]
PARTS: tuple[Part, ...] = get_args(Part)


class Line(Text):
    """One sentence or two of a card's detail. `{fact}` prints value, unit and date; `{threshold}` prints the limit."""

    part: Part
    when: Condition | None = None
    cites: list[StatementId] = []


class SuggestionUse(Strict):
    """An order of the catalogue, offered when its condition (if any) is true.

    of: for orders about products that are there already, the fact whose products they are about.
    """

    order: Id
    of: Name | None = None
    when: Condition | None = None
    recommended: bool | Condition = False


def _in_order(lines: list[Line]) -> list[Line]:
    parts = [PARTS.index(line.part) for line in lines]
    if parts != sorted(parts):
        raise ValueError(f"the lines of a detail stand in the order {', '.join(PARTS)}")
    return lines


Detail = Annotated[list[Line], AfterValidator(_in_order)]


class CardText(Strict):
    indicator: Indicator
    summary: Summary
    detail: Annotated[Detail, Field(min_length=1)]
    suggestions: list[SuggestionUse] = []
    override_reasons: list[Id] = []


class Variant(Strict):
    """What a rule says to some of its patients. The first variant whose condition is true applies; what it leaves out
    is taken from the rule's card, of the detail each part on its own."""

    id: Id
    when: Condition
    indicator: Indicator | None = None
    summary: Summary | None = None
    detail: Detail | None = None
    suggestions: list[SuggestionUse] | None = None


class Attributes(Strict):
    """Source attributes of evidence-based decision support (45 CFR 170.315(b)(11), HTI-1)."""

    developer: str
    funding: str
    uses: list[str] = []


class Rule(Strict):
    """One rule: when it speaks, what it says, where that comes from and when it is wrong.

    applies: whom the rule is for, where that is not the scope of its topic (a contraindication of every age).
    silent: it is judged and counted in the log, never shown, and silences no other rule.
    kind `silence`: it never shows a card; it names a situation in which the service deliberately says nothing, so that
    a trace and the catalogue can show that silence as a decision. `explains` lists the rules it keeps quiet.
    """

    id: Id
    kind: Literal["rule", "silence"] = "rule"
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    status: Literal["draft", "active", "retired"]
    enabled: bool = True
    silent: bool = False
    hooks: Annotated[list[Hook], Field(min_length=1)]
    priority: Annotated[int, Field(ge=1)] | None = None
    title: Plain
    why: Plain
    applies: Condition | None = None
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

    @field_validator("next_review")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        date.fromisoformat(value)
        return value

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
    code: Code
    display: Annotated[str, StringConstraints(min_length=1)]

    @field_validator("system")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in SYSTEMS:
            raise ValueError(f"no code system is called {value}; known are {', '.join(SYSTEMS)}")
        return value


class Step(Strict):
    """One step of a schedule: once (or `times`) every so many days (d), weeks (wk) or months (mo), for so many days.

    every_to: the longest interval, where it is a range ("every 2 to 3 months").
    """

    text: Plain
    times: Annotated[int, Field(ge=1)] = 1
    every: Annotated[int, Field(ge=1)]
    every_to: int | None = None
    unit: Literal["d", "wk", "mo"]
    for_days: list[int] | None = None

    @field_validator("for_days")
    @classmethod
    def _range(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and (len(value) != 2 or not 0 < value[0] <= value[1]):
            raise ValueError("for_days is two whole numbers, the shortest and the longest duration")
        return value

    @model_validator(mode="after")
    def _interval(self) -> Step:
        if self.every_to is not None and self.every_to <= self.every:
            raise ValueError("every_to is longer than every")
        return self


class Product(Strict):
    """A medicinal product, in code and in words."""

    text: Plain
    codings: list[CodeRef] = []


class Medicine(Product):
    """A medicine to be drafted: product, dose, route and schedule, each in code and in words."""

    dose: Quantity
    route: Literal["oral", "sublingual", "im", "sc"]
    schedule: Annotated[list[Step], Field(min_length=1)]


class MedicineChoice(Strict):
    when: Condition | None = None
    medicine: Medicine


class Regimen(Strict):
    """Another way of giving the same, which a site may choose instead of the order's own."""

    medicine: Annotated[list[MedicineChoice], Field(min_length=1)]
    source: Annotated[list[StatementId], Field(min_length=1)]


# How long a test counts as pending, by what says so (`PendingTest.kind`).
PENDING_LIMITS = {"order": "pending_max", "result in progress": "result_in_progress_max"}


class LabOrder(Strict):
    """A laboratory test to be drafted. It is not offered while a result is fresh or the test is pending.

    due_in: the threshold of days after which it is to be done; without it, now. A later test is offered although the
        test is pending.
    """

    observation: Id
    text: Plain
    codings: Annotated[list[CodeRef], Field(min_length=1)]
    note: Plain | None = None
    fresh_within: Name | None = None
    due_in: Name | None = None
    also_fresh: list[Id] = []

    @property
    def thresholds(self) -> tuple[str, ...]:
        """The thresholds behind "fresh", "pending" and "due"."""
        return (*PENDING_LIMITS.values(), *(name for name in (self.fresh_within, self.due_in) if name))


class Order(Strict):
    """One entry of the suggestion catalogue. Exactly one of the kinds.

    test: draft a laboratory test; medicine: draft a prescription, the first choice whose condition holds.
    remove: delete a draft; hold: put a draft on hold; replace: put another product into a draft, its dosage unchanged;
    correct_unit: write a draft's dose in the unit of its product, without the number.
    stop: propose to stop a product on the list.
    regimens: what a site may choose instead of `medicine`, by name.
    reaction: the fact that a reaction to the product is recorded. The order is then withheld; where it is unknown, the
        description of the draft says that allergies were not checked.
    """

    label: Plain
    test: LabOrder | None = None
    medicine: list[MedicineChoice] | None = None
    regimens: dict[Id, Regimen] = {}
    remove: Literal[True] | None = None
    hold: Literal[True] | None = None
    replace: Product | None = None
    correct_unit: Literal[True] | None = None
    stop: Literal[True] | None = None
    withheld_when: Condition | None = None
    reaction: Name | None = None
    source: list[StatementId] = []

    @property
    def is_treatment(self) -> bool:
        return self.test is None

    @property
    def reaction_recorded(self) -> Condition | None:
        return Condition.model_validate({"fact": self.reaction, "is": True}) if self.reaction else None

    @property
    def against(self) -> tuple[Condition, ...]:
        """What speaks against it."""
        return tuple(one for one in (self.withheld_when, self.reaction_recorded) if one is not None)

    @property
    def about_products(self) -> bool:
        """Whether it does something to products that are there already, named by `of` where a rule uses it."""
        return self.test is None and self.medicine is None

    @model_validator(mode="after")
    def _one_kind(self) -> Order:
        kinds = (self.test, self.medicine, self.remove, self.hold, self.replace, self.correct_unit, self.stop)
        if len([kind for kind in kinds if kind is not None]) != 1:
            raise ValueError("an order is exactly one of test, medicine, remove, hold, replace, correct_unit, stop")
        if self.regimens and self.medicine is None:
            raise ValueError("regimens go with medicine")
        if self.reaction and self.medicine is None and self.replace is None:
            raise ValueError("reaction goes with medicine or replace")
        return self


class Service(Strict):
    """One CDS Hooks service: a topic at a hook."""

    id: Id
    hook: Hook
    topic: Id
    title: Plain
    description: Plain
    rules_of: Hook | None = None
