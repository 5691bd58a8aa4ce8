"""An app with one guarded route, for tabs that want to know who they are."""

from __future__ import annotations

from fastapi import FastAPI

from watchword import Watchword
from watchword.fastapi import CurrentUser, install


def create_app() -> FastAPI:
    app = FastAPI()
    install(app, Watchword())

    @app.get("/who")
    async def who(user: CurrentUser) -> dict[str, str]:
        return {"id": user.id}

    return app
