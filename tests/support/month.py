"""A month of a hospital: calls about sample patients, what users did with the cards, and what a report must say of it.

Everything is drawn from a seed. The figures that a report must show are counted here a second time, in plain Python
and from what was sent and answered alone, so that the two ways of counting can be held against each other.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import bindparam, update

from cds_service.settings import Settings
from cds_service.store.report_figures import Figures, Reason, SuggestionUptake
from cds_service.store.report_query import Dimension
from cds_service.store.tables import hook_call, to_utc_text
from cds_service.web.app import create_app
from tests.support.labels import plain_label
from tests.support.real_inputs import SAMPLES, hooks_of, knowledge, sample_request, services

ZONE = ZoneInfo("Asia/Shanghai")
# Six weeks in three months; the months end at another moment in UTC.
FIRST, LAST = datetime(2026, 9, 24, tzinfo=ZONE), datetime(2026, 11, 6, tzinfo=ZONE)
KEY = "a key for hashes that is long enough"
REASONS = "urn:cds-service:override-reason"
# Somebody's pet hate, and a critical card that is often refused: both are to be found beyond a limit.
HATED, REFUSED = "vka-vitk-concurrent", "critical"
_HEAD = 'decisions:\n  us: {by: The board, "on": 2026-10-01, because: A trial.}\n'
_SITES = {
    None: None,
    "north": f"site: North\n{_HEAD}rules:\n  b12-low: {{decision: us, mode: silent}}\n",
    "south": f"site: South\n{_HEAD}snooze: {{decision: us, reasons: {{disagree: {{info: 365, warning: 90}}}}}}\n",
}


@dataclass(slots=True)
class Seen:
    """A card as the month knows it, with what was reported of it."""

    id: str
    rule: str
    variant: str | None
    indicator: str
    site: str | None
    month: str
    service: str
    patient: str
    at: datetime
    shown: bool
    suggestions: dict[str, str | None] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any] | None:
        return max(self.events, key=lambda event: event["outcomeTimestamp"], default=None)


class Month:
    """Sends everything when it is made; then `cards` and the rest tell what there was."""

    def __init__(self, folder: Path, database_url: str, calls: int, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.cards: list[Seen] = []
        self.calls: list[dict[str, Any]] = []
        self.strangers = 0
        self._told = 0
        bodies = list(_bodies())
        self.apps = {site: _app(folder, site, overlay, database_url) for site, overlay in _SITES.items()}
        for _ in range(calls):
            self._call(*self.random.choice(bodies))
            if len(self.calls) % 50 == 0:
                self._report()
        self._report()
        self._strangers()
        self._put_in_time()

    def close(self) -> None:
        for app in self.apps.values():
            app.extensions["database"].close()

    # What was sent

    def _call(self, sample: str, service: str, content: bytes) -> None:
        site = self.random.choice(list(self.apps))
        patient = f"{sample}-{self.random.randrange(6)}"
        at = FIRST + self.random.random() * (LAST - FIRST)
        if self.random.random() < 0.01:
            # No patient in it: refused.
            content = content.replace(b'"patientId"', b'"nobody"')
        response = (
            self.apps[site]
            .test_client()
            .post(
                f"/cds-services/{service}",
                data=content.replace(sample.encode(), patient.encode()),
                content_type="application/json",
            )
        )
        status, correlation = response.status_code, response.headers["X-Correlation-Id"]
        reply = response.get_json() if status == 200 else {"cards": []}
        self.calls.append({"id": correlation, "at": at, "service": service, "site": site, "status": status})
        self.calls[-1]["cards"] = len(reply["cards"])
        where: dict[str, Any] = {"site": site, "month": f"{at:%Y-%m}", "service": service, "patient": patient, "at": at}
        for card in reply["cards"]:
            rule = card["extension"]["cds-service.rule"]
            self.cards.append(
                Seen(
                    card["uuid"],
                    rule["id"],
                    rule.get("variant"),
                    card["indicator"],
                    shown=True,
                    suggestions={each["uuid"]: _order(each["label"]) for each in card.get("suggestions", ())},
                    reasons=[reason["code"] for reason in card.get("overrideReasons", ())],
                    **where,
                )
            )
        for node in reply.get("extension", {}).get("cds-service.explain", ()):
            if node["outcome"] in ("counted", "snoozed"):
                rule, variant = node["rule"], node.get("variant")
                self.cards.append(Seen("", rule, variant, _indicator(rule, variant), shown=False, **where))

    def _report(self) -> None:
        """Users answer what they have just seen."""
        sent: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
        new, self._told = self.cards[self._told :], len(self.cards)
        for card in new:
            if card.shown and self.random.random() < 0.6:
                card.events = list(self._answers(card))
                # Clients repeat what they are not sure to have sent.
                repeated = card.events[:1] if self.random.random() < 0.05 else []
                sent.setdefault((card.site, card.service), []).extend([*card.events, *repeated])
        for (site, service), events in sent.items():
            self._post(site, service, events)

    def _post(self, site: str | None, service: str, events: Sequence[dict[str, Any]]) -> None:
        for some in (events[start : start + 40] for start in range(0, len(events), 40)):
            response = (
                self.apps[site].test_client().post(f"/cds-services/{service}/feedback", json={"feedback": list(some)})
            )
            assert response.status_code == 200

    def _answers(self, card: Seen) -> Iterator[dict[str, Any]]:
        overridden = 0.95 if card.rule == HATED else 0.5 if card.indicator == REFUSED else 0.35
        moment = card.at + timedelta(seconds=self.random.choice((3, 40, 600, 90_000)) * (0.5 + self.random.random()))
        if self.random.random() < 0.03:
            moment = card.at - timedelta(hours=1)
        # Some change their mind; the last word counts.
        for _ in range(self.random.choice((1, 1, 1, 1, 2, 3))):
            if card.suggestions and self.random.random() >= overridden:
                taken = self.random.sample(sorted(card.suggestions), self.random.choice((1, 1, len(card.suggestions))))
                more: dict[str, Any] = {"outcome": "accepted", "acceptedSuggestions": [{"id": each} for each in taken]}
            else:
                more = {"outcome": "overridden"}
                kind = self.random.random()
                if card.reasons and kind < 0.8:
                    more["overrideReason"] = {"reason": {"code": self.random.choice(card.reasons), "system": REASONS}}
                elif kind < 0.9:
                    more["overrideReason"] = {"userComment": "An invented comment"}
            yield {
                "card": card.id,
                "outcomeTimestamp": moment.astimezone(UTC).isoformat(timespec="microseconds"),
                **more,
            }
            moment += timedelta(seconds=1 + 5000 * self.random.random())

    def _strangers(self) -> None:
        """Feedback on cards of another service that this database never saw, of some twice."""
        ids = [str(UUID(int=self.random.getrandbits(128), version=4)) for _ in range(7)]
        events = [
            {"card": each, "outcome": "overridden", "outcomeTimestamp": f"2026-10-0{day}T08:00:00Z"}
            for each in ids
            for day in (1, 2)
        ]
        self._post(None, "vitamin-b12-patient-view", events)
        self.strangers = len(ids)

    def _put_in_time(self) -> None:
        """The service stamps calls with the present; here they move to their days."""
        for app in self.apps.values():
            assert app.extensions["recorder"].flush()
        change = update(hook_call).where(hook_call.c.id == bindparam("call")).values(at=bindparam("moment"))
        rows = [{"call": call["id"], "moment": to_utc_text(call["at"])} for call in self.calls]
        with self.apps[None].extensions["database"].transaction("") as connection:
            connection.execute(change, rows)

    # What a report must say

    def figures(self, *by: Dimension, among: Callable[[Seen], bool] = lambda _: True) -> dict[tuple[Any, ...], Figures]:
        """The same as `Usage.figures`, counted from what was sent."""
        groups: dict[tuple[Any, ...], list[Seen]] = {}
        for card in filter(among, self.cards):
            groups.setdefault(tuple(getattr(card, name) for name in by), []).append(card)
        return {key: _figures(cards) for key, cards in groups.items()}


def _figures(cards: Sequence[Seen]) -> Figures:
    shown = [card for card in cards if card.shown]
    last = [(card, event) for card in shown if (event := card.last) is not None]
    outcomes = Counter(event["outcome"] for _, event in last)
    waited = [(datetime.fromisoformat(event["outcomeTimestamp"]) - card.at).total_seconds() for card, event in last]
    waited = [seconds for seconds in waited if seconds >= 0]
    reasons: Counter[Reason] = Counter()
    for _, event in last:
        if event["outcome"] == "overridden":
            said = event.get("overrideReason", {}).get("reason", {})
            reasons[Reason(said.get("code"), said.get("system"))] += 1
    offered = Counter(order for card in shown for order in card.suggestions.values())
    taken: Counter[str | None] = Counter()
    for card, event in last:
        if event["outcome"] == "accepted":
            named = {each["id"] for one in card.events for each in one.get("acceptedSuggestions", ())}
            taken.update(card.suggestions[each] for each in named)
    return Figures(
        shown=len(shown),
        silent=len(cards) - len(shown),
        accepted=outcomes["accepted"],
        overridden=outcomes["overridden"],
        patients=len({card.patient for card in cards}),
        seconds=median(waited) if waited else None,
        timed_answers=len(waited),
        reasons=dict(reasons),
        orders={order: SuggestionUptake(number, taken[order]) for order, number in offered.items()},
    )


def _app(folder: Path, site: str | None, overlay: str | None, database_url: str) -> Flask:
    settings: dict[str, Any] = {"open": True, "hash_key": KEY, "database_url": database_url, "rate_limit": "off"}
    if site is not None and overlay is not None:
        place = folder / site
        place.mkdir()
        (place / "overlay.yaml").write_text(overlay, encoding="utf-8")
        # Only the trace tells what was not shown.
        settings |= {"site": place, "explain": True}
    return create_app(Settings(**settings))


def _bodies() -> Iterator[tuple[str, str, bytes]]:
    """Sample, service, and the request as an EHR sends it."""
    for sample in SAMPLES:
        for hook in hooks_of(sample):
            content = json.dumps(sample_request(sample, hook, prefetch=True)).encode()
            for service in services(hook):
                yield sample.id, service, content


def _order(label: str) -> str | None:
    """The catalogue's order behind a suggestion; a label may have the product's name behind it."""
    found = [name for name, order in knowledge().orders.items() if plain_label(label).startswith(order.label.en)]
    return max(found, key=lambda name: len(knowledge().orders[name].label.en))


def _indicator(rule: str, variant: str | None) -> str:
    told = knowledge().rules[rule]
    own = next((each.indicator for each in told.variants if each.id == variant), None)
    assert told.card is not None
    return own or told.card.indicator
