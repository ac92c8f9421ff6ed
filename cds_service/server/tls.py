"""TLS of this service itself: checks certificate and key at start, and configures the server.

Most sites end TLS at a proxy; those without one set `CDS_TLS_CERT` and `CDS_TLS_KEY`.
"""

from __future__ import annotations

import ssl
from typing import Any

from cds_service.errors import SettingsError
from cds_service.settings import Settings


def server_options(settings: Settings) -> dict[str, Any]:
    """Options that make the server accept TLS 1.2 or newer only; empty without a certificate."""
    if settings.tls_cert is None:
        return {}
    from granian.constants import SSLProtocols

    return {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key, "ssl_protocol_min": SSLProtocols.tls12}


def check_files(settings: Settings) -> None:
    """Raises SettingsError if certificate or key cannot be read, or they do not match."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        # An encrypted key would make the start wait for a password.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password=_refuse)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "CDS_TLS_CERT, CDS_TLS_KEY: they are not a certificate and its key; no client could connect. Give two PEM"
            " files, the key without a password and readable by this process."
        ) from error


def _refuse() -> str:
    raise ValueError("the key is encrypted")
