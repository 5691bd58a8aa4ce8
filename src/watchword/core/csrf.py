"""Whether an unsafe request may be carried out: judged by what the browser says of where it comes from, and by a
token signed for its session. Pure.

A token is a dated one (`core.tagged_token`) of its binding, with a nonce of 12 bytes. A stand-in says a sid, under a
label of its own.
Sources: Fetch Metadata (W3C); OWASP CSRF cheat sheet; ASVS 5.0 3.5.1, 4.4.2, 11.2.4; SECURITY-TARGET attacks 81–86, 98.
"""

from __future__ import annotations

from uuid import UUID

from watchword.core.keys import KeyRing, Purpose
from watchword.core.tagged_token import DatedTokens, TaggedTokens

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1) and are not judged."""
NONCE = 12
"""Random bytes of a token: two tokens of one binding differ."""
_LABEL, _STAND_IN_LABEL = b"watchword/csrf/1", b"watchword/csrf stand-in/1"


def trusted(
    *,
    sec_fetch_site: str | None,
    origin: str | None,
    trusted_origins: frozenset[str],
    carries_our_cookies: bool,
) -> bool:
    """True when the request comes from a page of ours or of a trusted origin, or from no browser's cookie jar at all.

    `trusted_origins` are serialised origins (`https://app.example.com`), our own among them, compared exactly.
    """
    if sec_fetch_site in ("same-origin", "none"):
        return True
    if origin is not None:
        return origin in trusted_origins
    return sec_fetch_site is None and not carries_our_cookies


def visits(
    *,
    sec_fetch_site: str | None,
    sec_fetch_mode: str | None,
    sec_fetch_dest: str | None,
    origin: str | None,
    trusted_origins: frozenset[str],
) -> bool:
    """True when a safe request is somebody's visit, and not what a page of somebody else loads behind their back.

    A link from anywhere that opens as a page of its own is one; a picture, a frame or a script in a stranger's page is
    none. Where the browser does not say, its SameSite rule has decided (RFC 6265bis §5.6.7).
    """
    if sec_fetch_mode == "navigate" and sec_fetch_dest == "document":
        return True
    return trusted(
        sec_fetch_site=sec_fetch_site,
        origin=origin,
        trusted_origins=trusted_origins,
        carries_our_cookies=False,
    )


class CsrfTokens:
    """Mints and recognises CSRF tokens under a key ring; each is good for `seconds`.

    A binding is the id of a session, or whatever else stands for one browser. Who has a token minted must have proved
    that the binding is theirs.
    """

    def __init__(self, ring: KeyRing, *, seconds: int) -> None:
        self.seconds = seconds
        self._tokens = DatedTokens(ring, Purpose.CSRF, label=_LABEL, nonce=NONCE)
        self._stand_ins = TaggedTokens(ring, Purpose.CSRF, label=_STAND_IN_LABEL, size=16)

    def mint(self, binding: str, nonce: bytes, now: int) -> str:
        """`now` in µs."""
        return self._tokens.mint(binding, nonce, now)

    def genuine(self, token: bytes, binding: str, now: int, *, at_most: float = 1.0) -> bool:
        """Whether we minted it for this binding, not longer ago than `at_most` of its life. Never raises."""
        return self._tokens.genuine(token, binding, now, seconds=self.seconds * at_most)

    def stand_in(self, sid: str) -> str:
        """What tells of a session where its own cookies are not sent. It authenticates nothing."""
        return self._stand_ins.mint(UUID(sid).bytes)

    def stands_for(self, value: bytes) -> str | None:
        """The session of a stand-in of ours; None for anything else. Never raises."""
        says = self._stand_ins.open(value)
        return None if says is None else str(UUID(bytes=says))
