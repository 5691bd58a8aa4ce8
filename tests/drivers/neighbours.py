"""Several processes' worth of Watchwords in one: over one database, each with what it knows by itself."""

from __future__ import annotations

from contextlib import suppress

from watchword.auth import Watchword
from watchword.core.session import Client, Principal
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import AlreadyExists
from watchword.flows.sign_in import start_session
from watchword.settings import Mode, Settings


def neighbour(url: str, secret: str, **texts: str) -> Watchword:
    """One of several processes over a database."""
    settings = Settings.parse({"secret": secret, "database_url": url, "limits": "off"} | texts)
    return Watchword(settings, hasher=Argon2Hasher(threads=1, memory=8, passes=1))


async def session_of(auth: Watchword, email: str) -> Principal:
    with suppress(AlreadyExists):
        await auth.users.create(email)
    user = await auth.users.get(email)
    grant = await start_session(
        auth.world,
        user,
        read_at=auth.world.clock.now(),
        amr=("pwd",),
        client=Client(),
        mode=Mode.COOKIES,
        replaces=None,
    )
    assert grant is not None
    return auth.world.access_tokens.verify(grant.access_token.encode(), auth.world.clock.now())
