"""How a secret could stand in a file: for the tests that prove that it does not."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode


def ways(secret: bytes) -> dict[str, bytes]:
    """The encodings that programs and databases write such things in, by name."""
    written = {
        "plain": secret,
        "utf-16": secret.decode("latin-1").encode("utf-16-le"),
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
    }
    # Where it begins within a group of three bytes decides what base64 makes of it: six bits a character, and those
    # that its neighbours have a part in are left out.
    for shift in range(3):
        first, last = -(-8 * shift // 6), 8 * (shift + len(secret)) // 6
        for name, encode in (("base64", b64encode), ("base64url", urlsafe_b64encode)):
            written[f"{name} at {shift}"] = encode(bytes(shift) + secret)[first:last]
    return written


def traces(matter: bytes, secret: bytes) -> list[str]:
    """The ways in which it stands in there."""
    return [name for name, text in ways(secret).items() if text in matter]
