"""An app in which everything goes wrong that a library or Python itself would talk about, each time with a secret."""

from __future__ import annotations

import gc
import logging
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.logs import configure
from cds_service.settings import load_settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.recorder import Recorder, discovery, knowledge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECRET = "canary-of-a-fault"


def _raises() -> None:
    raise RuntimeError(SECRET)


def _raises_in_a_thread() -> None:
    thread = threading.Thread(target=_raises, name=SECRET)
    thread.start()
    thread.join()


def _warns() -> None:
    warnings.warn(SECRET, UserWarning, stacklevel=1)


def _logs() -> None:
    for name in ("urllib3.connectionpool", "sqlalchemy.engine", "granian.access", "asyncio", "some.library"):
        logger = logging.getLogger(name)
        for level in (logging.DEBUG, logging.WARNING, logging.CRITICAL):
            logger.log(level, "GET /Patient/%s", SECRET)
    try:
        _raises()
    except RuntimeError:
        logging.exception("%s", SECRET)


def _cannot_be_raised() -> None:
    class Fading:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    Fading()
    gc.collect()


def _asks_a_database() -> None:
    engine = create_engine("sqlite://", hide_parameters=True)
    with engine.connect() as connection:
        connection.execute(text("insert into nothing values (:what)"), {"what": SECRET})


def _recurses() -> None:
    _recurses()


# Patient -> what goes wrong.
FAULTS: dict[str, Callable[[], None]] = {
    "raises": _raises,
    "thread": _raises_in_a_thread,
    "warns": _warns,
    "logs": _logs,
    "fades": _cannot_be_raised,
    "asks": _asks_a_database,
    "recurses": _recurses,
}


class _Leaky(Recorder):
    def __call__(self, service_id: str, request: HookRequest, call: CallContext) -> dict[str, Any]:
        if request.patient_id in FAULTS:
            FAULTS[request.patient_id]()
        return super().__call__(service_id, request, call)


settings = load_settings()
configure(settings.log_level)
_app = create_app(settings, served=Served(knowledge(), _Leaky(), discovery))


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The app, and a fault outside of it that only the server sees."""
    if environ.get("PATH_INFO") == "/outside":
        _raises()
    return _app(environ, start_response)
