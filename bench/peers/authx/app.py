"""AuthX on FastAPI, with the access token in the Authorization header, which is its default.

- guard: `access_token_required` verifies an HS256 signature. No database, no user, nothing that could be revoked.
- refresh: verifies the refresh token and signs a new pair. Nothing is stored: the old token stays good until it
  expires, and neither its theft nor a sign-out can be noticed.
- login: AuthX keeps no users and verifies no password, so that there is nothing to measure; the route here signs a
  pair for whoever is named.
"""

from __future__ import annotations

import os

from authx import AuthX, AuthXConfig, TokenPayload
from fastapi import Depends, FastAPI
from pydantic import BaseModel

security = AuthX(
    config=AuthXConfig(JWT_ALGORITHM="HS256", JWT_SECRET_KEY=os.environ["PEER_SECRET"])  # else the defaults
)
app = FastAPI()


class Credentials(BaseModel):
    email: str
    password: str


@app.get("/item")
async def item(payload: TokenPayload = Depends(security.access_token_required)) -> dict[str, str]:
    return {"id": payload.sub.ljust(36, "0")}


@app.post("/auth/login")
async def login(body: Credentials) -> dict[str, str]:
    pair = security.create_token_pair(uid=body.email)
    return {"access_token": pair.access_token, "refresh_token": pair.refresh_token}


@app.post("/auth/refresh")
async def refresh(payload: TokenPayload = Depends(security.refresh_token_required)) -> dict[str, str]:
    pair = security.create_token_pair(uid=payload.sub)
    return {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
