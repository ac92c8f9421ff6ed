"""What cards say and never say, in both languages, and that text of a record is shown as it is, never as markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cds_service.artifacts.schema import Line, Rule
from cds_service.artifacts.walk import lines_of
from cds_service.artifacts.worked_patients import WorkedPatient
from tests.support.worked_service import BESIDE, WORKED, WorkedService, noon, rule_id, service

__all__ = ["service"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
in_both_languages = pytest.mark.parametrize("language", LANGUAGES)

_RESTRICTION = re.compile(r"\b(avoid|limit|restrict)\w*", re.IGNORECASE)
_PERMITTED = re.compile(r"no need to avoid", re.IGNORECASE)
_NEAR = 60


def texts(service: WorkedService, language: Language) -> Iterator[tuple[str, str]]:
    """Every text that a card, a suggestion or a form may show, with the place it stands."""
    knowledge = service.knowledge
    for rule in knowledge.rules.values():
        named = [rule.title, rule.why, rule.known_wrong]
        if rule.card:
            named += [rule.card.summary, *(variant.summary for variant in rule.variants if variant.summary)]
        for text in (*named, *lines_of(rule)):
            yield rule.id, text.in_language(language)
    for key, order in knowledge.orders.items():
        yield key, order.label.in_language(language)
        for step in (step for choice in order.medicine or () for step in choice.medicine.schedule):
            yield key, step.text.in_language(language)
        if order.test:
            yield key, order.test.text.in_language(language)
            yield key, order.test.note.in_language(language) if order.test.note else ""
    for name, reason in knowledge.override_reasons.items():
        yield name, reason.text.in_language(language)
    for name, fact in knowledge.facts.items():
        yield name, fact.label.in_language(language)
    for name, threshold in knowledge.thresholds.items():
        yield name, threshold.label.in_language(language)


def lines(service: WorkedService) -> Iterator[tuple[Rule, Line]]:
    for rule in service.knowledge.rules.values():
        for line in lines_of(rule):
            yield rule, line


def test_no_text_tells_anybody_to_eat_fewer_vegetables(service: WorkedService) -> None:
    for place, text in texts(service, "en"):
        told = _PERMITTED.sub("", text).lower()
        for vegetable in re.finditer("vegetable|greens|salad", told):
            around = told[max(0, vegetable.start() - _NEAR) : vegetable.end() + _NEAR]
            assert not _RESTRICTION.search(around), f"{place}: {text}"


def test_no_chinese_text_tells_anybody_to_eat_fewer_vegetables(service: WorkedService) -> None:
    for place, text in texts(service, "zh"):
        told = text.replace("无需忌食", "")
        assert not re.search("(限制|避免|少吃|少食|忌食|禁食).{0,6}(蔬菜|绿叶)", told), f"{place}: {text}"


@pytest.mark.parametrize(
    "claim",
    [
        *("prevents? fractures?", "no side effects?", "预防骨折", "防止骨折", "无副作用", "没有副作用"),
        # A B12 is never counted in micromoles; the sign that one was is a damaged source.
        r"(B12|cobalamin)[^.;。；]{0,25}[µμu]mol/L",
    ],
)
@in_both_languages
def test_no_text_makes_a_claim_that_no_source_bears(service: WorkedService, language: Language, claim: str) -> None:
    for place, text in texts(service, language):
        assert not re.search(claim, text, re.IGNORECASE), f"{place}: {text}"


def test_a_line_without_a_source_states_no_number_but_limits_that_have_their_own(service: WorkedService) -> None:
    for rule, line in lines(service):
        if not line.cites:
            for language in LANGUAGES:
                literal = re.sub(r"\{[^{}]*\}|B12|K[1-4]", "", line.in_language(language))
                assert not re.search(r"\d", literal), f"{rule.id}: {literal}"


def test_that_vegetables_need_not_be_avoided_is_cited_from_who_says_so(service: WorkedService) -> None:
    told = {
        rule.id: line.cites
        for rule, line in lines(service)
        if "vegetables" in line.en or "蔬菜" in line.in_language("zh")
    }
    assert {"vka-vitk-started", "vka-started-on-vitk", "vka-vitk-concurrent"} <= told.keys()
    for rule_name, cites in told.items():
        assert {"G24", "G25"} <= set(cites) <= {"G23", "G24", "G25"}, rule_name


@pytest.mark.parametrize("limit", ["inr_after_change", "inr_after_swing_from", "inr_repeat"])
def test_when_to_check_the_inr_again_is_an_addition_and_a_convention(service: WorkedService, limit: str) -> None:
    note = service.knowledge.thresholds[limit].note
    assert note is not None
    assert "convention" in note.en
    printed = [line for _, line in lines(service) if limit in line.placeholders]
    assert printed
    for line in printed:
        assert line.cites
        assert all(service.knowledge.source_of(cite).kind == "addition" for cite in line.cites)


@in_both_languages
def test_a_web_text_without_references_is_called_that_on_cards(service: WorkedService, language: Language) -> None:
    named = {"en": "Unreferenced web article on B12, 2025", "zh": "维生素B12网络文章（无参考文献），2025"}
    low = next(worked for worked in WORKED if "b12-low" in worked.expect)
    assert named[language] in service.ask(low, language=language).by_rule["b12-low"]["source"]["label"]


@in_both_languages
def test_a_card_names_the_sources_of_what_it_says_once(service: WorkedService, language: Language) -> None:
    shown = rendered(service, language)
    for worked in WORKED:
        for name, card in service.ask(worked, language=language).by_rule.items():
            lines = [line for rule, line, said in shown if rule.id == name and said in card["detail"]]
            sources = {
                service.knowledge.source_of(cite).short.in_language(language) for one in lines for cite in one.cites
            }
            assert all(card["detail"].count(source) == 1 for source in sources), card["detail"]


@in_both_languages
def test_every_line_of_a_rule_with_patients_is_shown_to_one_of_them(service: WorkedService, language: Language) -> None:
    shown = {id(line) for _, line, _ in rendered(service, language)}
    for rule in (service.knowledge.rules[name] for name in BESIDE):
        for line in lines_of(rule):
            assert id(line) in shown, f"{rule.id}: {line.en}"


@cache
def rendered(service: WorkedService, language: Language) -> list[tuple[Rule, Line, str]]:
    """What the cards of all worked patients say, piece by piece, each with the line of the rule that it came from."""
    found = {}
    for worked in WORKED:
        for rule_name, card in service.ask(worked, language=language).by_rule.items():
            rule = service.knowledge.rules[rule_name]
            for paragraph in card["detail"].split("\n\n"):
                for line in lines_of(rule):
                    if said := _pattern(line.in_language(language)).search(paragraph):
                        found[id(line), said[0][-40:]] = (rule, line, said[0])
    return list(found.values())


@cache
def _pattern(template: str) -> re.Pattern[str]:
    literals = re.split(r"\{[^{}]*\}", template)
    return re.compile(".*?".join(map(re.escape, literals)), re.DOTALL)


# --- Text of a record

# GitHub Flavored Markdown with HTML let through: the most that a client may do with a card's detail.
_MARKDOWN = MarkdownIt("gfm-like", {"html": True})

HOSTILE = [
    "<img src=x onerror=1>",
    "<script>alert(1)</script>",
    "</p><b>bold</b>",
    "<!-- hidden",
    "&lt;img src=x&gt; &#60;b&#62;",
    "[x](javascript:1)",
    "![x](http://example.test/x.png)",
    "<http://example.test/>",
    "http://example.test/a www.example.test ftp://example.test //example.test mail@example.test",
    "mailto:mail@example.test xmpp:mail@example.test/a WWW.EXAMPLE.COM example.com example.de http:\\//example.com",
    "**bold** __bold__ *it* _it_ ~~struck~~",
    "`code` ``` fence",
    "\\*escaped\\* \\<b>",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "one\n\n# heading\n\n- item\n\n> quote\n\n---\n\n    code",
    "one\r\n\r\n1. item\u2028two\u2029three\x0bfour\x85five",
    "[ref]: http://example.test\n[ref]",
    "$x^2$ :smile: [^1] - [ ] task",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200bzero\ufeff \x00\x1b[31mred",
    "x" * 10_000,
    "[" * 5_000,
    "<b" * 3_000,
]


def structure(markdown: str) -> list[str]:
    """Kinds of the elements that a text renders to, leaving out plain text."""
    return [token.type for token in _flat(_MARKDOWN.parse(markdown)) if token.type not in ("text", "text_special")]


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


def b12_card(service: WorkedService, language: Language, **said: str) -> dict[str, Any]:
    """A card that shows a problem, a medicine, its dose, and a result with unit, flag and range of the laboratory."""
    worked = WorkedPatient.model_validate(
        {
            "id": "hostile",
            "name": {"en": "A record may hold any text.", "zh": "病历可含任何文字。"},
            "patient": {"age": 60, "sex": "female"},
            "labs": [["serum-vitamin-b12", 150, "pg/mL", "-10d"]],
            "conditions": ["neurological-signs@-1y"],
            "medications": [
                {"drug": "metformin", "daily": "2000 mg", "start": "-1y"},
                {"drug": "folic-acid", "daily": "5 mg", "start": "-1y"},
            ],
            "hook": "patient-view",
            "expect": {},
        }
    )
    resources = service.resources(worked)
    (result,) = resources.by_type["Observation"]
    result["valueQuantity"]["unit"] = said.get("unit", "pg/mL")
    result["referenceRange"] = [{"text": said.get("range", "200 to 900")}]
    result["interpretation"] = [{"coding": [{"code": said.get("flag", "L")}]}]
    (problem,) = resources.by_type["Condition"]
    problem["code"]["text"] = said.get("problem", "Neuropathy")
    for medicine in resources.by_type["MedicationRequest"]:
        medicine["medicationCodeableConcept"]["text"] = said.get("medicine", "Tablet")
        medicine["dosageInstruction"][0]["text"] = said.get("dose", "one a day")
    request = service.request(worked, resources)
    (card,) = service.ask_with(worked, request, noon(worked), language=language).cards
    assert rule_id(card) == "b12-low"
    return card


def vitamin_k_card(service: WorkedService, language: Language, product: str) -> dict[str, Any]:
    """A card with a suggestion that names the product."""
    worked = WorkedPatient.model_validate(
        {
            "id": "hostile",
            "name": {"en": "A record may hold any text.", "zh": "病历可含任何文字。"},
            "patient": {"age": 70, "sex": "male"},
            "medications": [
                {"drug": "vitamin-k-antagonist", "daily": "3 mg", "start": "-1y"},
                {"drug": "menatetrenone", "daily": "45 mg", "start": "-10d"},
            ],
            "hook": "patient-view",
            "expect": {},
        }
    )
    resources = service.resources(worked)
    for kind in ("MedicationRequest", "MedicationStatement"):
        for medicine in resources.by_type[kind]:
            medicine["medicationCodeableConcept"]["text"] = product
    (card,) = service.ask_with(worked, service.request(worked, resources), noon(worked), language=language).cards
    assert rule_id(card) == "vka-menatetrenone"
    return card


@pytest.mark.row("CRD-04", "TOY-22")
@pytest.mark.parametrize("member", ["unit", "range", "flag", "problem", "medicine", "dose"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@in_both_languages
def test_text_of_a_record_never_becomes_markup(
    service: WorkedService, language: Language, text: str, member: str
) -> None:
    plain = b12_card(service, language)["detail"]
    detail = b12_card(service, language, **{member: text})["detail"]
    assert structure(detail) == structure(plain)
    assert not [kind for kind in structure(detail) if kind.startswith(("html", "link", "image", "table", "code"))]
    assert len(detail) < len(plain) + 2_500


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@in_both_languages
def test_a_product_name_never_becomes_markup_or_several_lines(
    service: WorkedService, language: Language, text: str
) -> None:
    card, plain = vitamin_k_card(service, language, text), vitamin_k_card(service, language, "Capsule")
    assert structure(card["detail"]) == structure(plain["detail"])
    for suggestion, twin in zip(card["suggestions"], plain["suggestions"], strict=True):
        for shown in (suggestion["label"], suggestion["actions"][0]["description"]):
            assert len(shown) < 300
            assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
        assert suggestion.keys() == twin.keys()


def test_what_a_record_says_is_still_readable(service: WorkedService) -> None:
    """Neutral is not the same as gone: after rendering, the words stand there as they were written."""
    detail = b12_card(service, "en", problem="Neuropathy <2 years *severe* [left]")["detail"]
    shown = "".join(token.content for token in _flat(_MARKDOWN.parse(detail)) if token.type.startswith("text"))
    assert "Neuropathy <2 years *severe* [left]" in shown
