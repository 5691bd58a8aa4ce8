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
"""Characters of each end that are judged: a part that is good makes the whole good, and judging takes time."""
_SIGNS = frozenset("@({[<&#!|/$+%")
_MOST_SIGNS = 4
"""Signs that stand for letters are tried in all combinations. Nobody's favourite has more different ones."""


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
    """A new password, normalised: slow work, not for an event loop.

    `context` is what a guesser knows of its owner (address, name, site).
    """
    from zxcvbn import zxcvbn  # here, as its lists take a tenth of a second and most processes never judge

    text = normalise(password, field=field)
    if len(text) < MIN_CHARACTERS:
        raise _invalid(field, "too_short", f"At least {MIN_CHARACTERS} characters.")
    if len(_SIGNS.intersection(text)) > _MOST_SIGNS:
        return text
    own_words = _own_words(context)
    # A long text is as good as the better of its two ends.
    verdicts = [zxcvbn(part, user_inputs=own_words) for part in {text[:_JUDGED], text[-_JUDGED:]}]
    verdict = max(verdicts, key=lambda verdict: verdict["guesses_log10"])
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
