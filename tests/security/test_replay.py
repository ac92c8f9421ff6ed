"""A token is good once, and advice goes on while the database that remembers it is away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cds_service.errors import Unavailable
from cds_service.security import replay as used_tokens
from cds_service.security.replay import UsedTokens

NOW = 1_800_000_000.0
SOON = datetime.fromtimestamp(NOW + 300, UTC)


class Shared:
    """A memory that several processes share, which can be taken away."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()
        self.gone = False
        self.asked = 0

    def first_use(self, issuer: str, jti: str, expires: datetime) -> bool:
        self.asked += 1
        if self.gone:
            raise Unavailable("The database is gone.")
        first = (issuer, jti) not in self.used
        self.used.add((issuer, jti))
        return first


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> float:
        return self.at


def process(shared: Shared, clock: Clock) -> UsedTokens:
    return UsedTokens(shared, now=clock, clock=clock)


@pytest.mark.row("JWT-09")
def test_a_token_used_in_one_process_is_refused_in_another() -> None:
    shared, clock = Shared(), Clock()
    one, other = process(shared, clock), process(shared, clock)
    assert one.first_use("ehr", "a", SOON)
    assert not one.first_use("ehr", "a", SOON)
    assert not other.first_use("ehr", "a", SOON)
    assert other.first_use("other-ehr", "a", SOON)


@pytest.mark.row("JWT-09")
def test_while_the_database_is_away_a_process_refuses_what_it_has_let_in_before_and_since() -> None:
    shared, clock = Shared(), Clock()
    one = process(shared, clock)
    assert one.first_use("ehr", "before", SOON)
    shared.gone = True
    assert one.first_use("ehr", "since", SOON)
    assert one.local_only
    assert not one.first_use("ehr", "before", SOON)
    assert not one.first_use("ehr", "since", SOON)


def test_a_database_that_failed_is_asked_again_after_a_rest_and_not_before() -> None:
    shared, clock = Shared(), Clock()
    one = process(shared, clock)
    shared.gone = True
    assert [one.first_use("ehr", str(n), SOON) for n in range(3)] == [True] * 3
    assert shared.asked == 1
    shared.gone = False
    clock.at += 6
    assert one.first_use("ehr", "later", SOON)
    assert shared.asked == 2
    assert not one.local_only


def test_an_id_is_new_again_once_its_token_is_over() -> None:
    shared, clock = Shared(), Clock()
    shared.gone = True
    one = process(shared, clock)
    assert one.first_use("ehr", "a", SOON)
    clock.at += 300 + 59
    assert not one.first_use("ehr", "a", SOON)
    clock.at += 2
    assert one.first_use("ehr", "a", SOON)


def test_what_is_over_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, clock = Shared(), Clock()
    one = process(shared, clock)
    for n in range(100):
        clock.at += 30
        assert one.first_use("ehr", str(n), datetime.fromtimestamp(clock.at + 30, UTC))
    assert len(one._local) < 10
    monkeypatch.setattr(used_tokens, "_MOST", 5)
    for n in range(100):
        assert one.first_use("flood", str(n), datetime.fromtimestamp(clock.at + 3000, UTC))
    assert len(one._local) <= 6
