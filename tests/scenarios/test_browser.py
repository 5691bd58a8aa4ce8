"""`watchword dev` in a real browser: a stranger's first two minutes."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.needs import chromium_path
from tests.servers import environment, free_port


class Dev:
    """A running `watchword dev` and what it printed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        port = free_port()
        env = environment("", **settings)
        del env["WATCHWORD_SECRET"], env["WATCHWORD_DATABASE_URL"]  # it makes its own
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "watchword", "dev", f"--port={port}"],
            cwd=folder,
            env=env | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.banner = ""
        deadline = time.monotonic() + 30
        while "password" not in self.banner.lower() or self.url not in self.banner:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, self.banner
            assert time.monotonic() < deadline, self.banner
            self.banner += line

    @property
    def login(self) -> tuple[str, str]:
        """The demo user's address and password, as printed."""
        found = re.search(r"(\S+@example\.com)\W+(?:password\W+)?(\S+)", self.banner, re.I)
        assert found, self.banner
        return found[1], found[2]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = chromium_path()
    quiet = [
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    server = Dev(tmp_path, access_ttl="3s", rotation_window="1s")
    yield server
    server.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a fresh profile; any error on its console fails the test."""
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # A refused request shows on the console whatever the page does about it; a broken rule or script does not.
        if message.type == "error" and "status of 401" not in message.text:
            errors.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors


def test_a_stranger_signs_in_stays_signed_in_silently_and_signs_out(dev: Dev, page: Page) -> None:
    """R1, R4, R8, R29, W2: sign in, outlive three access tokens without a word, reload, sign out, be out."""
    email, password = dev.login
    page.goto(dev.url)
    page.wait_for_url("**/auth/?next=/profile")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The login or the password is wrong.")

    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/profile")
    expect(page.get_by_text(email)).to_be_visible()
    assert page.evaluate("document.cookie") == ""  # every token cookie is HttpOnly
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0

    expect(page.locator("#renewed")).to_have_text(re.compile("[4-9] times"), timeout=20_000)
    assert page.url == f"{dev.url}/profile"
    page.reload()
    expect(page.get_by_text(email)).to_be_visible()

    copies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/auth/?next=/profile")
    assert page.context.cookies() == []
    # A copy of them is worth nothing either.
    assert page.request.get(f"{dev.url}/auth/me", headers={"Cookie": copies}).status == 401
    page.goto(f"{dev.url}/profile")
    page.wait_for_url("**/auth/?next=/profile")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_expired_access_token_is_renewed_before_the_sign_in_page_shows_its_form(
    dev: Dev, page: Page
) -> None:
    """R29, W2: who comes back later is signed in at once."""
    email, password = dev.login
    page.goto(f"{dev.url}/auth/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"You are signed in as {email}.")).to_be_visible()
    page.goto("about:blank")
    time.sleep(9)  # access token and leeway
    page.goto(f"{dev.url}/auth/?next=//evil.example")
    expect(page.get_by_text(f"You are signed in as {email}.")).to_be_visible()
    assert page.get_by_role("link", name="Continue").count() == 0  # and nobody is led elsewhere (attack 88)
