"""A serving process's end of its line to the hub: answers what it asks, and tells it of counts that have changed."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from watchword.auth import Watchword
from watchword.errors import StaleSchemaError, Unavailable
from watchword.server.hub import LINE_BYTES, LIVE, MAIL, READY

TELL_SECONDS = 1.0
READY_SECONDS = 1.5
"""How long the database has to say that we are ready: less than the hub waits for us (see hub.ASK_SECONDS)."""
HUB = "_WATCHWORD_HUB"
"""The environment variable by which `serve` tells its processes where the hub is."""

log = logging.getLogger("watchword.admin")


@asynccontextmanager
async def linked(auth: Watchword, path: str) -> AsyncIterator[None]:
    """Keep a line to the hub at `path` while inside; the last counts are told at the end."""
    link = _Link(auth, path)
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await link.part()


class _Link:
    def __init__(self, auth: Watchword, path: str) -> None:
        self._auth, self._path = auth, path
        self._writer: asyncio.StreamWriter | None = None
        self._told = -1
        self._name = secrets.token_hex(8)

    async def run(self) -> None:
        """Never ends by itself."""
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_BYTES)
                await self._serve(reader)
            except OSError:
                pass  # a hub that is gone is missed by who scrapes it
            except Exception:  # without a line this process would seem to be gone
                log.exception("the line to the admin listener failed; trying again")
            await asyncio.sleep(TELL_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        self._tell()
        beside = {asyncio.create_task(self._tell_on())}
        try:
            while line := await reader.readline():
                asked = json.loads(line)
                number, what = asked["id"], asked["ask"]
                if what in (
                    READY,
                    MAIL,
                ):  # the database's to answer; whoever asks something else need not wait
                    task = asyncio.create_task(self._ask_database(number, what))
                    beside.add(task)
                    task.add_done_callback(beside.discard)
                else:
                    self._say({"id": number, **self._known(what)})
        finally:
            ending = list(beside)
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def part(self) -> None:
        """Tell what was counted since, and end the line."""
        if self._writer is None:
            return
        try:
            self._tell()
            self._writer.close()
            await self._writer.wait_closed()
        except OSError:
            pass  # nobody is there to be told

    def _known(self, what: str) -> dict[str, Any]:
        """What takes no I/O."""
        if what == LIVE:
            return {}
        self._told = self._auth.metrics.changes
        return {"rows": self._auth.metrics.rows()}

    async def _ask_database(self, number: int, what: str) -> None:
        try:
            if what == READY:
                self._say({"id": number, "ready": await self._is_ready()})
            else:
                self._say({"id": number, "of": MAIL, "rows": await self._auth.metrics.database_rows()})
        except Exception:  # the line is for other questions too
            log.exception("a question of the admin listener was not answered")

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._auth.site.readiness.check()
        except (Unavailable, StaleSchemaError, TimeoutError):
            return False
        return True

    async def _tell_on(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            if self._told != self._auth.metrics.changes:
                self._tell()

    def _tell(self) -> None:
        self._told = self._auth.metrics.changes
        self._say({"name": self._name, "rows": self._auth.metrics.rows()})

    def _say(self, message: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(message).encode() + b"\n")
