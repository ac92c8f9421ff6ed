"""Figures of results over time: read by mouse, by keyboard and as a table; in both units; never by colour alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.reader import Hand, Language, Reader, each_reader

pytestmark = pytest.mark.browser

Read = Callable[..., Reader]
INR_COURSE = "course-inr-vitamin-k"


def figure(reader: Reader, analyte: str) -> Locator:
    return reader.page.locator(f'figure.trend[data-analyte="{analyte}"]')


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_arrow_keys_go_from_result_to_result(read: Read, language: Language) -> None:
    reader = read(language, "keyboard", INR_COURSE)
    inr = figure(reader, "inr")
    points = inr.locator(".trend-point")
    expect(points).to_have_count(11)

    reader.tab_to(points.last)
    expect(inr.locator(".trend-readout")).to_contain_text("1.6")
    for value in ("1.9", "2.4"):
        reader.page.keyboard.press("ArrowLeft")
        expect(inr.locator(".trend-readout")).to_contain_text(value)
    reader.page.keyboard.press("Home")

    expect(points.first).to_be_focused()
    expect(inr.locator(".trend-readout")).to_contain_text("2.4")
    # One stop for Tab, however many results there are.
    reader.page.keyboard.press("Tab")
    assert not inr.locator(".trend-point").evaluate_all("points => points.includes(document.activeElement)")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pointer_tells_the_nearest_result_and_what_was_taken_then(read: Read, language: Language) -> None:
    reader = read(language, "mouse", INR_COURSE)
    inr = figure(reader, "inr")

    inr.locator(".trend-point").nth(9).hover()

    expect(inr.locator(".trend-readout")).to_contain_text("1.9")
    expect(inr.locator(".trend-readout")).to_contain_text("180 µg")


@each_reader
def test_another_unit_changes_numbers_axis_and_limits(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, "b12-and-warfarin")
    b12 = figure(reader, "b12")
    expect(b12.locator(".trend-readout")).to_contain_text("151 pg/mL")

    reader.mark(b12.get_by_role("radio", name="pmol/L"))

    expect(b12.locator(".trend-readout")).to_contain_text("111.4 pmol/L")
    expect(b12.locator(".trend-unit")).to_have_text("pmol/L")
    expect(b12.locator(".trend-limits")).not_to_contain_text("pg/mL")


@each_reader
def test_each_figure_has_its_numbers_in_a_table(read: Read, language: Language, hand: Hand) -> None:
    reader = read(language, hand, INR_COURSE)
    inr = figure(reader, "inr")
    toggle = inr.get_by_role("button", name=reader.words("trend_table"))
    expect(inr.get_by_role("table")).to_have_count(0)

    reader.press(toggle)

    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(inr.get_by_role("table").locator("tbody tr")).to_have_count(11)
    expect(inr.get_by_role("table")).to_contain_text("3.4")


def test_what_lies_out_of_range_has_a_shape_of_its_own(read: Read) -> None:
    reader = read("en", "mouse", INR_COURSE)
    points = figure(reader, "inr").locator(".trend-point")
    expect(points).to_have_count(11)

    shapes = {
        side: set(
            figure(reader, "inr")
            .locator(f".trend-point.{side} path")
            .evaluate_all("all => all.map((one) => `${one.getAttribute('d')} ${one.getAttribute('transform')}`)")
        )
        for side in ("low", "high", "within")
    }

    assert all(shapes.values())
    assert not shapes["low"] & shapes["high"]
    assert not (shapes["low"] | shapes["high"]) & shapes["within"]


def test_vitamin_k_begins_at_the_same_place_in_the_curve_and_in_the_bars(read: Read) -> None:
    reader = read("en", "mouse", INR_COURSE)
    expect(figure(reader, "inr").locator(".trend-point")).to_have_count(11)

    edge = figure(reader, "inr").locator("line.trend-course-edge").bounding_box()
    bar = reader.page.locator('#trends [data-group="vitamin K"] path.trend-course').bounding_box()

    assert edge is not None
    assert bar is not None
    assert abs(edge["x"] - bar["x"]) < 2


@pytest.mark.parametrize("width", [320, 768, 1400])
def test_labels_of_the_time_axis_do_not_run_into_each_other(read: Read, width: int) -> None:
    for language in ("en", "zh"):
        reader = read(language, "mouse", "b12-and-warfarin", viewport={"width": width, "height": 900})
        expect(figure(reader, "inr").locator(".trend-point")).to_have_count(1)

        for drawn in reader.page.locator("#trends figure").all():
            boxes = drawn.locator("g.trend-axis[transform] .tick text").evaluate_all(
                "all => all.map((one) => one.getBoundingClientRect()).map(({left, right, top}) => [top, left, right])"
            )
            rows: dict[int, list[tuple[float, float]]] = {}
            for top, left, right in boxes:
                rows.setdefault(round(top), []).append((left, right))
            for row in rows.values():
                row.sort()
                assert all(one[1] < following[0] for one, following in pairwise(row)), (language, row)


def test_marks_of_the_figures_are_seen_within_the_page_at_320_pixels(read: Read) -> None:
    reader = read("en", "mouse", INR_COURSE, viewport={"width": 320, "height": 800})
    marks = figure(reader, "inr").locator(".trend-point, .trend-limit-letter")
    expect(marks.first).to_be_attached()

    for box in marks.evaluate_all("all => all.map((one) => one.getBoundingClientRect()).map((b) => [b.left, b.right])"):
        assert box[0] >= 0
        assert box[1] <= 320
