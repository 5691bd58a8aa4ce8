"""A pytest plugin for apps that use Watchword: sign a test client in, read its mail, and travel in time.

    def test_profile(login_as, client, auth):     # `auth` and a Starlette TestClient come from fixtures of your own
        login_as(client, auth, "ada@example.com", roles=["owner"])
        assert client.get("/profile").status_code == 200

`watchword_clock` is a clock to give to `Watchword(clock=…)`; `watchword_auth` a whole Watchword over a memory store
with it, hashing cheaply; `mailbox` reads the codes and links that it sends. Never for production: nothing here is
imported by anything else.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
import pytest

from watchword.auth import Watchword
from watchword.core.challenge import CODE_IN_TEXT, TOKEN
from watchword.core.mail import Letter, Mail
from watchword.core.session import Client
from watchword.core.user import User, canonical_login
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import NotFound, SettingsError
from watchword.flows.outbox import opened
from watchword.flows.sign_in import start_session
from watchword.ports import Clock
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
    store = KeepingStore(clock)
    return Watchword(Settings.parse(given), store=store, hasher=hasher, clock=clock, mail_shown=True)


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


class KeepingStore(MemoryStore):
    """A memory store that keeps every message as it was queued, in that order: on a clock that stands still no id tells
    which is the newest, and one that was sent is wiped."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.queued: list[Mail] = []

    def _queue(self, mail: Mail) -> None:
        super()._queue(mail)
        self.queued.append(mail)


class Mailbox:
    """What an installation of `make_auth` has for people to read, sent or not. Raises SettingsError for any other."""

    def __init__(self, auth: Watchword) -> None:
        store = auth.world.store
        if not isinstance(store, KeepingStore):
            raise SettingsError("mailbox: only what make_auth made keeps its mail to be read")
        self._world, self._store = auth.world, store

    def letters(self, email: str) -> list[Letter]:
        """The messages to an address as it would read them, newest first."""
        login = canonical_login(email)
        return [opened(self._world, mail) for mail in reversed(self._store.queued) if mail.to == login]

    def code_for(self, email: str) -> str:
        """The six digits that were sent to an address last. Raises LookupError when there are none."""
        return self._newest(email, CODE_IN_TEXT, "a code")

    def link_for(self, email: str) -> str:
        """The token of the link that was sent to an address last: what its page sends as `token`. Raises LookupError
        when there is none."""
        return self._newest(email, TOKEN, "a link")

    def _newest(self, email: str, sought: re.Pattern[str], name: str) -> str:
        letters = self.letters(email)
        for letter in letters:
            if found := sought.search(letter.text):
                return found[0]
        others = ", ".join(repr(letter.subject) for letter in letters) or "nothing"
        raise LookupError(f"no message to {email} has {name} in it; there is {others}")


@pytest.fixture
def watchword_clock() -> TravellingClock:
    """A clock for `Watchword(clock=…)` that `travel("15m")` moves."""
    return TravellingClock()


@pytest.fixture
def watchword_auth(watchword_clock: TravellingClock) -> Watchword:
    """A Watchword over a memory store, following `watchword_clock`."""
    return make_auth(watchword_clock)


@pytest.fixture
def mailbox(watchword_auth: Watchword) -> Mailbox:
    """What `watchword_auth` has queued: `mailbox.code_for(email)`, `mailbox.link_for(email)`."""
    return Mailbox(watchword_auth)


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
