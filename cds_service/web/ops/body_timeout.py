"""Request bodies that do not arrive: their connections are ended, so that no thread waits for them for ever.

The server hands a call to a thread before its body is there, has no time limit for bodies, and a read cannot be
interrupted from Python. Who reads a body is therefore noted (that costs a call well under a microsecond). If a read
lasts longer than the limit, a watching thread asks the kernel (TCP_INFO, Linux) which of this port's connections have
been sent nothing for that long, and closes their receiving half. The read then ends short, and the caller gets a 408.
Such connections are the ones whose bodies do not come, and kept-alive ones that have been idle as long; closing the
latter does no harm, clients open another.
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
    """The bodies that are being read, by thread; each application has its own.

    Args:
        limit: seconds that a body may take.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._since: dict[int, float] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """To be held while a body is read.

        Raises:
            TooSlow: it took longer than the limit, whether it was cut off or came at last.
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
        # A copy in one step: other threads begin and end reads meanwhile.
        began = min(tuple(self._since.values()), default=None)
        return began is not None and time.monotonic() - began > self.limit

    def watch(self, port: int) -> None:
        """Ends overdue reads on connections of this port, from now on, in a thread of its own. Linux only."""
        if _OPEN_FILES.is_dir() and hasattr(socket, "TCP_INFO"):
            threading.Thread(target=self._watch, args=(port,), name="arrival", daemon=True).start()

    def _watch(self, port: int) -> None:
        while True:
            time.sleep(_PAUSE)
            if self.overdue():
                end_silent(port, self.limit)


def end_silent(port: int, silent: float) -> int:
    """Closes the receiving half of each connection of a port on which we have sent nothing for so many seconds.

    Returns:
        How many there were.
    """
    ended = 0
    for name in os.listdir(_OPEN_FILES):
        # Files come and go while they are looked at; what is gone, or is no connection, is none of ours.
        with suppress(OSError):
            if not os.readlink(_OPEN_FILES / name).startswith("socket:"):
                continue
            # A second descriptor for the same connection: the first may be closed, and its number reused, any time.
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
