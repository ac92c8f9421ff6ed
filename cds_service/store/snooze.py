"""The answers of clinicians to the cards of one patient: one indexed query with a short time limit.

The query runs within a hook call. After a time-out the database is not asked again for a while (`_PAUSE`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, select

from cds_service.errors import Unavailable
from cds_service.logs import get_log
from cds_service.store.database import Database
from cds_service.store.tables import card, feedback_event, hook_call, to_utc_text

_WHEN_GONE = "What was answered to earlier cards could not be read."
_TIMEOUT = 0.5
_PAUSE = 10.0
# Most queries at the same time: a database that hangs blocks no more threads than these.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class OverrideAnswer:
    """The last answer to one card that was shown.

    Attributes:
        at: the time the client states, but never later than its arrival: a client's clock may be wrong.
        reason_code, reason_system: None where the card was accepted, or no reason was given.
    """

    rule: str
    variant: str | None
    indicator: str
    accepted: bool
    at: datetime
    reason_code: str | None = None
    reason_system: str | None = None


class Answers:
    """The answers to the cards of patients. One for each process.

    Attributes:
        timeout: seconds after which the database counts as unavailable.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = _TIMEOUT
        self._database = database
        self._clock = clock
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="answers")
        self._resume: float | None = None
        database.before_close(self.close)

    def of(self, patient: str, since: datetime) -> list[OverrideAnswer]:
        """The last answer to each card, the oldest first.

        Args:
            patient: keyed hash of the patient.
            since: earlier answers are left out.
        Raises:
            Unavailable: the database did not answer in time, now or within the last `_PAUSE` seconds.
        """
        if self._resume is not None and self._clock() < self._resume:
            raise Unavailable(_WHEN_GONE)
        question = self._pool.submit(self._read, patient, since)
        try:
            found = question.result(self.timeout)
        except (Unavailable, TimeoutError) as error:
            question.cancel()
            if self._resume is None:
                get_log().warning("snooze", reason=f"{_WHEN_GONE} Cards are shown although they may be snoozed.")
            self._resume = self._clock() + _PAUSE
            raise Unavailable(_WHEN_GONE) from error
        if self._resume is not None:
            self._resume = None
            get_log().warning("snooze", reason="What was answered to earlier cards is read again.")
        return found

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _read(self, patient: str, since: datetime) -> list[OverrideAnswer]:
        with self._database.single(_WHEN_GONE) as connection:
            rows = connection.execute(query(patient, since)).all()
        last = {row.card: row for row in rows}
        return sorted((_answer(row) for row in last.values()), key=lambda answer: answer.at)


def query(patient: str, since: datetime) -> Select[tuple[object, ...]]:
    """All answers to the patient's cards in order of time."""
    event = feedback_event.c
    return (
        select(
            event.card,
            card.c.rule,
            card.c.variant,
            card.c.indicator,
            event.outcome,
            event.at,
            event.received,
            event.reason_code,
            event.reason_system,
        )
        .join(card, card.c.id == event.card)
        .join(hook_call, hook_call.c.id == card.c.call_id)
        .where(hook_call.c.patient_hash == patient, card.c.shown, event.at >= to_utc_text(since))
        .order_by(event.at, event.id)
    )


def _answer(row: Row[tuple[object, ...]]) -> OverrideAnswer:
    accepted = row.outcome == "accepted"
    return OverrideAnswer(
        row.rule,
        row.variant,
        row.indicator,
        accepted,
        datetime.fromisoformat(min(row.at, row.received)),
        None if accepted else row.reason_code,
        None if accepted else row.reason_system,
    )
