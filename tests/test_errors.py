"""The registry of codes: a contract with every client, so every line of it stands here a second time."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from watchword.errors import (
    BadRequest,
    ChallengeFailed,
    FieldError,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    NotAuthenticated,
    Overloaded,
    Problem,
    ReauthenticationRequired,
    RefreshReused,
    RefreshSuperseded,
    SessionEnded,
    SettingsError,
    StaleSchemaError,
    TokenExpired,
    Unauthorized,
    WatchwordError,
    registry,
)

STATUSES = {
    "bad_request": 400,
    "challenge_expired": 401,
    "code_invalid": 401,
    "invalid_credentials": 401,
    "invalid_token": 401,
    "reauthentication_required": 401,
    "refresh_reused": 401,
    "session_ended": 401,
    "token_expired": 401,
    "csrf_rejected": 403,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "already_exists": 409,
    "refresh_superseded": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "too_many_attempts": 429,
    "rate_limited": 429,
    "internal_error": 500,
    "overloaded": 503,
    "unavailable": 503,
}
LATER = {
    "signup_closed": 403,
}
"""Of the design, but of features that are not built yet."""

# RFC 6750 §3: auth-param with quoted values of these characters only.
PARAMETER = r'[a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"'
CHALLENGE = re.compile(f"Bearer(?: {PARAMETER}(?:, {PARAMETER})*)?")


def subclasses(kind: type[Problem]) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def example(kind: type[Problem]) -> Problem:
    if kind is StaleSchemaError:
        return StaleSchemaError("It needs `watchword migrate`.")
    return ReauthenticationRequired(300) if kind is ReauthenticationRequired else kind()


OURS = [kind for kind in subclasses(Problem) if kind.__module__.startswith("watchword.")]
RAISED = [kind for kind in OURS if hasattr(kind, "code")]


def test_the_registry_holds_the_codes_of_the_design_with_their_statuses() -> None:
    """DESIGN §4.7; ASVS 16.5.1; R22."""
    codes = {kind.code: kind.status for kind in registry()}
    assert {code: status for code, status in codes.items() if code not in LATER} == STATUSES
    assert {code: status for code, status in codes.items() if code in LATER} == {
        code: status for code, status in LATER.items() if code in codes
    }


def test_the_registry_is_in_order_and_has_each_code_once() -> None:
    """DESIGN §4.7: one class a code, the general one."""
    kinds = list(registry())
    assert [kind.code for kind in kinds] == [
        kind.code for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    ]
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert InvalidToken in kinds
    assert NotAuthenticated not in kinds


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_problem_leads_to_a_code_of_the_registry(kind: type[Problem]) -> None:
    """DESIGN §4.7: a base without a code is never raised, a leaf is never left out."""
    if kind in (Unauthorized, ChallengeFailed):
        assert not hasattr(kind, "code")
        return
    known = {listed.code: listed for listed in registry()}
    assert issubclass(kind, known[kind.code])
    assert kind.status == known[kind.code].status


@pytest.mark.parametrize(
    "kind", [k for k in RAISED if k is not StaleSchemaError], ids=lambda kind: kind.__name__
)
def test_a_problem_speaks_of_itself_in_one_sentence(kind: type[Problem]) -> None:
    """ASVS 16.5.1: title and detail, and nothing of any internals."""
    problem = example(kind)
    assert problem.title.endswith(".")
    assert problem.title[0].isupper()
    assert str(problem) == problem.detail
    assert problem.detail.endswith(".")
    assert (problem.errors, problem.retry_after, problem.headers) == ((), None, ())
    assert isinstance(problem, WatchwordError)


def test_a_problem_carries_what_it_was_given() -> None:
    """DESIGN §4.7; RFC 9457."""
    wrong = FieldError("email", "invalid_email", "No address.")
    problem = InvalidRequest("Two fields.", errors=(wrong,), retry_after=3, headers=(("x", "y"),))
    assert (str(problem), problem.detail) == ("Two fields.", "Two fields.")
    assert (problem.errors, problem.retry_after, problem.headers) == ((wrong,), 3, (("x", "y"),))
    assert Overloaded(retry_after=2).detail == Overloaded.title


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
def test_a_challenge_is_spelled_as_rfc_6750_says_and_only_401s_have_one(kind: type[Problem]) -> None:
    """ASVS 4.1.1; RFC 6750 §3, RFC 9110 §11.6.1."""
    challenge = example(kind).challenge
    assert (challenge is not None) is (kind.status == 401)
    if challenge is None:
        return
    assert CHALLENGE.fullmatch(challenge)
    assert challenge.isascii()


def test_without_credentials_no_error_is_named() -> None:
    """RFC 6750 §3.1; DESIGN §4.7: the same code, as a client does the same about it."""
    problem = NotAuthenticated()
    assert problem.challenge == "Bearer"
    assert (problem.code, problem.status) == ("invalid_token", 401)
    assert isinstance(problem, InvalidToken)


@pytest.mark.parametrize("kind", [InvalidToken, TokenExpired, SessionEnded, RefreshReused])
def test_a_token_that_does_not_count_is_an_invalid_token_to_rfc_6750(kind: type[Problem]) -> None:
    """RFC 6750 §3.1: whatever our own code tells beyond that."""
    assert example(kind).challenge == f'Bearer error="invalid_token", error_description="{kind.title}"'


def test_a_stale_sign_in_is_told_by_rfc_9470() -> None:
    """RFC 9470 §3; ASVS 7.5.1."""
    problem = ReauthenticationRequired(300)
    assert problem.challenge == 'Bearer error="insufficient_user_authentication", max_age="300"'
    assert problem.max_age == 300
    assert "300 seconds" in problem.detail


def test_a_wrong_password_is_not_called_an_invalid_token() -> None:
    """RFC 9110 §11.6.1, RFC 6750 §3.1; W1: a challenge there must be, but none that asks for a refresh."""
    assert InvalidCredentials().challenge == "Bearer"


def test_a_detail_of_ours_never_reaches_the_challenge() -> None:
    """Attack 90; RFC 6750 §3: quotes or line breaks in it would split the header."""
    told = 'A "quoted"\r\nSet-Cookie: x=y detail'
    assert InvalidToken(told).challenge == InvalidToken().challenge
    assert InvalidToken(told).detail == told


def test_what_stops_a_start_is_told_to_operators_alone() -> None:
    """ASVS 16.5.1: settings never reach a client; a schema that grew old meanwhile is a 503 that says no more."""
    assert issubclass(SettingsError, WatchwordError)
    assert not issubclass(SettingsError, Problem)
    stale = StaleSchemaError("It needs `watchword migrate`.")
    assert (stale.status, stale.code, str(stale)) == (503, "unavailable", "It needs `watchword migrate`.")
    assert "migrate" not in stale.detail


def test_a_refusal_can_be_caught_at_any_height() -> None:
    """DESIGN §3."""
    for raised in (RefreshSuperseded, BadRequest):
        with pytest.raises(WatchwordError):
            raise raised
    with pytest.raises(Unauthorized):
        raise SessionEnded
