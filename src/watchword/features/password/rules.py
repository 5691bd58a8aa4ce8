"""Which passwords are acceptable. Pure: text in, text or InvalidRequest out.

At least 8 characters, at most 1,024 bytes, none cut off, no rule about kinds of characters; not among the common
ones, not made of the user's own address or name. NFC is the only change made to it (ASVS asks for none, NIST for
normalising: two keyboards that write «é» differently must agree).
Sources: ASVS 5.0 6.2.1, 6.2.4, 6.2.5, 6.2.8, 6.2.9, 6.2.11; NIST SP 800-63B-4 §3.1.1.2.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources

from watchword.errors import FieldError, InvalidRequest

MIN_CHARACTERS = 8
MAX_BYTES = 1024
_LEET = str.maketrans("01345789@$!|", "oleastbgasil")


def normalise(password: str, *, field: str = "password") -> str:
    """NFC. Raises InvalidRequest for one too long to look at, or that holds lone surrogates."""
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise _invalid(field, "invalid_text", "This holds characters that are no valid Unicode.") from None
    if size > MAX_BYTES:
        raise _invalid(field, "too_long", f"At most {MAX_BYTES} bytes.")
    return unicodedata.normalize("NFC", password)


def acceptable(password: str, *, context: Sequence[str | None] = (), field: str = "password") -> str:
    """A new password, normalised. `context` are words that it may not consist of (address, name, site)."""
    text = normalise(password, field=field)
    if len(text) < MIN_CHARACTERS:
        raise _invalid(field, "too_short", f"At least {MIN_CHARACTERS} characters.")
    core = _core(text)
    if not core or core in _common() or _is_run(core):
        raise _invalid(field, "too_common", "This is among the first that anybody would try.")
    own = {_core(word) for part in context if part for word in [part, *part.replace("@", ".").split(".")]}
    if core in own:
        raise _invalid(field, "too_personal", "This is your own address or name.")
    return text


def _core(text: str) -> str:
    """What is left when decoration goes: case, digits and signs at the ends, letters written as signs, repetition."""
    folded = text.casefold().strip("0123456789 !?.,;:-_+*#$%&/()=@'\"")
    folded = folded.translate(_LEET)
    for size in range(1, len(folded) // 2 + 1):
        if len(folded) % size == 0 and folded[:size] * (len(folded) // size) == folded:
            return folded[:size]
    return folded


def _is_run(core: str) -> bool:
    """One character, or a walk along the alphabet or a row of keys."""
    rows = (
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiop",
        "asdfghjkl",
        "zxcvbnm",
        "qwertzuiop",
        "azertyuiop",
        "qazwsxedc",
    )
    return len(core) < 2 or any(core in row or core in row[::-1] for row in rows)


@cache
def _common() -> frozenset[str]:
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _invalid(field: str, code: str, message: str) -> InvalidRequest:
    return InvalidRequest(errors=(FieldError(field, code, message),))
