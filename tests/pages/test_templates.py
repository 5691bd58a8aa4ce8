"""An app's own templates before ours, one by one; the files of the pages; and how much a visitor has to fetch."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.http.asgi import call
from tests.http.devices import SECRET, house
from watchword.auth import Watchword
from watchword.errors import SettingsError
from watchword.pages import assets
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.testing import TravellingClock

GZIP = [("accept-encoding", "gzip, br")]
MOST = 40_000


def own(folder: Path, **settings: str) -> Watchword:
    """A Watchword whose pages come from `folder` first."""
    clock = TravellingClock()
    parsed = Settings.parse({"secret": SECRET, "url": "http://testserver"} | settings)
    return Watchword(parsed, store=MemoryStore(clock), clock=clock, page_templates=folder)


async def served(auth: Watchword, path: str) -> str:
    answer = await call(auth.app, "GET", path)
    assert answer.status == 200, answer.body
    return answer.body.decode()


async def test_a_template_of_an_apps_own_replaces_one_of_ours_and_no_other(tmp_path: Path) -> None:
    """DESIGN §4.8: overridable one by one; and ours is there to be extended."""
    (tmp_path / "wordmark.html").write_text('<img src="/static/acme.svg" alt="Acme">')
    (tmp_path / "forgot.html").write_text(
        '{% extends "watchword/forgot.html" %}{% set page = "forgot" %}'
        "{% block main %}{{ super() }}<p>Or ring us.</p>{% endblock %}"
    )
    auth = own(tmp_path)
    forgot, sign_in = await served(auth, "/auth/forgot"), await served(auth, "/auth/")
    assert "Or ring us." in forgot
    assert 'id="form"' in forgot
    assert "Or ring us." not in sign_in
    assert all('alt="Acme"' in text and "wordmark" not in text for text in (forgot, sign_in))


async def test_a_theme_is_one_file_of_variables(tmp_path: Path) -> None:
    """It stands inline with the nonce, after our stylesheet; without one nothing does."""
    (tmp_path / "theme.css").write_text(":root { --accent: light-dark(#7a1fa2, #d9a5f0) }")
    assert "<style" not in (await call((await house()).app, "GET", "/auth/")).body.decode()
    text = await served(own(tmp_path), "/auth/")
    assert re.search(r'pages\.css" nonce="([^"]+)">\s*<style nonce="\1">\n:root \{ --accent', text)


async def test_files_are_read_once(tmp_path: Path) -> None:
    """docs/guides/pages.md: a page does not change under its visitors before the server starts anew."""
    mark = tmp_path / "wordmark.html"
    mark.write_text("Acme")
    auth = own(tmp_path)
    assert "Acme" in await served(auth, "/auth/")
    mark.write_text("Another")
    os.utime(mark, (0, 0))
    assert "Acme" in await served(auth, "/auth/")


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no folder"):
        _ = own(tmp_path / "nowhere").app


async def test_files_are_kept_for_ever_under_an_address_that_changes_with_them() -> None:
    """A page of another release gets today's file, and keeps it for no other page."""
    home = await house()
    folder = assets.folder("/auth")
    answer = await call(home.app, "GET", f"{folder}/pages.css")
    assert answer.get("content-type") == "text/css; charset=utf-8"
    assert answer.get("cache-control") == "public, max-age=31536000, immutable"
    assert answer.body == (assets.FOLDER / "pages.css").read_bytes()
    old = await call(home.app, "GET", "/auth/pages/0123456789ab/pages.css")
    assert (old.status, old.get("cache-control"), old.body) == (200, "no-store", answer.body)
    packed = await call(home.app, "GET", f"{folder}/pages.css", headers=GZIP)
    assert packed.get("content-encoding") == "gzip"
    assert gzip.decompress(packed.body) == answer.body


@pytest.mark.parametrize(
    "name", ["..%2frender.py", "../render.py", "nothing.js", "", "%2e%2e/routes.py", "pages.css/"]
)
async def test_nothing_else_is_a_file_of_the_pages(name: str) -> None:
    """ASVS 5.3.2: names are looked up, never put together into a path."""
    home = await house()
    assert (await call(home.app, "GET", f"{assets.folder('/auth')}/{name}")).status == 404


async def test_without_pages_there_are_no_files_either() -> None:
    home = await house(pages="off")
    assert (await call(home.app, "GET", f"{assets.folder('/auth')}/pages.css")).status == 404


async def test_the_sign_in_page_is_small() -> None:
    """40 kB with all that it loads, headers not counted: the page, its stylesheet, icon, modules and the client."""
    home = await house()
    seen: dict[str, int] = {}

    async def fetch(path: str) -> None:
        if path in seen:
            return
        answer = await call(home.app, "GET", path, headers=GZIP)
        assert answer.status == 200, path
        seen[path] = len(answer.body)
        body = gzip.decompress(answer.body) if answer.get("content-encoding") else answer.body
        text = body.decode()
        names = re.findall(r'(?:src|href)="(/auth/pages/[^"]+)"', text)
        if path.endswith(".js"):
            imported = re.findall(r'^import .*"(\.[^"]+)";', text, re.M)
            names += [urlsplit(urljoin(f"http://x{path}", name)).path for name in imported]
        for name in names:
            await fetch(name)

    await fetch("/auth/")
    assert {"/auth/client.js", "/auth/wire.js"} <= seen.keys()
    assert {path.rpartition("/")[2] for path in seen} >= {"pages.css", "sign_in.js", "form.js", "icon.svg"}
    assert sum(seen.values()) <= MOST, seen


async def test_a_code_that_waits_is_asked_for_after_a_reload() -> None:
    """A telephone forgets the page while somebody reads the mail: the cookie tells, and no page remembers."""
    home = await house(two_factor="required")
    answer = await call(home.app, "GET", "/auth/", headers=[("cookie", "two_factor_auth=x")])
    assert '"codeWaits": true' in answer.body.decode()
    assert '"codeWaits": false' in (await call(home.app, "GET", "/auth/")).body.decode()


@pytest.mark.parametrize(("mode", "status"), [("cookies", 200), ("session", 200), ("bearer", 404)])
async def test_there_is_an_account_where_pages_sign_in(mode: str, status: int) -> None:
    home = await house(mode=mode)
    assert (await call(home.app, "GET", "/auth/account")).status == status
