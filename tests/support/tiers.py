"""Tiers of tests, by mark and folder, and what one worker of a parallel run takes together; a pytest plugin."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT

# Tests in these folders bear the mark of the same name.
_FOLDERS = ("process", "fuzz", "browser")
# What is none of these is a unit test.
_MARKS = (*_FOLDERS, "slow", "postgres", "hapi", "npm")
# One server each for all tests of a run; and two browsers at once would be too much for two cores.
_TOGETHER = ("hapi", "browser")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        folder, *_ = item.path.relative_to(ROOT / "tests").parts
        if folder in _FOLDERS:
            item.add_marker(folder)
        if not _first_of(_MARKS, item):
            item.add_marker("unit")
        # Tests of one file share what was made for their module.
        item.add_marker(pytest.mark.xdist_group(_first_of(_TOGETHER, item) or str(item.path.relative_to(ROOT))))
    if hasattr(config, "workerinput"):
        # What takes longest begins first, so that both ends are reached at the same time.
        items.sort(key=lambda item: _first_of((*_TOGETHER, "process", "slow", "fuzz"), item) is None)


def _first_of(names: tuple[str, ...], item: pytest.Item) -> str | None:
    return next((name for name in names if item.get_closest_marker(name)), None)
