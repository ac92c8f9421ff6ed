"""docs/dependencies.md reviews exactly what the service depends on, and that is exactly what it imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.support.documents import rows, text
from tests.support.paths import ROOT

PAGE = "docs/dependencies.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {re.split(r"[\[><=]", each)[0] for each in PROJECT["dependencies"]}
# Brought by several, or on Windows only.
EVERYWHERE = {"typing-extensions", "tzdata"}
# Part of Pydantic, which pins it to one version.
PARTS = {"pydantic-core": "pydantic"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def reviewed() -> list[list[str]]:
    table, *_ = text(PAGE).partition("\n## ")
    return rows(table)


def test_the_page_reviews_every_dependency_and_nothing_else() -> None:
    assert sorted(cells[0] for cells in reviewed()) == sorted(DECLARED)


def test_the_page_names_everything_that_is_installed() -> None:
    brought = {name for cells in reviewed() for name in cells[3].split(", ") if name}
    pins = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE))
    assert DECLARED | brought | EVERYWHERE == pins


def test_what_the_service_imports_is_declared_and_nothing_else_is() -> None:
    imported = set()
    for path in (ROOT / "cds_service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"cds_service", "_typeshed", "opentelemetry"}
    owners = packages_distributions()
    names = {normal(owner) for module in foreign for owner in owners[module]}
    assert {PARTS.get(name, name) for name in names} == DECLARED


def test_no_package_that_was_given_up_is_installed_with_the_service() -> None:
    given_up = [cells[0] for cells in rows(text(PAGE).partition("## No longer needed")[2].partition("\n## ")[0])]
    locked = (ROOT / "requirements" / "run.txt").read_text()
    assert given_up
    assert not [name for name in given_up if re.search(rf"^{normal(name)}==", locked, re.MULTILINE)]
