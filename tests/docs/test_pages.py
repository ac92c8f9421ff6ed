"""Whatever page it stands on: what a document names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from cds_service.cli.main import main
from cds_service.settings import unknown_variables
from tests.support.documents import DOCS, HAND_WRITTEN, PAGES, anchors, links, quoted, text
from tests.support.paths import ROOT

each_page = pytest.mark.parametrize("page", HAND_WRITTEN, ids=str)
METHODS = ("GET", "POST")
FOLDERS = ("cds_service", "knowledge", "docs", "tests", "deploy", "requirements", "bench", ".ci", ".github")
KINDS = (".py", ".yaml", ".csv", ".json", ".md", ".sh", ".txt", ".html")
# Not in a checkout: made by running something.
MADE = ("deploy/secrets", "tests/fuzz/found", "dist/")
OF_THE_IMAGE = ("/data", "/tmp", "/nonexistent")


def test_the_index_names_every_page() -> None:
    """Those about rules have an index of their own in each language."""
    index = Path("docs/README.md")
    named = {(DOCS / link.partition("#")[0]).resolve().relative_to(ROOT) for link in links(index)}
    pages = {page for page in PAGES if page.parts[:2] != ("docs", "rules") and page != index}
    assert {str(page) for page in pages - named} == set()
    assert {Path("docs/rules/README.md"), Path("docs/rules/zh/README.md")} <= named


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_link_is_dead(page: Path) -> None:
    dead = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page.parent / path).resolve() if path else ROOT / page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(target.relative_to(ROOT))):
            dead.append(link)
    assert dead == []


@each_page
def test_every_setting_that_is_named_is_one(page: Path) -> None:
    named = re.findall(r"\bCDS_[A-Z_]*[A-Z]\b", text(page))
    # The changelog tells of settings that were renamed, so of some that are no more.
    if page.name != "CHANGELOG.md":
        assert unknown_variables(name for name in named if name not in ("CDS_CI", "CDS_NAME")) == []


@each_page
def test_every_command_that_is_named_is_one_and_has_the_options(page: Path) -> None:
    for line in _commands(text(page)):
        words = line.split()
        command: click.Command = main
        while isinstance(command, click.Group) and words:
            name = words.pop(0)
            assert name in command.commands, line
            command = command.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options | {"--help"}, line


def _commands(page: str) -> Iterator[str]:
    """What stands behind `cds` in backquotes and in shell examples, up to where the shell goes on."""
    blocks = "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL))
    for place in [*quoted(page), *blocks.splitlines()]:
        for part in re.split(r"[|;#]|&&", place):
            if found := re.fullmatch(
                r"(?:[\d* ]+|.*/|docker compose run --rm |CDS_\w+=\S+ )*cds +([a-z].*)", part.strip()
            ):
                yield found.group(1)


@each_page
def test_every_target_of_make_that_is_named_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL))
    for place in [*quoted(text(page)), *blocks.splitlines()]:
        if found := re.match(r"make ([a-z-]+)", place):
            assert found.group(1) in targets, place


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    """A name begins at the root, at the program (`web/app.py`) or at the folder of the page."""
    for name in quoted(text(page)):
        is_file = re.fullmatch(r"[\w.-]+(/[\w.-]+)+", name) and (
            name.split("/")[0] in FOLDERS or Path(name).suffix in KINDS
        )
        if (is_file or re.fullmatch(r"([\w.-]+/)+", name)) and not name.startswith(MADE):
            assert any((base / name).exists() for base in (ROOT, ROOT / "cds_service", ROOT / page.parent)), name


@each_page
def test_every_route_that_is_named_answers(page: Path, open_app: Flask, closed_app: Flask) -> None:
    """`/app/api/...` stands for all routes below it."""
    maps = [app.url_map for app in (open_app, closed_app)]
    for name in quoted(text(page)):
        if not re.match(r"/[a-z]", name) or name.startswith(OF_THE_IMAGE):
            continue
        path = re.sub(r"<.*?>|\{.*?\}", "x", re.split(r"[?#]", name)[0])
        if path.endswith("/..."):
            assert any(rule.rule.startswith(path[:-3]) for each in maps for rule in each.iter_rules()), name
        else:
            assert any(each.bind("").test(path, method) for each in maps for method in METHODS), name
