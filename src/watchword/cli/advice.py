"""What is legal and unwise: settings in, findings out, each with the way to mend it. Pure, and only the doctor asks.

What cannot work is refused by Settings; what a machine must be asked about (clock, files, database) is in `doctor`.
Sources: RFC 6265bis §4.1.3, §5.7; ASVS 5.0 3.3.1–3.3.3, 3.5.1, 4.1.3, 6.3.1, 7.3.1, 7.3.2, 12.3.1, 12.3.2..
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchword.settings import LOOPBACK, Algorithm, CookiePrefix, Csrf, Mode, SameSite, Settings, Synchronous
from watchword.texts import host_and_port

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

MIN_BITS = 85
"""A generated secret of the least length, 32 hexadecimal digits, shows more than this."""
MIN_ROTATION_WINDOW = timedelta(seconds=5)
MAX_ACCESS_TTL = timedelta(minutes=15)
MAX_REFRESH_TTL = timedelta(days=30)
MAX_SESSION = timedelta(days=90)
MAX_SQLITE_WORKERS = 4
MIN_PREFIX = {4: 12, 6: 24}
"""Of a network of proxies with public addresses, by version of IP; those that CDNs publish are narrower."""
GUESSING = ("login", "login_account", "login_device", "login_all", "codes")
"""The limits that stand in the way of guessing; that of refreshes only spares the machine."""
PERSONAL_CLAIMS = frozenset({"email", "username"})


class Check(StrEnum):
    """What the doctor looks at. The names are a contract, listed in the checklist and the reference."""

    SETTINGS = "settings"
    PRODUCTION = "production"
    SECRET = "secret"  # noqa: S105 - the name of a check
    DATABASE = "database"
    SCHEMA = "schema"
    DATABASE_TLS = "database-tls"
    PUBLIC_SUFFIX = "public-suffix"
    COOKIE_DOMAIN = "cookie-domain"
    COOKIE_PREFIX = "cookie-prefix"
    COOKIE_SAMESITE = "cookie-samesite"
    HTTP_ORIGIN = "http-origin"
    CROSS_SITE = "cross-site"
    PROXY = "proxy"
    PROXY_RANGE = "proxy-range"
    ROTATION_WINDOW = "rotation-window"
    ACCESS_TTL = "access-ttl"
    REFRESH_TTL = "refresh-ttl"
    SESSION_MAX = "session-max"
    ACCESS_CLAIMS = "access-claims"
    LIMITS = "limits"
    REDIS = "redis"
    FEED_TOKEN = "feed-token"  # noqa: S105 - the name of a check
    MAIL = "mail"
    EVENTS = "events"
    ADMIN = "admin"
    CLOCK = "clock"
    FILE = "file"
    DISK = "disk"
    SYNCHRONOUS = "synchronous"
    WORKERS = "workers"


@dataclass(frozen=True)
class Finding:
    """`message` says what is wrong and what to do."""

    check: Check
    message: str


def advise(settings: Settings, *, workers: int = 1) -> Iterator[Finding]:
    """All that the settings alone show, and how many processes share them."""
    yield from _secrets(settings)
    if any(mode.in_cookies for mode in settings.mode):
        yield from _cookies(settings)
    yield from _origins(settings)
    yield from _proxies(settings)
    yield from _lifetimes(settings)
    if personal := sorted(PERSONAL_CLAIMS.intersection(settings.access_claims)):
        yield Finding(
            Check.ACCESS_CLAIMS,
            f"access_claims puts {' and '.join(personal)} into every access token, where whoever holds or logs one "
            f"reads it: leave it out and ask {settings.prefix}/me",
        )
    if off := sorted(name for name in GUESSING if settings.limits.get(name) is None):
        yield Finding(
            Check.LIMITS,
            f"limits has turned {', '.join(off)} off: whoever guesses passwords or codes may do so as fast as you "
            "answer; name a rate that your users do not reach, such as login=60/m",
        )
    if settings.feed_token and settings.algorithm is Algorithm.HS256:
        yield Finding(
            Check.FEED_TOKEN,
            "feed_token lets other services ask what was revoked, but under HS256 no other service can verify a token: "
            "take algorithm ES256, or leave feed_token out",
        )
    yield from mail(settings)
    if not settings.events_file:
        yield Finding(
            Check.EVENTS,
            "events_file is not set: whoever gets at the database can take back what it says of them; name a file that "
            "is shipped to another machine",
        )
    yield from admin(settings)
    if settings.database_url.lower().startswith("sqlite"):
        yield from _sqlite(settings, workers)


def admin(settings: Settings) -> Iterator[Finding]:
    """Whom the admin listener may be reached by."""
    if settings.admin_bind and not is_local(host := host_and_port(settings.admin_bind)[0]):
        yield Finding(
            Check.ADMIN,
            f"admin_bind {host} can be reached from other machines, and asks nobody who they are: bind 127.0.0.1, or "
            "let a firewall admit the one that scrapes it",
        )


def mail(settings: Settings) -> Iterator[Finding]:
    """What stands in the way of mail."""
    if not settings.smtp_url:
        yield Finding(
            Check.MAIL,
            "smtp_url is not set: mail waits in the database and expires there; name your server, and try it with "
            "`watchword mail test ADDRESS`",
        )


def bits(secret: str) -> float:
    """How surprising its characters are, were they drawn one by one: an upper limit of what it is worth."""
    size = len(secret)
    return sum(-count * math.log2(count / size) for count in Counter(secret).values())


def database_tls(target: Mapping[str, object]) -> Iterator[Finding]:
    """`target` is what libpq connects with, by its own names: the URL's parts over those of the environment."""
    hosts = str(target.get("hostaddr") or target.get("host") or "").split(",")
    far = [host for host in hosts if host and not host.startswith(("/", "@")) and not is_local(host)]
    mode = str(target.get("sslmode") or "prefer")
    if far and mode != "verify-full":
        yield Finding(
            Check.DATABASE_TLS,
            f"the way to the database on {', '.join(far)} has sslmode {mode}, which takes anybody who answers for it: "
            "add ?sslmode=verify-full&sslrootcert=system to its URL, or the file of your own authority",
        )


def is_local(host: str) -> bool:
    """Whether a host, by name or address, is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def _secrets(settings: Settings) -> Iterator[Finding]:
    for place, secret in enumerate(settings.secret, 1):
        if secret in (secret * 2)[1:-1] or bits(secret) < MIN_BITS:
            yield Finding(
                Check.SECRET,
                f"secret number {place} looks made up by hand or repeats: `watchword secret` makes one",
            )


def _cookies(settings: Settings) -> Iterator[Finding]:
    parent = settings.cookie_domain
    if parent and _suffixes().is_public(parent):
        yield Finding(
            Check.PUBLIC_SUFFIX,
            f"cookie_domain {parent} is a public suffix, shared with strangers: browsers drop such cookies, so nobody "
            "can sign in; leave it out",
        )
    elif parent:
        yield Finding(
            Check.COOKIE_DOMAIN,
            f"cookie_domain sends the cookies to every host below {parent} and lets each of them plant some: leave it "
            "out unless all are yours and share a sign-in",
        )
    if settings.https and settings.cookie_prefix is CookiePrefix.NONE:
        yield Finding(
            Check.COOKIE_PREFIX,
            "cookie_prefix none: without __Host-, other subdomains and answers by http can plant our cookies; "
            "set it to auto",
        )
    if settings.cookie_samesite is SameSite.NONE and settings.csrf is Csrf.ORIGIN:
        mend = (
            "set csrf to token"
            if settings.trusted_origins
            else "leave it out, as trusted_origins names nobody who needs it, or set csrf to token"
        )
        yield Finding(
            Check.COOKIE_SAMESITE,
            "cookie_samesite None: browsers send the cookies along with requests of any site, and the Origin header "
            f"alone tells those apart; {mend}",
        )


def _origins(settings: Settings) -> Iterator[Finding]:
    """A client in mode bearer needs no cookie, so where that mode is on, another site may be meant for it."""
    cookies_alone = Mode.BEARER not in settings.mode and settings.cookie_samesite is not SameSite.NONE
    for origin in settings.trusted_origins:
        host = urlsplit(origin).hostname or ""
        if origin.startswith("http:") and (settings.https or not is_local(host)):
            yield Finding(
                Check.HTTP_ORIGIN,
                f"trusted_origins has {origin}: whoever is on the way can put a script into its pages and act as any "
                "visitor; name it by https or remove it",
            )
        elif cookies_alone and _site(origin) != _site(settings.url):
            yield Finding(
                Check.CROSS_SITE,
                f"trusted_origins has {origin}, another site than {settings.url}: browsers send no cookies from there; "
                "set cookie_samesite to none and csrf to token, add bearer to mode, or remove it",
            )


def _proxies(settings: Settings) -> Iterator[Finding]:
    for network in map(ip_network, settings.trusted_proxies):
        if network.prefixlen < MIN_PREFIX[network.version] and not network.is_private:
            yield Finding(
                Check.PROXY_RANGE,
                f"trusted_proxies has {network}: strangers are in it, whose X-Forwarded-For would count, so that they "
                "choose the address they are known by; name your proxies alone",
            )


def _lifetimes(settings: Settings) -> Iterator[Finding]:
    window, access = settings.rotation_window, settings.access_ttl
    if any(mode.rotates for mode in settings.mode) and window < MIN_ROTATION_WINDOW:
        yield Finding(
            Check.ROTATION_WINDOW,
            f"rotation_window {_span(window)}: "
            + ("a slow or lost answer" if window else "two tabs, or an answer that is lost,")
            + " looks like theft and signs its user out; 20s forgives it",
        )
    if any(mode is not Mode.SESSION for mode in settings.mode) and access > MAX_ACCESS_TTL:
        yield Finding(
            Check.ACCESS_TTL,
            f"access_ttl {_span(access)}: a stolen access token works for that long without a refresh that would "
            "betray it, and services that verify by the published keys hear of no sign-out until then; at most 15m",
        )
    if settings.refresh_ttl > MAX_REFRESH_TTL:
        yield Finding(
            Check.REFRESH_TTL,
            f"refresh_ttl {_span(settings.refresh_ttl)}: a lost device signs in for that long after its last use; "
            "at most 30d",
        )
    if settings.session_max > MAX_SESSION:
        yield Finding(
            Check.SESSION_MAX,
            f"session_max {_span(settings.session_max)}: a session in use is not asked for a password for that long; "
            "at most 90d",
        )


def _sqlite(settings: Settings, workers: int) -> Iterator[Finding]:
    if workers > MAX_SQLITE_WORKERS:
        yield Finding(
            Check.WORKERS,
            f"{workers} workers share a SQLite file, to which one at a time can write: use postgresql://, or at most "
            f"{MAX_SQLITE_WORKERS} workers",
        )
    if settings.synchronous is Synchronous.NORMAL:
        yield Finding(
            Check.SYNCHRONOUS,
            "synchronous normal: after a power cut the last sign-outs and changes of password may not have happened; "
            "set it to full",
        )


def _site(origin: str) -> tuple[str, str]:
    """What browsers mean by a site: the scheme and the domain that somebody registered (HTML, "same site")."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return parts.scheme, _suffixes().privatesuffix(host) or host
    return parts.scheme, host


@cache
def _suffixes() -> PublicSuffixList:
    # Read once, and only for who has a domain to look up: the file has a third of a megabyte.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _span(span: timedelta) -> str:
    """As a setting is written: 20s, 15m, 12h, 7d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if span and not span % timedelta(seconds=size):
            return f"{span // timedelta(seconds=size)}{unit}"
    return f"{span.total_seconds():g}s"
