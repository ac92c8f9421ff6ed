"""Pictures of the page for the README and the docs: `python -m tests.browser.screenshots docs/screenshots`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.reader import LOCALES, MENATETRENONE, Language, Reader
from tests.browser.service_process import served
from tests.browser.visit import CHROMIUM, visit

LARGEST = 200_000
_NARROW = {"width": 360, "height": 780}
_WIDE = {"width": 1080, "height": 700}


def chart_with_cards(reader: Reader) -> None:
    _open(reader, "b12-and-warfarin")
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)


def why_a_card_is_there(reader: Reader) -> None:
    _open(reader, "course-inr-vitamin-k")
    why = reader.page.locator("details.why-card").first
    why.locator("> summary").click()
    expect(why).to_have_attribute("open", "")
    why.evaluate("part => scrollTo(0, scrollY + part.getBoundingClientRect().top - 90)")


def results_over_time(reader: Reader) -> None:
    _open(reader, "course-b12-treated")
    expect(reader.page.locator("#trends .trend-point").first).to_be_visible()
    reader.page.locator("#trends").evaluate("part => part.scrollIntoView()")


def signing_waits(reader: Reader) -> None:
    _open(reader, "vka-menatetrenone-draft")
    expect(reader.page.locator("#medicines tbody tr")).to_have_count(1)
    reader.draft(MENATETRENONE)
    reader.button("sign").click()
    expect(reader.button("sign_anyway")).to_be_visible()


def a_call_as_it_went_out(reader: Reader) -> None:
    chart_with_cards(reader)
    reader.panel("patient-view").locator(".advice-calls button").first.click()
    expect(reader.page.get_by_role("dialog")).to_be_visible()


@dataclass(frozen=True)
class Picture:
    name: str
    pose: Callable[[Reader], None]
    language: Language = "en"
    scheme: Literal["light", "dark"] = "light"
    narrow: bool = False


PICTURES = (
    Picture("cards", chart_with_cards),
    Picture("cards-zh", chart_with_cards, "zh"),
    Picture("cards-dark", chart_with_cards, scheme="dark"),
    Picture("cards-narrow", chart_with_cards, narrow=True),
    Picture("why", why_a_card_is_there),
    Picture("why-zh", why_a_card_is_there, "zh"),
    Picture("trends", results_over_time),
    Picture("signing", signing_waits),
    Picture("call", a_call_as_it_went_out, scheme="dark"),
)


def take(browser: Browser, base: str, picture: Picture, folder: Path) -> Path:
    """Writes one picture; the page must be without a fault on it."""
    file = folder / f"{picture.name}.png"
    size = _NARROW if picture.narrow else _WIDE
    options: dict[str, Any] = {"viewport": size, "color_scheme": picture.scheme, "locale": LOCALES[picture.language]}
    with visit(browser, base, reduced_motion="reduce", **options) as made:
        picture.pose(Reader(made, picture.language))
        made.page.wait_for_load_state("networkidle")
        made.page.screenshot(path=file, animations="disabled", caret="hide")
    if made.faults:
        raise SystemExit(f"{file.name}: {made.faults}")
    return file


def main(folder: Path) -> None:
    program = shutil.which(CHROMIUM)
    if program is None:
        raise SystemExit("chromium is not installed, so no pictures can be taken. Run: .ci/install")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-dev-shm-usage"])
        with served(Path(scratch)) as base:
            for picture in PICTURES:
                file = take(browser, base, picture, folder)
                print(f"{file}: {file.stat().st_size // 1000} kB")
        browser.close()


def _open(reader: Reader, patient: str) -> None:
    reader.visit.open(f"/app/?server=sandbox&patient={patient}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
