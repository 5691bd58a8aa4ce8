"""A TCP proxy that can go bad in the ways that networks do, in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Proxy:
    """Hands bytes on to `host:port`, until it is told to go bad. All methods may be called from any thread."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._flows = asyncio.Event()
        self._refuses = False
        self._words = b""
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        self._run(self._open())

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def swallow(self) -> None:
        """A black hole: connections stay, new ones are made, nothing comes through and nobody is told."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def cut(self) -> None:
        """Connections are reset, new ones too."""
        self._run(self._cut())

    def cut_behind(self, words: bytes) -> None:
        """The next connection by which `words` are sent is reset when their answer comes, which nobody hears."""
        self._words = words

    def mend(self) -> None:
        """All is well again; what was swallowed arrives late, as on a network."""
        self._run(self._mend())

    def _run(self, coroutine) -> None:  # type: ignore[no-untyped-def]  # of any of these
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self) -> None:
        self._refuses = True
        for writer in self._writers:
            writer.transport.abort()

    async def _mend(self) -> None:
        self._refuses = False
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        await self._flows.wait()
        try:
            there, thither = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, thither}
        said = asyncio.Event()
        await asyncio.gather(self._pump(reader, thither, said), self._pump(there, writer, said, answers=True))
        self._writers -= {writer, thither}

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        said: asyncio.Event,
        *,
        answers: bool = False,
    ) -> None:
        """`said` tells the two directions of a connection that the words were."""
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                if answers and said.is_set():
                    writer.transport.abort()
                    break
                if self._words and self._words in data and not answers:
                    self._words = b""
                    said.set()
                writer.write(data)
                await writer.drain()
        except OSError:
            writer.transport.abort()  # whoever was reset is told so at the other end
        writer.close()


@contextmanager
def proxying(url: str, default_port: int) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the server of a URL, and the URL by which it is reached."""
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "127.0.0.1", parts.port or default_port)
    proxy.start()
    try:
        login, at, _ = parts.netloc.rpartition("@")
        yield proxy, parts._replace(netloc=f"{login}{at}127.0.0.1:{proxy.port}").geturl()
    finally:
        proxy.stop()
