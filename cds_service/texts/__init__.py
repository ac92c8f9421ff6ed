"""What the service says in its own words, outside of the knowledge: one YAML file for each part of it.

A file maps keys to texts, `key: {en: …, zh: …}`, with `{name}` where a value stands. Every language has the same
placeholders, and every language that is not partial has every text; `check_texts` names the first fault by file and
line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.languages import FALLBACK, LANGUAGES, PUNCTUATION, Language
from cds_service.yaml_file import YamlFile

FOLDER = Path(__file__).parent
_MANUAL = "CONTRIBUTING.md"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Texts:
    """The texts of one file; read when the first one is asked for."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self._path = folder / f"{name}.yaml"

    def get(self, key: str, language: Language, /, **values: object) -> str:
        """A text with its values filled in; the punctuation of the language can be asked for like a text.

        Raises:
            KeyError: there is no such text, or it needs a value that was not given.
        """
        text = self._compiled[language][key]
        return text.format_map(values) if values else text

    def has(self, key: str) -> bool:
        return key in self._compiled[FALLBACK]

    def by_key(self) -> Mapping[str, Mapping[Language, str]]:
        """Every text in each language, with the placeholders still in it."""
        keys = [key for key in self._compiled[FALLBACK] if key not in PUNCTUATION]
        return {key: {code: texts[key] for code, texts in self._compiled.items()} for key in keys}

    @cached_property
    def _compiled(self) -> dict[Language, dict[str, str]]:
        return _read(self._path)


def check_texts(folder: Path = FOLDER) -> None:
    """Reads every file.

    Raises:
        KnowledgeError: the first text that is missing or faulty, by file and line.
    """
    for path in sorted(folder.glob("*.yaml")):
        _read(path)


@cache
def _read(path: Path) -> dict[Language, dict[str, str]]:
    """The texts of a file by language and key; a text that a partial language lacks is the English one."""
    file = YamlFile(path, path.parents[2], _MANUAL)
    if not isinstance(file.data, dict):
        raise KnowledgeError(file.where(), "the file is not a mapping of keys to texts.", f"See {_MANUAL}.")
    found: dict[Language, dict[str, str]] = {code: row.punctuation for code, row in LANGUAGES.items()}
    for key, entry in file.data.items():
        if key in PUNCTUATION:
            raise KnowledgeError(file.where(key), f"{key} is punctuation.", "Set it in languages.py; remove it here.")
        texts = _checked(file, key, entry)
        for code in LANGUAGES:
            found[code][key] = texts.get(code, texts[FALLBACK])
    return found


def _checked(file: YamlFile, key: str, entry: Any) -> dict[Language, str]:
    if not isinstance(entry, dict):
        raise KnowledgeError(file.where(key), f"{key} is not a text by language.", f"See {_MANUAL}.")
    for code, row in LANGUAGES.items():
        if code not in entry and not row.partial:
            raise KnowledgeError(file.where(key), f"{key} has no text in {code}.", "Add it.")
    wanted = _placeholders(entry[FALLBACK])
    if wanted is None:
        raise KnowledgeError(
            file.where(key, FALLBACK), f"{key}: a brace is of no placeholder.", "Write {name}, in letters and _."
        )
    for code, text in entry.items():
        where = file.where(key, code)
        if code not in LANGUAGES:
            raise KnowledgeError(where, f"{key}: {code} is no language.", "Add a row to languages.py, or remove it.")
        if not isinstance(text, str) or not text.strip():
            raise KnowledgeError(where, f"{key}: {code} is not text.", "Write the text, in quotes if YAML needs them.")
        if _placeholders(text) != wanted:
            names = ", ".join(f"{{{name}}}" for name in sorted(wanted)) or "none"
            raise KnowledgeError(
                where,
                f"{key}: {code} has not the placeholders of {FALLBACK}.",
                f"Use these, and no other brace: {names}.",
            )
    return dict(entry)


def _placeholders(text: Any) -> set[str] | None:
    """The names in braces; None if a brace is of none of them."""
    names = set(_PLACEHOLDER.findall(str(text)))
    return None if {"{", "}"} & set(_PLACEHOLDER.sub("", str(text))) else names
