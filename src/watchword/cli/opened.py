"""A whole Watchword for one verb: made from the environment, its database checked, let go of at the end."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from watchword.errors import SettingsError, StaleSchemaError, Unavailable
from watchword.settings import Settings

if TYPE_CHECKING:
    from watchword.auth import Watchword

T = TypeVar("T")


def lasting(settings: Settings) -> Settings:
    """The same settings. Raises SettingsError when there is no database that another process could look into."""
    if settings.database_url.startswith("memory:"):
        raise SettingsError(
            "WATCHWORD_DATABASE_URL: a memory store lives and dies in its own process; use sqlite:/// or postgresql://"
        )
    return settings


def keyed(settings: Settings) -> Settings:
    """The same settings, with a secret of the moment when there is none: what users and sessions are, and whether
    they are ended, needs no key. No token is minted under it."""
    return settings if settings.secret else replace(settings, secret=(secrets.token_urlsafe(48),))


def administer(work: Callable[[Watchword], Awaitable[T]], *, settings: Settings | None = None) -> T:
    """Run `work` over the database of the environment. Sessions that it ends are ended in the table; running servers
    follow by themselves. Raises SettingsError, StaleSchemaError, Unavailable and what `work` raises."""
    import asyncio
    import logging

    from watchword.auth import Watchword

    if not logging.getLogger().handlers:
        # The verb says itself what came of it; what drivers log on the way would only stand before its line.
        logging.getLogger().addHandler(logging.NullHandler())
    settings = keyed(lasting(settings or Settings.from_env()))
    _reach(settings)

    async def opened() -> T:
        auth = Watchword(settings, by="cli")
        try:
            try:
                await auth.world.store.check()
            except StaleSchemaError:  # it did answer
                raise
            except Unavailable as error:
                raise Unavailable(f"The database does not answer: {error.__cause__ or error}") from error
            return await work(auth)
        finally:
            await auth.aclose()

    return asyncio.run(opened())


def _reach(settings: Settings) -> None:
    """Connect to PostgreSQL once before a pool does, which would wait and in the end not say why."""
    from watchword.storage.sql.urls import parse

    database = parse(settings.database_url)
    if database.kind == "postgresql":
        import psycopg

        from watchword.storage.sql.postgres import connect_once

        try:
            connect_once(database.target).close()
        except psycopg.Error as error:
            raise Unavailable(f"The database does not answer: {error}") from error
