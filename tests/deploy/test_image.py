"""The image and the Compose file: valid, confined, and in step with the settings and the commands of the service."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft202012Validator

from cds_service import __version__
from cds_service.cli.main import main
from cds_service.server.probe import ready
from cds_service.settings import load_settings, unknown_variables
from tests.support.certificates import Authority, tls_server
from tests.support.image_file import GRACE, IMAGE, RUNNING
from tests.support.paths import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
ENVIRONMENT = dict(word.split("=", 1) for word in shlex.split(RUNNING["ENV"]))

each_service = pytest.mark.parametrize("name", SERVICES)


# --- The image -------------------------------------------------------------------------------------------------------


def test_the_image_runs_as_a_numbered_user_in_a_stage_that_builds_nothing() -> None:
    """A number, because Kubernetes cannot know whether a name is root's."""
    assert RUNNING["USER"] == "10001:10001"
    last = [each for each in IMAGE if each.stage == 1 and each.name in ("COPY", "RUN")]
    assert [each.words for each in last if each.name == "COPY"] == ["--from=build /venv /venv"]
    assert not [each for each in last if re.search(r"pip install|apt-get|gcc|curl", each.words)]


def test_the_image_gets_signals_itself() -> None:
    """A shell in between would keep SIGTERM to itself."""
    assert json.loads(RUNNING["ENTRYPOINT"]) == ["cds"]
    assert json.loads(RUNNING["CMD"]) == ["serve"]
    assert RUNNING["STOPSIGNAL"] == "SIGTERM"


def test_the_image_is_labelled_with_the_version_that_it_holds() -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in RUNNING["LABEL"]


def test_every_setting_of_the_image_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name: value for name, value in ENVIRONMENT.items() if name.startswith("CDS_")}
    assert unknown_variables(settings) == []
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    loaded = load_settings()
    assert (loaded.host, loaded.port) == ("0.0.0.0", int(RUNNING["EXPOSE"]))
    assert loaded.database_url == f"sqlite:///{RUNNING['VOLUME']}/cds.db"
    assert not loaded.open


def test_the_image_s_health_check_is_a_module_of_the_program() -> None:
    options, _, command = RUNNING["HEALTHCHECK"].partition(" CMD ")
    python, flag, module = json.loads(command)
    assert (python, flag) == ("python", "-m")
    assert find_spec(module) is not None
    assert "--start-period=" in options


def test_every_package_in_the_image_comes_by_its_hash() -> None:
    installs = [line for each in IMAGE for line in each.words.split("&&") if "pip" in line and " install " in line]
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [name for each in IMAGE if each.name == "COPY" and each.stage == 0 for name in each.words.split()[:-1]]
    assert {"pyproject.toml", "cds_service/", "knowledge/", "requirements/"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name.rstrip("/") in allowed, name


# --- Its health check ------------------------------------------------------------------------------------------------


@contextmanager
def health(status: int) -> Iterator[int]:
    """The port of a service that answers /health/ready with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def probed(**variables: str) -> int:
    """The exit code of the health check."""
    command = [sys.executable, "-m", "cds_service.server.probe"]
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode


def test_the_health_check_follows_the_service() -> None:
    with health(200) as port:
        assert probed(CDS_PORT=str(port)) == 0
        # A proxy of the machine is not asked about the machine itself.
        assert probed(CDS_PORT=str(port), http_proxy="http://127.0.0.1:9") == 0
    assert probed(CDS_PORT=str(port)) == 1
    with health(503) as port:
        assert probed(CDS_PORT=str(port)) == 1


def test_the_health_check_speaks_tls_with_a_service_that_does(tmp_path: Path) -> None:
    pair, other = Authority(tmp_path).vouch("cds.example"), Authority(tmp_path, "Other").vouch("cds.example")
    with tls_server(pair) as server:
        assert ready(server.port, str(pair.cert)) is True
        assert ready(server.port, str(other.cert)) is False
        assert ready(server.port) is False


# --- Compose ---------------------------------------------------------------------------------------------------------


def test_the_compose_file_is_valid_by_the_specification_s_schema() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    assert [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)] == []
    broken = COMPOSE | {"services": {"cds": {"imagee": "x"}}}
    assert list(Draft202012Validator(schema).iter_errors(broken))


@each_service
def test_a_service_of_compose_is_confined_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user", RUNNING["USER"]) != "0"
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert any(place.split(":")[0] == "/tmp" for place in service["tmpfs"])


@each_service
def test_an_image_of_compose_is_pinned(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert re.match(r"v?\d", tag), image
    assert (tag == __version__) == (name in OURS)


def test_only_the_service_is_published_and_on_the_loopback_interface_alone() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "cds": ["127.0.0.1:8080:8080"]
    }
    assert COMPOSE["networks"]["back"]["internal"] is True
    assert [name for name, service in SERVICES.items() if service["networks"] != ["back"]] == ["cds"]


def test_every_setting_in_compose_is_one_and_they_load_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = SERVICES["cds"]["environment"]
    assert given["CDS_SECRETS_DIR"] == "/run/secrets"
    made = make_secrets(tmp_path)
    for name, value in {**ENVIRONMENT, **given, "CDS_SECRETS_DIR": str(made)}.items():
        monkeypatch.setenv(name, value)
    for name in SERVICES:
        assert unknown_variables(SERVICES[name].get("environment", {})) == []
    settings = load_settings()
    assert settings.open
    assert settings.hash_key
    (allowed,) = settings.fhir_allow
    assert urlsplit(allowed).hostname in SERVICES
    assert settings.private_addresses == (ip_network(COMPOSE["networks"]["back"]["ipam"]["config"][0]["subnet"]),)
    database = urlsplit(settings.database_url)
    assert database.hostname in SERVICES
    assert database.username == SERVICES["db"]["environment"]["POSTGRES_USER"]
    assert database.path == f"/{SERVICES['db']['environment']['POSTGRES_DB']}"
    assert database.password == (made / "database_password").read_text().strip()


def test_the_sample_patients_go_to_the_server_that_the_service_may_call() -> None:
    group, words = main.commands, SERVICES["samples"]["command"]
    parsed = group[words[0]].make_context(words[0], words[1:]).params
    assert parsed["url"] == SERVICES["cds"]["environment"]["CDS_FHIR_ALLOW"]
    assert parsed["test_server"] is True
    assert parsed["wait"] >= 120


def test_each_waits_for_what_it_needs() -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    assert waits == {
        "cds": {"db": "service_healthy", "samples": "service_completed_successfully"},
        "samples": {"hapi": "service_started"},
        "db": {},
        "hapi": {},
    }
    assert "healthcheck" in SERVICES["db"]
    assert SERVICES["samples"]["restart"] == "no"


def test_the_grace_period_lets_calls_under_way_end() -> None:
    assert SERVICES["cds"]["stop_grace_period"] == f"{GRACE}s"
    kill_after = re.search(r"workers_kill_timeout=(\d+)", (ROOT / "cds_service" / "cli/main.py").read_text())
    assert kill_after
    assert int(kill_after[1]) < GRACE


# --- Its secrets -----------------------------------------------------------------------------------------------------


def make_secrets(folder: Path) -> Path:
    """What `deploy/make-secrets` makes, in a copy of the folder that it lies in."""
    script = folder / "deploy" / "make-secrets"
    script.parent.mkdir()
    script.write_bytes((ROOT / "deploy" / "make-secrets").read_bytes())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    return script.parent / "secrets"


def test_no_secret_stands_in_the_compose_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("password|secret|token", name, re.IGNORECASE) or value.startswith("/run/secrets"), name
            assert "@" not in value, name


def test_the_script_makes_every_secret_that_compose_mounts(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    files = {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert files == {f"deploy/secrets/{path.name}" for path in made.iterdir()}
    mounted = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert mounted == COMPOSE["secrets"].keys()
    assert made.stat().st_mode & 0o777 == 0o700
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "deploy" not in (ROOT / ".dockerignore").read_text()


def test_secrets_are_made_once_and_are_never_the_same(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    before = {path.name: path.read_text() for path in made.iterdir()}
    again = subprocess.run(["sh", str(made.parent / "make-secrets")], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is there already and was left as it is" in again.stderr
    assert {path.name: path.read_text() for path in made.iterdir()} == before
    (tmp_path / "other").mkdir()
    other = make_secrets(tmp_path / "other")
    assert all((other / name).read_text() != text for name, text in before.items())
