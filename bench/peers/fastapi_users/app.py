"""fastapi-users on FastAPI: bearer transport, JWT strategy, SQLAlchemy on SQLite (aiosqlite) or PostgreSQL (asyncpg).

- guard: `current_user(active=True)` verifies an HS256 signature and reads the user's row, each request, in a database
  session of its own.
- refresh: there is none; a token that has expired means a new sign-in.
- login: reads the user's row and verifies argon2id (pwdlib's default: 64 MiB, 3 passes, 4 lanes), then signs a token.
  Nothing is written.

SQLite is in WAL mode with synchronous=FULL, as in our own measurements; PostgreSQL has the pool that SQLAlchemy makes.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy import event
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

SECRET = os.environ["PEER_SECRET"]


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    __tablename__ = "people"


engine = create_async_engine(os.environ["PEER_DATABASE"])
if engine.dialect.name == "sqlite":

    @event.listens_for(engine.sync_engine, "connect")
    def durable(connection, record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")


sessions = async_sessionmaker(engine, expire_on_commit=False)


async def user_database() -> AsyncIterator[SQLAlchemyUserDatabase]:
    async with sessions() as session:
        yield SQLAlchemyUserDatabase(session, User)


class People(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def people(database: SQLAlchemyUserDatabase = Depends(user_database)) -> AsyncIterator[People]:
    yield People(database)


backend = AuthenticationBackend(
    name="jwt",
    transport=BearerTransport(tokenUrl="auth/login"),
    get_strategy=lambda: JWTStrategy(secret=SECRET, lifetime_seconds=900),
)
fastapi_users = FastAPIUsers[User, uuid.UUID](people, [backend])
current_user = fastapi_users.current_user(active=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        manager = People(SQLAlchemyUserDatabase(session, User))
        for number in range(int(os.environ["PEER_PEOPLE"])):
            new = schemas.BaseUserCreate(
                email=f"user{number}@example.com", password=os.environ["PEER_PASSWORD"]
            )
            await manager.create(new)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/item")
async def item(user: User = Depends(current_user)) -> dict[str, str]:
    return {"id": str(user.id)}


app.include_router(fastapi_users.get_auth_router(backend), prefix="/auth")
