"""Renewing the cookies of mode `cookies` before a handler runs, for pages that a server renders.

A browser that follows a link has no script to refresh with: its access token has run out, its refresh token is in the
jar. What is set anew is left in the scope, as Set-Cookie lines for whoever answers.
Sources: DESIGN §4.1, §4.6; ASVS 5.0 3.5.1, 16.5.3; SECURITY-TARGET attacks 85, 91; docs/decisions/0025.
"""

from __future__ import annotations

import asyncio
import logging

from watchword.core.csrf import SAFE_METHODS
from watchword.core.session import Client, Principal
from watchword.errors import (
    InvalidToken,
    NotAuthenticated,
    Problem,
    SettingsError,
    TokenExpired,
    Unauthorized,
)
from watchword.flows.grant import Grant
from watchword.flows.refresh import refresh
from watchword.http.authenticate import Authenticator
from watchword.http.client import ClientAddresses
from watchword.http.cookies import Cookies, DuplicateCookie
from watchword.http.forgery import Forgery
from watchword.http.kept import LINES_KEY
from watchword.http.modes import Delivery
from watchword.http.problem import Headers, Scope
from watchword.ports import World
from watchword.settings import Mode, SameSite, Settings

log = logging.getLogger("watchword")


class Renewal:
    """Of one configuration. Raises SettingsError where no page could ever be renewed."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        cookies: Cookies,
        authenticator: Authenticator,
        forgery: Forgery,
        delivery: Delivery,
        addresses: ClientAddresses,
    ) -> None:
        if Mode.COOKIES not in settings.mode:
            raise SettingsError(
                "renew: only sessions of mode cookies are renewed before a handler; enable it"
            )
        if settings.refresh_cookie_path:
            raise SettingsError(
                f"renew: refresh_cookie_path {settings.refresh_cookie_path} keeps the refresh token from "
                "your pages; leave it out"
            )
        self._world = world
        self._cookie = cookies.refresh
        self._start = cookies.refresh.name.encode() + b"="
        self._authenticator = authenticator
        self._forgery = forgery
        self._delivery = delivery
        self._addresses = addresses
        self._strict = settings.cookie_samesite in (None, SameSite.STRICT)
        self._flights: dict[tuple[bytes, str], asyncio.Task[Grant]] = {}

    def announce(self) -> None:
        """Say at start-up what a link from elsewhere meets."""
        if self._strict:
            log.warning(
                "renew: the refresh cookie is SameSite=Strict, which no link from a mail or another site brings: "
                "it finds nobody signed in once the access token has run out; set cookie_samesite to Lax"
            )
        else:
            log.info("renew: cookies are renewed before handlers; the refresh cookie is not SameSite=Strict")

    def concerns(self, problem: Problem | None, headers: Headers) -> bool:
        """Whether a request that is not authenticated, because of `problem` or for want of a token, may be by its
        refresh token."""
        if problem is not None and (
            not isinstance(problem, TokenExpired | InvalidToken)
            or isinstance(problem, DuplicateCookie | NotAuthenticated)
        ):
            return False
        if not any(self._start in line for name, line in headers if name == b"cookie"):
            return False
        return (
            self._authenticator.tokens(headers)[0] is None
        )  # a program that holds its tokens renews them itself

    async def principal(self, scope: Scope, now: int) -> Principal | None:
        """Whom the refresh token of a request speaks for, its cookies renewed; None when it renews nothing.

        `now` in µs. Raises what leaves it open whether somebody is signed in: RefreshSuperseded, RateLimited,
        Overloaded, Unavailable. And DuplicateCookie, and CsrfRejected for what is unsafe.
        """
        headers = scope["headers"]
        token = self._cookie.read(headers)
        if token is None:
            return None
        if (
            scope.get("method") not in SAFE_METHODS
        ):  # a WebSocket handshake has no method and counts as unsafe
            self._forgery.check(scope, now)
        elif not self._forgery.visits(headers):
            return None
        try:
            grant = await self._granted(token, self._addresses.client(scope))
        except Unauthorized:
            return None
        scope[LINES_KEY] = [*self._delivery.tokens(grant)[1], *self._forgery.renewed(grant.session.sid)]
        # Not `verifier`: what was revoked since the session was read is for the next request.
        return self._world.access_tokens.verify(grant.access_token.encode(), self._world.clock.now())

    async def _granted(self, token: bytes, client: Client) -> Grant:
        """One refresh for all requests of a browser that are under way at once. Who hangs up does not stop it for the
        others; from another browser or network the same token is judged by itself, as theft shows by that."""
        key = token, client.context
        flight = self._flights.get(key)
        if flight is None:
            renewing = refresh(
                self._world, token.decode("latin-1"), in_cookie=True, client=client, mode=Mode.COOKIES
            )
            flight = self._flights[key] = asyncio.create_task(renewing)
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    def _landed(self, key: tuple[bytes, str], flight: asyncio.Task[Grant]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # if all have hung up nobody else reads it, and an unread one would be logged
