"""The second step in a real browser: `watchword dev` with its inbox."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from tests.needs import chromium_path
from tests.scenarios.houses import Dev
from tests.scenarios.test_modes import QUIET


@pytest.fixture
def page() -> Iterator[Page]:
    """A page on whose console no script and no rule complains."""
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # A refused request shows on the console whatever the page does about it; a broken rule or script does not.
        if message.type == "error" and not re.search("status of (401|429)", message.text):
            errors.append(message.text)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        page = browser.new_context().new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert errors == []


def test_a_second_step_is_asked_for_sent_again_and_taken(tmp_path: Path, page: Page) -> None:
    """R34–R36, attacks 55, 58, 60: wrong code, right code, and a login that is given up."""
    dev = Dev(tmp_path, two_factor="required")
    try:
        dev.ready()
        email, password = dev.login
        page.goto(f"{dev.url}/auth/")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        field = page.get_by_label("Code")
        expect(field).to_be_focused()
        expect(page.get_by_text("It is good for 10 minutes.")).to_be_visible()
        assert (field.get_attribute("autocomplete"), field.get_attribute("inputmode")) == (
            "one-time-code",
            "numeric",
        )
        code = code_in_inbox(page, dev)
        field.fill(f"{(int(code) + 1) % 1_000_000:06d}")
        page.keyboard.press("Enter")
        expect(page.locator("#code-error")).to_have_text("The code is wrong.")
        page.get_by_role("button", name="Send another code").click()
        expect(page.locator("#code-error")).to_have_text(re.compile(r"Try again in \d+ seconds?\."))
        page.get_by_role("button", name="Start over").click()
        expect(page.get_by_label("Password")).to_be_focused()
        assert page.context.cookies() == []

        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        expect(field).to_be_focused()
        field.fill(f" {code_in_inbox(page, dev)} ")
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"You are signed in as {email}.")).to_be_visible()
        assert {cookie["name"] for cookie in page.context.cookies()} == {"access_token", "refresh_token"}
        assert page.evaluate("document.cookie") == ""
    finally:
        dev.process.terminate()
        dev.stop()


def code_in_inbox(page: Page, dev: Dev) -> str:
    """The newest code that the development inbox shows."""
    inbox = page.context.new_page()
    inbox.goto(f"{dev.url}/auth/dev/inbox")
    found = re.search(r"(?<![0-9])[0-9]{6}(?![0-9])", inbox.locator("main").inner_text())
    inbox.close()
    assert found
    return found[0]
