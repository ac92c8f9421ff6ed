"""Oracle Health, by the one text about it that is public: patient-view alone, set up by hand at registration.

It sends no prefetch here and leaves the fetching to the service. It takes every link off a card that is not on its
list, and shows cards in a narrow panel; critical ones pop up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tests.support.clients.ehr import CardRefused, Ehr, Json, Shown


class Oracle(Ehr):
    hooks: ClassVar = ("patient-view",)
    user = "Practitioner/4122622"
    allowed_links: ClassVar[tuple[str, ...]] = ()

    def discover(self) -> None:
        """What was registered: one address."""
        self.services = {"patient-view": [("vitamin-b12-patient-view", {})]}

    def request(self, hook: str, templates: Mapping[str, str], context: Json) -> Json:
        return super().request(hook, templates, context | {"encounterId": "97953477"})

    def fhir_authorization(self) -> Json:
        said = super().fhir_authorization()
        return said | {"expires_in": 570, "scope": "patient/Observation.read", "patient": self.patient}

    def checked(self, card: Json) -> Json:
        if "|" in card.get("detail", ""):
            raise CardRefused("a table does not fit into the panel")
        removed = [link for link in card.get("links", ()) if link["url"] not in self.allowed_links]
        if removed:
            raise CardRefused("links that are not on the list; they would be taken off")
        return super().checked(card)

    def pops_up(self, shown: Shown) -> bool:
        return bool(shown.card["indicator"] == "critical")
