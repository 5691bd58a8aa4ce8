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

from playwright.async_api import BrowserContext, Page, async_playwright

from tests.needs import chromium_path
from tests.scenarios.test_modes import QUIET
from tests.servers import Browser, free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
PATIENCE = 20_000
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
    deadline = time.monotonic() + 60
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


async def until_gone(context: BrowserContext, name: str) -> None:
    """Until the jar holds no such cookie any more, as its life is over."""
    deadline = time.monotonic() + 30
    while name in {cookie.get("name") for cookie in await context.cookies()}:
        assert time.monotonic() < deadline, name
        await asyncio.sleep(0.05)
