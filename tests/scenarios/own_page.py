"""An app as somebody else would write it: one open page, which signs in by fetch, and one guarded route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from tests.servers import EMAIL, PASSWORD
from watchword import Watchword
from watchword.fastapi import StoredUser, install, public

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")


def create_app() -> FastAPI:
    auth = Watchword()

    @asynccontextmanager
    async def moved_in(_: FastAPI) -> AsyncIterator[None]:
        await auth.users.create(EMAIL, PASSWORD)
        yield

    app = FastAPI(lifespan=moved_in)
    install(app, auth)

    @app.get("/")
    @public
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.replace("PREFIX", auth.settings.prefix))

    @app.get("/who")
    async def who(user: StoredUser) -> dict[str, str]:
        return {"email": user.email}

    return app
