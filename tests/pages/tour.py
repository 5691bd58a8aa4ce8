"""Every page of ours in every state that it has, in a real browser over `watchword dev`: for tests, and for pictures.

A state is reached as a visitor reaches it. `each` yields one after the other, the page standing in it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.scenarios.houses import Dev

LINK = re.compile(r"http://\S+/auth/(?:verify|reset|address)#wwc_[A-Za-z0-9_-]{43}")
NO_LINK = "#wwc_" + "x" * 43
SOMEBODY, THEIR_PASSWORD = "grace@example.com", "an entirely new engine"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
SETTINGS = {"two_factor": "optional"}
"""What the house must be set to."""


@dataclass
class Tour:
    """A browser in front of a house. `errors` is what consoles complained of, but for requests refused on purpose."""

    house: Dev
    browser: Browser
    language: str = "en"

    def __post_init__(self) -> None:
        self.errors: list[str] = []

    def context(self, **options: Any) -> BrowserContext:
        """A new browser, as far as a server can tell."""
        context = self.browser.new_context(
            locale=self.language, viewport={"width": 1280, "height": 800}, reduced_motion="reduce", **options
        )
        context.on("console", lambda said: self._heard(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        return context

    def _heard(self, text: str) -> None:
        # A refused request shows on the console whatever the page does about it; a broken rule or script does not.
        if not re.search("status of (401|403|422|503)|INTERNET_DISCONNECTED", text):
            self.errors.append(text)

    def goto(self, page: Page, path: str) -> None:
        page.goto(f"{self.house.url}{path}")

    def sign_in(self, page: Page, path: str = "/auth/") -> None:
        email, password = self.house.login
        self.goto(page, path)
        page.locator("#email").fill(email)
        page.locator("#password").fill(password)
        page.keyboard.press("Enter")

    def each(self) -> Iterator[tuple[str, Page]]:
        """The name of each state and the page in it. Afterwards the house is as it was, but for mail and events."""
        inbox = self.context().new_page()
        self.goto(inbox, "/auth/dev/inbox")
        yield "inbox-empty", inbox
        guest = self.context()
        for name, reach in _AS_GUEST.items():
            page = guest.new_page()
            reach(self, page)
            yield name, page
            page.close()
        phone = self.context(user_agent=PHONE)
        self.sign_in(phone.new_page())
        expect(phone.pages[0].locator("#who")).to_be_visible()
        member = self.context()
        page = member.new_page()
        self.sign_in(page)
        expect(page.locator("#who")).to_be_visible()
        yield "signed-in", page
        for name, reach in _AS_MEMBER.items():
            reach(self, page)
            yield name, page
        yield from self._second_step(page)
        inbox.reload()
        yield "inbox", inbox
        for context in (guest, phone, member, inbox.context):
            context.close()

    def _second_step(self, page: Page) -> Iterator[tuple[str, Page]]:
        """Turned on, asked for, and turned off again."""
        self.goto(page, "/auth/account")
        page.locator("#two-step").click()
        expect(page.locator("#two-step-told")).not_to_be_empty()
        other = self.context().new_page()
        self.sign_in(other)
        expect(other.locator("#code")).to_be_focused()
        yield "code", other
        other.locator("#code").fill("000000")
        other.locator("#code").press("Enter")
        expect(other.locator("#code-error")).not_to_be_empty()
        yield "code-wrong", other
        other.context.close()
        page.locator("#two-step").click()
        expect(page.locator("#two-step-since")).to_be_hidden()


def _sign_in(tour: Tour, page: Page) -> None:
    tour.goto(page, "/auth/")
    expect(page.locator("#email")).to_be_focused()


def _sign_in_wrong(tour: Tour, page: Page) -> None:
    _sign_in(tour, page)
    page.locator("#email").fill(tour.house.login[0])
    page.locator("#password").fill("not the password")
    page.locator("#password").press("Enter")
    expect(page.locator("#error")).not_to_be_empty()


def _sign_in_offline(tour: Tour, page: Page) -> None:
    _sign_in(tour, page)
    page.context.set_offline(True)
    page.locator("#email").fill(tour.house.login[0])
    page.locator("#password").fill(tour.house.login[1])
    page.locator("#password").press("Enter")
    expect(page.locator("#error")).not_to_be_empty()
    page.context.set_offline(False)


def _sign_up(tour: Tour, page: Page) -> None:
    tour.goto(page, "/auth/sign-up")
    expect(page.locator("#email")).to_be_focused()


def _sign_up_wrong(tour: Tour, page: Page) -> None:
    _sign_up(tour, page)
    page.locator("#email").fill(SOMEBODY)
    page.locator("#password").fill("password1")
    page.locator(".reveal").click()
    page.locator("#password").press("Enter")
    expect(page.locator("#error")).not_to_be_empty()


def _sign_up_sent(tour: Tour, page: Page) -> None:
    _sign_up(tour, page)
    page.locator("#email").fill(SOMEBODY)
    page.locator("#password").fill(THEIR_PASSWORD)
    page.locator("#password").press("Enter")
    expect(page.locator("#told")).to_be_focused()


def _unverified(tour: Tour, page: Page) -> None:
    _sign_in(tour, page)
    page.locator("#email").fill(SOMEBODY)
    page.locator("#password").fill(THEIR_PASSWORD)
    page.locator("#password").press("Enter")
    expect(page.locator("#unverified")).not_to_be_empty()


def _verify_over(tour: Tour, page: Page) -> None:
    tour.goto(page, f"/auth/verify{NO_LINK}")
    page.locator("#password").fill(THEIR_PASSWORD)
    page.locator("#password").press("Enter")
    expect(page.locator("#perhaps")).to_be_visible()


def _verified(tour: Tour, page: Page) -> None:
    page.goto(mailed(tour, page))
    page.locator("#password").fill(THEIR_PASSWORD)
    page.locator("#password").press("Enter")
    expect(page.locator("[data-part=done]")).to_be_visible()


def _forgot_sent(tour: Tour, page: Page) -> None:
    tour.goto(page, "/auth/forgot")
    page.locator("#email").fill(SOMEBODY)
    page.locator("#email").press("Enter")
    expect(page.locator("#told")).to_be_focused()


def _opened(path: str, ready: str) -> Callable[[Tour, Page], None]:
    def reach(tour: Tour, page: Page) -> None:
        tour.goto(page, path)
        expect(page.locator(ready)).to_be_visible()

    return reach


def _account(tour: Tour, page: Page) -> None:
    tour.goto(page, "/auth/account")
    expect(page.locator("#device-list li")).to_have_count(2)
    expect(page.locator("#event-list li").first).to_be_visible()
    expect(page.locator("#two-step")).to_be_visible()


def _account_forms(tour: Tour, page: Page) -> None:
    _account(tour, page)
    page.locator("[data-opens=password-form]").click()
    page.locator("[data-opens=address-form]").click()
    expect(page.locator("#new-email")).to_be_focused()


def _account_proof(tour: Tour, page: Page) -> None:
    _account(tour, page)
    page.route("**/auth/sessions/*", _too_old)
    page.locator("#device-list button").last.click()
    expect(page.locator("#proof")).to_be_focused()


def _account_proof_by_code(tour: Tour, page: Page) -> None:
    page.locator("#prove-by-code").click()
    expect(page.locator("#proof-code")).to_be_focused()


def _account_sure(tour: Tour, page: Page) -> None:
    page.unroute("**/auth/sessions/*")
    _account(tour, page)
    page.locator("#delete-open").click()
    expect(page.locator("#sure")).to_be_visible()


def _promises_race(tour: Tour, page: Page) -> None:
    tour.goto(page, "/auth/dev/promises#race-title")
    page.locator("#race").click()
    expect(page.locator("#race-told")).not_to_be_empty()


def _too_old(route: Any) -> None:
    """What the server says to a sign-in of more than five minutes ago."""
    body = '{"code": "reauthentication_required", "status": 401, "title": "", "detail": "", "type": ""}'
    route.fulfill(status=401, content_type="application/problem+json", body=body)


def mailed(tour: Tour, page: Page) -> str:
    """The newest link in the inbox."""
    tour.goto(page, "/auth/dev/inbox")
    found = LINK.search(html.unescape(page.content()))
    assert found
    return found[0]


_AS_GUEST: dict[str, Callable[[Tour, Page], None]] = {
    "sign-in": _sign_in,
    "sign-in-wrong": _sign_in_wrong,
    "sign-in-offline": _sign_in_offline,
    "sign-up": _sign_up,
    "sign-up-wrong": _sign_up_wrong,
    "sign-up-sent": _sign_up_sent,
    "unverified": _unverified,
    "verify": _opened(f"/auth/verify{NO_LINK}", "#password"),
    "verify-another": _opened("/auth/verify", "#another button"),
    "verify-over": _verify_over,
    "verified": _verified,
    "forgot": _opened("/auth/forgot", "#email"),
    "forgot-sent": _forgot_sent,
    "reset": _opened(f"/auth/reset{NO_LINK}", "#password"),
    "reset-cut": _opened("/auth/reset", "#why"),
    "address": _opened(f"/auth/address{NO_LINK}", "#form button"),
    "address-cut": _opened("/auth/address", "#why"),
}
_AS_MEMBER: dict[str, Callable[[Tour, Page], None]] = {
    "account": _account,
    "account-forms": _account_forms,
    "account-proof": _account_proof,
    "account-proof-by-code": _account_proof_by_code,
    "account-sure": _account_sure,
    "profile": _opened("/profile", "#facts"),
    "promises": _opened("/auth/dev/promises", "#promises"),
    "promises-race": _promises_race,
}
