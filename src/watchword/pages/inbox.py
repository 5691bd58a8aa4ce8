"""The development inbox: every message of the outbox, readable. `watchword dev` mounts it, and nothing else may:
whoever reads it signs in as anybody.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from watchword.core.challenge import CODE_IN_TEXT
from watchword.errors import MailDelayed, NotFound
from watchword.flows.outbox import opened
from watchword.http.site import Site
from watchword.pages.render import page
from watchword.settings import LOOPBACK

if TYPE_CHECKING:
    from watchword.core.mail import Queued
    from watchword.ports import World

PATH = "{}/dev/inbox"
NEWEST = 50


def router(site: Site) -> APIRouter:
    """GET dev/inbox below the prefix."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH.format(site.settings.prefix))
    async def inbox(request: Request) -> Response:
        # A name of somebody else's that leads to this machine would make its pages of one origin with this one.
        if request.url.hostname not in LOOPBACK:
            raise NotFound
        rows = await site.world.store.list_mail(before=None, limit=NEWEST)
        return page(
            site,
            request,
            "inbox.html",
            translated=False,
            mails=[_shown(site.world, row) for row in rows],
        )

    return routes


def _shown(world: World, row: Queued) -> dict[str, Any]:
    mail = row.mail
    subject, text = f"{mail.kind} message", ""
    if row.sent_at is None:
        try:
            letter = opened(world, mail)
            subject, text = letter.subject, letter.text
        except MailDelayed as error:
            text = f"It cannot be shown: {error.reason}."
    return {
        "to": mail.to,
        "subject": subject,
        "text": text,
        "codes": list(dict.fromkeys(CODE_IN_TEXT.findall(text))),
        "links": list(dict.fromkeys(re.findall(rf"{re.escape(world.url)}\S+#wwc_\S+", text))),
        "at": datetime.fromtimestamp(mail.created_at / 1_000_000, UTC).isoformat(timespec="seconds"),
        "state": _state(row, world.clock.now()),
    }


def _state(row: Queued, now: int) -> str:
    if row.sent_at is not None:
        return "sent, and its text is no longer kept here"
    if row.mail.expires_at <= now:
        return "expired"
    told = f": {row.last_error}" if row.last_error else ""
    if row.next_at is None:
        return f"given up{told}"
    return f"tried {row.tries} times{told}" if row.tries else "not sent yet"
