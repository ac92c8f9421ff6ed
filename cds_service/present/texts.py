"""Texts of the catalogue and of the knowledge as spans of a page."""

from __future__ import annotations

from cds_service.artifacts.text import Text
from cds_service.languages import LANGUAGES, Language
from cds_service.present.catalogue.page import Span, Spans
from cds_service.texts import Texts

_catalogue = Texts("catalogue")
say, has_words = _catalogue.get, _catalogue.has


def plain(text: Text, language: Language) -> Span:
    """A text of the knowledge in the language of the page; marked, where English stands in for it."""
    return foreign(text.in_language(language), text.language_of(language), language)


def foreign(text: str, of: Language, language: Language) -> Span:
    """Words of one language on a page in perhaps another."""
    return Span(text, None if of == language else of)


def side_by_side(text: Text, language: Language) -> tuple[Spans, ...]:
    """A text of the knowledge in every language, for one cell each; empty where a partial language lacks it."""
    found = text.by_language
    return tuple((foreign(found[code], code, language),) if code in found else () for code in LANGUAGES)


def language_names(language: Language) -> tuple[str, ...]:
    """The heads of those cells."""
    return tuple(
        say(f"language_{code}", language) if has_words(f"language_{code}") else row.name
        for code, row in LANGUAGES.items()
    )


def words(key: str, language: Language, **values: object) -> Span:
    """A text of the catalogue as a span."""
    return Span(say(key, language, **values))
