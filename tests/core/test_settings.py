"""Settings from the environment: what they hold, and how a fault in them is told."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import PREFIX, Settings, load_settings, unknown_variables
from cds_service.web.ops.metrics import Metrics
from tests.support.paths import ROOT

GUIDE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


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
        ("CDS_KEYS_LIFETIME", "59", "from 60 to 86400"),
        ("CDS_KEYS_LIFETIME", "soon", "from 60 to 86400"),
        ("CDS_SITE", "/nowhere", "existing folder"),
        ("CDS_CONFIG", "/nowhere", "text file with lines such as CDS_PORT=8080"),
        ("CDS_CONFIG", "/tmp", "text file with lines such as CDS_PORT=8080"),
        ("CDS_METRICS", "on please", "Write 1 or 0"),
        ("CDS_METRICS_TOKEN", "secret", "at least 16 random characters"),
        ("CDS_TRACING", "jaeger", "Write 1 or 0"),
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
    from cds_service.setting_checks import HELP

    assert set(HELP) == set(Settings.model_fields)


def test_every_setting_is_in_the_guide_with_its_default_and_nothing_else_is() -> None:
    """docs/settings.md has a row for each; a cell in backquotes is the value, other words say how it comes about."""
    rows = re.findall(r"^\| ((?:`CDS_\w+`(?:, )?)+) \| (.*?) \| (.+) \|$", GUIDE, re.MULTILINE)
    told = {name: default for names, default, _ in rows for name in re.findall(r"`(\w+)`", names)}
    assert len(told) == sum(len(re.findall("CDS_", names)) for names, _, _ in rows), "a setting has two rows"
    assert set(told) == {PREFIX + name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        written = told[PREFIX + name.upper()]
        if field.default_factory is not None or field.default in (None, ()):
            assert not written.startswith("`"), name
        else:
            value = int(field.default) if isinstance(field.default, bool) else field.default
            assert written == f"`{value}`", name


def test_every_metric_is_in_the_guide_and_nothing_else_is() -> None:
    section = GUIDE.partition("\n## Metrics")[2].partition("\n## ")[0]
    told = {name.removesuffix("_total") for name in re.findall(r"`(cds_\w+)`", section)}
    made = {family.name for family in Metrics()._registry.collect()}
    assert told == made


def test_a_misspelt_variable_is_noticed() -> None:
    names = ["CDS_FHIR_ALOW", "CDS_PORT", "PATH", "CDS_TEST_HAPI_URL", "CDSX"]
    assert unknown_variables(names) == ["CDS_FHIR_ALOW"]


def test_open_mode_allows_every_browser_unless_some_are_named() -> None:
    assert Settings(open=True).allowed_origins == ("*",)
    assert Settings(open=True, cors_origins=("https://a.example",)).allowed_origins == ("https://a.example",)


def test_the_tests_do_not_see_the_settings_of_the_caller() -> None:
    assert not [name for name in os.environ if name.startswith("CDS_") and not name.startswith("CDS_TEST_")]


# --- Secrets in files ---------------------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the database's URL, as container engines mount secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "CDS_DATABASE_URL").write_text("postgresql://cds:pw@db/cds\n")
    (folder / "database_password").write_text("pw\n")
    monkeypatch.setenv("CDS_SECRETS_DIR", str(folder))
    return folder


def test_a_secret_wins_over_the_environment_and_loses_its_newline(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDS_DATABASE_URL", "sqlite:////data/cds.db")
    assert load_settings().database_url == "postgresql://cds:pw@db/cds"
    assert load_settings(database_url="sqlite:///given.db").database_url == "sqlite:///given.db"


def test_a_secret_may_be_a_link_within_its_folder(secrets: Path) -> None:
    """Kubernetes mounts secrets so, to exchange all of them at once."""
    (secrets / "..data").mkdir()
    (secrets / "CDS_DATABASE_URL").rename(secrets / "..data" / "CDS_DATABASE_URL")
    (secrets / "CDS_DATABASE_URL").symlink_to("..data/CDS_DATABASE_URL")
    assert load_settings().database_url == "postgresql://cds:pw@db/cds"


def test_a_misspelt_secret_stops_the_start(secrets: Path) -> None:
    (secrets / "CDS_DATABSE_URL").write_text("postgresql://cds:pw@db/cds")
    with pytest.raises(
        SettingsError, match=r"^CDS_SECRETS_DIR: the file CDS_DATABSE_URL in it does not have the name of a setting"
    ):
        load_settings()


def test_a_folder_of_secrets_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", Path(__file__)):
        monkeypatch.setenv("CDS_SECRETS_DIR", str(path))
        with pytest.raises(SettingsError, match=r"^CDS_SECRETS_DIR: there is no such folder\. Give the path"):
            load_settings()


def test_a_secret_that_is_no_text_stops_the_start_without_telling_it(secrets: Path) -> None:
    (secrets / "CDS_DATABASE_URL").write_bytes(b"postgresql://cds:\xff@db/cds")
    with pytest.raises(SettingsError, match=r"^CDS_SECRETS_DIR: a file in it cannot be read") as caught:
        load_settings()
    assert "postgresql" not in str(caught.value)


# --- The settings file ----------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file with a comment, quotes and a blank line."""
    path = tmp_path / "settings.env"
    path.write_text(
        "# ours\nCDS_PORT=9000\nexport CDS_LANGUAGE='zh'\n\n"
        'CDS_FHIR_ALLOW="https://a.example/fhir,https://b.example/r4"\nCDS_SITE=\nPATH=/ignored\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CDS_CONFIG", str(path))
    return path


def test_a_settings_file_is_read(file: Path) -> None:
    settings = load_settings()
    assert (settings.port, settings.language, settings.site, settings.config) == (9000, "zh", None, file)
    assert settings.fhir_allow == ("https://a.example/fhir", "https://b.example/r4")
    assert os.environ["PATH"] != "/ignored"


def test_an_option_wins_over_a_secret_over_the_environment_over_the_file(
    file: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("CDS_DATABASE_URL=sqlite:///file.db\nCDS_THREADS=3\nCDS_PORT=9000\n")
    assert load_settings().database_url == "postgresql://cds:pw@db/cds"
    monkeypatch.setenv("CDS_DATABASE_URL", "sqlite:///environment.db")
    assert load_settings().database_url == "postgresql://cds:pw@db/cds"
    assert load_settings(database_url="sqlite:///option.db").database_url == "sqlite:///option.db"
    (secrets / "CDS_DATABASE_URL").unlink()
    assert load_settings().database_url == "sqlite:///environment.db"
    monkeypatch.delenv("CDS_DATABASE_URL")
    assert load_settings().database_url == "sqlite:///file.db"
    file.write_text("CDS_THREADS=3\n")
    assert load_settings().database_url == "sqlite:///var/cds.db"
    monkeypatch.setenv("CDS_THREADS", "")
    assert load_settings().threads == 3


def test_the_file_may_name_the_folder_of_secrets(file: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDS_SECRETS_DIR")
    file.write_text(f"CDS_SECRETS_DIR={secrets}\n")
    assert load_settings().database_url == "postgresql://cds:pw@db/cds"
    assert load_settings().secrets_dir == secrets


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("CDS_OPEN=1\nCDS_PROT=8081\n", "line 2 of it, CDS_PROT, is not a setting"),
        ("CDS_PORT\n", "line 1 of it is not NAME=value"),
        ("\nwhat is this?\n", "line 2 of it is not NAME=value"),
        ("CDS_HASH_KEY='secret\n", "line 1 of it is not NAME=value"),
        ("CDS_LANGUAGE=\xe9\n", "cannot be read as text in UTF-8"),
    ],
)
def test_a_fault_in_the_file_stops_the_start_with_its_line(file: Path, text: str, what: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith("CDS_CONFIG: ")
    assert what in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_value_in_the_file_is_checked_like_any_other(file: Path) -> None:
    file.write_text("CDS_PORT=http\n")
    with pytest.raises(SettingsError, match=r"^CDS_PORT: .*from 1 to 65535"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "served"),
    [
        ({}, False),
        ({"open": True}, True),
        ({"open": True, "metrics": False}, False),
        ({"metrics": True}, True),
        ({"metrics_token": "0123456789abcdef"}, True),
        ({"metrics_token": "0123456789abcdef", "metrics": False}, False),
    ],
)
def test_metrics_are_there_in_open_mode_or_if_somebody_asked_for_them(given: dict[str, Any], served: bool) -> None:
    assert Settings(**given).serves_metrics is served


def test_the_token_for_metrics_is_not_shown() -> None:
    assert "0123456789abcdef" not in repr(Settings(metrics_token="0123456789abcdef"))
