"""Which passwords are acceptable. Pure: text in, text or InvalidRequest out.

At least 8 characters, at most 1,024 bytes, none cut off, no rule about kinds of characters; none that zxcvbn, which
knows leaked passwords, names, dates and rows of keys, would guess within a million attempts. NFC is the only change
made to a password (ASVS asks for none, NIST for normalising: two keyboards that write «é» differently must agree).
Sources: ASVS 5.0 6.2.1, 6.2.4, 6.2.5, 6.2.8, 6.2.9, 6.2.11; NIST SP 800-63B-4 §3.1.1.2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from watchword.errors import FieldError, InvalidRequest

MIN_CHARACTERS = 8
MAX_BYTES = 1024
MIN_GUESSES_LOG10 = 6
_JUDGED = 40
"""Characters that are judged: what is good so far cannot get worse, and judging takes time."""


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
    """A new password, normalised. `context` is what a guesser knows of its owner (address, name, site)."""
    from zxcvbn import zxcvbn  # here, as its lists take a tenth of a second and most processes never judge

    text = normalise(password, field=field)
    if len(text) < MIN_CHARACTERS:
        raise _invalid(field, "too_short", f"At least {MIN_CHARACTERS} characters.")
    verdict = zxcvbn(text[:_JUDGED], user_inputs=_own_words(context))
    if verdict["guesses_log10"] < MIN_GUESSES_LOG10:
        own = any(match.get("dictionary_name") == "user_inputs" for match in verdict["sequence"])
        code, message = ("too_personal", "This is your own address or name.") if own else _COMMON
        raise _invalid(field, code, message)
    return text


_COMMON = ("too_common", "This is among the first that anybody would try.")


def _own_words(context: Sequence[str | None]) -> list[str]:
    """Each address, name or URL: as it is, without its domain, in its words and without what parts them."""
    words = []
    for part in filter(None, context):
        local = part.partition("@")[0]
        words += [part, local, re.sub(r"[\W_]+", "", local), *re.split(r"[\W_]+", part)]
    return [word for word in words if len(word) > 2]


def _invalid(field: str, code: str, message: str) -> InvalidRequest:
    return InvalidRequest(errors=(FieldError(field, code, message),))
