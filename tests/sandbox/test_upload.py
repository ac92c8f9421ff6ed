"""`cds load-samples`: the sample patients on a FHIR server, as invented ones, and never over somebody else's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from cds_service.cli.main import main
from cds_service.sandbox.upload import TEST_DATA
from tests.support.real_inputs import SAMPLES

Json = dict[str, Any]


class FhirServer:
    """A FHIR server as far as the loader needs one; `sick` answers are given before the healthy ones."""

    def __init__(self) -> None:
        self.version = "4.0.1"
        self.sick: list[tuple[int, bytes]] = []
        self.transaction_status = 200
        self.resources: dict[str, Json] = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(f"GET {self.path}")
                if server.sick:
                    self._answer(*server.sick.pop(0))
                elif self.path == "/fhir/metadata":
                    self._answer(200, {"resourceType": "CapabilityStatement", "fhirVersion": server.version})
                else:
                    found = server.resources.get(self.path.removeprefix("/fhir/"))
                    self._answer(200 if found else 404, found or {"resourceType": "OperationOutcome"})

            def do_POST(self) -> None:
                server.requests.append(f"POST {self.path}")
                bundle = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert (self.path, bundle["type"]) == ("/fhir", "transaction")
                if server.transaction_status == 200:
                    for entry in bundle["entry"]:
                        assert entry["request"]["method"] == "PUT"
                        server.resources[entry["request"]["url"]] = entry["resource"]
                self._answer(server.transaction_status, {"resourceType": "Bundle"})

            def _answer(self, status: int, body: Json | bytes) -> None:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Says nothing on standard error."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}/fhir"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[FhirServer]:
    running = FhirServer()
    yield running
    running.http.shutdown()
    running.http.server_close()


def load(*words: str) -> Result:
    return CliRunner().invoke(main, ["load-samples", *words])


def test_all_sample_patients_arrive_labelled_as_test_data(server: FhirServer) -> None:
    done = load(server.base, "--test-server")
    assert done.output == f"{len(SAMPLES)} patients, {len(server.resources)} resources\n"
    assert {f"Patient/{sample.id}" for sample in SAMPLES} <= server.resources.keys()
    assert len(server.resources) > 3 * len(SAMPLES)
    assert all(each["meta"]["security"] == [TEST_DATA] for each in server.resources.values())


def test_without_being_told_that_it_is_a_test_server_nothing_is_asked_or_written(server: FhirServer) -> None:
    done = load(server.base)
    assert done.exit_code == 2
    assert "Repeat with --test-server if no real patients are on this server." in done.output
    assert server.requests == []


def test_a_second_load_replaces_the_first(server: FhirServer) -> None:
    assert load(server.base, "--test-server").exit_code == 0
    before = server.resources.keys()
    assert load(f"{server.base}/", "--test-server").exit_code == 0
    assert server.resources.keys() == before


def test_another_patient_under_the_id_of_a_sample_stops_the_load_before_anything_is_written(server: FhirServer) -> None:
    somebody = {"resourceType": "Patient", "id": SAMPLES[-1].id, "name": [{"family": "Real", "given": ["Person"]}]}
    server.resources[f"Patient/{SAMPLES[-1].id}"] = somebody
    done = load(server.base, "--test-server")
    assert done.exit_code == 1
    assert f"The server holds another patient under Patient/{SAMPLES[-1].id}. Nothing was written." in done.output
    assert server.resources == {f"Patient/{SAMPLES[-1].id}": somebody}
    assert "Real" not in done.output


def test_a_server_that_is_still_starting_is_waited_for(server: FhirServer) -> None:
    server.sick = [(503, b"starting"), (404, b"<html>")]
    assert load(server.base, "--test-server", "--wait", "30").exit_code == 0
    assert server.requests[:3] == ["GET /fhir/metadata"] * 3


@pytest.mark.parametrize(
    ("status", "content"), [(503, b"starting"), (200, b"<html>"), (200, b"[]"), (302, b""), (200, b"")]
)
def test_what_is_no_fhir_server_is_told_and_not_written_to(server: FhirServer, status: int, content: bytes) -> None:
    server.sick = [(status, content)]
    done = load(server.base, "--test-server")
    assert done.exit_code == 1
    assert f"No FHIR R4 server answers at this URL: {server.base}/metadata gave {status}" in done.output
    assert server.requests == ["GET /fhir/metadata"]


def test_a_server_of_another_fhir_version_is_not_written_to(server: FhirServer) -> None:
    server.version = "5.0.0"
    assert "No FHIR R4 server" in load(server.base, "--test-server").output
    assert server.resources == {}


def test_nobody_at_the_address_is_told(server: FhirServer) -> None:
    server.http.shutdown()
    server.http.server_close()
    done = load(server.base, "--test-server")
    assert done.exit_code == 1
    assert f"cds: {server.base}/metadata did not answer (ConnectionError). Is the server running?" in done.output


def test_a_refused_transaction_is_told_with_its_status(server: FhirServer) -> None:
    server.transaction_status = 422
    done = load(server.base, "--test-server")
    assert done.exit_code == 1
    assert f"The server answered 422 to the transaction with Patient/{SAMPLES[0].id}." in done.output


@pytest.mark.hapi
def test_hapi_takes_the_patients_under_their_own_ids(hapi_url: str) -> None:
    done = load(hapi_url, "--test-server")
    assert done.exit_code == 0, done.output
    found = requests.get(f"{hapi_url}/Patient/{SAMPLES[0].id}", timeout=30).json()
    assert found["meta"]["security"] == [TEST_DATA]
