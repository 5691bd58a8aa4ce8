"""The limits of a request's head, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from watchword.cli import protocol
from watchword.cli.protocol import BoundedProtocol

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
REQUEST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def connect(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """Connections to an app behind the protocol, which waits for a head no longer than 0.4 s."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.4)
    config = uvicorn.Config(echo, http=BoundedProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config, ServerState(), {}), "127.0.0.1", 0
    )
    made: list[asyncio.StreamWriter] = []

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        made.append(writer)
        return reader, writer

    yield connected
    for writer in made:
        writer.close()
    server.close()


async def answered(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await reader.readexactly(2)
    return head.partition(b"\r\n")[0]


async def test_ordinary_requests_follow_each_other_on_one_connection(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(3):
        writer.write(REQUEST)
        assert await answered(reader) == b"HTTP/1.1 200 OK"


async def test_pipelined_requests_are_all_answered(connect: Connect) -> None:
    """However they fall into readings. ASVS 4.2.2."""
    reader, writer = await connect()
    many = REQUEST * 3_000
    writer.write(many)
    for _ in range(3_000):
        assert await answered(reader) == b"HTTP/1.1 200 OK"


async def test_a_large_body_is_not_taken_for_a_head(connect: Connect) -> None:
    reader, writer = await connect()
    size = 10 * protocol.HEAD_BYTES
    writer.write(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(10):
        await asyncio.sleep(0.01)
        writer.write(b"x" * protocol.HEAD_BYTES)
    assert await answered(reader) == b"HTTP/1.1 200 OK"


async def test_a_slow_head_that_arrives_in_time_is_answered(connect: Connect) -> None:
    reader, writer = await connect()
    for byte in REQUEST:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.002)
    assert await answered(reader) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("line", [b"X-%d: %s\r\n", b"X%d%s"], ids=["lines", "one line"])
async def test_a_head_without_end_is_refused(connect: Connect, line: bytes) -> None:
    """ASVS 4.2.5."""
    _, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\n")
    for number in range(1_000):
        try:
            writer.write(line % (number, b"a" * 8_000))
            await writer.drain()
        except ConnectionError:
            return
    pytest.fail("8 MB of head were taken")


@pytest.mark.parametrize(
    "said", [b"", b"GET / HT", b"\r\n\r\n", REQUEST + b"\r\n\r\n", REQUEST + b"GET / HT"], ids=repr
)
async def test_a_connection_that_keeps_a_head_waiting_is_closed(connect: Connect, said: bytes) -> None:
    """Attack 80."""
    reader, writer = await connect()
    writer.write(said[: len(REQUEST)])
    if said.startswith(REQUEST):
        await answered(reader)
        writer.write(said[len(REQUEST) :])
    assert await asyncio.wait_for(reader.read(), 3) == b""


async def test_trickling_does_not_help(connect: Connect) -> None:
    """Attack 80: the time is for the whole head."""
    reader, writer = await connect()
    since = asyncio.get_running_loop().time()
    writer.write(b"GET / HTTP/1.1\r\n")
    while asyncio.get_running_loop().time() - since < 3:
        try:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
        except ConnectionError:
            break
        if reader.at_eof():
            break
    assert asyncio.get_running_loop().time() - since < 2


async def test_a_slow_answer_is_not_cut_off(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await connect()
    writer.write(REQUEST[:-2])  # the app waits for the rest of the body
    await asyncio.sleep(0.8)
    writer.write(REQUEST[-2:])
    assert await answered(reader) == b"HTTP/1.1 200 OK"


HOST = b"POST / HTTP/1.1\r\nHost: here\r\n"
SMUGGLED = {
    "both lengths": HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way round": HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "one length twice": HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": HOST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a sign": HOST + b"Content-Length: +5\r\n\r\nhello",
    "a length below nothing": HOST + b"Content-Length: -5\r\n\r\nhello",
    "a length in hexadecimal": HOST + b"Content-Length: 0x5\r\n\r\nhello",
    "another coding": HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, and then not": HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk that does not end": HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    "a chunk of no number": HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a chunk with bare line feeds": HOST + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
    "a space before the colon": HOST + b"Content-Length : 5\r\n\r\nhello",
    "a folded line": HOST + b"X-Folded: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    "a bare line feed": b"POST / HTTP/1.1\nHost: here\nContent-Length: 5\n\nhello",
    "a bare carriage return": HOST + b"X-Odd: a\rContent-Length: 5\r\n\r\nhello",
    "a zero byte": HOST + b"X-Odd: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    "a header without a name": HOST + b": 5\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", SMUGGLED)
async def test_what_could_be_read_as_two_requests_is_refused_and_the_connection_closed(
    connect: Connect, name: str
) -> None:
    """Attack 90; ASVS 4.2.1; RFC 9112 §6: a proxy and we must not disagree about where a request ends."""
    reader, writer = await connect()
    writer.write(SMUGGLED[name] + b"GET /second HTTP/1.1\r\nHost: here\r\n\r\n")
    said = await asyncio.wait_for(reader.read(-1), 5)
    assert said.startswith(b"HTTP/1.1 400 "), said
    assert said.count(b"HTTP/1.1 ") == 1, said
