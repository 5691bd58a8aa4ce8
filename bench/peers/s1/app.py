"""The design "S1" as it is written, on FastAPI (docs/seeds.md): an opaque refresh token, stored as a bcrypt hash.

- guard: verifies an HS256 signature by PyJWT. No database.
- refresh: a salted hash cannot be looked up, so the user's tokens that are neither revoked nor expired are compared by
  bcrypt (cost 10) until one matches; the client says in `x-user-id` whose. Then the old row is revoked and a new one
  inserted, in two commits, and the new token is hashed by bcrypt too. The table holds ten tokens a user: sign-ins of
  the last seven days, none of which was revoked, since S1's cookie never reaches its logout route. The newest, which is
  in use, is the last to be compared.
- login: verifies bcrypt (cost 10), hashes a new token by bcrypt, inserts a row. (S1 itself accepts any password; nobody
  would.)

SQLite is in WAL mode with synchronous=FULL; bcrypt works in threads, as Node's does, and of 128 characters hashes the
first 72, which this bcrypt wants to be told.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from typing import Annotated

import bcrypt
import jwt
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

SECRET = os.environ["PEER_SECRET"]
TTL = 7 * 86_400
ROUNDS = 10
SIGN_INS = 10
SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL, password_hash TEXT NOT NULL);
CREATE TABLE refresh_tokens (
    id INTEGER PRIMARY KEY, token_hash TEXT UNIQUE NOT NULL, expires_at REAL NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0, replaced_by TEXT, user_agent TEXT, ip TEXT,
    user_id INTEGER NOT NULL REFERENCES people ON DELETE CASCADE, created_at REAL NOT NULL
);
CREATE INDEX of_user ON refresh_tokens (user_id);
"""

connection = sqlite3.connect(os.environ["PEER_DATABASE"], isolation_level=None, check_same_thread=False)
connection.executescript(SCHEMA)


def hashed(secret: str) -> str:
    return bcrypt.hashpw(secret.encode()[:72], bcrypt.gensalt(ROUNDS)).decode()


def matches(secret: str, digest: str) -> bool:
    return bcrypt.checkpw(secret.encode()[:72], digest.encode())


def insert(user_id: int, digest: str, user_agent: str, ip: str) -> None:
    now = time.time()
    connection.execute(
        "INSERT INTO refresh_tokens (token_hash, expires_at, user_agent, ip, user_id, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (digest, now + TTL, user_agent, ip, user_id, now),
    )


def prepare() -> None:
    """The hashes of old tokens are of random text whose salt is right: bcrypt compares them at the full price."""
    password_hash = hashed(os.environ["PEER_PASSWORD"])
    for number in range(int(os.environ["PEER_PEOPLE"])):
        email = f"user{number}@example.com"
        found = connection.execute(
            "INSERT INTO people (email, password_hash) VALUES (?, ?) RETURNING id", (email, password_hash)
        )
        (user_id,) = found.fetchone()
        for _ in range(SIGN_INS - 1):
            salt = bcrypt.gensalt(ROUNDS).decode()
            insert(user_id, salt + secrets.token_hex(16)[:31], "", "")


prepare()
app = FastAPI()


class Credentials(BaseModel):
    email: str
    password: str


def access_token(user_id: int, email: str) -> str:
    now = int(time.time())
    claims = {"sub": str(user_id), "email": email, "roles": ["user"], "iat": now, "exp": now + 900}
    return jwt.encode(claims, SECRET, "HS256")


def subject(authorization: Annotated[str, Header()]) -> str:
    try:
        return str(jwt.decode(authorization.removeprefix("Bearer "), SECRET, ["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None


def set_cookie(response: Response, raw: str) -> None:
    response.set_cookie(
        "rt", raw, max_age=TTL, path="/auth/refresh", httponly=True, secure=True, samesite="none"
    )


def client(request: Request) -> tuple[str, str]:
    return request.headers.get("user-agent", ""), request.client.host if request.client else ""


@app.get("/item")
async def item(sub: Annotated[str, Depends(subject)]) -> dict[str, str]:
    return {"id": sub.rjust(36, "0")}


@app.post("/auth/login")
async def login(body: Credentials, request: Request, response: Response) -> dict[str, str]:
    row = connection.execute("SELECT id, password_hash FROM people WHERE email = ?", (body.email,)).fetchone()
    if row is None or not await asyncio.to_thread(matches, body.password, row[1]):
        raise HTTPException(401)
    raw = secrets.token_hex(64)
    insert(row[0], await asyncio.to_thread(hashed, raw), *client(request))
    set_cookie(response, raw)
    return {"accessToken": access_token(row[0], body.email)}


async def first_match(raw: str, rows: list[tuple[int, str]]) -> int | None:
    for row_id, digest in rows:
        if await asyncio.to_thread(matches, raw, digest):
            return row_id
    return None


@app.post("/auth/refresh")
async def refresh(
    request: Request, response: Response, rt: Annotated[str, Cookie()], x_user_id: Annotated[int, Header()]
) -> dict[str, str]:
    rows = connection.execute(
        "SELECT id, token_hash FROM refresh_tokens WHERE user_id = ? AND revoked = 0 AND expires_at > ? "
        "ORDER BY id",
        (x_user_id, time.time()),
    ).fetchall()
    row_id = await first_match(rt, rows)
    if row_id is None:
        raise HTTPException(401)
    raw = secrets.token_hex(64)
    successor = await asyncio.to_thread(hashed, raw)
    connection.execute(
        "UPDATE refresh_tokens SET revoked = 1, replaced_by = ? WHERE id = ?", (successor, row_id)
    )
    insert(x_user_id, successor, *client(request))
    (email,) = connection.execute("SELECT email FROM people WHERE id = ?", (x_user_id,)).fetchone()
    set_cookie(response, raw)
    return {"accessToken": access_token(x_user_id, email)}
