"""Records every call of a known client, answered or refused, in the database, without delaying the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter

from flask import Flask, Response, g

from cds_service.hooks.call_outcome import CallOutcome
from cds_service.store.call_records import CallRecord
from cds_service.store.pseudonym import Pseudonyms
from cds_service.store.recorder import Recorder


def begin(language: str) -> CallOutcome:
    """Marks the current call as one to be recorded, and returns the outcome to fill in."""
    g.language = language
    g.outcome = outcome = CallOutcome()
    return outcome


def record_calls(app: Flask, recorder: Recorder, hashes: Pseudonyms, knowledge: str, site: str | None) -> None:
    """Adds the recording of calls to the app.

    Args:
        knowledge: version of the knowledge.
        site: name of the site whose overlay is in force.
    """

    def finish(response: Response) -> Response:
        outcome: CallOutcome | None = g.get("outcome")
        if outcome is None:
            return response
        fields = g.fields
        seconds = perf_counter() - g.start
        client = fields["client"]
        recorder.put(
            CallRecord(
                id=g.correlation,
                at=datetime.now(UTC) - timedelta(seconds=seconds),
                service=fields["service"],
                hook=fields["hook"],
                client=client,
                site=site,
                knowledge=knowledge,
                language=g.language,
                status=response.status_code,
                duration_ms=round(seconds * 1000, 2),
                patient=outcome.patient and hashes.of("patient", client, outcome.patient),
                user=outcome.user and hashes.of("user", client, outcome.user),
                unread=outcome.unread,
                undecided=outcome.undecided,
                # A refused call showed no cards, even if some had been made.
                cards=outcome.cards if response.status_code == 200 else (),
            )
        )
        return response

    app.after_request(finish)
