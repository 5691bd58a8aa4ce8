"""Facts: what happened, told after it was written. No behaviour, no secret, nothing that is not yet true.

A flow that has written its outcome returns or emits these; whoever keeps or counts them is a port.
Source: ASVS 5.0 16.1.1, 16.2.1, 16.3.1–16.3.4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `at` is µs since 1970; `ip` is the client's address as the proxy rules resolved it; `by` is who did it,
    if it was not a client: `app`, `cli`."""

    name: str
    at: int
    user_id: str | None = None
    sid: str | None = None
    ip: str | None = None
    detail: str | None = None
    by: str | None = None


SIGNED_IN = "signed_in"
SIGN_IN_FAILED = "sign_in_failed"
CODE_SENT = "code_sent"
CODE_FAILED = "code_failed"
CODE_REFUSED = "code_refused"
"""A budget was spent: of guesses or of codes."""
RATE_LIMITED = "rate_limited"
SESSION_ENDED = "session_ended"
SESSION_AHEAD = "session_ahead"
REFRESH_REUSED = "refresh_reused"
REAUTHENTICATED = "reauthenticated"
USER_CREATED = "user_created"
USER_DELETED = "user_deleted"
STATUS_CHANGED = "status_changed"
PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of a fact
RESET_REQUESTED = "reset_requested"
"""Of nobody, where no link was sent."""
RESET_REFUSED = "reset_refused"
REGISTERED_AGAIN = "registered_again"
"""Somebody signed up with an address that was there already."""
VERIFY_REQUESTED = "verify_requested"
"""Of nobody, where no link was sent."""
VERIFY_REFUSED = "verify_refused"
ROLES_CHANGED = "roles_changed"
ADDRESS_REQUESTED = "address_requested"
ADDRESS_CHANGED = "address_changed"
FACTOR_ADDED = "factor_added"
FACTOR_REMOVED = "factor_removed"
MAIL_DELAYED = "mail_delayed"
MAIL_FAILED = "mail_failed"
ACCESS_DENIED = "access_denied"
"""A request was refused what it asked for, by whoever it was sent; the detail is the code of the answer."""
CONTROL_FAILED = "control_failed"
"""Something that protects does not work; the detail says what. What depends on it is refused meanwhile."""
CONTROL_RESTORED = "control_restored"
EVENTS_LOST = "events_lost"
"""So many were not written into the table. They are in the log and in `events_file`."""
