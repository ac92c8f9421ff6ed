"""One JSON line per event on standard output; fields that are not on the list are dropped.

The list is the privacy rule of this service: ids of rules and services, durations, counts and reasons.
Values, names, free text, tokens and ids of patients or users are not on it and so can never reach a log.

Libraries and Python itself write messages, too: warnings, tracebacks, errors of threads. Any of them may quote what a
request held. In a process that serves, they become lines of ours that tell class and place and none of the words.
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
        "claimed",  # name of the profile that a caller wrongly says to be
        "status",  # HTTP status
        "duration_ms",
        "cards",  # rule ids of the cards
        "withheld",  # rules without a card although they may fire, each with the reason (rules/withheld.py)
        "notes",  # remark -> how often; remarks are fixed sentences without data
        "unmatched",  # resource type -> code system -> how many entries no value set knows
        "resource",  # FHIR type of an entry with an unmatched code
        "system",  # its code system, if that has the shape of an address
        "code",  # its code, if that has the shape of one; never its text
        "failed",  # how many questions to the terminology server got no answer
        "correlation",
        "request",  # X-Request-Id of the caller or of a proxy, if it is a UUID
        "error",  # class of an error
        "where",  # file:line of an error or of a library's message, never its text
        "reason",  # fixed sentence of our own
        "feedback",  # events received
        "dropped",  # how many records of calls were lost since the start
        "host",
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
    """From now on, what libraries log and what nobody catches in this process is told in lines of ours."""
    foreign = _Foreign(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [foreign]
    # Servers bring handlers of their own: granian would print the traceback of whatever a call fails with.
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
    """A library's message as the place that it came from and the class of its error."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelno
        log = get_log()
        tell = log.error if level >= logging.ERROR else log.warning
        fields: dict[str, Any] = {"where": [f"{_short_path(record.pathname)}:{record.lineno} {record.funcName}"]}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = type(record.exc_info[1]).__name__
            fields["where"] += place(record.exc_info[1])
        tell("message of a library", **fields)


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
    # The words of our own errors are free of data by rule, and who starts the service has to read them.
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
