"""The look of the page in each of its states: axe, light and dark, 320 px, print, focus, no layout shift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.reader import MENATETRENONE, Language, Reader

pytestmark = pytest.mark.browser

Read = Callable[..., Reader]
PATIENT = "b12-and-warfarin"


def with_cards(reader: Reader) -> None:
    reader.visit.open(f"/app/?server=sandbox&patient={PATIENT}")
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)


def with_a_list_to_choose_from(reader: Reader) -> None:
    with_cards(reader)
    reader.page.locator("#order-pick-input").click()
    expect(reader.page.get_by_role("option").nth(20)).to_be_attached()
    reader.page.keyboard.press("ArrowDown")


def with_orders_that_wait(reader: Reader) -> None:
    reader.visit.open("/app/?server=sandbox&patient=vka-menatetrenone-draft")
    expect(reader.page.locator("#medicines tbody tr")).to_have_count(1)
    reader.draft(MENATETRENONE)
    reader.button("sign").click()
    expect(reader.button("sign_anyway")).to_be_visible()


def with_an_answer_being_written(reader: Reader) -> None:
    with_cards(reader)
    card = reader.card("patient-view", "K2")
    card.get_by_role("button", name=reader.words("override")).click()
    card.get_by_role("radio").first.check()


def with_cards_answered(reader: Reader) -> None:
    with_cards(reader)
    reader.panel("patient-view").get_by_role("button", name="INR").first.click()
    expect(reader.page.locator('article.card[data-state="accepted"]')).to_have_count(1)
    card = reader.page.locator('article.card[data-state="open"]').first
    card.get_by_role("button", name=reader.words("override")).click()
    card.get_by_role("radio").first.check()
    card.get_by_role("button", name=reader.words("override_send"), exact=True).click()
    expect(reader.page.locator('article.card[data-state="overridden"]')).to_have_count(1)


def with_a_call_shown(reader: Reader) -> None:
    with_cards(reader)
    reader.panel("patient-view").locator(".advice-calls button").first.click()
    expect(reader.page.get_by_role("dialog")).to_be_visible()


def with_reasons_and_tables(reader: Reader) -> None:
    reader.visit.open("/app/?server=sandbox&patient=course-inr-vitamin-k")
    expect(reader.page.locator("details.why-not-list")).to_have_count(1)
    for summary in reader.page.locator("details.why-card > summary, details.why-not-list > summary").all():
        summary.click()
    for toggle in reader.page.locator("figcaption button").all():
        toggle.click()
    expect(reader.page.locator("details.why-not-list [data-rule]").first).to_be_visible()


def with_a_fault(reader: Reader) -> None:
    reader.page.route("**/cds-services/*", lambda route: route.fulfill(status=500, body="{}"))
    reader.visit.open(f"/app/?server=sandbox&patient={PATIENT}")
    expect(reader.panel("patient-view").locator(".notice")).to_have_count(2)


STATES = (
    with_cards,
    with_a_list_to_choose_from,
    with_orders_that_wait,
    with_an_answer_being_written,
    with_cards_answered,
    with_a_call_shown,
    with_reasons_and_tables,
    with_a_fault,
)
LOOKS: dict[str, tuple[Language, dict[str, Any]]] = {
    "light": ("en", {"color_scheme": "light"}),
    "dark": ("zh", {"color_scheme": "dark"}),
    "320 px": ("en", {"viewport": {"width": 320, "height": 700}}),
    "320 px, dark": ("zh", {"viewport": {"width": 320, "height": 700}, "color_scheme": "dark"}),
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__.replace("_", " "))
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    read: Read, state: Callable[[Reader], None], look: str
) -> None:
    language, options = LOOKS[look]
    reader = read(language, "mouse", refusals=(500,), **options)

    state(reader)

    assert violations(reader.page) == []
    wide, there = reader.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= there


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_whatever_has_the_focus_can_be_seen(read: Read, scheme: str, width: int) -> None:
    # Without motion a stop is where it belongs at once.
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 700}, "reduced_motion": "reduce"}
    reader = read("en", "keyboard", **options)
    with_cards(reader)

    stops = list(tab_stops(reader.page))

    assert len(stops) > 20
    assert [stop["name"] for stop in stops if not stop["marked"]] == []
    assert [stop["name"] for stop in stops if not stop["seen"]] == []
    assert [stop["name"] for stop in stops if stop["size"] < 24 and not stop["inline"]] == []


def tab_stops(page: Page) -> list[dict[str, Any]]:
    """Every element that Tab reaches, in order: whether it is marked, and not covered by something else."""
    found: list[dict[str, Any]] = []
    page.locator("body").press("Home")
    for _ in range(200):
        page.keyboard.press("Tab")
        stop = page.evaluate(_STOP)
        if stop is None or any(stop["id"] == other["id"] for other in found):
            return found
        found.append(stop)
    raise AssertionError("Tab never comes round")


_STOP = """
() => {
  const element = document.activeElement;
  if (element === document.body || element === null) return null;
  window.stops = window.stops ?? new Map();
  if (!window.stops.has(element)) window.stops.set(element, window.stops.size);
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const ring = element.querySelector(".trend-ring");
  const marked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== "none"
    || (ring !== null && getComputedStyle(ring).strokeWidth !== "0px");
  const x = Math.min(Math.max(box.left + Math.min(box.width, 30) / 2, 1), innerWidth - 2);
  const y = Math.min(Math.max(box.top + Math.min(box.height, 20) / 2, 1), innerHeight - 2);
  const top = document.elementFromPoint(x, y);
  const seen = top !== null && (element.contains(top) || top.contains(element)
    || top.closest("label")?.contains(element) === true) && box.top >= -1 && box.top < innerHeight;
  return {
    id: window.stops.get(element), marked, seen,
    inline: style.display === "inline" || element.matches("input[type=radio]"),
    size: Math.round(Math.min(box.width, box.height)),
    name: `${element.tagName} ${element.id} ${element.className} ${element.textContent.trim().slice(0, 40)}`,
  };
}
"""


def test_print_shows_cards_and_charts_without_what_can_only_be_pressed(read: Read) -> None:
    reader = read("en", "mouse", color_scheme="dark")
    with_cards(reader)

    reader.page.emulate_media(media="print")

    expect(reader.page.locator("article.card").first).to_be_visible()
    expect(reader.page.locator("#trends svg").first).to_be_visible()
    expect(reader.page.locator("#results table")).to_be_visible()
    for what in ("#order-pick-input", "#sign", "#language", "#encounter-start", "#patient-pick-input"):
        expect(reader.page.locator(what)).to_be_hidden()
    paper, ink = reader.page.evaluate(
        "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert luminance(paper) > 0.9
    assert luminance(ink) < 0.2
    assert reader.page.pdf(format="A4").startswith(b"%PDF")


def luminance(colour: str) -> float:
    """Of a computed colour, roughly; what is not painted is paper."""
    numbers = [float(number) for number in colour.partition("(")[2].rstrip(")").replace(",", " ").split()]
    if len(numbers) == 4 and numbers[3] == 0:
        return 1.0
    return sum(numbers[:3]) / (3 * 255)


def test_nothing_jumps_while_a_chart_and_its_cards_arrive(read: Read) -> None:
    reader = read("en", "mouse")
    reader.page.add_init_script(
        """
        window.shifts = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
        """
    )
    with_cards(reader)
    reader.page.wait_for_load_state("networkidle")

    # What browsers call good is below 0.1.
    assert reader.page.evaluate("window.shifts") < 0.1


def test_a_new_card_leaves_the_focus_and_what_is_read_where_they_are(read: Read) -> None:
    reader = read("en", "mouse", "vka-mk7-started")
    field = reader.page.locator("#order-pick-input")
    reader.choose(field, "MK-7", "100 µg")
    expect(reader.panel("order-select").locator("article.card")).to_have_count(1)

    expect(field).to_be_focused()
    said = reader.page.locator("#live-region-0, #live-region-1").filter(has_text=reader.words("one_card"))
    expect(said).to_have_count(1)


def test_severity_is_told_by_word_and_shape_and_not_by_colour_alone(read: Read) -> None:
    reader = read("en", "mouse")
    with_orders_that_wait(reader)
    critical = reader.page.locator("article.card.critical").first
    expect(critical.locator(".severity")).to_have_text(reader.words("severity_critical"))
    shape = critical.locator(".severity svg").inner_html()
    with_cards(reader)
    warning = reader.page.locator("article.card.warning").first

    expect(warning.locator(".severity")).to_have_text(reader.words("severity_warning"))
    assert warning.locator(".severity svg").inner_html() != shape


def test_wider_spacing_of_text_cuts_nothing_off(read: Read) -> None:
    reader = read("en", "mouse", viewport={"width": 320, "height": 700})
    with_cards(reader)

    # WCAG 2.2, 1.4.12. A constructed sheet: the page's own policy forbids a written one.
    reader.page.evaluate(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; "
            + "word-spacing: .16em !important } p { margin-bottom: 2em !important }");
          document.adoptedStyleSheets = [sheet];
        }"""
    )

    cut = reader.page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((one) => {
          const style = getComputedStyle(one);
          return one.checkVisibility() && !one.closest(".visually-hidden, caption, thead, svg, input, select")
            && style.overflowY === "hidden" && one.scrollHeight > one.clientHeight + 1;
        }).map((one) => one.outerHTML.slice(0, 120))"""
    )
    assert cut == []
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_colours_and_language_that_were_chosen_are_kept(read: Read) -> None:
    reader = read("en", "mouse")
    with_cards(reader)
    light = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")

    reader.page.locator("#theme").select_option("dark")
    dark = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
    reader.page.reload()

    assert dark != light
    expect(reader.page.locator("#theme")).to_have_value("dark")
    assert reader.page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
