"""Whether an unsafe request was sent by somebody's page behind the user's back: the CSRF check, origin and token.

The origin is judged always. With `csrf=token` a browser must also send a token in `X-CSRF-Token`, equal to the one in
our `csrf_token` cookie and signed for the session that the request is of; before sign-in, for a random cookie of its
own. A WebSocket handshake cannot carry that header: there the origin decides.
Sources: OWASP CSRF cheat sheet (signed double submit); ASVS 5.0 3.5.1; SECURITY-TARGET attacks 81–86.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta

from watchword.core import session_token
from watchword.core.access_token import AccessTokens
from watchword.core.csrf import NONCE, CsrfTokens, trusted, visits
from watchword.core.refresh_token import RefreshTokens
from watchword.errors import CsrfRejected, InvalidToken
from watchword.http.cookies import Cookie, Cookies
from watchword.http.problem import Headers, Scope
from watchword.settings import Csrf, Settings

HEADER = b"x-csrf-token"


class Forgery:
    """The check under one configuration."""

    def __init__(
        self,
        settings: Settings,
        cookies: Cookies,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        tokens: CsrfTokens,
    ) -> None:
        self._origins = settings.origins
        self._cookies = cookies
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._tokens = tokens
        self.demands_token = settings.csrf is Csrf.TOKEN
        self._csrf_url = f"{settings.prefix}/csrf"
        narrow = settings.refresh_cookie_path
        self._hidden = bool(narrow) and not f"{settings.prefix}/".startswith(f"{narrow}/")
        self._longest = settings.session_max // timedelta(seconds=1)

    def check(self, scope: Scope, now: int) -> None:
        """Raises CsrfRejected, and DuplicateCookie where a token is demanded. `now` in µs."""
        headers = scope["headers"]
        carries = self._cookies.carried(headers)
        self._check_page(headers, carries_our_cookies=carries)
        if not self.demands_token or scope["type"] != "http":
            return
        browser = carries or any(name in (b"origin", b"sec-fetch-site") for name, _ in headers)
        if browser and not self._proved(headers, now):
            raise CsrfRejected(
                f"X-CSRF-Token is missing, old or of another session: GET {self._csrf_url}.",
                headers=tuple((name.decode(), line.decode()) for name, line in self._unprovable(headers)),
            )

    def visits(self, headers: Headers) -> bool:
        """Whether a safe request comes from a page of ours, or by a link from anywhere."""
        return visits(
            sec_fetch_site=_single(headers, b"sec-fetch-site"),
            sec_fetch_mode=_single(headers, b"sec-fetch-mode"),
            sec_fetch_dest=_single(headers, b"sec-fetch-dest"),
            origin=_single(headers, b"origin"),
            trusted_origins=self._origins,
        )

    def give(self, headers: Headers, proved: str | None, now: int) -> tuple[str, Headers]:
        """A token for whoever sends this request, and the cookies that go with it. One that is good stays.

        `proved` is the session whose genuine tokens the request brings. Raises CsrfRejected, DuplicateCookie.
        """
        # A page of somebody else cannot read the answer, but its cookies would take the place of those in the jar.
        # Where no header tells, it may be a browser that sends none with GET.
        self._check_page(headers, carries_our_cookies=False)
        lines: Headers = []
        session = self._session(headers, now)
        if session is not None and session != proved:
            # Who knows a session's id can write it into a cookie, and must get no token for that session. An honest
            # jar has such a cookie of a session long gone, and nothing to lose.
            lines += [line for cookie in self._cookies.enabled for line in cookie.clear()]
            session = None
        if session is not None:
            lines += self.renewed(session)
        binding = session or self._before(headers)
        if binding is None:
            value = secrets.token_urlsafe(24)
            lines += self._cookies.csrf_session.set(value, max_age=self._tokens.seconds)
            binding = _anonymous(value.encode())
        held = self._cookies.csrf.read(headers)
        if held is not None and self._tokens.genuine(held, binding, now, at_most=0.5):
            return held.decode("ascii"), lines
        token, line = self._mint(binding, now)
        return token, lines + line

    def signed_in(self, sid: str, now: int) -> Headers:
        """The cookies for a session that begins: what was good before it is good no more."""
        if not self.demands_token:
            return []
        return self._mint(sid, now)[1] + self.renewed(sid)

    def renewed(self, sid: str) -> Headers:
        """The cookie that stands for a session where a narrow refresh cookie does not come, so that one token serves
        all routes. Set anew whenever the session is, or the secret that signed it would be gone before it is."""
        if not (self.demands_token and self._hidden):
            return []
        return self._cookies.csrf_session.set(self._tokens.stand_in(sid), max_age=self._longest)

    def clearing(self) -> Headers:
        """The lines that remove these cookies."""
        return self._cookies.csrf.clear() + self._cookies.csrf_session.clear() if self.demands_token else []

    def _check_page(self, headers: Headers, *, carries_our_cookies: bool) -> None:
        if not trusted(
            sec_fetch_site=_single(headers, b"sec-fetch-site"),
            origin=_single(headers, b"origin"),
            trusted_origins=self._origins,
            carries_our_cookies=carries_our_cookies,
        ):
            raise CsrfRejected

    def _unprovable(self, headers: Headers) -> Headers:
        """What removes a refresh cookie for which nobody could be given a token, as nothing stands for its session on
        GET /csrf: somebody planted it, or the settings changed. It would be in everybody's way for days."""
        cookie, before = self._cookies.refresh, self._cookies.csrf_session.read(headers)
        stood_for = None if before is None else self._tokens.stands_for(before)
        if not self._hidden or cookie.read(headers) is None or stood_for is not None:
            return []
        others = [other for other in self._cookies.enabled if other is not cookie and other.read(headers)]
        return [] if others else cookie.clear()

    def _mint(self, binding: str, now: int) -> tuple[str, Headers]:
        token = self._tokens.mint(binding, secrets.token_bytes(NONCE), now)
        return token, self._cookies.csrf.set(token, max_age=self._tokens.seconds)

    def _proved(self, headers: Headers, now: int) -> bool:
        sent = [value for name, value in headers if name == HEADER]
        held, binding = self._cookies.csrf.read(headers), self._session(headers, now) or self._before(headers)
        if len(sent) != 1 or held is None or binding is None:
            return False
        return hmac.compare_digest(sent[0], held) and self._tokens.genuine(held, binding, now)

    def _session(self, headers: Headers, now: int) -> str | None:
        """The session that the cookies of a request name, whichever of them the route will act upon.

        Raises DuplicateCookie, also for two of different sessions: whoever planted one of them has a token for it,
        which must not count for the other.
        """
        found: dict[str, Cookie] = {}
        for cookie in self._cookies.enabled:
            value = cookie.read(headers)
            if value is not None and (sid := self._named(cookie, value, now)) is not None:
                found.setdefault(sid, cookie)
        if len(found) > 1:
            first, *others = found.values()
            raise first.doubtful(*others)
        return next(iter(found), None)

    def _named(self, cookie: Cookie, value: bytes, now: int) -> str | None:
        """The session of one of our cookies, None for what can authenticate nothing. Only a JWT is proved by it."""
        if cookie == self._cookies.refresh:
            presented = self._refresh_tokens.read(value.decode("latin-1"))
            return presented.sid if presented else None
        if cookie == self._cookies.session:
            named = session_token.read(value)
            return named.sid if named else None
        try:
            return self._access_tokens.known(value, now).sid
        except InvalidToken:
            return None

    def _before(self, headers: Headers) -> str | None:
        """What a token is signed for where no cookie names a session."""
        value = self._cookies.csrf_session.read(headers)
        return None if value is None else self._tokens.stands_for(value) or _anonymous(value)


def _anonymous(value: bytes) -> str:
    return "before sign-in " + value.decode("latin-1")


def _single(headers: Headers, wanted: bytes) -> str | None:
    """A header's value; one that comes twice is worth as much as a stranger's."""
    values = [value for name, value in headers if name == wanted]
    if not values:
        return None
    return values[0].decode("latin-1") if len(values) == 1 else ""
