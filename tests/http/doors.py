"""A plain ASGI app behind the guard, and what a test does to the store beneath it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.http.asgi import Answer, Header, call, handshake
from tests.http.devices import Device, House, house, instead
from watchword.core.session import Principal
from watchword.flows.follow import poll
from watchword.http.guard import OWNER_KEY, SCOPE_KEY, Guard


@dataclass
class Behind:
    """An app that remembers whom it was called for, and the guard in front of it: `/open` is public.

    It answers with `status` and `headers`, its own.
    """

    home: House
    ran: list[Principal | None] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = self.home.auth.guard(self._app, lambda scope: scope["path"] == "/open")

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope[OWNER_KEY] is self.home.auth
        self.ran.append(scope[SCOPE_KEY])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"ran"})

    async def ask(self, method: str = "GET", path: str = "/shut", *headers: Header) -> Answer:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.guard(scope, receive, send)

        return await call(app, method, path, headers=headers)

    async def knock(self, path: str, *headers: Header) -> Answer:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.guard(scope, receive, send)

        return await handshake(app, path, headers=headers)


async def behind(mode: str = "bearer", *people: str, **texts: str) -> Behind:
    """A guarded app whose feed of revocations was read just now."""
    home = await house(*people, mode=mode, **texts)
    await poll(home.auth.world, None)
    return Behind(home)


def bearer(token: str) -> Header:
    return ("authorization", f"Bearer {token}")


def carried(device: Device) -> Header:
    """Its access token in the place of its mode."""
    if device.mode in ("hybrid", "bearer"):
        return bearer(device.access)
    return ("cookie", f"{device.access_name}={device.access}")


def count_loads(home: House) -> list[str]:
    """From now on, which sessions were read from the store."""
    asked: list[str] = []
    load = home.auth.world.store.load_session

    async def counted(sid: str) -> Any:
        asked.append(sid)
        return await load(sid)

    instead(home.auth.world.store, "load_session", counted)
    return asked


def break_store(home: House, error: Callable[[], Exception]) -> None:
    """From now on every verb of the store fails."""

    def failing(*_: Any, **__: Any) -> Any:
        async def fail() -> Any:
            raise error()

        return fail()

    store = home.auth.world.store
    for name in dir(store):
        if not name.startswith("_"):
            instead(store, name, failing)
