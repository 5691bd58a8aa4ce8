"""Modes: where the tokens of a session travel, on the way out and on the way in.

A client chooses among the enabled modes at sign-in alone; afterwards the session's own mode decides, so that no
script can turn a cookie session into tokens in a body (DESIGN §5). Values in, values out: a body and header lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watchword.core.session import Lifetimes
from watchword.errors import FieldError, InvalidRequest
from watchword.flows.grant import Grant
from watchword.http.cookies import Cookies
from watchword.http.problem import Headers
from watchword.http.shapes import session_json, user_json
from watchword.settings import Mode

MODE_HEADER = b"x-auth-mode"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Puts grants into answers and takes refresh tokens out of requests."""

    modes: Sequence[Mode]
    cookies: Cookies
    lives: Lifetimes

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
        if mode.access_in_cookie:
            lines.append(self.cookies.access.set(grant.access_token, max_age=grant.expires_in))
        else:
            body |= {"access_token": grant.access_token, "token_type": "Bearer"}
        if mode.refresh_in_cookie:
            lines.append(self.cookies.refresh.set(grant.refresh_token, max_age=grant.refresh_expires_in))
        else:
            body["refresh_token"] = grant.refresh_token
        return body, lines

    def signed_in(self, grant: Grant) -> tuple[dict[str, Any], Headers]:
        """The same with user and session: the answer to a sign-in."""
        body, lines = self.tokens(grant)
        return body | {"user": user_json(grant.user), "session": session_json(grant.session)}, lines

    def presented(self, headers: Headers, in_body: str | None) -> tuple[str | None, bool]:
        """The refresh token that a request brings, and whether it came by cookie. Raises DuplicateCookie.

        The body counts first: only bearer clients send one, and they have no jar.
        """
        if in_body is not None and Mode.BEARER in self.modes:
            return in_body, False
        if not any(mode.refresh_in_cookie for mode in self.modes):
            return None, False
        value = self.cookies.refresh.read(headers)
        return (None if value is None else value.decode("latin-1")), True

    def clearing(self) -> Headers:
        """The lines that remove our cookies; none where no mode uses any."""
        if not any(mode.refresh_in_cookie for mode in self.modes):
            return []
        return [self.cookies.access.clear(), self.cookies.refresh.clear()]
