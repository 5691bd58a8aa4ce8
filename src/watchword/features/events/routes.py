"""GET /events: what happened to my account, and from where."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from watchword.core.record import Recorded
from watchword.errors import (
    BadRequest,
    FieldError,
    InvalidRequest,
    InvalidToken,
    SessionEnded,
    TokenExpired,
    Unavailable,
)
from watchword.flows.activity import MOST, history
from watchword.http.shapes import instant
from watchword.http.site import Site
from watchword.routing.answers import answers, replies

_PROBLEMS = (BadRequest, InvalidRequest, InvalidToken, TokenExpired, SessionEnded, Unavailable)


class EventBody(BaseModel):
    """Something that happened: `session` is the one that it happened in, `by` is who did it if no client did."""

    id: str
    name: str
    at: datetime
    ip: str | None
    session: str | None = None
    detail: str | None = None
    by: str | None = None


class EventsBody(BaseModel):
    """What happened to the user's account, newest first."""

    events: list[EventBody]


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)
    routes = APIRouter(prefix=site.settings.prefix, tags=["sessions"])

    @routes.get("/events", summary="What happened", response_model=EventsBody, responses=answers(*_PROBLEMS))
    async def events(
        request: Request,
        before: UUID | None = Query(None, description="The id of the last one of the page before."),
    ) -> Response:
        principal, _ = await site.signed_in(request.scope)
        if (
            len(request.query_params.getlist("before")) > 1
        ):  # one is meant, and nobody knows which (ASVS 15.3.7)
            raise InvalidRequest(errors=(FieldError("before", "invalid", "This is given twice."),))
        rows = await history(
            site.world, principal.id, before=None if before is None else str(before), limit=MOST
        )
        return reply({"events": [event_json(row) for row in rows]})

    return routes


def event_json(row: Recorded) -> dict[str, Any]:
    """An event, as its user may see it."""
    event = row.event
    body = {"id": row.id, "name": event.name, "at": instant(event.at), "ip": event.ip}
    more = {"session": event.sid, "detail": event.detail, "by": event.by}
    return body | {name: value for name, value in more.items() if value is not None}
