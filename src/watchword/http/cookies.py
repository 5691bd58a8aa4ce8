"""Our cookies: their names and attributes, reading them byte by byte, setting and clearing them.

On https a name has the `__Host-` prefix with Secure and Path=/, on http://localhost it is bare: the scheme of `url`
decides. A Domain or a narrower path gives up `__Host-` for `__Secure-`. Clearing repeats every attribute. A name that
arrives twice counts as absent.
Sources: RFC 6265bis §4.1.3, §5.7; ASVS 5.0 3.3.1–3.3.5; SECURITY-TARGET attacks 25–30.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from watchword.errors import InvalidToken
from watchword.http.problem import Headers
from watchword.settings import CookiePrefix, Mode, SameSite, Settings

_VALUE = re.compile(
    rb"[A-Za-z0-9._~-]+"
)  # what our tokens are made of: nothing that could end or split a header

MAX_COOKIE = 4096
"""Bytes of name and value that a browser keeps (RFC 6265bis §5.6, ASVS 5.0 3.3.5)."""


class DuplicateCookie(InvalidToken):
    """Two cookies of one of our names arrived: somebody may have planted one, so neither counts."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """One of our cookies. `name` is the full name, prefix included.

    `scopes` are the attributes under which it is set, once for each path that needs it; `strays` those under which
    somebody else could have put one of this name beside it.
    """

    name: str
    scopes: tuple[str, ...]
    strays: tuple[str, ...] = ()

    def set(self, value: str, *, max_age: int) -> Headers:
        """The Set-Cookie lines. `max_age` in seconds."""
        raw = value.encode("ascii")
        if not _VALUE.fullmatch(raw):
            raise ValueError("a cookie value may only hold unreserved characters")
        if len(self.name) + len(raw) > MAX_COOKIE:
            raise ValueError(
                f"{self.name} exceeds {MAX_COOKIE} bytes, browsers drop it: fewer roles or claims"
            )
        start = b"%s=%s; Max-Age=%d" % (self.name.encode(), raw, max_age)
        return [(b"set-cookie", start + scope.encode()) for scope in self.scopes]

    def clear(self) -> Headers:
        """The lines that remove it: the same attributes, no life."""
        return self._without_life(self.scopes)

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Its value, None when it is absent or empty. Raises DuplicateCookie.

        Split at semicolons and leading spaces, nothing else: no unquoting and no other white space, so that no other
        spelling of the name counts as ours.
        """
        found = self.values(headers)
        if len(found) > 1:
            raise self.doubtful()
        return found[0] or None if found else None

    def values(self, headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """Every value that came under its name, for who does not have to know which is ours."""
        start = self.name.encode() + b"="
        pairs = (
            pair.lstrip(b" ") for name, line in headers if name == b"cookie" for pair in line.split(b";")
        )
        return [pair[len(start) :] for pair in pairs if pair.startswith(start)]

    def doubtful(self, *others: Cookie) -> DuplicateCookie:
        """What to raise when it cannot be told which cookie is ours: it clears all that may be in the way."""
        lines = [
            line for cookie in (self, *others) for line in cookie._without_life(cookie.scopes + cookie.strays)
        ]
        return DuplicateCookie(
            "Two cookies were sent of which one at most can be ours.",
            headers=tuple((name.decode(), line.decode()) for name, line in lines),
        )

    def _without_life(self, scopes: Iterable[str]) -> Headers:
        return [(b"set-cookie", f"{self.name}=; Max-Age=0{scope}".encode()) for scope in scopes]


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one configuration. `csrf_session` stands for a session where there is none yet, `two_factor` for
    a login that waits for its second step, `device` for a browser that somebody has signed in on."""

    access: Cookie
    refresh: Cookie
    jwt: Cookie
    session: Cookie
    csrf: Cookie
    csrf_session: Cookie
    two_factor: Cookie
    device: Cookie
    modes: tuple[Mode, ...]
    enabled: tuple[Cookie, ...] = field(init=False)
    """Those that hold sessions of the enabled modes, each once."""
    _starts: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        enabled = tuple(dict.fromkeys(cookie for mode in self.modes for cookie in self.of(mode)))
        ours = (*enabled, self.two_factor, self.csrf, self.csrf_session)
        object.__setattr__(self, "enabled", enabled)
        object.__setattr__(self, "_starts", tuple(cookie.name.encode() + b"=" for cookie in ours))

    def of(self, mode: Mode) -> tuple[Cookie, ...]:
        """Those that hold a session of this mode."""
        match mode:
            case Mode.COOKIES:
                return self.access, self.refresh
            case Mode.HYBRID:
                return (self.refresh,)
            case Mode.JWT_COOKIE:
                return (self.jwt,)
            case Mode.SESSION:
                return (self.session,)
            case Mode.BEARER:
                return ()

    def carried(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request brings any cookie that stands for a session of ours, or for what comes before one, in
        whatever number. That of a known device does neither, and stays when a program has signed out."""
        return any(start in line for name, line in headers if name == b"cookie" for start in self._starts)


def cookies(settings: Settings) -> Cookies:
    """Names and attributes as the settings say."""
    lax, strict = SameSite.LAX, SameSite.STRICT
    prefix, narrow = settings.prefix, settings.refresh_cookie_path
    # Signing out, and signing in over a session, end the one that the refresh token is of: they need it too.
    ending = (f"{prefix}/login", f"{prefix}/logout")
    paths = (narrow, *(path for path in ending if not f"{path}/".startswith(f"{narrow}/")))
    return Cookies(
        access=_cookie(settings, settings.access_cookie or "access_token", lax),
        refresh=_cookie(settings, settings.refresh_cookie, strict, paths=paths if narrow else ("/",)),
        jwt=_cookie(settings, settings.access_cookie or "auth_token", lax),
        session=_cookie(settings, settings.session_cookie, lax),
        csrf=_cookie(settings, "csrf_token", lax, readable=True),
        csrf_session=_cookie(settings, "csrf_session", lax),
        two_factor=_cookie(settings, "two_factor_auth", lax),
        device=_cookie(settings, "device", lax),
        modes=settings.mode,
    )


def _cookie(
    settings: Settings,
    name: str,
    same_site: SameSite,
    *,
    paths: tuple[str, ...] = ("/",),
    readable: bool = False,
) -> Cookie:
    domain = f"; Domain={settings.cookie_domain}" if settings.cookie_domain else ""
    rest = "; Secure" if settings.https else ""
    rest += "" if readable else "; HttpOnly"
    rest += f"; SameSite={settings.cookie_samesite or same_site}"
    scopes = tuple(f"; Path={path}{domain}{rest}" for path in paths)
    if settings.https and settings.cookie_prefix is CookiePrefix.AUTO:
        if not domain and paths == ("/",):
            return Cookie("__Host-" + name, scopes)  # no browser lets another one in
        name = "__Secure-" + name
    everywhere = dict.fromkeys(("/", settings.refresh_cookie_path or "/", *paths))
    strays = tuple(
        scope
        for path in everywhere
        for parent in dict.fromkeys(("", domain))
        if (scope := f"; Path={path}{parent}{rest}") not in scopes
    )
    return Cookie(name, scopes, strays)
