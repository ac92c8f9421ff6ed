"""Catalogue orders to the suggestions of a card: only what is not already done, pending, or unsafe for this patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from cds_service.artifacts.schema import PENDING_LIMITS, LabOrder, Medicine, Order, SuggestionUse
from cds_service.artifacts.text import Text
from cds_service.artifacts.vocabulary import Condition
from cds_service.facts.fact import FactTable
from cds_service.facts.observations import Window, usable
from cds_service.fhir.reference import leads_somewhere
from cds_service.fhir.write.draft_changes import clear_dose, put_on_hold, replace_product
from cds_service.fhir.write.orders import Draft, DraftContext, medication_request, service_request, stop_task
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.hooks.cards.texts import clean
from cds_service.languages import LANGUAGES, Language
from cds_service.record import MedicationUse
from cds_service.rules.conditions import Test
from cds_service.texts import Texts

NewId = Callable[[], str]
_texts = Texts("cards")


class _Ready(NamedTuple):
    """What creates a draft, in one language: the description of the action, and the draft to be filled in."""

    description: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry of the catalogue as a card uses it, with its conditions compiled."""

    key: str
    order: Order
    of: str | None
    when: Test | None
    recommended: bool | Test
    withheld: Test | None
    reaction: Test | None
    test: dict[str, _Ready]
    medicines: tuple[tuple[Test | None, dict[str, _Ready]], ...]
    fresh: Window


def make_offer(use: SuggestionUse, order: Order, compiled: Callable[[Condition], Test]) -> Offer:
    """Compiles what a rule says of an order."""
    return Offer(
        key=use.order,
        order=order,
        of=use.of,
        when=compiled(use.when) if use.when else None,
        recommended=use.recommended if isinstance(use.recommended, bool) else compiled(use.recommended),
        withheld=compiled(order.withheld_when) if order.withheld_when else None,
        reaction=compiled(order.reaction_recorded) if order.reaction_recorded else None,
        test={language: _test(order.label, order.test, language) for language in LANGUAGES} if order.test else {},
        medicines=tuple(
            (
                compiled(choice.when) if choice.when else None,
                {language: _medicine(order.label, choice.medicine, language) for language in LANGUAGES},
            )
            for choice in order.medicine or ()
        ),
        fresh=Window(order.test.fresh_within if order.test else None),
    )


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggestion before it is written.

    Attributes:
        key: the order and, for products, which one.
        rivals: suggestions of one card with the same word exclude each other: two regimens of a medicine, or two ways
            of dealing with one product; "" for a test, which can always be taken.
    """

    key: tuple[str, str]
    label: str
    rivals: str
    recommended: bool
    action: dict[str, Any]

    def message(self, new_id: NewId, capabilities: ClientCapabilities) -> dict[str, Any]:
        """CDS Hooks 2.0, Suggestion: one action each, with a description that stands for itself."""
        message: dict[str, Any] = {"label": self.label, "uuid": new_id(), "actions": [capabilities.action(self.action)]}
        if self.recommended:
            message["isRecommended"] = True
        return message


def suggest(offer: Offer, table: FactTable, draft_context: DraftContext, language: Language) -> Iterator[Suggestion]:
    """The suggestions that an offer comes to for this patient; none if it is withheld, done or pending.

    An unknown condition offers tests and removals, never a medicine: a draft medicine needs a positive yes.
    """
    order = offer.order
    if offer.when is not None and offer.when(table) is not True:
        return
    # Withheld unless it is known that nothing speaks against it.
    if offer.withheld is not None and offer.withheld(table) is not False:
        return
    reaction = offer.reaction(table) if offer.reaction is not None else False
    if reaction is True:
        return
    unchecked = "" if reaction is False else LANGUAGES[language].stop + _texts.get("allergies_unchecked", language)
    label = order.label.in_language(language)
    recommended = offer.recommended if isinstance(offer.recommended, bool) else offer.recommended(table) is True
    if order.test is not None:
        if not _fresh(order.test, offer.fresh, table) and (order.test.due_in or not _pending(order.test, table)):
            action = _created(offer.test[language], draft_context)
            if order.test.due_in:
                due = table.today + timedelta(days=table.limits[order.test.due_in])
                action["resource"]["occurrenceDateTime"] = due.isoformat()
            yield Suggestion((offer.key, ""), label, "", recommended, action)
    elif order.medicine is not None:
        for applies, medicine in offer.medicines:
            if applies is None or applies(table) is True:
                action = _created(medicine[language], draft_context, unchecked)
                yield Suggestion((offer.key, ""), label, "a regimen", recommended, action)
                return
    else:
        yield from _about_products(offer, table, draft_context, language, label, recommended, unchecked)


def _about_products(
    offer: Offer,
    table: FactTable,
    draft_context: DraftContext,
    language: Language,
    label: str,
    recommended: bool,
    unchecked: str,
) -> Iterator[Suggestion]:
    """One suggestion for each product that the named fact has found."""
    for item in table[offer.of or ""].evidence:
        if not isinstance(item, MedicationUse) or not item.reference:
            continue
        name = _named(label, item, language)
        description = _dosed(name, item, language) + unchecked
        if offer.order.stop:
            # A resource is data, not Markdown: the product is called in it what the record calls it.
            action = _create(description, stop_task(item.reference, item.product, label, draft_context))
        elif offer.order.remove:
            if not leads_somewhere(item.reference):
                continue
            # CDS Hooks 2.0, Action: a delete names the resource in resourceId.
            action = {"type": "delete", "description": description, "resourceId": item.reference}
        else:
            resource = _redrafted(offer.order, item, table, language)
            if resource is None:
                continue
            # CDS Hooks 2.0, Action: an update carries the whole resource.
            action = {"type": "update", "description": description, "resource": resource}
        yield Suggestion((offer.key, item.reference), name, item.reference, recommended, action)


def _named(label: str, use: MedicationUse, language: Language) -> str:
    product = clean(use.product)
    return f"{label}{LANGUAGES[language].colon}{product}" if product else label


def _dosed(name: str, use: MedicationUse, language: Language) -> str:
    """Epic shows of an action its description only, so it tells the dose, too."""
    dose = clean(use.reported_dose)
    return f"{name}{LANGUAGES[language].semicolon}{dose}" if dose else name


def _redrafted(order: Order, use: MedicationUse, table: FactTable, language: Language) -> dict[str, Any] | None:
    """The draft of a product with the change that an order makes; None if the client could not tell which it is."""
    written = next((draft.written for draft in table.record.orders or () if draft.use == use), b"")
    if not written:
        return None
    if order.hold:
        return put_on_hold(written)
    if order.correct_unit:
        # Menatetrenone is dosed in milligrams, all other vitamin K2 in micrograms.
        return clear_dose(written, "mg" if "menatetrenone" in use.concepts else "ug", language)
    return replace_product(written, order.replace, language) if order.replace else None


def _create(description: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"type": "create", "description": description, "resource": resource}


def _created(ready: _Ready, draft_context: DraftContext, remark: str = "") -> dict[str, Any]:
    return _create(ready.description + remark, ready.draft(draft_context))


def _test(label: Text, test: LabOrder, language: Language) -> _Ready:
    words = (label, test.note) if test.note else (label,)
    description = LANGUAGES[language].stop.join(text.in_language(language) for text in words)
    return _Ready(description, service_request(test, language))


def _medicine(label: Text, medicine: Medicine, language: Language) -> _Ready:
    # The product, dose, route and frequency: Epic shows of an action its description only.
    steps = LANGUAGES[language].semicolon.join(
        text.in_language(language) for text in (medicine.text, *(step.text for step in medicine.schedule))
    )
    return _Ready(
        f"{label.in_language(language)}{LANGUAGES[language].colon}{steps}", medication_request(medicine, language)
    )


def _fresh(test: LabOrder, window: Window, table: FactTable) -> bool:
    if test.fresh_within is None:
        return False
    return any(next(usable(table, concept, window), None) for concept in (test.observation, *test.also_fresh))


def _pending(test: LabOrder, table: FactTable) -> bool:
    return any(test.observation in order.tests for order in table.record.orders or ()) or any(
        test.observation in pending.concepts
        and pending.since is not None
        and (table.today - pending.since).days <= table.limits[PENDING_LIMITS[pending.kind]]
        for pending in table.record.pending
    )
