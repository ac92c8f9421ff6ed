"""Catalogue pages to Markdown files: docs/rules/ in English, docs/rules/zh/ in Chinese, and so on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cds_service.languages import FALLBACK, LANGUAGES, Language, others
from cds_service.present.catalogue.catalogue import Catalogue
from cds_service.present.catalogue.page import (
    HERE,
    Block,
    CodeList,
    Heading,
    Item,
    Page,
    PageLink,
    Paragraph,
    Span,
    Spans,
    Table,
)
from cds_service.present.texts import say

# The first line of every file written here; a file without it is never touched.
MARK = "<!-- generated -->"
_MARKUP = re.compile(r"([\\`*_\[\]#|~])")


def files(catalogue: Catalogue, folder: Path) -> dict[str, str]:
    """Every file of the catalogue, by its path inside the folder it is meant for."""
    found = {}
    for language in LANGUAGES:
        for name in catalogue.names:
            path = _path(name, language)
            codes = os.path.relpath(catalogue.root / "valuesets", (folder / path).parent)
            found[path] = _Markdown(catalogue.page(name, language), codes).text()
    return found


def write(catalogue: Catalogue, folder: Path) -> list[str]:
    """Writes the catalogue into a folder and takes away the pages of rules that are no more.

    Returns:
        The paths of the files, inside the folder.
    """
    wanted = files(catalogue, folder)
    for path in leftovers(folder, wanted):
        path.unlink()
    for name, text in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return list(wanted)


def leftovers(folder: Path, wanted: dict[str, str]) -> list[Path]:
    """Files that an earlier catalogue wrote and this one does not."""
    there = (*folder.glob("*.md"), *(path for code in LANGUAGES for path in folder.glob(f"{code}/*.md")))
    return [
        path
        for path in there
        if path.relative_to(folder).as_posix() not in wanted and path.read_text(encoding="utf-8").startswith(MARK)
    ]


def _path(name: str, language: Language) -> str:
    return ("" if language == FALLBACK else f"{language}/") + (f"{name}.md" if name else "README.md")


class _Markdown:
    """One page as GitHub Flavored Markdown."""

    def __init__(self, page: Page, codes: str) -> None:
        self._page = page
        self._codes = codes

    def text(self) -> str:
        page = self._page
        other = " · ".join(f"[{row.name}]({self._place(row.code)})" for row in others(page.language))
        index = f"[{say('catalogue', page.language)}](README.md)"
        around = [MARK, f"# {escaped(page.title)}", f"{index} · {other}" if page.name else other]
        blocks = ["\n".join(self._block(block)) for block in page.blocks]
        return "\n\n".join([*around, *blocks, f"*{say('generated', page.language)}*"]) + "\n"

    def _place(self, language: Language) -> str:
        """Where the same page stands in another language."""
        return ("" if self._page.language == FALLBACK else "../") + _path(self._page.name, language)

    def _block(self, block: Block) -> Iterator[str]:
        match block:
            case Heading():
                yield f"{'#' * block.level} {_anchor(block.anchor)}{escaped(block.text)}"
            case Paragraph():
                yield _anchor(block.anchor) + self._spans(block.spans)
            case Table():
                yield from self._table(block)
            case _:
                yield from self._items(block.items, 0)

    def _table(self, table: Table) -> Iterator[str]:
        yield self._row([escaped(name) for name in table.head])
        yield self._row(["---"] * len(table.head))
        for row in table.rows:
            cells = [self._spans(cell) for cell in row.cells]
            yield self._row([_anchor(row.anchor) + cells[0], *cells[1:]])

    def _row(self, cells: list[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def _items(self, items: tuple[Item, ...], depth: int) -> Iterator[str]:
        for item in items:
            yield f"{'  ' * depth}- {_anchor(item.anchor)}{self._spans(item.spans).rstrip()}"
            yield from self._items(item.children, depth + 1)

    def _spans(self, spans: Spans) -> str:
        return "".join(self._span(span) for span in spans)

    def _span(self, span: Span) -> str:
        text = f"`{span.text}`" if span.look == "code" else escaped(span.text)
        if span.to is not None:
            text = f"[{text}]({self._address(span.to)})"
        if span.look == "strong" and span.text.strip():
            # Emphasis does not begin or end at a blank.
            before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
            return f"{before}<b>{text.strip()}</b>{after}"
        return f"<sub>{text}</sub>" if span.look == "small" else text

    def _address(self, to: PageLink | CodeList | str) -> str:
        if isinstance(to, str):
            return f"<{to}>"
        if isinstance(to, CodeList):
            return f"{self._codes}/{to.value_set}.csv"
        page = "" if to.page == HERE else f"{to.page}.md" if to.page else "README.md"
        return page + (f"#{to.anchor}" if to.anchor else "")


def _anchor(name: str) -> str:
    return f'<a id="{name}"></a>' if name else ""


def escaped(text: str) -> str:
    """Words as they are, never read as Markdown or HTML, on one line."""
    plain = " ".join(text.split("\n")).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", plain)
