"""Our cookies: their names and attributes, reading them byte by byte, setting and clearing them.

On https a name has the `__Host-` prefix with Secure and Path=/, on http://localhost it is bare: the scheme of `url`
decides. Clearing repeats every attribute. A name that arrives twice counts as absent.
Sources: RFC 6265bis §4.1.3, §5.7; ASVS 5.0 3.3.1–3.3.5; SECURITY-TARGET attacks 25–30.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from watchword.errors import InvalidToken
from watchword.settings import Settings

_VALUE = re.compile(
    rb"[A-Za-z0-9._~-]+"
)  # what our tokens are made of: nothing that could end or split a header

MAX_COOKIE = 4096
"""Bytes of name and value that a browser keeps (RFC 6265bis §5.6, ASVS 5.0 3.3.5)."""


class DuplicateCookie(InvalidToken):
    """Two cookies of one of our names arrived: somebody may have planted one, so neither counts."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """One of our cookies. `name` is the full name, prefix included."""

    name: str
    attributes: str

    def set(self, value: str, *, max_age: int) -> tuple[bytes, bytes]:
        """The Set-Cookie header line. `max_age` in seconds."""
        raw = value.encode("ascii")
        if not _VALUE.fullmatch(raw):
            raise ValueError("a cookie value may only hold unreserved characters")
        if len(self.name) + len(raw) > MAX_COOKIE:
            raise ValueError(
                f"{self.name} exceeds {MAX_COOKIE} bytes, browsers drop it: fewer roles or claims"
            )
        return b"set-cookie", b"%s=%s; Max-Age=%d%s" % (
            self.name.encode(),
            raw,
            max_age,
            self.attributes.encode(),
        )

    def clear(self) -> tuple[bytes, bytes]:
        """The line that removes it: the same attributes, no life."""
        return b"set-cookie", f"{self.name}=; Max-Age=0{self.attributes}".encode()

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Its value, None when it is absent or empty. Raises DuplicateCookie.

        Split at semicolons and leading spaces, nothing else: no unquoting and no other white space, so that no other
        spelling of the name counts as ours.
        """
        start = self.name.encode() + b"="
        pairs = (
            pair.lstrip(b" ") for name, line in headers if name == b"cookie" for pair in line.split(b";")
        )
        found = [pair[len(start) :] for pair in pairs if pair.startswith(start)]
        if len(found) > 1:
            raise DuplicateCookie("The same cookie was sent twice.", headers=(_text(self.clear()),))
        return found[0] or None if found else None


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one configuration."""

    access: Cookie
    refresh: Cookie

    def carried(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request brings any of ours, in whatever number."""
        lines = [line for name, line in headers if name == b"cookie"]
        return any(
            cookie.name.encode() + b"=" in line for cookie in (self.access, self.refresh) for line in lines
        )


def cookies(settings: Settings) -> Cookies:
    """Names and attributes as the settings say."""
    return Cookies(
        access=_cookie(settings, "access_token", same_site="Lax"),
        refresh=_cookie(settings, "refresh_token", same_site="Strict"),
    )


def _cookie(settings: Settings, name: str, *, same_site: str) -> Cookie:
    if settings.https:
        return Cookie("__Host-" + name, f"; Path=/; Secure; HttpOnly; SameSite={same_site}")
    return Cookie(name, f"; Path=/; HttpOnly; SameSite={same_site}")


def _text(line: tuple[bytes, bytes]) -> tuple[str, str]:
    return line[0].decode(), line[1].decode()
