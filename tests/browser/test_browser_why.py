"""Explanations of cards and of rules without a card: trees that unfold and link to the chart, limits and sources."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Locator, expect

from tests.browser.reader import Hand, Language, Reader, each_reader

pytestmark = pytest.mark.browser

Read = Callable[..., Reader]


def unfolded(reader: Reader, card: Locator) -> Locator:
    """The reasons of a card."""
    why = card.locator("details.why-card")
    reader.press(why.locator("> summary"))
    expect(why).to_have_attribute("open", "")
    return why


@each_reader
def test_a_card_tells_what_made_it_speak(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")

    why = unfolded(reader, reader.panel("patient-view").locator("article.card").filter(has_text="MMA"))

    expect(why).to_contain_text("151 pg/mL")
    expect(why.locator(".why-outcome.yes").first).to_contain_text(reader.words("why_yes"))
    expect(why.locator(".why-limit").first).to_contain_text("200 pg/mL")


@each_reader
def test_what_a_card_rests_on_leads_to_its_row_in_the_chart(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")
    why = unfolded(reader, reader.panel("patient-view").locator("article.card").filter(has_text="MMA"))

    reader.press(why.locator('.why-evidence a[href^="#ref-Observation"]:visible').first)

    row = reader.page.locator("#ref-Observation-b12-and-warfarin-lab-1")
    expect(row).to_be_focused()
    expect(row).to_be_in_viewport()
    expect(row).to_contain_text("151 pg/mL")


@each_reader
def test_silent_rules_are_found_by_their_titles_with_the_reason(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "healthy-adult")
    silent = reader.panel("patient-view").locator("details.why-not-list")
    reader.press(silent.locator("> summary"))
    rules = silent.locator("[data-rule]:visible")
    expect(rules.nth(5)).to_be_visible()

    reader.write(silent.get_by_role("searchbox"), {"en": "menatetrenone", "zh": "四烯甲萘醌"}[language])

    expect(rules).to_have_count(1)
    expect(rules).to_have_attribute("data-rule", "vka-menatetrenone")
    expect(silent.get_by_role("status")).to_have_text(reader.words("why_count", count=1))
    reader.press(rules.locator("summary").first)
    expect(rules.locator(".why-outcome.no").first).to_contain_text(reader.words("why_no"))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("patient", ["b12-and-warfarin", "course-b12-treated", "healthy-adult"])
def test_every_link_of_the_reasons_leads_to_what_it_names(read: Read, language: Language, patient: str) -> None:
    reader = read(language, "mouse", patient)
    expect(reader.page.locator("details.why-not-list")).to_have_count(1)
    silent = reader.page.locator("details.why-not-list [data-rule]")
    for summary in reader.page.locator("details.why-card > summary, details.why-not-list > summary").all():
        summary.click()
    expect(silent.first).to_be_visible()
    for summary in silent.locator("> details > summary").all():
        summary.click()
    links = reader.page.locator(".why a[href], .why-not a[href]")
    expect(silent.last.locator("a").last).to_be_attached()
    addresses = set(links.evaluate_all("links => links.map((link) => link.href)"))

    pages: dict[str, str] = {}
    for address in sorted(address for address in addresses if urlsplit(address).path.startswith("/rules")):
        page, _, anchor = address.partition("#")
        if page not in pages:
            answer = requests.get(page, timeout=30)
            assert answer.status_code == 200, page
            pages[page] = answer.text
        assert not anchor or re.search(rf'id="{re.escape(anchor)}"', pages[page]), address
    assert pages
