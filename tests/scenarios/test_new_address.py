"""Somebody moves to another address, in a real browser at a telephone's width: asked for, the mail, the page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.needs import chromium_path
from tests.scenarios.houses import Dev
from tests.scenarios.test_modes import QUIET

NEW = "somebody.else@example.com"
LINK = re.compile(r"http://\S+/auth/address#(wwc_[A-Za-z0-9_-]{43})")


@pytest.fixture
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """With everything that a page could get wrong: other keys, tokens against forgery, a mode with a body."""
    house = Dev(tmp_path_factory.mktemp("dev"), mode="hybrid", csrf="token", field_case="camel")
    try:
        house.ready()
        yield house
    finally:
        house.process.terminate()
        house.stop()


def fits(page: Page) -> None:
    """Nothing stands beyond the edge of the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def sign_in(page: Page, dev: Dev, email: str, password: str) -> None:
    page.goto(f"{dev.url}/auth/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_a_link_from_the_mail_moves_the_account(dev: Dev) -> None:
    """DESIGN §4.8; attacks 76, 77: nothing happens before the button, and the token is in no address asked for."""
    email, password = dev.login
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        context = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme="dark")
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        sign_in(page, dev, email, password)
        expect(page.get_by_text(f"You are signed in as {email}.")).to_be_visible()
        page.get_by_role("link", name="Your account").click()
        page.get_by_role("button", name="Change address").click()
        page.get_by_label("New email address").fill(NEW)
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"A link is on its way to {NEW}.")).to_be_visible()
        fits(page)

        page.goto(f"{dev.url}/auth/dev/inbox")
        found = LINK.search(html.unescape(page.content()))
        assert found is not None
        page.goto(found[0])
        button = page.get_by_role("button", name="Confirm the address")
        expect(button).to_be_focused()
        assert page.url == f"{dev.url}/auth/address"
        fits(page)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("has been changed")
        fits(page)

        page.goto(found[0])
        button.click()
        expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("was used already")
        fits(page)
        page.goto(f"{dev.url}/auth/dev/inbox")
        expect(page.get_by_role("heading", name="was changed").first).to_be_visible()
        elsewhere = browser.new_context().new_page()
        sign_in(elsewhere, dev, NEW, password)
        expect(elsewhere.get_by_text(f"You are signed in as {NEW}.")).to_be_visible()
        browser.close()
    assert not [url for url in asked if found[1] in url]
