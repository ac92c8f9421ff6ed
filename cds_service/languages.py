"""The languages people read this service in: one row each. All else that differs by language is a text.

To add a language: a row here with `partial=True`, then texts in `texts/*.yaml`, in `knowledge/` and in overlays. What
has no text in a partial language is shown in English, sentence by sentence. Without `partial`, every text must be
there: `cds check` and the start of the service name the first one that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class LanguageRow:
    """A language.

    Attributes:
        code: what text files, settings, `?lang=` and Accept-Language call it.
        tag: BCP 47 tag for HTML and Content-Language; it says which script is used, so that fonts and voices fit.
        name: its name in itself.
        locale: how Babel writes days and numbers.
        partial: texts may be missing; English stands in for them.
        day: how a report writes a day, as a pattern of Babel.
        comma, listing, semicolon, colon, opening, closing, stop: punctuation with the blanks around it, which every
            store of texts offers under these names; `listing` separates the items of a list, `stop` two sentences.
        space: what stands between two sentences that bring their own stops.
    """

    code: str
    tag: str
    name: str
    locale: str
    partial: bool = False
    direction: Literal["ltr", "rtl"] = "ltr"
    day: str = "yyyy-MM-dd"
    comma: str = ", "
    listing: str = ", "
    semicolon: str = "; "
    colon: str = ": "
    opening: str = " ("
    closing: str = ")"
    stop: str = ". "
    space: str = " "

    @property
    def punctuation(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in PUNCTUATION}


PUNCTUATION = ("comma", "listing", "semicolon", "colon", "opening", "closing", "stop")

# Stands in for what a partial language lacks.
FALLBACK = "en"
# In the order in which they are offered to readers.
_ROWS = (
    LanguageRow("en", "en", "English", "en_GB"),
    LanguageRow(
        "zh",
        "zh-Hans",
        "中文",
        "zh_Hans_CN",
        day="y年M月d日",
        comma="，",
        listing="、",
        semicolon="；",
        colon="：",
        opening="（",
        closing="）",
        stop="。",
        space="",
    ),
)
LANGUAGES: Mapping[str, LanguageRow] = MappingProxyType({row.code: row for row in _ROWS})


def _known(code: str) -> str:
    if code not in LANGUAGES:
        *others, last = (f"'{one}'" for one in LANGUAGES)
        raise PydanticCustomError(
            "literal_error", "Input should be {expected}", {"expected": f"{', '.join(others)} or {last}"}
        )
    return code


# The code of a row. Pydantic models refuse any other string; functions are only called with checked ones.
Language = Annotated[str, AfterValidator(_known)]


def others(language: Language) -> list[LanguageRow]:
    """The rows that a reader of this language can change to."""
    return [row for code, row in LANGUAGES.items() if code != language]
