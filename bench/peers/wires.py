"""How each contestant is spoken to: the requests of one person, and what is kept of the answers between them."""

from __future__ import annotations

import json
import re
from typing import Any

from bench.apps import PASSWORD
from bench.load import OF_A_PAGE, asking, request

_SET_COOKIE = re.compile(rb"\r\nset-cookie: ([^=\r]+)=([^;\r]*)", re.I)
_FORM = "content-type: application/x-www-form-urlencoded"
_JSON = "content-type: application/json"


class Wire:
    """One person: signs in, and then carries what the last answer gave. This one has both tokens in bodies, as AuthX
    does; the others differ where they must."""

    signs_in = True

    def __init__(self, number: int) -> None:
        self.email = f"user{number}@example.com"
        self.cookies: dict[str, str] = {}
        self.body: dict[str, Any] = {}

    def take(self, answer: bytes) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        for name, value in _SET_COOKIE.findall(head):
            self.cookies.pop(name.decode(), None)
            if value:  # else it is taken back
                self.cookies[name.decode()] = value.decode()
        self.body = json.loads(body) if body else {}

    def login(self) -> bytes:
        return asking("/auth/login", {"email": self.email, "password": PASSWORD})

    def guard_line(self) -> str:
        """The header line of a guarded GET."""
        return f"Authorization: Bearer {self.body['access_token']}"

    def refresh(self) -> bytes:
        return request("POST", "/auth/refresh", f"authorization: Bearer {self.body['refresh_token']}")

    def newest(self) -> str:
        """What the next refresh will present."""
        return str(self.body["refresh_token"])

    def renewed(self, answer: bytes, before: str) -> bool:
        """Whether a refresh did what it is for: here, give another refresh token than `before`."""
        return self.newest() != before

    def _cookie_line(self) -> str:
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items())


class FastAPIUsers(Wire):
    def login(self) -> bytes:
        form = f"username={self.email}&password={PASSWORD.replace(' ', '+')}"
        return request("POST", "/auth/login", _FORM, body=form.encode())


class SimpleJWT(Wire):
    def login(self) -> bytes:
        return asking("/auth/login", {"username": self.email, "password": PASSWORD})

    def guard_line(self) -> str:
        return f"Authorization: Bearer {self.body['access']}"

    def refresh(self) -> bytes:
        return request("POST", "/auth/refresh", _JSON, body=json.dumps({"refresh": self.newest()}).encode())

    def newest(self) -> str:
        return str(self.body["refresh"])


class BetterAuth(Wire):
    def login(self) -> bytes:
        return asking("/auth/sign-in/email", {"email": self.email, "password": PASSWORD})

    def guard_line(self) -> str:
        return self._cookie_line()

    def refresh(self) -> bytes:
        return request("GET", "/auth/get-session", *OF_A_PAGE, self._cookie_line())

    def newest(self) -> str:
        return self.cookies["better-auth.session_token"]

    def renewed(self, answer: bytes, before: str) -> bool:
        """Its token stays; it is sent anew exactly if the session's row was written."""
        return b"\r\nset-cookie: better-auth.session_token=" in answer.lower()


class S1(Wire):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._id = number + 1

    def guard_line(self) -> str:
        return f"Authorization: Bearer {self.body['accessToken']}"

    def refresh(self) -> bytes:
        return request("POST", "/auth/refresh", f"x-user-id: {self._id}", self._cookie_line())

    def newest(self) -> str:
        return self.cookies["rt"]


class Ours(Wire):
    """Watchword's own, in its default mode: both tokens in cookies."""

    def guard_line(self) -> str:
        return f"Cookie: access_token={self.cookies['access_token']}"

    def refresh(self) -> bytes:
        return request("POST", "/auth/refresh", *OF_A_PAGE, self._cookie_line())

    def newest(self) -> str:
        return self.cookies["refresh_token"]


class Nobody(Wire):
    """For a route that asks nothing: it is sent what a guarded one is."""

    signs_in = False

    def guard_line(self) -> str:
        return "Cookie: access_token=" + "a" * 500
