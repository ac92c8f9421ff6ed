"""One JSON line per event on standard output; fields that are not on the list are dropped.

The list is the privacy rule of this service: ids of rules and services, durations, counts and reasons.
Values, names, free text, tokens and ids of patients or users are not on the list and so cannot reach a log.

Libraries and Python write messages, too: warnings, tracebacks, errors of threads. Any of them may quote data of a
request. In a serving process they become lines of ours with class and place, and without the message.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
import traceback
import warnings
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, TextIO

import msgspec
import structlog

from cds_service.errors import CdsError

ALLOWED = frozenset(
    {
        "at",  # time of the event
        "level",
        "event",
        "service",  # CDS service id
        "hook",
        "client",  # name of the client profile
        "clients",  # names of all client profiles
        "claimed",  # name of the profile that a refused caller claims to be
        "status",  # HTTP status
        "duration_ms",
        "cards",  # rule ids of the cards
        "withheld",  # rules without a card although they may fire, each with the reason (rules/withheld.py)
        "notes",  # note -> how often; notes are fixed sentences without data
        "unmatched",  # resource type -> code system -> number of entries in no value set
        "resource",  # FHIR type of an entry with an unmatched code
        "system",  # its code system, if it has the form of a URI
        "code",  # its code, if it has the form of a code; never its text
        "failed",  # number of unanswered queries to the terminology server
        "correlation",
        "request",  # X-Request-Id of the caller or of a proxy, if it is a UUID
        "error",  # class of an error
        "where",  # file:line of an error or of a library's message, never its text
        "reason",  # fixed sentence of our own
        "feedback",  # events received
        "dropped",  # number of records of calls lost since the start
        "host",
        "knowledge",
    }
)

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encode = msgspec.json.Encoder().encode


class _LineWriter:
    """Writes complete lines; the methods are the level names that structlog calls.

    Lines of calls are flushed five times a second: a system call per line would cost a fifth of a call's time, because
    each releases the interpreter lock to another thread. Warnings and errors are flushed at once.
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
        stream: where lines are written; by default standard output.
    """
    writer = _LineWriter(stream or sys.stdout.buffer)
    if stream is None:
        capture_foreign_logs()
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


def capture_foreign_logs() -> None:
    """Replaces the log lines of libraries and uncaught exceptions of this process with lines of ours."""
    foreign = _Foreign(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [foreign]
    # Servers add their own handlers: granian would print the traceback of a failed call.
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _SERVERS]:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    warnings.showwarning = _warned
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda fault: _log_exception("fault", fault.exc_value, fault.exc_traceback)
    threading.excepthook = lambda fault: _log_exception("fault in a thread", fault.exc_value, fault.exc_traceback)


_SERVERS = frozenset({"granian", "_granian"})


class _Foreign(logging.Handler):
    """Logs a library's message as its place and the class of its error, without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelno
        log = get_log()
        log_at = log.error if level >= logging.ERROR else log.warning
        fields: dict[str, Any] = {"where": [f"{_short_path(record.pathname)}:{record.lineno} {record.funcName}"]}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = type(record.exc_info[1]).__name__
            fields["where"] += place(record.exc_info[1])
        log_at("message of a library", **fields)


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    get_log().warning("warning", error=category.__name__, where=[f"{_short_path(filename)}:{lineno}"])


def _uncaught(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log_exception("fault", error, trace)


def _log_exception(event: str, error: BaseException | None, trace: TracebackType | None) -> None:
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return
    # Our own messages hold no data by rule, and the operator needs them to start the service.
    reason = {"reason": str(error)} if isinstance(error, CdsError) else {}
    get_log().error(event, error=type(error).__name__, where=_places(trace), **reason)


def place(error: BaseException) -> list[str]:
    """Where an error came from, innermost last: `file:line function`, without any text of it."""
    return _places(error.__traceback__)


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-6:]
    return [f"{_short_path(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short_path(path: str) -> str:
    return "/".join(path.rsplit("/", 2)[-2:])


def _complete(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = level
    event["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event


def _only_allowed(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: event[name] for name in event if name in ALLOWED}


def _render(_: object, __: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)
