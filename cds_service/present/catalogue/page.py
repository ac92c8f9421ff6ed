"""What a catalogue page is made of: blocks of words, tables and trees, before they become HTML or Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cds_service.languages import Language

HERE = "."
Look = Literal["plain", "strong", "small", "code", "slot"]


@dataclass(frozen=True, slots=True)
class PageLink:
    """A place in the catalogue: a page by its name ("" is the index, HERE the page itself) and an anchor on it."""

    page: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class CodeList:
    """The table of codes of a value set."""

    value_set: str


@dataclass(frozen=True, slots=True)
class Span:
    """Words in one look.

    Attributes:
        language: set where the words are not in the language of the page.
        to: where the words lead; a string is an address outside the catalogue.
        look: a slot is a part of a card's text that is filled in from the record.
    """

    text: str
    language: Language | None = None
    to: PageLink | CodeList | str | None = None
    look: Look = "plain"


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a tree with the lines below it."""

    spans: Spans
    children: tuple[Item, ...] = ()
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    level: Literal[2, 3]
    anchor: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    spans: Spans
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table; the first one is the header of its row."""

    cells: tuple[Spans, ...]
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]


Block = Heading | Paragraph | Tree | Table


@dataclass(frozen=True, slots=True)
class Page:
    """One page in one language. `name` is its place: a rule id, the name of a register, or "" for the index."""

    name: str
    language: Language
    title: str
    blocks: tuple[Block, ...]

    def anchors(self) -> Iterator[str]:
        """Every anchor of the page, in order."""
        for block in self.blocks:
            if isinstance(block, Heading | Paragraph) and block.anchor:
                yield block.anchor
            elif isinstance(block, Table):
                yield from (row.anchor for row in block.rows if row.anchor)
            elif isinstance(block, Tree):
                yield from (item.anchor for item in _items(block.items) if item.anchor)

    def spans(self) -> Iterator[Span]:
        """Every span of the page, in order."""
        for block in self.blocks:
            if isinstance(block, Paragraph):
                yield from block.spans
            elif isinstance(block, Table):
                yield from (span for row in block.rows for cell in row.cells for span in cell)
            elif isinstance(block, Tree):
                yield from (span for item in _items(block.items) for span in item.spans)


def _items(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _items(item.children)
