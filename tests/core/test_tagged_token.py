"""Tagged tokens: what CSRF tokens, stand-ins and known devices share. Each of them has tests of its own besides."""

from __future__ import annotations

import hmac

import pytest

from tests.core.forging import OTHER_SECRET, SECRET, b64, hkdf
from watchword.core.keys import KeyRing, Purpose
from watchword.core.tagged_token import LEEWAY, DatedTokens, TaggedTokens

SAYS = b"sixteen bytes ok"
LABEL = b"watchword/test/1"
NOW = 1_800_000_000_000_000
NONCE = bytes(12)


def tagged(
    secret: bytes = SECRET, *, label: bytes = LABEL, purpose: Purpose = Purpose.CSRF, size: int = 16
) -> TaggedTokens:
    return TaggedTokens(KeyRing([secret]), purpose, label=label, size=size)


TOKEN = tagged().mint(SAYS, "ada").encode()


def test_a_token_is_what_its_module_says_it_is() -> None:
    """The layout, computed here a second time."""
    head = hkdf(SECRET, "key id", 3) + SAYS
    tag = hmac.digest(hkdf(SECRET, "csrf", 32), LABEL + head + b"ada", "sha256")
    assert b64(head + tag) == TOKEN


def test_it_opens_to_its_owner_label_purpose_size_and_key_alone() -> None:
    """Attacks 19, 38; ASVS 11.2.4."""
    assert tagged().open(TOKEN, "ada") == SAYS
    for tokens, owner in (
        (tagged(), "eve"),
        (tagged(), ""),
        (tagged(label=b"watchword/test/2"), "ada"),
        (tagged(purpose=Purpose.DEVICE), "ada"),
        (tagged(size=15), "ada"),
        (tagged(size=17), "ada"),
        (tagged(OTHER_SECRET), "ada"),
    ):
        assert tokens.open(TOKEN, owner) is None


def test_no_bit_of_it_can_be_another() -> None:
    """Attack 37."""
    for place in range(len(TOKEN)):
        for bit in range(8):
            changed = TOKEN[:place] + bytes([TOKEN[place] ^ 1 << bit]) + TOKEN[place + 1 :]
            assert tagged().open(changed, "ada") is None, (place, bit)


def test_a_tag_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98; ASVS 11.2.4."""
    asked: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        asked.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr("watchword.core.tagged_token.hmac.compare_digest", spy)
    assert tagged().open(TOKEN, "ada") == SAYS
    assert tagged().open(TOKEN, "eve") is None
    assert asked == [(32, 32), (32, 32)]


@pytest.mark.parametrize(
    ("after", "good"), [(-LEEWAY - 1, False), (-LEEWAY, True), (0, True), (99, True), (100, False)]
)
def test_a_dated_one_is_good_from_a_little_before_it_was_made_until_its_end(after: int, good: bool) -> None:
    """Two servers' clocks differ; nothing is good for ever."""
    dated = DatedTokens(KeyRing([SECRET]), Purpose.CSRF, label=LABEL, nonce=len(NONCE))
    token = dated.mint("ada", NONCE, NOW).encode()
    assert dated.genuine(token, "ada", NOW + after * 1_000_000, seconds=100) is good
    assert not dated.genuine(token, "eve", NOW, seconds=100)
    assert not dated.genuine(TOKEN, "ada", NOW, seconds=100)
