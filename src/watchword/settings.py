"""Every knob: a frozen dataclass that checks itself, and the only reader of the environment.

A setting `name` comes from `WATCHWORD_NAME`; secrets may come from the file that `WATCHWORD_NAME_FILE` names. What
cannot work is refused here, with the setting's name and the way out, and never while serving. No setting is read
anywhere else, and nothing heavy is imported: every process pays for this file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self, get_type_hints
from urllib.parse import urlsplit

from watchword.choices import ANSWER_FIELDS, CLAIM_FIELDS, OTHER_COOKIES
from watchword.choices import Algorithm as Algorithm
from watchword.choices import CookiePrefix as CookiePrefix
from watchword.choices import Cors as Cors
from watchword.choices import Csrf as Csrf
from watchword.choices import FieldCase as FieldCase
from watchword.choices import Mode as Mode
from watchword.choices import RefreshFormat as RefreshFormat
from watchword.choices import SameSite as SameSite
from watchword.choices import Signup as Signup
from watchword.choices import Synchronous as Synchronous
from watchword.choices import TwoFactor as TwoFactor
from watchword.errors import SettingsError
from watchword.rates import Limits, limits
from watchword.texts import (
    camel,
    choice,
    choices,
    cookie_name,
    count,
    did_you_mean,
    domain,
    duration,
    file_path,
    fits,
    items,
    key,
    mailbox,
    optional,
    origin,
    path,
    redis_url,
    sha256,
    smtp_url,
    socket_address,
    strong,
    switch,
    token_digest,
)

ENV_PREFIX = "WATCHWORD_"
_PLACEHOLDER = re.compile(
    r"change.?(me|this)|place.?holder|your.?(own.?)?secret|replace.?(me|this)|insecure", re.I
)
_LONGEST = timedelta(days=3650)
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _secret(read: Callable[[str], Any], **options: Any) -> Any:
    return field(repr=False, metadata={"read": read, "secret": True}, **options)


def _setting(read: Callable[[str], Any], **options: Any) -> Any:
    return field(metadata={"read": read, "secret": False}, **options)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked when made. See docs/reference/settings.md for what each means.

    `Settings.from_env()` reads `WATCHWORD_*`; `Settings.parse({...})` takes the same texts from a mapping; the
    constructor takes typed values. All raise SettingsError.
    """

    secret: tuple[str, ...] = _secret(items, default=())
    url: str = _setting(str.strip, default="http://127.0.0.1:8000")
    database_url: str = _secret(str.strip, default="sqlite:///watchword.db")
    redis_url: str = _secret(redis_url, default="")
    mode: tuple[Mode, ...] = _setting(choices(Mode), default=(Mode.COOKIES,))
    algorithm: Algorithm = _setting(choice(Algorithm), default=Algorithm.HS256)
    rsa_key: str = _secret(str, default="")
    access_ttl: timedelta = _setting(duration, default=timedelta(minutes=15))
    refresh_ttl: timedelta = _setting(duration, default=timedelta(days=7))
    session_max: timedelta = _setting(duration, default=timedelta(days=30))
    max_sessions: int = _setting(count, default=50)
    rotation_window: timedelta = _setting(duration, default=timedelta(seconds=20))
    two_factor: TwoFactor = _setting(choice(TwoFactor), default=TwoFactor.OFF)
    code_ttl: timedelta = _setting(duration, default=timedelta(minutes=10))
    signup: Signup = _setting(choice(Signup), default=Signup.OPEN)
    trusted_origins: tuple[str, ...] = _setting(items, default=())
    trusted_proxies: tuple[str, ...] = _setting(items, default=())
    cors: Cors = _setting(choice(Cors), default=Cors.OWN)
    csrf: Csrf = _setting(choice(Csrf), default=Csrf.ORIGIN)
    refresh_format: RefreshFormat = _setting(choice(RefreshFormat), default=RefreshFormat.OPAQUE)
    cookie_domain: str = _setting(domain, default="")
    cookie_samesite: SameSite | None = _setting(optional(choice(SameSite), None), default=None)
    cookie_prefix: CookiePrefix = _setting(choice(CookiePrefix), default=CookiePrefix.AUTO)
    access_cookie: str = _setting(optional(cookie_name, ""), default="")
    refresh_cookie: str = _setting(cookie_name, default="refresh_token")
    session_cookie: str = _setting(cookie_name, default="session_id")
    refresh_cookie_path: str = _setting(path, default="")
    field_case: FieldCase = _setting(choice(FieldCase), default=FieldCase.SNAKE)
    access_field: str = _setting(key, default="access_token")
    access_claims: tuple[str, ...] = _setting(items, default=())
    smtp_url: str = _secret(smtp_url, default="")
    mail_from: str = _setting(mailbox, default="")
    limits: Limits = _setting(limits, default=Limits())
    prefix: str = _setting(path, default="/auth")
    synchronous: Synchronous = _setting(choice(Synchronous), default=Synchronous.FULL)
    hash_threads: int = _setting(count, default=0)
    events_file: str = _setting(file_path, default="")
    feed_token: str = _secret(token_digest, default="")
    admin_bind: str = _setting(socket_address, default="")
    pages: bool = _setting(switch, default=True)

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
                raise SettingsError(f"{shown(name)} is not a setting{did_you_mean(target, known, shown)}")
            if not isinstance(text, str):
                raise SettingsError(f"{shown(name)}: expected a text; typed values are for Settings(...)")
            if target in values:
                raise SettingsError(f"{shown(target)} is given twice, as a value and as a file")
            values[target] = _read(setting, _file(text, shown(name)) if target != name else text, shown(name))
        return cls(**values)

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for setting in fields(self):
            name, value = setting.name, getattr(self, setting.name)
            if not fits(value, kinds[name]):
                raise SettingsError(f"{name}: expected {setting.type}; texts are for Settings.parse")
            if kinds[name] is str:
                object.__setattr__(self, name, _checked(name, setting.metadata["read"], value))
        try:
            strong(self.secret)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        object.__setattr__(self, "url", _checked("url", origin, self.url))
        origins = tuple(_checked("trusted_origins", origin, text) for text in self.trusted_origins)
        object.__setattr__(self, "trusted_origins", origins)
        if not self.mode or len(set(self.mode)) != len(self.mode):
            raise SettingsError("mode: name at least one, each once")
        for network in self.trusted_proxies:
            try:
                ip_network(network)
            except ValueError:
                raise SettingsError(
                    f"trusted_proxies: {network} is no address or network such as 10.0.0.0/8"
                ) from None
        _check_lifetimes(self)
        _check_cookies(self)
        _check_shapes(self)
        if self.algorithm is Algorithm.RS256 and not self.rsa_key:
            raise SettingsError(
                "algorithm RS256 needs rsa_key: a PEM private key, best by WATCHWORD_RSA_KEY_FILE"
            )
        if self.rsa_key and self.algorithm is not Algorithm.RS256:
            raise SettingsError(
                f"rsa_key is only for algorithm RS256, not {self.algorithm.value}: remove one of them"
            )
        if not 1 <= self.max_sessions <= 10_000:
            raise SettingsError("max_sessions: 1 to 10000; a user who signs in on one more loses the oldest")
        if self.feed_token and self.feed_token in map(sha256, self.secret):
            raise SettingsError("feed_token: this is the root secret, which no other service may know")
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
    def sender(self) -> str:
        """Whom our mail comes from: `mail_from`, else nobody at the host of `url`."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        if ":" in host or host.replace(".", "").isdigit():
            host = "localhost" if host in LOOPBACK else f"[{'IPv6:' * (':' in host)}{host}]"
        return self.mail_from or f"no-reply@{host}"

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
    if settings.two_factor is TwoFactor.REQUIRED and not settings.smtp_url:
        raise SettingsError(
            "WATCHWORD_TWO_FACTOR is required, and without WATCHWORD_SMTP_URL no code arrives: nobody could sign in"
        )


def _check_lifetimes(settings: Settings) -> None:
    if not timedelta(0) < settings.access_ttl <= timedelta(days=1):
        raise SettingsError(
            "access_ttl: more than 0 and at most 1d; a short one is the point of having a refresh"
        )
    if settings.access_ttl % timedelta(seconds=1):
        raise SettingsError("access_ttl: whole seconds, as a JWT knows no smaller ones")
    if not settings.access_ttl <= settings.refresh_ttl <= settings.session_max:
        raise SettingsError("access_ttl, refresh_ttl and session_max: none may be longer than the next")
    if settings.session_max > _LONGEST:
        raise SettingsError("session_max: at most 3650d")
    if not timedelta(minutes=1) <= settings.code_ttl <= timedelta(minutes=10):
        raise SettingsError("code_ttl: 1m to 10m; who guesses has that long, and mail takes a moment")
    if settings.code_ttl % timedelta(seconds=1):
        raise SettingsError("code_ttl: whole seconds, as clients are told how many are left")
    if not timedelta(0) <= settings.rotation_window <= timedelta(minutes=10):
        raise SettingsError("rotation_window: at most 10m; 20s is enough for any client that is not stuck")
    if settings.rotation_window * 4 > settings.refresh_ttl:
        raise SettingsError("rotation_window: at most a quarter of refresh_ttl")


def _check_cookies(settings: Settings) -> None:
    """What browsers would drop, mix up or never send, told before one of them does (RFC 6265bis §5.7)."""
    modes, host = settings.mode, urlsplit(settings.url).hostname or ""
    if settings.cookie_samesite is SameSite.NONE and not settings.https:
        raise SettingsError(
            "cookie_samesite None: browsers drop such a cookie without Secure; give url https, or take Lax"
        )
    parent = settings.cookie_domain
    if parent and not f".{host}".endswith(f".{parent}"):
        raise SettingsError(
            f"cookie_domain {parent}: browsers would drop our cookies, as {host} of url is not in it; "
            "name a domain that it is in, or leave it out"
        )
    if settings.access_cookie and Mode.COOKIES in modes and Mode.JWT_COOKIE in modes:
        raise SettingsError(
            "access_cookie: it would name the cookies of two modes, cookies and jwt_cookie; leave it out"
        )
    _check_names(settings)
    narrow = settings.refresh_cookie_path
    if narrow and not any(mode.refresh_in_cookie for mode in modes):
        raise SettingsError("refresh_cookie_path: no mode of yours has a refresh cookie; leave it out")
    if narrow and not f"{settings.prefix}/refresh/".startswith(f"{narrow}/"):
        raise SettingsError(
            f"refresh_cookie_path {narrow}: browsers would not send the cookie to {settings.prefix}/refresh; "
            "name that path or one above it"
        )
    if settings.csrf is Csrf.TOKEN and not any(mode.in_cookies for mode in modes):
        raise SettingsError("csrf token: mode bearer has no cookies to protect; leave it out")


def _check_names(settings: Settings) -> None:
    """No two cookies of one name, in whatever case: people who read a list of cookies would take one for the other."""
    owners = dict.fromkeys(OTHER_COOKIES, "one of our cookies that no setting names")
    if not settings.access_cookie:
        owners |= {
            "access_token": "the cookie of mode cookies",
            "auth_token": "the cookie of mode jwt_cookie",
        }
    for setting in ("access_cookie", "refresh_cookie", "session_cookie"):
        name = getattr(settings, setting)
        if name and (owner := owners.setdefault(name.lower(), setting)) != setting:
            raise SettingsError(f"{setting} {name}: {owner} has that name; choose another")


def _check_shapes(settings: Settings) -> None:
    modes = settings.mode
    if settings.refresh_format is RefreshFormat.JWT and not any(mode.rotates for mode in modes):
        raise SettingsError(
            f"refresh_format jwt: mode {modes[0].value} has no refresh tokens; leave it out, "
            "or take cookies, hybrid or bearer"
        )
    if camel(settings.access_field) in map(camel, ANSWER_FIELDS):
        raise SettingsError(
            f"access_field {settings.access_field}: the answer has another field of that name; choose another"
        )
    if settings.access_field != "access_token" and not any(mode.access_in_body for mode in modes):
        raise SettingsError("access_field: no mode of yours has an access token in the body; leave it out")
    for claim in settings.access_claims:
        if claim not in CLAIM_FIELDS:
            raise SettingsError(f"access_claims: {claim!r} is none of {', '.join(CLAIM_FIELDS)}")
    if settings.cors is Cors.APP and not settings.trusted_origins:
        raise SettingsError("cors app: no origin is trusted; name them in trusted_origins")
    if not settings.prefix and settings.pages:
        raise SettingsError("prefix none: the pages would take / of your app; set pages to off, or a prefix")


def _checked(name: str, read: Callable[[str], str], text: str) -> str:
    try:
        return read(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None


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
