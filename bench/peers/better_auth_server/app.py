"""better-auth-server, a port of better-auth to Python, on FastAPI with its SQLAlchemy adapter over SQLite (aiosqlite).

- guard: `require_session`. With its cookie cache on, the signed copy of session and user in a cookie is verified
  (HMAC-SHA256) and no database asked; who was signed out passes until that copy expires, in 5 minutes. Without it, the
  rows of the session and of the user are read, each request.
- refresh: `GET /get-session` with `update_age=0` and no cookie cache: reads the session, moves its end on (one write),
  reads the user, sets the cookie anew. The token stays the same: nothing rotates.
- login: reads the user and the account, verifies scrypt (N=16384, r=16), writes a session.

SQLite is in WAL mode with synchronous=FULL. Rate limits are off, as ours are while we measure.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from better_auth import BetterAuth, EmailAndPassword, RateLimit, SessionOptions
from better_auth.adapters.sqlalchemy import SQLAlchemyAdapter
from better_auth.config import CookieCache
from better_auth.integrations.fastapi import BetterAuthFastAPI
from better_auth.types import AuthRequest
from fastapi import Depends, FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

ORIGIN = "http://127.0.0.1:8000"

engine = create_async_engine(os.environ["PEER_DATABASE"])


@event.listens_for(engine.sync_engine, "connect")
def durable(connection, record):  # type: ignore[no-untyped-def]
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


adapter = SQLAlchemyAdapter(engine)
auth = BetterAuth(
    secret=os.environ["PEER_SECRET"],
    base_url=ORIGIN,
    base_path="/auth",
    adapter=adapter,
    email_and_password=EmailAndPassword(enabled=True),
    session=SessionOptions(
        update_age=int(os.environ["PEER_UPDATE_AGE"]),
        cookie_cache=CookieCache(enabled=os.environ["PEER_CACHE"] == "on", max_age=300),
    ),
    rate_limit=RateLimit(enabled=False),
)
bound = BetterAuthFastAPI(auth)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await adapter.create_tables()
    for number in range(int(os.environ["PEER_PEOPLE"])):
        email = f"user{number}@example.com"
        person = {"name": email, "email": email, "password": os.environ["PEER_PASSWORD"]}
        headers = {"content-type": "application/json", "origin": ORIGIN}
        made = await auth.handle(
            AuthRequest(
                method="POST", path="/sign-up/email", headers=headers, body=json.dumps(person).encode()
            )
        )
        assert made.status == 200, made
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/item")
async def item(found: dict[str, Any] = Depends(bound.require_session)) -> dict[str, str]:
    return {"id": found["user"]["id"].ljust(36, "0")}


app.include_router(bound.router)
