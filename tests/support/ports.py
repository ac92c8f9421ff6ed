"""Ports for servers that tests start. Each worker of a parallel run has its own, so that no two pick the same."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from random import SystemRandom

# Below the ports that Linux gives to outgoing connections, so that none of these is taken between choice and use.
_FIRST, _EACH = 20_000, 1_000


def free_port() -> int:
    """A free port on loopback."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % 12 * _EACH
    for port in SystemRandom().sample(range(first, first + _EACH), _EACH):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port is free between {first} and {first + _EACH}")
