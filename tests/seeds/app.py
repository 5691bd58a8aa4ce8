"""The application of the five documents: a public page, `GET /profile` and `POST /data` behind the guard."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from watchword import Watchword
from watchword.fastapi import CurrentUser, install, public

app = FastAPI()


@app.get("/")
@public
async def home() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/profile")
async def profile(user: CurrentUser) -> dict[str, Any]:
    return {"id": user.id, "roles": user.roles, **user.claims}


@app.post("/data")
async def data(user: CurrentUser, values: dict[str, Any]) -> dict[str, Any]:
    return {"saved": values, "by": user.id}


install(app, Watchword())
