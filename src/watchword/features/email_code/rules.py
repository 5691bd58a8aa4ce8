"""What a request about codes may say. Pure: text in, value or InvalidRequest out.

Email is a second step and no factor of its own: whoever reads the mailbox may reset the password too, so `amr` says
`otp` and never `mfa`.
Sources: ASVS 5.0 6.3.6, 6.5.4; NIST SP 800-63B-4 §3.1.3.1; RFC 8176; SECURITY-TARGET attacks 57, 59.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchword.core.challenge import is_code
from watchword.errors import FieldError, InvalidRequest

PROOF = "otp"
"""How a code is called in `amr` (RFC 8176)."""


def proven(before: Sequence[str]) -> tuple[str, ...]:
    """The `amr` of a login that began with `before` and was completed by a code."""
    return (*before, PROOF)


def code(text: str) -> str:
    """Six ASCII digits as they are, nothing trimmed and nothing converted. Raises InvalidRequest."""
    if not is_code(text):
        raise InvalidRequest(errors=(FieldError("code", "invalid_code", "Six digits, 0 to 9."),))
    return text
