"""The table of rows: every row has a test or a reason, and docs/conformance.md is what the tests say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.support.paths import ROOT
from tests.wire.conformance.table import Row, Shown, read_rows, table

pytestmark = pytest.mark.slow

DOCUMENT = ROOT / "docs" / "conformance.md"
LINE = re.compile(r"\| (\w+-\d+) \| .* \| ([\w' ]+) \|")
ROW = Row("REQ-01", "The call", "SHALL (client)", "all", "A service is called by POST")


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another pytest with the plugin, so that what is collected does not hang on how this one was called."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The document as the tests that are there now would write it, without their results."""
    target = tmp_path_factory.mktemp("table") / "conformance.md"
    found = pytest_in(ROOT, "--collect-only", f"--conformance={target}")
    assert found.returncode == 0, found.stdout + found.stderr
    return target.read_text(encoding="utf-8")


def results(document: str) -> dict[str, str]:
    return {found[1]: found[2] for found in map(LINE.fullmatch, document.splitlines()) if found}


def without_results(document: str) -> list[str]:
    return [line.rpartition(" | ")[0] if LINE.fullmatch(line) else line for line in document.splitlines()]


@pytest.mark.row("DIS-18")
def test_every_row_has_a_test_or_a_reason_why_there_is_none(collected: str) -> None:
    found = results(collected)
    assert list(found) == list(read_rows())
    assert [row for row, result in found.items() if result == "no test"] == []


def test_the_document_names_the_rows_and_tests_that_there_are(collected: str) -> None:
    assert without_results(DOCUMENT.read_text(encoding="utf-8")) == without_results(collected), "run make conformance"


def test_the_document_knows_of_no_test_that_fails_or_did_not_run() -> None:
    found, known = results(DOCUMENT.read_text(encoding="utf-8")), read_rows()
    assert {row: result for row, result in found.items() if result != "passed" and not known[row].why} == {}


def test_no_row_with_a_reason_has_a_test_all_the_same(collected: str) -> None:
    excused = [row.id for row in read_rows().values() if row.why]
    assert excused
    assert [row for row in excused if f"| {row} |" in collected and "../tests/" in _line(collected, row)] == []


def _line(document: str, row: str) -> str:
    return next(line for line in document.splitlines() if line.startswith(f"| {row} |"))


@pytest.mark.parametrize(("mark", "said"), [('"REQ-99"', "no row REQ-99"), ("", "names no row")])
def test_a_mark_without_a_known_row_stops_the_run(tmp_path: Path, mark: str, said: str) -> None:
    (tmp_path / "test_x.py").write_text(f"import pytest\n\n@pytest.mark.row({mark})\ndef test_x() -> None:\n    pass\n")
    found = pytest_in(tmp_path, "-p", "tests.wire.conformance.table")
    assert found.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in found.stderr


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "failed"], "failed"),
        (["passed", None], "passed"),
        ([None], "not run"),
    ],
)
def test_a_row_is_as_good_as_the_worst_of_its_tests(outcomes: list[str | None], result: str) -> None:
    tests = [Shown("tests/test_x.py", f"test_{n}") for n in range(len(outcomes))]
    known = {test: outcome for test, outcome in zip(tests, outcomes, strict=True) if outcome}
    assert results(table([ROW], {"REQ-01": tests}, known)) == {"REQ-01": result}


def test_the_run_writes_what_came_of_each_row(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\n\n"
        '@pytest.mark.row("REQ-01")\ndef test_it_is_so() -> None:\n    pass\n\n'
        '@pytest.mark.row("REQ-02")\ndef test_it_is_not() -> None:\n    assert False\n\n'
        '@pytest.mark.row("REQ-03")\n@pytest.mark.skip\ndef test_nobody_looked() -> None:\n    pass\n'
    )
    pytest_in(tmp_path, "-p", "tests.wire.conformance.table", f"--conformance={tmp_path}/table.md")
    found = results((tmp_path / "table.md").read_text(encoding="utf-8"))
    told = [found[row] for row in ("REQ-01", "REQ-02", "REQ-03", "REQ-04")]
    assert told == ["passed", "failed", "not run", "no test"]


def test_signs_of_markdown_in_a_row_are_shown_as_they_are() -> None:
    row = Row("REQ-01", "The call", "SHALL", "all", "a|b *c* [d](e) <f> `g`")
    assert r"| a\|b \*c\* \[d\](e) \<f\> \`g\` |" in table([row], {}, {})


def test_a_test_s_name_is_told_as_a_sentence() -> None:
    assert Shown("x.py", "test_a_client_s_own_keys_are_read").sentence == "a client's own keys are read"


def test_the_document_is_read_as_one_table_per_group_with_a_line_per_row() -> None:
    tokens = MarkdownIt("gfm-like").parse(DOCUMENT.read_text(encoding="utf-8"))
    groups = {row.group for row in read_rows().values()}
    counted = Counter(token.type for token in tokens)
    assert counted["table_open"] == len(groups)
    assert counted["tr_open"] == len(read_rows()) + len(groups)
    assert counted["td_open"] == 5 * len(read_rows())
