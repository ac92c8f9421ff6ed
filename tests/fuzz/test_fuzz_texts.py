"""Hostile text in names of medicines, tests, units and comments: shown as text, never as markup, in whole answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from werkzeug.test import TestResponse

from tests.fuzz.bodies import Json, calls, places, sample_patients
from tests.fuzz.fuzzers import fuzzing

Ask = Callable[[Any], list[TestResponse]]
CALLS = calls(sample_patients())

PIECES = [
    '<img src=x onerror="alert(1)">',
    "<script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "<https://evil.example>",
    "https://evil.example/x",
    "www.evil.example",
    "mailto:a@evil.example",
    "a@evil.example",
    "[x]: https://evil.example\n\n[x]",
    "&lt;img src=x onerror=alert(1)&gt;",
    "&#60;script&#62;",
    "&#x6A;avascript:",
    "`code`",
    "```\nblock\n```",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "# Heading",
    "\n\n---\n\n",
    "> quote",
    "- [ ] task",
    "1. one",
    "~~gone~~",
    "**bold** _it_ __x__ *y*",
    "\\[x\\](https://evil.example)",
    "\\",
    "<!-- -->",
    "<![CDATA[x]]>",
    "\u202eright to left\u202c",
    "\u2066isolated\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "\u0000\u0007\u001b[31m",
    "line\r\nline\u2028line\u2029line\u0085line",
    "a" * 600,
    "钾" * 200,
    "{{7*7}} ${x} %s",
]
hostile = st.lists(st.sampled_from([*PIECES, " ", "Vitamin K2", "x"]), min_size=1, max_size=4).map("".join)
# Members whose text a card may show.
SHOWN = frozenset({"text", "display", "unit", "comment", "description", "given", "family", "title", "valueString"})
# What turns the direction of a line, or controls. A zero-width space does neither; our wording parts addresses by it.
UNSEEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# What our own wording is made of.
TAGS = frozenset({"p", "br", "em", "strong", "ul", "ol", "li", "hr", "table", "thead", "tbody", "tr", "th", "td"})
markdown = MarkdownIt("gfm-like", {"html": True, "linkify": True})


class Elements(HTMLParser):
    """The elements of a page and the targets of its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets |= {str(value) for name, value in attrs if name not in ("style", "align", "start")}


def shown(card: Json) -> Iterator[str]:
    """Plain texts of a card: no client renders them as anything else."""
    yield card["summary"]
    yield card["source"]["label"]
    for suggestion in card.get("suggestions", []):
        yield suggestion["label"]
        yield from (action["description"] for action in suggestion["actions"])
    yield from (link["label"] for link in card.get("links", []))


def with_texts(body: Json, texts: list[str]) -> Json:
    """The call with each text that could be shown replaced by one of these, or with it behind."""
    changed = deepcopy(body)
    parts = {"prefetch": changed["prefetch"], "drafts": changed["context"].get("draftOrders", {})}
    for number, (container, key) in enumerate(list(places(parts))):
        if key in SHOWN and isinstance(container[key], str):
            text = texts[number % len(texts)]
            # A name that is kept in front keeps the medicine or the test known.
            container[key] = f"{container[key]} {text}" if number % 2 else text
    return changed


def inactive(answers: list[TestResponse], own: set[str]) -> int:
    """Checks that no card does anything with what it shows; gives the number of cards."""
    cards = [card for answer in answers if answer.status_code == 200 for card in answer.json["cards"]]
    for card in cards:
        page = Elements(markdown.render(card.get("detail", "")))
        assert page.tags <= TAGS | {"a"}, page.tags
        assert page.targets <= own, page.targets - own
        assert not UNSEEN.search(card.get("detail", "")), ascii(card["detail"])
        for text in shown(card):
            assert not UNSEEN.search(text), ascii(text)
            assert "\n" not in text
    return len(cards)


@pytest.fixture(scope="module")
def own(ask: Ask) -> set[str]:
    """The links that our own wording has."""
    cards = [card for body in CALLS for answer in ask(body) for card in answer.get_json().get("cards", [])]
    return {target for card in cards for target in Elements(markdown.render(card.get("detail", ""))).targets}


@pytest.mark.row("CRD-03", "CRD-04", "TOY-22", "S-11")
@fuzzing
@given(number=st.integers(0, len(CALLS) - 1), texts=st.lists(hostile, min_size=1, max_size=6))
def test_hostile_texts_do_nothing_in_a_card(ask: Ask, own: set[str], number: int, texts: list[str]) -> None:
    inactive(ask(with_texts(CALLS[number], texts)), own)


@pytest.mark.row("CRD-03", "CRD-04", "TOY-22", "S-11")
@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: ascii(piece[:20]))
def test_each_piece_of_markup_does_nothing_in_any_card(ask: Ask, own: set[str], piece: str) -> None:
    assert sum(inactive(ask(with_texts(body, [piece])), own) for body in CALLS) > len(CALLS) // 3
