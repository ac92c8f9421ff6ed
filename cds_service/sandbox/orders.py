"""Reads `knowledge/sandbox/orders.yaml`: the orders that the sandbox EHR can draft, with FHIR R4 resources."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cds_service.artifacts.text import Id, Plain, Strict
from cds_service.artifacts.worked_patients import Draft
from cds_service.json_types import Json
from cds_service.languages import FALLBACK, Language
from cds_service.sandbox.entries import EntryWriter
from cds_service.terminology import Terminology
from cds_service.yaml_file import YamlFile

Kind = Literal["vitamin-k", "anticoagulant", "vitamin-b12", "folic-acid", "other", "test"]


class SampleOrder(Strict):
    """One order to draft. Its text is here, in each language, and not in the draft."""

    id: Id
    kind: Kind
    text: Plain
    draft: Annotated[dict[str, Any], Field(min_length=1)]

    @model_validator(mode="after")
    def _untold(self) -> SampleOrder:
        if "text" in self.draft:
            raise ValueError("the text of a draft stands beside it, in each language")
        self.written(FALLBACK)
        return self

    def written(self, language: Language) -> Draft:
        """The draft in the shorthand of worked patients, with its text in a language."""
        return Draft.model_validate({**self.draft, "text": self.text.in_language(language)})


def read_orders(path: Path, root: Path) -> tuple[SampleOrder, ...]:
    """Reads the file of orders.

    Raises:
        KnowledgeError: the first error, as `file:line: what, do this`.
    """
    return YamlFile(path, root).listed(SampleOrder, "orders")


def draftable(
    orders: tuple[SampleOrder, ...], terminology: Terminology, language: Language, now: datetime
) -> list[Json]:
    """The orders as JSON data: id, text, kind, and a draft resource without id and subject, which the EHR fills in.

    Raises:
        KnowledgeError: a draft names an unknown value set.
    """
    writer = EntryWriter("sandbox", terminology, now)
    return [
        {
            "id": order.id,
            "text": order.text.in_language(language),
            "kind": order.kind,
            "resource": _bare(writer.draft(order.written(language), order.id)),
        }
        for order in orders
    ]


def _bare(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name not in ("id", "subject")}
