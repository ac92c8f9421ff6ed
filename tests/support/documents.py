"""The Markdown pages of this repository, as tests read them: sections, tables, links, and what stands in backquotes."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(ROOT)
    for folder, pattern in ((ROOT, "*.md"), (ROOT / ".github", "*.md"), (DOCS, "**/*.md"), (ROOT / "knowledge", "*.md"))
    for path in folder.glob(pattern)
)
# Written by `make catalogue` and `make conformance`.
GENERATED = {path for path in PAGES if path.parts[:2] == ("docs", "rules") or path.name == "conformance.md"}
HAND_WRITTEN = [path for path in PAGES if path not in GENERATED]


@cache
def text(page: str | Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section(page: str | Path, heading: str) -> str:
    """What stands below a heading of the second level."""
    _, found, after = text(page).partition(f"\n## {heading}\n")
    assert found, f"{page} has no section {heading}"
    return after.partition("\n## ")[0]


def rows(markdown: str) -> list[list[str]]:
    """The cells of every table, without the lines that begin one."""
    lines = re.findall(r"^\|(.+)\|$", re.sub(r"^\|.+\|\n\|[-| :]+\|$", "", markdown, flags=re.MULTILINE), re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def quoted(markdown: str) -> list[str]:
    """What stands in backquotes within a line."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL))


@cache
def links(page: Path) -> tuple[str, ...]:
    """Where the links and pictures of a page lead."""
    found: list[str] = []
    for block in MarkdownIt().enable("table").parse(text(page)):
        for token in block.children or ():
            if target := token.attrGet("href") or token.attrGet("src"):
                found.append(str(target))
    return tuple(found)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names of the places in a page that a link can lead to: headings, by GitHub's rule, and `<a id>`."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S), re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings]
    return frozenset(slugs) | frozenset(re.findall(r'<a id="([^"]+)"', text(page)))


@cache
def events_in_source() -> frozenset[str]:
    """The names of all events that the service writes into its log, beside those of its routes."""
    found = set()
    for path in (ROOT / "cds_service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                event = node.args[0]
                if name in LOG_FUNCTIONS and isinstance(event, ast.Constant) and isinstance(event.value, str):
                    found.add(event.value)
    return frozenset(found)


# The levels, and the functions of logs.py that write for others.
LOG_FUNCTIONS = ("debug", "info", "warning", "error", "log_at", "_log_exception")
