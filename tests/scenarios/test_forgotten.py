"""Somebody has forgotten their password: told in a browser, on a telephone's width, from the sign-in page and back."""

import asyncio
import html
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.needs import chromium_path
from tests.scenarios.houses import Dev
from tests.scenarios.story import PATIENCE, Witness
from tests.scenarios.test_modes import QUIET

NEW = "an entirely new engine"
LINK = re.compile(r"http://\S+/auth/reset#(wwc_[A-Za-z0-9_-]{43})")
LUMINANCE = """getComputedStyle(document.body).backgroundColor
  .match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b)"""


@pytest.fixture(scope="module", params=["cookies", "hybrid, in other words"])
async def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Dev]:
    words = {"mode": "hybrid", "csrf": "token", "field_case": "camel"}
    settings = {"mode": "cookies"} if request.param == "cookies" else words
    dev = Dev(tmp_path_factory.mktemp("dev"), **settings)
    try:
        await asyncio.to_thread(dev.ready)
        yield dev
    finally:
        dev.process.terminate()
        dev.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=QUIET)
        yield launched
        await launched.close()


async def fits(page: Page) -> None:
    """Nothing stands beyond the edge of the screen."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def mailed(page: Page, house: Dev) -> tuple[str, str]:
    """The link that the newest message holds, and its token."""
    await page.goto(f"{house.url}/auth/dev/inbox")
    found = LINK.search(html.unescape(await page.content()))
    assert found
    return found[0], found[1]


async def test_who_forgot_their_password_sets_another_and_signs_in(house: Dev, browser: Browser) -> None:
    """DESIGN §4.8; ASVS 14.2.1, attack 77: the token is in no address that is asked for, and in no bar."""
    context = await browser.new_context(viewport={"width": 320, "height": 640}, color_scheme="dark")
    witness = Witness()
    witness.follow(context)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    email, password = house.login
    page = await context.new_page()
    await page.goto(f"{house.url}/auth/")
    await page.get_by_role("link", name="Forgot password?").click(timeout=PATIENCE)
    await page.get_by_label("Email").fill(email, timeout=PATIENCE)
    await fits(page)
    assert await page.evaluate(LUMINANCE) < 200
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("on its way", timeout=PATIENCE)
    await fits(page)

    link, token = await mailed(page, house)
    await page.goto(link)
    await expect(page.get_by_label("New password")).to_be_focused(timeout=PATIENCE)
    assert page.url == f"{house.url}/auth/reset"
    await fits(page)
    await page.get_by_label("New password").fill("password1")
    await page.keyboard.press("Enter")
    await expect(page.locator("#error")).to_contain_text("first that anybody", timeout=PATIENCE)
    await page.get_by_label("New password").fill(NEW)
    await page.get_by_role("button", name="Show").click()
    assert await page.locator("#password").get_attribute("type") == "text"
    await page.get_by_label("New password").press("Enter")
    await expect(page.get_by_text("Your password has been set.")).to_be_visible(timeout=PATIENCE)
    await fits(page)
    assert not [url for url in asked if token in url]
    assert await page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]") == []

    await page.goto(link)  # once more, from the mail
    await page.get_by_label("New password").fill(f"{NEW}, again", timeout=PATIENCE)
    await page.keyboard.press("Enter")
    await expect(page.locator("#why")).to_contain_text("was used already", timeout=PATIENCE)
    await fits(page)

    await page.goto(f"{house.url}/auth/")
    for tried in (password, NEW):
        await page.get_by_label("Email").fill(email, timeout=PATIENCE)
        await page.get_by_label("Password", exact=True).fill(tried)
        await page.keyboard.press("Enter")
        if tried == password:
            await expect(page.locator("#error")).to_contain_text("wrong", timeout=PATIENCE)
    await expect(page.get_by_text(f"You are signed in as {email}.")).to_be_visible(timeout=PATIENCE)
    assert all("status of 422" in error for error in witness.errors)  # a password that was refused
    await context.close()


async def test_a_link_without_its_token_says_so_and_another_one_opens_over_it(
    house: Dev, browser: Browser
) -> None:
    """Attack 77: a mail program cut it off, or somebody reloaded; light, as the system says."""
    context = await browser.new_context(viewport={"width": 320, "height": 640}, color_scheme="light")
    page = await context.new_page()
    await page.goto(f"{house.url}/auth/reset")
    await expect(page.get_by_role("alert").filter(visible=True)).to_contain_text(
        "not complete", timeout=PATIENCE
    )
    assert await page.evaluate(LUMINANCE) > 600
    await fits(page)
    await page.evaluate("location.hash = 'wwc_x'")
    await expect(page.get_by_label("New password")).to_be_visible(timeout=PATIENCE)
    assert page.url == f"{house.url}/auth/reset"
    await page.reload()
    await expect(page.get_by_role("link", name="Ask for another link")).to_be_visible(timeout=PATIENCE)
    await context.close()
