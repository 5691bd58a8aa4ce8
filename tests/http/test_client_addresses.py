"""Whose request it is, as far as the network tells, behind proxies and liars."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.asgi import Header, raw
from tests.http.devices import house
from watchword.core.session import network_of
from watchword.http.client import ClientAddresses

PROXY, CLIENT, LIAR = "10.0.0.1", "198.51.100.9", "203.0.113.66"


def seen(
    peer: str | None, *forwarded: str | bytes, trusted: Sequence[str] = (), other: Sequence[Header] = ()
) -> str:
    headers = raw([*other, *(("x-forwarded-for", value) for value in forwarded)])
    scope = {"client": (peer, 4711) if peer is not None else None, "headers": headers}
    return ClientAddresses(trusted).client(scope).ip


def test_without_trusted_proxies_the_header_counts_for_nothing() -> None:
    """Attack 89, ASVS 4.1.3: anybody can write one."""
    assert seen(CLIENT, LIAR) == CLIENT
    assert seen(CLIENT, "127.0.0.1") == CLIENT
    assert seen(CLIENT, f"{LIAR}, {PROXY}") == CLIENT


def test_a_header_from_a_peer_that_is_no_proxy_counts_for_nothing() -> None:
    """Attack 89: somebody who reaches the app past its proxy."""
    assert seen(LIAR, CLIENT, trusted=["10.0.0.0/8"]) == LIAR
    assert seen(LIAR, f"{CLIENT}, {PROXY}", trusted=["10.0.0.0/8"]) == LIAR


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([CLIENT], CLIENT),
        ([f"{LIAR}, {CLIENT}"], CLIENT),
        ([f"127.0.0.1,{LIAR},{CLIENT}"], CLIENT),
        ([f"{LIAR}, {CLIENT}, 10.0.0.2"], CLIENT),
        ([f"{LIAR}, {CLIENT}, 10.0.0.2, 10.9.9.9"], CLIENT),
        ([LIAR, CLIENT], CLIENT),
        ([f"{LIAR}, {CLIENT}", "10.0.0.2"], CLIENT),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([f"10.0.0.3, {CLIENT} ,  10.0.0.2"], CLIENT),
        ([f"{CLIENT}\t, 10.0.0.2"], CLIENT),
    ],
)
def test_the_right_most_hop_that_is_no_proxy_is_the_client(forwarded: list[str], client: str) -> None:
    """Attack 89: what stands further left was written by the client itself."""
    assert seen(PROXY, *forwarded, trusted=["10.0.0.0/8"]) == client


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        ",",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "300.1.1.1",
        "1.2.3",
        "0x7f.1",
        "127.1",
        "2130706433",
        "010.0.0.9",
        "1.2.3.4.5",
        "::1::",
        "1.2.3.4/8",
        "<script>",
        b"\xff\xfe",
        "1.2.3.4\x00",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:80:80",
        "1.2.3.4:+80",
        "1.2.3.4:\xb2",
        "1.2.3.4: 80",
        "1.2.3.4:http",
        "300.1.1.1:80",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "[::1",
        "::1]",
        "[[::1]]",
        "[::1]80",
        "[::1]:",
        "[::1]:0",
        "[::1]:99999",
        "[::1]:80]:80",
        "[]",
        "[]:80",
        ":80",
        "x" * 10_000,
    ],
)
def test_a_hop_that_is_no_address_ends_the_walk_at_the_last_proxy(garbage: str | bytes) -> None:
    """Attack 89: what cannot be told is never believed, nor what stands behind it."""
    trusted = ["10.0.0.0/8"]
    assert seen(PROXY, garbage, trusted=trusted) == PROXY
    mixed = garbage if isinstance(garbage, bytes) else garbage.encode()
    assert seen(PROXY, LIAR.encode() + b"," + mixed, trusted=trusted) == PROXY
    assert seen(PROXY, LIAR.encode() + b"," + mixed + b", 10.0.0.2", trusted=trusted) == "10.0.0.2"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("::FFFF:198.51.100.9", "198.51.100.9"),
        ("::ffff:c633:6409", "198.51.100.9"),
        ("0:0:0:0:0:ffff:c633:6409", "198.51.100.9"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:db8:0:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("198.51.100.9:4711", "198.51.100.9"),
        ("198.51.100.9:65535", "198.51.100.9"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[::ffff:198.51.100.9]:1", "198.51.100.9"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        ("2001:db8::1:443", "2001:db8::1:443"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%25eth0", "fe80::1"),
        ("FE80::1%<script>", "fe80::1"),
    ],
)
def test_every_spelling_of_an_address_is_one_address(text: str, canonical: str) -> None:
    """Attack 89: raw text as a key would give a stranger as many keys as spellings."""
    assert seen(PROXY, text, trusted=[PROXY]) == canonical
    assert seen(text) == canonical


def test_proxies_may_be_addresses_or_networks_of_either_family() -> None:
    """ASVS 15.3.4, with an IPv4 proxy seen through an IPv6 socket."""
    trusted = ["10.0.0.1", "192.168.0.0/16", "2001:db8::/32", "::1"]
    for peer in ("10.0.0.1", "192.168.7.7", "2001:db8:ffff::1", "::1", "::ffff:10.0.0.1", "::ffff:c0a8:0707"):
        assert seen(peer, CLIENT, trusted=trusted) == CLIENT, peer
    for peer in ("10.0.0.2", "192.169.0.1", "2001:db9::1", "::2", "::10.0.0.1"):
        assert seen(peer, CLIENT, trusted=trusted) != CLIENT, peer


def test_a_peer_without_an_address_has_none() -> None:
    """A test client, a Unix socket: nothing is guessed."""
    assert seen(None) == ""
    assert seen("testclient") == ""
    assert seen(None, CLIENT, trusted=["10.0.0.0/8"]) == ""


@pytest.mark.parametrize(
    "header",
    ["forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-forwarded", "via"],
)
def test_no_other_header_is_believed(header: str) -> None:
    """Attack 89: one header, and only from whom it is expected."""
    assert seen(PROXY, trusted=[PROXY], other=[(header, CLIENT)]) == PROXY


@given(st.lists(st.binary(max_size=50), max_size=4), st.sampled_from([PROXY, CLIENT, "::1", "x", ""]))
def test_no_header_whatever_makes_it_fail(values: list[bytes], peer: str) -> None:
    """Attack 89: any bytes, and the answer is an address in one spelling, or none."""
    headers = [(b"x-forwarded-for", value) for value in values] + [(b"user-agent", b"".join(values))]
    client = ClientAddresses(["10.0.0.0/8", "::1"]).client({"client": (peer, 1), "headers": headers})
    assert client.ip == "" or client.ip == client.ip.lower()
    assert len(client.user_agent) <= 512


async def test_the_list_of_devices_shows_the_network_of_the_resolved_address() -> None:
    """Attack 89 from outside: with the proxy trusted, and with a liar in front of it. ASVS 14.2.6: no more of it."""
    home = await house(mode="bearer", trusted_proxies="10.0.0.0/8")

    async def listed(address: str, forwarded: str) -> str:
        device = home.device(address=(address, 1))
        given = [("x-forwarded-for", forwarded), ("x-auth-mode", "bearer")]
        assert (await device.sign_in(headers=given)).status == 200
        rows = (await device.get("/auth/sessions")).json["sessions"]
        ip = next(row["ip"] for row in rows if row["current"])
        assert isinstance(ip, str)
        return ip

    assert await listed(PROXY, f"{LIAR}, {CLIENT}") == network_of(CLIENT) == "198.51.100.0/24"
    assert await listed(LIAR, CLIENT) == network_of(LIAR)
    assert await listed(PROXY, "::FFFF:198.51.100.9") == network_of(CLIENT)
    assert await listed(PROXY, "2001:DB8:1:2::3") == "2001:db8:1::/48"


async def test_a_spoofed_address_does_not_make_a_thief_look_like_his_victim() -> None:
    """Attack 89: the network part of the rotation's context comes from the peer, not from what he writes."""
    home = await house(mode="cookies")
    victim = await home.signed_in(address=(CLIENT, 1))
    thief = home.device(address=(LIAR, 1), jar=dict(victim.jar))
    await thief.refresh(headers=[("x-forwarded-for", CLIENT)])
    row = (await home.auth.sessions.list("ada"))[0]
    assert row.ip == LIAR


async def test_a_long_or_odd_user_agent_is_cut_and_never_shown() -> None:
    """Attack 95, ASVS 1.2.1: 1 MB, markup and control characters; the label comes from our own words."""
    home = await house(mode="bearer")
    for agent in ("x" * 1_000_000, '"><script>alert(1)</script>', "\x1b[31m{{7*7}}%s{0}", "\xff\x00"):
        device = await home.signed_in(user_agent=agent)
        answer = await device.get("/auth/sessions")
        assert {row["label"] for row in answer.json["sessions"]} == {"Unknown device"}
        assert len(answer.body) < 5_000
    assert all(len(row.user_agent) <= 512 for row in await home.auth.sessions.list("ada"))
