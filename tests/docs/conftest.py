"""The service with everything that can be switched on, to look up what documents name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from cds_service.settings import Settings
from cds_service.web.app import create_app

PUBLIC = "https://cds.example"


@pytest.fixture(scope="session")
def open_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A service for trying out."""
    database = f"sqlite:///{tmp_path_factory.mktemp('open')}/cds.db"
    app = create_app(Settings(open=True, sandbox=True, database_url=database))
    yield app
    app.extensions["database"].close()


@pytest.fixture(scope="session")
def closed_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A service for one EHR, which can open the page from a patient's record."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "clients.yaml").write_text(
        "clients:\n- name: ehr\n  issuers: [https://ehr.example]\n  jku: [https://ehr.example/keys]\n"
        "  fhir_servers: [https://ehr.example/fhir]\n  smart_client_id: page\n"
    )
    app = create_app(
        Settings(
            clients=folder / "clients.yaml",
            public_url=PUBLIC,
            page=True,
            session_key="0123456789abcdef" * 2,
            database_url=f"sqlite:///{folder}/cds.db",
        )
    )
    yield app
    app.extensions["database"].close()
