"""Several processes' worth of Watchwords in one: over one database, each with what it knows by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from watchword.auth import Watchword
from watchword.core.session import Client, Principal
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import NotFound
from watchword.flows.grant import Grant
from watchword.flows.sign_in import start_session
from watchword.ports import Clock
from watchword.settings import Mode, Settings


def neighbour(url: str, secret: str, *, clock: Clock | None = None, **texts: str) -> Watchword:
    """One of several processes over a database, on a host whose clock may be its own."""
    settings = Settings.parse({"secret": secret, "database_url": url, "limits": "off"} | texts)
    return Watchword(settings, hasher=Argon2Hasher(threads=1, memory=8, passes=1), clock=clock)


def jars(env: Mapping[str, str], origin: str, count: int) -> list[dict[str, str]]:
    """The cookies of so many new sessions at servers of this environment, with no password hashed for any."""

    async def all_of_them() -> list[dict[str, str]]:
        auth = Watchword(Settings.from_env({**_settings(env), "WATCHWORD_URL": origin}))
        try:
            # A few each, as what somebody's sign-in costs grows with their sessions.
            grants = [await granted_to(auth, f"jar{number // 20}@example.com") for number in range(count)]
        finally:
            await auth.aclose()
        return [{"access_token": each.access_token, "refresh_token": each.refresh_token} for each in grants]

    return asyncio.run(all_of_them())


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("WATCHWORD_")}


async def session_of(auth: Watchword, email: str) -> Principal:
    grant = await granted_to(auth, email)
    return auth.world.access_tokens.verify(grant.access_token.encode(), auth.world.clock.now())


async def granted_to(auth: Watchword, email: str, user_agent: str = "tests") -> Grant:
    """A new session of a user, who is made if need be, from the network of `tests.servers.Browser`."""
    try:
        user = await auth.users.get(email)
    except NotFound:
        user = await auth.users.create(email)
    grant = await start_session(
        auth.world,
        user,
        read_at=auth.world.clock.now(),
        amr=("pwd",),
        client=Client("127.0.0.1", user_agent),
        mode=Mode.COOKIES,
        replaces=None,
    )
    assert grant is not None
    return grant
