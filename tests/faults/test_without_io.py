"""A guarded request does no I/O (DESIGN promise 2), by the kernel's word: a process makes ten thousand of them over a
store that has no verbs, and strace writes down each system call on a file, a socket or a descriptor."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.needs import strace_path
from tests.servers import environment

CALLS = 10_000
CALLING = """
import asyncio, os, secrets, socket, sys, time

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from watchword.auth import Watchword
from watchword.core.revocation import Revoked
from watchword.core.uuid7 import uuid7
from watchword.starlette import current_user, install

slip, calls = sys.argv[1], int(sys.argv[2])
one, other = socket.socketpair()


class NoDatabase:
    def __getattr__(self, verb):
        async def refuse(*args, **named):
            raise AssertionError(f"a guarded request asked for {verb}")

        return refuse


def token(sid):
    at = int(time.time())
    return auth.world.access_tokens.issue(
        user_id="ada", sid=sid, jti=sid, roles=(), amr=("pwd",), auth_time=at, issued_at=at, ends_at=at + 900
    ).encode()


async def hello(request):
    if request.path_params["number"] == str(calls // 2):
        if slip == "send":
            one.send(b"x")
        if slip == "stat":
            os.path.exists("/etc/hostname")
    return PlainTextResponse(current_user(request).sid)


async def receive():
    raise AssertionError("the guard reads no body")


def scope(number, header):
    path = f"/{number}"
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [header],
        "server": ("example.com", 80),
        "client": ("127.0.0.1", 1),
    }


async def ask(number, header):
    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    auth.world.revocations.read(auth.world.clock.now())  # a moment ago, as far as the guard is concerned
    await app(scope(number, header), receive, send)


async def main():
    sids = [uuid7(auth.world.clock.now(), secrets.token_bytes(10)) for _ in range(calls // 2)]
    tokens = [token(sid) for sid in sids]
    by_cookie = [(b"cookie", b"theme=dark; access_token=" + each) for each in tokens]
    by_header = [(b"authorization", b"Bearer " + each) for each in tokens]
    gone = (b"cookie", b"access_token=" + token("gone"))
    auth.world.revocations.add([Revoked("gone", auth.world.clock.now())])
    await ask("first", by_cookie[-1])  # whatever is imported at first use
    await ask("gone", gone)
    statuses.clear()
    os.access("/ww-mark-begin", os.F_OK)
    for number, header in enumerate(by_cookie + by_header):  # each token once unknown and once known
        await ask(number, header)
    for _ in range(100):
        await ask("gone", gone)
    os.access("/ww-mark-end", os.F_OK)
    assert statuses == [200] * calls + [401] * 100, statuses


statuses = []
auth = Watchword(store=NoDatabase())
app = Starlette(routes=[Route("/{number}", hello)])
install(app, auth)
asyncio.run(main())
"""
BEGIN, END = '"/ww-mark-begin"', '"/ww-mark-end"'
MEMORY = re.compile(r"^\d+ +mmap\(NULL, .*MAP_ANONYMOUS")
"""What the allocator asks for has a descriptor as an argument, which is none."""


@pytest.fixture
def traced(tmp_path: Path) -> Callable[[str, int], list[str]]:
    """The system calls between the two marks, of a process that makes so many requests and the slip which is named."""

    def trace(slip: str, calls: int) -> list[str]:
        path = tmp_path / "calls.txt"
        command = [strace_path(), "-f", "-qq", "-e", "trace=%file,%network,%desc", "-o", str(path)]
        env = environment("sqlite:////nowhere/watchword.db", mode="cookies,bearer")
        done = subprocess.run(
            [*command, sys.executable, "-c", CALLING, slip, str(calls)],
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        lines = path.read_text().splitlines()
        [begin] = [number for number, line in enumerate(lines) if BEGIN in line]
        [end] = [number for number, line in enumerate(lines) if END in line]
        return [line for line in lines[begin + 1 : end] if not MEMORY.match(line)]

    return trace


def test_ten_thousand_guarded_requests_touch_no_file_and_no_socket(
    traced: Callable[[str, int], list[str]], measured: Callable[[str], None]
) -> None:
    """R33: known and unknown tokens, by cookie and by header, and refusals of a revoked one; no verb of the store is
    called either."""
    calls = traced("none", CALLS)
    measured(f"{CALLS} guarded requests: {len(calls)} system calls on files, sockets or descriptors")
    assert calls == []


@pytest.mark.parametrize(("slip", "call"), [("send", "sendto("), ("stat", "newfstatat(|stat(|access(")])
def test_one_call_in_one_request_would_be_noticed(
    traced: Callable[[str, int], list[str]], slip: str, call: str
) -> None:
    """The checker of the test above, on a request that does what none may do."""
    [found] = traced(slip, 200)
    assert any(name in found for name in call.split("|")), found
