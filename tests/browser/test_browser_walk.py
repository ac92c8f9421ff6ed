"""User journeys: choose a patient, read cards, draft, change and sign orders, accept a suggestion, override a card."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import expect

from tests.browser.reader import INR, MENATETRENONE, Hand, Language, Reader, each_reader

pytestmark = pytest.mark.browser

Read = Callable[..., Reader]


def last_call(reader: Reader, hook_end: str) -> Any:
    """The last request body that went to a service whose id has this end; waits for the first."""
    ends = time.monotonic() + 15
    while not (bodies := reader.visit.posted(hook_end)):
        assert time.monotonic() < ends, f"nothing was posted to {hook_end}"
        reader.page.wait_for_timeout(50)
    return bodies[-1]


@each_reader
def test_choosing_a_patient_shows_the_chart_and_the_cards(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand)

    reader.choose(reader.page.locator("#patient-pick-input"), "roy", "Roy Example")

    expect(reader.page.get_by_role("heading", name="Roy Example")).to_be_visible()
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)
    expect(reader.page.locator("#results tbody tr")).to_have_count(2)
    expect(reader.page.locator("#medicines tbody tr")).to_have_count(2)
    assert reader.page.url.endswith("?server=sandbox&patient=b12-and-warfarin")


@each_reader
def test_a_call_goes_out_as_an_ehr_makes_it(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "vka-menatetrenone-draft")
    reader.draft(MENATETRENONE)
    expect(reader.card("order-select", "INR")).to_have_count(1)

    view, select = last_call(reader, "vitamin-k-patient-view"), last_call(reader, "vitamin-k-order-select")
    assert view["hook"] == "patient-view"
    assert view["fhirServer"] == f"{reader.visit.base}/sandbox/fhir"
    assert set(view["context"]) == {"userId", "patientId"}
    assert view["prefetch"]["patient"]["id"] == view["context"]["patientId"] == "vka-menatetrenone-draft"
    assert UUID(view["hookInstance"]) != UUID(select["hookInstance"])
    order = select["context"]["draftOrders"]["entry"][0]["resource"]
    assert order["status"] == "draft"
    assert order["subject"] == {"reference": "Patient/vka-menatetrenone-draft"}
    assert select["context"]["selections"] == [f"MedicationRequest/{order['id']}"]


@each_reader
def test_signing_waits_for_the_reader_when_a_card_speaks(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "vka-menatetrenone-draft")
    reader.draft(MENATETRENONE)
    expect(reader.card("order-select", reader.words("severity_critical"))).to_have_count(1)

    reader.press(reader.button("sign"))
    expect(reader.page.locator("#sign-state")).to_have_text(reader.words("sign_cards"))
    expect(reader.card("order-sign", reader.words("severity_critical"))).to_have_count(1)
    expect(reader.drafts).to_have_count(1)

    reader.press(reader.button("sign_anyway"))
    expect(reader.drafts).to_have_count(0)
    expect(reader.page.locator("#signed > li")).to_have_count(1)


@each_reader
def test_signing_needs_one_press_when_nothing_speaks(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "healthy-adult")
    reader.draft(INR)

    reader.press(reader.button("sign"))

    expect(reader.page.locator("#signed > li")).to_have_count(1)
    expect(reader.drafts).to_have_count(0)
    assert last_call(reader, "vitamin-k-order-sign")["context"]["draftOrders"]["entry"]


@each_reader
def test_a_suggestion_takes_the_draft_away_and_says_so_to_the_service(
    read: Read, language: Language, hand: Hand
) -> None:
    reader = read(language, hand, "vka-menatetrenone-draft")
    reader.draft(MENATETRENONE)
    critical = reader.card("order-select", reader.words("severity_critical"))

    reader.press(critical.locator("button.suggestion").first)

    expect(reader.drafts).to_have_count(0)
    expect(critical).to_have_attribute("data-state", "accepted")
    feedback = last_call(reader, "vitamin-k-order-select/feedback")["feedback"][0]
    assert feedback["outcome"] == "accepted"
    assert len(feedback["acceptedSuggestions"]) == 1
    assert feedback["outcomeTimestamp"]


@each_reader
def test_a_suggested_order_becomes_a_draft(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")
    offer = reader.panel("patient-view").get_by_role("button", name="INR").first

    reader.press(offer)

    expect(reader.drafts).to_have_count(1)
    expect(reader.drafts).to_contain_text("INR")
    assert last_call(reader, "vitamin-k-patient-view/feedback")["feedback"][0]["outcome"] == "accepted"


@each_reader
def test_an_override_goes_out_with_its_reason_and_the_card_stays(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")
    there = reader.card("patient-view", "K2")
    expect(there).to_have_count(1)

    reader.press(there.get_by_role("button", name=reader.words("override")))
    reader.mark(there.get_by_role("radio").nth(1))
    reason = there.locator("label.reason").nth(1).inner_text()
    reader.write(there.get_by_role("textbox"), "discussed today")
    reader.press(there.get_by_role("button", name=reader.words("override_send"), exact=True))

    expect(there).to_have_attribute("data-state", "overridden")
    expect(there).to_contain_text(reader.words("overridden_because", reason=reason))
    said = last_call(reader, "vitamin-k-patient-view/feedback")["feedback"][0]
    assert said["outcome"] == "overridden"
    assert said["overrideReason"]["userComment"] == "discussed today"
    assert said["overrideReason"]["reason"]["display"] == reason


@each_reader
def test_another_dose_is_asked_about_again(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "vka-mk7-started")
    reader.draft({"en": "Vitamin K2 (MK-7) 100 µg", "zh": "维生素K2（MK-7）100 µg"})
    expect(reader.panel("order-select").locator("article.card")).to_have_count(1)

    with reader.page.expect_response(re.compile("vitamin-k-order-select$")):
        reader.write(reader.drafts.get_by_role("spinbutton").first, "50")

    order = last_call(reader, "vitamin-k-order-select")["context"]["draftOrders"]["entry"][0]["resource"]
    assert order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] == 50


@each_reader
def test_removing_the_last_draft_withdraws_its_cards(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "vka-menatetrenone-draft")
    reader.draft(MENATETRENONE)
    critical = reader.card("order-select", reader.words("severity_critical"))
    expect(critical).to_have_attribute("data-state", "open")

    reader.press(reader.drafts.get_by_role("button", name=reader.words("remove")))

    expect(reader.drafts).to_have_count(0)
    expect(critical).to_have_attribute("data-state", "withdrawn")
    # The button that was pressed is gone; a keyboard must not be thrown back to the top.
    expect(reader.page.locator("#order-pick-input")).to_be_focused()


@each_reader
def test_discharge_is_asked_about_at_the_press_of_a_button(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "vka-concurrent-discharge")

    reader.press(reader.button("encounter_discharge"))

    expect(reader.card("encounter-discharge", reader.words("severity_warning"))).to_have_count(1)
    assert last_call(reader, "vitamin-k-encounter-discharge")["context"]["encounterId"]


@each_reader
def test_silence_is_told_with_the_number_of_rules_that_were_read(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "healthy-adult")

    before, _, after = reader.words("nothing_of").partition("{count}")
    expect(reader.panel("patient-view").locator(".advice-status")).to_have_text(
        re.compile(f"{re.escape(before)}[1-9][0-9]*{re.escape(after)}$")
    )


@each_reader
def test_a_call_can_be_looked_at_as_it_went_over_the_wire(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")
    opener = reader.panel("patient-view").locator(".advice-calls button").first

    reader.press(opener)
    drawer = reader.page.get_by_role("dialog")
    expect(drawer).to_contain_text('"hook": "patient-view"')
    expect(drawer).to_contain_text('"cards": [')

    reader.page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(opener).to_be_focused()


@each_reader
def test_the_language_can_be_changed_and_is_kept(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)
    other: Language = "zh" if language == "en" else "en"

    picker = reader.page.locator("#language")
    if hand == "mouse":
        picker.select_option(other)
    else:
        reader.tab_to(picker)
        reader.page.keyboard.press("ArrowDown" if other == "zh" else "ArrowUp")
    there = Reader(reader.visit, other, hand)

    expect(reader.page.locator("html")).to_have_attribute("lang", {"en": "en", "zh": "zh-Hans"}[other])
    expect(there.button("sign")).to_be_visible()
    expect(there.panel("patient-view").locator("article.card")).to_have_count(2)
    expect(there.panel("patient-view").locator(".severity").first).to_have_text(there.words("severity_warning"))
    reader.page.reload()
    expect(there.button("sign")).to_be_visible()
