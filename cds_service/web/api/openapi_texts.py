"""What the OpenAPI document says in words (`openapi.yaml`): each route of the app, each error, and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cds_service.json_types import Json
from cds_service.languages import LANGUAGES
from cds_service.record_lists import lists_asked_for
from cds_service.yaml_file import YamlFile

_PATH = Path(__file__).with_name("openapi.yaml")
# What `query` calls by a word instead of by a schema.
_LANGUAGES: Json = {"type": "string", "enum": list(LANGUAGES)}


@dataclass(frozen=True)
class Operation:
    """One route.

    Attributes:
        statuses: every status it answers with.
        replies: of these, the ones that are no errors in JSON: description, media type, schema (a name, or itself).
        request: name of the schema of its body.
        secured: it asks for a token, unless the service is open.
        query: its parameters by name; `languages` stands for the schema of a language.
    """

    tag: str
    summary: str
    statuses: tuple[int, ...]
    replies: Mapping[int, tuple[str, str, str | Json | None]]
    description: str = ""
    request: str | None = None
    secured: bool = False
    query: Mapping[str, str | Json] = field(default_factory=dict)

    def parameters(self) -> dict[str, Json]:
        """The schemas of the parameters in its query."""
        return {name: _LANGUAGES if isinstance(schema, str) else schema for name, schema in self.query.items()}


@dataclass(frozen=True)
class _Document:
    tags: dict[str, str]
    headers: dict[str, str]
    answers: dict[int, tuple[str, tuple[str, ...]]]
    operations: dict[str, Operation]
    examples: dict[str, dict[str, Json]]


def _with_all_lists(prefetch: Json) -> Json:
    """The prefetch of an example with every list that is asked for: those the example does not name are empty."""
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    return {**{row.key: empty if row.awaited else None for row in lists_asked_for()}, **prefetch}


def _read() -> _Document:
    data = YamlFile(_PATH, _PATH.parents[2]).data
    for example in data["examples"].get("HookRequest", {}).values():
        if "prefetch" in example:
            example["prefetch"] = _with_all_lists(example["prefetch"])
    # Keys of YAML are strings, also those that are a status.
    return msgspec.convert(data, _Document, strict=False)


_document = _read()
TAGS = _document.tags
HEADERS = _document.headers
ANSWERS = _document.answers
OPERATIONS = _document.operations
EXAMPLES = _document.examples
