"""One JSON line per event on standard output; fields that are not on the list are dropped.

The list is the privacy rule of this service: ids of rules and services, durations, counts and reasons.
Values, names, free text, tokens and ids of patients or users are not on it and so can never reach a log.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
import structlog

ALLOWED = frozenset(
    {
        "at",  # time of the event
        "level",
        "event",
        "service",  # CDS service id
        "hook",
        "client",  # name of the client profile
        "status",  # HTTP status
        "duration_ms",
        "cards",  # rule ids of the cards
        "counted",  # ids of the rules in silent mode that would have had a card
        "notes",  # remark -> how often; remarks are fixed sentences without data
        "unmatched",  # resource type -> code system -> how many entries no value set knows
        "resource",  # FHIR type of an entry with an unmatched code
        "system",  # its code system, if that has the shape of an address
        "code",  # its code, if that has the shape of one; never its text
        "failed",  # how many questions to the terminology server got no answer
        "correlation",
        "error",  # class of an error
        "where",  # file:line of an error, never its text
        "reason",  # fixed sentence of our own
        "feedback",  # events received
        "variables",  # names of settings, not their values
        "host",
        "port",
        "workers",
        "threads",
        "version",
        "knowledge",
    }
)

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encode = msgspec.json.Encoder().encode


class _LineWriter:
    """Writes whole lines; the methods are the level names that structlog calls.

    Lines of calls are passed on to the system five times a second: a system call per line costs a call a fifth of its
    time, because every one hands the interpreter to another thread. Warnings and errors are passed on at once.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting = False

    def info(self, line: bytes) -> None:
        self._stream.write(line + b"\n")
        self._waiting = True

    def warning(self, line: bytes) -> None:
        self.info(line)
        self.pass_on()

    debug = info
    error = critical = warning

    def pass_on(self) -> None:
        if self._waiting:
            self._waiting = False
            self._stream.flush()

    def pass_on_forever(self) -> None:
        while True:
            time.sleep(0.2)
            self.pass_on()


def configure(level: str = "info", stream: BinaryIO | None = None) -> None:
    """Sets up the log of this process.

    Args:
        level: debug, info, warning or error.
        stream: where lines go; standard output if none is given.
    """
    writer = _LineWriter(stream or sys.stdout.buffer)
    if stream is None:
        atexit.register(writer.pass_on)
        threading.Thread(target=writer.pass_on_forever, name="log", daemon=True).start()
    structlog.configure(
        processors=[_complete, _only_allowed, _render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )


def get_log() -> Any:
    """The log, bound once: `get_log().info("call", service=..., status=200)`."""
    return structlog.get_logger().bind()


def _complete(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = level
    event["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event


def _only_allowed(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: event[name] for name in event if name in ALLOWED}


def _render(_: object, __: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)
