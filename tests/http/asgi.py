"""Talking to an ASGI app with nothing in between: exactly these bytes go in, exactly those come out.

`call` is one HTTP request, `handshake` the opening of one WebSocket. Neither adds a header that it was not given, but
for the host that every request has and the length of a body in one piece.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
Header = tuple[str | bytes, str | bytes]

PROBLEM = "application/problem+json"
HERE = ("203.0.113.7", 50000)


@dataclass(frozen=True)
class Answer:
    """What came back. A WebSocket that was accepted has status 101."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value.decode("latin-1") for key, value in self.headers if key == name.encode()]

    def get(self, name: str) -> str | None:
        """The value of a header that may come once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """The body of a refusal, after a look at what every problem document must have."""
        assert self.get("content-type") == PROBLEM, (self.status, self.headers, self.body)
        body = self.json
        assert isinstance(body, dict)
        assert body["status"] == self.status
        assert {"type", "title", "status", "detail", "code", "request_id"} <= body.keys()
        return body

    @property
    def code(self) -> str:
        code = self.problem["code"]
        assert isinstance(code, str)
        return code

    @property
    def cookies(self) -> list[str]:
        """The Set-Cookie lines as they are."""
        return self.all("set-cookie")


def raw(headers: Iterable[Header]) -> list[tuple[bytes, bytes]]:
    """Header lines as servers hand them over: lower-case names, values as they are."""
    return [
        (
            (name.encode() if isinstance(name, str) else name).lower(),
            value.encode("latin-1") if isinstance(value, str) else value,
        )
        for name, value in headers
    ]


async def call(
    app: App,
    method: str,
    target: str,
    *,
    headers: Iterable[Header] = (),
    body: bytes | Sequence[bytes] = b"",
    scheme: str = "http",
    host: str = "testserver",
    client: tuple[str, int] | None = HERE,
    root_path: str = "",
    crashes: bool = False,
) -> Answer:
    """One request. `target` is the raw path with its query; a sequence as `body` is sent in chunks, without a length.

    What the app raises goes through, unless `crashes` says that it will and that its answer is what counts.
    """
    chunks = [body] if isinstance(body, bytes) else list(body)
    lines = [*raw([("host", host)]), *raw(headers)]
    if isinstance(body, bytes) and body and not any(name == b"content-length" for name, _ in lines):
        lines.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "method": method, "scheme": scheme, **_where(target, root_path, host, client)}
    scope["headers"] = lines
    started: Message = {}
    received = bytearray()

    async def receive() -> Message:
        if not chunks:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not started, "two answers to one request"
            started.update(message)
        elif message["type"] == "http.response.body":
            received.extend(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception:
        if not crashes or not started:
            raise
    return Answer(started["status"], tuple(started["headers"]), bytes(received))


async def handshake(
    app: App,
    target: str,
    *,
    headers: Iterable[Header] = (),
    scheme: str = "ws",
    host: str = "testserver",
    client: tuple[str, int] | None = HERE,
    denial: bool = True,
) -> Answer:
    """Ask for a WebSocket and hang up once it is open. `denial` says whether the server can send an HTTP answer.

    A close before the accept is a 403, as servers send it; no word at all a 500.
    """
    scope = {"type": "websocket", "scheme": scheme, "subprotocols": [], **_where(target, "", host, client)}
    scope["headers"] = [*raw([("host", host)]), *raw(headers)]
    scope["extensions"] = {"websocket.http.response": {}} if denial else {}
    asked: list[Message] = [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1001},
    ]
    said: list[Message] = []

    async def receive() -> Message:
        return asked.pop(0) if len(asked) > 1 else asked[0]

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    if not said:
        return Answer(500, (), b"")
    first = said[0]
    if first["type"] == "websocket.accept":
        return Answer(101, tuple(first.get("headers") or ()), b"")
    if first["type"] == "websocket.close":
        return Answer(403, (), str(first.get("reason") or "").encode())
    body = b"".join(message["body"] for message in said[1:])
    return Answer(first["status"], tuple(first["headers"]), body)


def _where(target: str, root_path: str, host: str, client: tuple[str, int] | None) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "path": root_path + unquote(path),
        "raw_path": (root_path + path).encode("utf-8"),
        "query_string": query.encode(),
        "root_path": root_path,
        "client": client,
        "server": (host, 80),
        "state": {},
    }
