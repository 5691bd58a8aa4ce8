"""examples/plain in Chromium."""

from __future__ import annotations

from tests.examples.stage import chromium, running, tell_of_notes


async def test_the_story_is_told_in_plain_html() -> None:
    """R4, R8, R34, R38, W2."""
    async with running("plain", access_ttl="1s") as url, chromium() as context:
        await tell_of_notes(context, f"{url}/")
        cookies = await context.cookies()
        assert {cookie.get("name") for cookie in cookies} <= {"device"}, "and nothing of a session is left"
