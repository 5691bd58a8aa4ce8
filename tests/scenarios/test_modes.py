"""Every mode passes one story: told wrong, signed in, renewed unnoticed, two tabs, a reload, signed out, copies dead.

The stories of all modes are told side by side, since most of each is waiting for tokens to run out.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import async_playwright

from tests.needs import chromium_path
from tests.scenarios.houses import Dev, House, Own
from tests.scenarios.story import Telling, tell, tell_of_absence

QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHORT = {"access_ttl": "3s", "rotation_window": "5s"}
LEEWAY = {"access_ttl": "1s", "rotation_window": "5s"}
"""A page of an app's own waits for the 401, which comes five seconds late where no cookie's end comes first."""
OTHER_WORDS = {"csrf": "token", "field_case": "camel", "access_field": "token"}
OURS: dict[str, tuple[dict[str, str], Telling]] = {
    "cookies": (SHORT | {"mode": "cookies"}, Telling()),
    "hybrid": (SHORT | {"mode": "hybrid"}, Telling()),
    "jwt_cookie": (SHORT | {"mode": "jwt_cookie"}, Telling()),
    # No token runs out there but the session itself, unless somebody comes by.
    "session": (
        {"mode": "session", "access_ttl": "1s", "refresh_ttl": "10s", "rotation_window": "0"},
        Telling(times=3),
    ),
    "hybrid, in other words": (SHORT | OTHER_WORDS | {"mode": "hybrid"}, Telling()),
}
OTHERS: dict[str, tuple[dict[str, str], Telling]] = {
    "bearer": (LEEWAY | {"mode": "bearer"}, Telling(times=2, forgetful=True)),
    "no prefix": (LEEWAY | {"mode": "cookies", "prefix": "none"}, Telling(prefix="")),
}


@pytest.fixture(scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """The stories, under way."""
    path = chromium_path()
    houses: dict[str, House] = {
        name: Dev(tmp_path_factory.mktemp("dev"), **settings) for name, (settings, _) in OURS.items()
    }
    houses |= {name: Own(**settings) for name, (settings, _) in OTHERS.items()}
    try:
        for house in houses.values():
            await asyncio.to_thread(house.ready)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=QUIET)
            stories = {
                name: asyncio.create_task(tell(await browser.new_context(), houses[name], telling))
                for name, (_, telling) in (OURS | OTHERS).items()
            }
            absence = tell_of_absence(await browser.new_context(), houses["hybrid, in other words"])
            stories["absence"] = asyncio.create_task(absence)
            yield stories
            await asyncio.gather(*stories.values(), return_exceptions=True)
            await browser.close()
    finally:
        for house in houses.values():
            house.process.terminate()
        for house in houses.values():
            house.stop()


@pytest.mark.parametrize("name", [*OURS, *OTHERS])
async def test_chromium_tells_the_story(told: dict[str, asyncio.Task[None]], name: str) -> None:
    """R1–R8, R12, R29, R34–R43, R45–R47, W2, W7."""
    await told[name]


async def test_neither_an_absent_person_nor_an_absent_server_is_a_sign_out(
    told: dict[str, asyncio.Task[None]],
) -> None:
    """R29, W2, attack 88: only a 401 of /refresh is one."""
    await told["absence"]
