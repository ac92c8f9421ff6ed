"""Real FHIR servers, a real PostgreSQL and HL7's R4 example resources, as pytest fixtures.

A test names the fixture it needs and the marker `hapi`, `npm` or `postgres`. Where a server or the packages are
missing, the test is skipped and says what to run; in the pipeline (CDS_CI=1) it fails instead, so that nothing goes
untested unnoticed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import psycopg
import pytest
import requests
from psycopg import sql

from cds_service.store.database import Database
from tests.support.databases import sqlite_url
from tests.support.paths import ROOT

PACKAGES = ROOT / ".cache" / "npm" / "node_modules"
R4_EXAMPLES = PACKAGES / "hl7.fhir.r4.examples"

EXAMPLE_TYPES = (
    "Observation",
    "MedicationStatement",
    "MedicationRequest",
    "Medication",
    "Condition",
    "Procedure",
    "ServiceRequest",
    "Patient",
    "Bundle",
    "Goal",
    "AllergyIntolerance",
    "FamilyMemberHistory",
)
# Larger files are Bundles of FHIR's own definitions (up to 35 MB), which no service is ever sent as patient data.
LARGEST_EXAMPLE = 600_000

# Read once: a test may run with every CDS_ setting taken away.
IN_PIPELINE = os.environ.get("CDS_CI") == "1"

Resource = dict[str, Any]


@pytest.fixture(scope="session")
def hapi_url() -> str:
    """Base URL of the HAPI FHIR JPA server that `.ci/hapi start` printed, taken from CDS_TEST_HAPI_URL."""
    url = os.environ.get("CDS_TEST_HAPI_URL", "").rstrip("/")
    if not url:
        missing("CDS_TEST_HAPI_URL is not set. Run: export CDS_TEST_HAPI_URL=$(.ci/hapi start)")
    try:
        answer = requests.get(f"{url}/metadata", timeout=30)
    except requests.RequestException as error:
        missing(f"no HAPI server answers at {url} ({type(error).__name__}). Run: .ci/hapi start")
    if answer.status_code != 200 or answer.json().get("fhirVersion") != "4.0.1":
        missing(f"{url}/metadata is not the capability statement of an R4 server. Run: .ci/hapi start")
    return url


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """URL of the PostgreSQL server that `.ci/postgres start` printed, taken from CDS_TEST_POSTGRES_URL."""
    url = os.environ.get("CDS_TEST_POSTGRES_URL", "")
    if not url:
        missing("CDS_TEST_POSTGRES_URL is not set. Run: export CDS_TEST_POSTGRES_URL=$(.ci/postgres start)")
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        missing(f"no PostgreSQL answers at CDS_TEST_POSTGRES_URL ({type(error).__name__}). Run: .ci/postgres start")
    return url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a new, empty database on that server; dropped after the test."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a database with all tables on that server, to make others from; nobody is connected to it."""
    with new_database(postgres_server) as url:
        Database(url).close()
        yield url.rpartition("/")[2]


@contextmanager
def new_database(server: str, template: str = "template1") -> Iterator[str]:
    """A new database on a PostgreSQL server, by its URL; empty without a template; dropped at the end."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        connection.execute(made)
        yield server.rpartition("/")[0] + f"/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


_ON_BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=_ON_BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a new database with all tables; every test with it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        server = request.getfixturevalue("postgres_server")
        with new_database(server, request.getfixturevalue("postgres_template")) as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """That database, opened."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(params=_ON_BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a new database without any table; every test with it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cds.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def medplum_url() -> Iterator[str]:
    """Base URL of a Medplum FHIR server of this test run alone, open to everyone; empty at first."""
    with medplum() as url:
        yield url


@pytest.fixture
def r4_examples() -> Iterator[tuple[str, Resource]]:
    """(file name, resource) for HL7's R4 examples of the types in EXAMPLE_TYPES, in order of name, read one by one."""
    files = [
        file
        for kind in EXAMPLE_TYPES
        for file in sorted(R4_EXAMPLES.glob(f"{kind}-*.json"))
        if file.stat().st_size <= LARGEST_EXAMPLE
    ]
    if not files:
        missing("HL7's R4 examples are not there. Run: tests/servers/npm-packages")
    return ((file.name, json.loads(file.read_bytes())) for file in files)


@contextmanager
def medplum(token: str | None = None) -> Iterator[str]:
    """Start a Medplum FHIR server on a free loopback port and yield its base URL; a token is asked of every request."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed. Run: .ci/install")
    if not (PACKAGES / "@medplum" / "fhir-router").is_dir():
        missing("Medplum's packages are not there. Run: tests/servers/npm-packages")
    environment = {name: value for name, value in os.environ.items() if name != "CDS_TEST_TOKEN"}
    if token is not None:
        environment["CDS_TEST_TOKEN"] = token
    command = [node, str(ROOT / "tests" / "servers" / "medplum.mjs"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            # Its first line is its address; an empty line means that it ended, and its own words are on stderr.
            url = server.stdout.readline().strip()
            if not url:
                pytest.fail(f"tests/servers/medplum.mjs ended with exit code {server.wait(10)} before it listened")
            yield url
        finally:
            server.terminate()


def store(url: str, resources: Iterable[Resource], token: str | None = None) -> None:
    """Put the resources on the FHIR server under their own ids, in one transaction; with a token if it asks for one."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    headers = {"Content-Type": "application/fhir+json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    answer = requests.post(url, json=bundle, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    refused = [each for each in answer.json()["entry"] if not each["response"]["status"].startswith("2")]
    assert not refused, refused


def missing(what: str) -> NoReturn:
    """End the test: a failure in the pipeline, a skip on a developer's machine."""
    if IN_PIPELINE:
        pytest.fail(what)
    pytest.skip(what)
