"""examples/plain in Chromium."""

from __future__ import annotations

from playwright.async_api import expect

from tests.examples.stage import EMAIL, PATIENCE, chromium, running, sign_in, tell_of_notes


async def test_the_story_is_told_in_plain_html() -> None:
    """R4, R8, R34, R38, W2."""
    async with running("plain", access_ttl="1s") as url, chromium() as context:
        page = await context.new_page()
        await page.goto(f"{url}/")
        await sign_in(page, "not the password")
        await expect(page.get_by_role("alert")).not_to_be_empty(timeout=PATIENCE)
        await expect(page.get_by_label("Email")).to_have_value(EMAIL)  # a typo costs no address
        await page.close()
        await tell_of_notes(context, f"{url}/")
        cookies = await context.cookies()
        assert {cookie.get("name") for cookie in cookies} <= {"device"}, "and nothing of a session is left"
