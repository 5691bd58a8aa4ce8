"""Two clients that are no browsers and keep a cookie jar, curl and Python, with one way to speak to either.

They name the document's page as the origin of what they change, as a browser's page does: without that, a request
with our cookies counts as forged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookiejar import CookieJar, MozillaCookieJar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from tests.seeds.house import House
from tests.servers import Answer

SAFE = ("GET", "HEAD", "OPTIONS")


class Caller(Protocol):
    """A client of a house; `jar` is what it would send there now, by name."""

    house: House

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...

    @property
    def jar(self) -> dict[str, str]: ...


class Curl:
    """The command, with a jar in a file, whose format is Netscape's."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.file = folder / "jar.txt"

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        words = ["--request", method]
        for name, value in _headers(self.house, method, headers).items():
            words += ["--header", f"{name}: {value}"]
        if body is not None:
            words += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        said = self.house.curl(*words, self.house.url + path, jar=self.file).stdout
        head, _, text = said.partition("\n\n")
        first, *lines = head.split("\n")
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Answer(int(first.split(" ")[1]), _parsed(text), pairs)

    @property
    def jar(self) -> dict[str, str]:
        if not self.file.exists():
            return {}
        kept = MozillaCookieJar(self.file)
        kept.load(ignore_discard=True)
        return {cookie.name: cookie.value or "" for cookie in kept}


class Python:
    """httpx2, whose jar is the standard library's; a connection for each request. For within
    `names_on_this_machine`."""

    def __init__(self, house: House, folder: Path | None = None) -> None:
        self.house = house
        self._kept = CookieJar()

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        with self.house.client() as client:
            client.cookies = self._kept  # a jar of the standard library is not copied
            response = client.request(method, path, json=body, headers=_headers(self.house, method, headers))
        return Answer(response.status_code, _parsed(response.text), response.headers.multi_items())

    @property
    def jar(self) -> dict[str, str]:
        self._kept.clear_expired_cookies()
        return {cookie.name: cookie.value or "" for cookie in self._kept}


CALLERS: Mapping[str, type[Curl] | type[Python]] = MappingProxyType({"curl": Curl, "Python": Python})


def set_cookies(answer: Answer) -> dict[str, str]:
    """The Set-Cookie lines of an answer by the cookie's name, attributes and all."""
    lines = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    return {line.partition("=")[0]: line for line in lines}


def header(answer: Answer, wanted: str) -> str | None:
    return next((value for name, value in answer.headers if name.lower() == wanted), None)


def _headers(house: House, method: str, more: Mapping[str, str] | None) -> dict[str, str]:
    origin = {} if method in SAFE else {"Origin": house.page}
    return origin | dict(more or {})


def _parsed(text: str) -> Any:
    return json.loads(text) if text else None
