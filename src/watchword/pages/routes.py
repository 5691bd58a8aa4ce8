"""The pages below the prefix: signing in and up, what links of mails lead to, the account; and their files.

Whatever follows the # of a link no server is told of: who only looks at the page has used nothing up (attack 77).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import URL

from watchword.errors import NotFound
from watchword.http.site import Site
from watchword.pages import assets
from watchword.pages.languages import languages
from watchword.pages.render import environment, page, signs_in
from watchword.settings import Signup

PLAIN = ("verify", "address", "forgot", "reset")


def router(site: Site) -> APIRouter:
    """Raises SettingsError when the app's own templates or messages cannot be read."""
    environment(site.page_templates)
    languages(site.page_templates)
    routes = APIRouter(include_in_schema=False, routes=[*assets.router(site).routes])
    prefix, sign_up_is_open = site.settings.prefix, site.settings.signup is Signup.OPEN

    @routes.get(prefix)
    async def without_slash(request: Request) -> Response:
        return RedirectResponse(URL(f"{prefix}/").replace(query=request.url.query), status_code=308)

    @routes.get(f"{prefix}/")
    async def sign_in(request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        # Somebody who looked for the code elsewhere, on a telephone that forgot this page meanwhile.
        waiting = bool(site.cookies.two_factor.values(request.scope["headers"]))
        return page(
            site, request, "sign_in.html", next=wanted, sign_up=sign_up_is_open, code_waits=waiting, boot=True
        )

    @routes.get(f"{prefix}/sign-up")
    async def sign_up(request: Request) -> Response:
        if not sign_up_is_open:
            raise NotFound
        return page(site, request, "sign_up.html")

    @routes.get(f"{prefix}/account")
    async def account(request: Request) -> Response:
        if not signs_in(site.settings):
            raise NotFound
        return page(site, request, "account.html", boot=True)

    for name in PLAIN:
        routes.get(f"{prefix}/{name}")(_plain(site, name))
    return routes


def _plain(site: Site, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def plain(request: Request) -> Response:
        return page(site, request, f"{name}.html")

    return plain


def local_path(wanted: str) -> str:
    """Where to go after signing in: a path of this origin, or nowhere (SECURITY-TARGET attack 88).

    One slash and then no second one nor a backslash, and no character that a URL parser would skip.
    """
    plain = all(c.isascii() and c.isprintable() and c not in '\\"<> ' for c in wanted)
    return wanted if plain and wanted.startswith("/") and not wanted.startswith("//") else ""
