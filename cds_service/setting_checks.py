"""Checks of single settings, and what each variable should hold in the words of an error message."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")

HELP = {
    "host": "Give an address to listen on, such as 127.0.0.1.",
    "port": "Give a port from 1 to 65535.",
    "workers": "Give the number of processes, 1 or more.",
    "threads": "Give the number of threads per process, 1 or more.",
    "database_url": "Give a SQLAlchemy URL, such as sqlite:///var/cds.db.",
    "hash_key": "Give at least 32 random characters, such as `openssl rand -hex 32` prints, and keep them.",
    "retention_days": "Give a number of days, 1 or more.",
    "config": "Give the path of a text file with lines such as CDS_PORT=8080, readable for the service.",
    "secrets_dir": "Give the path of an existing folder with files such as CDS_DATABASE_URL, readable for the service.",
    "open": "Write 1 to answer callers without a token, 0 to refuse them.",
    "clients": "Give the path of an existing client profile file.",
    "keys_lifetime": "Give seconds, from 60 to 86400.",
    "fhir_allow": "Give base URLs separated by commas, such as https://ehr.example/fhir.",
    "private_addresses": "Give networks separated by commas, such as 10.0.0.0/8, with zeros behind the prefix.",
    "ca_file": "Give the path of a PEM file of certificates.",
    "tls_cert": "Give the path of a PEM file with the certificate and its intermediate certificates.",
    "tls_key": "Give the path of a PEM file with the key of CDS_TLS_CERT.",
    "site": "Give the path of an existing folder.",
    "terminology": "Give the base URL of a FHIR terminology server that CDS_FHIR_ALLOW lists too.",
    "language": "Write en or zh.",
    "log_level": "Write debug, info, warning or error.",
    "log_unmatched": "Write 1 or 0.",
    "explain": "Write 1 or 0.",
    "public_url": "Give the absolute URL at which clients reach this service.",
    "time_zone": "Give an IANA name such as Asia/Shanghai; where the system has none, install tzdata.",
    "fhir_deadline": "Give seconds, more than 0 and less than 5.",
    "max_body": "Give a number of bytes, at least 1000.",
    "body_timeout": "Give seconds, from 1 to 300.",
    "rate_limit": "Write a number and a time, such as 30000 per minute, or off.",
    "rate_storage": "Give an address such as redis://host:6379, or leave it out.",
    "proxies": "Give the number of reverse proxies in front, 0 to 10.",
    "cors_origins": "Give origins separated by commas, such as https://ehr.example, or *.",
    "sandbox": "Write 1 or 0.",
    "page": "Write 1 or 0.",
    "session_key": "Give at least 32 random characters, such as `openssl rand -hex 32` prints, the same everywhere.",
    "page_servers": "Give names and base URLs, such as test=https://fhir.example/r4, listed in CDS_FHIR_ALLOW too.",
    "report_page": "Write 1 or 0; 1 only where a proxy decides who may open /report.",
    "metrics": "Write 1 or 0.",
    "metrics_token": "Give at least 16 random characters, such as `openssl rand -hex 32` prints.",
    "tracing": "Write 1 or 0.",
}


def checked_rate(text: str) -> str:
    """The rate limit, unchanged; raises ValueError if it is not one."""
    from limits import parse  # imported only if a limit is set

    if text != "off":
        try:
            limit = parse(text)
        except ValueError as error:
            raise ValueError("not a rate such as 600 per minute") from error
        if limit.amount < 1:
            raise ValueError("a rate of 0 would refuse every call")
    return text


def web_address(url: str) -> str:
    """The URL, unchanged; raises ValueError unless it is absolute, http(s), and without query and user info."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not an absolute http or https URL without query")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL here may not hold a user name or password")
    return url


def checked_servers(entries: tuple[str, ...]) -> None:
    """Raises ValueError unless each entry is `name=URL` with a name that no other entry has."""
    names = [entry.partition("=")[0] for entry in entries]
    if not all(_SERVER_NAME.fullmatch(name) and name not in ("sandbox", "smart") for name in names):
        raise ValueError("an entry is not name=URL with a unique name of small letters, digits and hyphens")
    if len(set(names)) != len(names):
        raise ValueError("two servers have one name")
    for entry in entries:
        web_address(entry.partition("=")[2])
