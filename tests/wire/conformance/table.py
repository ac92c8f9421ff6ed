"""Marks `@pytest.mark.row("REQ-01")` on tests to the table in docs/conformance.md; a pytest plugin.

`--conformance FILE` writes the table after the run, with what came of the tests.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest
import yaml

# What reports carry of the test: its file and name, and its rows.
_PROPERTY = "shows rows"
ROWS = Path(__file__).with_name("rows.yaml")
HEADER = """# What the CDS Hooks text asks, and what shows that we do it

Made by `make conformance`; do not edit. Target: CDS Hooks 2.0.1, with what clients of 1.0 and 1.1 need.
Each row is one thing asked of a service, in our words. The tests beside it fail when it does not hold; `make test` does
when a row has neither a test nor a reason why not. *ours*: our own rule, where the text is silent or real clients need
it. *(client)*: the client's duty; the row says what we make of it. The result is that of the run that wrote this file.
Prefetch and status codes are in [integrate.md](integrate.md), unclear places in [clarifications.md](clarifications.md).
"""


@dataclass(frozen=True)
class Row:
    """One thing asked of a service.

    Attributes:
        responsible, why: whose matter it is and why no test shows it; empty for a row that tests show.
    """

    id: str
    group: str
    strength: str
    versions: str
    says: str
    responsible: str = ""
    why: str = ""


@dataclass(frozen=True, order=True)
class Shown:
    """A test that carries a row: its file, from the root of the tests' run, and its name."""

    file: str
    name: str

    @property
    def sentence(self) -> str:
        words = self.name.removeprefix("test_").replace("_", " ")
        return re.sub(r"(?<=\w) s (?=\w)", "'s ", words)


def read_rows(path: Path = ROWS) -> dict[str, Row]:
    """The rows by id, in the order of the file.

    Raises:
        pytest.UsageError: a row is there twice or is not as the head of the file says.
    """
    rows: dict[str, Row] = {}
    for group in yaml.safe_load(path.read_text(encoding="utf-8")):
        for name, members in group["rows"].items():
            if name in rows or len(members) not in (3, 5) or not all(isinstance(m, str) and m for m in members):
                raise pytest.UsageError(f"{path}: {name} is there twice or is not 3 or 5 texts; see its head")
            rows[name] = Row(name, group["group"], *members)
    return rows


def table(rows: Iterable[Row], tests: Mapping[str, Iterable[Shown]], results: Mapping[Shown, str]) -> str:
    """The document: one table per group."""
    parts = [HEADER]
    for group, members in groupby(rows, key=lambda row: row.group):
        head = [f"## {group}\n", "| row | strength | asked | tests | result |", "|---|---|---|---|---|"]
        lines = [_line(row, sorted(tests.get(row.id, ())), results) for row in members]
        parts.append("\n".join([*head, *lines]) + "\n")
    return "\n".join(parts)


def _line(row: Row, shown: Sequence[Shown], results: Mapping[Shown, str]) -> str:
    strength = row.strength if row.versions in ("all", "-") else f"{row.strength}, {row.versions}"
    named = "<br>".join(f"[{_escaped(test.sentence)}](../{test.file})" for test in shown) or _escaped(row.why)
    result = row.responsible or _result([results.get(test, "not run") for test in shown])
    return f"| {row.id} | {_escaped(strength)} | {_escaped(row.says)} | {named} | {result} |"


def _result(results: Sequence[str]) -> str:
    """Of several tests the worst; what needs a server that is not there counts only if nothing else shows the row."""
    for one in ("failed", "passed", "not run"):
        if one in results:
            return one
    return "no test"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|~])", r"\\\1", text)


def rows_of(items: Iterable[pytest.Item], known: Iterable[str]) -> dict[str, set[Shown]]:
    """The tests by the rows they carry, each test once.

    Raises:
        pytest.UsageError: a mark names a row that is not known, or none.
    """
    found: dict[str, set[Shown]] = {name: set() for name in known}
    for item in items:
        for mark in item.iter_markers("row"):
            if unknown := [name for name in mark.args if name not in found]:
                names = ", ".join(map(str, unknown))
                raise pytest.UsageError(f"{item.nodeid}: no row {names} in {ROWS.name}; add it or mend the mark")
            if not mark.args:
                raise pytest.UsageError(f"{item.nodeid}: the mark names no row")
            for name in mark.args:
                found[name].add(_shown(item))
    return found


def _shown(item: pytest.Item) -> Shown:
    name = getattr(item, "originalname", None) or item.name
    return Shown(item.path.relative_to(item.config.rootpath).as_posix(), name)


class Table:
    """Collects the rows of a session and what came of its tests, and writes the document at the end."""

    def __init__(self, target: Path | None) -> None:
        self._target = target
        self._rows = read_rows()
        self._tests: dict[str, set[Shown]] = {name: set() for name in self._rows}
        self._results: dict[Shown, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._tests = rows_of(items, self._rows)
        shown_by: dict[Shown, list[str]] = defaultdict(list)
        for row, tests in self._tests.items():
            for shown in tests:
                shown_by[shown].append(row)
        for item in items:
            if rows := shown_by.get(shown := _shown(item)):
                item.user_properties.append((_PROPERTY, [shown.file, shown.name, *rows]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a parallel run the reports are all that is told of the tests."""
        kept: list[list[str]] = [value for key, value in report.user_properties if key == _PROPERTY]  # type: ignore[misc]
        for file, name, *rows in kept:
            shown = Shown(file, name)
            for row in rows:
                self._tests[row].add(shown)
            if report.failed:
                self._results[shown] = "failed"
            elif report.when == "call" and report.passed:
                self._results.setdefault(shown, "passed")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._target is not None and not hasattr(session.config, "workerinput"):
            self._target.write_text(table(self._rows.values(), self._tests, self._results), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--conformance", metavar="FILE", help="write the table of rows, tests and results to FILE")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(*ids): the rows of tests/wire/conformance/rows.yaml that the test shows")
    target = config.getoption("--conformance")
    config.pluginmanager.register(Table(Path(target) if target else None), "conformance-table")
