"""Which access token a request brings, and whom it speaks for. No I/O: headers in, principal or problem out.

A token comes by `Authorization: Bearer` or by our access cookie, as the enabled modes say. What came by cookie
counts for an unsafe request only from a trusted page.
Sources: RFC 6750 §2.1; SECURITY-TARGET attacks 20–22, 25, 26, 82; ASVS 5.0 3.5.1, 4.4.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from watchword.core.access_token import Verifier
from watchword.core.csrf import SAFE_METHODS
from watchword.core.session import Principal
from watchword.errors import BadRequest, Problem
from watchword.http.cookies import Cookies
from watchword.http.forgery import Forgery
from watchword.http.problem import Scope
from watchword.settings import Mode, Settings

HeaderLines = Iterable[tuple[bytes, bytes]]


class Authenticator:
    """Authenticates requests under one configuration, by JWTs alone."""

    def __init__(self, settings: Settings, cookies: Cookies, verifier: Verifier, forgery: Forgery) -> None:
        self._by_header = any(mode.access_in_body for mode in settings.mode)
        holding = [(Mode.COOKIES, cookies.access), (Mode.JWT_COOKIE, cookies.jwt)]
        enabled = [cookie for mode, cookie in holding if mode in settings.mode]
        self._cookie, self._second = (*enabled, None, None)[:2]
        self._start = b"" if self._cookie is None else self._cookie.name.encode() + b"="
        self._forgery = forgery
        self._verifier = verifier

    def principal(self, scope: Scope, now: int) -> Principal | None:
        """Whom an ASGI request speaks for; None when it brings no token. `now` in µs.

        Raises InvalidToken, TokenExpired, SessionEnded, BadRequest (two tokens that disagree), CsrfRejected.
        """
        bearer, cookie = self.tokens(scope["headers"])
        verify = self._verifier.verify
        if bearer is not None:
            principal = verify(bearer, now)
            if cookie is not None and self._other(cookie, principal, now):
                raise BadRequest(
                    "The Authorization header and the cookie are of different sessions: send one."
                )
            return principal
        if cookie is None:
            return None
        principal = verify(cookie, now)
        # A WebSocket handshake has no method and counts as unsafe.
        if scope.get("method") not in SAFE_METHODS:
            self._forgery.check(scope, now)
        return principal

    def tokens(self, headers: HeaderLines) -> tuple[bytes | None, bytes | None]:
        """The raw JWTs that came by header and by cookie. Raises BadRequest, DuplicateCookie."""
        bearer = cookie = None
        mine, authorized = self._cookie, False
        for name, value in headers:
            if name == b"cookie":
                # The everyday case without splitting at semicolons: our name once, in one line. Anything else is read
                # with care, over all lines and once and for all.
                before, *after = value.split(self._start) if mine else (value,)
                if not after:
                    continue
                if mine and (cookie is not None or len(after) > 1 or (before and before[-2:] != b"; ")):
                    cookie, mine = mine.read(headers), None
                    continue
                cookie = after[0].partition(b";")[0]
            elif name == b"authorization" and self._by_header:
                if authorized:
                    raise BadRequest("There are two Authorization headers.")
                authorized = True
                if value[:7].lower() == b"bearer ":
                    bearer = value[7:].lstrip(b" ")
        if self._cookie and self._second and (other := self._second.read(headers)):
            if cookie:
                raise self._cookie.doubtful(self._second)
            cookie = other
        return bearer, cookie or None

    def _other(self, cookie: bytes, principal: Principal, now: int) -> bool:
        try:
            return self._verifier.verify(cookie, now).sid != principal.sid
        except Problem:
            return False
