"""Refresh tokens made outside the module that is tested, and the rows that they are of.

As in `forging`, keys, tag and claims are written out a second time, so that a forgery has everything right but the one
thing that its test is about.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from tests.core.forging import ABSENT, IAT, ISSUER, SECOND, SECRET, b64, compact, hkdf, hs256
from watchword.core.keys import KeyRing
from watchword.core.refresh_token import RefreshTokens
from watchword.core.rotation import Lineage
from watchword.core.session import Session
from watchword.settings import Mode, RefreshFormat

SID = "0190a0b0-1234-7abc-8def-0123456789ab"
OTHER_SID = "0190a0b0-1234-7abc-8def-0123456789ac"
USER_ID = "0190a0b0-0000-7000-8000-00000000000a"
SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
IDLE = 7 * 86_400
"""Seconds."""


@cache
def refresh_tokens(
    *secrets: bytes, refresh_format: RefreshFormat = RefreshFormat.OPAQUE, issuer: str = ISSUER
) -> RefreshTokens:
    """The real thing, as `auth` builds it; it keeps no state, so one serves all tests."""
    return RefreshTokens(KeyRing(secrets or (SECRET,)), issuer=issuer, refresh_format=refresh_format)


def row(sid: str = SID, generation: int = 7, seed: bytes = SEED, *, minted_at: int = IAT * SECOND) -> Session:
    """A session whose newest token is of `generation`."""
    return Session(
        sid=sid,
        user_id=USER_ID,
        mode=Mode.COOKIES,
        seed=seed,
        lineage=Lineage(newest=generation, minted_at=minted_at),
        created_at=(IAT - 60) * SECOND,
        auth_time=(IAT - 60) * SECOND,
        amr=("pwd",),
        idle_until=(IAT + IDLE) * SECOND,
        ends_at=(IAT + 30 * 86_400) * SECOND,
        last_used_at=IAT * SECOND,
        ip="",
        user_agent="",
    )


def tag(sid: str = SID, generation: int = 7, seed: bytes = SEED, *, secret: bytes = SECRET) -> bytes:
    body = UUID(sid).bytes + generation.to_bytes(8, "big")
    return hmac.new(
        hkdf(secret, "refresh", 32), b"watchword/refresh/1" + body + seed, hashlib.sha256
    ).digest()


def jwt_header(secret: bytes = SECRET, **changes: Any) -> dict[str, Any]:
    good = {"alg": "HS256", "kid": hkdf(secret, "refresh jwt kid", 9).hex(), "typ": "rt+jwt"}
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


def jwt_claims(**changes: Any) -> dict[str, Any]:
    """Those of generation 7 of `row()`, changed; `ABSENT` leaves one out."""
    good: dict[str, Any] = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": USER_ID,
        "sid": SID,
        "gen": 7,
        "jti": b64(tag()).decode(),
        "iat": IAT,
        "exp": IAT + IDLE,
    }
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


def jwt(
    claims: Mapping[str, Any] | bytes | None = None,
    *,
    header: Mapping[str, Any] | bytes | None = None,
    key: bytes | None = None,
) -> str:
    """A signed JWT; claims and header may be given as the text that is to be encoded."""
    parts = (jwt_header() if header is None else header, jwt_claims() if claims is None else claims)
    signing_input = b".".join(b64(part if isinstance(part, bytes) else compact(part)) for part in parts)
    return signed(signing_input, key)


def signed(signing_input: bytes, key: bytes | None = None) -> str:
    """header.payload → header.payload.signature, by the right key unless another is given."""
    right = hkdf(SECRET, "refresh jwt", 32) if key is None else key
    return (signing_input + b"." + b64(hs256(right)(signing_input))).decode()


def genuine(token: str, session: Session | None = None, tokens: RefreshTokens | None = None) -> bool:
    """Whether a token is one of `session`, which is `row()` unless given."""
    tokens = tokens or refresh_tokens()
    presented = tokens.read(token)
    return presented is not None and tokens.genuine(presented, session or row())
