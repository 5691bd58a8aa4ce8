"""What a code proves. Pure.

Email is a second step and no factor of its own: whoever reads the mailbox may reset the password too, so `amr` says
`otp` and never `mfa`.
Sources: ASVS 5.0 6.3.6; NIST SP 800-63B-4 §3.1.3.1; RFC 8176; SECURITY-TARGET attack 59.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchword.core.challenge import PROOF


def proven(before: Sequence[str]) -> tuple[str, ...]:
    """The `amr` of a login that began with `before` and was completed by a code."""
    return (*before, PROOF)
