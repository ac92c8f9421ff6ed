"""Where knowledge comes from: sources, their statements, and the dated numbers taken from them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cds_service.artifacts.text import Plain, SourceId, StatementId, Strict


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
        "threshold",
        "population",
        "cause",
        "drug effect",
        "dose",
        "monitoring",
        "interaction",
        "contraindication",
        "evidence",
        "mechanism",
        "caveat",
        "about the document",
    ]
    disposition: Annotated[list[Literal["rule", "parameter", "card", "context", "rejected"]], Field(min_length=1)]
    because: Plain | None = None

    @model_validator(mode="after")
    def _rejection_has_a_reason(self) -> Statement:
        if "rejected" in self.disposition and self.because is None:
            raise ValueError("a rejected statement says why in `because`")
        return self


class DatedValue(Strict):
    """A value and the day it came into force; `decided`: by whom, when and why, where a site has set its own."""

    since: date
    value: float
    decided: str | None = None

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
        return self.in_force(as_of).value

    def in_force(self, as_of: date) -> DatedValue:
        """The same with its day, and who decided it."""
        started = [dated for dated in self.values if dated.since <= as_of]
        return max(started, key=lambda dated: dated.since) if started else self.values[0]
