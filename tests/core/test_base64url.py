"""base64url: each value has one spelling, and nothing else is read."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.base64url import decode, encode


@given(st.binary(max_size=100))
def test_what_is_written_is_read(raw: bytes) -> None:
    """RFC 4648 §5, without its padding."""
    assert decode(encode(raw)) == raw
    assert encode(raw) == urlsafe_b64encode(raw).rstrip(b"=")


@given(st.binary(max_size=40))
def test_what_can_be_read_is_how_it_is_written(text: bytes) -> None:
    """Attack 37: whatever else decodes to the same bytes is refused."""
    try:
        raw = decode(text)
    except ValueError:
        return
    assert encode(raw) == text


@pytest.mark.parametrize(
    "text", [b"QQ==", b"QR", b"Q", b"Q Q", b"QQ\n", b"+/+/", b"QUJD=", b"=", b"\xff\xff", b"QQ!"]
)
def test_padding_stray_bits_and_other_signs_are_refused(text: bytes) -> None:
    """Attack 37."""
    with pytest.raises(ValueError):  # noqa: PT011 - of the standard library or ours, of whatever wording
        decode(text)
