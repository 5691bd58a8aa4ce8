"""The CSRF verdict: an exact list of origins, the browser's own word, and tokens that are good for one session."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.csrf import NONCE, SAFE_METHODS, CsrfTokens, trusted, visits
from watchword.core.keys import KeyRing, Purpose
from watchword.core.tagged_token import LEEWAY

OURS = frozenset({"https://app.example.com", "https://admin.example.com:8443", "http://127.0.0.1:8000"})


def verdict(
    *, site: str | None = None, origin: str | None = None, cookies: bool = True, ours: frozenset[str] = OURS
) -> bool:
    return trusted(sec_fetch_site=site, origin=origin, trusted_origins=ours, carries_our_cookies=cookies)


@pytest.mark.parametrize("cookies", [False, True])
@pytest.mark.parametrize("origin", sorted(OURS))
@pytest.mark.parametrize("site", [None, "same-site", "cross-site", "same-origin", "none", ""])
def test_a_trusted_origin_may(site: str | None, origin: str, cookies: bool) -> None:
    """ASVS 3.5.1; R8, R14: `cross-site` as well, if the origin is on the list (a front end on another domain)."""
    assert verdict(site=site, origin=origin, cookies=cookies)


@pytest.mark.parametrize(
    ("site", "mode", "dest", "origin", "is_one"),
    [
        ("cross-site", "navigate", "document", None, True),
        ("none", "navigate", "document", None, True),
        ("same-origin", "no-cors", "image", None, True),
        ("cross-site", "cors", "empty", "https://app.example.com", True),
        (None, None, None, None, True),
        ("cross-site", "navigate", "iframe", None, False),
        ("cross-site", "navigate", "", None, False),
        ("cross-site", "no-cors", "document", None, False),
        ("same-site", "no-cors", "image", None, False),
        ("cross-site", "cors", "empty", "https://evil.example", False),
        (None, None, None, "https://evil.example", False),
        ("", "", "", None, False),
    ],
)
def test_a_link_from_anywhere_is_a_visit_and_what_a_strangers_page_loads_is_none(
    site: str | None, mode: str | None, dest: str | None, origin: str | None, is_one: bool
) -> None:
    """Attack 85, ASVS 3.5.1, Fetch Metadata: a header that came twice is told as an empty one."""
    told = visits(
        sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=dest, origin=origin, trusted_origins=OURS
    )
    assert told is is_one


STRANGERS = {
    "null": "null",
    "empty": "",
    "suffix": "https://app.example.com.evil.example",
    "prefix": "https://evil-app.example.com",
    "glued": "https://evilapp.example.com",
    "subdomain": "https://x.app.example.com",
    "parent": "https://example.com",
    "sibling": "https://www.example.com",
    "query": "https://evil.example?app.example.com",
    "query of ours": "https://evil.example/?https://app.example.com",
    "fragment": "https://evil.example#https://app.example.com",
    "userinfo": "https://app.example.com@evil.example",
    "userinfo of ours": "https://evil.example@app.example.com",
    "upper case": "HTTPS://APP.EXAMPLE.COM",
    "upper-case host": "https://App.example.com",
    "trailing slash": "https://app.example.com/",
    "path": "https://app.example.com/profile",
    "default port written out": "https://app.example.com:443",
    "other port": "https://app.example.com:8443",
    "port missing": "https://admin.example.com",
    "other port of ours": "https://admin.example.com:8444",
    "longer port": "https://admin.example.com:84430",
    "downgrade": "http://app.example.com",
    "upgrade": "https://127.0.0.1:8000",
    "other scheme": "ws://app.example.com",
    "no scheme": "app.example.com",
    "scheme-relative": "//app.example.com",
    "trailing dot": "https://app.example.com.",
    "space in front": " https://app.example.com",
    "space behind": "https://app.example.com ",
    "tab": "https://app.example.com\t",
    "newline": "https://app.example.com\n",
    "two": "https://app.example.com https://app.example.com",
    "two with comma": "https://app.example.com, https://app.example.com",
    "two, the first a stranger's": "https://evil.example, https://app.example.com",
    "backslash": "https:\\\\app.example.com",
    "look-alike": "https://\u0430pp.example.com",
    "full stop of another script": "https://app\u3002example.com",
    "punycode look-alike": "https://xn--pp-6kc.example.com",
    "wildcard": "*",
    "extension": "chrome-extension://app.example.com",
    "file": "file://",
    "localhost": "http://localhost:8000",
    "other loopback": "http://127.0.0.2:8000",
    "decimal loopback": "http://2130706433:8000",
}


@pytest.mark.parametrize("cookies", [False, True])
@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "", "SAME-ORIGIN", "same-origin "])
@pytest.mark.parametrize("name", STRANGERS)
def test_any_other_origin_may_not(name: str, site: str | None, cookies: bool) -> None:
    """Attacks 30, 82, 84, 87; ASVS 3.5.1, 4.4.2: compared as a whole, whatever else the request brings."""
    assert not verdict(site=site, origin=STRANGERS[name], cookies=cookies)


@pytest.mark.parametrize(
    ("site", "cookies", "may"),
    [
        ("same-origin", True, True),
        ("none", True, True),  # typed, or from a bookmark: no page asked for it
        ("same-origin", False, True),
        ("none", False, True),
        ("same-site", True, False),
        ("same-site", False, False),
        ("cross-site", True, False),
        ("cross-site", False, False),
        ("", True, False),
        ("", False, False),
        ("nonsense", True, False),
        ("Same-Origin", True, False),
        ("same-origin, cross-site", True, False),
        (None, False, True),  # curl or a server: no jar, so nobody's authority is borrowed
        (None, True, False),  # an old browser, or somebody who strips headers
    ],
)
def test_without_an_origin_the_browsers_word_counts(site: str | None, cookies: bool, may: bool) -> None:
    """Attacks 82, 84; ASVS 3.5.1, 3.7.5 (no fallback to Referer)."""
    assert verdict(site=site, cookies=cookies) is may


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("origin", ["null", "https://behind-a-proxy.example.com"])
def test_the_browsers_own_same_origin_outranks_the_origin_header(site: str, origin: str) -> None:
    """ASVS 3.5.1: no page can forge Sec-Fetch-Site, and it compares with the address that was really asked."""
    assert verdict(site=site, origin=origin)


@pytest.mark.parametrize("origin", ["https://app.example.com", "null", ""])
def test_with_no_trusted_origins_at_all_nothing_matches(origin: str) -> None:
    """Attack 87; ASVS 16.5.3."""
    assert not verdict(origin=origin, ours=frozenset())


def test_only_reading_methods_are_safe() -> None:
    """Attack 85; ASVS 3.5.3."""
    assert SAFE_METHODS == {"GET", "HEAD", "OPTIONS"}
    assert not SAFE_METHODS & {"POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "", None}


SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
LIFE = 3600
SID, OTHER = "0199a2b0-1111-7000-8000-000000000001", "0199a2b0-1111-7000-8000-000000000002"
OLD, NEW = b"the first secret, which has moved on", b"the second secret, which signs today"


def tokens(*secrets: bytes, seconds: int = LIFE) -> CsrfTokens:
    return CsrfTokens(KeyRing(secrets or (NEW,)), seconds=seconds)


def token_of(binding: str = SID, *secrets: bytes, nonce: bytes = b"n" * NONCE, at: int = NOW) -> bytes:
    return tokens(*secrets).mint(binding, nonce, at).encode()


def opened(token: bytes) -> bytes:
    return urlsafe_b64decode(token + b"=" * (-len(token) % 4))


def spelt(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


BINDINGS = st.text(max_size=60)
INSTANTS = st.integers(NOW - 3 * LIFE * SECOND, NOW + 3 * LIFE * SECOND)


@given(
    BINDINGS, BINDINGS, st.booleans(), st.booleans(), INSTANTS, INSTANTS, st.binary(min_size=12, max_size=12)
)
def test_a_token_is_genuine_for_its_binding_key_and_time_and_for_nothing_else(
    minted_for: str, asked_for: str, same: bool, same_key: bool, minted_at: int, now: int, nonce: bytes
) -> None:
    """R10; attacks 83, 86; ASVS 3.5.1: every combination, judged by what went into it."""
    asked_for = minted_for if same else asked_for
    token = tokens(NEW).mint(minted_for, nonce, minted_at).encode()
    judge = tokens(NEW if same_key else OLD)
    age = now // SECOND - minted_at // SECOND
    right = asked_for == minted_for and same_key and -LEEWAY <= age
    assert judge.genuine(token, asked_for, now) is (right and age < LIFE)
    assert judge.genuine(token, asked_for, now, at_most=0.5) is (right and age < LIFE / 2)


@given(st.binary(max_size=120))
def test_nothing_that_we_did_not_mint_is_genuine(noise: bytes) -> None:
    """Attack 83: whatever bytes a header or a cookie holds, the answer is no and never an exception."""
    assert not tokens().genuine(noise, SID, NOW)
    assert tokens().stands_for(noise) is None


@given(st.integers(0, 69), st.integers(1, 255))
def test_no_character_of_a_token_can_be_changed(place: int, by: int) -> None:
    """Attack 83: key id, time, nonce and tag are all under the tag or are it."""
    token = bytearray(token_of())
    token[place] = (token[place] + by) % 256
    assert not tokens().genuine(bytes(token), SID, NOW)


@given(st.integers(0, 69))
def test_a_truncated_token_is_none(size: int) -> None:
    """Attack 83: a prefix of a tag is no tag."""
    assert not tokens().genuine(token_of()[:size], SID, NOW)


@pytest.mark.parametrize(
    "spelling", ["%s=", "%s==", " %s", "%s ", "%s\n", "\t%s", "%s%%3D", '"%s"', "%s.", "%sA", "A%s", "!%s"]
)
def test_a_token_has_one_spelling(spelling: str) -> None:
    """Attack 83: base64 decoders skip what they do not know, so a token is compared as it would be written."""
    assert not tokens().genuine((spelling % token_of().decode()).encode(), SID, NOW)
    assert tokens().genuine(token_of(), SID, NOW)


def test_stray_bits_of_the_last_character_are_no_other_spelling() -> None:
    """Attack 83: 52 bytes end with two bits to spare in their last character."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = token_of().decode()
    assert [last for last in alphabet if tokens().genuine((good[:-1] + last).encode(), SID, NOW)] == [
        good[-1]
    ]
    ambiguous = next(token for n in range(256) if b"-" in (token := token_of(nonce=bytes([n]) * NONCE)))
    assert not tokens().genuine(ambiguous.replace(b"-", b"+"), SID, NOW)


def test_a_token_outlives_the_promotion_of_a_secret_and_not_its_removal() -> None:
    """R10; ASVS 11.2.2: append, move to the front, remove; and each secret is known by its own id alone."""
    token = token_of(SID, OLD)
    assert tokens(OLD, NEW).genuine(token, SID, NOW)
    assert tokens(NEW, OLD).genuine(token, SID, NOW)
    assert not tokens(NEW).genuine(token, SID, NOW)
    raw = opened(token)
    relabelled = spelt(KeyRing([NEW]).signing.key_id + raw[3:])
    assert not tokens(NEW, OLD).genuine(relabelled, SID, NOW)


def test_a_tag_under_the_key_of_another_purpose_is_none() -> None:
    """Attack 19: an access, refresh or session key makes no CSRF token."""
    raw = opened(token_of())
    root = KeyRing([NEW]).signing
    for purpose in Purpose:
        tag = hmac.digest(root.key(purpose), b"watchword/csrf/1" + raw[:20] + SID.encode(), "sha256")
        assert tokens().genuine(spelt(raw[:20] + tag), SID, NOW) is (purpose is Purpose.CSRF)


def test_a_binding_cannot_run_into_what_is_before_it() -> None:
    """The head has a fixed size: moving characters between nonce and binding makes another token."""
    token = token_of("abc", nonce=b"n" * NONCE)
    assert not tokens().genuine(token, "nabc", NOW)
    assert not tokens().genuine(token, "ab", NOW)
    assert not tokens().genuine(token, "", NOW)


def test_a_stand_in_tells_its_session_and_is_no_token() -> None:
    """Attack 83: it is minted for who has signed in; an id alone, or a token of that session, makes none."""
    ring = tokens(OLD, NEW)
    stand_in = ring.stand_in(SID).encode()
    assert ring.stands_for(stand_in) == SID
    assert tokens(NEW, OLD).stands_for(stand_in) == SID
    assert tokens(NEW).stands_for(stand_in) is None
    assert not ring.genuine(stand_in, SID, NOW)
    for other in (SID.encode(), token_of(SID, OLD), stand_in[:-1], stand_in + b"=", stand_in[1:], b""):
        assert ring.stands_for(other) is None
    raw = opened(stand_in)
    swapped = raw[:3] + UUID(OTHER).bytes + raw[19:]
    assert ring.stands_for(spelt(swapped)) is None


def test_tags_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98; ASVS 11.2.4: the only comparison of secret bytes is `hmac.compare_digest`, over whole tags."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    token, stand_in = token_of(), tokens().stand_in(SID).encode()
    assert tokens().genuine(token, SID, NOW)
    assert not tokens().genuine(token, OTHER, NOW)
    assert tokens().stands_for(stand_in) == SID
    assert [len(one) for pair in compared for one in pair] == [32] * 6
