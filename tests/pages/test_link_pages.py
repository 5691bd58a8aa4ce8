"""The pages for signing up and for forgotten passwords as they are served; what they do is told in tests/scenarios."""

from __future__ import annotations

import re

import pytest

from tests.http.asgi import Answer, call
from tests.http.devices import MODES, house

PAGES = ["/auth/forgot", "/auth/reset", "/auth/sign-up", "/auth/verify", "/auth/address"]


def check_policy(answer: Answer) -> str:
    """Strict, and kept by what it is the policy of. Returns its nonce."""
    policy, text = answer.get("content-security-policy"), answer.body.decode()
    assert policy is not None
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    nonce: str
    [nonce] = set(re.findall("nonce-([^']+)'", policy))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == f"'nonce-{nonce}'"
    assert "unsafe" not in policy
    guarded = re.findall(r"<(?:script|style|link rel=\"stylesheet\")[^>]*>", text)
    assert len(guarded) >= 3
    assert [tag for tag in guarded if f'nonce="{nonce}"' not in tag] == []
    assert not re.search(r"\s(?:style|on\w+)=", text)
    return nonce


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", PAGES)
async def test_every_script_and_style_of_the_pages_has_the_nonce_of_its_policy(path: str, mode: str) -> None:
    """ASVS 3.4.3, 14.2.1: nothing else runs, nothing is stored, and nobody is told where a visitor comes from."""
    home = await house(mode=mode)
    answer = await call(home.app, "GET", path)
    assert answer.status == 200
    check_policy(answer)
    assert answer.get("referrer-policy") == "no-referrer"
    assert answer.get("cache-control") == "no-store"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_says_nothing_of_what_was_asked_for_with_it(path: str) -> None:
    """Attacks 77, 88: a token put into the query, or anything else there, is not looked at."""
    home = await house()
    plain, with_query = [
        re.sub(r'nonce="[^"]+"', "", (await call(home.app, "GET", path + query)).body.decode())
        for query in ("", "?token=wwc_x&next=//evil.example&email=a%40b.example")
    ]
    assert plain == with_query


async def test_the_sign_in_page_leads_to_them() -> None:
    """DESIGN §4.8: where there is a form to fail at."""
    home = await house()
    text = (await call(home.app, "GET", "/auth/")).body.decode()
    for path in ("/auth/forgot", "/auth/sign-up", "/auth/verify", "/auth/account"):
        assert f'href="{path}"' in text


async def test_where_nobody_can_sign_up_no_page_leads_there() -> None:
    """DESIGN §5: who signed up before it was closed still confirms their address."""
    home = await house(signup="closed")
    assert "/auth/sign-up" not in (await call(home.app, "GET", "/auth/")).body.decode()
    assert (await call(home.app, "GET", "/auth/sign-up")).status == 404
    assert (await call(home.app, "GET", "/auth/verify")).status == 200


@pytest.mark.parametrize("path", PAGES)
async def test_without_pages_there_are_none(path: str) -> None:
    """DESIGN §6: the app serves its own."""
    home = await house(pages="off")
    assert (await call(home.app, "GET", path)).status == 404
