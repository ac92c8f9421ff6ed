"""Settings from the environment: what they hold, and how a fault in them is told."""

from __future__ import annotations

import os

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import Settings, load_settings, unknown_variables


def test_without_variables_the_service_is_closed_and_listens_at_home() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.open, settings.sandbox) == ("127.0.0.1", 8080, False, False)
    assert settings.database_url == "sqlite:///var/cds.db"
    assert settings.fhir_allow == ()
    assert settings.allowed_origins == ()
    assert settings.max_body == 5_000_000
    assert settings.fhir_deadline == 4.0
    assert settings.prefix == ""


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CDS_PORT": "9000",
        "CDS_OPEN": "1",
        "CDS_FHIR_ALLOW": "https://a.example/fhir, http://127.0.0.1:8080/sandbox/fhir,",
        "CDS_CORS_ORIGINS": "https://b.example",
        "CDS_TIME_ZONE": "Asia/Shanghai",
        "CDS_LOG_LEVEL": "WARNING",
        "CDS_PUBLIC_URL": "https://c.example/cds/",
        "CDS_LANGUAGE": "zh",
        "CDS_SITE": "",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.port == 9000
    assert settings.open is True
    assert settings.fhir_allow == ("https://a.example/fhir", "http://127.0.0.1:8080/sandbox/fhir")
    assert settings.allowed_origins == ("https://b.example",)
    assert str(settings.zone) == "Asia/Shanghai"
    assert settings.log_level == "warning"
    assert (settings.public_url, settings.prefix) == ("https://c.example/cds", "/cds")
    assert settings.site is None


def test_a_given_value_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_PORT", "9000")
    assert load_settings(port=9001).port == 9001


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("CDS_PORT", "http", "from 1 to 65535"),
        ("CDS_PORT", "70000", "from 1 to 65535"),
        ("CDS_WORKERS", "0", "1 or more"),
        ("CDS_THREADS", "many", "1 or more"),
        ("CDS_OPEN", "perhaps", "Write 1"),
        ("CDS_LANGUAGE", "fr", "en or zh"),
        ("CDS_LOG_LEVEL", "loud", "debug, info"),
        ("CDS_FHIR_DEADLINE", "5", "less than 5"),
        ("CDS_FHIR_DEADLINE", "0", "more than 0"),
        ("CDS_MAX_BODY", "12", "at least 1000"),
        ("CDS_TIME_ZONE", "Mars/Olympus", "Asia/Shanghai"),
        ("CDS_TIME_ZONE", "../../etc/passwd", "Asia/Shanghai"),
        ("CDS_FHIR_ALLOW", "https://a.example/fhir,ehr", "separated by commas"),
        ("CDS_FHIR_ALLOW", "https://me:secret@a.example/fhir", "separated by commas"),
        ("CDS_PUBLIC_URL", "cds.example", "absolute URL"),
        ("CDS_CLIENTS", "/nowhere/clients.yaml", "existing client profile file"),
        ("CDS_SITE", "/nowhere", "existing folder"),
    ],
)
def test_a_fault_names_the_variable_and_what_it_should_hold(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, advice: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name}: ")
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)


def test_every_setting_has_advice() -> None:
    from cds_service.settings import _HELP

    assert set(_HELP) == set(Settings.model_fields)


def test_a_misspelt_variable_is_noticed() -> None:
    names = ["CDS_FHIR_ALOW", "CDS_PORT", "PATH", "CDS_TEST_HAPI_URL", "CDSX"]
    assert unknown_variables(names) == ["CDS_FHIR_ALOW"]


def test_open_mode_allows_every_browser_unless_some_are_named() -> None:
    assert Settings(open=True).allowed_origins == ("*",)
    assert Settings(open=True, cors_origins=("https://a.example",)).allowed_origins == ("https://a.example",)


def test_the_tests_do_not_see_the_settings_of_the_caller() -> None:
    assert not [name for name in os.environ if name.startswith("CDS_") and not name.startswith("CDS_TEST_")]

