"""Every way in which Watchword says no: one class a code, in one tree.

A subclass carries its stable `code`, HTTP status and title, and nothing about any request; docs, OpenAPI and the
client are fed from `registry()`. Raise the leaf that names the fact; catch at whatever height you need.
Sources: RFC 9457 (problem details), RFC 6750 §3.1, RFC 9470, ASVS 5.0 16.5.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class WatchwordError(Exception):
    """Base of all errors that Watchword raises on purpose. Never raised itself."""


class SettingsError(WatchwordError):
    """The settings contradict themselves or the place that they are used in; `str()` says what to do."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a request. `code` is stable, `message` is for people."""

    field: str
    code: str
    message: str


class MailError(WatchwordError):
    """Base of what can go wrong with one message. `str()` may hold what the server said, and so an address; `reason`
    may be logged."""

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(f"{reason}: {said}" if said else reason)
        self.reason = reason


class MailRefused(MailError):
    """The server will not take this message: not from us, or not for this address."""


class MailDelayed(MailError):
    """This message could not be sent now; later it may be."""


class MailUnreachable(MailDelayed):
    """There is no talking to the server at all: no other message would fare better."""


class Problem(WatchwordError):
    """Base of the errors that a client is told about, as a problem document."""

    code: str
    status: int
    title: str

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`detail` is shown to the client; `retry_after` is in seconds; `headers` go on the answer."""
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = errors
        self.retry_after = retry_after
        self.headers = headers

    @property
    def challenge(self) -> str | None:
        """The WWW-Authenticate header of this answer, if it has one."""
        return None


class BadRequest(Problem):
    code, status, title = "bad_request", 400, "The request could not be read."


class MethodNotAllowed(Problem):
    code, status, title = "method_not_allowed", 405, "This address does not answer that method."


class PayloadTooLarge(Problem):
    code, status, title = "payload_too_large", 413, "The body is larger than any valid one."


class UnsupportedMediaType(Problem):
    code, status, title = "unsupported_media_type", 415, "The body must be application/json."


class InvalidRequest(Problem):
    code, status, title = "invalid_request", 422, "Some fields are not valid."


class Unauthorized(Problem):
    """Base of the 401s."""

    status = 401

    @property
    def challenge(self) -> str | None:
        return f'Bearer error="invalid_token", error_description="{self.title}"'


class InvalidCredentials(Unauthorized):
    code, title = "invalid_credentials", "The login or the password is wrong."

    @property
    def challenge(self) -> str | None:
        return "Bearer"


class ChallengeFailed(Unauthorized):
    """Base of the answers to a challenge that are refused."""

    @property
    def challenge(self) -> str | None:
        return "Bearer"


class CodeInvalid(ChallengeFailed):
    code, title = "code_invalid", "The code is wrong."


class ChallengeExpired(ChallengeFailed):
    """There is no such challenge, or no more: which of the two is nobody's business (SECURITY-TARGET attack 62)."""

    code, title = "challenge_expired", "This has expired or was used already: begin again."


class InvalidToken(Unauthorized):
    """A token that is not one of ours. See `NotAuthenticated` for a request without any."""

    code, title = "invalid_token", "The token is not valid."


class NotAuthenticated(InvalidToken):
    """No credentials at all: the same code, but no error parameter (RFC 6750 §3.1)."""

    title = "Sign in first."

    @property
    def challenge(self) -> str | None:
        return "Bearer"


class TokenExpired(Unauthorized):
    code, title = "token_expired", "The access token has expired: refresh it."


class SessionEnded(Unauthorized):
    code, title = "session_ended", "The session has ended: sign in again."


class RefreshReused(Unauthorized):
    code, title = "refresh_reused", "This refresh token was used before; the session was ended for safety."


class ReauthenticationRequired(Unauthorized):
    """Step-up (RFC 9470). `max_age` is in seconds."""

    code, title = "reauthentication_required", "Prove again that it is you."

    def __init__(self, max_age: int) -> None:
        super().__init__(f"This needs a sign-in that is at most {max_age} seconds old.")
        self.max_age = max_age

    @property
    def challenge(self) -> str | None:
        return f'Bearer error="insufficient_user_authentication", max_age="{self.max_age}"'


class CsrfRejected(Problem):
    code, status, title = "csrf_rejected", 403, "The request does not come from a page that is trusted."


class SignupClosed(Problem):
    code, status, title = "signup_closed", 403, "Nobody can sign up here."


class Forbidden(Problem):
    code, status, title = "forbidden", 403, "You may not do this."


class StillReferenced(Forbidden):
    """A row of the app's own refers to a user, and does not go with them (ON DELETE CASCADE)."""

    title = "Something in this app still refers to the account, so that it cannot be deleted."


class NotFound(Problem):
    code, status, title = "not_found", 404, "There is nothing here."


class AlreadyExists(Problem):
    code, status, title = "already_exists", 409, "There is one already."


class RefreshSuperseded(Problem):
    code, status, title = "refresh_superseded", 409, "A newer token was just issued: retry with that one."


class TooManyAttempts(Problem):
    code, status, title = "too_many_attempts", 429, "Too many wrong codes: try again later."


class RateLimited(Problem):
    code, status, title = "rate_limited", 429, "Too many requests: try again later."


class InternalError(Problem):
    code, status, title = "internal_error", 500, "Something went wrong on our side."


class Overloaded(Problem):
    code, status, title = "overloaded", 503, "Too much is going on: try again shortly."


class Unavailable(Problem):
    code, status, title = (
        "unavailable",
        503,
        "Something that we depend on does not answer: try again shortly.",
    )


class StaleSchemaError(Unavailable):
    """The database's tables are not the ones that this version needs; `watchword migrate` brings them up.

    An operator reads the message; a client only learns that the service is unavailable.
    """

    def __init__(self, message: str) -> None:
        super().__init__(retry_after=5)
        self.args = (message,)


def registry() -> Iterator[type[Problem]]:
    """Every problem that a client may see, by status, one class a code."""
    seen: dict[str, type[Problem]] = {}
    pending = list(Problem.__subclasses__())
    while pending:
        kind = pending.pop(0)
        pending.extend(kind.__subclasses__())
        if hasattr(kind, "code"):
            seen.setdefault(kind.code, kind)
    yield from sorted(seen.values(), key=lambda kind: (kind.status, kind.code))
