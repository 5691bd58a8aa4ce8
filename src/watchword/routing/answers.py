"""What our routes answer: the models that document it, and the responses themselves.

Sources: RFC 9457; ASVS 5.0 4.1.1, 15.3.1.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from watchword.errors import Problem
from watchword.http.problem import MEDIA_TYPE, Headers, document, headers
from watchword.settings import FieldCase
from watchword.texts import camel


class ProblemDocument(BaseModel):
    """RFC 9457, with our members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] | None = None
    retry_after: int | None = None


class Ok(BaseModel):
    """Done."""

    ok: bool
    message: str | None = None


class UserBody(BaseModel):
    """A user, as the user may see it."""

    id: str
    email: str
    email_verified: bool
    username: str | None
    roles: list[str]
    two_factor: bool
    created_at: datetime


class SessionBody(BaseModel):
    """A session, as its user may see it."""

    id: str
    created_at: datetime
    expires_at: datetime
    auth_time: datetime


class Tokens(BaseModel):
    """Renewed tokens: in this body or in cookies, as the session's mode says. Times are in seconds."""

    expires_in: int
    refresh_timeout: float
    access_token: str | None = None
    token_type: str | None = None
    refresh_token: str | None = None


class SignedIn(Tokens):
    """A sign-in that is complete."""

    user: UserBody
    session: SessionBody


class NextStep(BaseModel):
    """A sign-in that needs something more."""

    class Next(BaseModel):
        """What comes next; for a second step, by which methods, and for how many seconds its code is good."""

        step: str
        methods: list[str] | None = None
        expires_in: int | None = None

    next: Next
    two_factor_token: str | None = None


class CodeSent(BaseModel):
    """Another code is on its way, good for so many seconds."""

    ok: bool
    expires_in: int


class FactorBody(BaseModel):
    """A second step that is turned on."""

    id: str
    method: str
    created_at: datetime


class Factors(BaseModel):
    """The user's second steps; `required` says that a sign-in takes one all the same."""

    factors: list[FactorBody]
    required: bool


class Enrolled(BaseModel):
    """A second step that has been turned on."""

    factor: FactorBody


class Me(BaseModel):
    """Who is signed in."""

    user: UserBody
    session: SessionBody


class Device(BaseModel):
    """One session in the list of devices."""

    id: str
    label: str
    ip: str
    created_at: datetime
    last_used_at: datetime
    current: bool


class CsrfToken(BaseModel):
    """To be sent back in `X-CSRF-Token`, beside the cookie that comes with it."""

    csrf_token: str


class Devices(BaseModel):
    """All live sessions of the user, newest first."""

    sessions: list[Device]


class Reply(Protocol):
    """Makes the JSON answers of one configuration."""

    def __call__(
        self, body: dict[str, Any], lines: Headers | None = None, *, status: int = 200
    ) -> Response: ...


class _Written(Response):
    """JSON as it is, without what Response works out by itself for any kind of content."""

    def __init__(self, body: bytes, lines: Headers, status: int) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        length = (b"content-length", b"%d" % len(body))
        self.raw_headers = [length, (b"content-type", b"application/json"), *lines]


_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def replies(case: FieldCase) -> Reply:
    """A JSON answer with extra header lines, its keys in the case that the settings name."""
    spell: Callable[[Any], Any] = _in_camel_case if case is FieldCase.CAMEL else lambda body: body

    def reply(body: dict[str, Any], lines: Headers | None = None, *, status: int = 200) -> Response:
        return _Written(_write(spell(body)).encode(), lines or [], status)

    return reply


def _in_camel_case(value: Any) -> Any:
    """The same with every key in camel case, however deep."""
    if isinstance(value, dict):
        return {camel(key): _in_camel_case(item) for key, item in value.items()}
    return [_in_camel_case(item) for item in value] if isinstance(value, list) else value


def problem_response(problem: Problem, *, docs: str) -> Response:
    """A problem document as a Starlette response."""
    lines = headers(problem)
    response = JSONResponse(document(problem, docs=docs), status_code=problem.status, media_type=MEDIA_TYPE)
    response.raw_headers.extend(line for line in lines if line[0] != b"content-type")
    return response


def answers(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: each status with the codes that it may carry."""
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        status: {
            "description": " · ".join(f"`{problem.code}`: {problem.title}" for problem in kinds),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status, kinds in by_status.items()
    }
