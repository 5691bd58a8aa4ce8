"""The admin listener: /metrics, /health/live and /health/ready for all processes that serve together, and nothing else.

A server of its own, in a thread of the process that starts the others, on a socket of its own: it answers when they do
not, and nothing that it serves is reachable through theirs, nor any of theirs through it (ASVS 5.0 13.4.2, 13.4.5).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from watchword.drivers.exposition import CONTENT_TYPE, text
from watchword.errors import MethodNotAllowed, NotFound, Problem, SettingsError, Unavailable
from watchword.http.gate import added, always
from watchword.http.problem import NO_STORE, Message, Receive, Scope, Send, respond
from watchword.server.hub import Hub
from watchword.server.link import HUB
from watchword.settings import Settings

START_SECONDS, STOP_SECONDS = 10.0, 5.0


class AdminApp:
    """ASGI, over a hub. Health is found with and without `prefix`, so that a probe is moved here by its port alone."""

    def __init__(self, settings: Settings, hub: Hub, path: str, opened: threading.Event) -> None:
        self._hub, self._path, self._opened = hub, path, opened
        self._docs = f"{settings.url}{settings.prefix}/errors"
        self._always = always(settings)
        self._pages = {"/metrics": self._metrics}
        for prefix in {"", settings.prefix}:
            self._pages[f"{prefix}/health/live"] = self._live
            self._pages[f"{prefix}/health/ready"] = self._ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = added(message["headers"], self._always)
            await send(message)

        try:
            page = self._pages.get(scope["path"])
            if page is None:
                raise NotFound
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(headers=(("Allow", "GET, HEAD"),))
            kind, body = await page()
        except Problem as problem:
            await respond(problem, scope, receive, with_headers, docs=self._docs)
            return
        lines = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), NO_STORE]
        await with_headers({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._hub.open(self._path)
        self._opened.set()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._hub.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _metrics(self) -> tuple[str, bytes]:
        return CONTENT_TYPE, text(await self._hub.values())

    async def _live(self) -> tuple[str, bytes]:
        if not await self._hub.live():
            raise Unavailable("No process that serves answers.", retry_after=1)
        return _OK

    async def _ready(self) -> tuple[str, bytes]:
        if not await self._hub.ready():
            raise Unavailable("A process that serves is not ready, or none answers.", retry_after=1)
        return _OK


_OK = "application/json", json.dumps({"status": "ok"}).encode()


@contextmanager
def administered(
    settings: Settings, listener: socket.socket, *, protocol: type[asyncio.Protocol]
) -> Iterator[None]:
    """Answer on `listener`, speaking `protocol`, while inside, and tell processes that are started meanwhile where to
    report to. Raises SettingsError."""
    opened = threading.Event()
    with TemporaryDirectory(prefix="watchword-") as folder:  # which our user alone may enter
        path = str(Path(folder) / "hub")
        server = uvicorn.Server(
            uvicorn.Config(
                AdminApp(settings, Hub(), path, opened),
                lifespan="on",
                ws="none",
                proxy_headers=False,
                server_header=False,
                log_config=None,
                access_log=False,
                limit_concurrency=64,
                timeout_graceful_shutdown=1,
                http=protocol,
            )
        )
        thread = threading.Thread(target=_run, args=(server, listener), name="watchword-admin", daemon=True)
        before = os.environ.get(HUB)
        os.environ[HUB] = path
        thread.start()
        try:
            if not opened.wait(START_SECONDS):
                raise SettingsError("The admin listener did not start.")
            yield
        finally:
            server.should_exit = True
            thread.join(STOP_SECONDS)
            if before is None:
                del os.environ[HUB]
            else:
                os.environ[HUB] = before


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    asyncio.run(server.serve([listener]))
