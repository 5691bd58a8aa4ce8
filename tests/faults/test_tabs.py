"""Many tabs of one browser over a network that loses, delays and reorders answers; a laptop that sleeps; signing out.

`FAULTS=full` has ten tabs refresh three hundred times each in every mode, with a rotation window of 400 ms; CI a few
tabs a few times.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.lossy import LossyProxy, Seen, Weather, losing
from tests.needs import chromium_path, node_modules
from tests.scenarios.test_modes import QUIET
from tests.servers import EMAIL, PASSWORD, free_port, prepared
from tests.servers import Browser as Client

FULL = os.environ.get("FAULTS") == "full"
TABS, ROUNDS, WINDOW = (10, 300, 0.4) if FULL else (3, 4, 1.0)
"""How many tabs, refreshes each, and seconds of the rotation window."""
ACCESS = 3
"""Seconds that an access token lives."""
ROOT = Path(__file__).parents[2]
REFRESH = "/auth/refresh"
STORM = Weather(lost=0.1, unheard=0.15, slow=0.4 * WINDOW)
"""What takes longer than 40 % of the window its client has given up, as it is told to: it is lost as well."""
STORIES = [("cookies", False), ("hybrid", False), ("bearer", False), ("cookies", True)]
"""In which mode, and whether tabs are `bare`: without locks and channels between them."""


@dataclass
class House:
    """Two servers of one origin, which is a proxy: all but /who is for the first. And a browser."""

    proxy: LossyProxy
    browser: Browser
    database: Path

    async def tabs(self, context: BrowserContext, mode: str, count: int, *, bare: bool = False) -> list[Page]:
        """Tabs whose user is signed in: by one of them, in mode bearer by each. `bare` ones have no locks and no
        channels between them."""
        pages = []
        for _ in range(count):
            page = await context.new_page()
            await page.goto(f"{self.proxy.url}/tab?mode={mode}{'&bare' if bare else ''}")
            await page.wait_for_selector("body[data-ready]", state="attached")
            if await status(page) == "signed-out":
                await page.evaluate("words => auth.signIn(words)", {"email": EMAIL, "password": PASSWORD})
            assert await status(page) == "signed-in"
            pages.append(page)
        return pages

    @asynccontextmanager
    async def context(self) -> AsyncIterator[BrowserContext]:
        context = await self.browser.new_context()
        yield context
        await context.close()

    @asynccontextmanager
    async def held_answer(self, page: Page) -> AsyncIterator[None]:
        """While inside, the server's answer to a refresh of this page is on its way."""
        self.proxy.hold(REFRESH)
        try:
            since = self.calls()
            await page.evaluate("void auth.refresh()")
            deadline = time.monotonic() + 30
            while self.calls() == since:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            yield
        finally:
            self.proxy.let_go(REFRESH)

    async def processes(self) -> list[int]:
        """Those of the browser, parents first."""
        session = await self.browser.new_browser_cdp_session()
        told = await session.send("SystemInfo.getProcessInfo")
        return [int(process["id"]) for process in told["processInfo"]]

    def end_sessions_from_elsewhere(self) -> None:
        """All that there are, by another device, which signs in for that."""
        device = Client(self.proxy.url)
        device.sign_in()
        assert device.send("DELETE", "/auth/sessions").status == 200

    def calls(self) -> int:
        return self.proxy.seen.get(REFRESH, Seen()).calls

    def told(self, event: str) -> int:
        """How many such events there were."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            statement = "SELECT count(*) FROM ww_event WHERE name = ?"
            return int(connection.execute(statement, [event]).fetchone()[0])


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with built(tmp_path_factory.mktemp("tabs"), browser, window=WINDOW) as house:
        yield house


@asynccontextmanager
async def built(folder: Path, browser: Browser, *, window: float) -> AsyncIterator[House]:
    files = {
        "/tab": ("text/html", Path(__file__).with_name("tab.html").read_bytes()),
        "/axios.js": ("text/javascript", (node_modules() / "axios/dist/esm/axios.min.js").read_bytes()),
    }
    seed = random.randrange(2**32)
    print(f"the network's seed is {seed}")  # noqa: T201 - pytest shows it where a test fails
    with losing(files, seed=seed) as proxy:
        env = prepared(
            f"sqlite:///{folder}/watchword.db",
            mode="cookies,hybrid,bearer",
            rotation_window=f"{int(window * 1000)}ms",
            access_ttl=f"{ACCESS}s",
            url=proxy.url,
        )
        proxy.to, other = free_port(), free_port()
        proxy.apart["/who"] = other
        servers = [serve(env, port) for port in (proxy.to, other)]
        try:
            for port in (proxy.to, other):
                await asyncio.to_thread(until_ready, port)
            yield House(proxy, browser, folder / "watchword.db")
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(15)


def serve(env: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    uvicorn = [sys.executable, "-m", "uvicorn", "--log-level=error", f"--port={port}"]
    return subprocess.Popen([*uvicorn, "--factory", "tests.faults.tabs_app:create_app"], cwd=ROOT, env=env)


def until_ready(port: int) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        try:
            if Client(f"http://127.0.0.1:{port}").send("GET", "/auth/health/ready").status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.05)
    raise AssertionError("a server did not start")


async def status(page: Page) -> Any:
    return await page.evaluate("auth.status")


async def who(page: Page) -> Any:
    """What a guarded route answers a page."""
    return await page.evaluate("auth.fetch('/who').then(answer => answer.status)")


async def until(page: Page, what: str, *, seconds: float = 30) -> float:
    """The seconds until a JavaScript expression is true in a page."""
    since = time.monotonic()
    await page.wait_for_function(what, polling=20, timeout=seconds * 1000)
    return time.monotonic() - since


@pytest.mark.parametrize("stories", [[story] for story in STORIES] if FULL else [STORIES])
async def test_w16_no_order_of_lost_and_late_answers_signs_a_tab_out(
    house: House, stories: list[tuple[str, bool]], measured: Callable[[str], None]
) -> None:
    """W16: In every tab there is one refresh at a time, and with locks one for all of them as a rule; without them they
    race, and nobody is signed out by that either (F21, promise 1, I1, I7)."""
    before = replace(house.proxy.seen.setdefault(REFRESH, Seen()))
    for (mode, bare), tabs in zip(stories, await told(house, stories), strict=True):
        assert [tab["signedOut"] for tab in tabs] == [0] * TABS, tabs
        assert {tab["most"] for tab in tabs} == {1}, "one refresh at a time in each tab"
        assert [tab["settled"] for tab in tabs] == [["signed-in", 200]] * TABS
        calls, errors = sum(tab["calls"] for tab in tabs), Counter[str]()
        for tab in tabs:
            errors.update(tab["errors"])
        if FULL and mode != "bearer" and not bare:
            assert calls < ROUNDS * TABS, "they do not share"
        measured(
            f"{mode}{', bare' * bare}: {TABS} tabs, {calls / ROUNDS:.2f} calls of /refresh in each of {ROUNDS} rounds; "
            f"callers were told {dict(errors) or 'of no failure'}; 0 sign-outs"
        )
    now = house.proxy.seen[REFRESH]
    gone = now.lost + now.unheard - before.lost - before.unheard
    assert gone > 0, "nothing was lost, so nothing is proved"
    assert house.told("refresh_reused") == 0
    measured(f"of {now.calls - before.calls} calls of /refresh {gone} were lost")


if FULL:

    async def test_tokens_for_one_use_sign_tabs_out_in_the_same_weather(
        browser: Browser, tmp_path: Path
    ) -> None:
        """So that it proves something that nobody was: with rotation_window=0, which is known to be wrong."""
        async with built(tmp_path, browser, window=0) as house:
            [tabs] = await told(house, [("cookies", True)], rounds=10)
            assert sum(tab["signedOut"] for tab in tabs) > 0
            assert house.told("refresh_reused") > 0


async def told(
    house: House, stories: list[tuple[str, bool]], *, rounds: int = ROUNDS
) -> list[list[dict[str, Any]]]:
    """What the tabs of each story have seen, in a storm that is over for all of them at once."""
    house.proxy.weather = {REFRESH: STORM}
    try:
        return await asyncio.gather(*(storm(house, mode, bare, rounds) for mode, bare in stories))
    finally:
        house.proxy.weather = {}


async def storm(house: House, mode: str, bare: bool, rounds: int) -> list[dict[str, Any]]:
    """Rounds in which every tab of a browser asks for a refresh, three times over; what each has seen."""
    async with house.context() as context:
        pages = await house.tabs(context, mode, TABS, bare=bare)
        for _ in range(rounds):
            await asyncio.gather(*(page.evaluate("round()") for page in pages))
            await asyncio.sleep(random.random() * WINDOW)
        return [await page.evaluate("settled().then(settled => ({...seen, settled}))") for page in pages]


@pytest.mark.parametrize("mode", ["cookies", "hybrid"] if FULL else ["cookies"])
async def test_a_laptop_that_slept_past_the_access_token_wakes_signed_in(house: House, mode: str) -> None:
    """F21, attack 41: every process of the browser stands still, in the middle of a refresh whose answer comes to
    nobody."""
    async with house.context() as context:
        first, second = await house.tabs(context, mode, 2)
        before = await second.evaluate("auth.session.id")
        async with house.held_answer(first):
            processes = await house.processes()
            for process in processes:
                os.kill(process, signal.SIGSTOP)
        calls = house.calls()
        await asyncio.sleep(ACCESS + 0.5)
        assert house.calls() == calls, "they did not sleep"
        for process in processes:
            os.kill(process, signal.SIGCONT)
        for page in (first, second):
            assert await who(page) == 200
            assert await page.evaluate("[auth.session.id, seen.signedOut]") == [before, 0]


async def test_a_tab_that_stands_still_with_the_lock_keeps_no_other_from_refreshing(house: House) -> None:
    """F21, W16: as a browser may freeze one in the background; when it goes on it is signed in as well."""
    async with house.context() as context:
        frozen, other = await house.tabs(context, "hybrid", 2)
        debugger = await context.new_cdp_session(frozen)
        async with house.held_answer(frozen):
            await debugger.send("Debugger.enable")
            await debugger.send("Debugger.pause")  # at whatever runs next there, be it the answer or a timer
        assert await other.evaluate("auth.refresh()") is True
        assert await who(other) == 200
        await debugger.send("Debugger.disable")
        assert await who(frozen) == 200
        assert [await page.evaluate("seen.signedOut") for page in (frozen, other)] == [0, 0]


async def test_signing_out_reaches_the_other_tabs_and_the_other_devices(
    house: House, measured: Callable[[str], None]
) -> None:
    """R48, ASVS 7.4.1, promise 2: the device is told by another server than the one that heard of it."""
    async with house.context() as here, house.context() as there:
        tab, other = await house.tabs(here, "hybrid", 2)
        [device] = await house.tabs(there, "hybrid", 1)
        assert await who(device) == 200
        token = (
            "fetch('/who', {headers: {Authorization: (await auth.prepare('/who')).headers.Authorization}})"
        )
        await device.evaluate(
            f"(async () => {{ window.ask = () => {token}; }})()".replace("() => fetch", "async () => fetch")
        )
        heard = asyncio.create_task(until(other, "auth.status === 'signed-out'"))
        assert await tab.evaluate("auth.signOut({everywhere: true})") is True
        since = time.monotonic()
        within = await heard
        while await device.evaluate("ask().then(answer => answer.status)") == 200:
            assert time.monotonic() - since < 30
        refused = time.monotonic() - since
        assert await who(device) == 401
        assert await status(device) == "signed-out"
        measured(
            f"another tab heard of it {within:.2f} s after it was asked for, "
            f"a device was refused {refused:.2f} s after it was done"
        )


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_w2_a_reload_keeps_the_session(house: House, mode: str) -> None:
    """W2: a page that has lost its memory asks for new tokens by itself, also while the first answers are lost."""
    async with house.context() as context:
        [page] = await house.tabs(context, mode, 1)
        for weather in (Weather(), Weather(unheard=0.3)):
            house.proxy.weather = {REFRESH: weather}
            try:
                await page.reload()
                await until(page, "window.auth?.status === 'signed-in'")
            finally:
                house.proxy.weather = {}
            assert await who(page) == 200


@pytest.mark.parametrize("mode", ["cookies", "hybrid", "bearer"] if FULL else ["hybrid"])
async def test_w1_axios_learns_of_the_401_of_a_refresh_and_nothing_hangs(house: House, mode: str) -> None:
    """W1: three requests at once over one refresh, whose 401 each of them is told of."""
    async with house.context() as context:
        [page] = await house.tabs(context, mode, 1)
        await page.evaluate(
            """async () => {
                const { default: axios } = await import("/axios.js");
                const { attachAxios } = await import("/auth/axios.js");
                window.api = axios.create();
                attachAxios(api, auth);
            }"""
        )
        assert await page.evaluate("api.get('/who').then(answer => answer.status)") == 200
        before = await page.evaluate("seen.refused")
        await asyncio.to_thread(house.end_sessions_from_elsewhere)
        ends = await asyncio.wait_for(
            page.evaluate(
                """async () => {
                    for (;;) {
                        const ends = await Promise.allSettled([1, 2, 3].map(() => api.get("/who")));
                        const reasons = ends.map(({ reason }) => reason).filter((reason) => reason);
                        if (reasons.length === 3) return reasons.map(({ response }) => response?.status);
                    }
                }"""
            ),
            60,
        )
        assert ends == [401] * 3
        assert await page.evaluate("[auth.status, seen.refused, seen.most]") == ["signed-out", before + 1, 1]
