"""The files of the browser client, as pages get them."""

from __future__ import annotations

import re

import pytest

from tests.http.devices import house
from watchword.features.client.routes import FOLDER, SERVED


@pytest.mark.parametrize("name", SERVED)
async def test_a_module_is_sent_as_it_is_published(name: str) -> None:
    """ASVS 3.5.7."""
    home = await house()
    answer = await home.device().get(f"/auth/{name}")
    assert (answer.status, answer.body) == (200, (FOLDER / name).read_bytes())
    assert answer.get("content-type") == "text/javascript; charset=utf-8"
    assert answer.get("cache-control") == "no-cache"
    assert answer.get("x-content-type-options") == "nosniff"
    assert answer.get("cross-origin-resource-policy") == "same-origin"
    assert answer.all("set-cookie") == []


async def test_what_a_browser_has_already_is_not_sent_again() -> None:
    device = (await house()).device()
    tag = (await device.get("/auth/client.js")).get("etag")
    assert tag is not None
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await device.get("/auth/client.js", headers=[("if-none-match", held)])
        assert (again.status, again.body, again.get("etag")) == (304, b"", tag)
        assert again.get("cache-control") == "no-cache"
    assert (await device.get("/auth/client.js", headers=[("if-none-match", '"other"')])).status == 200
    assert (await device.get("/auth/wire.js")).get("etag") != tag


async def test_it_is_there_without_pages_and_under_any_prefix() -> None:
    home = await house(pages="off", prefix="/identity")
    assert (await home.device().get("/identity/client.js")).status == 200


async def test_pages_of_trusted_origins_import_it_too() -> None:
    home = await house(trusted_origins="https://app.example.org")
    answer = await home.device().get("/auth/client.js", headers=[("origin", "https://app.example.org")])
    assert answer.get("access-control-allow-origin") == "https://app.example.org"
    assert answer.get("cross-origin-resource-policy") == "cross-origin"


def test_whatever_a_module_imports_of_ours_is_served() -> None:
    for name in SERVED:
        imported = re.findall(r'^import .* from "\./([^"]+)"', (FOLDER / name).read_text(), re.MULTILINE)
        assert set(imported) <= set(SERVED), name
