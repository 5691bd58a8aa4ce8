"""Every knob: a frozen dataclass that checks itself, and the only reader of the environment.

A setting `name` comes from `WATCHWORD_NAME`; secrets may come from the file that `WATCHWORD_NAME_FILE` names. What
cannot work is refused here, with the setting's name and the way out, and never while serving. No setting is read
anywhere else, and nothing heavy is imported: every process pays for this file.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from watchword.errors import SettingsError

ENV_PREFIX = "WATCHWORD_"
MIN_SECRET_CHARACTERS = 32
MIN_SECRET_DISTINCT = 12
_PLACEHOLDER = re.compile(
    r"change.?(me|this)|place.?holder|your.?(own.?)?secret|replace.?(me|this)|insecure", re.I
)
_HOST = re.compile(r"[a-z0-9._-]+", re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = timedelta(days=3650)
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Mode(StrEnum):
    """How the tokens of a session travel; chosen at sign-in and fixed in the session row."""

    COOKIES = "cookies"
    HYBRID = "hybrid"
    BEARER = "bearer"

    @property
    def refresh_in_cookie(self) -> bool:
        return self is not Mode.BEARER

    @property
    def access_in_cookie(self) -> bool:
        return self is Mode.COOKIES


class Algorithm(StrEnum):
    """HS256 for one service alone; the others when somebody else verifies by the published keys."""

    HS256 = "HS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"
    RS256 = "RS256"


class Synchronous(StrEnum):
    """SQLite's durability: `full` survives a power cut, `normal` may lose the last moments."""

    FULL = "full"
    NORMAL = "normal"


def _secret(read: Callable[[str], Any], **options: Any) -> Any:
    return field(repr=False, metadata={"read": read, "secret": True}, **options)


def _setting(read: Callable[[str], Any], **options: Any) -> Any:
    return field(metadata={"read": read, "secret": False}, **options)


def duration(text: str) -> timedelta:
    """`15m`, `7d`, `200ms`; a bare number is seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected a duration such as 15m, 7d or 200ms")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])
    except OverflowError:
        raise ValueError("this is longer than any clock can tell") from None


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for item in re.split(r"[,\s]+", text) if item)


def _modes(text: str) -> tuple[Mode, ...]:
    return tuple(_choice(Mode)(item) for item in _items(text))


def _choice(kind: type[StrEnum]) -> Callable[[str], Any]:
    def read(text: str) -> StrEnum:
        for member in kind:
            if member.value.lower() == text.strip().lower():
                return member
        raise ValueError(
            f"expected one of {', '.join(member.value for member in kind)}{_did_you_mean(text, kind)}"
        )

    return read


def _switch(text: str) -> bool:
    if text.strip().lower() in ("on", "true", "yes", "1"):
        return True
    if text.strip().lower() in ("off", "false", "no", "0"):
        return False
    raise ValueError("expected on or off")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked when made. See docs/reference/settings.md for what each means.

    `Settings.from_env()` reads `WATCHWORD_*`; `Settings.parse({...})` takes the same texts from a mapping; the
    constructor takes typed values. All raise SettingsError.
    """

    secret: tuple[str, ...] = _secret(_items, default=())
    url: str = _setting(str.strip, default="http://127.0.0.1:8000")
    database_url: str = _secret(str.strip, default="sqlite:///watchword.db")
    mode: tuple[Mode, ...] = _setting(_modes, default=(Mode.COOKIES,))
    algorithm: Algorithm = _setting(_choice(Algorithm), default=Algorithm.HS256)
    rsa_key: str = _secret(str, default="")
    access_ttl: timedelta = _setting(duration, default=timedelta(minutes=15))
    refresh_ttl: timedelta = _setting(duration, default=timedelta(days=7))
    session_max: timedelta = _setting(duration, default=timedelta(days=30))
    rotation_window: timedelta = _setting(duration, default=timedelta(seconds=20))
    trusted_origins: tuple[str, ...] = _setting(_items, default=())
    trusted_proxies: tuple[str, ...] = _setting(_items, default=())
    prefix: str = _setting(str.strip, default="/auth")
    synchronous: Synchronous = _setting(_choice(Synchronous), default=Synchronous.FULL)
    hash_threads: int = _setting(int, default=0)
    pages: bool = _setting(_switch, default=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The settings of the environment; an unknown `WATCHWORD_` name is an error with a suggestion."""
        environ = os.environ if environ is None else environ
        named = {
            name[len(ENV_PREFIX) :].lower(): text
            for name, text in environ.items()
            if name.startswith(ENV_PREFIX)
        }
        return cls.parse(named, shown=lambda name: ENV_PREFIX + name.upper())

    @classmethod
    def parse(cls, texts: Mapping[str, str], *, shown: Callable[[str], str] = str) -> Self:
        """Settings from texts by name, `secret_file` and the like included; `shown` is how names appear in errors."""
        known = {setting.name: setting for setting in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in texts.items():
            target = name.removesuffix("_file") if name not in known else name
            setting = known.get(target)
            if setting is None or (target != name and not setting.metadata["secret"]):
                raise SettingsError(f"{shown(name)} is not a setting{_did_you_mean(target, known, shown)}")
            if target in values:
                raise SettingsError(f"{shown(target)} is given twice, as a value and as a file")
            values[target] = _read(setting, _file(text, shown(name)) if target != name else text, shown(name))
        return cls(**values)

    def __post_init__(self) -> None:
        _check_secrets(self.secret)
        object.__setattr__(self, "url", _origin("url", self.url))
        object.__setattr__(
            self, "trusted_origins", tuple(_origin("trusted_origins", o) for o in self.trusted_origins)
        )
        if not self.mode or len(set(self.mode)) != len(self.mode):
            raise SettingsError("mode: name at least one, each once")
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self.prefix):
            raise SettingsError("prefix: expected a path such as /auth, without a slash at its end")
        for network in self.trusted_proxies:
            try:
                ip_network(network)
            except ValueError:
                raise SettingsError(
                    f"trusted_proxies: {network} is no address or network such as 10.0.0.0/8"
                ) from None
        if not timedelta(0) < self.access_ttl <= timedelta(days=1):
            raise SettingsError(
                "access_ttl: more than 0 and at most 1d; a short one is the point of having a refresh"
            )
        if self.access_ttl % timedelta(seconds=1):
            raise SettingsError("access_ttl: whole seconds, as a JWT knows no smaller ones")
        if not self.access_ttl <= self.refresh_ttl <= self.session_max:
            raise SettingsError("access_ttl, refresh_ttl and session_max: none may be longer than the next")
        if self.session_max > _LONGEST:
            raise SettingsError("session_max: at most 3650d")
        if not timedelta(0) <= self.rotation_window <= timedelta(minutes=10):
            raise SettingsError(
                "rotation_window: at most 10m; 20s is enough for any client that is not stuck"
            )
        if self.rotation_window * 4 > self.refresh_ttl:
            raise SettingsError("rotation_window: at most a quarter of refresh_ttl")
        if self.algorithm is Algorithm.RS256 and not self.rsa_key:
            raise SettingsError(
                "algorithm RS256 needs rsa_key: a PEM private key, best by WATCHWORD_RSA_KEY_FILE"
            )
        if self.rsa_key and self.algorithm is not Algorithm.RS256:
            raise SettingsError(
                f"rsa_key is only for algorithm RS256, not {self.algorithm.value}: remove one of them"
            )
        if not 0 <= self.hash_threads <= 256:
            raise SettingsError("hash_threads: 0 (as many as there are cores) to 256")

    @property
    def https(self) -> bool:
        """Whether browsers reach us by https, which decides about cookie names and their Secure attribute."""
        return self.url.startswith("https://")

    @property
    def loopback(self) -> bool:
        """Whether `url` names this machine alone."""
        return (urlsplit(self.url).hostname or "") in LOOPBACK

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may change something: our own and the trusted ones."""
        return frozenset({self.url, *self.trusted_origins})


def check_production(settings: Settings) -> None:
    """What `serve` demands beyond what works at all. Raises SettingsError."""
    if not settings.secret:
        raise SettingsError("WATCHWORD_SECRET is missing: `watchword secret` makes one")
    if any(_PLACEHOLDER.search(item) for item in settings.secret):
        raise SettingsError("WATCHWORD_SECRET looks like a placeholder: `watchword secret` makes one")
    if not settings.https and not settings.loopback:
        raise SettingsError(f"WATCHWORD_URL is {settings.url}: outside this machine it must be https")
    if settings.database_url.startswith("memory:"):
        raise SettingsError(
            "WATCHWORD_DATABASE_URL: a memory store forgets everybody; use sqlite:/// or postgresql://"
        )


def _check_secrets(secrets: tuple[str, ...]) -> None:
    """Refuse what can be guessed. The message names the place in the list, never the secret (ASVS 5.0 6.3.2)."""
    for place, item in enumerate(secrets, 1):
        which = "secret" if len(secrets) == 1 else f"secret number {place}"
        if any("\ud800" <= character <= "\udfff" for character in item):
            raise SettingsError(f"{which} is not UTF-8 text: `watchword secret` makes one")
        if len(item) < MIN_SECRET_CHARACTERS:
            raise SettingsError(
                f"{which} has {len(item)} characters, {MIN_SECRET_CHARACTERS} are needed: `watchword secret` makes one"
            )
        if len(set(item)) < MIN_SECRET_DISTINCT:
            raise SettingsError(f"{which} has too few different characters: `watchword secret` makes one")
    if len(set(secrets)) != len(secrets):
        raise SettingsError("secret: the same one is listed twice")


def _origin(name: str, text: str) -> str:
    """The one spelling of an origin that browsers send: scheme, host and, if not the default, port."""
    try:
        parts = urlsplit(text.rstrip("/"))
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    extra = parts.path or parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in ("http", "https") or not host or extra or not text.isprintable():
        raise SettingsError(f"{name}: {text!r} is no origin such as https://app.example.com")
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


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


def _read(setting: Field[Any], text: str, shown: str) -> Any:
    try:
        return setting.metadata["read"](text)
    except ValueError as error:
        value = "" if setting.metadata["secret"] else f" is {text!r}"
        raise SettingsError(f"{shown}{value}: {error}") from None


def _file(path: str, shown: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path to UTF-8 text"
        raise SettingsError(f"{shown}: cannot read {path}: {reason}") from None


def _did_you_mean(text: str, known: Any, shown: Callable[[str], str] = str) -> str:
    names = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(text.strip().lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {shown(names[close[0]])}?" if close else ""
