"""The house rules that a machine can check: who imports whom, and what a module's first line is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULES = sorted((ROOT / "cds_service").rglob("*.py"))


def test_a_room_imports_only_what_stands_below_it() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_page_on_architecture_shows_the_rooms_of_the_contract() -> None:
    """Line by line: the rooms side by side in a line of the table are those of one layer of the import contract."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tables = [
        [re.findall(r"`([a-z_]+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
        for table in re.findall(r"^\| rooms \|.*?(?=\n\n)", page, flags=re.MULTILINE | re.DOTALL)
    ]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts = [
        [sorted(part.strip() for part in layer.split("|")) for layer in contract["layers"]]
        for contract in settings["contracts"]
        if contract["type"] == "layers"
    ]
    assert tables == contracts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_no_longer_than_350_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in MODULES}), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_room_has_at_most_16_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 16


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_begins_with_a_caption(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize("room", ["record", "facts", "rules", "evaluate", "quantity", "coding", "terminology"])
def test_the_core_knows_no_web_network_database_or_clock(room: str) -> None:
    """A judgement depends on the record and the moment it is given, so that it can be repeated."""
    banned = {"flask", "requests", "sqlalchemy", "granian", "urllib", "http", "socket", "time", "os"}
    calls = {"now", "today", "utcnow", "getenv"}
    for path in [m for m in MODULES if m.relative_to(ROOT / "cds_service").parts[0].removesuffix(".py") == room]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not banned & {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in banned, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in calls, f"{path}:{node.lineno}"
