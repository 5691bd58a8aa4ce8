"""The refresh token: its two forms, and how they are derived again on demand. Pure.

Opaque: a derived token (`core.derived_token`) with the prefix `wwr_`.
JWT (`rt+jwt`, HS256 under a key of its own): sub, sid, gen and jti = the tag of the opaque one. It too is made of the
row alone, so that a generation has one token. Both are read whatever the setting says: changing it signs nobody out.
Sources: RFC 9700 §4.14.2; ASVS 5.0 7.2.3, 9.2.1–9.2.3, 11.2.4; docs/decisions/0010-refresh-jwt.md.
"""

from __future__ import annotations

from uuid import UUID

from watchword.core.base64url import decode, encode
from watchword.core.derived_token import MAX_GENERATION, DerivedTokens, Presented
from watchword.core.jws import Jws, is_text, signing_keys
from watchword.core.keys import KeyRing, Purpose
from watchword.core.rotation import NEVER
from watchword.core.session import Session
from watchword.errors import InvalidToken
from watchword.settings import Algorithm, RefreshFormat

PREFIX = "wwr_"


class RefreshTokens:
    """Mints refresh tokens of one format and recognises those of both, under a key ring.

    `issuer` is `iss` and `aud` of a JWT.
    """

    def __init__(
        self, ring: KeyRing, *, issuer: str, refresh_format: RefreshFormat = RefreshFormat.OPAQUE
    ) -> None:
        label = b"watchword/refresh/1"
        self._opaque = DerivedTokens(ring, Purpose.REFRESH, prefix=PREFIX.encode(), label=label)
        self._issuer = issuer
        self._mints_jwt = refresh_format is RefreshFormat.JWT
        keys = signing_keys(ring, Purpose.REFRESH_JWT, Algorithm.HS256)
        self._jws = Jws(keys)
        self._key_ids = {key.header: root.key_id for key, root in zip(keys, ring, strict=True)}

    def mint(self, session: Session) -> str:
        """The token of a session's newest generation: always the same while the first secret is."""
        if self._mints_jwt:
            return self._jwt(session)
        return self._opaque.mint(session.sid, session.lineage.newest, session.seed)

    def read(self, token: str) -> Presented | None:
        """Take a token apart; None for anything that cannot be one of ours, under another key too. Never raises."""
        if not token.isascii():
            return None
        raw = token.encode()
        return self._opaque.read(raw) if token.startswith(PREFIX) else self._read_jwt(raw)

    def genuine(self, presented: Presented, session: Session) -> bool:
        """Whether we minted it for this row. Constant in time for a known key id."""
        same_tag = self._opaque.genuine(presented, session.seed)
        return same_tag and presented.user_id in (None, session.user_id)

    def _jwt(self, session: Session) -> str:
        """The JWT form. Of the row alone and never of a clock: a Repeat mints it again, and must give the same bytes.

        Its instants stand still between two mints: whoever moves `idle_until` without a new generation breaks that.
        """
        minted_at = session.lineage.minted_at
        generation = session.lineage.newest
        issued_at = session.created_at if minted_at == NEVER else minted_at
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": session.user_id,
            "sid": session.sid,
            "gen": generation,
            "jti": encode(self._opaque.tag(session.sid, generation, session.seed)).decode(),
            "iat": issued_at // 1_000_000,
            "exp": session.idle_until // 1_000_000,
        }
        return self._jws.sign(claims).decode()

    def _read_jwt(self, raw: bytes) -> Presented | None:
        """The signature proves that we made it, and not yet that it is of its row: that is the tag's to prove.

        `exp` is for whoever inspects a token. What decides is the row's `idle_until`, which a later mint has moved:
        a token whose answer was lost still renews, and one that was stolen long ago is still reuse, not just too old.
        """
        try:
            get = self._jws.open(raw).get
        except InvalidToken:
            return None
        generation, user_id, sid, jti = get("gen"), get("sub"), get("sid"), get("jti")
        if not (
            get("iss") == self._issuer
            and get("aud") == self._issuer
            and type(generation) is int
            and 0 <= generation <= MAX_GENERATION
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
