"""Telling of requests that were refused what they asked for, wherever the refusal becomes an answer: all are counted,
and there are events of those that somebody may want to look into.

Not of those without credentials, nor of what every client meets in a day: an expired token, a session that has ended.
Sources: ASVS 5.0 16.3.2, 16.3.3.
"""

from __future__ import annotations

from watchword import events
from watchword.core.session import Principal
from watchword.errors import (
    CsrfRejected,
    Forbidden,
    InvalidToken,
    NotAuthenticated,
    Problem,
    ReauthenticationRequired,
)
from watchword.events import Event
from watchword.http.client import ClientAddresses
from watchword.http.problem import Scope
from watchword.meters import FAILURES
from watchword.ports import World

SCOPE_KEY = "watchword"
"""Where the principal is found in the ASGI scope; None there means anonymous on a public endpoint."""

CODE_KEY = "watchword.code"
"""Where the code of a refusal is found in the ASGI scope, once it is told."""

_TOLD = (Forbidden, ReauthenticationRequired, CsrfRejected, InvalidToken)


class Denials:
    """Of one configuration."""

    def __init__(self, world: World, addresses: ClientAddresses) -> None:
        self._world, self._addresses = world, addresses

    def tell(self, scope: Scope, problem: Problem) -> None:
        """Count it, and an event if `problem` denies something; its detail is the code alone, as a path may hold a
        secret."""
        self._world.counts.add(FAILURES, problem.code)
        scope[CODE_KEY] = problem.code
        if not isinstance(problem, _TOLD) or isinstance(problem, NotAuthenticated):
            return
        principal: Principal | None = scope.get(SCOPE_KEY)
        user_id, sid = (principal.id, principal.sid) if principal else (None, None)
        now, ip = self._world.clock.now(), self._addresses.client(scope).ip
        self._world.emit(Event(events.ACCESS_DENIED, now, user_id, sid, ip, problem.code))
