"""docs/seeds.md is what a run gives, and its words speak of what happens in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.seeds.document.page import PAGE, Stories, rendered, slips
from tests.seeds.document.record import Masks, stories


@pytest.fixture(scope="module")
def told() -> Stories:
    return stories()


def test_r11_the_page_is_what_a_run_gives(told: Stories) -> None:
    """R11: a diagram and examples of requests and answers; made from a run, so that they stay true."""
    again = "python -m tests.seeds.document"
    assert PAGE.read_text(encoding="utf-8") == rendered(told), f"the page is out of date: {again}"


def test_routes_cookies_and_settings_of_the_texts_are_those_of_the_run(told: Stories) -> None:
    assert slips(told) == []


def test_a_route_or_cookie_that_did_not_occur_is_found(told: Stories) -> None:
    [*most, last] = told["S0"]
    other = replace(last, path="/elsewhere", request=last.request.replace("auth_token=", "other="))
    assert slips({**told, "S0": [*most, other]}) == [
        "S0: route GET /elsewhere is in the text or in the run, not in both",
        "S0: cookie other is in the text or in the run, not in both",
    ]


def test_equal_tokens_have_equal_masks_and_others_none(told: Stories) -> None:
    masks = Masks(8443)
    first, second = "wwr_AAAA", "wwr_BBBB"
    said = masks(f"https://api.example.com:8443/ {first} {second} {first} Max-Age=604799; Max-Age=0")
    assert said == (
        "https://api.example.com/ <refresh token> <refresh token 2> <refresh token> Max-Age=604800; Max-Age=0"
    )
