"""Which passwords are acceptable. Pure: text in, text or InvalidRequest out.

At least 8 characters, at most 1,024 bytes, none cut off, no rule about kinds of characters; not among the common
ones, not made of the user's own address or name. NFC is the only change made to it (ASVS asks for none, NIST for
normalising: two keyboards that write «é» differently must agree).
Sources: ASVS 5.0 6.2.1, 6.2.4, 6.2.5, 6.2.8, 6.2.9, 6.2.11; NIST SP 800-63B-4 §3.1.1.2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources

from watchword.errors import FieldError, InvalidRequest

MIN_CHARACTERS = 8
MAX_BYTES = 1024
_DIGITS = "0123456789"
_ORNAMENTS = _DIGITS + " !?.,;:-_+*#$%&/()=@'\""
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
    "qazwsxedcrfvtgb",
    "qazxswedcvfrtgb",
    "zaqwsxcderfvbgt",
    "qwaszx",
)
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
    cores = _cores(text)
    if not _common().isdisjoint(cores) or any(_is_run(core, text) for core in cores) or _is_number(text):
        raise _invalid(field, "too_common", "This is among the first that anybody would try.")
    if not _own_words(context).isdisjoint(cores):
        raise _invalid(field, "too_personal", "This is your own address or name.")
    return text


def _cores(text: str) -> set[str]:
    """What is left when decoration goes: case, digits and signs at the ends or in between, letters written as signs,
    repetition. Several readings, as `$` may be an S or an ornament; none of what holds no letter."""
    folded = text.casefold()
    letters = "".join(character for character in folded if character not in _ORNAMENTS)
    if not letters:
        return set()
    readings = {
        folded.strip(_ORNAMENTS).translate(_LEET),
        folded.strip(_DIGITS).translate(_LEET).strip(_ORNAMENTS),
    }
    if len(letters) >= 4 and len(letters) * 2 >= len(folded):
        readings.add(letters)
    return {_once(reading) for reading in readings}


def _once(text: str) -> str:
    """The part that a text is a repetition of: itself, mostly."""
    return text[: (text + text).find(text, 1)]


def _is_run(core: str, text: str) -> bool:
    """A walk along the alphabet or a row of keys; or next to nothing, unless much else is around it."""
    if len(core) < 3 and len(text) >= 12:
        return _is_simple("".join(character for character in text if character in _ORNAMENTS), least=8)
    return len(core) < 2 or any(core in row or core in row[::-1] for row in _ROWS)


def _is_number(text: str) -> bool:
    """Digits and signs alone are dates, telephone numbers and runs, unless there are many that do not repeat."""
    return not text.strip(_ORNAMENTS) and _is_simple(text, least=16)


def _is_simple(text: str, *, least: int) -> bool:
    digits = "".join(character for character in text if character in _DIGITS)
    counting = _DIGITS * 4
    counts = digits != "" and (digits in counting or digits in counting[::-1])
    return counts or len(_once(text)) < least


def _own_words(context: Sequence[str | None]) -> set[str]:
    """Each address, name or URL: as it is, without its domain, in its words and without what parts them."""
    words = set()
    for part in filter(None, context):
        local = part.partition("@")[0]
        words.update([part, local, re.sub(r"[\W_]+", "", local), *re.split(r"[\W_]+", part)])
    return {core for word in words for core in _cores(word)}


@cache
def _common() -> frozenset[str]:
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _invalid(field: str, code: str, message: str) -> InvalidRequest:
    return InvalidRequest(errors=(FieldError(field, code, message),))
