"""What is kept of somebody who signed up, and whose registration is sent again."""

from __future__ import annotations

from dataclasses import replace

from watchword.core.challenge import Challenge, Kind
from watchword.core.registration import Registration, meant

ONE = Registration("$argon2id$canary", "ada", "Firefox on Linux", "192.0.2.7")


def link(number: int, ip: str) -> Challenge:
    payload = Registration("", None, "", ip).payload("one@example.com")
    return Challenge(str(number), Kind.VERIFY, "user", b"", b"", payload, number, number, number + 1)


def test_what_is_kept_comes_back_as_it_was() -> None:
    """And beside it the address that is to be proved."""
    assert Registration.of(ONE.payload("one@example.com")) == ONE
    assert ONE.payload("one@example.com")["email"] == "one@example.com"


def test_no_digest_is_shown() -> None:
    """ASVS 16.2.5: neither by what is kept nor by the row that keeps it."""
    row = Challenge("1", Kind.VERIFY, "user", b"", b"", ONE.payload("one@example.com"), 1, 1, 2)
    assert "canary" not in repr(ONE) + repr(row)


def test_the_newest_of_who_asks_is_meant_else_the_newest_of_all() -> None:
    """Decision 17, attack 75: a stranger's place does not go before one's own."""
    rows = [link(4, "b"), link(3, "a"), link(2, "a"), link(1, "c")]
    told = {ip: found.id for ip in "abcd" if (found := meant(rows, ip))}
    assert told == {"a": "3", "b": "4", "c": "1", "d": "4"}
    assert meant([], "a") is None


def test_a_host_that_has_another_address_of_its_network_is_the_same() -> None:
    """Decision 17, attack 89: privacy extensions change it between signing up and asking again."""
    rows = [link(2, "2001:db8:2::1"), link(1, "2001:db8:1::abcd:1"), link(0, "192.0.2.7")]
    for ip, expected in (("2001:db8:1::ffff", 1), ("2001:db8:2::1", 2), ("192.0.2.7", 0), ("192.0.2.8", 2)):
        found = meant(rows, ip)
        assert found is not None
        assert found.id == str(expected)


def test_what_has_ended_is_not_meant() -> None:
    """Decision 17: a password that was set since, or a mail to an address that was taken then and is not now."""
    over, count = replace(link(5, "a"), ended_at=6), replace(link(6, "a"), payload={}, ended_at=6)
    assert meant([count, over, link(4, "a")], "a") == link(4, "a")
    assert meant([count, over], "a") is None
