"""docs/stability.md promises names; each of them exists, and what exists and is public is on the page."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from flask import Flask
from pydantic import BaseModel

from cds_service.artifacts import overlay_schema
from cds_service.cli.main import main
from cds_service.logs import ALLOWED
from cds_service.present.report.report_text import COLUMNS
from cds_service.web.api.openapi_texts import EXAMPLES
from tests.support.documents import events_in_source, quoted, rows, section, text
from tests.support.paths import ROOT
from tests.support.recorder import VIEW
from tests.support.small_knowledge import write

PAGE = "docs/stability.md"
# Not logged: they would drown the rest.
QUIET = {"live", "ready", "metrics"}


def commands() -> dict[str, set[str]]:
    """Every command that does something, with its options."""
    found = {}

    def walk(name: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            for inner, each in command.commands.items():
                walk(f"{name} {inner}", each)
        else:
            found[name] = {option for one in command.params for option in one.opts if option.startswith("--")}

    walk("cds", main)
    return found


def is_own_model(value: Any) -> bool:
    """Whether it is one of the models that an overlay is made of."""
    return isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == overlay_schema.__name__


# --- Routes and CDS Hooks --------------------------------------------------------------------------------------------


def test_every_route_is_promised_or_said_not_to_be(open_app: Flask, closed_app: Flask) -> None:
    promised = {
        (route, method)
        for cells in rows(section(PAGE, "Routes"))
        for route in quoted(cells[0])
        for method in cells[1].split(", ")
    }
    others = [name.removesuffix("...") for name in quoted(section(PAGE, "Not promised")) if name.startswith("/")]
    made = set()
    for app in (open_app, closed_app):
        for rule in app.url_map.iter_rules():
            route = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).replace("//", "/").rstrip("/") or "/"
            made |= {(route, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    alike = {"{service}": "{service_id}", "/rules/{page}": "/rules/{name}", "{name}.csv": "{value_set}.csv"}
    for ours, theirs in alike.items():
        promised = {(route.replace(ours, theirs), method) for route, method in promised}
    assert promised <= made | {("/sandbox/fhir", "GET")}
    assert {(r, m) for r, m in made - promised if not any(r.startswith(other.rstrip("/")) for other in others)} == set()


def test_the_extensions_of_an_answer_are_those_of_the_page(open_app: Flask) -> None:
    promised = {name for name in quoted(section(PAGE, "CDS Hooks")) if name.startswith("cds-service.")}
    request = EXAMPLES["HookRequest"]["patient-view"]
    answer: Any = open_app.test_client().post(VIEW, json=request, headers={"X-CDS-Explain": "1"}).json
    cards = answer["cards"]
    assert cards
    assert answer["extension"].keys() | {name for card in cards for name in card["extension"]} == promised
    systems = {reason["system"] for card in cards for reason in card["overrideReasons"]}
    assert systems == {name for name in quoted(section(PAGE, "CDS Hooks")) if name.startswith("urn:")}


def test_the_headers_that_are_promised_are_sent_or_read(open_app: Flask) -> None:
    named = [name for name in quoted(section(PAGE, "Routes")) if re.fullmatch(r"[A-Z][A-Za-z-]+-[A-Za-z-]+", name)]
    assert len(named) > 4
    source = "".join(path.read_text() for path in (ROOT / "cds_service").rglob("*.py"))
    for name in named:
        written = name in source or f"HTTP_{name.upper().replace('-', '_')}" in source
        assert written or name == "Accept-Language", name


# --- Names for operators ---------------------------------------------------------------------------------------------


def test_the_commands_and_their_options_are_those_of_the_page() -> None:
    told = {quoted(cells[0])[0]: set(quoted(cells[1])) for cells in rows(text(PAGE)) if cells[0].startswith("`cds ")}
    assert told == commands()


@pytest.mark.parametrize(
    ("code", "line"), [("0", ["--version"]), ("1", ["check", "."]), ("2", ["chekc"]), ("2", ["check", "--quite"])]
)
def test_the_exit_codes_are_those_of_the_page(
    code: str, line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code in {cells[0] for cells in rows(section(PAGE, "Names for operators"))}
    (write(tmp_path) / "b12" / "low.yaml").write_text("id: low\n")
    monkeypatch.chdir(tmp_path)
    assert str(CliRunner().invoke(main, line).exit_code) == code


def test_the_entry_points_can_be_imported_where_the_page_says() -> None:
    (row,) = [cells for cells in rows(text(PAGE)) if cells[0] == "entry points"]
    module, probe = (re.sub(r"^python -m |:app$", "", name) for name in quoted(row[1]))
    import_module(probe)
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_log_is_described_whole(open_app: Flask) -> None:
    page = section("docs/settings.md", "Log")
    table = rows(page)
    events = {name for cells in table if len(cells) == 3 for name in quoted(cells[0])}
    assert events - {"unknown route"} == events_in_source()
    fields = {name for cells in table if len(cells) == 2 for name in quoted(cells[0])}
    assert fields | {"at", "level", "event"} == ALLOWED
    routes = set(quoted(page.partition("has its name as event")[2].partition(";")[0]))
    assert {name for name in routes if "." not in name and name != "..."} <= open_app.view_functions.keys() - QUIET


def test_the_columns_of_the_csv_report_are_those_of_its_page_in_order() -> None:
    listed = section("docs/report.md", "The columns of the CSV file").partition("What is unknown")[0]
    assert tuple(name for name in quoted(listed) if re.fullmatch(r"[a-z_]+", name) and name in COLUMNS) == COLUMNS


@pytest.mark.parametrize("model", [one for one in vars(overlay_schema).values() if is_own_model(one)])
def test_every_member_of_an_overlay_is_on_its_page(model: type[BaseModel]) -> None:
    page = text("docs/site-overlay.md")
    for field in model.__annotations__:
        name = model.model_fields[field].alias or field
        assert re.search(rf"\b{name}: |^ *{name}:|`{name}`", page, re.MULTILINE), name
