"""Access tokens: their claims, and the cache that makes the second check a look-up.

How a token is signed and opened is `jws`: here a payload is genuine already, and a valid signature does not excuse a
wrong claim. Pure but for the nonce that ECDSA draws inside the cryptography library; `now` is µs since 1970.
Sources: RFC 9068, RFC 8725; ASVS 5.0 9.2.1–9.2.4; SECURITY-TARGET attacks 1–24.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from watchword.core.jws import Jws, is_text, signing_keys
from watchword.core.keys import KeyRing, Purpose
from watchword.core.revocation import Revocations
from watchword.core.session import Principal
from watchword.errors import InvalidToken, SessionEnded, TokenExpired
from watchword.settings import Algorithm

LEEWAY = 5
"""Seconds by which clocks of issuer and verifier may differ."""
CACHE_SIZE = 4096
LONGEST = 86_400
"""Seconds: the longest life that settings allow, so that no token of ours was ever given more."""
CLIENT_ID = "watchword"
RESERVED = frozenset(
    {
        "iss",
        "aud",
        "client_id",
        "sub",
        "sid",
        "iat",
        "exp",
        "nbf",
        "jti",
        "roles",
        "amr",
        "auth_time",
        "cnf",
        "scope",
        "gen",
    }
)
"""Claims that are ours or the standards'; an app's own may not be called so."""


class AccessTokens:
    """Issues and checks access tokens under a key ring.

    `issuer` is both `iss` and `aud`; `lifetime` is in seconds and no token that claims more is accepted.
    `rsa_pem` holds the private keys for RS256, the first signing.
    """

    def __init__(
        self, ring: KeyRing, *, algorithm: Algorithm, issuer: str, lifetime: int, rsa_pem: bytes | None = None
    ) -> None:
        self._jws = Jws(signing_keys(ring, Purpose.ACCESS, algorithm, rsa_pem))
        self._issuer = issuer
        self._lifetime = lifetime

    def issue(
        self,
        *,
        user_id: str,
        sid: str,
        jti: str,
        roles: Sequence[str],
        amr: Sequence[str],
        auth_time: int,
        issued_at: int,
        ends_at: int,
        claims: Mapping[str, Any] | None = None,
        generation: int | None = None,
    ) -> str:
        """A signed token (RFC 9068) that does not outlive `ends_at`, the end of its session. Times are whole seconds.

        `generation` is for a token that renews itself, and tells which of the session's proofs it comes after.
        Raises ValueError for a claim that is reserved.
        """
        payload = {
            "iss": self._issuer,
            "aud": self._issuer,
            "client_id": CLIENT_ID,
            "sub": user_id,
            "sid": sid,
            "iat": issued_at,
            "exp": self.expiry(issued_at, ends_at),
            "jti": jti,
            "roles": list(roles),
            "amr": list(amr),
            "auth_time": auth_time,
        }
        if generation is not None:
            payload["gen"] = generation
        if claims:
            if taken := RESERVED.intersection(claims):
                raise ValueError(f"claims may not be called {', '.join(sorted(taken))}")
            payload.update(claims)
        return self._jws.sign(payload).decode("ascii")

    def expiry(self, issued_at: int, ends_at: int) -> int:
        """When a token issued now expires: with its session at the latest, and never before it begins."""
        return max(issued_at + 1, min(issued_at + self._lifetime, ends_at))

    def verify(self, token: bytes, now: int) -> Principal:
        """Who a token speaks for, whether or not it has expired. Raises InvalidToken, for every fault alike."""
        return self._principal(self._jws.open(token), now, self._lifetime)

    def known(self, token: bytes, now: int) -> Principal:
        """The same where nobody is authenticated by it: for renewing and ending its session.

        Its life does not matter there, so one from before `lifetime` was made shorter is as good as one that expired.
        """
        return self._principal(self._jws.open(token), now, LONGEST)

    def jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """The public keys (RFC 7517 §5), the signing one first; none for HS256."""
        return {"keys": self._jws.published()}

    def _principal(self, payload: Mapping[str, Any], now: int, longest: int) -> Principal:
        """The claims, each of its right type."""
        get = payload.get
        issued_at, expires_at, auth_time = get("iat"), get("exp"), get("auth_time")
        not_before = get("nbf", issued_at)
        ahead = now // 1_000_000 + LEEWAY + 1
        user_id, sid, roles, amr = get("sub"), get("sid"), get("roles"), get("amr")
        generation = get("gen")
        if not (
            type(issued_at) is int
            and type(expires_at) is int
            and type(auth_time) is int
            and 0 < expires_at - issued_at <= longest
            and 0 <= auth_time
            and 0 <= issued_at <= ahead
            and type(not_before) is int
            and 0 <= not_before <= ahead
            and get("iss") == self._issuer
            and get("aud") == self._issuer
            and get("client_id") == CLIENT_ID
            and is_text(user_id)
            and is_text(sid)
            and is_text(get("jti"))
            and _is_texts(roles)
            and _is_texts(amr)
            and (generation is None or (type(generation) is int and generation > 0))
        ):
            raise InvalidToken
        own: dict[str, Any] = {}
        if not payload.keys() <= RESERVED:
            own = {name: value for name, value in payload.items() if name not in RESERVED}
        return Principal(
            user_id, sid, tuple(roles), tuple(amr), auth_time, issued_at, expires_at, own, generation
        )


class Verifier:
    """What a guard asks: a raw token in, a principal or an error out, with no I/O.

    Verified tokens are kept by their raw bytes (only genuine ones enter, so nobody can flood it), first in first out;
    expiry and revocation are checked every time. Any number of threads may ask at once.
    """

    def __init__(self, tokens: AccessTokens, revocations: Revocations) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._seen: dict[bytes, Principal] = {}

    def verify(self, token: bytes, now: int) -> Principal:
        """Raises InvalidToken, TokenExpired or SessionEnded. `now` in µs."""
        principal = self._seen.get(token)
        if principal is None:
            principal = self._tokens.verify(token, now)
            if len(self._seen) >= CACHE_SIZE:
                self._make_room()
            self._seen[token] = principal
        if now >= (principal.expires_at + LEEWAY) * 1_000_000:
            self._seen.pop(token, None)
            raise TokenExpired
        revocations = self._revocations
        if principal.sid in revocations.sids:
            raise SessionEnded
        if principal.issued_at < revocations.seconds.get(principal.id, 0):  # read once: it may be replaced
            raise TokenExpired
        return principal

    def forget(self, sids: frozenset[str]) -> None:
        """Drop what was kept of ended sessions."""
        if sids:
            kept = self._seen.copy()  # in one step, whatever other threads put in
            self._seen = {token: seen for token, seen in kept.items() if seen.sid not in sids}

    def _make_room(self) -> None:
        seen = self._seen
        try:
            seen.pop(next(iter(seen)), None)
        except (RuntimeError, StopIteration):
            pass  # another thread has just made room


def _is_texts(value: Any) -> TypeGuard[list[str]]:
    if type(value) is not list:
        return False
    for item in value:  # noqa: SIM110 - a generator costs more than what it looks at
        if not is_text(item):
            return False
    return True
