"""Knowledge that differs from the last released one bears a newer version, and its changelog says what changed."""

from __future__ import annotations

import re

import pytest

from cds_service.artifacts.load import load_knowledge
from tests.support.paths import ROOT

KNOWLEDGE = ROOT / "knowledge"


def faults(version: str, released: str, changelog: str) -> list[str]:
    """What is wrong with a version of the knowledge, beside the released one and with this changelog.

    Args:
        version, released: number and content hash, e.g. "0.1.0+039b24b2299f", as every answer bears them.
    """
    number, _, content = version.partition("+")
    released_number, _, released_content = released.partition("+")
    section = re.search(rf"^## {re.escape(number)} \((unreleased|\d{{4}}-\d\d-\d\d)\)\n\n\S", changelog, re.MULTILINE)
    found = []
    if content != released_content and _numbers(number) <= _numbers(released_number):
        found.append(f"The content is not that of {released_number}: write a newer number into knowledge/VERSION.")
    if _numbers(number) < _numbers(released_number):
        found.append(f"{number} is older than {released_number}, which has been released.")
    if section is None:
        found.append(f"knowledge/CHANGELOG.md has no section `## {number} (unreleased)` that says what changed.")
    elif number == released_number and section.group(1) == "unreleased":
        found.append(f"{number} has been released: give its section in knowledge/CHANGELOG.md a date.")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_knowledge_that_differs_from_the_released_one_has_a_newer_version_and_a_section_in_the_changelog() -> None:
    released = (KNOWLEDGE / "RELEASED").read_text().strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", released)
    assert faults(load_knowledge(KNOWLEDGE).version, released, (KNOWLEDGE / "CHANGELOG.md").read_text()) == []


@pytest.mark.parametrize(
    ("version", "section", "told"),
    [
        ("1.2.0+aaaaaaaaaaaa", "## 1.2.0 (2026-11-20)\n\nWhat changed.", None),
        ("1.2.1+bbbbbbbbbbbb", "## 1.2.1 (unreleased)\n\nWhat changed.", None),
        ("1.10.0+bbbbbbbbbbbb", "## 1.10.0 (2026-12-01)\n\nWhat changed.", None),
        ("1.2.0+bbbbbbbbbbbb", "## 1.2.0 (2026-11-20)\n\nWhat changed.", "not that of 1.2.0"),
        ("1.1.9+bbbbbbbbbbbb", "## 1.1.9 (unreleased)\n\nWhat changed.", "older than 1.2.0"),
        ("1.2.1+bbbbbbbbbbbb", "## 1.2.0 (2026-11-20)\n\nWhat changed.", "no section"),
        ("1.2.1+bbbbbbbbbbbb", "## 1.2.1 (unreleased)\n\n", "no section"),
        ("1.2.0+aaaaaaaaaaaa", "## 1.2.0 (unreleased)\n\nWhat changed.", "a date"),
    ],
)
def test_what_a_release_of_knowledge_lacks_is_told(version: str, section: str, told: str | None) -> None:
    found = faults(version, "1.2.0+aaaaaaaaaaaa", f"# Clinical changes\n\n{section}\n")
    assert any(told in fault for fault in found) if told else found == []
