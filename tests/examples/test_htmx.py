"""examples/htmx in Chromium: its list asks for itself while tokens run out, and nobody is led to a form too early."""

from __future__ import annotations

from playwright.async_api import expect

from tests.examples.stage import EMAIL, EXAMPLES, PATIENCE, ROOT, chromium, running, sign_in, until_gone
from tests.needs import node_modules


async def test_somebody_signs_in_stays_so_comes_back_and_signs_out() -> None:
    """R31: what a server renders, tokens of one second, a list that asks for itself every two."""
    node_modules("examples/htmx")
    async with running("htmx", access_ttl="1s") as url, chromium() as context:
        page = await context.new_page()
        await page.goto(f"{url}/?from=mail")
        await sign_in(page)
        await page.wait_for_url(f"{url}/?from=mail")
        title = page.get_by_role("heading", name=f"Notes of {EMAIL}")
        await expect(title).to_be_visible(timeout=PATIENCE)

        await page.get_by_label("Note").fill("Buy <b>milk</b>")
        async with page.expect_response(lambda answer: answer.request.method == "POST") as kept:
            await page.get_by_role("button", name="Keep").click()
        assert (await kept.value).status == 200
        note = page.get_by_text("Buy <b>milk</b>")
        await expect(note).to_be_visible(timeout=PATIENCE)
        for _ in range(2):
            await until_gone(context, "access_token")
            async with page.expect_response(f"{url}/notes") as asked:
                pass
            assert "access_token=" in str(await (await asked.value).header_value("set-cookie"))
        await expect(note).to_be_visible()

        await page.goto("about:blank")
        await until_gone(context, "access_token")
        await page.goto(f"{url}/")
        await page.reload()
        await expect(note).to_be_visible(timeout=PATIENCE)
        await page.get_by_role("button", name="Remove").click()
        await expect(note).to_have_count(0, timeout=PATIENCE)

        other = await context.new_page()
        await other.goto(f"{url}/")
        await page.get_by_role("button", name="Sign out").click()
        for tab in (page, other):
            await expect(tab.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)


def test_the_guide_shows_what_the_example_does() -> None:
    guide = (ROOT / "docs/guides/server-rendered.md").read_text(encoding="utf-8")
    app = (EXAMPLES / "htmx/app.py").read_text(encoding="utf-8")
    start = app.index('@app.middleware("http")')
    shown = app[start : app.index("\n\n\n", start)]
    assert f"```python\n{shown}\n```" in guide
