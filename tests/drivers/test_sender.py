"""The loop that sends, in a whole Watchword over a real database, against real mail servers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.databases import migrated_file
from tests.smtp import Post, smtp_server
from watchword import events
from watchword.auth import Watchword
from watchword.core.mail import Letter, Queued
from watchword.core.session import Client
from watchword.drivers import sender as senders
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import Unavailable
from watchword.events import Event
from watchword.features.password.flow import log_in
from watchword.flows.outbox import sealed
from watchword.settings import Mode, Settings

PASSWORD = "a long way to Samarkand"
SECRET = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{migrated_file(tmp_path / 'watchword.db')}"


def made(database: str, **options: object) -> Watchword:
    texts = {"secret": SECRET, "database_url": database}
    if isinstance(smtp := options.pop("smtp", None), str):
        texts["smtp_url"] = f"smtp://{smtp}"
    return Watchword(Settings.parse(texts), hasher=Argon2Hasher(threads=1, memory=8, passes=1), **options)  # type: ignore[arg-type]


async def queue(auth: Watchword, count: int = 1, *, ring: bool = True) -> None:
    for number in range(count):
        mail = sealed(auth.world, "test", f"user{number}@example.org", {})
        await auth.world.store.queue_mail(mail)
    if ring:
        auth.world.mail_queued()


async def rows(auth: Watchword) -> list[Queued]:
    return list(await auth.world.store.list_mail(before=None, limit=100))


async def until(condition: Callable[[], object], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is told of by other threads
            await asyncio.sleep(0.01)


async def all_sent(auth: Watchword, *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while any(row.sent_at is None for row in await rows(auth)):  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.02)


async def test_what_is_queued_here_leaves_at_once(database: str) -> None:
    """F12: long before the next look."""
    post = Post()
    with smtp_server(post) as address:
        auth = made(database, smtp=address)
        async with auth.lifespan():
            began = time.monotonic()
            await queue(auth)
            await all_sent(auth)
            assert time.monotonic() - began < senders.POLL_SECONDS / 2
    assert [letter["To"] for letter in post.letters] == ["user0@example.org"]


async def test_no_template_is_compiled_on_the_event_loop(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F12, DESIGN promise 4: Jinja2 and every template are ready before the first message goes."""
    from jinja2 import Environment

    compiled: list[tuple[str | None, int]] = []
    compiling = Environment.compile

    def noted(self: Environment, source: str, name: str | None = None, *rest: Any, **more: Any) -> Any:
        compiled.append((name, threading.get_ident()))
        return compiling(self, source, name, *rest, **more)

    monkeypatch.setattr(Environment, "compile", noted)
    post = Post()
    with smtp_server(post) as address:
        auth = made(database, smtp=address)
        async with auth.lifespan():
            await queue(auth)
            await all_sent(auth)
    assert {"test.txt", "test.html", "layout.html"} <= {name for name, _ in compiled}
    assert len(compiled) == len({name for name, _ in compiled}), "each once"
    assert threading.get_ident() not in {thread for _, thread in compiled}


async def test_the_owner_reads_of_a_sign_in_from_elsewhere(database: str) -> None:
    """ASVS 6.3.5: from the sign-in over the database to a mailbox, and nothing in it can be clicked."""
    post = Post()
    with smtp_server(post) as address:
        auth = made(database, smtp=address)
        async with auth.lifespan():
            await auth.users.create("ada@example.org", PASSWORD)
            for client in (
                Client("192.0.2.7", "Firefox on Linux"),
                Client("198.51.100.9", "Safari/1 iPhone www.evil.com"),
            ):
                await log_in(
                    auth.world, "ada@example.org", PASSWORD, client=client, mode=Mode.BEARER, replaces=None
                )
            await all_sent(auth)
    [letter] = post.letters
    assert letter["To"] == "ada@example.org"
    assert letter["Subject"] == "New sign-in to 127.0.0.1:8000"
    parts = [part.get_content() for part in letter.iter_parts()]
    assert "Safari on iPhone, from 198.51.100.9, on 20" in " ".join(parts[0].split())
    assert len(parts) == 2
    for part in parts:
        assert "evil" not in part
        assert "href" not in part


async def test_a_hint_may_come_from_any_thread(database: str) -> None:
    """DESIGN §4.4: flows of synchronous frameworks ring as well."""
    post = Post()
    with smtp_server(post) as address:
        auth = made(database, smtp=address)
        async with auth.lifespan():
            await asyncio.sleep(0.1)
            await queue(auth, ring=False)
            threading.Thread(target=auth.world.mail_queued).start()
            await all_sent(auth, seconds=senders.POLL_SECONDS / 2)


async def test_what_others_queued_is_found_without_a_hint(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "POLL_SECONDS", 0.1)
    post = Post()
    with smtp_server(post) as address:
        auth, other = made(database, smtp=address), made(database)
        async with auth.lifespan(), other.lifespan():
            await asyncio.sleep(0.2)
            await queue(other)
            await all_sent(other)
    assert len(post.letters) == 1


async def test_of_two_processes_each_message_leaves_once(database: str) -> None:
    """F12: when nothing fails."""
    post = Post()
    with smtp_server(post) as address:
        first, second = made(database, smtp=address), made(database, smtp=address)
        async with first.lifespan(), second.lifespan():
            await queue(first, 30)
            second.world.mail_queued()
            await all_sent(first)
    assert sorted(letter["To"] for letter in post.letters) == sorted(
        f"user{n}@example.org" for n in range(30)
    )
    assert post.connections <= 4, "each process keeps one while there is something to send"


async def test_a_server_that_says_later_has_it_later(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F12: 4xx, then ok."""
    monkeypatch.setattr("watchword.core.mail.WAITS", (10_000, 10_000))
    monkeypatch.setattr(senders, "POLL_SECONDS", 0.05)
    told: list[Event] = []
    post = Post({"RCPT": ["450 greylisted"], "DATA": ["451 busy"]})
    with smtp_server(post) as address:
        auth = made(database, smtp=address, on_event=told.append)
        async with auth.lifespan():
            await queue(auth)
            await all_sent(auth)
    assert len(post.letters) == 1
    assert [event.name for event in told] == [events.MAIL_DELAYED] * 2


async def test_what_a_server_refuses_is_given_up_and_told(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F12: 5xx."""
    monkeypatch.setattr("watchword.core.mail.WAITS", (10_000, 10_000))
    monkeypatch.setattr(senders, "POLL_SECONDS", 0.05)
    told: list[Event] = []
    post = Post({"RCPT": ["550 nobody"] * 9})
    with smtp_server(post) as address:
        auth = made(database, smtp=address, on_event=told.append)
        async with auth.lifespan():
            await queue(auth)
            await until(lambda: told and told[-1].name == events.MAIL_FAILED)
            [row] = await rows(auth)
    assert (row.tries, row.next_at, len(post.letters)) == (3, None, 0)
    assert row.last_error is not None
    assert "nobody" in row.last_error


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_stalls_delays_nothing_else(
    database: str, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """F12: whoever queues is answered at once meanwhile, and the event loop is free."""
    monkeypatch.setattr(senders, "STOP_SECONDS", 0.1)
    post = Post({stage: [30.0]})
    with smtp_server(post) as address:
        auth = made(database, smtp=address)
        async with auth.lifespan():
            await queue(auth)
            await until(lambda: stage in post.seen)
            took = []
            for _ in range(20):
                began = time.monotonic()
                await queue(auth)
                took.append(time.monotonic() - began)
    assert max(took) < 0.3


class Slow:
    """Implements `ports.Mailer`: takes half a second for each letter."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []

    async def send(self, letter: Letter) -> None:
        self.begun.append(letter.id)
        await asyncio.sleep(0.5)
        self.done.append(letter.id)

    async def rest(self) -> None:
        pass


async def test_a_stop_waits_for_the_letter_under_way_and_begins_no_other(database: str) -> None:
    """F16: an orderly stop makes no duplicates."""
    mailer = Slow()
    auth = made(database, mailer=mailer)
    async with auth.lifespan():
        await queue(auth, 3)
        await until(lambda: mailer.begun)
    assert mailer.done == mailer.begun
    assert len(mailer.done) == 1
    after = made(database)
    async with after.lifespan():
        assert {row.mail.id for row in await rows(after) if row.sent_at is not None} == set(mailer.done)
        assert [row.tries for row in await rows(after) if row.sent_at is None] == [0, 0]


async def test_a_stop_does_not_wait_for_a_server_that_stalls(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F16."""
    monkeypatch.setattr(senders, "STOP_SECONDS", 0.1)
    post = Post({"MAIL": [30.0]})
    with smtp_server(post) as address:
        auth = made(database, smtp=address)
        async with auth.lifespan():
            await queue(auth)
            await until(lambda: "MAIL" in post.seen)
            began = time.monotonic()
    assert time.monotonic() - began < 3


async def test_without_a_server_mail_waits(database: str) -> None:
    """DESIGN §4.8: everything starts."""
    auth = made(database)
    async with auth.lifespan():
        await queue(auth)
        await asyncio.sleep(0.1)
        [row] = await rows(auth)
    assert (row.tries, row.sent_at) == (0, None)


async def test_a_database_that_is_away_for_a_while_stops_no_sender(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """F3."""
    monkeypatch.setattr(senders, "POLL_SECONDS", 0.05)
    mailer = Slow()
    auth = made(database, mailer=mailer)
    lease, failures = auth.world.store.lease_mail, [Unavailable(), ZeroDivisionError()]

    async def sometimes(*, span: int) -> Queued | None:
        if failures:
            raise failures.pop(0)
        return await lease(span=span)

    monkeypatch.setattr(auth.world.store, "lease_mail", sometimes)
    async with auth.lifespan():
        await queue(auth)
        await all_sent(auth)
    assert "mail has to wait for the database" in caplog.text
    assert "trying again" in caplog.text
