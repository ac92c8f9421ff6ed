"""The parent of the worker processes: the folder for their metrics, and forwarding of SIGHUP.

It must not import prometheus_client, which reads PROMETHEUS_MULTIPROC_DIR at import.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Read by prometheus_client.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_folder() -> Iterator[None]:
    """Makes a folder in which worker processes started within the block gather their metrics.

    Without a folder for temporary files, every process reports only its own.
    """
    try:
        path = tempfile.mkdtemp(prefix="cds-metrics-")
    except OSError:
        os.environ.pop(FOLDER, None)
        yield
        return
    os.environ[FOLDER] = path
    try:
        yield
    finally:
        del os.environ[FOLDER]
        shutil.rmtree(path, ignore_errors=True)


def pass_on_to_workers() -> None:
    """In the parent of the workers: forwards each SIGHUP to them."""
    starter = os.getpid()

    def pass_on(*_: object) -> None:
        # A worker that is starting inherits this, and reads everything anyway.
        if os.getpid() == starter:
            for worker in multiprocessing.active_children():
                if worker.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGHUP)

    signal.signal(signal.SIGHUP, pass_on)
