"""UUID version 7: identifiers that sort by the time they were made at (RFC 9562 §5.7). Pure.

They are names, never secrets: 74 random bits keep them unique, and nothing is opened by knowing one.
"""

from __future__ import annotations

from uuid import UUID


def uuid7(now: int, randomness: bytes) -> str:
    """The text of a UUIDv7 of the instant `now` (µs since 1970) with 10 random bytes."""
    noise = int.from_bytes(randomness[:10], "big")
    value = (
        (now // 1000 & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (noise >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | noise & (1 << 62) - 1
    )
    return str(UUID(int=value))


def following(earlier: str, randomness: bytes) -> str:
    """One that sorts behind `earlier` by a random step, for where many are made in a millisecond or a clock went back
    (RFC 9562 §6.2, method 2)."""
    return str(UUID(int=UUID(earlier).int + 1 + int.from_bytes(randomness[:4], "big")))
