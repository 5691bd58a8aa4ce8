"""The standalone app: our routes and pages, for any number of workers behind one origin."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from watchword.auth import Watchword
from watchword.routing.match import public
from watchword.server import log
from watchword.server.link import HUB, linked
from watchword.settings import Settings, check_production
from watchword.starlette import install


def create_app() -> Starlette:
    """For `serve`: settings from the environment, refused if they are not fit for production. Raises SettingsError."""
    settings = Settings.from_env()
    check_production(settings)
    log.configure()
    auth = Watchword(settings)
    app = standalone(auth)
    if HUB in os.environ:
        report(app, auth, os.environ[HUB])
    return app


def report(app: Starlette, auth: Watchword, hub: str) -> None:
    """Keep a line to the hub for as long as the app serves."""
    inner = app.router.lifespan_context
    auth.metrics.reported = True

    @asynccontextmanager
    async def lifespan(host: Any) -> AsyncIterator[Any]:
        async with inner(host) as state, linked(auth, hub):
            yield state

    app.router.lifespan_context = lifespan


def standalone(auth: Watchword, *more: Route, home: str | None = None) -> Starlette:
    """An app of nothing but ours, and `more`; `home` is where / leads to."""
    target = home or (f"{auth.settings.prefix}/" if auth.settings.pages else None)

    @public
    async def root(request: Request) -> Response:
        return RedirectResponse(str(target))

    @asynccontextmanager
    async def state(_: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        yield {"readiness": auth.site.readiness}  # for whoever stops the server that runs this app

    app = Starlette(routes=[*([Route("/", root)] if target else []), *more], lifespan=state)
    install(app, auth)
    return app
