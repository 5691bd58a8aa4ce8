"""Trusted pages, strangers that look like them, and what an answer says of CORS."""

from __future__ import annotations

from tests.http.asgi import Answer, App, Header, call
from tests.http.devices import House, house

HERE, APP, LOCAL = "https://auth.example.com", "https://app.example.com", "http://localhost:5173"
TRUSTED: Header = ("origin", APP)
STRANGER: Header = ("origin", "https://evil.example")
ASKED = "content-type,authorization,x-csrf-token,x-user-id,x-auth-mode"
"""Headers of old clients and new ones."""

STRANGERS: dict[str, tuple[str, ...]] = {
    "reflection": ("https://evil.example",),
    "null": ("null",),
    "empty": ("",),
    "asterisk": ("*",),
    "suffix": ("https://app.example.com.evil.example",),
    "suffix without a dot": ("https://app.example.community",),
    "prefix": ("https://evil-app.example.com",),
    "host below": ("https://x.app.example.com",),
    "host above": ("https://example.com",),
    "dot of a regex": ("https://appxexample.com",),
    "scheme": ("http://app.example.com",),
    "other scheme": ("chrome-extension://app.example.com",),
    "no scheme": ("app.example.com",),
    "port": ("https://app.example.com:8443",),
    "default port": ("https://app.example.com:443",),
    "port of the other": ("http://localhost:5174",),
    "case of the host": ("https://APP.example.com",),
    "case of the scheme": ("HTTPS://app.example.com",),
    "userinfo": ("https://app.example.com@evil.example",),
    "userinfo before": ("https://user@app.example.com",),
    "trailing slash": ("https://app.example.com/",),
    "trailing dot": ("https://app.example.com.",),
    "trailing space": ("https://app.example.com ",),
    "zero byte": ("https://app.example.com\0.evil.example",),
    "query": ("https://evil.example?https://app.example.com",),
    "list": ("https://app.example.com, https://evil.example",),
    "list by space": ("https://app.example.com https://evil.example",),
    "two headers": (APP, "https://evil.example"),
    "two headers, the other way round": ("https://evil.example", APP),
    "two headers alike": (APP, APP),
    "two trusted headers": (APP, LOCAL),
}
"""Values of Origin, in one line or two."""


async def shared(mode: str = "bearer", **texts: str) -> House:
    """A house that trusts two origins. Bearer has no CSRF gate, so that strangers get as far as they can."""
    return await house(**{"mode": mode, "url": HERE, "trusted_origins": f"{APP}, {LOCAL}"} | texts)


async def preflight(app: App, *lines: Header, path: str = "/auth/login", asked: str | None = ASKED) -> Answer:
    """What a browser asks before a POST."""
    headers: list[Header] = [*lines, ("access-control-request-method", "POST")]
    if asked is not None:
        headers.append(("access-control-request-headers", asked))
    return await call(app, "OPTIONS", path, headers=headers)


def leave(answer: Answer) -> dict[str, str]:
    """Every header of CORS, each of which may come once."""
    names = {name.decode() for name, _ in answer.headers if name.startswith(b"access-control-")}
    return {name: answer.get(name) or "" for name in names}


def words(line: str | None) -> list[str]:
    """What a header lists; a word that is there twice is twice in the list."""
    return sorted(word.strip().lower() for word in (line or "").split(","))
