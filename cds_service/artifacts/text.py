"""Ids, names and bilingual text: what all knowledge files are made of."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

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


class Phrase(Text):
    """Part of a sentence; `{}` is the one thing that may be filled in."""

    @model_validator(mode="after")
    def _one_gap(self) -> Phrase:
        if self.placeholders - {""}:
            raise ValueError("only {} is filled in here")
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
