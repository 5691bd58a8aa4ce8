"""The whole story of a document's client: sign in, work, outlive the access token, renew it, work, sign out; then
nothing that was copied on the way is good for anything.

A document's client differs from another's in the words that it says (`DIALECTS`) and in how its session is renewed,
which follows from the mode in `settings.SEEDS`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.seeds.callers import Caller, Python
from tests.seeds.house import USERNAME
from tests.seeds.settings import SEEDS
from tests.servers import EMAIL, PASSWORD, Answer
from watchword.core.access_token import LEEWAY

ACCESS_TTL = 5
"""Seconds: what a client does right after its sign-in must be over by then, on a busy machine too."""
EXPIRED = ACCESS_TTL + LEEWAY + 1.5
"""Seconds after which a token counts no more. It may have been dated a second ahead."""


@dataclass(frozen=True)
class Dialect:
    """What a document calls things. `token` is the key of the access token in a body, if there is one."""

    login: str = "/login"
    name: tuple[str, str] = ("email", EMAIL)
    token: str | None = None


DIALECTS = MappingProxyType(
    {
        "S0": Dialect(name=("username", USERNAME)),
        "S1": Dialect(token="accessToken"),
        "S2": Dialect(token="access_token"),
        "S3": Dialect(login="/login/credentials"),
        "S4 bearer": Dialect(token="token"),
        "S4 cookie": Dialect(),
        "S4 session": Dialect(),
    }
)


@dataclass(frozen=True)
class Copy:
    """What a thief took from a client."""

    cookies: dict[str, str] = field(repr=False)
    access: str | None = field(repr=False)
    refresh: str | None = field(repr=False)


class Visitor:
    """The client of a document, which holds in memory what it finds in bodies and leaves cookies to its jar."""

    def __init__(self, seed: str, caller: Caller) -> None:
        self.caller = caller
        self.mode = SEEDS[seed]["mode"]
        self.two_factor = SEEDS[seed].get("two_factor") == "required"
        self.prefix = "" if SEEDS[seed].get("prefix") == "none" else "/auth"
        self.dialect = DIALECTS[seed]
        self.access: str | None = None
        self.refresh: str | None = None

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        bearer = {"Authorization": f"Bearer {self.access}"} if self.access else None
        return self.caller.send(method, path, body, bearer)

    def sign_in(self) -> Answer:
        answer = self.enter_code() if self.two_factor else self.give_password()
        self._keep(answer)
        assert answer.body["user"]["email"] == EMAIL, answer
        assert bool(self.access) == (self.dialect.token is not None), answer
        assert bool(self.caller.jar) == (self.mode != "bearer"), answer
        return answer

    def give_password(self) -> Answer:
        key, name = self.dialect.name
        answer = self.send("POST", self.prefix + self.dialect.login, {key: name, "password": PASSWORD})
        expect(200, answer)
        return answer

    def enter_code(self) -> Answer:
        """The password, and then the code that came for it; in between nobody is signed in."""
        asked, code = self.caller.house.mail.after(self.give_password)
        assert asked.body["next"]["step"] == "two_factor", asked
        assert self.caller.jar.keys() == {"two_factor_auth"}, asked
        expect(401, self.send("GET", "/profile"))
        answer = self.send("POST", f"{self.prefix}/login/2fa", {"code": code})
        expect(200, answer)
        assert "two_factor_auth" not in self.caller.jar, answer
        return answer

    def work(self) -> None:
        """What only who is signed in may do."""
        profile = self.send("GET", "/profile")
        expect(200, profile)
        saved = self.send("POST", "/data", {"colour": "blue"})
        expect(200, saved)
        assert saved.body == {"saved": {"colour": "blue"}, "by": profile.body["id"]}, saved

    def renew(self) -> None:
        """As the mode does it, once the access token has expired."""
        before = self.copy()
        answer = self.send("GET", "/profile")
        if self.mode in ("jwt_cookie", "session"):
            expect(200, answer)
            assert (self.caller.jar == before.cookies) == (self.mode == "session"), answer
            return
        expect(401, answer)
        body = {"refresh_token": self.refresh} if self.refresh else None
        answer = self.send("POST", f"{self.prefix}/refresh", body)
        expect(200, answer)
        self._keep(answer)
        assert self.copy() != before, "the tokens are the old ones"

    def sign_out(self) -> Answer:
        answer = self.send("POST", f"{self.prefix}/logout")
        expect(200, answer)
        assert answer.body["message"] == "Logged out", answer
        self.access = self.refresh = None
        assert self.caller.jar == {}, "the jar keeps something"
        expect(401, self.send("GET", "/profile"))
        return answer

    def copy(self) -> Copy:
        return Copy(self.caller.jar, self.access, self.refresh)

    def _keep(self, answer: Answer) -> None:
        if self.dialect.token is not None:
            self.access = answer.body[self.dialect.token]
        self.refresh = answer.body.get("refresh_token")


def tell(seed: str, caller: Caller) -> None:
    """Fails with the first answer that the document's client would not have expected."""
    visitor = Visitor(seed, caller)
    expect(401, visitor.send("GET", "/profile"))
    visitor.sign_in()
    visitor.work()
    first = visitor.copy()
    time.sleep(EXPIRED)
    visitor.renew()
    visitor.work()
    second = visitor.copy()
    # So it is the sign-out that makes it worthless.
    expect(200, replay(visitor, second, "GET", "/profile"))
    visitor.sign_out()
    for copy in (first, second):
        refuse(visitor, copy)


def refuse(visitor: Visitor, copy: Copy) -> None:
    """Whatever a thief tries with a copy, the answer is 401."""
    renewing = {"refresh_token": copy.refresh} if copy.refresh else None
    for method, path, body in (
        ("GET", "/profile", None),
        ("POST", "/data", {"colour": "red"}),
        ("GET", f"{visitor.prefix}/me", None),
        ("GET", f"{visitor.prefix}/sessions", None),
        ("POST", f"{visitor.prefix}/refresh", renewing),
    ):
        expect(401, replay(visitor, copy, method, path, body))


def replay(visitor: Visitor, copy: Copy, method: str, path: str, body: Any = None) -> Answer:
    """A request with a copy, by somebody who has nothing else."""
    headers = {"Authorization": f"Bearer {copy.access}"} if copy.access else {}
    if copy.cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in copy.cookies.items())
    return Python(visitor.caller.house).send(method, path, body, headers)


def expect(status: int, answer: Answer) -> None:
    assert answer.status == status, answer
