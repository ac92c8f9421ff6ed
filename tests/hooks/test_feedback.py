"""Feedback: what is accepted (rows FBK-*), and that what was answered with 200 is on disk."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from cds_service.errors import Unavailable
from cds_service.hooks.feedback import COMMENT_LIMIT
from cds_service.store.database import Database
from cds_service.store.engine import checked_url
from cds_service.store.feedback import FeedbackEvent, FeedbackStore
from tests.support.feedback import ACCEPTED, EPIC_MAPPED, EPIC_UNMAPPED, OVERRIDDEN
from tests.support.recorder import VIEW

EPIC_ACCEPTED = {
    "acceptedSuggestions": [{"id": "not-a-uuid"}],
    "card": "123456",
    "outcome": "accepted",
    "outcomeTimestamp": "2026-11-20T08:34:00Z",
}
PATH = VIEW + "/feedback"


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Flask:
    return make_app(database_url=database_url)


@pytest.fixture
def post(app: Flask) -> Callable[..., int]:
    """Posts feedback entries and gives the status."""
    return lambda *items: app.test_client().post(PATH, json={"feedback": list(items)}).status_code


@pytest.fixture
def store(database_url: str) -> Iterator[FeedbackStore]:
    """Another process's view of the same database."""
    database = Database(database_url)
    yield FeedbackStore(database)
    database.close()


# What is accepted


@pytest.mark.row("FBK-01", "FBK-02")
def test_a_batch_is_stored_in_its_order(app: Flask, store: FeedbackStore) -> None:
    response = app.test_client().post(PATH, json={"feedback": [ACCEPTED, OVERRIDDEN]})
    assert (response.status_code, response.json) == (200, {"received": 2})
    assert store.events() == [
        FeedbackEvent(
            service="vitamin-b12-patient-view",
            card="4e0a3a1e-3283-4575-ab82-028d55fe2719",
            outcome="accepted",
            at=datetime(2026, 11, 20, 8, 30, tzinfo=UTC),
            accepted=("e56e1945-20b3-4393-8503-a1a20fd73152",),
        ),
        FeedbackEvent(
            service="vitamin-b12-patient-view",
            card="9368d37b-283f-44a0-93ea-547cebab93ed",
            outcome="overridden",
            at=datetime(2026, 11, 20, 8, 31, tzinfo=UTC),
            reason_code="patient-refuses",
            reason_system="https://example.org/reasons",
            reason_display="Refuses",
            comment="Seen last week",
        ),
    ]


@pytest.mark.row("FBK-02", "TOY-16")
def test_a_batch_of_five_hundred_is_stored(post: Callable[..., int], store: FeedbackStore) -> None:
    assert post(*(OVERRIDDEN | {"card": str(n)} for n in range(500))) == 200
    assert [event.card for event in store.events()] == [str(n) for n in range(500)]


@pytest.mark.row("FBK-02")
@pytest.mark.parametrize("body", [[OVERRIDDEN], OVERRIDDEN, {"feedback": OVERRIDDEN}, {}, {"feedback": None}, "x", 1])
def test_a_body_without_an_array_of_feedback_is_refused(client: FlaskClient, body: Any) -> None:
    assert client.post(PATH, json=body).status_code == 400


@pytest.mark.row("FBK-03")
def test_a_card_that_nobody_knows_is_stored_all_the_same(post: Callable[..., int], store: FeedbackStore) -> None:
    assert post(OVERRIDDEN | {"card": "no uuid at all"}) == 200
    assert store.events()[0].card == "no uuid at all"


@pytest.mark.row("FBK-03", "FBK-04", "FBK-05", "FBK-06")
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"card": ...}, "feedback.1.card"),
        ({"card": ""}, "feedback.1.card"),
        ({"card": 7}, "feedback.1.card"),
        ({"outcome": "ignored"}, "feedback.1.outcome"),
        ({"outcome": ...}, "feedback.1.outcome"),
        ({"outcome": "accepted"}, "feedback.1"),
        ({"outcome": "accepted", "acceptedSuggestions": []}, "feedback.1"),
        ({"outcome": "accepted", "acceptedSuggestions": [{}]}, "feedback.1.acceptedSuggestions.0.id"),
        ({"outcome": "accepted", "acceptedSuggestions": ["x"]}, "feedback.1.acceptedSuggestions.0"),
        ({"outcomeTimestamp": ...}, "feedback.1.outcomeTimestamp"),
        ({"overrideReason": "x"}, "feedback.1.overrideReason"),
    ],
)
def test_a_faulty_entry_is_named_and_nothing_of_the_batch_is_stored(
    app: Flask, store: FeedbackStore, change: dict[str, Any], path: str
) -> None:
    faulty = {k: v for k, v in (OVERRIDDEN | change).items() if v is not ...}
    response = app.test_client().post(PATH, json={"feedback": [ACCEPTED, faulty]})
    assert response.status_code == 400
    assert response.json["issue"][0]["expression"] == [path]
    assert store.events() == []


@pytest.mark.row("FBK-06")
@pytest.mark.parametrize("reason", [..., None, {}, {"userComment": "only this"}, {"reason": None}, {"reason": {}}])
def test_an_override_needs_no_reason(post: Callable[..., int], reason: Any) -> None:
    item = {k: v for k, v in (OVERRIDDEN | {"overrideReason": reason}).items() if v is not ...}
    assert post(item) == 200


@pytest.mark.row("FBK-07")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-20T08:30:00Z", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        ("2026-11-20t08:30:00.125z", datetime(2026, 11, 20, 8, 30, 0, 125000, tzinfo=UTC)),
        ("2026-11-20T08:30:00.123456789Z", datetime(2026, 11, 20, 8, 30, 0, 123456, tzinfo=UTC)),
        ("2026-11-20T08:30:00+00:00", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        ("2026-11-20T08:30:00+08:00", datetime(2026, 11, 20, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_with_an_offset_is_kept_in_utc(
    post: Callable[..., int], store: FeedbackStore, written: str, meant: datetime
) -> None:
    assert post(OVERRIDDEN | {"outcomeTimestamp": written}) == 200
    assert store.events()[0].at == meant


@pytest.mark.row("FBK-07")
@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20T08:30:00",
        "2026-11-20",
        "2026-11-20T08:30Z",
        "20.11.2026 08:30",
        "1763627400",
        1763627400,
        "2026-02-30T08:30:00Z",
        "2026-11-20T25:30:00Z",
        "0001-01-01T00:00:00+10:00",
        "",
    ],
)
def test_a_moment_that_is_unclear_is_refused(app: Flask, written: Any) -> None:
    item = OVERRIDDEN | {"outcomeTimestamp": written}
    response = app.test_client().post(PATH, json={"feedback": [item]})
    assert response.status_code == 400
    assert response.json["issue"][0]["expression"] == ["feedback.0.outcomeTimestamp"]


@pytest.mark.row("FBK-08", "TOY-16")
def test_the_same_report_again_is_kept_once_and_a_later_one_beside_it(
    post: Callable[..., int], store: FeedbackStore
) -> None:
    accepted_later = ACCEPTED | {"card": OVERRIDDEN["card"], "outcomeTimestamp": "2026-11-20T09:00:00Z"}
    for items in ([OVERRIDDEN], [OVERRIDDEN], [OVERRIDDEN, accepted_later, accepted_later]):
        assert post(*items) == 200
    assert [event.outcome for event in store.events()] == ["overridden", "accepted"]


@pytest.mark.row("FBK-08")
def test_the_same_moment_written_otherwise_is_the_same_report(post: Callable[..., int], store: FeedbackStore) -> None:
    for written in ("2026-11-20T08:30:00Z", "2026-11-20T16:30:00.000+08:00"):
        assert post(OVERRIDDEN | {"outcomeTimestamp": written}) == 200
    assert len(store.events()) == 1


@pytest.mark.row("FBK-11", "E-22", "TOY-16")
def test_epic_s_three_shapes_are_stored_with_their_reasons(post: Callable[..., int], store: FeedbackStore) -> None:
    for item in (EPIC_MAPPED, EPIC_UNMAPPED, EPIC_ACCEPTED):
        assert post(item) == 200
    mapped, unmapped, accepted = store.events()
    assert (mapped.reason_code, mapped.reason_display) == ("contraindicated", "bad")
    assert (unmapped.reason_code, unmapped.reason_display, unmapped.comment) == ("7", "Criteria not met", "A free text")
    assert unmapped.reason_system == "com.epic.cdshooks.feedback.overrideReason.reasonCategory"
    assert accepted.accepted == ("not-a-uuid",)


@pytest.mark.row("FBK-11", "EXT-04")
@pytest.mark.parametrize("extension", [{}, {"other.reason": "1"}, {EPIC_MAPPED["card"]: [1]}])
def test_an_extension_that_says_nothing_known_is_no_reason(
    post: Callable[..., int], store: FeedbackStore, extension: dict[str, Any]
) -> None:
    assert post(OVERRIDDEN | {"overrideReason": {"extension": extension}}) == 200
    assert store.events()[0].reason_code is None


@pytest.mark.row("S-13")
def test_the_sandbox_s_reason_without_display_is_stored(post: Callable[..., int], store: FeedbackStore) -> None:
    assert post(OVERRIDDEN | {"overrideReason": {"reason": {"code": "a", "system": "b"}}}) == 200
    assert (store.events()[0].reason_code, store.events()[0].reason_display) == ("a", None)


@pytest.mark.row("FBK-12")
def test_a_long_comment_is_cut(post: Callable[..., int], store: FeedbackStore) -> None:
    assert post(OVERRIDDEN | {"overrideReason": {"userComment": "é" * (COMMENT_LIMIT + 1)}}) == 200
    assert store.events()[0].comment == "é" * COMMENT_LIMIT


@pytest.mark.parametrize(
    "text",
    ["a\x00b", "字" * 500, "".join(chr(0x20000 + 7 * n) for n in range(500)), "'); DROP TABLE feedback_event; --"],
    ids=["a zero character", "long", "long and not to be compressed", "SQL"],
)
def test_any_text_that_is_accepted_can_be_stored(post: Callable[..., int], store: FeedbackStore, text: str) -> None:
    """PostgreSQL takes no zero character, and no key of an index over 2700 bytes"""
    reason = {"code": text, "system": text, "display": text}
    item = {"card": text, "overrideReason": {"reason": reason, "userComment": text}}
    assert post(OVERRIDDEN | item, ACCEPTED | {"card": "2", "acceptedSuggestions": [{"id": text}]}) == 200
    kept = text.replace("\x00", "\ufffd")
    first, second = store.events()
    assert (first.card, first.reason_code, first.reason_display, first.comment) == (kept,) * 4
    assert second.accepted == (kept,)


def test_a_card_id_that_no_service_would_give_is_refused(app: Flask) -> None:
    response = app.test_client().post(PATH, json={"feedback": [OVERRIDDEN | {"card": "x" * 501}]})
    assert (response.status_code, response.json["issue"][0]["expression"]) == (400, ["feedback.0.card"])


def test_one_service_s_feedback_can_be_read_apart(app: Flask, store: FeedbackStore) -> None:
    client = app.test_client()
    client.post(PATH, json={"feedback": [OVERRIDDEN]})
    client.post("/cds-services/vitamin-k-order-sign/feedback", json={"feedback": [ACCEPTED]})
    assert [event.outcome for event in store.events("vitamin-k-order-sign")] == ["accepted"]


# That it lasts


def test_feedback_is_there_after_the_app_is_started_again(make_app: Callable[..., Flask], database_url: str) -> None:
    first = make_app(database_url=database_url)
    assert first.test_client().post(PATH, json={"feedback": [OVERRIDDEN]}).status_code == 200
    first.extensions["database"].close()
    assert [event.card for event in make_app(database_url=database_url).extensions["feedback_store"].events()] == [
        OVERRIDDEN["card"]
    ]


# What makes a database refuse the fourth row of a batch.
_REFUSE = {
    "sqlite": "CREATE TRIGGER refuse BEFORE INSERT ON feedback_event WHEN NEW.card = '3'"
    " BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    "postgresql": "ALTER TABLE feedback_event ADD CONSTRAINT refuse CHECK (card <> '3')",
}


def test_a_batch_that_fails_half_way_leaves_nothing(database_url: str, store: FeedbackStore) -> None:
    engine = create_engine(checked_url(database_url))
    with engine.begin() as connection:
        connection.execute(text(_REFUSE[engine.dialect.name]))
    engine.dispose()
    events = [FeedbackEvent("s", str(n), "overridden", datetime(2026, 1, 1, tzinfo=UTC)) for n in range(5)]
    with pytest.raises(Unavailable):
        store.add(events)
    assert store.events() == []
    store.add(events[:3])
    assert len(store.events()) == 3


def test_two_processes_write_at_the_same_time_without_loss(database_url: str, store: FeedbackStore) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(database_url, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(event.card for event in store.events()) == sorted(f"{name}{n}" for name in "ab" for n in range(100))


def _write_many(url: str, name: str) -> None:
    database = Database(url)
    store = FeedbackStore(database)
    for n in range(100):
        store.add([FeedbackEvent("s", f"{name}{n}", "overridden", datetime(2026, 1, 1, tzinfo=UTC))])
    database.close()
