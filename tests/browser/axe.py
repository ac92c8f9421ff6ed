"""What axe finds on a page: every rule of WCAG 2.0, 2.1 and 2.2 at A and AA, and its best practices."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.servers.fixtures import PACKAGES, missing

_SCRIPT = PACKAGES / "axe-core" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """
async (tags) => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] });
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary.replaceAll("\\n", " ")}`));
}
"""


def violations(page: Page) -> list[str]:
    """One line for each element that breaks a rule: the rule, where, and what axe says of it."""
    if not page.evaluate("typeof axe === 'object'"):
        if not _SCRIPT.is_file():
            missing("axe is not there. Run: tests/servers/npm-packages")
        # Through the debugger, which the page's policy does not bind.
        page.evaluate(_SCRIPT.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_RUN, _TAGS)
    return found
