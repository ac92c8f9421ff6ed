"""The CDS Hooks Sandbox, as its source behaves: a page in a browser that writes one medicine order.

It knows a service by its address, asks FHIR by `POST _search` and then by GET, leaves out what it could not fetch, and
calls order-select at every edit, also before a drug is chosen. Accepting a suggestion changes the form if its first
action brings a coded medicine; anything else has no effect but the feedback.
"""

from __future__ import annotations

from typing import Any, ClassVar

import requests

from tests.support.clients.ehr import CallFailed, Ehr, Json, Shown

ORIGIN = "https://sandbox.cds-hooks.org"


class Sandbox(Ehr):
    hooks: ClassVar = ("patient-view", "order-select", "order-sign")
    user = "Practitioner/COREPRACTITIONER1"
    #: the medicine order on the page, None before the form is opened
    form: Json | None = None

    def discover(self) -> None:
        super().discover()
        known = [f"{self.base}/cds-services/{service}" for found in self.services.values() for service, _ in found]
        # Keyed by address: a second service of one id would replace the first.
        if not known or len(set(known)) != len(known):
            raise CallFailed("Could not get a response")

    def authorization(self, url: str) -> dict[str, str]:
        return super().authorization(url) | {"Origin": ORIGIN}

    def filled(self, template: str, context: Json) -> Any:
        query = template.replace("{{context.patientId}}", context["patientId"])
        kind, _, parameters = query.partition("?")
        if not parameters:
            return super().filled(template, context)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = requests.post(f"{self.chart}/{kind}/_search", data=parameters, headers=form, timeout=10)
        if reply.status_code != 200:
            reply = self.read(query)
        return reply.json() if reply.status_code == 200 else ...

    def write(self, **members: Any) -> list[Shown]:
        """One edit of the order; the first one opens the form."""
        self.form = {**(self.form or self._blank()), **members}
        return self.fire("order-select", selections=[f"MedicationRequest/{self.form['id']}"])

    def sign(self) -> list[Shown]:
        return self.fire("order-sign")

    def _blank(self) -> Json:
        return {
            "resourceType": "MedicationRequest",
            "id": "request-123",
            "status": "draft",
            "category": {"coding": [{"system": "http://example.org/category", "code": "outpatient"}]},
            "subject": {"reference": f"Patient/{self.patient}"},
        }

    def draft_bundle(self) -> Json:
        return {"resourceType": "Bundle", "entry": [{"resource": self.form}]}

    def carry_out(self, action: Json) -> None:
        concept = action.get("resource", {}).get("medicationCodeableConcept", {})
        if self.form is not None and concept.get("text") and concept.get("coding"):
            self.form = self.form | {"medicationCodeableConcept": concept}

    def dismiss(self, shown: Shown, reason: str) -> None:
        """Overrides a card with one of its reasons: code and system, no words."""
        (chosen,) = [one for one in shown.card["overrideReasons"] if one["code"] == reason]
        said = {"reason": {"code": chosen["code"], "system": chosen["system"]}}
        self.report(shown, {"outcome": "overridden", "overrideReason": said})


def may_read(reply: requests.Response) -> bool:
    """Whether a page of the Sandbox is allowed to see an answer, as a browser decides it."""
    return reply.headers.get("Access-Control-Allow-Origin") in ("*", ORIGIN)
