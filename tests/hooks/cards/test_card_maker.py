"""Cards: in which order, how many, in whose words, and with which suggestions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from pydantic import ValidationError

from cds_service.artifacts.schema import Rule
from cds_service.coding import RXNORM
from cds_service.evaluate import Evaluator
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.call import _new_id
from cds_service.hooks.cards.card_maker import CardContext, CardMaker
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.hooks.response_models import HookResponse
from cds_service.record import PatientRecord
from tests.support.fhir_parts import is_uuid
from tests.support.kb import NOW, draft, knowledge, knowledge_with, lab, med, problem, record, rule

Card = dict[str, Any]
ALWAYS = {"fact": "patient_is_alive", "is": True}
SETTING = DraftContext("Patient/p1", "2026-11-20T12:00:00+00:00", "", "Encounter/e1", "Practitioner/7")
TESTS: list[dict[str, Any]] = [{"order": "order-mma"}, {"order": "order-hcy"}]
MEDICINES: list[dict[str, Any]] = [
    {"order": "b12-im-regimen", "recommended": True},
    {"order": "b12-oral-1000", "recommended": True},
    {"order": "order-mma"},
]


def cards(
    *rules: Rule,
    patient: PatientRecord | None = None,
    new_id: Callable[[], str] | None = None,
    valid: bool = True,
    **capabilities: Any,
) -> list[Card]:
    """The cards of these rules, checked against the model of replies unless a client wants something else."""
    base = knowledge_with(*rules)
    evaluation = Evaluator(base).evaluate(patient or record(), NOW, [r.id for r in rules])
    numbers = count()
    made = (
        CardMaker(base)
        .cards(
            evaluation.firing,
            CardContext(
                evaluation.facts,
                SETTING,
                ClientCapabilities(**capabilities),
                new_id or (lambda: f"id-{next(numbers)}"),
            ),
        )
        .cards
    )
    if valid:
        HookResponse.model_validate({"cards": made})
    return made


def ids(made: list[Card]) -> list[str]:
    return [card["extension"]["cds-service.rule"]["id"] for card in made]


def one(name: str = "one", *, indicator: str = "warning", priority: int = 1, offers: Any = (), **more: Any) -> Rule:
    changed = {"indicator": indicator, "suggestions": list(offers)} | more.pop("card", {})
    return rule(name, more.pop("when", ALWAYS), priority=priority, card=changed, **more)


def labels(card: Card) -> list[str]:
    return [suggestion["actions"][0]["description"].partition(":")[0] for suggestion in card.get("suggestions", ())]


def empty(value: Any) -> bool:
    """Whether anything in a reply is null or empty."""
    if isinstance(value, dict):
        return not value or any(empty(inner) for inner in value.values())
    return value is None or value == "" or (isinstance(value, list | tuple) and (not value or any(map(empty, value))))


# --- source and links --------------------------------------------------------------------------------------------


def published(of: Rule, **capabilities: Any) -> Card:
    """The card of a rule, made by a service that has pages."""
    base = knowledge_with(of)
    evaluation = Evaluator(base).evaluate(record(), NOW, [of.id])
    numbers = count()
    (made,) = (
        CardMaker(base, "https://cds.example/b12/rules")
        .cards(
            evaluation.firing,
            CardContext(evaluation.facts, SETTING, ClientCapabilities(**capabilities), lambda: f"id-{next(numbers)}"),
        )
        .cards
    )
    HookResponse.model_validate({"cards": [made]})
    return made


@pytest.mark.parametrize(("language", "label"), [("en", "About this rule"), ("zh", "关于此规则")])
def test_a_card_links_to_the_page_of_its_rule(language: str, label: str) -> None:
    url = "https://cds.example/b12/rules/one"
    assert published(one(), language=language)["links"] == [{"label": label, "url": url, "type": "absolute"}]


@pytest.mark.row("SRC-02")
def test_the_address_of_the_source_is_that_of_the_document_that_comes_first() -> None:
    nice = knowledge().sources["G01"].url
    assert nice == "https://www.nice.org.uk/guidance/ng239"
    assert cards(one(source=["G01", "S4-01"]))[0]["source"]["url"] == nice
    assert published(one(source=["G01"]))["source"]["url"] == nice


def test_a_source_without_an_address_has_no_url() -> None:
    assert knowledge().sources["S0"].url is None
    assert "url" not in published(one(source=["S0-25"]))["source"]


def test_every_address_of_a_source_can_be_shown_from_within_a_record() -> None:
    urls = [source.url for source in knowledge().sources.values() if source.url is not None]
    assert urls
    assert [url for url in urls if not url.startswith("https://")] == []


@pytest.mark.row("SRC-03")
def test_the_icon_is_served_beside_the_pages() -> None:
    assert published(one())["source"]["icon"] == "https://cds.example/b12/rules/icon.png"


def test_a_card_has_neither_link_nor_icon_where_the_pages_have_no_address() -> None:
    (card,) = cards(one())
    assert "links" not in card
    assert "icon" not in card["source"]


def test_a_card_that_may_have_no_links_loses_nothing_else() -> None:
    with_links, without = published(one(offers=TESTS)), published(one(offers=TESTS), links=False)
    assert {name: value for name, value in with_links.items() if name != "links"} == without
    assert without["extension"]["cds-service.rule"]["id"] == "one"


# --- order and number --------------------------------------------------------------------------------------------


def test_critical_cards_come_first_then_warnings_then_by_priority() -> None:
    rules = (
        one("info-1", indicator="info", priority=1),
        one("warning-5", priority=5),
        one("critical-9", indicator="critical", priority=9),
        one("warning-2", priority=2),
    )
    assert ids(cards(*rules)) == ["critical-9", "warning-2", "warning-5", "info-1"]


def test_a_variant_decides_the_rank_of_its_card() -> None:
    variant = {"id": "urgent", "when": ALWAYS, "indicator": "critical"}
    rules = (one("first", priority=1), one("second", indicator="info", priority=2, variants=[variant]))
    made = cards(*rules)
    assert ids(made) == ["second", "first"]
    assert made[0]["extension"]["cds-service.rule"]["variant"] == "urgent"


def infos(number: int, start: int = 10) -> tuple[Rule, ...]:
    return tuple(one(f"info-{n}", indicator="info", priority=start + n) for n in range(number))


def test_a_chart_that_opens_shows_three_cards_at_most() -> None:
    assert ids(cards(one("warning"), *infos(4), chart=True)) == ["warning", "info-0", "info-1"]


def test_a_chart_that_opens_keeps_every_warning_and_drops_the_info_cards() -> None:
    warnings = tuple(one(f"warning-{n}", priority=n + 1) for n in range(4))
    assert ids(cards(*infos(2), *warnings, chart=True)) == [f"warning-{n}" for n in range(4)]


def test_an_order_shows_as_many_cards_as_there_are() -> None:
    assert len(cards(one("warning"), *infos(4))) == 5


def test_palliative_care_hides_info_cards_and_nothing_else() -> None:
    dying = record(problems=(problem("palliative-care"),))
    rules = (one("critical", indicator="critical"), one("warning"), one("info", indicator="info"))
    assert ids(cards(*rules, patient=dying)) == ["critical", "warning"]


def test_info_cards_are_shown_if_nobody_could_read_about_palliative_care() -> None:
    assert ids(cards(one("info", indicator="info"), patient=record(unread=["conditions"]))) == ["info"]


# --- what stands on a card ---------------------------------------------------------------------------------------


@pytest.mark.row("CRD-06", "SRC-01")
def test_a_card_names_rule_version_knowledge_statements_and_source() -> None:
    card = cards(one())[0]
    assert card["extension"]["cds-service.rule"] == {
        "id": "one",
        "version": "1.0.0",
        "knowledge": knowledge().version,
        "statements": ["S0-25"],
    }
    assert card["source"]["topic"] == {"system": "urn:cds-service:rule", "code": "one", "display": "Card of one."}
    source = knowledge().sources["S0"]
    assert source.short.en in card["source"]["label"]
    assert f"evidence tier {source.tier}" in card["source"]["label"]
    assert card["detail"].endswith(f"*Sources: {source.short.en}.*")


@pytest.mark.row("E-17")
def test_a_client_may_want_a_topic_of_letters_and_digits() -> None:
    card = cards(one("some-rule-2"), alphanumeric_topic=True)[0]
    assert card["source"]["topic"]["code"] == "somerule2"


def test_the_reasons_of_the_rule_come_before_those_of_the_topic() -> None:
    card = cards(one(card={"override_reasons": ["treated-elsewhere"]}))[0]
    topic = knowledge().topics["vitamin-b12"].override_reasons
    assert [reason["code"] for reason in card["overrideReasons"]] == ["treated-elsewhere", *topic]
    assert {reason["system"] for reason in card["overrideReasons"]} == {"urn:cds-service:override-reason"}


def test_a_line_is_printed_only_if_its_condition_surely_holds() -> None:
    lines = [
        {"part": "found", "en": f"Line {word}.", "zh": f"行{word}。", "when": {"fact": "age", "known": wanted}}
        for word, wanted in (("known", True), ("unknown", False))
    ] + [{"part": "found", "en": "Line unread.", "zh": "行未读。", "when": {"fact": "takes_vka", "is": True}}]
    detail = cards(one(card={"detail": lines}), patient=record(unread=["medication-requests"]))[0]["detail"]
    assert detail == "**Found**: Line known."


def test_a_line_prints_facts_and_limits_and_cites_its_documents() -> None:
    line = {
        "part": "found",
        "en": "B12 {latest_serum_b12}; limit {b12_low}.",
        "zh": "B12 {latest_serum_b12}；界值{b12_low}。",
        "cites": ["S0-25", "G01"],
    }
    patient = record(labs=[lab("serum-vitamin-b12", 150, 10, reported="150 pg/mL")])
    detail = cards(one(card={"detail": [line]}), patient=patient)[0]["detail"]
    shorts = [knowledge().sources[source].short.en for source in ("S0", "G01")]
    said = "**Found**: B12 150 pg/mL on 10 Nov 2026; limit 200 pg/mL."
    assert detail == f"{said}\n\n*Sources: {'; '.join(shorts)}.*"


def test_the_parts_of_a_detail_are_paragraphs_and_name_each_source_once() -> None:
    lines = [
        {"part": part, "en": f"{part} {number}.", "zh": f"{part}{number}。", "cites": ["S0-25"]}
        for part in ("found", "do", "mind")
        for number in (1, 2)
    ]
    source = knowledge().sources["S0"].short
    assert cards(one(card={"detail": lines}))[0]["detail"].split("\n\n") == [
        "**Found**: found 1. found 2.",
        "**Do first**: do 1. do 2.",
        "**Mind**: mind 1. mind 2.",
        f"*Sources: {source.en}.*",
    ]
    assert cards(one(card={"detail": lines}), language="zh")[0]["detail"].split("\n\n") == [
        "**所见**：found1。found2。",
        "**先做**：do1。do2。",
        "**留意**：mind1。mind2。",
        f"*来源：{source.in_language('zh')}。*",
    ]


def test_lines_out_of_the_order_of_reading_are_refused() -> None:
    lines = [{"part": part, "en": "A.", "zh": "一。"} for part in ("mind", "found")]
    with pytest.raises(ValidationError, match="found, do, mind"):
        rule("one", ALWAYS, card={"detail": lines})


def test_a_variant_replaces_the_parts_that_it_has_lines_for() -> None:
    lines = [{"part": part, "en": f"Card {part}.", "zh": "甲。"} for part in ("found", "do", "mind")]
    own = [{"part": "do", "en": "Variant do.", "zh": "乙。"}]
    variant = {"id": "v", "when": ALWAYS, "detail": own}
    detail = cards(one(card={"detail": lines}, variants=[variant]))[0]["detail"]
    assert detail.split("\n\n") == ["**Found**: Card found.", "**Do first**: Variant do.", "**Mind**: Card mind."]


def test_a_line_that_no_seed_document_bears_is_marked_as_an_addition() -> None:
    line = {"part": "mind", "en": "A line.", "zh": "一行。", "cites": ["G01"]}
    mixed = line | {"cites": ["S0-25", "G01"]}
    for language, word in (("en", "A line. *(addition)*"), ("zh", "一行。 *(补充)*")):
        assert word in cards(one(card={"detail": [line]}), language=language)[0]["detail"]
        assert "*(" not in cards(one(card={"detail": [mixed]}), language=language)[0]["detail"]


def test_a_variant_replaces_what_it_names_and_keeps_the_rest() -> None:
    text = {"en": "Other.", "zh": "其他。"}
    variant = {"id": "v", "when": ALWAYS, "summary": text}
    card = cards(one(offers=TESTS, variants=[variant]))[0]
    assert (card["summary"], card["indicator"], len(card["suggestions"])) == ("Other.", "warning", 2)


def test_a_variant_may_offer_nothing() -> None:
    variant = {"id": "v", "when": ALWAYS, "suggestions": []}
    card = cards(one(offers=TESTS, variants=[variant]))[0]
    assert "suggestions" not in card
    assert "selectionBehavior" not in card


@pytest.mark.row("TOY-13")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_member_of_a_card_is_null_or_empty(language: str) -> None:
    made = cards(one("bare"), one("full", offers=[*MEDICINES, *TESTS]), language=language)
    assert not any(map(empty, made))


def test_ids_are_new_uuids_on_every_card_and_suggestion() -> None:
    made = cards(one("a", offers=TESTS), one("b", priority=2), new_id=_new_id)
    found = [card["uuid"] for card in made] + [s["uuid"] for card in made for s in card.get("suggestions", ())]
    assert len(found) == len(set(found)) == 4
    assert all(map(is_uuid, found))


# --- suggestions on a card ---------------------------------------------------------------------------------------


def test_only_rivals_exclude_each_other() -> None:
    assert cards(one(offers=TESTS))[0]["selectionBehavior"] == "any"
    assert cards(one(offers=MEDICINES[:2]))[0]["selectionBehavior"] == "at-most-one"
    assert cards(one(offers=MEDICINES))[0]["selectionBehavior"] == "any"


@pytest.mark.parametrize(("language", "instead"), [("en", "Instead: "), ("zh", "或改用：")])
def test_beside_tests_a_rival_comes_last_and_says_instead_of_what_is_recommended(language: str, instead: str) -> None:
    offers = [{**MEDICINES[0], "recommended": False}, {**MEDICINES[1], "recommended": True}, *TESTS]
    given = cards(one(offers=offers), language=language)[0]["suggestions"]
    labels = [knowledge().orders[offer["order"]].label.in_language(language) for offer in offers]
    assert [one["label"] for one in given] == [labels[1], *labels[2:], instead + labels[0]]
    assert [one.get("isRecommended", False) for one in given] == [True] + [False] * (len(given) - 1)


@pytest.mark.row("CRD-09", "E-14")
def test_a_client_may_take_no_other_behaviour_than_any() -> None:
    assert cards(one(offers=MEDICINES), any_selection=True)[0]["selectionBehavior"] == "any"


@pytest.mark.row("SUG-03")
def test_of_at_most_one_only_one_is_recommended() -> None:
    made = cards(one(offers=MEDICINES))[0]["suggestions"]
    assert [s.get("isRecommended") for s in made] == [True, None, None]


def test_of_several_regimens_a_client_that_ticks_what_is_recommended_ticks_one() -> None:
    made = cards(one(offers=MEDICINES), any_selection=True)[0]["suggestions"]
    assert [s.get("isRecommended") for s in made] == [True, None, None]


def test_several_tests_can_be_recommended_at_once() -> None:
    tests = [{**offer, "recommended": True} for offer in TESTS]
    assert [s.get("isRecommended") for s in cards(one(offers=tests))[0]["suggestions"]] == [True, True]


# --- what one client takes ---------------------------------------------------------------------------------------


def created(card: Card) -> list[dict[str, Any]]:
    return [s["actions"][0]["resource"] for s in card["suggestions"] if s["actions"][0]["type"] == "create"]


def systems(value: Any) -> set[str]:
    """All code systems in a resource."""
    if isinstance(value, dict):
        own = {value["system"]} if "system" in value else set()
        return own.union(*map(systems, value.values()))
    return set().union(*map(systems, value)) if isinstance(value, list) else set()


def test_orders_name_code_systems_as_the_client_does() -> None:
    oid = "urn:oid:2.16.840.1.113883.6.88"
    plain = cards(one(offers=MEDICINES))[0]
    renamed = cards(one(offers=MEDICINES), order_systems={RXNORM: oid})[0]
    assert RXNORM in systems(created(plain))
    assert systems(created(renamed)) == systems(created(plain)) - {RXNORM} | {oid}
    assert json.loads(json.dumps(created(renamed)).replace(oid, RXNORM)) == created(plain)


def test_naming_code_systems_otherwise_for_one_client_leaves_the_next_one_alone() -> None:
    base = knowledge_with(one(offers=MEDICINES))
    evaluation = Evaluator(base).evaluate(record(), NOW, ["one"])
    maker = CardMaker(base)

    def made(capabilities: ClientCapabilities) -> Card:
        context = CardContext(evaluation.facts, SETTING, capabilities, lambda: "id")
        return maker.cards(evaluation.firing, context).cards[0]

    before = created(made(ClientCapabilities()))
    made(ClientCapabilities(order_systems={RXNORM: "urn:other"}))
    assert created(made(ClientCapabilities())) == before


REMOVAL = [{"order": "remove-vitk", "of": "drafts_vitamin_k"}]
A_DRAFT = {"fact": "drafts_vitamin_k", "is": True}


def removal(**capabilities: Any) -> dict[str, Any]:
    patient = record(orders=(draft("phytomenadione"),))
    (suggestion,) = cards(one(when=A_DRAFT, offers=REMOVAL), patient=patient, valid=False, **capabilities)[0][
        "suggestions"
    ]
    (action,) = suggestion["actions"]
    return dict(action)


def test_a_removal_names_the_draft_by_its_id() -> None:
    action = removal()
    assert action["type"] == "delete"
    assert action["resourceId"].startswith("MedicationRequest/")
    assert "resource" not in action


@pytest.mark.row("ACT-05")
def test_an_older_client_finds_the_draft_to_remove_where_it_looks() -> None:
    action = removal(delete_in_resource=True)
    assert (action["type"], action["resource"]) == ("delete", removal()["resourceId"])
    assert "resourceId" not in action


def test_what_a_card_above_offers_is_not_offered_again_but_named() -> None:
    first, second = cards(one("a", offers=TESTS), one("b", priority=2, offers=[*TESTS, {"order": "order-cbc"}]))
    label = knowledge().orders["order-mma"].label.en
    assert labels(first)[0] == label
    assert len(second["suggestions"]) == 1
    assert f"Already offered on a card above: {label}; " in second["detail"]


def test_a_card_whose_suggestions_all_stand_above_has_none() -> None:
    second = cards(one("a", offers=TESTS), one("b", priority=2, offers=TESTS))[1]
    assert not {"suggestions", "selectionBehavior"} & second.keys()


def test_of_two_products_each_is_offered_once() -> None:
    stop = [{"order": "stop-vitk", "of": "takes_vitamin_k"}]
    both = record(medications=(med("menaquinone-7"), med("phytomenadione", start=400)))
    first, second = cards(one("a", offers=stop), one("b", priority=2, offers=stop), patient=both)
    assert len(first["suggestions"]) == 2
    assert "suggestions" not in second


def test_what_a_card_above_offers_is_named_as_text_not_as_markup() -> None:
    stop = [{"order": "stop-vitk", "of": "takes_vitamin_k"}]
    odd = record(medications=(med("menaquinone-7", product="<b>K2</b> [x](//evil.example) **now**"),))
    _, second = cards(one("a", offers=stop), one("b", priority=2, offers=stop), patient=odd)
    assert "&lt;b&gt;K2" in second["detail"]
    assert not re.search(r"<b>|\[x\]\(|//|(?<!\\)\*\*now", second["detail"])


def test_only_a_critical_card_asks_for_its_drafts_promptly() -> None:
    for indicator, priority in (("critical", "urgent"), ("warning", None), ("info", None)):
        card = cards(one("a", indicator=indicator, offers=TESTS))[0]
        assert card["suggestions"][0]["actions"][0]["resource"].get("priority") == priority


def test_a_draft_says_why_and_on_which_results_it_rests() -> None:
    words = {"fact": "latest_serum_b12", "below": "b12_low"}
    patient = record(labs=[lab("serum-vitamin-b12", 150, 10)])
    card = cards(one(when=words, offers=TESTS), patient=patient)[0]
    resource = card["suggestions"][0]["actions"][0]["resource"]
    assert resource["reasonCode"] == [{"text": "Card of one."}]
    assert resource["reasonReference"] == [{"reference": "Observation/serum-vitamin-b12-10"}]


def test_a_draft_order_of_the_session_is_no_supporting_reference() -> None:
    either = {"any": [{"fact": f"{verb}_vitamin_k", "is": True} for verb in ("takes", "drafts")]}
    taken = med("menaquinone-7")
    patient = record(medications=(taken,), orders=(draft("phytomenadione"),))
    card = cards(one(when=either, offers=TESTS), patient=patient)[0]
    assert card["suggestions"][0]["actions"][0]["resource"]["supportingInfo"] == [{"reference": taken.reference}]


def test_a_result_without_an_address_is_no_supporting_reference() -> None:
    patient = record(labs=[lab("serum-vitamin-b12", 150, 10, reference="Observation")])
    card = cards(one(when={"fact": "latest_serum_b12", "below": "b12_low"}, offers=TESTS), patient=patient)[0]
    assert "reasonReference" not in card["suggestions"][0]["actions"][0]["resource"]
