"""Somebody signs up, in a real browser at a telephone's width: the form, the mail in the inbox, the link, signed in."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.needs import chromium_path
from tests.scenarios.houses import Dev
from tests.scenarios.test_modes import QUIET

EMAIL, PASSWORD = "new.person@example.com", "an entirely new engine"
LINK = re.compile(r"http://\S+/auth/verify#(wwc_[A-Za-z0-9_-]{43})")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """With everything that a page could get wrong: other keys, tokens against forgery, a mode with a body."""
    house = Dev(tmp_path_factory.mktemp("dev"), mode="hybrid", csrf="token", field_case="camel")
    try:
        house.ready()
        yield house
    finally:
        house.process.terminate()
        house.stop()


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    """A narrow screen in the dark, on whose console nothing complains but what is refused on purpose."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        opened = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme="dark")
        opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        opened.on("weberror", lambda error: errors.append(str(error.error)))
        yield opened
        browser.close()
    assert not [error for error in errors if not re.search("status of (401|403|422)", error)]


def fits(page: Page) -> None:
    """Nothing stands beyond the edge of the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def links(page: Page, dev: Dev) -> list[tuple[str, str]]:
    """The links in the inbox, newest first, and their tokens."""
    page.goto(f"{dev.url}/auth/dev/inbox")
    found = LINK.finditer(html.unescape(page.locator("main").inner_text()))
    return [(link[0], link[1]) for link in found]


def sign_up(page: Page, dev: Dev, password: str) -> None:
    """By keyboard alone, from the sign-in page."""
    page.goto(f"{dev.url}/auth/")
    page.get_by_role("link", name="Sign up").press("Enter")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def sign_in(page: Page, dev: Dev, password: str) -> None:
    page.goto(f"{dev.url}/auth/")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_who_signs_up_confirms_their_address_and_signs_in(dev: Dev, context: BrowserContext) -> None:
    """DESIGN §4.8; attacks 75, 77: not with a stranger's link, and the token is in no address that is asked for."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    sign_up(page, dev, "password1")
    expect(page.get_by_role("alert")).to_contain_text("first that anybody")
    expect(page.get_by_label("Password")).to_be_focused()
    fits(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"our mail to {EMAIL}")
    expect(page.get_by_role("status")).to_be_focused()
    fits(page)
    sign_up(page, dev, "what a stranger chose")
    expect(page.get_by_role("status")).to_contain_text(f"our mail to {EMAIL}")

    sign_in(page, dev, PASSWORD)
    expect(page.get_by_role("status")).to_contain_text("has not been confirmed yet")
    fits(page)
    page.get_by_role("link", name="ask for another").click()
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("is on its way")
    fits(page)

    (_, again), (strangers, _), (own, token) = links(page, dev)
    page.goto(strangers)
    expect(page.get_by_label("Password")).to_be_focused()
    assert page.url == f"{dev.url}/auth/verify"
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("not the password")
    expect(page.get_by_label("Password")).to_be_focused()
    fits(page)
    page.goto(own)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your address is confirmed.")).to_be_visible()
    fits(page)
    page.keyboard.press("Enter")  # the link to the sign-in page has the focus
    expect(page).to_have_url(f"{dev.url}/auth/")

    page.goto(strangers)  # over, with all the others
    page.get_by_label("Password").fill("what a stranger chose")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(visible=True)).to_contain_text("was used already")
    first = page.get_by_role("link", name="Sign in", exact=True).filter(visible=True)
    expect(first).to_be_focused()
    expect(page.get_by_text("if you have confirmed your address already")).to_be_visible()
    fits(page)
    sign_in(page, dev, "what a stranger chose")
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("wrong")
    sign_in(page, dev, PASSWORD)
    expect(page.get_by_text(f"You are signed in as {EMAIL}.")).to_be_visible()
    assert not [url for url in asked if token in url or again in url]
    assert page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]") == []


def test_who_has_an_account_learns_so_from_the_mail_alone(dev: Dev, context: BrowserContext) -> None:
    """Attack 65: the page says what it says to everybody."""
    page = context.new_page()
    email, _ = dev.login
    page.goto(f"{dev.url}/auth/sign-up")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"our mail to {email}")
    page.goto(f"{dev.url}/auth/dev/inbox")
    expect(page.get_by_role("heading", name="You have an account at").first).to_be_visible()


def test_a_link_without_its_token_leads_to_another(dev: Dev, context: BrowserContext) -> None:
    """Attack 77: a mail program cut it off, or somebody reloaded."""
    page = context.new_page()
    page.goto(f"{dev.url}/auth/verify")
    expect(page.get_by_role("button", name="Send another link")).to_be_visible()
    fits(page)
    page.evaluate("location.hash = 'wwc_x'")
    expect(page.get_by_label("Password")).to_be_visible()
    assert page.url == f"{dev.url}/auth/verify"
