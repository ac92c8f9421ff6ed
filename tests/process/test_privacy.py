"""A real server, at log level debug, with canaries in good, bad and failing requests: none of them gets anywhere.

Looked through afterwards: standard output and error, the database files, the body of every answer that is an error, the
headers of every answer, and the health routes.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.canaries import (
    AUTHORIZATION,
    COMMENT,
    PATIENT,
    TOKEN,
    calling,
    leaks,
    person,
    prefetch,
    searchset,
    selecting,
)
from tests.support.fault_server import FaultServer, drip_body, fault_server, hang_up, resource, status, text
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.recorder import VIEW
from tests.support.signing import Signer, write_key_set
from tests.support.watched_service import Service, lines, serving

Json = dict[str, Any]
LEAKY = "from cds_service.cli.main import run_server; from cds_service.settings import load_settings;"
FEEDBACK = {
    "card": "0b1a4ff2-9d1c-4d0a-8a53-5f6c1b7c9d11",
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-20T12:00:00Z",
    "overrideReason": {"userComment": COMMENT},
}


# --- requests -----------------------------------------------------------------------------------------------------


def good_requests(service: Service) -> None:
    assert service.post(calling()) == 200
    assert service.post(selecting(), "/cds-services/vitamin-k-order-select") == 200
    assert leaks(service.answers[-1].content), "a card about the patient would tell something"
    assert service.post({"feedback": [FEEDBACK]}, VIEW + "/feedback") == 200
    assert service.send("GET", "/cds-services?canary=canary", headers={"X-Canary": "canary"}) == 200
    for path in ("/health/ready", "/health/live", "/"):
        assert service.send("GET", path, headers={"Authorization": f"Bearer {TOKEN}"}) == 200
        assert not leaks(service.answers[-1].content)


def bad_requests(service: Service) -> None:
    bad: list[Any] = [
        b'{"canary": canary}',
        b'"canary"',
        b'{"hook": "canary", "hook": "canary"}',
        json.dumps(calling()).encode()[:-20],
        "\ufeff{}canary".encode(),
        b'{"canary": "\xff canary"}',
        b'{"canary":' * 5_000,
        calling(hook="canary-view"),
        calling(hookInstance="canary"),
        calling(context="canary"),
        calling(context__patientId=["canary"]),
        calling(context__patientId=...),
        calling(context__userId="Canary/canary"),
        calling(context__encounterId={"canary": "canary"}),
        calling(fhirServer={"canary": "canary"}),
        calling(fhirAuthorization="canary"),
        calling(fhirServer="https://canary.example", fhirAuthorization=AUTHORIZATION | {"patient": "canary-other"}),
        calling(prefetch="canary"),
        calling(prefetch=[person()]),
    ]
    assert [service.post(body) for body in bad] == [400] * len(bad)
    select = "/cds-services/vitamin-k-order-select"
    for changed in (selecting(context__draftOrders="canary"), selecting(context__selections="canary")):
        assert service.post(changed, select) == 400
    for item in (
        {"card": {"canary": 1}}, FEEDBACK | {"outcome": "canary"}, FEEDBACK | {"outcomeTimestamp": "canary"},
        FEEDBACK | {"overrideReason": {"userComment": ["canary"]}}, "canary",
    ):  # fmt: skip
        assert service.post({"feedback": [item]}, VIEW + "/feedback") == 400
    assert service.post(calling(), "/cds-services/canary-service") == 404
    assert service.send("GET", "/canary/Patient/canary?canary=canary#canary") == 404
    for method in ("PUT", "DELETE", "PATCH"):
        assert service.send(method, VIEW + "?canary=canary", data=b"canary") == 405
    assert service.post(calling(prefetch={"canary": "canary" * 40_000})) == 413
    assert service.send("POST", VIEW, data=b"canary", headers={"Content-Type": "text/canary"}) == 415
    assert service.post(calling(prefetch={}), Accept_Language="canary", Origin="https://canary.example") == 412
    assert service.post(calling(prefetch=prefetch(patient=person() | {"id": "canary-other"}))) == 412
    for content in (
        b"CANARY canary HTTP/9.9\r\n\r\n",
        b"GET /canary HTTP/1.1\r\nCanary canary\r\n\r\n",
        b"\x16\x03canary",
    ):
        assert not leaks(service.raw(content))


def failing_servers(service: Service, ehr: FaultServer) -> None:
    """Calls for which something is to be fetched, from a server that fails in every way, canaries in all it says."""
    said = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x", "diagnostics": "canary"}]}
    asking = calling(prefetch={}, fhirServer=ehr.base, fhirAuthorization=AUTHORIZATION)
    failures = (
        *(status(code, X_Canary="canary") for code in (400, 401, 403, 404, 410, 500, 503)),
        *(status(302, Location="https://canary.example/canary"), status(429, Retry_After="canary")),
        *(text('{"canary": canary'), text("canary"), text("{}", 500), resource(said), hang_up, drip_body),
        *(resource(searchset(person())), resource({"resourceType": "Canary", "id": "canary"})),
    )
    for failure in failures:
        # One list is missing and fails; the Patient as well.
        ehr.routes[f"Patient/{PATIENT}"] = failure
        assert service.post(asking) == 412
    ehr.routes[f"Patient/{PATIENT}"] = resource(person())
    assert service.post(asking) in (200, 412)
    assert any(TOKEN in (authorization or "") for _, authorization in ehr.seen)
    for address in ("https://canary.example/fhir", ehr.base + "/canary", "canary:canary", "http://canary@127.0.0.1/"):
        assert service.post(calling(prefetch={}, fhirServer=address, fhirAuthorization=AUTHORIZATION)) == 412


# --- open and closed ----------------------------------------------------------------------------------------------


@pytest.mark.row("FHA-10", "FHA-12", "FBK-12", "TOY-10", "TOY-06")
def test_nothing_leaves_an_open_service(tmp_path: Path) -> None:
    with fault_server() as ehr:
        settings = {"OPEN": "1", "FHIR_ALLOW": ehr.base, "FHIR_DEADLINE": "1", "MAX_BODY": "200000", "EXPLAIN": "1"}
        with serving(tmp_path, ["-m", "cds_service", "serve"], **settings) as service:
            good_requests(service)
            bad_requests(service)
            failing_servers(service, ehr)
            asked = len(ehr.seen)
            written = service.ends()
    assert len(ehr.seen) == asked
    assert not leaks(written)
    statuses = {line["status"] for line in lines(written, "call")}
    assert statuses >= {200, 400, 404, 412, 413, 415}
    assert [line["feedback"] for line in lines(written, "feedback") if line["status"] == 200] == [1]
    assert not service.found_in_answers()
    assert not service.found_in_files()
    # The calls are in there all the same, of whom is a hash.
    with closing(sqlite3.connect(tmp_path / "cds.db")) as database:
        assert database.execute("select count(*) from hook_call where patient_hash is not null").fetchone()[0] > 0


@pytest.mark.row("FHA-12", "TOY-10")
def test_nothing_leaves_a_closed_service(tmp_path: Path) -> None:
    ehr, stranger = Signer("https://ehr.example/fhir"), Signer("https://canary.example/fhir", kid="canary-kid")
    (tmp_path / "clients.yaml").write_text(
        "clients:\n- name: ward\n  issuers: [https://ehr.example/fhir]\n  keys: keys.yaml\n", encoding="utf-8"
    )
    write_key_set(tmp_path / "keys.yaml", ehr)
    public = "https://cds.example"
    settings = {"CLIENTS": str(tmp_path / "clients.yaml"), "PUBLIC_URL": public}
    with serving(tmp_path, ["-m", "cds_service", "serve"], **settings) as service:
        tokens = [
            ehr.token(public + VIEW, jti="canary-jti", sub="canary-sub", tenant="canary-tenant"),
            ehr.token(public + "/canary", jti="canary-2"),
            ehr.token(public + VIEW, jti="canary-3", exp=1),
            ehr.token(public + VIEW, jti="canary-4", header={"kid": "canary-kid"}),
            ehr.token(public + VIEW, jti="canary-5", header={"jku": "https://canary.example/keys"}),
            ehr.token(public + VIEW, jti="canary-6", header={"alg": "canary"}),
            ehr.token(public + VIEW, jti=["canary"]),
            stranger.token(public + VIEW, jti="canary-7"),
            "canary",
            "canary.canary.canary",
        ]
        assert service.post(calling(), Authorization=f"Bearer {tokens[0]}") == 200
        refused = [*tokens, "canary canary", "ca\u00f1ary".encode().decode("latin-1")]
        assert {service.post(calling(), Authorization=f"Bearer {token}") for token in refused} == {401}
        assert service.post(calling(), Authorization="Canary canary") == 401
        assert service.post({"feedback": [FEEDBACK]}, VIEW + "/feedback", Authorization=f"Bearer {TOKEN}") == 401
        written = service.ends()
    secrets = [part for token in tokens[:8] for part in token.split(".") if len(part) > 20]
    assert len(lines(written, "call")) == 2 + len(refused)
    for place in (written, *(path.read_bytes() for path in tmp_path.glob("cds.db*"))):
        assert not leaks(place, COMMENT)
        assert not [part for part in secrets if part.encode() in place]
    assert not service.found_in_answers()
    for answer in service.answers:
        assert not [part for part in secrets if part in f"{answer.headers} {answer.text}"]


# --- faults of ours -----------------------------------------------------------------------------------------------


# Patients of leaky_app.py, and the status of a call about each.
FAULTS = {"raises": 500, "thread": 200, "warns": 200, "logs": 200, "fades": 200, "asks": 500, "recurses": 400}


@pytest.mark.row("TOY-06")
def test_a_fault_of_ours_tells_where_it_was_and_nothing_else(tmp_path: Path) -> None:
    command = ["-c", LEAKY + "run_server(load_settings(), 'tests.support.leaky_app:app')"]
    with serving(tmp_path, command, OPEN="1") as service:
        outcomes = {fault: service.post(calling(context__patientId=fault)) for fault in FAULTS}
        outside = service.send("GET", "/outside")
        written = service.ends()
    assert outcomes == FAULTS
    assert outside == 500
    assert not leaks(written)
    assert not service.found_in_answers()
    assert not service.found_in_files()
    # What happened can be found all the same.
    assert {line["error"] for line in lines(written, "fault")} == {"RuntimeError", "OperationalError", "ValueError"}
    assert [line["error"] for line in lines(written, "fault in a thread")] == ["RuntimeError"]
    assert [line["error"] for line in lines(written, "warning")] == ["UserWarning"]
    told = lines(written, "message of a library")
    assert len([line for line in told if line["level"] == "error"]) >= 6
    assert all("leaky_app.py" in line["where"][-1] for line in lines(written, "fault in a thread"))
    assert b"Traceback" not in written


# --- the start ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql://u:canary@127.0.0.1:1/cds", "postgresql://u:p@127.0.0.1:canary/cds"])
def test_a_service_that_cannot_start_says_why_in_one_line_without_the_password(url: str) -> None:
    port = free_port()
    settings = {"CDS_OPEN": "1", "CDS_PORT": str(port), "CDS_WORKERS": "1", "CDS_DATABASE_URL": url}
    ended = subprocess.run(
        [sys.executable, "-m", "cds_service", "serve"],
        env=os.environ | settings | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert not leaks(ended.stdout)
    assert b"Traceback" not in ended.stdout
    assert all(line["reason"].startswith("CDS_DATABASE_URL: ") for line in lines(ended.stdout, "cannot start"))
    assert lines(ended.stdout, "cannot start")
