"""base64url without padding (RFC 4648 §5), in one spelling for each value. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(raw: bytes) -> bytes:
    """The one spelling of these bytes."""
    return urlsafe_b64encode(raw).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """The bytes of what `encode` writes. Raises ValueError for any other spelling: padding, stray bits, other signs."""
    raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("not the canonical base64url form")
    return raw
