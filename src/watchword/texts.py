"""Reading the texts of settings: durations, numbers, lists, choices, switches, origins, paths, names, servers, mail.

Text in, value or ValueError out; `fits` judges values that were never texts. Which setting it was is told by whoever
asked: nothing here knows one.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Any, NamedTuple, get_args, get_origin
from urllib.parse import unquote, urlsplit

MIN_SECRET_CHARACTERS = 32
MIN_SECRET_DISTINCT = 12

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_HOST = re.compile(r"[a-z0-9._-]+", re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)+", re.ASCII)  # browsers take dot segments away
_COOKIE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_COUNT = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)


_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)


class SmtpServer(NamedTuple):
    """What an `smtp_url` says. `tls` is from the first byte on; without it the connection is upgraded."""

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"SmtpServer({self.host!r}, {self.port})"


def duration(text: str) -> timedelta:
    """`15m`, `7d`, `200ms`; a bare number is seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected a duration such as 15m, 7d or 200ms")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])
    except OverflowError:
        raise ValueError("this is longer than any clock can tell") from None


def count(text: str) -> int:
    """A whole number in plain digits. Raises ValueError."""
    if not _COUNT.fullmatch(text.strip()):
        raise ValueError("expected a whole number")
    return int(text)


def items(text: str) -> tuple[str, ...]:
    """A list, split at commas and white space."""
    return tuple(item for item in re.split(r"[,\s]+", text) if item)


def choice(kind: type[StrEnum]) -> Callable[[str], Any]:
    """One member, in whatever case it is written."""

    def read(text: str) -> StrEnum:
        for member in kind:
            if member.value.lower() == text.strip().lower():
                return member
        raise ValueError(
            f"expected one of {', '.join(member.value for member in kind)}{did_you_mean(text, kind)}"
        )

    return read


def choices(kind: type[StrEnum]) -> Callable[[str], Any]:
    """A list of members."""
    read = choice(kind)
    return lambda text: tuple(read(item) for item in items(text))


def optional(read: Callable[[str], Any], absent: Any) -> Callable[[str], Any]:
    """What `read` makes of a text, `absent` for an empty one."""
    return lambda text: read(text) if text.strip() else absent


def switch(text: str) -> bool:
    """on or off."""
    if text.strip().lower() in ("on", "true", "yes", "1"):
        return True
    if text.strip().lower() in ("off", "false", "no", "0"):
        return False
    raise ValueError("expected on or off")


def origin(text: str) -> str:
    """The one spelling of an origin that browsers send: scheme, host and, if not the default, port."""
    try:
        parts = urlsplit(text.rstrip("/"))
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    extra = parts.path or parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in ("http", "https") or not host or extra or not text.isprintable():
        raise ValueError(f"{text!r} is no origin such as https://app.example.com")
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def path(text: str) -> str:
    """`/auth` and the like; empty for `/`, `none` or nothing."""
    text = text.strip()
    if text.lower() in ("", "/", "none"):
        return ""
    if not _PATH.fullmatch(text):
        raise ValueError("expected a path such as /auth, without a slash at its end, or none")
    return text


def file_path(text: str) -> str:
    """A file's, as the system takes it."""
    text = text.strip()
    if not text.isprintable() or text.endswith("/"):
        raise ValueError("expected the path of a file, such as /var/log/watchword/events.jsonl")
    return text


def smtp_server(text: str) -> SmtpServer:
    """`smtps://user:password@host:465` or `smtp://host:587`. Raises ValueError, which repeats nothing of the text."""
    try:
        parts = urlsplit(text)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    extra = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("smtp", "smtps") or not host or extra or not text.isprintable():
        raise ValueError(
            "expected smtps://user:password@mail.example.com or smtp://…, with special characters percent-encoded"
        )
    username, password = (
        None if part is None else unquote(part) for part in (parts.username, parts.password)
    )
    if (username is None) != (password is None):
        raise ValueError("give a user and a password, user:password@, or neither")
    tls = parts.scheme == "smtps"
    return SmtpServer(host.strip("[]"), port or (465 if tls else 587), tls, username, password)


def smtp_url(text: str) -> str:
    """As it is, if it can be read; empty for none."""
    text = text.strip()
    if text:
        smtp_server(text)
    return text


def redis_url(text: str) -> str:
    """`redis://`, `rediss://` (TLS) or `unix://`; empty for none. Raises ValueError, which repeats nothing of it."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        there = parts.path if parts.scheme == "unix" else parts.hostname and (parts.port or 1)
    except ValueError:
        parts, there = urlsplit(""), None
    if text and not (parts.scheme in ("redis", "rediss", "unix") and there and text.isprintable()):
        raise ValueError("expected redis://:password@host:6379/0, rediss://… for TLS, or unix:///path")
    return text


def strong(secrets: tuple[str, ...]) -> None:
    """Refuse what can be guessed. The message names the place in the list, never the secret (ASVS 5.0 6.3.2)."""
    for place, item in enumerate(secrets, 1):
        which = "secret" if len(secrets) == 1 else f"secret number {place}"
        if any("\ud800" <= character <= "\udfff" for character in item):
            raise ValueError(f"{which} is not UTF-8 text: `watchword secret` makes one")
        if len(item) < MIN_SECRET_CHARACTERS:
            raise ValueError(
                f"{which} has {len(item)} characters, {MIN_SECRET_CHARACTERS} are needed: `watchword secret` makes one"
            )
        if len(set(item)) < MIN_SECRET_DISTINCT:
            raise ValueError(f"{which} has too few different characters: `watchword secret` makes one")
    if len(set(secrets)) != len(secrets):
        raise ValueError("secret: the same one is listed twice")


def token_digest(text: str) -> str:
    """`sha256:` and the digest of a token that somebody will present, which is all that has to be kept of it; as it is
    if it is one already, and empty for none. Raises ValueError, which repeats nothing of it."""
    text = text.strip()
    if not text or _DIGEST.fullmatch(text):
        return text
    if text.lower().startswith("sha256:"):
        raise ValueError("expected 64 hexadecimal digits in lower case after sha256:")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("expected visible ASCII characters: `watchword secret` makes one")
    if len(text) < MIN_SECRET_CHARACTERS or len(set(text)) < MIN_SECRET_DISTINCT:
        raise ValueError(
            f"{MIN_SECRET_CHARACTERS} characters are needed, {MIN_SECRET_DISTINCT} of them different: "
            "`watchword secret` makes one"
        )
    return sha256(text)


def sha256(text: str) -> str:
    """As `token_digest` writes it."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def mailbox(text: str) -> str:
    """`login@example.com` or `Example <login@example.com>`, an address that every mail server takes; empty for none."""
    text = text.strip()
    name, bracket, rest = text.rpartition("<")
    address = rest.removesuffix(">") if bracket else text
    local, _, host = address.rpartition("@")
    with suppress(ValueError):
        host = _host(host.lower())
    plain = _LOCAL_PART.fullmatch(local) and _HOST.fullmatch(host) and text.isprintable()
    if text and not (plain and len(address) <= 254 and bool(bracket) == text.endswith(">")):
        raise ValueError("expected an address such as login@example.com or Example <login@example.com>")
    name = name.strip().strip('"')
    return f"{name} <{local}@{host}>" if name else f"{local}@{host}" if text else ""


def socket_address(text: str) -> str:
    """`127.0.0.1:9000`, `[::1]:9000` or `localhost:9000`: where to listen; empty for nowhere. Port 0 is any that is
    free."""
    text = text.strip()
    host, _, port = text.rpartition(":")
    try:
        host = _host(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        host = ""
    if text and not (host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("expected an address and a port such as 127.0.0.1:9000 or [::1]:9000")
    return f"{host}:{int(port)}" if text else ""


def host_and_port(address: str) -> tuple[str, int]:
    """Of what `socket_address` has read."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def cookie_name(text: str) -> str:
    """Letters, digits, dashes and underscores; the prefixes that browsers give a meaning are not part of it."""
    text = text.strip()
    if text.lower().startswith(("__host-", "__secure-", "__http-")):
        raise ValueError(
            "name it without its prefix; cookie_prefix auto puts __Host- or __Secure- in front where it can"
        )
    if not _COOKIE.fullmatch(text):
        raise ValueError("expected 1 to 64 letters, digits, - and _")
    return text


def key(text: str) -> str:
    """The key of a JSON object that every language can write as a name."""
    text = text.strip()
    if not _KEY.fullmatch(text):
        raise ValueError("expected a name such as access_token, accessToken or token")
    return text


def domain(text: str) -> str:
    """A cookie's Domain, without the dot that older standards put in front; empty for none.

    A last label that begins with a digit belongs to an address, and for those browsers take no Domain.
    """
    name = text.strip().lower().removeprefix(".")
    with suppress(ValueError):
        name = _host(name)
    if name and not _DOMAIN.fullmatch(name):
        raise ValueError("expected a domain such as example.com, neither an address nor one word alone")
    return name


def _host(text: str) -> str:
    """A host as browsers write it in an origin. Raises ValueError."""
    if ":" in text and "%" not in text:
        return f"[{IPv6Address(text)}]"
    if not text.isascii():
        import idna  # only for who needs it, as it is large; the interpreter's own codec makes strasse of straße

        text = idna.encode(text, uts46=True).decode()
    if not _HOST.fullmatch(text):
        raise ValueError("not a host")
    return text


def camel(name: str) -> str:
    """`access_token` as `accessToken`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def did_you_mean(text: str, known: Iterable[Any], shown: Callable[[str], str] = str) -> str:
    """The end of an error message: the known name that is nearest, if any is near."""
    names = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(text.strip().lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {shown(names[close[0]])}?" if close else ""


def fits(value: object, kind: Any) -> bool:
    """Whether a value is of an annotation's type: a class, a union or a tuple of any length."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(isinstance(item, get_args(kind)[0]) for item in value)
    return isinstance(value, kind)
