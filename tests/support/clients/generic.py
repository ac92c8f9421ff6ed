"""A client that does what CDS Hooks 2.0.1 says: discovery, every template, all five hooks, every kind of action."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.support.clients.ehr import CardRefused, Ehr, Json, Shown


class Generic(Ehr):
    hooks: ClassVar = ("patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge")
    user = "PractitionerRole/gp-12"

    def context(self, hook: str) -> Json:
        context = super().context(hook)
        if hook == "order-select":
            context["selections"] = list(self.drafts)
        return context | ({"encounterId": "visit-1"} if hook.startswith("encounter-") else {})

    def filled(self, template: str, context: Json) -> Any:
        filled = super().filled(template, context)
        if isinstance(filled, dict) and filled["resourceType"] == "Bundle" and not filled.get("entry"):
            # CDS Hooks 2.0.1, Prefetch: no data for a key is null.
            return None
        return filled

    def checked(self, card: Json) -> Json:
        if ("suggestions" in card) != ("selectionBehavior" in card):
            raise CardRefused("selectionBehavior goes with suggestions")
        recommended = [one for one in card.get("suggestions", ()) if one.get("isRecommended")]
        if len(recommended) > 1 and card["selectionBehavior"] == "at-most-one":
            raise CardRefused("more than one is recommended of which at most one may be chosen")
        return super().checked(card)

    def override(self, shown: Shown, reason: str, comment: str) -> None:
        (chosen,) = [one for one in shown.card["overrideReasons"] if one["code"] == reason]
        said = {"reason": chosen, "userComment": comment}
        self.report(shown, {"outcome": "overridden", "overrideReason": said})
