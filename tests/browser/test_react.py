"""useSession in the DOM of a real browser, over React as npm has it and a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect, sync_playwright

from tests.needs import chromium_path, node_modules
from tests.scenarios.test_modes import QUIET
from tests.servers import EMAIL, PASSWORD, Browser, Server, prepared, serving

PARTS = {
    "react": "react/cjs/react.production.js",
    "scheduler": "scheduler/cjs/scheduler.production.js",
    "react-dom": "react-dom/cjs/react-dom.production.js",
    "react-dom/client": "react-dom/cjs/react-dom-client.production.js",
}
"""React is published for bundlers: what they would make of it is a module with these inside."""


def react() -> str:
    folder = node_modules()
    parts = [
        f"{name!r}(module, exports, require) {{ {(folder / path).read_text(encoding='utf-8')} }}"
        for name, path in PARTS.items()
    ]
    return f"""
        const process = {{ env: {{ NODE_ENV: "production" }} }}, made = {{}}, parts = {{ {",".join(parts)} }};
        function require(name) {{
            if (!made[name]) parts[name]((made[name] = {{ exports: {{}} }}), made[name].exports, require);
            return made[name].exports;
        }}
        export const {{ createContext, createElement, useContext, useMemo, useSyncExternalStore }} = require("react");
        export const {{ createRoot }} = require("react-dom/client");
    """


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = prepared(f"sqlite:///{tmp_path_factory.mktemp('react')}/watchword.db", mode="hybrid")
    with serving(env) as server:
        yield server


@pytest.fixture
def context(server: Server) -> Iterator[BrowserContext]:
    """A browser in which the server has a page of ours as well."""
    html = Path(__file__).with_name("react.html").read_text(encoding="utf-8")
    module = react()

    def page(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html")

    def script(route: Route) -> None:
        route.fulfill(body=module, content_type="text/javascript")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        context = browser.new_context(base_url=server.url)
        context.route("**/page", page)
        context.route(
            "**/react.js", lambda route: route.fallback() if "/auth/" in route.request.url else script(route)
        )
        yield context
        browser.close()


def opened(context: BrowserContext, text: str) -> Page:
    page = context.new_page()
    page.goto("/page")
    expect(page.locator("p")).to_have_text(text)
    return page


def signed_in(page: Page) -> None:
    page.evaluate("words => auth.signIn(words)", {"email": EMAIL, "password": PASSWORD})
    expect(page.locator("p")).to_have_text(EMAIL)


def test_components_render_again_when_who_is_signed_in_is_another_and_not_before(
    context: BrowserContext,
) -> None:
    """DESIGN §8: a sign-in, a request, a renewal, a sign-out in another tab, an unmounted component."""
    page = opened(context, "nobody")
    signed_in(page)
    renders = page.evaluate("seen.renders")
    assert page.evaluate("auth.fetch('/auth/me').then(({ status }) => [status, seen.renders])") == [
        200,
        renders,
    ]
    kept = "(async ({ user }) => [await auth.refresh(), auth.user === user])(auth)"
    assert page.evaluate(kept) == [True, True], "effects that depend on the user do not run anew"
    other = opened(context, EMAIL)
    renders = page.evaluate("seen.renders")
    assert other.evaluate("auth.signOut()") is True
    expect(page.locator("p")).to_have_text("nobody")
    assert page.evaluate("seen.renders") == renders + 1
    page.evaluate("root.unmount()")
    signed_in(other)
    page.wait_for_function("auth.status === 'signed-in'")
    assert page.evaluate("[seen.renders, seen.errors]") == [renders + 1, []]


def test_refetch_asks_the_server_and_an_error_stands_beside_what_was_known(
    server: Server, context: BrowserContext
) -> None:
    """DESIGN §8: `refetch` offline, online again, and after the session was ended elsewhere."""
    page = opened(context, "nobody")
    signed_in(page)
    context.set_offline(True)
    page.locator("p").click()
    expect(page.locator("p")).to_have_text(f"{EMAIL} (unreachable)")
    context.set_offline(False)
    expect(page.locator("p")).to_have_text(EMAIL)
    elsewhere = Browser(server.url)
    token = elsewhere.sign_in().body["access_token"]
    ended = elsewhere.send("DELETE", "/auth/sessions", Authorization=f"Bearer {token}")
    assert ended.status == 200, ended.body
    page.locator("p").click()
    expect(page.locator("p")).to_have_text("nobody")
    assert page.evaluate("seen.errors") == []
