"""Ids, names and text by language: what all knowledge files are made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, create_model, model_validator

from cds_service.languages import FALLBACK, LANGUAGES, Language

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


_Words = Annotated[str, StringConstraints(min_length=1)]

if TYPE_CHECKING:

    class _ByLanguage(Strict):
        en: str

else:
    # One member for each language; a partial one may be left out.
    _ByLanguage = create_model(
        "_ByLanguage",
        __base__=Strict,
        **{code: (_Words | None, None) if row.partial else (_Words, ...) for code, row in LANGUAGES.items()},
    )


class Text(_ByLanguage):
    """The same words in each language, side by side."""

    def in_language(self, language: Language) -> str:
        """The words; those in English if a partial language lacks them."""
        words: str | None = getattr(self, language)
        return self.en if words is None else words

    def language_of(self, language: Language) -> Language:
        """The language that `in_language` answers in."""
        return FALLBACK if getattr(self, language) is None else language

    @property
    def by_language(self) -> dict[Language, str]:
        """The words of each language that has some."""
        return {code: words for code in LANGUAGES if (words := getattr(self, code)) is not None}

    @property
    def placeholders(self) -> set[str]:
        return set(_PLACEHOLDER.findall(self.en))

    @model_validator(mode="after")
    def _same_placeholders(self) -> Text:
        if any(set(_PLACEHOLDER.findall(words)) != self.placeholders for words in self.by_language.values()):
            raise ValueError("all languages must use the same {placeholders}")
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
        for language, text in self.by_language.items():
            if len(text) > 139:
                raise ValueError(f"the {language} summary has {len(text)} characters; a summary has at most 139")
            if "\n" in text:
                raise ValueError(f"the {language} summary has a line break; it is one sentence")
        return self
