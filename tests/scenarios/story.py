"""One person, one browser, two tabs: the story that is the same in every mode, and what happens after an absence."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, expect

from tests.scenarios.houses import House
from tests.servers import Answer, Browser

PATIENCE = 20_000
"""Milliseconds for what takes two round trips, on a machine that has other things to do."""
RUN_OUT = 9
"""Seconds after which an access token of three is refused: a guard's leeway is five."""
READABLE = {"csrf_token"}
"""Cookies of ours that scripts can read."""
UNBOUND = {"csrf_token", "csrf_session"}
"""Cookies that a browser may hold when nobody is signed in."""


@dataclass(frozen=True)
class Telling:
    """What one telling differs in: the page says that it has renewed `times` times at least, `forgetful` pages lose
    their tokens when they are loaded again, and our routes are below `prefix`."""

    times: int = 4
    forgetful: bool = False
    prefix: str = "/auth"


@dataclass
class Witness:
    """What a context shows besides its pages: errors on consoles, and tokens in the requests of scripts."""

    errors: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # A request that is refused or lost shows whatever the page does about it; a broken rule or script does not.
        if message.type == "error" and not re.search(
            "status of (401|403|503)|INTERNET_DISCONNECTED", message.text
        ):
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        known = {"authorization", "x-csrf-token"} & set(request.headers)
        self.headers |= {name: request.headers[name] for name in known}
        if request.url.endswith("/refresh"):
            self.body = request.post_data_json


async def tell(context: BrowserContext, house: House, telling: Telling) -> None:
    witness = Witness()
    witness.follow(context)
    email, password = house.login
    tab = await context.new_page()
    await tab.goto(house.url)

    await sign_in(tab, email, "not the password")
    alert = tab.get_by_role("alert")
    await expect(alert).to_have_text("The login or the password is wrong.", timeout=PATIENCE)
    await sign_in(tab, email, password)
    await shows(tab, email)
    assert await within_reach(tab) <= READABLE

    await renewed(tab, telling.times)
    await shows(tab, email)
    await tab.reload()
    if telling.forgetful:
        await sign_in(tab, email, password)
    await shows(tab, email)

    other = await context.new_page()
    await other.goto(house.url)
    await shows(other, email)
    both = (tab, other)
    before = [await times(page) for page in both]
    await asyncio.gather(*(page.get_by_role("button", name="Renew now").click() for page in both))
    await asyncio.gather(*(renewed(page, count + 1) for page, count in zip(both, before, strict=True)))
    await asyncio.gather(*(shows(page, email) for page in both))

    seen = replace(witness, headers=dict(witness.headers))
    thief = Thief(house.url, telling.prefix, await held(context), seen)
    assert (await thief.call("GET", "/me")).status == 200
    await tab.get_by_role("button", name="Sign out").click()
    await asyncio.gather(*(signed_out(page) for page in both))
    assert set(await held(context)) <= UNBOUND
    for method, path in (("GET", "/me"), ("POST", "/refresh")):
        refused = await thief.call(method, path)
        assert refused.status == 401, refused.body
    assert not witness.errors


async def tell_of_absence(context: BrowserContext, house: House) -> None:
    """Neither the person who was away nor the server is a sign-out. With csrf=token, access_ttl=3s and our pages."""
    witness = Witness()
    witness.follow(context)
    email, password = house.login
    tab = await context.new_page()
    await tab.goto(f"{house.url}/auth/")
    await sign_in(tab, email, password)
    signed_in = tab.get_by_text(f"You are signed in as {email}.")
    await expect(signed_in).to_be_visible(timeout=PATIENCE)
    await tab.goto("about:blank")
    await asyncio.sleep(RUN_OUT)
    await tab.goto(f"{house.url}/auth/?next=//evil.example")
    await expect(signed_in).to_be_visible(timeout=PATIENCE)
    assert await tab.get_by_role("link", name="Continue").count() == 0  # nobody is led elsewhere (attack 88)

    await tab.goto(f"{house.url}/profile")
    await shows(tab, email)
    alert = tab.get_by_role("alert")
    await context.set_offline(True)
    await expect(alert).to_contain_text("You are offline", timeout=PATIENCE)
    await asyncio.sleep(RUN_OUT)
    await shows(tab, email)
    await context.set_offline(False)
    await expect(alert).to_have_text("", timeout=PATIENCE)
    await context.route("**/auth/refresh", lambda route: route.fulfill(status=503))
    await expect(alert).to_contain_text("is busy", timeout=PATIENCE)
    await context.unroute("**/auth/refresh")
    await expect(alert).to_have_text("", timeout=PATIENCE)
    await shows(tab, email)

    await tab.goto(f"{house.url}/auth/")
    await expect(signed_in).to_be_visible(timeout=PATIENCE)
    await context.set_offline(True)
    await tab.get_by_role("button", name="Sign out").click()
    await expect(tab.get_by_role("alert")).to_contain_text("signed out here", timeout=PATIENCE)
    await context.set_offline(False)
    await asyncio.wait_for(told_of_sign_out(context), PATIENCE / 1000)
    assert not witness.errors


async def told_of_sign_out(context: BrowserContext) -> None:
    """Until the server knows, and has cleared the cookies."""
    while not set(await held(context)) <= UNBOUND:  # noqa: ASYNC110 - a jar tells nobody
        await asyncio.sleep(0.1)


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("Email").fill(email, timeout=PATIENCE)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


async def shows(page: Page, email: str) -> None:
    await expect(page.get_by_text(email)).to_be_visible(timeout=PATIENCE)


async def signed_out(page: Page) -> None:
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)


async def renewed(page: Page, count: int) -> None:
    """Until the page has told of so many renewals: fewer than ten, or the story has become a long one."""
    pattern = re.compile(f"[{count}-9] times|1[0-9] times")
    await expect(page.locator("#renewed")).to_have_text(pattern, timeout=3 * PATIENCE)


async def times(page: Page) -> int:
    said = await page.locator("#renewed").inner_text()
    return int((said.replace("once", "1").split() or ["0"])[0])


async def within_reach(page: Page) -> set[str]:
    """Names of what a script of the page could read and keep."""
    names = "document.cookie.split('; ').map(pair => pair.split('=')[0]).filter(name => name)"
    found = await page.evaluate(f"[...{names}, ...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    return set(found)


async def held(context: BrowserContext) -> dict[str, str]:
    return {str(cookie.get("name")): str(cookie.get("value")) for cookie in await context.cookies()}


@dataclass
class Thief:
    """Somebody who has copied all that a browser had, cookies and what its scripts sent."""

    url: str
    prefix: str
    jar: dict[str, str]
    seen: Witness

    async def call(self, method: str, path: str) -> Answer:
        copy = Browser(self.url, dict(self.jar))
        body = self.seen.body if method == "POST" else None
        return await asyncio.to_thread(copy.send, method, self.prefix + path, body, **self.seen.headers)
