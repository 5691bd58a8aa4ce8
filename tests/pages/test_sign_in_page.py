"""The sign-in page as it is served; what it does is told in tests/scenarios."""

from __future__ import annotations

import pytest

from tests.http.asgi import call
from tests.http.devices import house
from tests.pages.test_link_pages import check_policy


async def test_in_mode_bearer_the_page_offers_no_form_and_says_who_signs_in() -> None:
    """Signed in there, the page would hold tokens that it cannot hand on to any other."""
    home = await house(mode="bearer")
    text = (await call(home.app, "GET", "/auth/")).body.decode()
    assert "<form" not in text
    assert "POST /auth/login" in text


@pytest.mark.parametrize(
    ("query", "location"),
    [("", "/auth/"), ("?next=/profile%3Fa%3Db&x", "/auth/?next=/profile%3Fa%3Db&x")],
)
async def test_without_the_slash_it_is_the_same_page_with_the_same_query(query: str, location: str) -> None:
    """So that where a sign-in leads to is not lost."""
    answer = await call((await house()).app, "GET", f"/auth{query}")
    assert (answer.status, answer.get("location")) == (308, location)


@pytest.mark.parametrize("mode", ["cookies", "hybrid", "jwt_cookie", "session", "bearer,session"])
async def test_every_script_and_style_of_the_page_has_the_nonce_of_its_policy(mode: str) -> None:
    """ASVS 3.4.3: the policy allows nothing else, and no other page has this nonce."""
    home = await house(mode=mode)
    nonces = {check_policy(await call(home.app, "GET", "/auth/")) for _ in range(2)}
    assert len(nonces) == 2
