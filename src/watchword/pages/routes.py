"""GET /, /forgot and /reset below the prefix: signing in, asking for a link and what it leads to.

Whatever follows the # of a link no server is told of: who only looks at the page has used nothing up (attack 77).
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from watchword.http.site import Site
from watchword.pages.render import page


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    prefix = site.settings.prefix

    @routes.get(prefix)
    async def without_slash(request: Request) -> Response:
        return RedirectResponse(f"{prefix}/", status_code=308)

    @routes.get(f"{prefix}/")
    async def sign_in(request: Request) -> Response:
        return page(site, "sign_in.html", next=local_path(request.query_params.get("next", "")))

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
