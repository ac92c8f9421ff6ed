"""What the process that starts the workers does for them: a folder for their numbers, and its SIGHUP.

It must not import the library that counts, which decides at its import whether there are several processes.
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
    """A new folder in which the processes that are started meanwhile gather their numbers.

    Where there is no folder for temporary files, every process tells only its own.
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
    """In the process that starts the workers: from now on, its SIGHUP is theirs."""
    starter = os.getpid()

    def pass_on(*_: object) -> None:
        # A worker that is just starting inherits this, and will read everything anyhow.
        if os.getpid() == starter:
            for worker in multiprocessing.active_children():
                if worker.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGHUP)

    signal.signal(signal.SIGHUP, pass_on)
