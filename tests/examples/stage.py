"""Running an example as its README says, and a browser to look at it with."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPException
from pathlib import Path

from playwright.async_api import BrowserContext, Page, async_playwright, expect

from tests.needs import chromium_path
from tests.scenarios.test_modes import QUIET
from tests.servers import Browser, free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
PATIENCE = 60_000
"""Milliseconds for what a page does by itself, on a machine that has other things to do."""
SERVER = re.compile(r"(?m)^\$ WATCHWORD_SECRET=\$\(watchword secret\) (uvicorn .+)$")


@asynccontextmanager
async def running(example: str, **settings: str) -> AsyncIterator[str]:
    """The server of an example, by the command of its README, on a port of its own; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = _start(example, port, {"secret": secrets.token_urlsafe(48), "url": url} | settings)
    try:
        await asyncio.to_thread(_ready, process, url)
        yield url
    finally:
        process.terminate()
        process.wait(15)


def _start(example: str, port: int, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    [command] = SERVER.findall((EXAMPLES / example / "README.md").read_text(encoding="utf-8"))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return subprocess.Popen(
        [sys.executable, "-m", *command.split(), f"--port={port}", "--log-level=error"],
        cwd=EXAMPLES / example,
        env=inherited | {f"WATCHWORD_{name.upper()}": value for name, value in settings.items()},
    )


def _ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        try:
            if Browser(url).send("GET", "/auth/health/ready").status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.05)
        assert process.poll() is None
    raise AssertionError("the example did not start")


@asynccontextmanager
async def chromium() -> AsyncIterator[BrowserContext]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=QUIET)
        context = await browser.new_context()
        context.set_default_timeout(PATIENCE)
        yield context
        await browser.close()


async def sign_in(page: Page, password: str = PASSWORD) -> None:
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


async def tell_of_notes(context: BrowserContext, home: str) -> None:
    """The story that pages with the client tell: signed in, renewed, loaded again, signed out in every tab. With access
    tokens of a second."""
    page = await context.new_page()
    await page.goto(home)
    await sign_in(page, "not the password")
    wrong = page.get_by_text("The login or the password is wrong.")
    await expect(wrong).to_be_visible(timeout=PATIENCE)
    await sign_in(page)
    await expect(page.get_by_role("heading", name=f"Notes of {EMAIL}")).to_be_visible(timeout=PATIENCE)
    for note in ("Buy <b>milk</b>", "Call Grace"):
        await page.get_by_label("Note").fill(note)
        await page.get_by_role("button", name="Keep").click()
        await expect(page.get_by_text(note)).to_be_visible(timeout=PATIENCE)
        for _ in range(2):
            async with page.expect_response("**/auth/refresh") as renewed:
                pass
            assert (await renewed.value).status == 200
    await page.reload()
    await expect(page.get_by_text("Call Grace")).to_be_visible(timeout=PATIENCE)
    other = await context.new_page()
    await other.goto(home)
    await expect(other.get_by_text("Buy <b>milk</b>")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        await expect(tab.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)
    await page.reload()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)


async def until_gone(context: BrowserContext, name: str) -> None:
    """Until the jar holds no such cookie any more, as its life is over."""
    deadline = time.monotonic() + 30
    while name in {cookie.get("name") for cookie in await context.cookies()}:
        assert time.monotonic() < deadline, name
        await asyncio.sleep(0.05)
