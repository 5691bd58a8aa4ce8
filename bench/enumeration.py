"""Whether the time of an answer tells which accounts there are (ASVS 5.0 6.3.8; SECURITY-TARGET attack 51).

Every sample asks about each kind of account once, in an order drawn anew, on one connection to a server with argon2id's
default parameters; what is compared are the differences within the samples. A gap passes below 2 ms, or below one
median absolute deviation of those differences, whichever is more. Limits are off here: an account over its budget has
another answer by design, and that unknown accounts have budgets too is a matter of tests (tests/http/test_limits.py).
"""

from __future__ import annotations

import random
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.apps import PASSWORD
from bench.databases import sqlite, within
from bench.load import WrongAnswerError, asking, exchange
from bench.servers import serving
from bench.table import Goal, Line
from watchword import Watchword
from watchword.core.challenge import LINKS_AN_HOUR
from watchword.core.user import Status
from watchword.flows import users

SAMPLES_A_ROUND = 100
ACCOUNTS = 20
"""Of each kind that signs in."""
WRONG = "a long enough password of nobody here"
GAP = 2.0
"""ms"""
KNOWN = "known"
UNKNOWN = "unknown"


class Question:
    """One kind of account: its requests, in turn."""

    def __init__(self, path: str, status: bytes, bodies: Sequence[Mapping[str, str]]) -> None:
        self._status = status
        self._requests = [asking(path, body) for body in bodies]
        self._asked = 0

    def millis(self, connection: socket.socket) -> float:
        """How long the next answer takes. Raises WrongAnswerError for another status than all kinds must have."""
        sent = self._requests[self._asked % len(self._requests)]
        self._asked += 1
        begun = time.perf_counter()
        answer = exchange(connection, sent)
        took = time.perf_counter() - begun
        if not answer.startswith(b"HTTP/1.1 " + self._status):
            raise WrongAnswerError(answer.decode("latin-1"))
        return took * 1e3


def enumeration(place: Path, rounds: int, seconds: int) -> list[Line]:
    """`rounds` times 100 samples of signing in and of asking for a link."""
    samples = rounds * SAMPLES_A_ROUND
    settings = sqlite(place)
    sign_ins, links = within(settings, lambda auth: _questions(auth, samples))
    with serving({"whole": ("whole", settings)}) as servers:
        return [
            *_lines("sign-in, wrong password", servers["whole"].port, sign_ins, samples),
            *_lines("link for a new password", servers["whole"].port, links, samples),
        ]


def _lines(what: str, port: int, questions: Mapping[str, Question], samples: int) -> list[Line]:
    times: dict[str, list[float]] = {kind: [] for kind in questions}
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for question in questions.values():
            question.millis(connection)  # the first of each is slower
        for _ in range(samples):
            for kind in random.sample(list(questions), len(questions)):
                times[kind].append(questions[kind].millis(connection))
    return [_line(what, kind, times) for kind in questions if kind != KNOWN]


def _line(what: str, kind: str, times: Mapping[str, list[float]]) -> Line:
    differences = [there - here for there, here in zip(times[kind], times[KNOWN], strict=True)]
    middle = median(differences)
    deviation = median([abs(difference - middle) for difference in differences])
    return Line(
        "enumeration",
        f"{what}: {kind} − {KNOWN}, ms",
        [abs(middle)],
        form="{:.2f}",
        goal=Goal(max(GAP, deviation), at_most=True),
        beside=f"{median(times[kind]):.2f} by {median(times[KNOWN]):.2f} ms, "
        f"MAD {deviation:.2f}, {len(differences):,} samples",
    )


async def _questions(auth: Watchword, samples: int) -> tuple[dict[str, Question], dict[str, Question]]:
    """What is asked, when who it is about has been made. Addresses are alike, and say nothing."""
    digest = await auth.world.hasher.hash(PASSWORD)

    async def made(number: int, status: Status | None) -> list[str]:
        emails = [f"{secrets.token_hex(6)}@example.com" for _ in range(number)]
        if status is not None:
            for email in emails:
                await users.create(auth.world, email, digest, status=status)
        return emails

    def sign_in(emails: list[str], password: str = WRONG) -> Question:
        return Question("/auth/login", b"401", [{"email": email, "password": password} for email in emails])

    def link(emails: list[str]) -> Question:
        return Question("/auth/password/forgot", b"202", [{"email": email} for email in emails])

    disabled = await made(ACCOUNTS, Status.DISABLED)
    askers = samples // (LINKS_AN_HOUR - 1) + 1  # none has had enough: each is really sent a link
    return {
        KNOWN: sign_in(await made(ACCOUNTS, Status.ACTIVE)),
        UNKNOWN: sign_in(await made(ACCOUNTS, None)),
        "disabled": sign_in(disabled),
        "disabled with the right password": sign_in(disabled, PASSWORD),
        "unverified": sign_in(await made(ACCOUNTS, Status.UNVERIFIED)),
    }, {KNOWN: link(await made(askers, Status.ACTIVE)), UNKNOWN: link(await made(askers, None))}
