"""Rate limits by GCRA: how often is told by one instant a key, and no list of what happened. Pure.

The instant, the theoretical arrival time, says how far a budget is spent: at or before now it is whole, `rate.room`
ahead it is gone, and each take moves it on by `rate.step`. So `count` may come at once, then one a step: in any span no
more than the burst and `count`. What has no instant yet is as whole as what has one in the past, so that old ones may
be forgotten. `storage.sql.throttle` and `storage.redis` say the same in their languages: one contract holds for all.
Sources: ITU-T I.371 (generic cell rate algorithm); ASVS 5.0 2.4.1, 6.3.1; SECURITY-TARGET attacks 66–68, 94.
"""

from __future__ import annotations

import hmac
from ipaddress import IPv6Address, IPv6Network
from typing import NamedTuple

from watchword.core.keys import KeyRing, Purpose
from watchword.rates import Rate

_LABEL = b"watchword/limit/1"


class Verdict(NamedTuple):
    """`tat` is the instant to store; as it was, if this is refused. `retry_after` (µs) is then the time until one more
    would be allowed, and 0 else."""

    allowed: bool
    tat: int
    retry_after: int


def take(tat: int | None, now: int, rate: Rate) -> Verdict:
    """Whether one more may be done, all in µs."""
    # Nobody can have spent more than all of it: further ahead, the clock was set back or the rate was another. Without
    # this whoever was limited before a step of an hour would be so for an hour longer.
    spent = min(max(tat or 0, now), now + rate.room)
    after = spent + rate.step
    if after - now > rate.room:
        return Verdict(False, spent, after - now - rate.room)
    return Verdict(True, after, 0)


class LimitKeys:
    """What budgets are stored under: 32 hexadecimal digits, whatever they are of. So no text is taken for another's or
    for a part of a command (attack 94), and no address or login is to be read anywhere.

    Another first secret in the ring makes all budgets whole, once.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._key = ring.signing.key(Purpose.LIMIT)

    def of(self, name: str, whose: str) -> str:
        text = _LABEL + name.encode() + b"\x00" + whose.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, "sha256").hexdigest()[:32]


def network_of(ip: str) -> str:
    """Whose an address is: an IPv4 address alone, of IPv6 the /64 that one customer has at least (attack 89)."""
    if ":" not in ip:
        return ip
    return str(IPv6Network((int(IPv6Address(ip)) >> 64 << 64, 64)))
