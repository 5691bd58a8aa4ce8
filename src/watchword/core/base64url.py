"""base64url without padding (RFC 4648 §5), in one spelling for each value. Pure."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def encode(raw: bytes) -> bytes:
    """The one spelling of these bytes."""
    return b2a_base64(raw, newline=False).translate(_TO_URL, b"=")


def decode(text: bytes) -> bytes:
    """The bytes of what `encode` writes. Raises ValueError for any other spelling: padding, stray bits, other signs."""
    raw = decode_any(text)
    if encode(raw) != text:
        raise ValueError("not the canonical base64url form")
    return raw


def decode_any(text: bytes) -> bytes:
    """The bytes of any spelling, for who writes them again and compares. Raises ValueError for what has none."""
    return a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4))
