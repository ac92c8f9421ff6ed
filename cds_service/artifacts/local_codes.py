"""A site's local_codes.csv to codes per concept: laboratory, drug and diagnosis codes that no shipped table knows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from cds_service.coding import NDC, SYSTEMS, system_uri
from cds_service.errors import KnowledgeError
from cds_service.quantity import factor
from cds_service.terminology import Analyte, ConceptCodes

FILE = "local_codes.csv"
_NEEDED = ("system", "code", "match", "concept")
_ALLOWED = {*_NEEDED, "display", "unit", "note"}
_URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)
_ADVICE = "docs/site-overlay.md describes the columns."


@dataclass(slots=True)
class LocalCodes:
    """Codes of one concept, each as (system URI, code)."""

    exact: set[tuple[str, str]] = field(default_factory=set)
    prefix: set[tuple[str, str]] = field(default_factory=set)
    exclude: set[tuple[str, str]] = field(default_factory=set)


def read_local_codes(path: Path, name: str, concepts: Mapping[str, ConceptCodes]) -> dict[str, LocalCodes]:
    """The codes of the file, by concept.

    Args:
        name: how messages call the file.
        concepts: the value sets there are.
    Raises:
        KnowledgeError: at the first row that cannot be used, with its line.
    """
    found: dict[str, LocalCodes] = {}
    seen: dict[tuple[str, str, str, str], int] = {}
    for line, row in _rows(path, name):
        where = f"{name}:{line}"
        system, code, match, concept = (row[column] for column in _NEEDED)
        uri = system_uri(system)
        if system not in SYSTEMS and not _URI.fullmatch(uri):
            raise KnowledgeError(
                where,
                f'system "{system}" is neither a URI nor a short name.',
                f"Write the URI that records send. {_ADVICE}",
            )
        if not code or any(sign.isspace() for sign in code):
            raise KnowledgeError(
                where, "a row needs a code without blanks in it.", "Write the code as records send it."
            )
        if match not in ("exact", "prefix", "exclude"):
            raise KnowledgeError(where, f'match "{match}" is unknown.', "Write exact, prefix or exclude.")
        if concept not in concepts:
            raise KnowledgeError(
                where, f"there is no concept {concept}.", "Use the name of a file in knowledge/valuesets/."
            )
        if first := seen.get((uri, code, match, concept)):
            raise KnowledgeError(where, f"the same row stands in line {first}.", "Keep one of the two.")
        seen[uri, code, match, concept] = line
        _check_unit(where, row.get("unit", ""), concept, concepts[concept].analyte)
        key = (uri, code.replace("-", "") if uri == NDC else code)
        kind = concepts[concept].kind
        if match != "exclude" and any(key in other.excluded for other in concepts.values() if other.kind == kind):
            raise KnowledgeError(
                where, "the shipped lists exclude this code, so the row would do nothing.", "Take the row out."
            )
        getattr(found.setdefault(concept, LocalCodes()), match).add(key)
    return found


def _rows(path: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        # A byte order mark at the beginning is what spreadsheets write.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{name}:1", "cannot be read as UTF-8 text.", "Save it as CSV in UTF-8.") from error
    with StringIO(text, newline="") as lines:
        reader = csv.DictReader(lines)
        columns = reader.fieldnames or ()
        missing, unknown = set(_NEEDED) - set(columns), set(columns) - _ALLOWED
        if missing or unknown:
            what = f"lacks {', '.join(sorted(missing))}" if missing else f"has the unknown {', '.join(sorted(unknown))}"
            raise KnowledgeError(f"{name}:1", f"the heading {what}.", _ADVICE)
        for row in reader:
            if None in row or None in row.values():
                raise KnowledgeError(
                    f"{name}:{reader.line_num}",
                    f"the row has not the {len(columns)} columns of the heading.",
                    "Check the commas: a value that contains one must be in quotes.",
                )
            yield reader.line_num, {column: value.strip() for column, value in row.items()}


def _check_unit(where: str, unit: str, concept: str, analyte: Analyte | None) -> None:
    """The unit that the laboratory reports this test in: a note for readers, but one that must be possible.

    It is never used for a result that comes without a unit.
    """
    if not unit:
        return
    if analyte is None:
        raise KnowledgeError(where, f"{concept} has no unit.", "Leave the column empty.")
    if not analyte.ratio and factor(unit, analyte.unit, analyte.molar_mass) is None:
        raise KnowledgeError(
            where,
            f"{unit} cannot be converted to {analyte.unit}, the unit of {concept}; no result would be usable.",
            "Write the UCUM code of the unit, or map the code to the concept that it measures.",
        )
