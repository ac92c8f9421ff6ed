"""Any text of a record in a card: shown in the detail as it is, plain in labels and descriptions, whole in drafts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.task import Task
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.fhir.codeable_concept import capped
from cds_service.hooks.cards.texts import clean, escaped
from tests.support.worked_service import WORKED, WorkedService, each_patient, noon, rule_id, service

__all__ = ["service"]

Json = dict[str, Any]
# GitHub Flavored Markdown with HTML let through and every guess at links switched on: the most that a client may do.
_MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": True})
assert _MARKDOWN.linkify is not None
_MARKDOWN.linkify.set({"fuzzy_link": True, "fuzzy_ip": True, "fuzzy_email": True})
# What our own lines consist of.
_OURS = frozenset(
    ("paragraph_open", "inline", "paragraph_close", "text", "text_special", "em_open", "em_close", "softbreak")
) | {"strong_open", "strong_close"}
_BREAK = "\u200b"
_BACKSLASH = "\\"

FRAGMENTS = (
    *("<b>", "</p>", "<img src=x onerror=alert(1)>", "<!--", "-->", "<![CDATA[", "<?x ?>", "<script", "style=x"),
    *("&lt;", "&#60;", "&#x3c;", "&amp;", "&nbsp;", "&", ";", "&lt;script&gt;"),
    *("[", "](", ")", "[x](javascript:alert(1))", "![", "[x]: /y", "[^1]", "<javascript:x>"),
    *("http://", "https://evil.example/?q=1", "HTTP://EVIL.EXAMPLE", "ftp://", "//", "www.", "WWW.Evil.Example"),
    *("evil.example", "192.0.2.1/x", "a@evil.example", "mailto:a@evil.example", "xmpp:a@evil.example", "tel:1"),
    *("例え.jp", "evil。example", "javascript:", "data:text/html,x", ":", "/", ".", "@", "localhost:80/x"),
    *(
        "*",
        "**",
        "_",
        "__",
        "~",
        "~~",
        "`",
        "```",
        "\\",
        "\\\\",
        "|",
        "|---|",
        ":-:",
        "$x$",
        "#",
        "######",
        "===",
        "---",
    ),
    *("- ", "+ ", "1. ", "1) ", "999999999. ", "> ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", "\v", "\f", "  \n"),
    *(
        "\u2028",
        "\u2029",
        "\x85",
        "\u00a0",
        "\u3000",
        "\u202e",
        "\u2066",
        "\u2069",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u00ad",
    ),
    *(
        "\x00",
        "\x07",
        "\x1b[31m",
        "\x7f",
        "\ue000",
        "\ufffd",
        "\U000e0041",
        "\ufe0f",
        "\u034f",
        "\u3164",
        "e\u0301\u0302",
    ),
    *("Vitamin K2", "华法林", "MK-7", "µg", "1.5", "<150", " ", "a", "𝕏", "😀", "::", "(C)", "...", '"', "'"),
)
hostile = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=6), max_size=12).map("".join)
bounded = settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
rarely = settings(bounded, max_examples=60)


def tokens(markdown: str) -> Iterator[Token]:
    waiting = list(reversed(_MARKDOWN.parse(markdown)))
    while waiting:
        token = waiting.pop()
        yield token
        waiting += reversed(token.children or [])


def shown(markdown: str) -> str:
    """The words that a reader sees."""
    words = (token.content for token in tokens(markdown) if token.type in ("text", "text_special"))
    return "".join(words).replace(_BREAK, "")


def invisible(text: str) -> list[str]:
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]


@pytest.mark.row("CRD-04", "TOY-22")
@bounded
@given(text=hostile, before=st.sampled_from(["", "Vitamin K: ", "\\*", "(", "例"]))
@example(text="1. list", before="")
@example(text="- list", before="")
@example(text="+", before="")
@example(text="=" * 5, before="")
@example(text="- - -", before="")
def test_any_text_in_a_line_is_shown_as_it_is(text: str, before: str) -> None:
    kinds = {token.type for token in tokens(f"{before}{escaped(text)}, 2 mg a day since 1 Jan 2026. *(Source)*")}
    assert kinds <= _OURS
    seen = shown(f"{before}{escaped(text)} *(Source)*")
    assert seen == f"{before.removeprefix(_BACKSLASH)}{clean(text)} (Source)".strip()


@bounded
@given(text=hostile | st.text(max_size=400))
def test_clean_text_is_one_bounded_line_of_visible_signs(text: str) -> None:
    plain = clean(text)
    assert not invisible(plain)
    assert len(plain) <= 160
    assert plain == " ".join(plain.split())
    assert clean(plain) == plain


@pytest.mark.row("TOY-12")
@bounded
@given(words=st.lists(st.text("abcdefghij", min_size=1, max_size=20), min_size=20, max_size=60))
def test_a_long_name_is_cut_between_words_and_the_cut_is_marked(words: list[str]) -> None:
    name = " ".join(words)
    if len(name) <= 160:
        assert clean(name) == name
        return
    cut = clean(name)
    assert cut.endswith("…")
    assert name.startswith(cut[:-1] + " ")
    assert 138 <= len(cut) <= 160


@pytest.mark.parametrize("name", ["维" * 400, "x" * 400, "a " + "x" * 400])
def test_a_name_without_blanks_is_cut_all_the_same(name: str) -> None:
    assert clean(name) == name[:159] + "…"


def test_what_is_read_of_a_long_text_is_cut_between_words_and_marked() -> None:
    text = "warfarin " * 100
    assert capped(text) == " ".join(["warfarin"] * 55) + "…"
    assert capped("x" * 501) == "x" * 499 + "…"
    assert capped("x" * 500) == "x" * 500
    assert capped(" a\n b ") == "a b"
    assert capped(None) == ""


# --- through the service ------------------------------------------------------------------------------------------

# One patient of each rule that shows texts of the record.
_RULES = ("b12-low", "vka-menatetrenone", "vka-vitk-started", "b12-cyanocobalamin-leber", "folate-without-b12")
TELLING = [next(w for w in WORKED if rule in w.expect) for rule in (*_RULES, "vitk2-dose-unit-suspect")]


def spoiled(request: Json, text: str) -> None:
    """Puts the text wherever a record has words of its own; the codes stay, so that the same rules speak."""
    bundles = [*request["prefetch"].values(), request["context"].get("draftOrders", {})]
    for bundle in bundles:
        for entry in bundle.get("entry", []):
            resource = entry["resource"]
            for member in ("code", "medicationCodeableConcept"):
                if member in resource:
                    resource[member]["text"] = text
                    for coding in resource[member].get("coding", []):
                        coding["display"] = text
            for dosage in (*resource.get("dosageInstruction", []), *resource.get("dosage", [])):
                dosage["text"] = text
            if resource["resourceType"] == "Observation":
                resource["interpretation"] = [{"text": text}]
                resource["referenceRange"] = [{"text": text}]


@each_patient(TELLING)
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.row("CRD-02", "CRD-03", "CRD-04", "S-11", "TOY-22")
@rarely
@given(text=hostile)
def test_whatever_a_record_says_the_cards_are_plain(
    service: WorkedService, worked: WorkedPatient, language: str, text: str
) -> None:
    request = service.request(worked, service.resources(worked))
    plain = service.ask_with(worked, request, noon(worked), language=language).by_rule
    spoiled(request, text)
    cards = service.ask_with(worked, request, noon(worked), language=language).by_rule
    for rule, card in cards.items():
        kinds = [token.type for token in tokens(card["detail"])]
        assert set(kinds) <= _OURS
        # The name of each part is strong, and nothing else.
        assert kinds.count("strong_open") == sum(one.startswith("**") for one in card["detail"].split("\n\n"))
        assert 1 <= len(card["summary"]) <= 139
        assert card["summary"] in {one["summary"] for one in plain.values()} or rule not in plain
        assert not invisible(card["summary"])
        for suggestion in card.get("suggestions", []):
            for said in (suggestion["label"], suggestion["actions"][0]["description"]):
                assert not invisible(said)
                assert said == " ".join(said.split())
                assert len(said) < 500
        # Nothing of the request reaches an address, a code or a reason.
        for member in ("source", "links", "overrideReasons", "extension"):
            if rule in plain:
                assert card.get(member) == plain[rule].get(member)


@pytest.mark.row("CRD-02", "TOY-12")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_summary_is_one_plain_sentence_of_at_most_139_characters(service: WorkedService, language: str) -> None:
    for rule in service.knowledge.rules.values():
        for said in (rule.card, *rule.variants):
            if said is not None and said.summary is not None:
                summary = said.summary.in_language(language)
                assert 1 <= len(summary) <= 139, rule.id
                assert not invisible(summary), rule.id
                assert [token.type for token in tokens(summary)] == [
                    *("paragraph_open", "inline", "text", "paragraph_close")
                ], rule.id


@rarely
@given(text=hostile)
@example(text="\x00\x07")
@example(text="\u200b")
@example(text="**K2** <b>&lt; \u202e")
def test_a_resource_has_the_original_text_and_stays_valid(service: WorkedService, text: str) -> None:
    worked = next(w for w in WORKED if "vka-menatetrenone" in w.expect and w.hook == "patient-view")
    request = service.request(worked, service.resources(worked))
    spoiled(request, text)
    cards = service.ask_with(worked, request, noon(worked)).cards
    actions = [s["actions"][0] for card in cards for s in card.get("suggestions", [])]
    tasks = [action["resource"] for action in actions if action.get("resource", {}).get("resourceType") == "Task"]
    written = " ".join(re.sub(r"[\x00-\x08\x0e-\x1b]", "", " ".join(text.split())).split(" ")).strip()
    for task in tasks:
        Task.model_validate_json(msgspec.json.encode(task))
        assert task["focus"].get("display", "") == written
    if "vka-menatetrenone" in {rule_id(card) for card in cards}:
        assert tasks
