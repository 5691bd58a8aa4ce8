"""Pages that a server renders, in Chromium: no script refreshes anything, and nobody is signed out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Response, async_playwright, expect

from tests.needs import chromium_path
from tests.scenarios.houses import Own
from tests.scenarios.rendered_page import PARTS
from tests.scenarios.story import held
from tests.scenarios.test_modes import QUIET
from tests.servers import EMAIL, PASSWORD
from tests.servers import Browser as Client

SHORT = {"mode": "cookies", "access_ttl": "1s"}


@dataclass
class Town:
    """A browser, and the app twice: with the refresh cookie Lax and, as it is by default, Strict."""

    browser: Browser
    houses: dict[str, Own]

    @asynccontextmanager
    async def visiting(self, same_site: str = "Lax") -> AsyncIterator[tuple[str, BrowserContext]]:
        """The app, and the jar of somebody who has signed in to it and whose access token has run out."""
        url = self.houses[same_site].url
        context = await self.browser.new_context()
        words = {"email": EMAIL, "password": PASSWORD}
        login = await context.request.post(f"{url}/auth/login", data=words, headers={"Origin": url})
        assert login.status == 200, await login.text()
        await run_out(context)
        yield url, context
        await context.close()


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[Town]:
    path = chromium_path()
    lax, strict = Own("rendered_page", **SHORT, cookie_samesite="Lax"), Own("rendered_page", **SHORT)
    try:
        for house in (lax, strict):
            await asyncio.to_thread(house.ready)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=QUIET)
            yield Town(browser, {"Lax": lax, "Strict": strict})
            await browser.close()
    finally:
        for house in (lax, strict):
            house.process.terminate()
        for house in (lax, strict):
            house.stop()


async def run_out(context: BrowserContext) -> None:
    """Until the jar has no access token any more."""
    deadline = time.monotonic() + 30
    while "access_token" in await held(context):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def count(page: Page) -> Counter[tuple[str, int]]:
    """From now on, how often which path was answered with what."""
    seen: Counter[tuple[str, int]] = Counter()

    def note(response: Response) -> None:
        path = response.url.split("/", 3)[-1]
        seen[path.split("/")[0], response.status] += 1

    page.on("response", note)
    return seen


async def test_pages_and_their_parts_load_for_who_has_no_access_token(town: Town) -> None:
    """Promise 1, R4, R31: a navigation, a reload, and six requests at once of a page that was left open."""
    async with town.visiting() as (url, context):
        page = await context.new_page()
        seen = count(page)
        await page.goto(f"{url}/page")
        for turn in range(2):
            await expect(page.get_by_text(f"You are {EMAIL}.")).to_be_visible()
            await page.wait_for_load_state("load")
            assert seen == {("page", 200): 1, ("part", 200): PARTS}, turn
            seen.clear()
            await run_out(context)
            statuses = await page.evaluate(
                "n => Promise.all([...Array(n).keys()].map(i => fetch(`/part/${i}.svg?again`)"
                ".then(answer => answer.status)))",
                PARTS,
            )
            assert statuses == [200] * PARTS
            await run_out(context)
            seen.clear()
            await page.reload()


@pytest.mark.parametrize(("same_site", "status"), [("Lax", 200), ("Strict", 401)])
async def test_a_link_from_another_site_lands_signed_in_where_the_refresh_cookie_is_lax(
    town: Town, same_site: str, status: int
) -> None:
    """DESIGN §4.6, attack 85: Strict, the default, brings none; the start-up says so."""
    async with (
        town.visiting(same_site) as (url, context),
        elsewhere(f"<a href='{url}/page'>there</a>") as there,
    ):
        page = await context.new_page()
        await page.goto(there)
        seen = count(page)
        await page.get_by_role("link").click()
        await page.wait_for_url(f"{url}/page")
        await page.wait_for_load_state("load")
        assert seen == {("page", status): 1} | ({("part", 200): PARTS} if status == 200 else {})


async def test_nothing_else_of_another_site_is_signed_in(town: Town) -> None:
    """Attacks 81, 85: a picture, a frame, a request of a script, a form."""
    stranger = (
        "<img src='URL/part/1.svg'><iframe src='URL/page'></iframe>"
        "<script>fetch('URL/page', {credentials: 'include', mode: 'no-cors'})</script>"
        "<form method=post action='URL/page'><button>Win</button></form>"
    )
    async with (
        town.visiting() as (url, context),
        elsewhere(stranger.replace("URL", url)) as there,
    ):
        before = await told(url)
        page = await context.new_page()
        await page.goto(there)
        await page.wait_for_load_state("load")
        await page.get_by_role("button").click()
        await page.wait_for_url(f"{url}/page")
        answers = await told(url) - before
        refused = {"GET /part/1.svg 401": 1, "GET /page 401": 2, "POST /page 401": 1}
        assert {line: times for line, times in answers.items() if "/pa" in line} == refused


async def told(url: str) -> Counter[str]:
    """How often the app has given which answer."""
    return Counter((await asyncio.to_thread(Client(url).send, "GET", "/")).body)


@asynccontextmanager
async def elsewhere(body: str) -> AsyncIterator[str]:
    """The address of a page of another site: `localhost`, where the app is at 127.0.0.1."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        text = f"<!doctype html><link rel=icon href='data:,'><title>Elsewhere</title>{body}".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(text)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + text)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}/"
