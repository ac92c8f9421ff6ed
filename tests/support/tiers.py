"""Tiers of tests, by mark and folder, and what one worker of a parallel run takes together; a pytest plugin."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.paths import ROOT

# Tests in these folders bear the mark of the same name.
_FOLDERS = ("process", "fuzz", "browser")
# A test with none of these marks is a unit test.
_MARKS = (*_FOLDERS, "slow", "postgres", "hapi", "npm")
_LONG = ("browser", "hapi", "process", "slow", "fuzz")


class _FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # the library has no types
    """Gives all tests of a file to one worker, so that module fixtures are made once.

    Two browsers at once are too much for two cores, so one worker takes all files of browser tests.
    xdist_group is not used: pytest-xdist 3.8 marks groups in a private attribute that pytest 9 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "tests/browser" if path.startswith("tests/browser/") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _FileScheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Adds the marks before pytest deselects by mark."""
    folder = item.path.relative_to(ROOT).parts[1]
    if folder in _FOLDERS:
        item.add_marker(folder)
    if not _has_one_of(_MARKS, item):
        item.add_marker("unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        # What takes longest begins first, so that both workers end at the same time.
        items.sort(key=lambda item: not _has_one_of(_LONG, item))


def _has_one_of(names: tuple[str, ...], item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in names)
