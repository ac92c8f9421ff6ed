"""A visit to the page in Chromium, and the faults of it: console, scripts, policy, calls to other hosts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

CHROMIUM = "chromium"
NO_ANSWER = 0
# What the browser itself writes for an answer from 400 up, and for none.
_REFUSED = re.compile(r"Failed to load resource: (?:.* a status of (\d+)|net::ERR_)")
_WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
  `policy: ${event.violatedDirective} forbids ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""


@dataclass
class Visit:
    """A browser window on the page of one service.

    Attributes:
        base: address of the service.
        faults: what must never happen; empty after every test.
        sent: method and path of all requests, in order.
        bodies: path and JSON body of all that was posted, in order.
    """

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    bodies: list[tuple[str, Any]] = field(default_factory=list)

    def open(self, path: str = "/app/") -> Page:
        self.page.goto(self.base + path)
        return self.page

    def posted(self, path_end: str) -> list[Any]:
        """Bodies of the requests that were posted to paths with this end."""
        return [body for path, body in self.bodies if path.endswith(path_end)]


@contextmanager
def visit(browser: Browser, base: str, refusals: Collection[int] = (), **options: Any) -> Iterator[Visit]:
    """A new window without history or storage.

    Args:
        base: address of the service, the only host that may be called.
        refusals: statuses from 400 up that the test brings about, or NO_ANSWER; others are faults.
        options: of the browser context, such as `color_scheme="dark"`.
    """
    context: BrowserContext = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    context.set_default_timeout(15_000)
    context.add_init_script(_WATCH_POLICY)
    page = context.new_page()
    made = Visit(page, base)

    def observer(route: Route) -> None:
        request = route.request
        address = urlsplit(request.url)
        if f"{address.scheme}://{address.netloc}" != base:
            made.faults.append(f"another host was called: {request.method} {request.url}")
            route.abort()
            return
        made.sent.append(f"{request.method} {address.path}")
        if request.method == "POST":
            made.bodies.append((address.path, request.post_data_json))
        route.continue_()

    def console(message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = _REFUSED.match(message.text)
        if not refused or int(refused[1] or NO_ANSWER) not in refusals:
            made.faults.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    context.route("**/*", observer)
    page.on("console", console)
    page.on("pageerror", lambda error: made.faults.append(f"script: {error}"))
    try:
        yield made
    finally:
        context.close()
