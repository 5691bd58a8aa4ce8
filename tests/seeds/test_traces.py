"""The search for secrets finds one in every encoding, whatever stands around it."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest

from tests.seeds.traces import traces

SECRET = b"\xff\xef\xbe492817"
"""With both of the characters in which the two alphabets of base64 differ."""


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode, bytes.hex, bytes])
def test_a_secret_within_something_encoded_is_found(encode: object, before: int, after: int) -> None:
    assert callable(encode)
    text = encode(b"!" * before + SECRET + b"?" * after)
    matter = text.encode() if isinstance(text, str) else text
    assert traces(b"before " + matter + b" after", SECRET)
    assert not traces(b"before " + matter + b" after", b"\xff\xef\xbe592817")
