"""Counters in memory shared by all worker processes: a storage for the library `limits`.

    shared://            this process only
    shared:///tmp/file   all processes that open this file; `cds serve` makes one for its workers

A table of fixed size: each slot holds the hash of a key, the end of its window, and a count. A key may use one of eight
slots; if all are taken, the slot with the smallest count is reused. So a caller with thousands of addresses mostly
evicts its own counters, and cannot enlarge the table.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from urllib.parse import urlsplit
from weakref import finalize

from limits.storage import Storage

SCHEME = "shared"
_SLOT = struct.Struct("=QdQ")  # hash of the key, unix time of the end of its window, count
_SLOTS = 8192
_PROBES = 8


@contextmanager
def shared_counters() -> Iterator[str]:
    """The storage URI of a new table, which is removed at the end of the block.

    Without a folder for temporary files, every process counts for itself.
    """
    try:
        handle, path = tempfile.mkstemp(prefix="cds-rate-")
    except OSError:
        yield f"{SCHEME}://"
        return
    try:
        os.ftruncate(handle, _SLOTS * _SLOT.size)
        os.close(handle)
        yield f"{SCHEME}://{path}"
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


class SharedStorage(Storage):
    """Counters by key, in memory shared by processes and threads."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  # the library reads it so

    def __init__(self, uri: str, wrap_exceptions: bool = False, **_: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        path = urlsplit(uri).path
        self._threads = threading.Lock()
        self._file = os.open(path, os.O_RDWR) if path else None
        if self._file is not None:
            finalize(self, os.close, self._file)
        self._table = mmap.mmap(-1 if self._file is None else self._file, _SLOTS * _SLOT.size)

    @property
    def base_exceptions(self) -> type[Exception]:
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Increments the count of a window that begins with the first count, and returns it."""
        name, now = _hash(key), time.time()
        with self._locked():
            place, ends, count = self._find(name, now)
            if not count:
                ends = now + expiry
            _SLOT.pack_into(self._table, place, name, ends, count + amount)
        return count + amount

    def get(self, key: str) -> int:
        with self._locked():
            return self._find(_hash(key), time.time())[2]

    def get_expiry(self, key: str) -> float:
        with self._locked():
            _, ends, count = self._find(_hash(key), now := time.time())
        return ends if count else now

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        with self._locked():
            self._table[:] = bytes(len(self._table))
        return None

    def clear(self, key: str) -> None:
        with self._locked():
            place, _, _ = self._find(name := _hash(key), time.time())
            _SLOT.pack_into(self._table, place, name, 0.0, 0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Locks the table: the file lock excludes other processes, the thread lock other threads of this one."""
        with self._threads:
            if self._file is None:
                yield
                return
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _find(self, name: int, now: float) -> tuple[int, float, int]:
        """The slot of a key, the end of its window and its count; (slot, 0.0, 0) if it is new."""
        best, least = 0, float("inf")
        for probe in range(_PROBES):
            place = (name + probe) % _SLOTS * _SLOT.size
            held, ends, count = _SLOT.unpack_from(self._table, place)
            current = ends > now
            if held == name and current:
                return place, ends, count
            if (worth := count if current else -1) < least:
                best, least = place, worth
        return best, 0.0, 0


def _hash(key: str) -> int:
    """A hash that is equal in every process, unlike hash()."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
