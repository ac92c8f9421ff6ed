"""Worked patients: a patient in a few lines of YAML, and the cards that this patient must get.

The shorthand serves three readers: the examples beside each rule, the tests, and the sample patients of the embedded
FHIR server. The models below say what each member means. All worked patients are invented.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, InstanceOf, StringConstraints, model_validator

from cds_service.artifacts.text import Hook, Id, Indicator, Plain, Strict
from cds_service.coding import SYSTEMS
from cds_service.languages import FALLBACK, Language
from cds_service.yaml_file import YamlFile

# The day on which a worked patient is judged, unless it names another.
AS_OF = date(2025, 11, 20)

# A day, a month or year (partial date), an instant with time zone, or a distance from the day of judgement.
_TIME = r"T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})"
_ABSOLUTE = rf"\d{{4}}(-\d{{2}}(-\d{{2}}({_TIME})?)?)?"
_RELATIVE = r"[+-]\d{1,5}[hdwy]"
When = Annotated[
    str,
    # A bare year in YAML is a number.
    BeforeValidator(lambda written: str(written) if isinstance(written, int) else written),
    StringConstraints(pattern=rf"^({_ABSOLUTE}|{_RELATIVE})$"),
]
# FHIR wants an instant for when a result was issued.
Instant = Annotated[str, StringConstraints(pattern=rf"^(\d{{4}}-\d{{2}}-\d{{2}}{_TIME}|[+-]\d{{1,5}}h)$")]
Route = Literal["oral", "sublingual", "nasal", "im", "sc", "iv", "topical"]


class Amount(NamedTuple):
    """A number with its unit, as `4 mg` is written."""

    value: float
    unit: str


def _amount(written: Any) -> Any:
    if not isinstance(written, str):
        return written
    match = re.fullmatch(r"(\d+(?:\.\d+)?) (\S.*)", written)
    if match is None:
        raise ValueError("an amount is a number, a blank and a unit, such as 4 mg")
    return Amount(float(match[1]), match[2])


Quantity = Annotated[InstanceOf[Amount], BeforeValidator(_amount)]


class Code(Strict):
    """A code to write instead of the value set's preferred one.

    `system` is a short name of cds_service/coding.py, a URI of your own, or empty for a code without a system.
    """

    system: str
    code: str
    display: str = ""

    @property
    def uri(self) -> str:
        return SYSTEMS.get(self.system, self.system)


class Entry(Strict):
    """What all entries may say: the words and the code to write instead of the value set's own."""

    text: str | None = None
    code: Code | None = None
    subject: Literal["patient", "other"] = "patient"


class Person(Strict):
    """`age` null: no birth date on record. `deceased` null: nothing is said about it."""

    age: Annotated[int, Field(ge=0, le=130)] | None
    sex: Literal["female", "male", "other", "unknown"]
    deceased: bool | None = None
    given: str | None = None
    family: str | None = None


class Lab(Entry):
    """A result. `value` as text stands for a laboratory that reports `<150 pg/mL` in words; null for no value."""

    test: Id
    value: float | str | None
    unit: str | None = None
    date: When | None
    comparator: str | None = None
    status: str = "final"
    interpretation: str | None = None
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    issued: Instant | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, written: Any) -> Any:
        if isinstance(written, list):
            if len(written) != 4:
                raise ValueError("a result in one line is [test, value, unit, date]")
            return dict(zip(("test", "value", "unit", "date"), written, strict=True))
        return written


class Problem(Entry):
    """A condition or procedure. Without a concept it is one that the knowledge does not name; it then has a text."""

    concept: Id | None = None
    date: When | None = None
    status: str | None = None
    verification: str = "confirmed"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, written: Any) -> Any:
        return _at("concept", written)

    @model_validator(mode="after")
    def _named(self) -> Problem:
        if self.concept is None and self.text is None:
            raise ValueError("give a concept or a text")
        return self


class Allergy(Entry):
    """A reaction `to` a product. Without it, the text says to what."""

    to: Id | None = None
    severe: bool = False
    date: When | None = None
    status: str = "active"
    verification: str = "confirmed"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, written: Any) -> Any:
        return _at("to", written)

    @model_validator(mode="after")
    def _named(self) -> Allergy:
        if self.to is None and self.text is None:
            raise ValueError("give a product or a text")
        return self


class Pending(Entry):
    """A test that was ordered and has no result yet."""

    test: Id
    date: When | None = None
    status: str = "active"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, written: Any) -> Any:
        return _at("test", written)


class Medication(Entry):
    """A medicine on the lists. `drug` left out: one the knowledge does not name; it then has a text.

    `daily` is the dose per day, `dose` the dose at one time (given `once`, or with no stated rhythm). `strength` is
    the content of one unit of the product in that `form`; `course` the stated length.
    """

    drug: Id | None = None
    daily: Quantity | None = None
    dose: Quantity | None = None
    start: When | None = None
    end: When | None = None
    status: str = "active"
    route: Route | None = None
    once: bool = False
    course: Quantity | None = None
    as_: Literal["statement", "order"] | None = Field(default=None, alias="as")
    as_needed: bool = False
    reason: Id | None = None
    strength: Quantity | None = None
    form: str | None = None

    @property
    def is_named(self) -> bool:
        return self.drug is not None or self.text is not None

    @model_validator(mode="after")
    def _possible(self) -> Medication:
        if not self.is_named:
            raise ValueError("give a drug or a text")
        if self.daily is not None and self.dose is not None:
            raise ValueError("give daily or dose, not both")
        if self.course is not None and self.end is not None:
            raise ValueError("give course or end, not both")
        return self


class Draft(Medication):
    """An order being written: of a medicine, or of a `test`. `selected` counts on order-select."""

    test: Id | None = None
    selected: bool = True

    @property
    def is_named(self) -> bool:
        return self.test is not None or super().is_named


class Goals(Strict):
    """The patient's own targets."""

    inr: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None


class Expected(Strict):
    """What a card must be: `suggest` must be among its suggestions, `forbid` must not.

    recommend: exactly the suggestions that are recommended, where that is the point.
    variant: the rule's variant that speaks (null: none of them), where severity and suggestions do not tell it.
    """

    severity: Indicator
    variant: Id | None = None
    suggest: list[Id] = Field(default=[])
    forbid: list[Id] = Field(default=[])
    recommend: list[Id] | None = None


class WorkedPatient(Strict):
    """One invented patient and the exact set of cards for the hook; `expect: {}` means no card at all."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$", max_length=48)]
    name: Plain
    as_of: date = AS_OF
    patient: Person
    labs: list[Lab] = Field(default=[])
    conditions: list[Problem] = Field(default=[])
    procedures: list[Problem] = Field(default=[])
    family: list[Problem] = Field(default=[])
    allergies: list[Allergy] = Field(default=[])
    medications: list[Medication] = Field(default=[])
    pending: list[Pending] = Field(default=[])
    goals: Goals = Goals()
    hook: Hook
    drafts: list[Draft] = Field(default=[])
    language: Language = FALLBACK
    enable: list[Id] = Field(default=[])
    expect: dict[Id, Expected]
    silent: list[Id] = Field(default=[])
    undecided: dict[Id, str] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _day(cls, written: Any) -> Any:
        if isinstance(written, dict) and isinstance(written.get("as_of"), str):
            return {**written, "as_of": date.fromisoformat(written["as_of"])}
        return written

    @model_validator(mode="after")
    def _consistent(self) -> WorkedPatient:
        if self.drafts and not self.hook.startswith("order-"):
            raise ValueError(f"{self.hook} has no drafts; only order-select and order-sign have")
        if both := sorted(self.expect.keys() & {*self.silent, *self.undecided}):
            raise ValueError(f"{both[0]} is expected and said to be silent or undecided")
        return self

    @property
    def moments(self) -> list[When]:
        """Every date this patient names."""
        dates = [when for lab in self.labs for when in (lab.date, lab.issued)]
        dates += [problem.date for problem in (*self.conditions, *self.procedures)]
        dates += [*(test.date for test in self.pending), *(allergy.date for allergy in self.allergies)]
        for use in (*self.medications, *self.drafts):
            dates += [use.start, use.end]
        return [written for written in dates if written is not None]


def read_worked(path: Path, root: Path) -> tuple[WorkedPatient, ...]:
    """Reads a file of worked patients.

    Args:
        path: a YAML file that holds a list of worked patients.
        root: the knowledge folder, from which messages name the file.
    Raises:
        KnowledgeError: on the first fault, worded as `file:line: what, do this`.
    """
    return YamlFile(path, root).listed(WorkedPatient, "patients")


def is_relative(when: When) -> bool:
    """Whether a date is told by its distance from the day of judgement."""
    return when[0] in "+-"


def _at(member: str, written: Any) -> Any:
    """`concept@date` or `concept` as a mapping."""
    if not isinstance(written, str):
        return written
    name, _, day = written.partition("@")
    return {member: name, **({"date": day} if day else {})}
