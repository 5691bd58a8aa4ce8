"""What somebody chose who signed up with an address, kept by the link that was sent to it. Pure.

Anybody may sign up with anybody's address, as often as they like, and none of them is believed: each registration has a
link of its own, and whose link is followed has the account, with the password of that registration. So nobody who was
there before, or comes after, has any part in it. A user's row is there from the first registration on; until the
address is proved it opens nothing.
Sources: DESIGN §4.5; SECURITY-TARGET attacks 65, 75; decision 17.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from watchword.core.challenge import Challenge
from watchword.core.throttle import network_of
from watchword.spans import DAY

KEPT = 7 * DAY
"""How long after the last link expired an address that nobody has proved is remembered."""
LOOKED_THROUGH = 20
"""Registrations at one address that are looked through for the one of who asks for another link."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The password as a digest, the name that is wanted, and from where it came: whoever reads the link's mail must
    see whether it was they."""

    digest: str = field(repr=False)
    username: str | None
    device: str
    ip: str

    def payload(self, email: str) -> dict[str, Any]:
        """What the challenge of its link holds; the address is what the link proves."""
        return {
            "email": email,
            "digest": self.digest,
            "username": self.username,
            "device": self.device,
            "ip": self.ip,
        }

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """Of a challenge's payload."""
        return cls(payload["digest"], payload["username"], payload["device"], payload["ip"])


def meant(registrations: Sequence[Challenge], ip: str) -> Challenge | None:
    """Which one is sent again to who asks from `ip`, newest first: the newest that came from its network, else the
    newest; an IPv6 host changes its address within the network daily.

    A stranger who signs up with somebody's address afterwards must not take the place of what its owner waits for.
    What has ended is over for good, another password having been set, or was never more than the count of a mail.
    """
    rows = [row for row in registrations if row.ended_at is None]
    home = network_of(ip)
    return next((row for row in rows if network_of(row.payload["ip"]) == home), next(iter(rows), None))
