"""Servers in the middle of a rotation of keys: each known by the numbers of the keys in its list, the first signing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.core.forging import ISSUER, accepted, access_tokens, issue, pem, rsa_key
from tests.core.refresh_forging import refresh_tokens, row
from watchword.core.access_token import AccessTokens
from watchword.core.refresh_token import RefreshTokens
from watchword.settings import Algorithm

Keys = tuple[int, ...]
ROTATION: tuple[Keys, ...] = ((0,), (0, 1), (1, 0), (1,))
"""Before, after the new one was appended, after it was moved to the front, after the old one was removed."""


@dataclass(frozen=True)
class Minted:
    """What a client holds."""

    access: bytes
    refresh: str


@dataclass(frozen=True)
class Server:
    """The tokens of one process."""

    access: AccessTokens
    refresh: RefreshTokens

    def mint(self) -> Minted:
        return Minted(issue(self.access), self.refresh.mint(row()))

    def accepts(self, minted: Minted) -> bool:
        """Both tokens or none: that one should pass without the other is a fault of its own."""
        presented = self.refresh.read(minted.refresh)  # None for a key that it has never heard of
        genuine = presented is not None and self.refresh.genuine(presented, row())
        verdicts = {accepted(self.access, minted.access), genuine}
        assert len(verdicts) == 1
        return verdicts.pop()


@cache
def server(algorithm: Algorithm, keys: Keys, issuer: str = ISSUER) -> Server:
    """With RS256 both lists rotate: root secrets, which refresh tokens need, and PEM texts."""
    secrets = tuple(b"Nr. %d of the secrets of rotating servers" % number for number in keys)
    rsa_pem = b"".join(pem(rsa_key(number)) for number in keys) if algorithm is Algorithm.RS256 else None
    return Server(
        access_tokens(algorithm, secrets, issuer=issuer, rsa_pem=rsa_pem),
        refresh_tokens(*secrets, issuer=issuer),
    )


class Fleet:
    """Three servers, a client for every token that was minted, and an operator who follows the rules of a rotation.

    A list changes by one step: a new key at its end, a known one to the front, an old one removed. `patient`: no step
    begins before all servers have taken the last, and none removes what signed less than `TTL` ago.
    """

    TTL = 6
    KEYS = 3
    """There are so many in all: making one for RS256 takes its time."""

    def __init__(self, algorithm: Algorithm, *, patient: bool = True) -> None:
        self._algorithm = algorithm
        self._patient = patient
        self._now = 0
        self._made = 1
        self._plan: Keys = (0,)
        self._lists: list[Keys] = [self._plan] * 3
        self._signed_at = {0: 0}
        self._clients: list[tuple[int, int, Minted]] = []

    def play(self, move: str, place: int) -> None:
        """A move that the rules do not allow now is none."""
        ready = not self._patient or all(keys == self._plan for keys in self._lists)
        match move:
            case "mint":
                keys = self._lists[place % 3]
                self._clients.append((self._now, keys[0], server(self._algorithm, keys).mint()))
            case "restart":
                self._lists[place % 3] = self._plan
            case "restart all":
                self._lists = [self._plan] * 3
            case "wait":
                self._now += 1 + place % self.TTL
            case "append" if ready and self._made < self.KEYS:
                self._plan = (*self._plan, self._made)
                self._made += 1
            case "front" if ready:
                key = self._plan[place % len(self._plan)]
                self._plan = (key, *(other for other in self._plan if other != key))
            case "remove" if ready and len(self._plan) > 1:
                key = self._plan[1 + place % (len(self._plan) - 1)]
                if not self._patient or self._now - self._signed_at.get(key, -self.TTL) >= self.TTL:
                    self._plan = tuple(other for other in self._plan if other != key)
        self._signed_at |= {keys[0]: self._now for keys in self._lists}

    def refused(self) -> int:
        """Live tokens that some server refuses. What a server accepts must be of a key that it has."""
        count = 0
        for keys in self._lists:
            for minted_at, key, minted in self._clients:
                passes = server(self._algorithm, keys).accepts(minted)
                assert passes is (key in keys)
                count += not passes and self._now < minted_at + self.TTL
        return count
