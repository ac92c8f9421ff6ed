"""Fixtures of the wire tests: an app whose evaluation is a recorder, and requests with one detail changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.logs import configure
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.databases import sqlite_url
from tests.support.known_clients import one_client
from tests.support.log_file import LogFile
from tests.support.recorder import Recorder, discovery, knowledge

pytest_plugins = [
    "tests.support.tiers",
    "tests.servers.fixtures",
    "tests.wire.conformance.table",
    "tests.fuzz.fuzzers",
]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Whoever runs the tests may have CDS_ variables set; they must not change what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("CDS_") and not n.startswith("CDS_TEST_")]:
            patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def log() -> LogFile:
    """The log of the test, instead of standard output."""
    stream = LogFile()
    configure("debug", stream)
    return stream


@pytest.fixture
def recorder() -> Recorder:
    """An evaluation that keeps what it is asked and answers one card."""
    return Recorder()


@pytest.fixture
def make_app(tmp_path: Path, recorder: Recorder) -> Iterator[Callable[..., Flask]]:
    """Makes apps on a database of their own: `make_app(open=True, max_body=2000)`."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        values: dict[str, Any] = {"open": True, "database_url": sqlite_url(tmp_path), **settings}
        if not values["open"]:
            values = {"public_url": "https://cds.example", "clients": one_client(tmp_path)} | values
        app = create_app(Settings(**values), served=Served(knowledge(), recorder, discovery))
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["database"].close()


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    """A client of an app in open mode."""
    return make_app().test_client()
