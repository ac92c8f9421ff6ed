"""The types of the page's scripts: checked by TypeScript, and true of what the service answers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.servers.fixtures import PACKAGES, missing
from tests.support.paths import ROOT

Json = dict[str, Any]
APP = ROOT / "cds_service" / "web" / "static" / "app"
TSC = PACKAGES / "typescript" / "bin" / "tsc"
LOCK = ROOT / "tests" / "servers" / "npm" / "package-lock.json"
# Patients whose cards and traces are looked at.
DRAFTING = "vka-menatetrenone-draft"
CALLED = ("b12-and-warfarin", "course-b12-treated", "healthy-adult", DRAFTING)
# `fits` keeps "low" of an answer as it is, where an import of JSON would make any text of it.
_HEAD = """
import type { Chart, Discovery, HookResponse, OrderList, PatientList, ServerList } from "TYPES";
declare function fits<Shape>(): <Answer extends Shape>(answer: Answer) => void;
// @ts-expect-error: the check is blind if this fits
fits<Chart>()({ patient: {} });
"""


def type_check(project: Path) -> str:
    """What TypeScript finds; "" for nothing."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed. Run: .ci/install")
    if not TSC.is_file():
        missing("TypeScript is not there. Run: tests/servers/npm-packages")
    return subprocess.run([node, TSC, "--project", project], capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    database = tmp_path_factory.mktemp("types") / "cds.db"
    app = create_app(Settings(open=True, sandbox=True, database_url=f"sqlite:///{database}"))
    yield app.test_client()
    app.extensions["database"].close()


def called(page: FlaskClient, service: Json, chart: Json, draft: Json | None = None) -> Json:
    """The response to a call as the page makes it."""
    patient = chart["patient"]["id"]
    context: Json = {"userId": "Practitioner/1", "patientId": patient, "encounterId": "1"}
    if draft is not None:
        resource = {"id": "draft-1", "subject": {"reference": f"Patient/{patient}"}} | draft
        context["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
        context["selections"] = [f"{resource['resourceType']}/draft-1"]
    prefetch = {key: chart["prefetch"][key] for key in service["prefetch"] if key in chart["prefetch"]}
    body = {"hook": service["hook"], "hookInstance": "8b0ac9b1-5c2e-4b47-9f5c-0b2f4c1f6d52", "context": context}
    reply = page.post(
        f"/cds-services/{service['id']}", json=body | {"prefetch": prefetch}, headers={"X-CDS-Explain": "1"}
    )
    assert reply.status_code == 200, reply.text
    found: Json = reply.get_json()
    return found


def answers(page: FlaskClient) -> Iterator[tuple[str, Any]]:
    """Answers of the service, each with the name of its type."""
    discovery = page.get("/cds-services").get_json()
    orders = page.get("/app/api/orders").get_json()
    yield "Discovery", discovery
    yield "OrderList", orders
    yield "ServerList", page.get("/app/api/servers").json
    patients = page.get("/app/api/patients/sandbox").json
    yield "PatientList", patients
    for patient in patients["patients"]:
        chart = page.get(f"/app/api/chart/sandbox/{patient['id']}").get_json()
        yield "Chart", chart
        if patient["id"] not in CALLED:
            continue
        for service in discovery["services"]:
            if not service["hook"].startswith("order-"):
                yield "HookResponse", called(page, service, chart)
            elif service["hook"] == "order-select" and patient["id"] == DRAFTING:
                for order in (order for order in orders["orders"] if order["kind"] == "vitamin-k"):
                    yield "HookResponse", called(page, service, chart, order["resource"])


@pytest.mark.npm
def test_the_types_of_the_page_are_those_of_the_answers(page: FlaskClient, tmp_path: Path) -> None:
    found = list(answers(page))
    cards = [card for shape, answer in found if shape == "HookResponse" for card in answer["cards"]]
    actions = [action for card in cards for each in card.get("suggestions", []) for action in each["actions"]]
    assert {action["type"] for action in actions} == {"create", "update", "delete"}
    calls = [f"fits<{shape}>()({json.dumps(answer)});" for shape, answer in found]
    (tmp_path / "answers.ts").write_text(_HEAD.replace("TYPES", str(APP / "types.js")) + "\n".join(calls))
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps({"extends": str(ROOT / "jsconfig.json"), "files": ["answers.ts"], "include": []}))

    assert type_check(project) == ""


@pytest.mark.parametrize("path", sorted(APP.glob("*.js")), ids=lambda path: path.name)
def test_a_script_hides_nothing_from_the_type_checker(path: Path) -> None:
    script = path.read_text(encoding="utf-8")

    assert re.findall(r"@ts-\w+|\{[^}\n]*\bany\b[^}\n]*\}(?= \w)|\{any\}", script) == []


def test_markdown_it_is_checked_by_the_types_of_the_vendored_version() -> None:
    packages = json.loads(LOCK.read_bytes())["packages"]
    vendored = re.search(r"\| markdown-it \| ([\d.]+) \|", (APP / "vendor" / "README.md").read_text(encoding="utf-8"))

    assert vendored is not None
    assert packages["node_modules/markdown-it"]["version"] == vendored[1]


def test_the_lock_file_of_the_npm_packages_names_no_address() -> None:
    # Every site downloads from its own registry; tests/servers/npm/.npmrc keeps addresses out.
    packages = json.loads(LOCK.read_bytes())["packages"]

    assert [name for name, package in packages.items() if "resolved" in package] == []
