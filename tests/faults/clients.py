"""Clients that keep asking while something is done to the server, and note what they should not have been told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException

from tests.servers import Answer, Browser

REFRESH = ("POST", "/auth/refresh")


class Client(threading.Thread):
    """Asks for one of `asks` after another over its jar until told to stop; a lost answer is asked for again.

    `pause` is the longest time (s) between two. `refused` is what is neither a success nor "come again": a 503 without
    Retry-After is there as well.
    """

    def __init__(
        self,
        browser: Browser,
        stop: threading.Event,
        *,
        pause: float,
        seed: float = 0,
        asks: Sequence[tuple[str, str]] = (REFRESH,),
        to: Sequence[str] = (),
    ) -> None:
        super().__init__(daemon=True)
        self.browser, self._chance, self._pause = browser, random.Random(seed), pause
        self._stop_event, self._asks, self._to = stop, asks, to or [browser.url]
        self.renewed = self.lost = 0
        self.answers: Counter[int] = Counter()
        self.refused: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._stop_event.is_set():
            method, path = self._asks[number % len(self._asks)]
            try:
                answer = self._send(method, path, self._to[number % len(self._to)])
            except ConnectionRefusedError:  # nothing was sent: the server is down
                time.sleep(0.05)
                continue
            except TimeoutError:  # nothing was cut off: it only took longer than this client waits
                continue
            except (OSError, HTTPException):
                self.lost += 1
                continue
            number += 1
            self._judge(method, path, answer)
            time.sleep(self._chance.uniform(0, self._pause))

    def _send(self, method: str, path: str, to: str) -> Answer:
        return self.browser.send(method, path, to=to)

    def _judge(self, method: str, path: str, answer: Answer) -> None:
        self.answers[answer.status] += 1
        if (method, path) == REFRESH:
            self.renewed += answer.status == 200
        retry = dict(answer.headers).get("retry-after", "")
        again = answer.status in (409, 503) and retry.isdigit()
        if answer.status not in (200, 404) and not again:
            self.refused.append(
                f"{method} {path}: {answer.status} {answer.body} retry-after {retry or 'missing'}"
            )


@contextmanager
def asking(clients: Sequence[Client], stop: threading.Event) -> Iterator[None]:
    for client in clients:
        client.start()
    try:
        yield
    finally:
        stop.set()
        for client in clients:
            client.join()
