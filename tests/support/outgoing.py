"""Calls through the way out, as the tests of where it leads and of servers that fail make them."""

from __future__ import annotations

import time

import pytest

from cds_service.egress.egress import Egress, HttpResponse
from cds_service.errors import EgressError
from cds_service.gap_texts import gap_text
from tests.support.fault_server import FaultServer


def get(egress: Egress, url: str, seconds: float = 2.0) -> HttpResponse:
    """One GET; fails the test if it goes on after its deadline."""
    began = time.monotonic()
    try:
        return egress.get(url, headers={"Authorization": "Bearer secret"}, deadline=began + seconds, max_bytes=100_000)
    finally:
        assert time.monotonic() - began < seconds + 1


def port_of(server: FaultServer) -> int:
    return int(server.base.rpartition(":")[2].removesuffix("/fhir"))


def refused(egress: Egress, url: str, seconds: float = 2.0) -> str:
    with pytest.raises(EgressError) as caught:
        get(egress, url, seconds)
    return gap_text(caught.value.gap, "en")
