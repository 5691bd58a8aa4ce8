"""The refresh token: its two forms, and how they are derived again on demand. Pure.

Opaque: `wwr_` + base64url(version 1 ‖ key id 3 ‖ sid 16 ‖ generation 8 ‖ tag 32), 84 characters, where
tag = HMAC-SHA256(refresh key, label ‖ sid ‖ generation ‖ seed) and the seed is the session row's. Nothing of a
token is stored: the database alone forges none, nor does the key alone, and every old token is recognised for ever.
60 bytes are 80 base64 characters exactly, so that a token has one spelling only.
JWT (`rt+jwt`, HS256 under a key of its own): sub, sid, gen and jti = the same tag. It too is made of the row alone, so
that a generation has one token. Both are read whatever the setting says: changing it signs nobody out.
Sources: RFC 9700 §4.14.2; ASVS 5.0 7.2.3, 9.2.1–9.2.3, 11.2.4; docs/decisions/0010-refresh-jwt.md.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from uuid import UUID

from watchword.core.jws import Jws, decode, encode, is_text, signing_keys
from watchword.core.keys import KeyRing, Purpose, RootSecret
from watchword.core.rotation import NEVER
from watchword.core.session import Session
from watchword.errors import InvalidToken
from watchword.settings import Algorithm, RefreshFormat

PREFIX = "wwr_"
LENGTH = 84
_VERSION = b"\x01"
_LABEL = b"watchword/refresh/1"
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_MAX_GENERATION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Presented:
    """What a refresh token claims, before its tag was checked: look its session up, then ask `genuine`."""

    sid: str
    generation: int
    key_id: bytes
    tag: bytes = field(repr=False)
    user_id: str | None = None
    """Whom a JWT names; an opaque token names nobody."""


class RefreshTokens:
    """Mints refresh tokens of one format and recognises those of both, under a key ring.

    `issuer` is `iss` and `aud` of a JWT.
    """

    def __init__(
        self, ring: KeyRing, *, issuer: str, refresh_format: RefreshFormat = RefreshFormat.OPAQUE
    ) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: _mac_key(root) for root in ring}
        self._issuer = issuer
        self._mints_jwt = refresh_format is RefreshFormat.JWT
        keys = signing_keys(ring, Purpose.REFRESH_JWT, Algorithm.HS256)
        self._jws = Jws(keys)
        self._key_ids = {key.header: root.key_id for key, root in zip(keys, ring, strict=True)}

    def mint(self, session: Session) -> str:
        """The token of a session's newest generation: always the same while the first secret is."""
        generation = session.lineage.newest
        body = UUID(session.sid).bytes + generation.to_bytes(8, "big")
        tag = _tag(self._keys[self._signing_id], body, session.seed)
        if self._mints_jwt:
            return self._jwt(session, tag)
        return PREFIX + urlsafe_b64encode(_VERSION + self._signing_id + body + tag).decode()

    def read(self, token: str) -> Presented | None:
        """Take a token apart; None for anything that cannot be one of ours, under another key too. Never raises."""
        if not token.startswith(PREFIX):
            return self._read_jwt(token)
        if len(token) != LENGTH or not token.isascii():
            return None
        text = token[len(PREFIX) :].encode()
        if not _ALPHABET.issuperset(text):
            return None
        raw = urlsafe_b64decode(text)
        generation = int.from_bytes(raw[20:28], "big")
        key_id = raw[1:4]
        if raw[:1] != _VERSION or generation > _MAX_GENERATION or key_id not in self._keys:
            return None
        return Presented(sid=str(UUID(bytes=raw[4:20])), generation=generation, key_id=key_id, tag=raw[28:])

    def genuine(self, presented: Presented, session: Session) -> bool:
        """Whether we minted it for this row. Constant in time for a known key id."""
        key = self._keys.get(presented.key_id)
        if key is None:
            return False
        body = UUID(presented.sid).bytes + presented.generation.to_bytes(8, "big")
        same_tag = hmac.compare_digest(_tag(key, body, session.seed), presented.tag)
        return same_tag and presented.user_id in (None, session.user_id)

    def _jwt(self, session: Session, tag: bytes) -> str:
        """The JWT form. Of the row alone and never of a clock: a Repeat mints it again, and must give the same bytes.

        Its instants stand still between two mints: whoever moves `idle_until` without a new generation breaks that.
        """
        minted_at = session.lineage.minted_at
        issued_at = session.created_at if minted_at == NEVER else minted_at
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": session.user_id,
            "sid": session.sid,
            "gen": session.lineage.newest,
            "jti": encode(tag).decode(),
            "iat": issued_at // 1_000_000,
            "exp": session.idle_until // 1_000_000,
        }
        return self._jws.sign(claims).decode()

    def _read_jwt(self, token: str) -> Presented | None:
        """The signature proves that we made it, and not yet that it is of its row: that is the tag's to prove.

        `exp` is for whoever inspects a token. What decides is the row's `idle_until`, which a later mint has moved:
        a token whose answer was lost still renews, and one that was stolen long ago is still reuse, not just too old.
        """
        if not token.isascii():
            return None
        raw = token.encode()
        try:
            get = self._jws.open(raw).get
        except InvalidToken:
            return None
        generation, user_id, sid, jti = get("gen"), get("sub"), get("sid"), get("jti")
        if not (
            get("iss") == self._issuer
            and get("aud") == self._issuer
            and type(generation) is int
            and 0 <= generation <= _MAX_GENERATION
            and type(get("iat")) is int
            and type(get("exp")) is int
            and is_text(user_id)
            and is_text(sid)
            and is_text(jti)
        ):
            return None
        try:
            tag, canonical = decode(jti.encode()), str(UUID(sid))
        except ValueError:
            return None
        if sid != canonical:
            return None
        return Presented(sid, generation, self._key_ids[raw.partition(b".")[0]], tag, user_id)


def _mac_key(root: RootSecret) -> bytes:
    return root.key(Purpose.REFRESH)


def _tag(key: bytes, body: bytes, seed: bytes) -> bytes:
    # Not hmac.digest, which lets go of the interpreter for a microsecond's work and then has to wait for it.
    return hmac.new(key, _LABEL + body + seed, "sha256").digest()
