"""Modes: where the tokens of a session travel, on the way out and on the way in.

A client chooses among the enabled modes at sign-in alone; afterwards the session's own mode decides, so that no
script can turn a cookie session into tokens in a body (DESIGN §5). Values in, values out: a body and header lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watchword.core.challenge import LIFE
from watchword.core.session import Lifetimes
from watchword.errors import ChallengeExpired, FieldError, InvalidRequest
from watchword.flows.end import Brought
from watchword.flows.grant import Grant
from watchword.flows.second_step import SecondStep
from watchword.http.cookies import Cookie, Cookies, DuplicateCookie
from watchword.http.problem import Headers
from watchword.http.shapes import session_json, user_json
from watchword.settings import Mode

MODE_HEADER = b"x-auth-mode"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Puts grants into answers and takes tokens out of requests. `access_field` is the key of an access token."""

    modes: Sequence[Mode]
    cookies: Cookies
    lives: Lifetimes
    access_field: str

    def choose(self, headers: Headers) -> Mode:
        """The mode of a new session: the first of the list, or what X-Auth-Mode names. Raises InvalidRequest."""
        wanted = [value.decode("latin-1") for name, value in headers if name == MODE_HEADER]
        if not wanted:
            return self.modes[0]
        for mode in self.modes:
            if wanted == [mode.value]:
                return mode
        names = ", ".join(mode.value for mode in self.modes)
        raise InvalidRequest(errors=(FieldError("X-Auth-Mode", "unknown_mode", f"One of: {names}."),))

    def tokens(self, grant: Grant) -> tuple[dict[str, Any], Headers]:
        """Body and Set-Cookie lines of every answer that renews tokens."""
        mode = grant.session.mode
        body: dict[str, Any] = {"expires_in": grant.expires_in, "refresh_timeout": self.lives.refresh_timeout}
        lines: Headers = []
        if mode.access_in_body:
            body |= {self.access_field: grant.access_token, "token_type": "Bearer"}
        else:
            lines += self.cookies.of(mode)[0].set(grant.access_token, max_age=_life(grant))
        if mode.refresh_in_cookie:
            lines += self.cookies.refresh.set(grant.refresh_token, max_age=grant.refresh_expires_in)
        elif mode.rotates:
            body["refresh_token"] = grant.refresh_token
        return body, lines

    def signed_in(self, grant: Grant) -> tuple[dict[str, Any], Headers]:
        """The same with user and session: the answer to a sign-in. What the jar holds of other modes goes."""
        body, lines = self.tokens(grant)
        mine = self.cookies.of(grant.session.mode)
        if mine:
            lines += [line for other in self.cookies.enabled if other not in mine for line in other.clear()]
        return body | {"user": user_json(grant.user), "session": session_json(grant.session)}, lines

    def waiting(self, step: SecondStep) -> tuple[dict[str, Any], Headers]:
        """The answer to a first step that a second one must follow."""
        methods = [method.value for method in step.methods]
        told = {"step": "two_factor", "methods": methods, "expires_in": step.expires_in}
        if step.mode.in_cookies:
            return {"next": told}, self.cookies.two_factor.set(step.token, max_age=LIFE // 1_000_000)
        return {"next": told, "two_factor_token": step.token}, []

    def completed(self, grant: Grant) -> tuple[dict[str, Any], Headers]:
        """As `signed_in`, after a second step: the cookie that led to it goes."""
        body, lines = self.signed_in(grant)
        return body, [*lines, *(self.cookies.two_factor.clear() if grant.session.mode.in_cookies else ())]

    def challenge(self, headers: Headers, in_body: str | None) -> tuple[str | None, bool]:
        """The token of the login that a request is to complete, and whether it came by cookie.

        Raises ChallengeExpired for a cookie that came twice, and clears it: to its sender all are alike.
        """
        if in_body is not None and Mode.BEARER in self.modes:
            return in_body, False
        try:
            value = self.cookies.two_factor.read(headers)
        except DuplicateCookie as doubt:
            raise ChallengeExpired(headers=doubt.headers) from doubt
        return _text(value), True

    def presented(self, headers: Headers, in_body: str | None) -> tuple[str | None, bool]:
        """The refresh token that a request brings, and whether it came by cookie. Raises DuplicateCookie.

        The body counts first: only bearer clients send one, and they have no jar.
        """
        if in_body is not None and Mode.BEARER in self.modes:
            return in_body, False
        if not any(mode.refresh_in_cookie for mode in self.modes):
            return None, False
        value = self.cookies.refresh.read(headers)
        return _text(value), True

    def in_jar(self, headers: Headers) -> Brought:
        """Every token that came by cookie, for signing out or over a session: one that came twice is none."""
        modes, jar = self.modes, self.cookies
        refresh = _lenient(jar.refresh, headers) if any(mode.refresh_in_cookie for mode in modes) else None
        access = _lenient(jar.access, headers) if Mode.COOKIES in modes else None
        jwt = _lenient(jar.jwt, headers) if Mode.JWT_COOKIE in modes else None
        session = _lenient(jar.session, headers) if Mode.SESSION in modes else None
        return Brought(_text(refresh), access, jwt, session, _text(_lenient(jar.two_factor, headers)))

    def doubled(self, headers: Headers) -> list[Brought]:
        """What came more than once under one name, each by itself: signing out need not know which of them is ours."""
        jar = self.cookies
        found = [(cookie, cookie.values(headers)) for cookie in jar.enabled]
        return [
            Brought(
                refresh=_text(value) if cookie == jar.refresh else None,
                access=value if cookie == jar.access else None,
                jwt=value if cookie == jar.jwt else None,
                session=value if cookie == jar.session else None,
            )
            for cookie, values in found
            if len(values) > 1
            for value in values
        ]

    def clearing(self, headers: Headers) -> Headers:
        """The lines that remove our cookies; none where no mode uses any. That of a login under way only where one
        was: few requests bring it."""
        start, jar = self.cookies.two_factor.name.encode() + b"=", self.cookies
        waiting = any(name == b"cookie" and start in line for name, line in headers)
        cookies = (*jar.enabled, jar.two_factor) if waiting and jar.enabled else jar.enabled
        return [line for cookie in cookies for line in cookie.clear()]


def _life(grant: Grant) -> int:
    """Seconds for which a browser keeps the cookie of the access token."""
    match grant.session.mode:
        case Mode.JWT_COOKIE:  # it must outlive the token in it, which is what renews it
            return grant.refresh_expires_in
        case Mode.SESSION:  # set once; the row alone decides about the idle time
            return grant.ends_in
        case _:
            return grant.expires_in


def _lenient(cookie: Cookie, headers: Headers) -> bytes | None:
    try:
        return cookie.read(headers)
    except DuplicateCookie:
        return None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
