"""Labels of suggestions."""

from __future__ import annotations

from cds_service.languages import LANGUAGES
from cds_service.texts import Texts

_INSTEAD = tuple(Texts("cards").get("instead", language, label="") for language in LANGUAGES)


def plain_label(label: str) -> str:
    """The label of an order in the catalogue: a rival's, without the words that it stands instead of another."""
    return next((label.removeprefix(words) for words in _INSTEAD if label.startswith(words)), label)
