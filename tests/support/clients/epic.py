"""Epic, as its documentation describes it.

It reads no discovery: analysts type addresses, prefetch keys and strings from the service's documentation. Its token
is RS384, with what the customer typed as audience. It takes selectionBehavior `any` only, one action per suggestion,
and shows the action's description; of a created order it takes the code, not the details.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid1

from tests.support.clients.ehr import CallFailed, CardRefused, Ehr, Json, Shown
from tests.support.paths import ROOT

GUIDE = ROOT / "docs" / "integrate.md"
# What its analysts call the keys; they have typed in neither the optional ones nor the one for statements.
KEYS = {
    "patient-user": "patient",
    "labs-user": "labs",
    "meds-user": "medicationRequests",
    "problems-user": "conditions",
    "procedures-user": "procedures",
    "orders-user": "serviceRequests",
}
CLIENT_ID = "b12-and-vitamin-k-service"
RXNORM, LOINC = "urn:oid:2.16.840.1.113883.6.88", "http://loinc.org"
_TRIGGERS = {"patient-view": "60", "order-select": "18", "order-sign": "23"}
_ID = "eYECylMj-xyMxUMSJcsXNaCjp4A2dFS7zEdwKW6SGba5.h7YqF-WAy6Sd4vYYujFi-14quvrVnb.4Dm5LxrETric"


class Epic(Ehr):
    hooks: ClassVar = ("patient-view", "order-select", "order-sign")
    user = "PractitionerRole/escis1czkWacO6I6nlRcbQj3"
    #: what the customer has typed in as `aud`, whatever is called
    audience = "https://cds.example/epic"

    def __init__(self, *args: Any, batched: bool = False, **more: Any) -> None:
        """
        Args:
            batched: feedback is kept until `flush`; the customer chooses that.
        """
        super().__init__(*args, **more)
        self.batched = batched
        self.held: dict[str, list[Json]] = {}

    def discover(self) -> None:
        """What an analyst has typed in from the guide."""
        pasted = strings_in(GUIDE.read_text(encoding="utf-8"))
        self.services = {
            hook: [
                (service, {own: pasted[service][ours] for own, ours in KEYS.items()})
                for service in (f"vitamin-b12-{hook}", f"vitamin-k-{hook}")
            ]
            for hook in self.hooks
        }

    def authorization(self, url: str) -> dict[str, str]:
        assert self.signer is not None
        now = int(time.time())
        return self.signer.bearer(self.audience, sub=CLIENT_ID, iat=now, nbf=now - 300, exp=now + 900)

    def instance(self) -> str:
        return str(uuid1())

    def request(self, hook: str, templates: Mapping[str, str], context: Json) -> Json:
        extension = {
            "com.epic.cdshooks.request.bpa-trigger-action": _TRIGGERS[hook],
            "com.epic.cdshooks.request.cds-hooks-specification-version": "1.1",
            "com.epic.cdshooks.request.fhir-version": "R4",
        }
        return super().request(hook, templates, context) | {"extension": extension}

    def fhir_authorization(self) -> Json:
        said = super().fhir_authorization()
        return said | {"expires_in": 3600, "scope": "Patient.Read (R4) Observation.Search (Labs) (R4)"}

    def filled(self, template: str, context: Json) -> Any:
        filled = super().filled(template, context)
        if isinstance(filled, dict) and filled["resourceType"] == "Bundle":
            return self._absolute(filled) if filled.get("entry") else self._nothing_found()
        return filled

    def _absolute(self, bundle: Json) -> Json:
        """Its references are addresses."""
        for entry in bundle["entry"]:
            for member in ("subject", "encounter"):
                reference = entry["resource"].get(member, {}).get("reference")
                if reference:
                    entry["resource"][member] = {"reference": f"{self.chart}/{reference}"}
        return bundle

    def _nothing_found(self) -> Json:
        issue = {
            "severity": "warning",
            "code": "processing",
            "details": {
                "coding": [{"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369", "code": "4101"}],
                "text": "Resource request returns no results.",
            },
        }
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        entry = {"resource": outcome, "search": {"mode": "outcome"}}
        return {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": [entry]}

    def draft(self, *orders: Json) -> None:
        """Its drafts have long ids and refer to a Medication, which comes as an entry beside them."""
        for number, order in enumerate(orders, len(self.drafts)):
            held = dict(order, id=f"{_ID}{number:0>{194 - len(_ID)}}")
            if "medicationCodeableConcept" in held:
                concept = held.pop("medicationCodeableConcept")
                name = f"eMed{number}"
                medication = {"resourceType": "Medication", "id": name, "code": concept}
                words = concept.get("text") or concept["coding"][0].get("display", "")
                held["medicationReference"] = {"reference": f"Medication/{name}", "display": words}
                super().draft(medication)
            super().draft(held)

    def select(self) -> list[Shown]:
        """Chooses the orders drafted so far."""
        return self.fire("order-select", selections=self.orders)

    @property
    def orders(self) -> list[str]:
        return [name for name in self.drafts if not name.startswith("Medication/")]

    def checked(self, card: Json) -> Json:
        if not card["source"]["topic"]["code"].isalnum():
            raise CardRefused("source.topic.code")
        if "suggestions" in card and card["selectionBehavior"] != "any":
            raise CardRefused("selectionBehavior")
        for suggestion in card.get("suggestions", ()):
            if len(suggestion["actions"]) != 1 or not suggestion["actions"][0]["description"].strip():
                raise CardRefused("one action with a description")
            if suggestion["actions"][0]["type"] == "update":
                raise CardRefused("unsigned orders are created and deleted, never updated")
        return super().checked(card)

    def words(self, suggestion: Json) -> str:
        return str(suggestion["actions"][0]["description"])

    def carry_out(self, action: Json) -> None:
        if action["type"] == "delete":
            super().carry_out(action)
            return
        concept = action["resource"].get("medicationCodeableConcept") or action["resource"]["code"]
        found = [one for one in concept.get("coding", ()) if one["system"] in (RXNORM, LOINC)]
        if action["type"] != "create" or not found:
            raise CallFailed("no record of such an order")
        kept = {name: action["resource"][name] for name in ("resourceType", "status", "subject")}
        kind = "medicationCodeableConcept" if "medicationCodeableConcept" in action["resource"] else "code"
        self.draft(kept | {"id": "new", "intent": "order", kind: {"coding": found, "text": action["description"]}})

    def report(self, shown: Shown, outcome: Json) -> None:
        if self.batched:
            self.held.setdefault(shown.service, []).append(self.item(shown, outcome))
        else:
            super().report(shown, outcome)

    def flush(self) -> None:
        """Sends the feedback that was held back, one batch per service."""
        for service, items in self.held.items():
            self.send(service, *items)
        self.held = {}

    def override(self, shown: Shown, reason: Json | None, comment: str) -> None:
        """Does not follow a card. The customer may have mapped the reason to one of the card's, or not (None)."""
        unmapped = {
            "extension": {
                "com.epic.cdshooks.feedback.overrideReason.reasonCategory": "7",
                "com.epic.cdshooks.feedback.overrideReason.reasonDisplay": "Criteria not met",
                "com.epic.cdshooks.feedback.overrideReason.reasonTitle": "Criteria not met",
            }
        }
        said = unmapped if reason is None else {"reason": reason}
        self.report(shown, {"outcome": "overridden", "overrideReasons": said | {"userComment": comment}})


def strings_in(guide: str) -> dict[str, dict[str, str]]:
    """The prefetch strings of the guide: by service, by our key."""
    pasted: dict[str, dict[str, str]] = {}
    for services, strings in re.findall(r"^(`[^\n]+`):\n\n```text\n(.+?)\n```$", guide, re.MULTILINE | re.DOTALL):
        for service in re.findall(r"`([a-z0-9-]+)`", services):
            named = (line.split(": ", 1) for line in strings.splitlines())
            pasted.setdefault(service, {}).update(dict(named))
    return pasted
