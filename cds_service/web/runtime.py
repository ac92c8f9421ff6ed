"""The state of one process that outlives a reload: database, outbound connections, key sets, counters."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from cds_service.egress.egress import EgressFactory
from cds_service.errors import Unavailable
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.hooks.observer import CallObserver
from cds_service.logs import get_log
from cds_service.security.remote_keys import RemoteKeys
from cds_service.security.replay import ReplayGuard, UsedTokens
from cds_service.settings import Settings
from cds_service.store.database import Database
from cds_service.store.recorder import Recorder
from cds_service.store.replay import ReplayStore
from cds_service.store.snooze import Answers
from cds_service.web.ops.body_timeout import BodyReadTimeouts
from cds_service.web.ops.metrics import Metrics
from cds_service.web.ops.rate_limit import Rates
from cds_service.web.ops.tracing import Tracing, start_tracing

_BETWEEN_LOOKS = 2.0


@dataclass(slots=True)
class Runtime:
    """State that lives as long as the process; every application, also after a reload, is built on it.

    Attributes:
        keys: fetched key sets of clients by address; a reload keeps them.
        tracing: None if tracing is off.
        terminology: the terminology server in use, if there is one.
        refused: whether the last reload was refused, so the served knowledge differs from the files.
    """

    database: Database
    recorder: Recorder
    answers: Answers
    replay: UsedTokens
    egress_factory: EgressFactory
    body_timeouts: BodyReadTimeouts
    rates: Rates
    metrics: Metrics
    tracing: Tracing | None
    keys: dict[str, RemoteKeys] = field(default_factory=dict)
    terminology: TerminologyServer | None = None
    refused: bool = False
    _usable: bool | None = None

    @classmethod
    def of(cls, settings: Settings) -> Runtime:
        """Raises SettingsError if the database or another part of the runtime cannot be used."""
        metrics = Metrics()
        egress_factory = EgressFactory.of(settings)
        tracing = start_tracing(metrics) if settings.tracing else None
        rates = Rates(settings, get_log())
        database = Database(settings.database_url)
        return cls(
            database=database,
            recorder=Recorder(database),
            answers=Answers(database),
            replay=UsedTokens(_Counted(ReplayStore(database), metrics)),
            egress_factory=egress_factory,
            body_timeouts=BodyReadTimeouts(settings.body_timeout),
            rates=rates,
            metrics=metrics,
            tracing=tracing,
        )

    @property
    def observer(self) -> CallObserver:
        """The observer of calls."""
        return self.tracing or self.metrics

    def degraded(self) -> dict[str, bool]:
        """The parts that cards do not depend on, and whether each is out of order.

        database: feedback is refused. tokens: each process knows its own used tokens only. records: records of calls
        are late or lost. servers: the circuit of one is open. terminology: its server does not answer. knowledge: the
        last reload was refused.
        """
        return {
            "database": not (self.database.is_ready() if self._usable is None else self._usable),
            "tokens": self.replay.backing_off,
            "records": self.recorder.failing,
            "servers": "open" in self.egress_factory.states().values(),
            "terminology": self.terminology is not None and self.terminology.failing,
            "knowledge": self.refused,
        }

    def refresh(self) -> None:
        """Updates the gauges."""
        self.metrics.refresh(self.recorder, self.egress_factory.states(), self.degraded())

    def keep_refreshing(self) -> None:
        """Starts a thread that updates the gauges, so that every process can answer with the state of all.

        A request then never waits for a database that hangs; a health probe would give up.
        """
        threading.Thread(target=self._refresh_on, name="metrics", daemon=True).start()

    def _refresh_on(self) -> None:
        while True:
            self._usable = self.database.is_ready()
            self.refresh()
            time.sleep(_BETWEEN_LOOKS)


@dataclass(frozen=True, slots=True)
class _Counted:
    """The store of used tokens; counts its failures."""

    inner: ReplayGuard
    metrics: Metrics

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        try:
            return self.inner.first_use(issuer, jti, expires)
        except Unavailable:
            self.metrics.not_checked()
            raise
