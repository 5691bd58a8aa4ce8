"""The app of `watchword dev`: the standalone one with pages that show who is signed in, and all mail. Loopback only."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from watchword.auth import Watchword
from watchword.errors import SettingsError
from watchword.pages import inbox, promises
from watchword.pages.render import page, signs_in
from watchword.routing.match import public
from watchword.server import log
from watchword.server.app import standalone
from watchword.settings import Settings

PROFILE = "/profile"


def create_app() -> Starlette:
    """Raises SettingsError when `url` is not this machine's own (SECURITY-TARGET attack 100)."""
    settings = Settings.from_env()
    if not settings.loopback:
        raise SettingsError(f"WATCHWORD_URL is {settings.url}: `watchword dev` is for this machine alone")
    log.configure()
    shown = settings.pages
    auth = Watchword(settings, features=[inbox.router, promises.router] if shown else (), mail_shown=shown)

    @public  # the page is the same for everybody; what it shows comes from guarded routes
    async def profile(request: Request) -> Response:
        return page(auth.site, request, "profile.html", translated=False, boot=True)

    if not signs_in(settings):
        return standalone(auth)
    return standalone(auth, Route(PROFILE, profile), home=PROFILE)
