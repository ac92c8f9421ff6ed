"""Writes records of calls to the database in the background, so that no hook call waits for it.

A bounded queue and one thread that writes its content five times a second. While the database is unavailable the queue
fills; when it is full, further records are dropped and counted. When the database is back, the queue is written.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from cds_service.errors import Unavailable
from cds_service.logs import get_log
from cds_service.store.call_records import CallRecord, rows
from cds_service.store.database import Database

_BATCH = 200
# Seconds for the last write; the server gives its processes ten seconds to stop.
_CLOSE_SECONDS = 8.0


class Recorder:
    """Writes records of calls in the background. One for each process.

    Attributes:
        written: how many records were written since the start.
        dropped: how many records were lost since the start: the queue was full, or the database refused them.
        failing: whether the last write failed, so that records wait.
    """

    def __init__(self, database: Database, *, capacity: int = 10_000, pause: float = 0.2) -> None:
        """
        Args:
            capacity: how many records may wait.
            pause: seconds between two writes.
        """
        self.written = 0
        self.dropped = 0
        self.failing = False
        self._database = database
        self._capacity = capacity
        self._pause = pause
        self._waiting: deque[CallRecord] = deque()
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._guard = threading.Lock()
        self._writer: threading.Thread | None = None
        database.before_close(self.close)

    def put(self, record: CallRecord) -> None:
        """Queues a record; never blocks and never raises."""
        if len(self._waiting) >= self._capacity:
            with self._guard:
                self.dropped += 1
            return
        self._waiting.append(record)
        if self._writer is None:
            self._start()

    @property
    def waiting(self) -> int:
        """How many records are not written yet."""
        return len(self._waiting)

    def flush(self) -> bool:
        """Writes the queue; False if the database is unavailable."""
        with self._writing:
            while batch := [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]:
                try:
                    self._write(batch)
                except Unavailable:
                    if not self._database.is_ready():
                        self._waiting.extendleft(reversed(batch))
                        self._log_change(failing=True)
                        return False
                    self._write_singly(batch)
            self._log_change(failing=False)
        return True

    def close(self) -> None:
        """Writes the queue once more and stops the thread; waits at most `_CLOSE_SECONDS`."""
        self._stopping.set()
        if self._writer is not None:
            self._writer.join(_CLOSE_SECONDS)

    def _start(self) -> None:
        with self._guard:
            if self._writer is None and not self._stopping.is_set():
                # Not a daemon: the interpreter waits for it at exit. `atexit` functions are not called in the server's
                # worker processes.
                writer = threading.Thread(target=self._write_on, name="recorder", daemon=False)
                try:
                    writer.start()
                except RuntimeError:
                    return  # no thread available; the next record tries again
                self._writer = writer

    def _write_on(self) -> None:
        while not self._stopping.wait(self._pause) and threading.main_thread().is_alive():
            self.flush()
        if not self.flush():
            self.dropped += len(self._waiting)
            get_log().warning("records", reason="The process ends; what waited is lost.", dropped=self.dropped)

    def _log_change(self, *, failing: bool) -> None:
        if failing is not self.failing:
            self.failing = failing
            reason = "The database takes no records of calls; they wait." if failing else "Records are written again."
            get_log().warning("records", reason=reason, dropped=self.dropped)

    def _write_singly(self, batch: Sequence[CallRecord]) -> None:
        """Writes one by one: the database is up but refused the batch, so only the faulty record is dropped."""
        for record in batch:
            try:
                self._write([record])
            except Unavailable:
                with self._guard:
                    self.dropped += 1

    def _write(self, batch: Sequence[CallRecord]) -> None:
        with self._database.transaction("The call could not be recorded.") as connection:
            for table, content in rows(batch).items():
                if content:
                    # A batch whose commit was not confirmed is written again.
                    connection.execute(self._database.insert(table).on_conflict_do_nothing(), content)
        self.written += len(batch)
