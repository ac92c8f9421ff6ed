"""Run in the copy of a service: asks every route in a language and writes the answers to answers.json."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cds_service.present.catalogue.registers import REGISTERS
from cds_service.settings import Settings
from cds_service.web.app import create_app

Json = dict[str, Any]


def answers(language: str, patients: list[str]) -> Iterator[tuple[str, Any]]:
    app = create_app(Settings(open=True, sandbox=True, report_page=True))
    client = app.test_client()
    heads = {"Accept-Language": language, "X-CDS-Explain": "1"}

    def ask(path: str, body: Json | None = None) -> tuple[str, Any]:
        reply = client.get(path, headers=heads) if body is None else client.post(path, json=body, headers=heads)
        return path, {"status": reply.status_code, "body": reply.get_json() if reply.is_json else reply.text}

    for path in ("/", "/app/", "/openapi.json", "/health/live", "/health/ready", "/app/static/texts.json"):
        yield ask(path)
    discovery = ask("/cds-services")
    yield discovery
    rules = client.get("/rules").text
    names = {part.partition('"')[0].partition("?")[0] for part in rules.split('href="/rules/')[1:]}
    for name in ("", *sorted(names | set(REGISTERS))):
        if not name.endswith((".css", ".png")):
            yield ask(f"/rules/{name}".rstrip("/"))
    for path in ("/app/api/servers", "/app/api/orders", "/app/api/patients/sandbox"):
        yield ask(path)
    orders = client.get("/app/api/orders", headers=heads).json["orders"]
    for patient in client.get("/app/api/patients/sandbox").json["patients"]:
        if patients and patient["id"] not in patients:
            continue
        where, chart = ask(f"/app/api/chart/sandbox/{patient['id']}")
        yield where, chart
        for service in discovery[1]["body"]["services"]:
            for number, order in enumerate(orders if service["hook"].startswith("order-") else [None]):
                path, reply = ask(f"/cds-services/{service['id']}", call(service, patient["id"], chart["body"], order))
                yield f"{path} {patient['id']} {number}", reply
    path, missing = ask(
        f"/cds-services/{discovery[1]['body']['services'][0]['id']}",
        call(discovery[1]["body"]["services"][0], "nobody", {"prefetch": {}}, None),
    )
    yield f"{path} nobody", missing
    app.extensions["recorder"].close()
    yield ask("/report")
    app.extensions["database"].close()
    for form in ("terminal", "html"):
        done = subprocess.run(
            [sys.executable, "-m", "cds_service", "report", "--language", language, "--format", form],
            capture_output=True,
            text=True,
            check=False,
        )
        yield f"cds report {form}", {"status": 500 if done.returncode else 200, "body": done.stdout + done.stderr}


def call(service: Json, patient: str, chart: Json, order: Json | None) -> Json:
    context: Json = {"userId": "Practitioner/1", "patientId": patient, "encounterId": "1"}
    if order is not None:
        draft = {**order["resource"], "id": "draft-1", "subject": {"reference": f"Patient/{patient}"}}
        context["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": draft}]}
        context["selections"] = [f"{draft['resourceType']}/draft-1"]
    return {
        "hook": service["hook"],
        "hookInstance": "8b0ac9b1-5c2e-4b47-9f5c-0b2f4c1f6d52",
        "context": context,
        "prefetch": {key: value for key, value in chart["prefetch"].items() if key in service["prefetch"]},
    }


if __name__ == "__main__":
    found = dict(answers(sys.argv[1], sys.argv[2:]))
    # The log goes to standard output.
    Path("answers.json").write_text(json.dumps(found), encoding="utf-8")
