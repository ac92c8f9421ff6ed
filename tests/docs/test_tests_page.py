"""tests/README.md: every support module and every mark is on it."""

from __future__ import annotations

import re

import pytest

from tests.support.documents import quoted, rows, section
from tests.support.paths import ROOT

PAGE = "tests/README.md"


def test_the_page_names_every_support_module_and_no_other() -> None:
    named = [quoted(cells[0])[0] for cells in rows(section(PAGE, "Support modules"))]
    there = {path.stem for path in (ROOT / "tests" / "support").iterdir() if path.name != "__pycache__"}
    assert sorted(there) == named


def test_the_page_names_every_tier(pytestconfig: pytest.Config) -> None:
    named = {quoted(cells[0])[0] for cells in rows(section(PAGE, "Tiers"))}
    marks = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert named <= marks
    assert {"unit", "process", "fuzz", "slow", "hapi", "postgres", "browser", "npm"} == named


def test_every_path_that_a_test_builds_from_the_root_exists() -> None:
    """A folder that has moved would leave a loop over its files without a turn."""
    built = [
        (path.name, "/".join(re.findall(r'"([^"]+)"', parts)))
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for parts in re.findall(r'\bROOT((?:\s*/\s*"[^"{}]+")+)', path.read_text(encoding="utf-8"))
    ]
    assert len(built) > 20
    # What is only made when the tests run stands under .cache.
    assert [one for one in built if not one[1].startswith(".cache") and not (ROOT / one[1]).exists()] == []
