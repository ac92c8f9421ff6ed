"""What a value set and a spelling of a unit may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cds_service.artifacts.text import Id, Plain, Strict


class AnalyteDefinition(Strict):
    """Units and plausible values of an analyte (`terminology.Analyte`).

    least_range_top: in the unit; a result whose own range ends there or below is one of another test.
    """

    unit: str | None = None
    molar_mass: float | None = None
    plausible: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None = None
    refused_units: list[str] = []
    ratio: bool = False
    least_range_top: Annotated[float, Field(gt=0)] | None = None


class ValueSet(Strict):
    """One concept: its synonyms here, its codes in the CSV file of the same name.

    lifelong: a condition that holds also when an entry marks it inactive.
    instead_of: a value set of which a code does not count where the entry's codes or its wording belong to this one.
    performed: it may also be recorded as a procedure, so procedures are asked for.
    part_of: the wider value set that holds all its codes and names; where an entry's codes name only that one, the
        entry's text may still name this one.
    """

    id: Id
    kind: Literal["observation", "medication", "condition"]
    title: Plain
    includes: Plain
    lifelong: bool = False
    performed: bool = False
    part_of: Id | None = None
    instead_of: Id | None = None
    analyte: AnalyteDefinition | None = None
    preferred: dict[Literal["system", "code"], str] | None = None
    text: list[str] = []
    not_text: list[str] = []
    reviewed: str | None = None


class UnitSpelling(Strict):
    spelling: str
    ucum: str
    for_: list[Id] | None = Field(default=None, alias="for")
