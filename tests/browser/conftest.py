"""Fixtures of the browser tests: Chromium, the served page, and visits that must end without a fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.reader import LOCALES, Hand, Language, Reader
from tests.browser.service_process import served
from tests.browser.visit import CHROMIUM, Visit, visit
from tests.servers.fixtures import missing

# Milliseconds; only tests that fail wait so long, and a busy machine takes its time.
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright.

    One for each module: while it runs, its event loop would be in the way of tests that have one of their own.
    """
    program = shutil.which(CHROMIUM)
    if program is None:
        missing("chromium is not installed. Run: .ci/install")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service with its sandbox."""
    with served(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture
def visits(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Makes visits; all of them must end without a fault: `visits(base, color_scheme="dark")`."""
    made: list[Visit] = []
    with ExitStack() as opened:

        def make(address: str, **options: Any) -> Visit:
            made.append(opened.enter_context(visit(chromium, address, **options)))
            return made[-1]

        yield make
    assert [fault for each in made for fault in each.faults] == []


@pytest.fixture
def read(visits: Callable[..., Visit], base: str) -> Callable[..., Reader]:
    """Makes readers of the page, with a patient of the sandbox open if one is named."""

    def begin(language: Language, hand: Hand, patient: str | None = None, **options: Any) -> Reader:
        reader = Reader(visits(base, locale=LOCALES[language], **options), language, hand)
        reader.visit.open(f"/app/?server=sandbox&patient={patient}" if patient else "/app/")
        return reader

    return begin
