"""What people do on the page of their account, in Chromium, in the mode whose keys, tokens and proofs a page could get
wrong; and the promises that the development server keeps before one's eyes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.needs import chromium_path
from tests.pages.tour import PHONE, Tour
from tests.scenarios.houses import Dev
from tests.scenarios.test_modes import QUIET

NEW = "an entirely new engine"
PATIENCE = 30_000
"""Milliseconds for what waits on a rotation window, or hashes, on a machine that has other things to do."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="module")
def house(folder: Path) -> Iterator[Dev]:
    words = {"mode": "hybrid", "csrf": "token", "field_case": "camel"}
    dev = Dev(folder, two_factor="optional", rotation_window="1s", **words)
    try:
        dev.ready()
        yield dev
    finally:
        dev.process.terminate()
        dev.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def tour(house: Dev, browser: Browser) -> Iterator[Tour]:
    tour = Tour(house, browser)
    yield tour
    for context in browser.contexts:
        context.close()
    assert tour.errors == []


def account(tour: Tour, **options: str) -> Page:
    """A browser that is signed in and shows the account."""
    page = tour.context(**options).new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(PATIENCE)
    tour.sign_in(page, "/auth/?next=/auth/account")
    expect(page.locator("#event-list li").first).to_be_visible()
    return page


def age_sign_ins(folder: Path) -> None:
    """As if everybody had signed in ten minutes ago: a proof is good for five."""
    with sqlite3.connect(folder / ".watchword" / "dev.db", timeout=10) as database:
        database.execute("UPDATE ww_session SET auth_time = auth_time - 600000000")
    database.close()


def test_a_device_is_signed_out_after_a_proof_in_place(tour: Tour, folder: Path) -> None:
    """DESIGN §4.8; R25: what was asked for waits for the proof and then is done; the other device is out."""
    phone = account(tour, user_agent=PHONE)
    page = account(tour)
    age_sign_ins(folder)
    row = page.locator("#device-list li", has_text="Safari on iPhone")
    row.get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row).to_have_count(1)  # somebody thought better of it
    row.get_by_role("button").click()
    page.locator("#proof").fill("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("This is not your password.")
    page.locator("#proof").fill(tour.house.login[1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(visible=True)).to_contain_text("Safari on iPhone is signed out.")
    expect(row).to_have_count(0)
    phone.reload()
    expect(phone.get_by_role("button", name="Sign in")).to_be_visible()
    assert phone.url.endswith("/auth/?next=/auth/account")


def test_a_code_proves_it_too(tour: Tour, folder: Path) -> None:
    """DESIGN §5: POST /reauthenticate/code, for who would have to look the password up."""
    phone, page = account(tour, user_agent=PHONE), account(tour)
    age_sign_ins(folder)
    page.get_by_role("button", name="Sign out all other devices").click()
    page.get_by_role("button", name="Send me a code instead").click()
    expect(page.locator("#proof-code")).to_be_focused()
    inbox = page.context.new_page()
    tour.goto(inbox, "/auth/dev/inbox")
    page.locator("#proof-code").fill(inbox.locator("[data-code]").first.get_attribute("data-code") or "")
    page.locator("#proof-code").press("Enter")
    expect(page.locator("#devices-told")).to_have_text("All other devices are signed out.")
    expect(page.locator("#device-list li")).to_have_count(1)
    phone.reload()
    expect(phone.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_second_step_is_turned_on_and_off(tour: Tour) -> None:
    """R34: and the page tells what is on."""
    page = account(tour)
    state, button = page.locator("#two-step-state"), page.locator("#two-step")
    expect(state).to_have_text("Off")
    button.click()
    expect(state).to_have_text("On")
    told = page.locator("#event-list li", has_text="The second step was turned on")
    expect(told.first).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile("^On since "))).to_be_visible()
    button.click()
    expect(state).to_have_text("Off")


def test_a_changed_password_is_told_and_the_old_one_is_worth_nothing(tour: Tour) -> None:
    """ASVS 6.2.2, 6.2.3: the current one is asked for; a wrong one is told where it stands."""
    _, password = tour.house.login
    page = account(tour)
    page.get_by_role("button", name="Change password").click()
    for current, new, told in (
        ("not the password", NEW, "This is not your current password."),
        (password, "password1", "This is among the first that anybody would try."),
    ):
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password").fill(new)
        page.keyboard.press("Enter")
        expect(page.locator("#password-error")).to_have_text(told)
    expect(page.get_by_label("New password")).to_be_focused()
    page.get_by_label("New password").fill(NEW)
    page.keyboard.press("Enter")
    expect(page.locator("#password-told")).to_contain_text("has been changed")
    page.get_by_role("button", name="Change password").click()
    page.get_by_label("Current password").fill(NEW)
    page.get_by_label("New password").fill(password)
    page.keyboard.press("Enter")
    expect(page.locator("#password-told")).to_contain_text("has been changed")


def test_who_cannot_reach_the_server_is_told_and_loses_nothing(tour: Tour) -> None:
    """R29: what was typed stays, and is sent when the network is back."""
    page = account(tour)
    page.get_by_role("button", name="Change address").click()
    field = page.get_by_label("New email address")
    field.fill("ada@example.com")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("#address-error")).to_contain_text("You are offline. Nothing is lost")
    expect(field).to_have_value("ada@example.com")
    page.context.set_offline(False)
    page.keyboard.press("Enter")
    expect(page.get_by_text("A link is on its way to ada@example.com.")).to_be_visible()


def test_a_visitor_is_spoken_to_in_their_language(house: Dev, browser: Browser) -> None:
    """DESIGN §4.8: refusals too, by their code."""
    tour = Tour(house, browser, "de-AT")
    page = tour.context().new_page()
    tour.goto(page, "/auth/")
    page.get_by_label("E-Mail").fill("nobody@example.com")
    page.locator("#password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Die Adresse oder das Passwort ist falsch.")
    page.context.close()


def test_the_race_and_the_theft_are_what_the_promises_say(tour: Tour) -> None:
    """Attacks 33, 36: ten refreshes of one token at once, and a copy that is used later."""
    page = account(tour)
    tour.goto(page, "/auth/dev/promises")
    page.get_by_role("button", name="Race").click()
    expect(page.locator("#race-told")).to_have_text("10 of 10 answers are new tokens. Still signed in.")
    expect(page.locator(".lanes li")).to_have_count(10)
    page.get_by_role("button", name="Let it be stolen").click()
    expect(page.locator("#theft-told")).to_contain_text("Caught.")
    expect(page.locator("[data-step=replayed]")).to_contain_text("401 refresh_reused")
    page.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    tour.goto(page, "/auth/dev/inbox")
    expect(page.get_by_text("Somebody has used an old token of one of your sessions").first).to_be_visible()


def test_an_account_is_deleted_for_good(tour: Tour, folder: Path) -> None:
    """DESIGN §5: asked twice, proved, and gone; what another tab does meanwhile is made up for.
    Comes last: the demo user goes."""
    page = account(tour)
    age_sign_ins(folder)
    page.get_by_role("button", name="Delete account").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator("#proof")).to_be_focused()
    other = page.context.new_page()
    tour.goto(other, "/auth/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.locator("#email")).to_be_focused()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    tour.sign_in(other)
    page.get_by_role("link", name="Continue").click()  # offered as the other tab has signed in
    expect(page.locator("#account")).to_be_visible()
    age_sign_ins(folder)
    page.get_by_role("button", name="Delete account").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#account")).to_be_visible()
    page.get_by_role("button", name="Delete account").click()
    page.get_by_role("button", name="Delete for good").click()
    page.locator("#proof").fill(tour.house.login[1])
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your account has been deleted.")).to_be_focused()
    tour.sign_in(page)
    expect(page.locator("#error")).to_have_text("The login or the password is wrong.")
