"""Every page in every state, in Chromium: for who sees little, on narrow and wide screens, with a quiet console."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.needs import chromium_path, node_modules
from tests.pages.screenshots import house
from tests.pages.tour import SETTINGS, Tour
from tests.scenarios.test_modes import QUIET

WIDTHS = (320, 768, 1280)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = """async (rules) => {
  const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What was found wrong with each state, by kind, and what the consoles said."""
    axe = (node_modules() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    found: dict[str, Any] = {"accessibility": {}, "width": {}, "strangers": []}
    with house(**SETTINGS) as dev, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        tour = Tour(dev, browser)
        for name, page in tour.each():
            found["accessibility"][name] = _violations(page, axe)
            found["width"][name] = _overflows(page)
            found["strangers"] += _strangers(page, dev.url)
        found["console"] = tour.errors
        page = browser.new_page()
        page.set_content(
            '<html lang="en"><title>x</title><main><h1>x</h1><p>hard to read</p><input><div>wide</div></main>'
        )
        page.add_style_tag(content="p { color: #777; background: #888 } div { width: 800px }")
        found["control"] = _violations(page, axe), _overflows(page)
        browser.close()
    return found


def _violations(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    page.emulate_media(color_scheme="light")
    light: list[str] = page.evaluate(AXE, RULES)
    page.emulate_media(color_scheme="dark")
    dark: list[str] = page.evaluate(AXE, ["color-contrast"])  # all that differs
    return [*light, *(f"in the dark, {violation}" for violation in dark)]


def _overflows(page: Page) -> list[int]:
    """The widths at which something stands beyond the edge of the screen."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append(width)
    return found


def _strangers(page: Page, url: str) -> list[str]:
    """What the page has loaded from elsewhere."""
    names: list[str] = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    return [name for name in names if not name.startswith(f"{url}/")]


def test_no_page_fails_an_accessibility_rule_in_light_or_dark(seen: dict[str, Any]) -> None:
    """DESIGN §4.8: WCAG 2.2 AA as far as a program can tell (axe-core), and its best practices."""
    assert {name: told for name, told in seen["accessibility"].items() if told} == {}


def test_no_page_is_wider_than_its_screen(seen: dict[str, Any]) -> None:
    """WCAG 1.4.10: 320 pixels and up."""
    assert {name: widths for name, widths in seen["width"].items() if widths} == {}


def test_nothing_complains_on_a_console_and_nothing_is_asked_of_strangers(seen: dict[str, Any]) -> None:
    """ASVS 3.4.3, 14.2.3, 3.6.1: no rule of the policy is broken, no script fails, no third party is told of
    visitors."""
    assert (seen["console"], seen["strangers"]) == ([], [])


def test_a_page_that_is_at_fault_is_found(seen: dict[str, Any]) -> None:
    """What finds nothing elsewhere finds a field without a label, grey on grey, and a box wider than a screen."""
    told, widths = seen["control"]
    assert {"label", "color-contrast"} <= {violation.partition(":")[0] for violation in told}
    assert widths == [320, 768]


def test_the_tour_is_of_every_page(seen: dict[str, Any]) -> None:
    """So that a new page is not left out: each template of a page begins some state's name."""
    states = seen["width"].keys()
    pages = {
        "sign-in",
        "sign-up",
        "verify",
        "address",
        "forgot",
        "reset",
        "account",
        "inbox",
        "promises",
        "profile",
    }
    assert pages <= states
