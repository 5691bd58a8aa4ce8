"""What a sign-in whose code is sent by mail feels of a mail server that takes connections and says nothing (fault F12).

The code is in the database when the answer leaves, and the sender waits for the server alone. The bare hash beside it
is a route that verifies a password and does nothing else.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from threading import Thread

from bench.apps import PASSWORD
from bench.databases import sqlite, within
from bench.load import WrongAnswerError, asking, checked, exchange
from bench.servers import Server, serving
from bench.table import Goal, Line, interleaved
from watchword import Watchword
from watchword.core.challenge import CODES_AN_HOUR

SIGN_INS = 20
"""A round."""


def mail(place: Path, rounds: int, seconds: int) -> list[Line]:
    """20 sign-ins a round with a second step, one after the other, and as many bare hashes."""
    with _silent() as (address, callers):
        settings = sqlite(place, two_factor="required", smtp_url=f"smtp://{address}")
        emails = [f"user{number}@example.com" for number in range(rounds * SIGN_INS // CODES_AN_HOUR)]
        within(settings, partial(_made, emails=emails))
        with serving({app: (app, settings) for app in ("whole", "login_floor")}) as servers:
            signing = SignIns(servers["whole"], [email for email in emails for _ in range(CODES_AN_HOUR)])
            bare = SignIns(servers["login_floor"], [emails[0]] * rounds * SIGN_INS)
            figures = interleaved(rounds, {"whole": signing.middle, "bare": bare.middle})
        if not callers:
            raise WrongAnswerError("nobody has tried to send a mail")
    return [
        Line(
            "mail",
            "sign-in with a code by a silent mail server − a bare hash, ms",
            [here - there for here, there in zip(figures["whole"], figures["bare"], strict=True)],
            form="{:.1f}",
            goal=Goal(300, at_most=True),
            beside=f"{median(figures['whole']):.1f} by {median(figures['bare']):.1f} ms, "
            f"longest {signing.longest:.0f} by {bare.longest:.0f}",
        )
    ]


class SignIns:
    """On one connection, one after the other."""

    def __init__(self, server: Server, emails: list[str]) -> None:
        self._server = server
        self._requests = iter(
            [asking("/auth/login", {"email": email, "password": PASSWORD}) for email in emails]
        )
        self.longest = 0.0

    def middle(self) -> float:
        """The median of a round, in ms."""
        took = []
        with socket.create_connection(("127.0.0.1", self._server.port)) as connection:
            for _ in range(SIGN_INS):
                begun = time.perf_counter()
                checked(exchange(connection, next(self._requests)))
                took.append((time.perf_counter() - begun) * 1e3)
        self.longest = max(self.longest, *took)
        return median(took)


@contextmanager
def _silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A mail server that takes every connection and never says a word; who has connected."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        callers: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    callers.append(listener.accept()[0])
                except OSError:  # it is over
                    return

        Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", callers
        for caller in callers:
            caller.close()


async def _made(auth: Watchword, emails: list[str]) -> None:
    for email in emails:
        await auth.users.create(email, PASSWORD)
