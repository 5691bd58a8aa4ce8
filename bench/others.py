"""What else is asked of a server, in answers a second: signing out, the list of devices, a second step, a registration.

Beside each stands its limit: for what writes, a bare route that answers as many bytes as /refresh does; for the list a
bare route of a few; for a registration, what argon2 does by itself. Each sign-out and each code is of a session or a
login of its own, all made before: they are sent once, and the measure ends with the last.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench.apps import PASSWORD
from bench.databases import sign_in, sqlite, within
from bench.load import OF_A_PAGE, USER_AGENT, WrongAnswerError, asking, converse, gets, request
from bench.logins import raw_rate
from bench.refreshes import CHAINS, floor_rate
from bench.servers import Server, serving
from bench.table import Line, interleaved, rate
from watchword import Watchword
from watchword.core.session import Client
from watchword.flows.second_step import SecondStep, begin
from watchword.settings import Mode

A_SECOND = 1_500
"""Requests that are made ready for each second of measuring."""
USERS = 100


def others(place: Path, rounds: int, seconds: int) -> list[Line]:
    """On SQLite with `synchronous=FULL`, 8 connections."""
    texts = sqlite(place, max_sessions="10000", synchronous="full")
    count = A_SECOND * seconds
    outs = [within(texts, partial(_sign_outs, count=count)) for _ in range(rounds)]
    codes = [within(texts, partial(_codes, count=count // 3, turn=turn)) for turn in range(rounds)]
    listing = within(texts, _listing)
    people = iter(range(1_000_000))
    with serving({app: (app, texts) for app in ("whole", "starlette_bare", "refresh_floor")}) as servers:
        server = servers["whole"]
        figures = interleaved(
            rounds,
            {
                "out": lambda: _once(server, outs.pop()),
                "code": lambda: _once(server, codes.pop()),
                "list": lambda: gets(f"{server.url}/auth/sessions", [listing], seconds) / seconds,
                "register": lambda: _once(server, [_registering(next(people)) for _ in range(20 * seconds)]),
                "posts": partial(floor_rate, servers["refresh_floor"], seconds),
                "answers": lambda: (
                    gets(f"{servers['starlette_bare'].url}/item", [listing], seconds) / seconds
                ),
                "raw": partial(raw_rate, seconds),
            },
        )
    posts, answers, raw = (rate(figures[name]) for name in ("posts", "answers", "raw"))
    told = (
        ("sign-outs/s", "out", f"limit: a bare route as large as /refresh {posts}"),
        ("second steps/s", "code", f"limit: a bare route as large as /refresh {posts}"),
        ("lists of 5 devices/s", "list", f"limit: a bare route {answers}"),
        ("registrations/s", "register", f"limit: argon2 alone {raw}"),
    )
    return [
        Line(
            "others",
            what,
            figures[name],
            form="{:,.0f}" if median(figures[name]) > 100 else "{:.1f}",
            beside=beside,
        )
        for what, name, beside in told
    ]


def _once(server: Server, requests: Sequence[bytes]) -> float:
    """Each request sent once, over as many connections as there are chains."""
    waiting = iter(requests)

    def follow(answer: bytes) -> bytes | None:
        if not answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 202 ")):
            raise WrongAnswerError(answer.decode("latin-1"))
        return next(waiting, None)

    begun = time.perf_counter()
    converse(server.port, [(next(waiting), follow) for _ in range(CHAINS)])
    return len(requests) / (time.perf_counter() - begun)


def _registering(number: int) -> bytes:
    return asking("/auth/register", {"email": f"newcomer{number}@example.com", "password": PASSWORD})


async def _sign_outs(auth: Watchword, *, count: int) -> list[bytes]:
    users = [
        await auth.users.create(f"out{time.monotonic_ns()}x{number}@example.com") for number in range(USERS)
    ]
    grants = [await sign_in(auth, users[number % USERS]) for number in range(count)]
    return [
        request("POST", "/auth/logout", *OF_A_PAGE, f"cookie: refresh_token={grant.refresh_token}")
        for grant in grants
    ]


async def _listing(auth: Watchword) -> str:
    user = await auth.users.create("list@example.com")
    grants = [await sign_in(auth, user) for _ in range(5)]
    return f"Cookie: access_token={grants[0].access_token}"


async def _codes(auth: Watchword, *, count: int, turn: int) -> list[bytes]:
    """Logins that wait for their code, one a user, and the code of each as its mail tells it."""
    world, client, requests = auth.world, Client(ip="127.0.0.1", user_agent=USER_AGENT), []
    for number in range(count):
        user = await auth.users.create(f"code{turn}x{number}@example.com")
        step = await begin(world, user, client=client, mode=Mode.COOKIES, amr=("pwd",))
        assert isinstance(step, SecondStep), "a user made a moment ago is active"
        [queued] = await world.store.list_mail(before=None, limit=1)
        payload = world.seals.open(queued.mail.sealed, mail_id=queued.mail.id) or {}
        cookie = f"cookie: two_factor_auth={step.token}"
        body = b'{"code":"%s"}' % str(payload["code"]).encode()
        head = ("content-type: application/json", *OF_A_PAGE, cookie)
        requests.append(request("POST", "/auth/login/2fa", *head, body=body))
    return requests
