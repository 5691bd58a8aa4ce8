"""A message on its way: what is queued beside the fact that it announces, sealed until it is sent, and when to try
again. Pure. How a message reads is its template's business.

The payload may hold a code or a link that signs somebody in, and waits in the database until a mail server has taken
it: so it is encrypted under a key outside of the database (AES-256-GCM, the message's id as associated data).
Sources: DESIGN §4.8; RFC 5321 §4.5.4.1 (retrying); ASVS 5.0 11.3.2, 14.2.4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from watchword.core.keys import KeyRing, Purpose
from watchword.spans import DAY, HOUR, SECOND

NONCE = 12
"""Bytes of randomness that each sealing takes; no two may be the same under one key."""
_KEY_ID = 3

LIFE = 3 * DAY
"""After which a message without an end of its own is old news."""
WAITS = (5 * SECOND, 30 * SECOND, 120 * SECOND, 600 * SECOND)
"""Before the second try and so on; then an hour each."""
REFUSALS = 3
"""Tries after which a server that refuses this message has its way: twice it may have been a list or a setting that
was mended meanwhile."""
MAX_ERROR = 300

SOON, SOON_AHEAD = 900 * SECOND, 6 * HOUR
"""What is of use for no longer than this is a code, that somebody waits for; and how far it goes before the rest."""
LATER, LATER_AHEAD = 2 * 86_400 * SECOND, 3 * HOUR
"""The same for links; what lives for longer only tells of something. Between a code and a link lies more than any link
of ours lives, so that no number of links delays a code."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. `kind` names its template, `to` is the one address, `sealed` its payload. Instants in µs; from
    `expires_at` on it is of no use to anybody, and is neither sent nor kept."""

    id: str
    to: str
    kind: str
    sealed: bytes
    created_at: int
    expires_at: int

    def __repr__(self) -> str:
        return f"Mail(id={self.id!r}, kind={self.kind!r})"  # reprs reach logs, and an address is personal


@dataclass(frozen=True, slots=True)
class Queued:
    """A message in the outbox. `tries` counts how often it was handed to a sender, `next_at` is when it is due: None
    when it was sent or given up. `last_error` is what went wrong at the last try."""

    mail: Mail
    tries: int = 0
    next_at: int | None = None
    sent_at: int | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as its reader sees it. `text` and `html` say the same."""

    id: str
    to: str
    subject: str
    text: str
    html: str

    def __repr__(self) -> str:
        return f"Letter(id={self.id!r})"


def head_start(mail: Mail) -> int:
    """How much earlier than it was due a message counts as due, when several are: what is of use for the shortest time
    goes first. A notice that has waited for hours goes before a code of now, so that nothing waits for ever."""
    life = mail.expires_at - mail.created_at
    if life <= SOON:
        return SOON_AHEAD
    return LATER_AHEAD if life <= LATER else 0


def next_wait(queued: Queued, *, refused: bool, now: int, jitter: float) -> int | None:
    """How long to wait after a failed try; None to give up. `refused`: by a server that will not take this message,
    whoever asks. `jitter` is from 0 to 1, so that what failed together is not tried together."""
    if refused and queued.tries >= REFUSALS:
        return None
    base = WAITS[queued.tries - 1] if queued.tries <= len(WAITS) else HOUR
    wait = base + int(base * jitter / 5)
    return wait if now + wait < queued.mail.expires_at else None


def noted(error: str) -> str:
    """What a mail server said, short and on one line, as it is stored and shown (ASVS 5.0 16.4.1)."""
    return " ".join("".join(c if c.isprintable() else " " for c in error).split())[:MAX_ERROR]


class Seals:
    """Seals payloads and opens them again under a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: AESGCM(root.key(Purpose.MAIL)) for root in ring}

    def seal(self, payload: Mapping[str, Any], *, mail_id: str, nonce: bytes) -> bytes:
        """key id 3 ‖ nonce 12 ‖ ciphertext and tag. `nonce` must be random."""
        text = json.dumps(payload, ensure_ascii=False).encode()
        sealed = self._keys[self._signing_id].encrypt(nonce, text, mail_id.encode())
        return self._signing_id + nonce + sealed

    def open(self, sealed: bytes, *, mail_id: str) -> dict[str, Any] | None:
        """The payload; None when it is not of this message, or its key is gone."""
        key = self._keys.get(sealed[:_KEY_ID])
        if key is None:
            return None
        nonce, rest = sealed[_KEY_ID : _KEY_ID + NONCE], sealed[_KEY_ID + NONCE :]
        try:
            payload: dict[str, Any] = json.loads(key.decrypt(nonce, rest, mail_id.encode()))
        except (InvalidTag, ValueError):
            return None
        return payload
