"""A challenge: a single-use secret that was sent or shown to somebody, bound to a user and to a purpose. Pure.

Who began holds a secret of 256 random bits (in a cookie, or in a body), whose SHA-256 is the row's; what was sent is a
code of six digits, of which the row holds a MAC under a key outside of the database, as a digest of a million values
is no secret. Of a link the secret itself is what was sent: nobody holds anything else, there is no code, and no try to
count. This file says what a row holds, how both look, what may be done with a challenge and how often. What a
challenge is for, and what follows, is its kind's and of no concern here.
Sources: ASVS 5.0 6.5.1–6.5.5, 6.5.8, 6.6.2, 6.6.3; SECURITY-TARGET attacks 51–57, 62, 63, 77.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from watchword.core.base64url import decode, encode
from watchword.core.keys import KeyRing, Purpose
from watchword.errors import FieldError, InvalidRequest
from watchword.spans import DAY, HOUR, SECOND

SECRET = 32
"""Bytes of randomness that name a challenge."""
CODES = 1_000_000
"""How many codes there are: six digits, and so 20 bits (ASVS 5.0 6.5.4)."""

LIFE = 900 * SECOND
"""No code is good for longer than this after its challenge began, however often another is sent: R39's cookie."""
SKEW = 60 * SECOND
"""How far ahead of the clock a code may have been sent; further, and the clock has gone wrong since."""

TRIES = 5
"""Of one challenge, whatever number of codes it has seen."""
TRIES_A_DAY = 20
"""Of all of a user's."""
CODES_AN_HOUR = 10
RESENDS_AN_HOUR = 5
RESEND_AFTER = 30 * SECOND
LINK_LIFE = 1800 * SECOND
"""How long a link is good for: it lies in a mailbox, and is as good as a password to whoever finds it (attack 77)."""
LINKS_AN_HOUR = 5
"""Of one kind. Anybody may ask for one, so they have no part in the budget of codes: people would be locked out."""
REMEMBERED = DAY + HOUR
"""How long a challenge outlives its end: it is what the budgets remember by, and clocks differ."""

_PREFIX = "wwc_"
TOKEN = re.compile(r"wwc_[A-Za-z0-9_-]{43}", re.ASCII)
"""How a secret looks that travels, in a link for one."""
CODE_IN_TEXT = re.compile(r"(?<!\d)[0-9]{6}(?!\d)", re.ASCII)
"""A code in what somebody reads: it is the only number of six digits there."""
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_LABEL = b"watchword/code/1"
_KEY_ID = 3


class Kind(StrEnum):
    """What a challenge is for; none is good for another."""

    LOGIN = "login"
    RESET = "reset"
    VERIFY = "verify"
    REAUTHENTICATE = "reauthenticate"
    ADDRESS = "address"


LINKS = (Kind.RESET, Kind.VERIFY, Kind.ADDRESS)
"""The kinds whose secret is sent as a link."""
PROOF = "otp"
"""How a code is called in `amr` (RFC 8176)."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One row. Instants in µs.

    `digest` is of the secret, `code` the MAC of the code that was sent last; `payload` is the kind's own. `tries` were
    counted before anything was compared, and a right one is given back. `ended_at` is when it was redeemed, ended or
    found to be over.
    """

    id: str
    kind: Kind
    user_id: str
    digest: bytes = field(repr=False)
    code: bytes = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)
    created_at: int
    sent_at: int
    expires_at: int
    tries: int = 0
    sends: int = 1
    ended_at: int | None = None

    def open(self, now: int) -> bool:
        """Whether its code may still be tried, as far as time goes: by the server's clock alone (ASVS 5.0 6.5.8)."""
        return self.ended_at is None and self.sent_at - SKEW <= now < self.expires_at


def resent(challenge: Challenge, code: bytes, *, now: int, ttl: int) -> Challenge:
    """The same challenge with another code, the old one worth nothing; as many tries are left as before."""
    expires_at = min(now + ttl, challenge.created_at + LIFE)
    return replace(challenge, code=code, sent_at=now, expires_at=expires_at, sends=challenge.sends + 1)


# --- how secret and code look


def token(secret: bytes) -> str:
    """The secret as it travels."""
    return _PREFIX + encode(secret).decode()


def digest_of(presented: str) -> bytes | None:
    """What to look a token up by; None for what cannot be one. One spelling a secret."""
    if not TOKEN.fullmatch(presented):
        return None
    try:
        return digest_of_secret(decode(presented[len(_PREFIX) :].encode()))
    except ValueError:
        return None


def digest_of_secret(secret: bytes) -> bytes:
    """What the row holds of it. Nothing slower is needed for 256 random bits."""
    return hashlib.sha256(secret).digest()


def code_text(number: int) -> str:
    """The code of a number below `CODES`."""
    return f"{number:06d}"


def is_code(text: str) -> bool:
    """Six ASCII digits and nothing else: no sign, no space, no digit of another script (attack 57)."""
    return _CODE.fullmatch(text) is not None


def as_code(text: str) -> str:
    """Six ASCII digits as they are, nothing trimmed and nothing converted. Raises InvalidRequest."""
    if not is_code(text):
        raise InvalidRequest(errors=(FieldError("code", "invalid_code", "Six digits, 0 to 9."),))
    return text


class Codes:
    """What is stored of codes: key id 3 ‖ HMAC-SHA256(challenge key, label ‖ id of the challenge ‖ code)."""

    def __init__(self, ring: KeyRing) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: root.key(Purpose.CHALLENGE) for root in ring}

    def digest(self, code: str, *, challenge_id: str) -> bytes:
        """Bound to one challenge: the same code of another is another digest."""
        return self._signing_id + self._mac(self._signing_id, code, challenge_id)

    def right(self, code: str, challenge: Challenge) -> bool:
        """Whether this is the code that was sent last. False when the key has gone from the ring."""
        key_id, mac = challenge.code[:_KEY_ID], challenge.code[_KEY_ID:]
        return key_id in self._keys and hmac.compare_digest(self._mac(key_id, code, challenge.id), mac)

    def _mac(self, key_id: bytes, code: str, challenge_id: str) -> bytes:
        text = _LABEL + challenge_id.encode() + b"\x00" + code.encode()
        return hmac.new(self._keys[key_id], text, "sha256").digest()


# --- how often


@dataclass(frozen=True, slots=True)
class Spent:
    """What a user's challenges of all kinds have used up: tries of the last 24 hours, codes (no links) and resent ones
    of the last hour. Each with the instant at which some of it is free again, None where there is nothing.

    Counted by a row's last instants, so that an older try or code may count for a little longer, never for less.
    """

    tries: int = 0
    codes: int = 0
    resends: int = 0
    tries_until: int | None = None
    codes_until: int | None = None
    resends_until: int | None = None


def spent(challenges: Iterable[Challenge], now: int) -> Spent:
    """Count. The statement that counts in SQL is told apart from this by the stores' contract alone."""
    rows = list(challenges)
    tried = [row for row in rows if row.tries and row.expires_at > now - DAY]
    sent = [row for row in rows if row.kind not in LINKS and row.sent_at > now - HOUR]
    again = [row for row in sent if row.sends > 1]
    return Spent(
        tries=sum(row.tries for row in tried),
        codes=sum(row.sends for row in sent),
        resends=sum(row.sends - 1 for row in again),
        tries_until=min((row.expires_at + DAY for row in tried), default=None),
        codes_until=min((row.sent_at + HOUR for row in sent), default=None),
        resends_until=min((row.sent_at + HOUR for row in again), default=None),
    )


class Why(StrEnum):
    """Why something is refused: it is over; its own tries are spent; those of the day; too many codes, or too soon."""

    OVER = "over"
    SPENT = "spent"
    TRIED = "tried"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Refused:
    """`until` is when to ask again (µs); None when that is of no use."""

    why: Why
    until: int | None = None


OVER = Refused(Why.OVER)


def may_begin(used: Spent) -> Refused | None:
    """Whether another challenge may be made and its code sent; a code that could not be tried is not."""
    if used.tries >= TRIES_A_DAY:
        return Refused(Why.TRIED, used.tries_until)
    if used.codes >= CODES_AN_HOUR:
        return Refused(Why.SENT, used.codes_until)
    return None


def waits(theirs: Iterable[Challenge], challenge: Challenge, now: int) -> bool:
    """Whether there is one already that proves the same in the same session: another code is sent for that one, so
    that asking again gives no more tries. Logins are not bound to a session: each is another browser's."""
    if challenge.kind is not Kind.REAUTHENTICATE:
        return False
    same = (row for row in theirs if row.kind is challenge.kind and row.payload == challenge.payload)
    return any(row.open(now) for row in same)


def may_try(challenge: Challenge, used: Spent, now: int) -> Refused | None:
    """Whether one more code may be compared; asked before it is counted."""
    if not challenge.open(now):
        return OVER
    if challenge.tries >= TRIES:
        return Refused(Why.SPENT, challenge.expires_at)
    if used.tries >= TRIES_A_DAY:
        return Refused(Why.TRIED, used.tries_until)
    return None


def may_resend(challenge: Challenge, used: Spent, now: int) -> Refused | None:
    """Whether another code may be sent for the same challenge: only where it could be tried."""
    refused = may_try(challenge, used, now) or may_begin(used)
    if refused is not None:
        return refused
    if now < challenge.sent_at + RESEND_AFTER:
        return Refused(Why.SENT, challenge.sent_at + RESEND_AFTER)
    if used.resends >= RESENDS_AN_HOUR:
        return Refused(Why.SENT, used.resends_until)
    return None


def may_link(theirs: Iterable[Challenge], kind: Kind, now: int) -> bool:
    """Whether another link of a kind may be sent to a user who has these challenges: no mailbox is flooded."""
    return sum(row.kind is kind and row.sent_at > now - HOUR for row in theirs) < LINKS_AN_HOUR
