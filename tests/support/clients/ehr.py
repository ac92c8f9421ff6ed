"""What every client does: fill prefetch from its chart, call, show cards, act on them, report what became of them.

A client of its own kind overrides what it does otherwise. Nothing in here comes from the service but what a client
sees on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import requests

from tests.support.signing import Signer

Json = dict[str, Any]
_TOKEN = re.compile(r"\{\{context\.([A-Za-z]+)\}\}")


class CallFailed(Exception):
    """The service did not answer with cards; the clinician sees nothing."""


class CardRefused(Exception):
    """The client cannot take this card as it is."""


@dataclass(frozen=True)
class Shown:
    """A card on the screen, and the service it came from."""

    service: str
    card: Json

    @property
    def rule(self) -> str:
        """Which kind of card it is: the topic's code."""
        code: str = self.card["source"]["topic"]["code"]
        return code


class Ehr:
    """One workstation with one chart open.

    Args:
        service: the base URL it was given.
        chart: its own FHIR server.
        signer: signs its tokens; None: it sends none.
        chart_token: opens the FHIR server, for itself and for the service; None: it asks for none.
    """

    hooks: ClassVar[tuple[str, ...]] = ()
    user: ClassVar[str] = "Practitioner/example"

    def __init__(
        self, service: str, chart: str, *, signer: Signer | None = None, chart_token: str | None = None
    ) -> None:
        self.base, self.chart = service, chart
        self.signer, self.chart_token = signer, chart_token
        self.patient = ""
        self.drafts: dict[str, Json] = {}
        self.shown: list[Shown] = []
        # Services by hook: id and prefetch templates, by its own key.
        self.services: dict[str, list[tuple[str, dict[str, str]]]] = {}

    # --- what a clinician does ------------------------------------------------------------------------------------

    def open_chart(self, patient: str) -> list[Shown]:
        """Opens a patient's chart; what the services of patient-view say to that."""
        self.patient, self.drafts = patient, {}
        return self.fire("patient-view")

    def draft(self, *orders: Json) -> None:
        """Puts orders into the list of the session, without asking anybody."""
        for order in orders:
            self.drafts[f"{order['resourceType']}/{order['id']}"] = order

    def accept(self, shown: Shown, label: str) -> Json:
        """Takes the suggestion that begins with these words and reports it; the action that was carried out."""
        (suggestion,) = [one for one in self.offered(shown) if self.words(one).startswith(label)]
        (action,) = suggestion["actions"]
        self.carry_out(action)
        self.report(shown, {"outcome": "accepted", "acceptedSuggestions": [{"id": suggestion["uuid"]}]})
        return dict(action)

    def offered(self, shown: Shown) -> list[Json]:
        return list(shown.card.get("suggestions", ()))

    def words(self, suggestion: Json) -> str:
        """What the clinician reads on the button."""
        return str(suggestion["label"])

    # --- what the program does ------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Reads what services there are."""
        url = f"{self.base}/cds-services"
        reply = requests.get(url, headers=self.authorization(url), timeout=10)
        if reply.status_code != 200:
            raise CallFailed(f"discovery: {reply.status_code} {reply.text}")
        self.services = {}
        for service in reply.json()["services"]:
            self.services.setdefault(service["hook"], []).append((service["id"], service.get("prefetch", {})))

    def fire(self, hook: str, **context: Any) -> list[Shown]:
        """Calls every service of the hook; the cards, which replace those of before."""
        if hook not in self.hooks:
            raise CallFailed(f"this client has no {hook}")
        self.shown = []
        for service, templates in self.services[hook]:
            request = self.request(hook, templates, self.context(hook) | context)
            url = f"{self.base}/cds-services/{service}"
            reply = requests.post(url, json=request, headers=self.authorization(url), timeout=10)
            if reply.status_code != 200:
                raise CallFailed(f"{service}: {reply.status_code} {reply.text}")
            self.shown += [Shown(service, self.checked(card)) for card in reply.json()["cards"]]
        return self.shown

    def context(self, hook: str) -> Json:
        context: Json = {"userId": self.user, "patientId": self.patient}
        if hook.startswith("order-"):
            context["draftOrders"] = self.draft_bundle()
        return context

    def draft_bundle(self) -> Json:
        entries = [{"resource": order} for order in self.drafts.values()]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    def request(self, hook: str, templates: Mapping[str, str], context: Json) -> Json:
        request: Json = {"hook": hook, "hookInstance": self.instance(), "context": context, "fhirServer": self.chart}
        if self.chart_token is not None:
            request["fhirAuthorization"] = self.fhir_authorization()
        filled = {key: self.filled(template, context) for key, template in templates.items()}
        prefetch = {key: value for key, value in filled.items() if value is not ...}
        return request | ({"prefetch": prefetch} if prefetch else {})

    def instance(self) -> str:
        return str(uuid4())

    def fhir_authorization(self) -> Json:
        return {
            "access_token": self.chart_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "user/*.read",
            "subject": "b12-and-vitamin-k-service",
        }

    def filled(self, template: str, context: Json) -> Any:
        """The value of a prefetch key; `...` leaves the key out."""
        query = _TOKEN.sub(lambda token: str(context[token[1]]), template)
        reply = self.read(query)
        return reply.json() if reply.status_code == 200 else ...

    def read(self, query: str) -> requests.Response:
        """Asks its own FHIR server."""
        headers = {"Authorization": f"Bearer {self.chart_token}"} if self.chart_token else {}
        return requests.get(f"{self.chart}/{query}", headers=headers | {"User-Agent": "ehr"}, timeout=10)

    def authorization(self, url: str) -> dict[str, str]:
        return self.signer.bearer(url) if self.signer else {}

    def checked(self, card: Json) -> Json:
        """The card as it is shown, if this client can show it."""
        if not card["summary"].strip() or len(card["summary"]) >= 140:
            raise CardRefused("summary")
        if card["indicator"] not in ("info", "warning", "critical"):
            raise CardRefused("indicator")
        return card

    def carry_out(self, action: Json) -> None:
        """Does to the list of drafts what an action says."""
        if action["type"] == "delete":
            del self.drafts[action["resourceId"]]
            return
        resource = action["resource"]
        if action["type"] == "update":
            self.drafts[f"{resource['resourceType']}/{resource['id']}"] = resource
            return
        new = f"new-{len(self.drafts)}"
        self.drafts[f"{resource['resourceType']}/{new}"] = resource | {"id": new}

    def report(self, shown: Shown, outcome: Json) -> None:
        """Tells the service what became of a card, at once."""
        self.send(shown.service, self.item(shown, outcome))

    def item(self, shown: Shown, outcome: Json) -> Json:
        return {"card": shown.card["uuid"], "outcomeTimestamp": self.now(), **outcome}

    def send(self, service: str, *items: Json) -> None:
        """Sends feedback, one item or a batch."""
        url = f"{self.base}/cds-services/{service}/feedback"
        reply = requests.post(url, json={"feedback": list(items)}, headers=self.authorization(url), timeout=10)
        if reply.status_code != 200:
            raise CallFailed(f"feedback: {reply.status_code} {reply.text}")

    def now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
