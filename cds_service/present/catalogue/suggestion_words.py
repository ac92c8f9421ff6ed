"""Suggestions to plain language: what each one drafts, for whom, and when it is left out."""

from __future__ import annotations

from collections.abc import Sequence

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.schema import LabOrder, Medicine, Order, Product, SuggestionUse
from cds_service.languages import Language
from cds_service.present.catalogue.page import Item, Span, Spans
from cds_service.present.catalogue.phrases import Phrases, filled
from cds_service.present.texts import plain, say, words


def offers(
    knowledge: KnowledgeBase, phrases: Phrases, given: Sequence[SuggestionUse], language: Language
) -> tuple[Item, ...]:
    """One tree for each suggestion of a card."""
    return tuple(_offer(knowledge.orders[use.order], use, phrases, language) for use in given)


def _offer(order: Order, use: SuggestionUse, phrases: Phrases, language: Language) -> Item:
    head = [Span(order.label.in_language(language), look="strong"), Span(" "), Span(use.order, look="code")]
    if use.recommended is True:
        head += [words("comma", language), words("recommended", language)]
    children = list(_does(order, use, phrases, language))
    for key, condition in (
        ("offered_if", use.when),
        ("recommended_if", None if isinstance(use.recommended, bool) else use.recommended),
        ("withheld_if", order.withheld_when),
        ("reaction", order.reaction_recorded),
    ):
        if condition is not None:
            children.append(phrases.under((words(key, language), words("colon", language)), condition))
    if order.source:
        cites = phrases.cites(order.source)
        children.append(Item((words("sources", language), words("colon", language), *cites)))
    return Item(tuple(head), tuple(children))


def _does(order: Order, use: SuggestionUse, phrases: Phrases, language: Language) -> list[Item]:
    if order.test is not None:
        return _test(order.test, phrases, language)
    if order.medicine is not None:
        items = []
        for choice in order.medicine:
            item = _medicine(choice.medicine, phrases, language)
            if len(order.medicine) == 1:
                items.append(item)
            elif choice.when is None:
                items.append(Item((words("otherwise", language), words("colon", language)), (item,)))
            else:
                head = (words("choice_if", language), words("colon", language))
                items.append(Item(head, (phrases.tree(choice.when), item)))
        return items
    gap = "\0"
    if order.replace is not None:
        said = say("replace", language, product="\1", fact=gap)
        before, _, after = said.partition("\1")
        product = _product(order.replace, language)
        return [Item((Span(before), *product, *filled(after, _found_by(use, phrases))))]
    key = "remove" if order.remove else "hold" if order.hold else "correct_unit" if order.correct_unit else "stop_order"
    return [Item(filled(say(key, language, fact=gap), _found_by(use, phrases)))]


def _found_by(use: SuggestionUse, phrases: Phrases) -> Spans:
    return (phrases.fact_name(use.of),) if use.of else ()


def _test(test: LabOrder, phrases: Phrases, language: Language) -> list[Item]:
    codes = ", ".join(f"{coding.system} {coding.code}" for coding in test.codings)
    said = say("drafts_test", language, test=test.text.in_language(language))
    items = [Item((Span(said), Span(" "), Span(codes, look="code")))]
    if test.note:
        items.append(Item((plain(test.note, language),)))
    ordered = phrases.limit("pending_max")
    if test.fresh_within:
        left_out = words("fresh", language, window=phrases.limit(test.fresh_within), ordered=ordered)
    else:
        left_out = words("fresh_pending", language, ordered=ordered)
    return [*items, Item((left_out,))]


def _medicine(medicine: Medicine, phrases: Phrases, language: Language) -> Item:
    head = filled(say("drafts_medicine", language, product="\0"), _product(medicine, language))
    # As the order writes it: cards turn 1000 µg into 1 mg, which beside "1000 µg once daily" would puzzle.
    dose = f"{medicine.dose.value:g} {medicine.dose.unit.replace('ug', 'µg')}"
    return Item(
        head,
        (
            Item((words("dose", language, dose=dose, route=say(medicine.route, language)),)),
            *(Item((plain(step.text, language),)) for step in medicine.schedule),
        ),
    )


def _product(product: Product, language: Language) -> Spans:
    codes = ", ".join(f"{coding.system} {coding.code}" for coding in product.codings)
    name = Span(product.text.in_language(language), look="strong")
    return (name, Span(" "), Span(codes, look="code")) if codes else (name,)
