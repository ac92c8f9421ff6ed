"""A user of the page, with a mouse or with the keyboard alone, in one of the page's languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, expect

from cds_service.texts import Texts
from tests.browser.visit import Visit

Language = Literal["en", "zh"]
Hand = Literal["mouse", "keyboard"]

_MOST_TABS = 300
LOCALES: dict[Language, str] = {"en": "en-GB", "zh": "zh-CN"}
# What they are called in the list of orders.
MENATETRENONE: dict[Language, str] = {"en": "Menatetrenone 45 mg", "zh": "四烯甲萘醌每日45 mg"}
INR: dict[Language, str] = {"en": "INR", "zh": "INR"}

each_reader = pytest.mark.parametrize(
    ("language", "hand"),
    [("en", "mouse"), ("en", "keyboard"), ("zh", "mouse"), ("zh", "keyboard")],
    ids=["English, mouse", "English, keyboard", "Chinese, mouse", "Chinese, keyboard"],
)


_page = Texts("page")


@dataclass(frozen=True)
class Reader:
    """Does on the page what a person does, with elements that can be seen or focused only."""

    visit: Visit
    language: Language = "en"
    hand: Hand = "mouse"

    @property
    def page(self) -> Page:
        return self.visit.page

    def words(self, key: str, **values: str | int) -> str:
        """A text of the page, filled in."""
        text = _page.by_key()[key][self.language]
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def button(self, key: str, **values: str | int) -> Locator:
        return self.page.get_by_role("button", name=self.words(key, **values), exact=True)

    def panel(self, hook: str) -> Locator:
        """The panel with the answers to a hook."""
        return self.page.locator(f'section.advice-panel[data-hook="{hook}"]')

    def card(self, hook: str, words: str) -> Locator:
        return self.panel(hook).locator("article.card").filter(has_text=words)

    @property
    def drafts(self) -> Locator:
        return self.page.locator("#drafts > li")

    def draft(self, order: dict[Language, str]) -> None:
        name = order[self.language]
        already = self.drafts.count()
        self.choose(self.page.locator("#order-pick-input"), name, name)
        expect(self.drafts).to_have_count(already + 1)

    def press(self, what: Locator) -> None:
        """A button, a link or a tab."""
        if self.hand == "mouse":
            what.click()
        else:
            self.tab_to(what)
            self.page.keyboard.press("Enter")

    def choose(self, field: Locator, typed: str, option: str) -> None:
        """Types into a combobox and takes the first option that holds these words."""
        found = self.page.get_by_role("option").filter(has_text=option).first
        expect(field).to_be_enabled()  # the page enables it when it knows where to search
        if self.hand == "mouse":
            field.click()
            field.fill(typed)
            found.click()
            return
        self.tab_to(field)
        self.page.keyboard.press("ControlOrMeta+a")
        # As an input method does: the whole word at once, so that Chinese can be typed, too.
        self.page.keyboard.insert_text(typed)
        found.wait_for()
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("ArrowDown")
            if found.get_attribute("aria-selected") == "true":
                self.page.keyboard.press("Enter")
                return
        raise AssertionError(f"the arrow keys never reach the option {option!r}")

    def write(self, field: Locator, text: str) -> None:
        if self.hand == "mouse":
            field.fill(text)
            field.blur()
            return
        self.tab_to(field)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Tab")

    def mark(self, radio: Locator) -> None:
        """One of a group of radio buttons."""
        if self.hand == "mouse":
            radio.check()
            return
        group = radio.get_attribute("name")
        first = self.page.locator(f'input[type=radio][name="{group}"]').first
        self.tab_to(first)
        self.page.keyboard.press("Space")
        for _ in range(_MOST_TABS):
            if radio.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError("the arrow keys never reach this radio button")

    def tab_to(self, what: Locator) -> None:
        """Presses Tab until it has the focus."""
        what.wait_for()
        for _ in range(_MOST_TABS):
            if what.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {what}")
