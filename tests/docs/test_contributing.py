"""CONTRIBUTING.md: a recipe for each kind of change, and names that stand where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import section, text
from tests.support.paths import ROOT

PAGE = "CONTRIBUTING.md"
# `b12_low` in `knowledge/vitamin-b12/thresholds.yaml`
PLACES = re.findall(r"`(\w+)` in `([\w./<>-]+)`", text(PAGE))
KINDS = ("rule", "threshold", "value set", "table or column", "text", "language", "setting")


def files(pattern: str) -> list[Path]:
    """`knowledge/<topic>/<rule>.yaml` stands for every such file; other names begin at the root or at the program."""
    found = [path for base in (ROOT, ROOT / "cds_service") for path in base.glob(re.sub(r"<\w+>", "*", pattern))]
    assert found, pattern
    return found


def test_there_is_a_recipe_for_each_kind_of_change() -> None:
    recipes = re.findall(r"^### (?:A|An) (.+)$", section(PAGE, "Recipes"), re.MULTILINE)
    assert set(KINDS) <= set(recipes)


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_a_name_stands_where_the_page_says(name: str, place: str) -> None:
    assert any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in files(place))


def test_every_pattern_of_files_that_the_page_names_fits_some() -> None:
    patterns = re.findall(r"`([\w./-]*<\w+>[\w./<>-]*/[\w./<>-]+)`", text(PAGE))
    assert len(patterns) > 3
    for pattern in patterns:
        assert files(pattern)
