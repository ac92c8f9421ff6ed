"""tests/README.md: every support module and every mark is on it."""

from __future__ import annotations

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
