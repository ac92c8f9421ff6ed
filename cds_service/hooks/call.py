"""One call of a service, from the parsed request to the response: acquire, read, evaluate, make cards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.egress.egress import EgressFactory
from cds_service.errors import SettingsError, Unprocessable
from cds_service.evaluate import Evaluation, Evaluator
from cds_service.fhir.bundle import ListResult
from cds_service.fhir.fetch.client import MOST_PAGES, Fetched
from cds_service.fhir.fetch.terminology_server import TerminologyServer
from cds_service.fhir.read.gather import gather
from cds_service.fhir.read.record import read_record
from cds_service.fhir.write.orders import DraftContext
from cds_service.gap_texts import gaps_text, note_text
from cds_service.hooks.call_outcome import not_shown, shown
from cds_service.hooks.cards.card_maker import CardContext, CardMaker
from cds_service.hooks.cards.client_capabilities import ClientCapabilities, capabilities_of
from cds_service.hooks.cards.missing_data_card import incomplete_card, missing_parts
from cds_service.hooks.complete_prefetch import RequestSource
from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.hooks.observer import CallObserver
from cds_service.hooks.prefetch import PrefetchKey, prefetch_for
from cds_service.hooks.snooze import Snoozed, SnoozeFilter, tell, without
from cds_service.hooks.unmatched import UnmatchedCodes, unmatched_counts
from cds_service.quantity import factor
from cds_service.record import PatientRecord
from cds_service.rules.explain import explain
from cds_service.rules.withheld import Reason, Withheld, by_decision
from cds_service.settings import Settings

_CHART_HOOKS = ("patient-view", "encounter-start")


def make_answer(
    knowledge: KnowledgeBase,
    settings: Settings,
    egress_factory: EgressFactory | None = None,
    server: TerminologyServer | None = None,
    snooze_filter: SnoozeFilter | None = None,
) -> Callable[[str, HookRequest, CallContext], dict[str, Any]]:
    """The function that answers calls: service id, request and circumstances to the CDS Hooks response.

    Args:
        egress_factory: the outbound connections of this process; without it, made from the settings.
        server: the terminology server; without it, made from the settings.
        snooze_filter: takes out cards that were overridden for a lasting reason; without it, all are shown.
    Raises (the function):
        Unprocessable: data that a rule needs could not be had, so no confident answer exists (412).
    """
    # The UCUM registry takes half a second to load; no patient should wait for it.
    factor("ng/L", "pg/mL")
    egress_factory = egress_factory or EgressFactory.of(settings)
    server = server or terminology_server(knowledge, settings, egress_factory)
    return _Answerer(knowledge, settings, egress_factory, server, snooze_filter).answer


@dataclass(frozen=True, slots=True)
class _Judged:
    """One call after its patient was judged: all that the response is made from."""

    request: HookRequest
    call: CallContext
    capabilities: ClientCapabilities
    needs: Sequence[PrefetchKey]
    obtained: Sequence[ListResult]
    evaluation: Evaluation
    snoozed: Sequence[Snoozed]


class _Answerer:
    def __init__(
        self,
        knowledge: KnowledgeBase,
        settings: Settings,
        egress_factory: EgressFactory,
        server: TerminologyServer | None,
        snooze_filter: SnoozeFilter | None,
    ) -> None:
        self._knowledge = knowledge
        self._settings = settings
        self._evaluator = Evaluator(knowledge)
        self._cards = CardMaker(knowledge, _catalogue(settings), _launch(settings))
        self._needs = {service.id: prefetch_for(knowledge, service) for service in knowledge.services.values()}
        self._unmatched = UnmatchedCodes(knowledge.terminology) if settings.log_unmatched else None
        self._server = server
        self._egress_factory = egress_factory
        self._snooze_filter = snooze_filter

    def answer(self, service_id: str, request: HookRequest, call: CallContext) -> dict[str, Any]:
        """CDS Hooks 2.0, Response: cards, or 412 if data is missing, some rule is undecided for it and none fires."""
        service, needs = self._knowledge.services[service_id], self._needs[service_id]
        profile, observer = call.profile, call.observer
        deadline = time.monotonic() + (profile.fhir_deadline or self._settings.fhir_deadline)
        egress = self._egress_factory.to((*self._settings.fhir_allow, *profile.fhir_servers))
        open_server = profile.fhir_without_token
        pages = profile.fhir_pages or MOST_PAGES
        on_fetched = partial(_tell, observer)
        source = RequestSource(needs, request, egress, open_server, deadline, pages, on_fetched)
        capabilities = capabilities_of(profile, call.language, chart=service.hook in _CHART_HOOKS)
        try:
            record, obtained = gather(source, partial(self._record, request), observer.step)
        except Unprocessable:
            call.outcome.unread = ("patient",)
            if profile.on_missing_data == "412":
                raise
            cards = [incomplete_card(self._knowledge, ["patient"], capabilities, _new_id)]
            call.outcome.cards = shown(cards, {})
            return self._response(cards)
        call.log["notes"].update({note_text(note): count for note, count in record.notes.items()})
        if record.unmatched:
            call.log["unmatched"] = unmatched_counts(record)
            if self._unmatched is not None:
                self._unmatched.tell(record)
            if self._server is not None:
                self._server.ask(record)
        with observer.step("evaluate"):
            evaluation = self._evaluator.evaluate(record, call.now, service.rules)
        snoozed: list[Snoozed] = []
        if self._snooze_filter is not None:
            with observer.step("store"):
                snoozed = self._snooze_filter.snoozed(evaluation, profile.name, request.patient_id, call.now)
        with observer.step("cards"):
            return self._respond(_Judged(request, call, capabilities, needs, obtained, evaluation, snoozed))

    def _record(self, request: HookRequest, obtained: Sequence[ListResult]) -> PatientRecord:
        patient = obtained[0]
        if patient.unread:
            reasons = gaps_text(patient.unread, "en")
            raise Unprocessable(
                f"The Patient could not be read: {reasons}. Send it as prefetch, or let it be fetched.",
                expression="prefetch.patient",
            )
        return read_record(
            request.patient_id,
            obtained,
            self._server.terminology if self._server is not None else self._knowledge.terminology,
            self._knowledge.units,
            drafts=request.draft_orders,
            selections=request.selections,
            fhir_server=request.fhir_server,
        )

    def _respond(self, judged: _Judged) -> dict[str, Any]:
        call, evaluation, snoozed = judged.call, judged.evaluation, judged.snoozed
        context = CardContext(evaluation.facts, _draft_context(judged.request, call), judged.capabilities, _new_id)
        made = self._cards.cards(without(evaluation.firing, snoozed), context)
        call.log["cards"] = [card["extension"]["cds-service.rule"]["id"] for card in made.cards]
        call.outcome.withheld = (
            *by_decision(evaluation.decisions),
            *(Withheld(each.decision.rule.id, Reason.SNOOZED) for each in snoozed),
            *made.withheld,
        )
        if call.outcome.withheld:
            call.log["withheld"] = {each.rule: each.reason.value for each in call.outcome.withheld}
        cards = [*made.cards, *self._missing_data(judged, is_certain=bool(made.cards))]
        unseen = (*evaluation.counted, *(each.decision for each in snoozed))
        call.outcome.cards = (*shown(cards, made.orders), *(not_shown(each, _new_id()) for each in unseen))
        response = self._response(cards)
        if self._settings.explain or call.profile.explain or call.explain:
            nodes = explain(self._knowledge, evaluation.facts, evaluation.decisions)
            tell(nodes, snoozed)
            response["extension"]["cds-service.explain"] = nodes
        return response

    def _missing_data(self, judged: _Judged, *, is_certain: bool) -> list[dict[str, Any]]:
        """The card that names the lists for want of which rules are undecided or fire provisionally, if there are any.

        Args:
            is_certain: there are cards in hand, which a 412 would withhold.
        Raises:
            Unprocessable: there are none, and the client wants 412 for missing data.
        """
        outcome = judged.call.outcome
        if not outcome.undecided and not judged.evaluation.is_provisional:
            return []
        parts = missing_parts(judged.evaluation.facts.record, judged.needs, judged.obtained)
        outcome.unread = parts.lists
        if not is_certain and parts.unread and judged.call.profile.on_missing_data == "412":
            raise Unprocessable(
                f"Data that the rules need could not be had: {'; '.join(parts.reasons)}. "
                "Send these keys as prefetch, or let them be fetched.",
                expression=f"prefetch.{parts.unread[0]}",
            )
        return [incomplete_card(self._knowledge, parts.lists, judged.capabilities, _new_id)]

    def _response(self, cards: list[dict[str, Any]]) -> dict[str, Any]:
        return {"cards": cards, "extension": {"cds-service.knowledge": {"version": self._knowledge.version}}}


def _catalogue(settings: Settings) -> str | None:
    """Where people find the pages of the rules; from within a real patient's record only https is to be opened."""
    url = settings.public_url
    return f"{url}/rules" if url and (url.startswith("https://") or settings.sandbox) else None


def _tell(observer: CallObserver, name: str, found: Fetched) -> None:
    observer.fetched(name, found.began, found.seconds, found.outcome)


def terminology_server(
    knowledge: KnowledgeBase, settings: Settings, egress_factory: EgressFactory, before: TerminologyServer | None = None
) -> TerminologyServer | None:
    """The server to ask for unknown codes, if the settings name one.

    Args:
        before: whose answers are still good, where the site's mapping has not changed.
    Raises:
        SettingsError: without value sets that the site has mapped there is nothing to ask.
    """
    if settings.terminology is None:
        return None
    if not knowledge.canonicals:
        raise SettingsError(
            "CDS_TERMINOLOGY: no value set is mapped, so nothing could be asked. Name the server's value sets under"
            " `terminology` in the overlay that CDS_SITE names."
        )
    way = egress_factory.to(settings.fhir_allow)
    return TerminologyServer(settings.terminology, knowledge.canonicals, knowledge.terminology, way, before=before)


def _launch(settings: Settings) -> str | None:
    """Where an EHR launches the page."""
    return f"{settings.public_url}/smart/launch" if settings.public_url else None


def _draft_context(request: HookRequest, call: CallContext) -> DraftContext:
    return DraftContext(
        patient=f"Patient/{request.patient_id}",
        authored=call.now.isoformat(timespec="seconds"),
        reason="",
        encounter=f"Encounter/{request.encounter_id}" if request.encounter_id else None,
        author=request.user_id if "/" in request.user_id else None,
    )


def _new_id() -> str:
    """A random UUID (RFC 4122, version 4), in half the time that the standard library takes."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
