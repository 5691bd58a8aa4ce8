"""GET /, /sign-up, /verify, /forgot and /reset below the prefix: signing in and up, asking for links and what they lead
to.

Whatever follows the # of a link no server is told of: who only looks at the page has used nothing up (attack 77).
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from watchword.errors import NotFound
from watchword.http.site import Site
from watchword.pages.render import page
from watchword.settings import Signup


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    prefix, sign_up_is_open = site.settings.prefix, site.settings.signup is Signup.OPEN

    @routes.get(prefix)
    async def without_slash(request: Request) -> Response:
        return RedirectResponse(f"{prefix}/", status_code=308)

    @routes.get(f"{prefix}/")
    async def sign_in(request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        return page(site, "sign_in.html", next=wanted, sign_up=sign_up_is_open)

    @routes.get(f"{prefix}/sign-up")
    async def sign_up(request: Request) -> Response:
        if not sign_up_is_open:
            raise NotFound
        return page(site, "sign_up.html")

    @routes.get(f"{prefix}/verify")
    async def verify(request: Request) -> Response:
        return page(site, "verify.html")

    @routes.get(f"{prefix}/address")
    async def address(request: Request) -> Response:
        return page(site, "address.html")

    @routes.get(f"{prefix}/forgot")
    async def forgot(request: Request) -> Response:
        return page(site, "forgot.html")

    @routes.get(f"{prefix}/reset")
    async def reset(request: Request) -> Response:
        return page(site, "reset.html")

    return routes


def local_path(wanted: str) -> str:
    """Where to go after signing in: a path of this origin, or nowhere (SECURITY-TARGET attack 88).

    One slash and then no second one nor a backslash, and no character that a URL parser would skip.
    """
    plain = all(c.isascii() and c.isprintable() and c not in '\\"<> ' for c in wanted)
    return wanted if plain and wanted.startswith("/") and not wanted.startswith("//") else ""
