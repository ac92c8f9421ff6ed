"""The command as a newcomer runs it: the shipped knowledge, the sandbox, and the call that it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import requests

from cds_service.hooks.response_models import Discovery, HookResponse
from tests.support.paths import ROOT
from tests.support.ports import free_port


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """`cds serve` with its sandbox, and what it printed up to the call to try."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "cds_service", "serve", "--port", str(port), "--workers", "1", "--threads", "4"],
        env=os.environ
        | {
            "CDS_OPEN": "1",
            "CDS_SANDBOX": "1",
            "CDS_FHIR_ALLOW": f"{base}/sandbox/fhir",
            "CDS_DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('var')}/cds.db",
        },
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    status = None
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ready:"):
            # It says so when it is so, not before.
            status = requests.get(f"{base}/health/ready", timeout=2).status_code
        if "-patient-view'" in line:
            break
    yield SimpleNamespace(base=base, printed="".join(lines), status=status)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)
    process.stdout.close()


def test_ready_is_printed_when_it_answers(service: SimpleNamespace) -> None:
    assert service.status == 200, service.printed
    assert f"Ready: {service.base}" in service.printed


def test_the_printed_call_brings_a_b12_card_and_a_warfarin_card(service: SimpleNamespace) -> None:
    command = shlex.split(re.search(r"^curl .*", service.printed, re.MULTILINE | re.DOTALL)[0])
    body, url = json.loads(command[command.index("-d") + 1]), command[-1]
    assert "prefetch" not in body
    choices = re.search(r"\{(.*)\}", url)
    assert choices
    rules = []
    for choice in choices[1].split(","):
        reply = requests.post(url.replace(choices[0], choice), json=body, timeout=10)
        assert reply.status_code == 200, reply.text
        cards = HookResponse.model_validate(reply.json()).cards
        rules += [card.source.topic.code for card in cards if card.source.topic]
    assert any(rule.startswith("b12-") for rule in rules)
    assert any(rule.startswith("vka-") for rule in rules)


@pytest.mark.row("DIS-02", "DIS-04", "DIS-05", "DIS-06", "DIS-07", "DIS-08")
def test_the_shipped_discovery_meets_the_specification_in_both_languages(service: SimpleNamespace) -> None:
    english, chinese = (
        Discovery.model_validate(
            requests.get(service.base + "/cds-services", headers={"Accept-Language": language}, timeout=5).json()
        )
        for language in ("en", "zh")
    )
    assert [s.id for s in english.services] == [s.id for s in chinese.services]
    assert [s.description for s in english.services] != [s.description for s in chinese.services]


@pytest.mark.row("DIS-07")
def test_every_shipped_service_can_be_called_and_never_fails(service: SimpleNamespace) -> None:
    """A patient nobody knows: 200 with cards or 412 with what is missing"""
    for entry in requests.get(service.base + "/cds-services", timeout=5).json()["services"]:
        body = {
            "hook": entry["hook"],
            "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "context": {
                "userId": "Practitioner/1",
                "patientId": "nobody",
                "encounterId": "1",
                "selections": ["MedicationRequest/1"],
                "draftOrders": {"resourceType": "Bundle"},
            },
        }
        reply = requests.post(f"{service.base}/cds-services/{entry['id']}", json=body, timeout=5)
        assert reply.status_code in (200, 412), reply.text
        if reply.status_code == 412:
            assert reply.json()["resourceType"] == "OperationOutcome"


def test_the_sandbox_is_a_fhir_server_for_browsers_too(service: SimpleNamespace) -> None:
    reply = requests.get(f"{service.base}/sandbox/fhir/metadata", headers={"Origin": "https://x.example"}, timeout=5)
    assert reply.json()["resourceType"] == "CapabilityStatement"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
