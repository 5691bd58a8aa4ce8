"""People and their devices: a whole Watchword over a memory store, and clients that keep their tokens as their mode
says, so that one test tells one story in every mode.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.http.asgi import HERE, Answer, App, Header, call
from watchword.auth import Watchword
from watchword.core.user import User
from watchword.drivers.hasher import Argon2Hasher
from watchword.events import Event
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.testing import TravellingClock

PASSWORD = "a long way to Samarkand"
ADA, EVE = "ada@example.com", "eve@example.com"
ROTATING = ("cookies", "hybrid", "bearer")
KEPT = ("jwt_cookie", "session")
"""The modes of one cookie, whose sessions are looked up."""
MODES = (*ROTATING, *KEPT)
BROWSER = tuple(mode for mode in MODES if mode != "bearer")
"""The modes that use a jar."""
_ACCESS = {"cookies": "access_token", "jwt_cookie": "auth_token", "session": "session_id"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SECRET = "Kx3vQ9zL7mW2pR8tY5uB1nC6dF4gH0jS-aE"


@dataclass
class House:
    """One Watchword with its clock and what it has told."""

    auth: Watchword
    clock: TravellingClock
    events: list[Event]
    app: App
    mode: str

    def device(self, **options: Any) -> Device:
        """A new browser or program, signed in to nothing."""
        mode = options.pop("mode", self.mode)
        return Device(options.pop("app", self.app), mode, self.auth.settings.url, **options)

    async def signed_in(self, email: str = ADA, **options: Any) -> Device:
        """A new device on which `email` has signed in."""
        device = self.device(**options)
        answer = await device.sign_in(email)
        assert answer.status == 200, answer.body
        return device

    @property
    def mails(self) -> list[dict[str, Any]]:
        """What every message says that was queued, newest first."""
        store, seals = self.auth.world.store, self.auth.world.seals
        assert isinstance(store, MemoryStore)
        rows = [row.mail for row in reversed(store._outbox.values())]
        return [seals.open(mail.sealed, mail_id=mail.id) or {} for mail in rows]

    @property
    def code(self) -> str:
        """The code that was sent last."""
        text = next(said["code"] for said in self.mails if "code" in said)
        assert isinstance(text, str)
        return text

    def told(self) -> list[str]:
        return [event.name for event in self.events]


def build(**texts: str) -> tuple[Watchword, TravellingClock, list[Event]]:
    """A Watchword as `watchword.testing.make_auth` makes it, with its clock and the events that it tells."""
    clock = TravellingClock()
    events: list[Event] = []
    given = {"secret": SECRET, "url": "http://testserver", "database_url": "memory:", "limits": "off"} | texts
    auth = Watchword(
        Settings.parse(given),
        store=MemoryStore(clock),
        hasher=Argon2Hasher(threads=1, memory=8, passes=1),
        clock=clock,
        on_event=events.append,
        mail_shown=True,
    )
    return auth, clock, events


async def house(*people: str, **texts: str) -> House:
    """A house in which `people` live (Ada, if nobody is named), all with the same password; `texts` are settings."""
    auth, clock, events = build(**texts)
    for email in people or (ADA,):
        await add(auth, email)
    return House(auth, clock, events, auth.app, auth.settings.mode[0].value)


def instead(part: object, verb: str, by: Callable[..., Any]) -> None:
    """From now on `verb` of a store or a hasher does something else."""
    setattr(part, verb, by)


async def add(auth: Watchword, email: str, *, roles: Sequence[str] = ()) -> User:
    return await auth.users.create(email, PASSWORD, username=email.partition("@")[0], roles=roles)


@dataclass
class Device:
    """A client that does what a good client of its mode does, and what the test tells it to."""

    app: App
    mode: str
    url: str
    origin: str | None = ""
    user_agent: str = FIREFOX
    address: tuple[str, int] | None = HERE
    jar: dict[str, str] = field(default_factory=dict)
    access_token: str | None = None
    refresh_token: str | None = None
    two_factor_token: str | None = None

    async def call(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        headers: Iterable[Header] = (),
        keep: bool = True,
        **options: Any,
    ) -> Answer:
        """A request with everything that this device always sends; what comes back is kept if `keep`."""
        lines: list[Header] = [("user-agent", self.user_agent)]
        if method not in ("GET", "HEAD") and self.mode != "bearer" and self.origin is not None:
            lines.append(("origin", self.origin or self.url))
        if self.jar:
            lines.append(("cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items())))
        if self.access_token is not None:
            lines.append(("authorization", f"Bearer {self.access_token}"))
        if data is not None:
            lines.append(("content-type", "application/json"))
            options["body"] = json.dumps(data).encode()
        answer = await call(
            self.app, method, path, headers=[*lines, *headers], client=self.address, **options
        )
        if keep:
            self.keep(answer)
        return answer

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, data: Any = None, **options: Any) -> Answer:
        return await self.call("POST", path, data, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.call("DELETE", path, **options)

    async def sign_in(self, email: str = ADA, password: str = PASSWORD, **options: Any) -> Answer:
        options.setdefault("headers", [("x-auth-mode", self.mode)])
        return await self.post("/auth/login", {"email": email, "password": password}, **options)

    async def enter(self, code: str, **options: Any) -> Answer:
        """Complete a login with a code."""
        return await self.post("/auth/login/2fa", {"code": code} | self.waiting, **options)

    async def resend(self, **options: Any) -> Answer:
        return await self.post("/auth/login/2fa/resend", self.waiting or None, **options)

    @property
    def waiting(self) -> dict[str, str]:
        """What a body must name of a login that waits for its code."""
        return {} if self.two_factor_token is None else {"two_factor_token": self.two_factor_token}

    async def refresh(self, token: str | None = None, **options: Any) -> Answer:
        """With the token that this device holds, or with another one, brought the same way."""
        if self.mode == "bearer":
            return await self.post("/auth/refresh", {"refresh_token": token or self.refresh_token}, **options)
        if token is None:
            return await self.post("/auth/refresh", **options)
        mine = self.jar
        self.jar = {**mine, self.refresh_name: token}
        try:
            return await self.post("/auth/refresh", **options)
        finally:
            if not options.get("keep", True):
                self.jar = mine

    @property
    def refresh_name(self) -> str:
        """The cookie that renews a session: of the modes of one cookie this one."""
        return self._name(_ACCESS[self.mode] if self.mode in KEPT else "refresh_token")

    @property
    def access_name(self) -> str:
        return self._name(_ACCESS.get(self.mode, "access_token"))

    def _name(self, bare: str) -> str:
        return "__Host-" + bare if self.url.startswith("https") else bare

    @property
    def held(self) -> str:
        """The refresh token in hand, or the one token."""
        token = self.refresh_token if self.mode == "bearer" else self.jar.get(self.refresh_name)
        assert token is not None
        return token

    @property
    def access(self) -> str:
        """The access token in hand."""
        token = self.jar.get(self.access_name) if self.mode in _ACCESS else self.access_token
        assert token is not None
        return token

    def keep(self, answer: Answer) -> None:
        """What a jar and a careful program remember of an answer."""
        for line in answer.cookies:
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        if answer.status == 200 and answer.get("content-type") == "application/json":
            body = answer.json
            self.access_token = body.get("access_token", self.access_token)
            self.refresh_token = body.get("refresh_token", self.refresh_token)
            self.two_factor_token = body.get("two_factor_token", self.two_factor_token)


def refresh_token_of(answer: Answer) -> str:
    """The refresh token that an answer carries, in whatever place."""
    for line in answer.cookies:
        name, _, rest = line.partition("=")
        if name.endswith("refresh_token"):
            return rest.partition(";")[0]
    token = answer.json["refresh_token"]
    assert isinstance(token, str)
    return token
