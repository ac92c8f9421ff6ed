"""docs/integrate.md, section "Profiles": the table is that of the ready profiles, the strings those of discovery."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import yaml

from cds_service.hooks.discovery import discovery
from cds_service.security.client_file import READY, ready_names
from cds_service.security.clients import ClientProfile
from tests.support.clients.epic import strings_in
from tests.support.paths import ROOT
from tests.support.real_inputs import knowledge

GUIDE = ROOT / "docs" / "integrate.md"
COLUMNS = ["epic", "oracle-health", "cds-hooks-sandbox", "generic"]


@pytest.fixture(scope="module")
def guide() -> str:
    return GUIDE.read_text(encoding="utf-8")


def table(guide: str) -> dict[str, list[str]]:
    """The cells of the table of switches, by switch: default, then one per ready profile."""
    _, _, after = guide.partition("\n## Profiles\n")
    section, _, _ = after.partition("\n## ")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")
    ]
    return {cells[0].strip("`"): cells[2:] for cells in rows if len(cells) == len(COLUMNS) + 3}


def written(value: Any) -> str:
    """A value as the table writes it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "see below" if value else "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"`{one}`" for one in value) or "none"
    return "none" if value is None else f"`{value}`"


def test_the_table_has_every_switch_with_its_default(guide: str) -> None:
    plain = ClientProfile(name="ehr")
    switches = [name for name in ClientProfile.model_fields if name not in ("name", "like")]

    assert {switch: cells[0] for switch, cells in table(guide).items()} == {
        switch: written(getattr(plain, switch)) for switch in switches
    }


def test_the_table_says_what_each_ready_profile_sets(guide: str) -> None:
    assert sorted(COLUMNS) == ready_names()
    for number, profile in enumerate(COLUMNS, 1):
        members = yaml.safe_load((READY / f"{profile}.yaml").read_text(encoding="utf-8")) or {}
        told = {switch: cells[number] for switch, cells in table(guide).items() if cells[number]}

        assert told == {switch: written(value) for switch, value in members.items()}, profile


def test_code_systems_of_epics_orders_are_told(guide: str) -> None:
    members = yaml.safe_load((READY / "epic.yaml").read_text(encoding="utf-8"))

    for ours, theirs in members["order_systems"].items():
        assert f"| `{ours}` | `{theirs}` |" in guide


@pytest.mark.row("DIS-18", "E-2")
def test_the_strings_to_paste_are_those_of_discovery(guide: str) -> None:
    services = discovery(knowledge(), "en")["services"]

    assert strings_in(guide) == {service["id"]: service["prefetch"] for service in services}, strings(services)


@pytest.mark.row("E-23", "OVR-04")
def test_the_reasons_to_map_are_those_on_the_cards(guide: str) -> None:
    _, _, after = guide.partition("\n### Override reasons to map\n")
    section, _, _ = after.partition("\n### ")
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]

    assert {code.strip().strip("`"): words.strip() for code, words in rows} == {
        code: reason.text.en for code, reason in knowledge().override_reasons.items()
    }


def strings(services: list[dict[str, Any]]) -> str:
    """The blocks as the guide should have them."""
    of: dict[tuple[str, str], list[str]] = defaultdict(list)
    for service in services:
        for key, string in service["prefetch"].items():
            of[(key, string)].append(service["id"])
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (key, string), ids in of.items():
        together[tuple(ids)].append(f"{key}: {string}")
    blocks = [
        f"{', '.join(f'`{one}`' for one in ids)}:\n\n```text\n" + "\n".join(lines) + "\n```"
        for ids, lines in together.items()
    ]
    return "\n\n".join(blocks)
