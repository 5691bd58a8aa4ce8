"""Tokens that a house would sign but never did: its own key, and whatever claims a test wants."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

from tests.core.forging import ABSENT, b64, compact, hkdf, hs256
from tests.seeds.house import House


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified."""
    header, payload, _ = token.split(".")
    return _read(header), _read(payload)


def signed_again(house: House, token: str, *, head: dict[str, Any] | None = None, **changes: Any) -> str:
    """A genuine token with other claims (`ABSENT` leaves one out) or another header, signed by the right key."""
    header, claims = parts(token)
    kept = {name: value for name, value in (claims | changes).items() if value is not ABSENT}
    message = b64(compact(header | (head or {}))) + b"." + b64(compact(kept))
    key = hkdf(house.env["WATCHWORD_SECRET"].encode(), "access", 32)
    return (message + b"." + b64(hs256(key)(message))).decode()


def aged(house: House, token: str, seconds: int) -> str:
    """The same token as if it had been issued so much earlier."""
    _, claims = parts(token)
    return signed_again(house, token, iat=claims["iat"] - seconds, exp=claims["exp"] - seconds)


def _read(segment: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return value
