"""The words that settings choose among, and those that are taken. The words, and what each means at once."""

from __future__ import annotations

from enum import StrEnum

OTHER_COOKIES = ("csrf_token", "csrf_session", "two_factor_auth", "device")
"""Cookies of ours whose names no setting changes."""
CLAIM_FIELDS = ("email", "email_verified", "username")
"""Fields of a user that `access_claims` may put into access tokens."""
ANSWER_FIELDS = frozenset(
    {
        "token_type",
        "expires_in",
        "refresh_timeout",
        "refresh_token",
        "two_factor_token",
        "user",
        "session",
        "next",
    }
)
"""Keys of the answers that carry an access token."""


class Mode(StrEnum):
    """How the tokens of a session travel; chosen at sign-in and fixed in the session row."""

    COOKIES = "cookies"
    HYBRID = "hybrid"
    BEARER = "bearer"
    JWT_COOKIE = "jwt_cookie"
    SESSION = "session"

    @property
    def in_cookies(self) -> bool:
        """Whether a browser sends any part of it by itself."""
        return self is not Mode.BEARER

    @property
    def rotates(self) -> bool:
        """Whether it has refresh tokens."""
        return self in (Mode.COOKIES, Mode.HYBRID, Mode.BEARER)

    @property
    def refresh_in_cookie(self) -> bool:
        return self in (Mode.COOKIES, Mode.HYBRID)

    @property
    def access_in_body(self) -> bool:
        return self in (Mode.HYBRID, Mode.BEARER)


class Algorithm(StrEnum):
    """HS256 for one service alone; the others when somebody else verifies by the published keys."""

    HS256 = "HS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"
    RS256 = "RS256"


class RefreshFormat(StrEnum):
    """How refresh tokens look; what they hold and how they rotate is the same."""

    OPAQUE = "opaque"
    JWT = "jwt"


class SameSite(StrEnum):
    """Which requests of other sites bring our cookies (RFC 6265bis §4.1.2.7)."""

    STRICT = "Strict"
    LAX = "Lax"
    NONE = "None"


class CookiePrefix(StrEnum):
    """`auto`: `__Host-` or `__Secure-` wherever browsers accept them."""

    AUTO = "auto"
    NONE = "none"


class FieldCase(StrEnum):
    """How the keys of bodies and answers are written."""

    SNAKE = "snake"
    CAMEL = "camel"


class Cors(StrEnum):
    """Whose answers pages of trusted origins may read: our routes' or the whole app's."""

    OWN = "own"
    APP = "app"


class Csrf(StrEnum):
    """`token` asks for a signed double submit besides the origin."""

    ORIGIN = "origin"
    TOKEN = "token"  # noqa: S105 - the word for a setting


class TwoFactor(StrEnum):
    """Whose sign-in takes a second step: nobody's, that of users who have turned it on, everybody's."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Signup(StrEnum):
    """Whether anybody may make an account of their own."""

    OPEN = "open"
    CLOSED = "closed"


class Synchronous(StrEnum):
    """SQLite's durability: `full` survives a power cut, `normal` may lose the last moments."""

    FULL = "full"
    NORMAL = "normal"
