"""What a site's overlay may say: limits, switches, wording, regimens, names and units of its own, and who decided."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from cds_service.artifacts.text import Id, Name, Plain, Strict, Summary, Text
from cds_service.artifacts.value_set_schema import UnitSpelling

# It is printed on cards, so it holds nothing that Markdown or a template would read.
SiteName = Annotated[str, StringConstraints(pattern=r"^[^\s*_{}\[\]<>`|\\]([^*_{}\[\]<>`|\\\n]*[^\s*_{}\[\]<>`|\\])?$")]
Canonical = Annotated[str, StringConstraints(pattern=r"^(https?://|urn:)[^\s]+$")]
# What was true of a patient two years ago is to be looked at again.
Days = Annotated[int, Field(ge=1, le=730)]
Words = Annotated[str, StringConstraints(pattern=r"\S", max_length=500)]


class SiteDecision(Strict):
    """Who decided on changes, when and why; every change names one."""

    by: Words
    on: date
    because: Words

    @field_validator("on", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        return date.fromisoformat(value) if isinstance(value, str) else value


class ThresholdChange(Strict):
    """The site's own value of a limit, from a day on, in the unit of that limit."""

    unit: str
    value: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    since: date
    decision: Id

    @field_validator("since", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        return date.fromisoformat(value) if isinstance(value, str) else value


class Reworded(Text):
    """Other words for the line of a card whose English begins so; its condition and its sources stay."""

    begins: Annotated[str, StringConstraints(min_length=8)]


class VariantChange(Strict):
    summary: Summary


class RuleChange(Strict):
    """A rule switched on, off or to silent mode, or worded otherwise. Its severity is not for a site to change."""

    decision: Id
    mode: Literal["on", "off", "silent"] | None = None
    summary: Summary | None = None
    variants: dict[Id, VariantChange] = {}
    lines: list[Reworded] = []
    add_lines: list[Plain] = []
    override_reasons: list[Id] = []

    @property
    def rewords(self) -> bool:
        return bool(self.summary or self.variants or self.lines or self.add_lines or self.override_reasons)

    @model_validator(mode="after")
    def _changes_something(self) -> RuleChange:
        if self.mode is None and not self.rewords:
            raise ValueError("changes nothing; give a mode or a text")
        return self


class RegimenChange(Strict):
    """Which of an order's regimens is drafted; `seed` is the order's own."""

    use: Id
    decision: Id


class Synonyms(Strict):
    """More names of a concept, as local records write them, and names that only look like it."""

    text: list[Words] = []
    not_text: list[Words] = []


class SnoozeDays(Strict):
    """How many days an overridden card of this severity is not shown again. A critical card is always shown."""

    info: Days | None = None
    warning: Days | None = None

    @model_validator(mode="before")
    @classmethod
    def _never_critical(cls, value: Any) -> Any:
        if isinstance(value, dict) and "critical" in value:
            raise ValueError("critical cards are never snoozed; take the line out")
        return value

    @model_validator(mode="after")
    def _some_severity(self) -> SnoozeDays:
        if self.info is None and self.warning is None:
            raise ValueError("snoozes nothing; give days for info or warning")
        return self

    def by_severity(self) -> dict[str, int]:
        return {name: days for name, days in (("info", self.info), ("warning", self.warning)) if days is not None}


class SnoozeChange(Strict):
    """Cards that are not shown again for a while once they were overridden for one of these reasons."""

    decision: Id
    reasons: Annotated[dict[Id, SnoozeDays], Field(min_length=1)]


class Overlay(Strict):
    """A site's overlay.yaml."""

    site: SiteName
    decisions: dict[Id, SiteDecision] = {}
    thresholds: dict[Name, ThresholdChange] = {}
    rules: dict[Id, RuleChange] = {}
    regimens: dict[Id, RegimenChange] = {}
    override_reasons: dict[Id, Plain] = {}
    synonyms: dict[Id, Synonyms] = {}
    units: list[UnitSpelling] = []
    terminology: dict[Id, Canonical] = {}
    leave_out: list[str] = []
    snooze: SnoozeChange | None = None
