"""GET /revocations from outside: who is admitted, what is answered, and that nobody can hold too much of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets

import pytest

from tests.http.asgi import Answer, Header, Message, call
from tests.http.devices import ADA, House, house
from watchword.features.revocations import routes
from watchword.flows.follow import poll

TOKEN = "Zr6Q2vNn0gJt7yKc4mXbW9pLhD3sAe1u"
BEARER: Header = ("authorization", f"Bearer {TOKEN}")
PATH = "/auth/revocations"


async def feeding(**settings: str) -> House:
    """A house whose feed has been read."""
    home = await house(mode="cookies", feed_token=TOKEN, **settings)
    await poll(home.auth.world, None)
    return home


async def asked(home: House, query: str = "?wait=0", headers: tuple[Header, ...] = (BEARER,)) -> Answer:
    return await call(home.app, "GET", PATH + query, headers=headers)


async def test_ended_sessions_and_newer_tokens_are_told_once() -> None:
    home = await feeding()
    device = await home.signed_in()
    sid = (await device.get("/auth/me")).json["session"]["id"]
    await device.post("/auth/logout")
    await home.auth.users.set_roles(ADA, ["owner"])
    home.clock.travel("1s")
    await poll(home.auth.world, home.clock.now())
    body = (await asked(home)).json
    assert set(body) == {"ended", "tokens_from", "after", "keep_for"}
    assert [row["sid"] for row in body["ended"]] == [sid]
    user = await home.auth.users.get(ADA)
    assert body["tokens_from"] == [{"user_id": user.id, "second": user.tokens_from}]
    assert body["keep_for"] == 965
    again = (await asked(home, f"?wait=0&after={body['after']}")).json
    assert (again["ended"], again["tokens_from"]) == ([], [])


async def test_without_the_setting_there_is_nothing() -> None:
    home = await house(mode="cookies")
    answer = await asked(home)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("authorization", "Bearer"),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", f"Bearer {TOKEN}x"),),
        (("authorization", f"Bearer {TOKEN.lower()}"),),
        (("authorization", f"Bearer sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"),),
        (("authorization", b"Bearer \xff\xfe"),),
        (BEARER, BEARER),
    ],
)
async def test_whoever_does_not_know_the_token_is_told_nothing(headers: tuple[Header, ...]) -> None:
    """Attack 98; its digest is no token either."""
    answer = await asked(await feeding(), headers=headers)
    assert (answer.status, answer.code) == (401, "invalid_token")


async def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98."""
    compared: list[tuple[bytes, bytes]] = []
    compare = secrets.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(secrets, "compare_digest", spy)
    home = await feeding()
    assert (await asked(home)).status == 200
    digest = hashlib.sha256(TOKEN.encode()).digest()
    assert compared == [(digest, digest)]


async def test_a_signed_in_user_is_not_a_service() -> None:
    home = await feeding()
    assert (await (await home.signed_in()).get(PATH)).code == "invalid_token"


@pytest.mark.parametrize(
    "query",
    ["?after=x", "?after=", "?after=1-0000000000000000&after=1-0000000000000000", "?wait=26", "?wait=-1"],
)
async def test_what_cannot_be_read_is_refused(query: str) -> None:
    assert (await asked(await feeding(), query)).code == "bad_request"


async def test_a_server_that_does_not_know_says_so() -> None:
    """I6: silence would be taken for "nobody has signed out"."""
    home = await feeding()
    home.clock.travel("4s")
    answer = await asked(home)
    assert (answer.status, answer.code) == (503, "unavailable")


async def test_who_hangs_up_waits_no_longer() -> None:
    """`call` hangs up at once; the answer is for nobody."""
    home = await feeding()
    async with asyncio.timeout(5):
        assert (await asked(home, "?wait=25")).status == 400


async def test_only_so_many_polls_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """F15: and one that has gone makes room."""
    monkeypatch.setattr(routes, "MOST_WAITING", 2)
    home = await feeding()
    hold = asyncio.Event()
    waiting = [asyncio.create_task(_held(home, hold)) for _ in range(2)]
    for _ in range(3):  # until both have come as far as to wait
        await asyncio.sleep(0)
    answer = await asked(home)
    assert (answer.status, answer.code) == (503, "overloaded")
    hold.set()
    await asyncio.gather(*waiting)
    assert (await asked(home)).status == 200


async def _held(home: House, hold: asyncio.Event, sent: list[Message] | None = None) -> None:
    """A poll that waits until `hold` lets its client hang up; what it is `sent`."""
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": PATH, "raw_path": PATH.encode()}
    scope |= {
        "query_string": b"wait=25",
        "root_path": "",
        "server": ("testserver", 80),
        "client": ("192.0.2.7", 1),
    }
    scope["headers"] = [(b"host", b"testserver"), (b"authorization", f"Bearer {TOKEN}".encode())]

    async def receive() -> Message:
        await hold.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if sent is not None:
            sent.append(message)

    await home.app(scope, receive, send)


async def test_a_server_that_stops_answers_who_waits() -> None:
    """F16: what it knows, at once and not as a failure."""
    home = await feeding()
    sent: list[Message] = []
    waiting = asyncio.create_task(_held(home, asyncio.Event(), sent))
    for _ in range(3):  # until it has come as far as to wait
        await asyncio.sleep(0)
    home.auth.site.readiness.close()
    async with asyncio.timeout(10):
        await waiting
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"])["ended"] == []


async def test_the_token_shows_nowhere() -> None:
    """Attack 96: what is kept is its digest."""
    home = await feeding()
    assert TOKEN not in repr(home.auth.settings)
    assert home.auth.settings.feed_token == f"sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
