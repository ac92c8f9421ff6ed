"""Reads environment variables beginning with CDS_, a settings file and secrets into one checked `Settings`.

Order of precedence: option of the command line, secret, environment, file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, IPvAnyNetwork, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSecretsError

from cds_service.errors import SettingsError
from cds_service.languages import FALLBACK, Language
from cds_service.setting_checks import HELP, checked_rate, checked_servers, web_address

PREFIX = "CDS_"

# `CDS_FHIR_ALLOW=https://a/fhir,https://b/r4`: a plain comma list, not JSON.
CommaList = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """How this process runs. Every field is the environment variable `CDS_` + its name in capitals.

    Attributes:
        host, port: where to listen.
        workers, threads: processes, and threads in each; a call that waits for a FHIR server occupies one thread.
        database_url: database of feedback, calls and used tokens (SQLAlchemy URL; SQLite or PostgreSQL).
        hash_key: secret for the keyed hashes of patients and users in records of calls; without it there are none.
        retention_days: after how many days `cds purge` removes calls and feedback.
        config: file with settings, one `CDS_NAME=value` on each line; the environment overrides it.
        secrets_dir: folder with one file per secret setting, named like its variable.
        open: answer every caller, without client tokens. For trying out and for closed networks only.
        clients: YAML file with the client profiles.
        keys_lifetime: seconds after which a client's key set is fetched again.
        fhir_allow: base URLs of FHIR servers that may be called.
        private_addresses: private networks in which listed servers may be.
        ca_file: PEM file of authorities to trust besides the public ones, when calling servers.
        tls_cert, tls_key: PEM files for TLS of this service itself; both or none.
        site: folder with a site's own thresholds, texts and switches.
        language: language of cards and error texts if neither the call nor the client's profile names one.
        terminology: base URL of a terminology server that is queried for codes in no value set.
        log_level: threshold of the log.
        log_unmatched: log the codes of medicines and look-alike laboratory tests that are in no value set.
        explain: cards say how they were derived.
        public_url: the URL at which clients reach this service; a path in it is the prefix of every route.
        time_zone: IANA name of the zone of calendar days; by default the machine's.
        fhir_deadline: seconds that all FHIR queries of one call may take together.
        max_body: bytes a request body may have.
        body_timeout: seconds a request body may take to arrive.
        rate_limit: calls that one client, or one address without an identified client, may make; off: any number.
        rate_storage: where calls are counted; by default this machine (redis://... for several machines).
        proxies: number of reverse proxies in front; callers' addresses are then taken from X-Forwarded-For.
        cors_origins: browser origins that may call; by default every origin in open mode, else none.
        sandbox: serve invented sample patients as a FHIR server under /sandbox/fhir.
        report_page: serve the usage report at /report to every caller that reaches the port.
        metrics: Prometheus metrics at /metrics; by default in open mode, and with a `metrics_token`.
        metrics_token: bearer token required to read the metrics; without it every caller may.
        tracing: send OpenTelemetry traces as configured by the standard OTEL_ variables.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default_factory=lambda: min(4, os.cpu_count() or 1), ge=1, le=256)
    threads: int = Field(default=8, ge=1, le=512)
    # It may hold a password, so it is in no message and no log.
    database_url: str = Field(default="sqlite:///var/cds.db", repr=False)
    hash_key: str | None = Field(default=None, min_length=32, repr=False)
    retention_days: int = Field(default=400, ge=1, le=36_500)
    config: Path | None = None
    secrets_dir: Path | None = None
    open: bool = False
    clients: Path | None = None
    keys_lifetime: int = Field(default=600, ge=60, le=86_400)
    fhir_allow: CommaList = ()
    private_addresses: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    ca_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = Field(default=None, validate_default=True)
    site: Path | None = None
    terminology: str | None = None
    language: Language = FALLBACK
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_unmatched: bool = False
    explain: bool = False
    public_url: str | None = None
    time_zone: str | None = None
    # Clients give up after five seconds; the answer must be sent before that.
    fhir_deadline: float = Field(default=4.0, gt=0, lt=5)
    max_body: int = Field(default=5_000_000, ge=1_000)
    body_timeout: float = Field(default=10.0, ge=1, le=300)
    rate_limit: str = "30000 per minute"
    rate_storage: str | None = Field(default=None, repr=False)
    proxies: int = Field(default=0, ge=0, le=10)
    cors_origins: CommaList = ()
    sandbox: bool = False
    page: bool | None = None
    session_key: str | None = Field(default=None, min_length=32, repr=False)
    page_servers: CommaList = ()
    report_page: bool = False
    metrics: bool | None = None
    metrics_token: str | None = Field(default=None, min_length=16, repr=False)
    tracing: bool = False

    @field_validator("fhir_allow", "cors_origins", "private_addresses", "page_servers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("fhir_allow")
    @classmethod
    def _base_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(web_address(url) for url in value)

    @field_validator("page_servers")
    @classmethod
    def _named_servers(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        checked_servers(value)
        # The page has no login, so every caller that reaches it could read these patients.
        if value and not info.data.get("open"):
            raise ValueError(
                "these servers would be shown to every caller, which only an open service (CDS_OPEN) may do"
            )
        return value

    @field_validator("public_url", "terminology")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value).rstrip("/")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        return checked_rate(value)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError("no such time zone on this machine") from error
        return value

    @field_validator("config", "clients", "site", "ca_file", "tls_cert", "tls_key")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.exists():
            raise ValueError("there is no such file or folder")
        return value

    @field_validator("config")
    @classmethod
    def _known_lines(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if not value.is_file():
            raise ValueError("it is not a file")
        with value.open(encoding="utf-8") as file:
            for line in parse_stream(file):
                text = line.original.string
                number = line.original.line + text[: len(text) - len(text.lstrip())].count("\n")
                if line.error or (line.key is not None and line.value is None):
                    raise ValueError(f"line {number} of it is not NAME=value")
                if line.key is not None and unknown_variables([line.key.upper()]):
                    raise ValueError(f"line {number} of it, {line.key}, is not a setting")
        return value

    @field_validator("secrets_dir")
    @classmethod
    def _known_secrets(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("there is no such folder")
        # With a misspelt secret the default would silently apply, e.g. another database.
        if value is not None and (unknown := unknown_variables(file.name.upper() for file in value.iterdir())):
            raise ValueError(f"the file {unknown[0]} in it does not have the name of a setting")
        return value

    @field_validator("tls_key")
    @classmethod
    def _both_or_none(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_cert", value) is None):
            raise ValueError("a certificate and its key belong together, and one of them is missing")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Orders the sources; secrets override the environment, where the image sets a default database."""
        return init_settings, file_secret_settings, env_settings, dotenv_settings

    @property
    def zone(self) -> ZoneInfo | None:
        """The configured time zone; None for the machine's."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    @property
    def prefix(self) -> str:
        """The path of the public URL, without a trailing slash; "" if there is none."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url else ""

    @property
    def has_page(self) -> bool:
        """Whether the web page is served."""
        return self.sandbox if self.page is None else self.page

    @property
    def serves_report(self) -> bool:
        """Whether there is a route /report: in an open sandbox, or if the operator wants it."""
        return self.report_page or (self.open and self.sandbox)

    @property
    def speaks_https(self) -> bool:
        """Whether clients reach this service over https, through a proxy or directly."""
        return self.tls_cert is not None or (self.public_url or "").startswith("https://")

    @property
    def serves_metrics(self) -> bool:
        """Whether there is a route /metrics."""
        return (self.open or self.metrics_token is not None) if self.metrics is None else self.metrics

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Origins for CORS; if empty, no other origin may call."""
        return self.cors_origins or (("*",) if self.open else ())


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, the settings file and the secrets; an override replaces its variable.

    Raises:
        SettingsError: naming the variable, what is wrong with it and what it should hold.
    """
    file = str(overrides.get("config") or os.environ.get(f"{PREFIX}CONFIG", ""))
    file = file if os.path.isfile(file) else ""
    try:
        in_file = dotenv_values(file) if file else {}
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError(_worded(("config",), "it cannot be read as text in UTF-8")) from error
    folder = str(
        overrides.get("secrets_dir")
        or os.environ.get(f"{PREFIX}SECRETS_DIR")
        or in_file.get(f"{PREFIX}SECRETS_DIR")
        or ""
    )
    try:
        return Settings(
            _env_file=file or None,
            _secrets_dir=folder if os.path.isdir(folder) else None,
            **overrides,  # type: ignore[arg-type]
        )
    except (UnreadableSecretsError, OSError) as error:
        raise SettingsError(_worded(("secrets_dir",), "a file in it cannot be read")) from error
    except ValidationError as error:
        raise SettingsError("; ".join(_worded(fault["loc"], fault["msg"]) for fault in error.errors())) from error


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Variables with our prefix that are no settings, probably misspelt; the start warns about them."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(n for n in names if n.startswith(PREFIX) and not n.startswith("CDS_TEST_") and n not in known)


def _worded(where: tuple[int | str, ...], what: str) -> str:
    name = str(where[0]) if where else ""
    message = what.removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}: {message[:1].lower()}{message[1:]}. {HELP.get(name, '')}".rstrip()
