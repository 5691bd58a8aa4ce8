"""What a database must do for whoever repairs one that has lost its last commits: the rest of `stores`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from watchword.core.mail import Mail
from watchword.core.revocation import Revoked


class Repairs(Protocol):
    """The part of a store that writes what is known from elsewhere. All verbs raise Unavailable when the database does
    not answer."""

    async def forget_password(
        self, user_id: str, *, now: int, keep: str | None, mail: Mail
    ) -> Sequence[Revoked] | None:
        """No digest any more, so that no password is right; every session but `keep` ended (End.PASSWORD), and every
        challenge; the mail that tells of it. None, and nothing written, when there is no such user."""

    async def revoke_unknown(self, sid: str, *, now: int) -> Revoked | None:
        """Have guards refuse the access tokens of a session that has no row here. None, and nothing written, when it is
        revoked already."""
