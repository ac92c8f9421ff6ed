"""TLS at our own door: the certificate and key of the settings, checked before anything starts.

Most sites have a proxy in front that speaks TLS; for those that have none, `CDS_TLS_CERT` and `CDS_TLS_KEY`.
"""

from __future__ import annotations

import ssl
from typing import Any

from cds_service.errors import SettingsError
from cds_service.settings import Settings


def server_options(settings: Settings) -> dict[str, Any]:
    """What the server has to be told so that it speaks TLS 1.2 or newer and nothing else; empty without certificate."""
    if settings.tls_cert is None:
        return {}
    from granian.constants import SSLProtocols

    return {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key, "ssl_protocol_min": SSLProtocols.tls12}


def check_files(settings: Settings) -> None:
    """Raises SettingsError if the certificate and the key cannot be read, or are not of each other."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        # A key under a password would have the start wait for somebody to type it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password=_refuse)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "CDS_TLS_CERT, CDS_TLS_KEY: they are not a certificate and its key, so nobody could connect. Give two PEM"
            " files, the key without a password and readable by this process."
        ) from error


def own_context(settings: Settings) -> ssl.SSLContext | None:
    """For asking ourselves whether we are ready: trusts our certificate and no other, under any name."""
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The certificate itself is trusted; those that vouch for it need not be.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(settings.tls_cert)
    return context


def _refuse() -> str:
    raise ValueError("the key is under a password")
