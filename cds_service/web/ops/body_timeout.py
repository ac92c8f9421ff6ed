"""A time limit on reading request bodies: ends connections whose bodies do not arrive, so that threads are freed.

The server gives a call to a thread before its body has arrived, has no time limit for bodies, and Python cannot
interrupt a read. So the start of each read is recorded (well under a microsecond per call). If a read exceeds the
limit, a watcher thread asks the kernel (TCP_INFO, Linux) on which connections of this port we have sent nothing for
that long, and shuts down their receiving half. The read then ends early, and the caller gets a 408. Idle kept-alive
connections are shut down too; that is harmless, because clients open new ones.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cds_service.errors import TooSlow

_OPEN_FILES = Path("/proc/self/fd")
_PAUSE = 0.5  # seconds between two looks at what is being read
# struct tcp_info of the Linux kernel: eight bytes, then 32-bit words. Milliseconds since data was last sent, received.
_LAST_SENT, _LAST_RECEIVED = 8 + 9 * 4, 8 + 11 * 4


class BodyReadTimeouts:
    """The reads of request bodies in progress, by thread; each application has its own.

    Args:
        limit: seconds that reading a body may take.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._since: dict[int, float] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context manager around the read of a body.

        Raises:
            TooSlow: the read took longer than the limit, whether the body was cut off or complete.
        """
        thread = threading.get_ident()
        began = self._since[thread] = time.monotonic()
        try:
            yield
        finally:
            del self._since[thread]
            if time.monotonic() - began > self.limit:
                raise TooSlow(f"The body did not arrive within {self.limit:g} seconds. Send it at once.")

    def overdue(self) -> bool:
        """Whether a read takes longer than the limit."""
        # An atomic copy: other threads begin and end reads meanwhile.
        began = min(tuple(self._since.values()), default=None)
        return began is not None and time.monotonic() - began > self.limit

    def watch(self, port: int) -> None:
        """Starts a thread that ends overdue reads on connections of this port. Linux only."""
        if _OPEN_FILES.is_dir() and hasattr(socket, "TCP_INFO"):
            threading.Thread(target=self._watch, args=(port,), name="body-timeout", daemon=True).start()

    def _watch(self, port: int) -> None:
        while True:
            time.sleep(_PAUSE)
            if self.overdue():
                end_silent(port, self.limit)


def end_silent(port: int, silent: float) -> int:
    """Shuts down the receiving half of each connection of a port on which we have sent nothing for `seconds`.

    Returns:
        The number of connections.
    """
    ended = 0
    for name in os.listdir(_OPEN_FILES):
        # Descriptors open and close meanwhile; those that are closed or not connections are skipped.
        with suppress(OSError):
            if not os.readlink(_OPEN_FILES / name).startswith("socket:"):
                continue
            # A duplicate descriptor: the original may be closed, and its number reused, at any time.
            with socket.socket(fileno=os.dup(int(name))) as connection:
                if _is_silent(connection, port, silent):
                    connection.shutdown(socket.SHUT_RD)
                    ended += 1
    return ended


def _is_silent(connection: socket.socket, port: int, silent: float) -> bool:
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
        return False
    if connection.getsockname()[1] != port:
        return False
    connection.getpeername()  # raises for the socket that listens
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (sent,) = struct.unpack_from("=I", info, _LAST_SENT)
    (received,) = struct.unpack_from("=I", info, _LAST_RECEIVED)
    return bool(sent >= silent * 1000 and received <= sent)
