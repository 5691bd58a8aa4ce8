"""A pytest plugin for apps that use Watchword: sign a test client in, and travel in time.

    def test_profile(login_as, client, auth):     # `auth` and a Starlette TestClient come from fixtures of your own
        login_as(client, auth, "ada@example.com", roles=["owner"])
        assert client.get("/profile").status_code == 200

`watchword_clock` is a clock to give to `Watchword(clock=…)`; `watchword_auth` a whole Watchword over a memory store
with it, hashing cheaply. Never for production: nothing here is imported by anything else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
import pytest

from watchword.auth import Watchword
from watchword.core.session import Client
from watchword.core.user import User
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import NotFound, SettingsError
from watchword.flows.sign_in import start_session
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.texts import duration


@dataclass
class TravellingClock:
    """A clock that stands still until it is told to travel. Implements `ports.Clock`."""

    __test__ = False
    micros: int = field(default_factory=lambda: time.time_ns() // 1000)

    def now(self) -> int:
        return self.micros

    def travel(self, span: str | timedelta) -> None:
        """Go ahead by `15m`, `7d` or a timedelta (back by a negative one)."""
        step = duration(span) if isinstance(span, str) else span
        self.micros += step // timedelta(microseconds=1)


def make_auth(clock: TravellingClock | None = None, **texts: str) -> Watchword:
    """A Watchword over a memory store with cheap hashing and without rate limits, for `http://testserver`; `texts` are
    settings by name."""
    clock = clock or TravellingClock()
    given = {
        "secret": secrets.token_urlsafe(48),
        "url": "http://testserver",
        "database_url": "memory:",
        "limits": "off",
    } | texts
    hasher = Argon2Hasher(threads=1, memory=8, passes=1)
    return Watchword(
        Settings.parse(given), store=MemoryStore(clock), hasher=hasher, clock=clock, mail_shown=True
    )


async def sign_in_as(
    auth: Watchword, email: str, *, roles: Sequence[str] = ()
) -> tuple[User, dict[str, str]]:
    """A new session of `email`, who is made if there is no such user, and the headers that carry it.

    `roles`, if any are named, are what the user has from now on.
    """
    read_at = auth.world.clock.now()
    try:
        user = await auth.users.get(email)
    except NotFound:
        user = await auth.users.create(email)
    if roles:
        await auth.users.set_roles(email, roles)
        user = await auth.users.get(email)
    mode = auth.settings.mode[0]
    grant = await start_session(
        auth.world, user, read_at=read_at, amr=("pwd",), client=Client(), mode=mode, replaces=None
    )
    if grant is None:
        raise SettingsError(f"{email} is not active")
    if mode.access_in_body:
        return user, {"authorization": f"Bearer {grant.access_token}"}
    _, lines = auth.site.delivery.tokens(grant)
    pairs = [line.partition(b";")[0].decode() for _, line in lines]
    return user, {"cookie": "; ".join(pairs), "origin": auth.settings.url}


@pytest.fixture
def watchword_clock() -> TravellingClock:
    """A clock for `Watchword(clock=…)` that `travel("15m")` moves."""
    return TravellingClock()


@pytest.fixture
def watchword_auth(watchword_clock: TravellingClock) -> Watchword:
    """A Watchword over a memory store, following `watchword_clock`."""
    return make_auth(watchword_clock)


@pytest.fixture
def login_as() -> Any:
    """`login_as(client, auth, email, roles=[…])` signs a Starlette TestClient in and returns the user."""

    def login(client: Any, auth: Watchword, email: str, *, roles: Sequence[str] = ()) -> User:
        user: User
        run = anyio.run if client.portal is None else client.portal.call  # without and within `with client:`
        user, headers = run(lambda: sign_in_as(auth, email, roles=roles))
        client.headers.update(headers)
        return user

    return login
