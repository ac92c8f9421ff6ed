"""The page as it opens: languages, no requests to other hosts, a message where scripts are switched off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.axe import violations
from tests.browser.screenshots import LARGEST, PICTURES
from tests.browser.visit import Visit
from tests.support.paths import ROOT

pytestmark = pytest.mark.browser

Visits = Callable[..., Visit]


def test_a_browser_at_the_root_is_led_to_the_page(visits: Visits, base: str) -> None:
    page = visits(base).open("/")

    assert page.url == f"{base}/app/"


@pytest.mark.parametrize(("locale", "tag"), [("en-GB", "en"), ("zh-CN", "zh-Hans")])
def test_the_page_speaks_the_language_of_the_browser(visits: Visits, base: str, locale: str, tag: str) -> None:
    page = visits(base, locale=locale).open()

    assert page.locator("html").get_attribute("lang") == tag


def test_without_scripts_the_page_says_so_and_leads_to_the_rules(visits: Visits, base: str) -> None:
    page = visits(base, java_script_enabled=False).open()

    assert "JavaScript" in page.locator("body").inner_text()
    page.get_by_role("link", name="/rules").click()
    assert page.url == f"{base}/rules"
    assert page.locator("h1").count() == 1


def test_nothing_of_a_patient_stays_in_the_browser(visits: Visits, base: str) -> None:
    page = visits(base).open("/app/?server=sandbox&patient=b12-and-warfarin")
    page.wait_for_load_state("networkidle")

    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "b12-and-warfarin" not in kept
    assert set(page.evaluate("Object.keys(localStorage)")) <= {"cds-page-language", "cds-page-theme"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_empty_page(visits: Visits, base: str, scheme: str) -> None:
    page = visits(base, color_scheme=scheme).open()
    page.wait_for_load_state("networkidle")

    assert violations(page) == []


def test_the_docs_show_every_picture_that_is_taken_and_none_is_large() -> None:
    files = {file.name: file.stat().st_size for file in (ROOT / "docs" / "screenshots").iterdir()}
    shown = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")

    assert set(files) == {f"{picture.name}.png" for picture in PICTURES}
    assert [name for name in files if f"screenshots/{name}" not in shown] == []
    assert max(files.values()) < LARGEST
