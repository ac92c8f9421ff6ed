"""The app of the wire tests as a WSGI server loads it; a patient called `slow` takes a second."""

from __future__ import annotations

import time
from typing import Any

from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.logs import configure
from cds_service.settings import load_settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.recorder import Recorder, discovery, knowledge


class _Slow(Recorder):
    def __call__(self, service_id: str, request: HookRequest, call: CallContext) -> dict[str, Any]:
        if request.patient_id == "slow":
            time.sleep(1)
        return super().__call__(service_id, request, call)


configure("info")
settings = load_settings()
app = create_app(settings, served=Served(knowledge(), _Slow(), discovery))
app.extensions["body_timeouts"].watch(settings.port)
