"""A browser whose cookies are kept by somebody else's rules: the jar of the standard library decides what is stored,
when it is removed and which requests bring it (RFC 6265 §5.3, §5.4; it knows no SameSite).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, cast
from urllib.request import Request

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, PASSWORD, House


class Browser:
    """One browser with a page of ours open: every request of its is sent by that page."""

    def __init__(self, home: House, mode: str) -> None:
        self.home = home
        self.mode = mode
        self.jar = CookieJar()
        self.access_token: str | None = None

    def brings(self, path: str) -> dict[str, str]:
        """The cookies that a request for `path` has with it."""
        request = self._request("GET", path)
        pairs = (pair.partition("=") for pair in (request.get_header("Cookie") or "").split("; ") if pair)
        return {name: value for name, _, value in pairs}

    @property
    def held(self) -> set[tuple[str, str]]:
        """Name and path of every cookie in the jar."""
        return {(cookie.name, cookie.path) for cookie in self.jar}

    def drop(self, ending: str) -> None:
        """Forget what has outlived its Max-Age: the jar's clock is not the house's."""
        for cookie in [cookie for cookie in self.jar if cookie.name.endswith(ending)]:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    async def call(
        self, method: str, path: str, data: Any = None, *, headers: Iterable[Header] = (), **options: Any
    ) -> Answer:
        request = self._request(method, path)
        lines: list[Header] = [("sec-fetch-site", "same-origin"), *headers]
        if cookie := request.get_header("Cookie"):
            lines.append(("cookie", cookie))
        if self.access_token is not None:
            lines.append(("authorization", f"Bearer {self.access_token}"))
        if data is not None:
            lines.append(("content-type", "application/json"))
            options["body"] = json.dumps(data).encode()
        answer = await call(self.home.app, method, path, headers=lines, **options)
        self.jar.extract_cookies(cast(Any, _Response(answer)), request)
        if answer.status == 200 and answer.get("content-type") == "application/json":
            self.access_token = answer.json.get("access_token", self.access_token)
        return answer

    async def sign_in(self, email: str = ADA, **options: Any) -> Answer:
        options["headers"] = [("x-auth-mode", self.mode), *options.get("headers", ())]
        return await self.call("POST", "/auth/login", {"email": email, "password": PASSWORD}, **options)

    async def proof(self) -> list[Header]:
        """The header of a client that has asked for its token just now."""
        answer = await self.call("GET", f"{self.home.auth.settings.prefix}/csrf")
        assert answer.status == 200, answer.body
        return [("x-csrf-token", answer.json["csrf_token"])]

    def _request(self, method: str, path: str) -> Request:
        request = Request(self.home.auth.settings.url + path, method=method)
        self.jar.add_cookie_header(request)
        return request


class _Response:
    """What a jar asks of an answer."""

    def __init__(self, answer: Answer) -> None:
        self._message = Message()
        for line in answer.cookies:
            self._message["Set-Cookie"] = line

    def info(self) -> Message:
        return self._message
