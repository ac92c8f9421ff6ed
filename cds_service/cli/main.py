"""The command line: `cds serve`, and the terminal commands of `cli/knowledge.py`.

Exit codes: 0 success; 1 an error in settings or knowledge, printed on standard error; 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from typing import Any

import click

from cds_service import __version__
from cds_service.artifacts.load import load_knowledge
from cds_service.cli.knowledge import (
    check_command,
    evaluate_command,
    explain_command,
    export_commands,
    load_samples_command,
    purge_command,
    sample_command,
)
from cds_service.cli.report import report_command
from cds_service.errors import CdsError, SettingsError
from cds_service.hooks.snooze import check_snooze
from cds_service.security.callers import known_clients
from cds_service.server.probe import answers
from cds_service.server.tls import check_files, server_options
from cds_service.settings import PREFIX, Settings, load_settings, unknown_variables

# Approximate limit on the bytes of all headers of a call; a token is far below.
_MAX_HEADERS = 65_536


class _Commands(click.Group):
    """Prints our errors as one line on standard error and exits with code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CdsError as error:
            click.echo(f"cds: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Commands)
@click.version_option(__version__)
def main() -> None:
    """Decision support for vitamin B12 deficiency and for vitamin K with warfarin, over CDS Hooks."""


for _command in (
    check_command,
    evaluate_command,
    explain_command,
    export_commands,
    load_samples_command,
    purge_command,
    report_command,
    sample_command,
):
    main.add_command(_command)


@main.command()
@click.option("--host", help="Address to listen on.  [CDS_HOST, else 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [CDS_PORT, else 8080]")
@click.option("--workers", type=int, help="Processes.  [CDS_WORKERS, else one per core, at most 4]")
@click.option("--threads", type=int, help="Threads per process.  [CDS_THREADS, else 8]")
def serve(**options: Any) -> None:
    """Serves until it is stopped; calls in progress are finished first."""
    given = {name: value for name, value in options.items() if value is not None}
    settings = load_settings(**given)
    for name in unknown_variables(os.environ):
        click.echo(f"cds: {name} is set, but is no setting of this service. Is it misspelt?", err=True)
    # Checked here: a worker process that fails at start would be restarted again and again.
    known_clients(settings)
    check_files(settings)
    if settings.site is not None:
        check_snooze(load_knowledge(site=settings.site), settings)
    _check_port(settings.host, settings.port)
    # The worker processes read their settings from the environment.
    os.environ.update({PREFIX + name.upper(): str(value) for name, value in given.items()})
    threading.Thread(target=_say_when_ready, args=(settings,), daemon=True).start()
    run_server(settings)


def run_server(settings: Settings, app: str = "cds_service.server.wsgi:app") -> None:
    """Serves a WSGI app, given as `module:name`, until SIGTERM or SIGINT; calls in progress are finished first."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    from cds_service.web.ops.shared_counters import shared_counters
    from cds_service.web.ops.workers import pass_on_to_workers, shared_folder

    server = Granian(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        # With HTTP/2, an unfinished body could not be ended by closing its connection (web/ops/body_timeout.py).
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=_MAX_HEADERS),
        workers=settings.workers,
        blocking_threads=settings.threads,
        workers_kill_timeout=10,
        respawn_failed_workers=True,
        log_enabled=True,
        log_level="error",  # type: ignore[arg-type]
        **server_options(settings),
    )
    server.on_startup(pass_on_to_workers)
    with shared_counters() as counters, shared_folder():
        if settings.rate_storage is None:
            os.environ[f"{PREFIX}RATE_STORAGE"] = counters
        server.serve()


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"CDS_PORT: cannot listen on {host}:{port} ({error.strerror}). Choose another: make run PORT=8081."
            ) from error


def _say_when_ready(settings: Settings) -> None:
    """Prints the addresses of the service once it answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104  # not bound here
    scheme = "http" if settings.tls_cert is None else "https"
    base = f"{scheme}://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{settings.port}"
    while not answers(base + "/health/ready", str(settings.tls_cert or "")):
        time.sleep(0.05)
    click.echo(_welcome(base, settings))


def _welcome(base: str, settings: Settings) -> str:
    lines = [
        f"Ready: {base}",
        *([f"  page      {base}/app/"] if settings.has_page else []),
        f"  services  {base}/cds-services",
        f"  rules     {base}/rules",
        f"  health    {base}/health/ready",
        *([f"  report    {base}/report"] if settings.serves_report else []),
    ]
    if not (settings.sandbox and settings.open):
        return "\n".join(lines)
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": f"{base}/sandbox/fhir",
        "context": {"userId": "Practitioner/example", "patientId": "b12-and-warfarin"},
    }
    return "\n".join(
        [
            *lines,
            f"  patients  {base}/sandbox/fhir/Patient",
            "Open mode, with invented sample patients. Try one with low B12 who takes warfarin and vitamin K:",
            "",
            f"curl -s -H 'Content-Type: application/json' \\\n  -d '{json.dumps(body)}' \\\n"
            f"  '{base}/cds-services/{{vitamin-b12,vitamin-k}}-patient-view'",
            "",
        ]
    )
