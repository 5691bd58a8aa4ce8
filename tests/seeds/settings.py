"""The settings with which each document's client works unchanged. `docs/seeds.md` shows these very texts.

S0: JWT in a cookie. S1: access token in the body, opaque refresh token in a cookie, Axios. S2: the same with a JWT
refresh token. S3: a code by email, both tokens in cookies. S4: bearer tokens, a JWT cookie or a server-side session,
at the root.
"""

from __future__ import annotations

from types import MappingProxyType

COMMON = {"url": "https://api.example.com", "trusted_origins": "https://app.example.com"}

SEEDS = MappingProxyType(
    {
        "S0": {
            "mode": "jwt_cookie",
            "access_cookie": "auth_token",
            "cookie_prefix": "none",
            "access_claims": "username",
        },
        "S1": {
            "mode": "hybrid",
            "access_ttl": "900",
            "refresh_ttl": "7d",
            "refresh_cookie": "rt",
            "refresh_cookie_path": "/auth/refresh",
            "cookie_samesite": "none",
            "cookie_domain": ".example.com",
            "cookie_prefix": "none",
            "field_case": "camel",
            "access_claims": "email",
            "cors": "app",
        },
        "S2": {
            "mode": "hybrid",
            "access_ttl": "15m",
            "refresh_ttl": "7d",
            "refresh_format": "jwt",
            "refresh_cookie_path": "/auth/refresh",
            "cookie_prefix": "none",
            "cors": "app",
        },
        "S3": {
            "mode": "cookies",
            "access_ttl": "15m",
            "refresh_ttl": "7d",
            "cookie_samesite": "lax",
            "cookie_prefix": "none",
            "two_factor": "required",
            "smtp_url": "smtps://login:password@mail.example.com",
            "mail_from": "login@example.com",
        },
        "S4 bearer": {
            "mode": "bearer",
            "prefix": "none",
            "pages": "off",
            "access_field": "token",
            "cors": "app",
        },
        "S4 cookie": {
            "mode": "jwt_cookie",
            "prefix": "none",
            "pages": "off",
            "access_cookie": "token",
            "cookie_samesite": "strict",
            "cookie_prefix": "none",
            "cors": "app",
        },
        "S4 session": {
            "mode": "session",
            "prefix": "none",
            "pages": "off",
            "session_cookie": "sessionId",
            "cookie_samesite": "strict",
            "cookie_prefix": "none",
            "cors": "app",
        },
    }
)
