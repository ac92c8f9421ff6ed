"""Health probe for container engines: exit code 0 if the service on this machine is ready.

    python -m cds_service.server.probe

It is started every few seconds, so it imports little and reads the two variables it needs itself.
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request
from http.client import HTTPException

_SECONDS = 2


def ready(port: int, certificate: str = "") -> bool:
    """Whether the service on this port of the loopback interface answers that it is ready.

    Args:
        certificate: file with its TLS certificate; empty for plain HTTP.
    """
    return answers(f"{'https' if certificate else 'http'}://127.0.0.1:{port}/health/ready", certificate)


def answers(url: str, certificate: str = "") -> bool:
    """Whether the service on this machine answers this URL with 200."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    try:
        if certificate:
            handlers.append(urllib.request.HTTPSHandler(context=_trusting(certificate)))
        with urllib.request.build_opener(*handlers).open(url, timeout=_SECONDS) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def _trusting(certificate: str) -> ssl.SSLContext:
    """An SSL context that trusts only this certificate, under any name: it names the public host, not this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The certificate itself is trusted; its issuers need not be.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context


if __name__ == "__main__":
    sys.exit(0 if ready(int(os.environ.get("CDS_PORT") or 8080), os.environ.get("CDS_TLS_CERT", "")) else 1)
