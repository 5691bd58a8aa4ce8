"""Authenticating by cookies whose session the server looks up: a JWT that renews itself, an opaque token.

What a cookie turns into on the way is left in the scope, as Set-Cookie lines for whoever answers. Look-ups are
awaited; where neither mode is enabled nothing of this is on a request's way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

from watchword.core.csrf import SAFE_METHODS
from watchword.core.session import Principal
from watchword.core.session_token import KEEP, SeenSessions
from watchword.errors import BadRequest, InvalidToken, Overloaded, SessionEnded, TokenExpired, Unavailable
from watchword.flows.grant import Grant
from watchword.flows.kept import is_good, look_up, renew
from watchword.flows.limits import admit_refresh
from watchword.flows.live import load_live
from watchword.http.authenticate import Authenticator
from watchword.http.client import ClientAddresses
from watchword.http.cookies import Cookies
from watchword.http.forgery import Forgery
from watchword.http.modes import Delivery
from watchword.http.problem import NO_STORE, ASGIApp, Headers, Message, Receive, Scope, Send
from watchword.ports import World
from watchword.settings import Mode

LINES_KEY = "watchword.lines"
"""Where Set-Cookie lines of a renewal are found in the ASGI scope."""
_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class Kept:
    """Authenticates requests under one configuration with the mode `jwt_cookie` or `session`, and any other."""

    def __init__(
        self,
        world: World,
        cookies: Cookies,
        authenticator: Authenticator,
        forgery: Forgery,
        delivery: Delivery,
        addresses: ClientAddresses,
    ) -> None:
        self._world = world
        self._cookies = cookies
        self._authenticator = authenticator
        self._forgery = forgery
        self._delivery = delivery
        self._addresses = addresses
        # Uses meanwhile are not noted, and somebody who never pauses must not be signed out as idle.
        self._seen = SeenSessions(world.revocations, keep=min(KEEP, world.lives.idle // 8))
        self._renews = Mode.JWT_COOKIE in cookies.modes
        self._looks_up = Mode.SESSION in cookies.modes
        holding = ((Mode.COOKIES, cookies.access), (Mode.JWT_COOKIE, cookies.jwt))
        self._jwts = [cookie for mode, cookie in holding if mode in cookies.modes]

    async def principal(self, scope: Scope, now: int) -> Principal | None:
        """Whom a request speaks for; None when it brings nothing. `now` in µs.

        Where revocations were not read for too long the database was asked. Raises what `Authenticator.principal`
        raises, Unavailable and Overloaded.
        """
        opaque = self._opaque(scope)
        if opaque is not None and not self._by_header(scope):
            return await self._looked_up(opaque, scope, now)
        try:
            principal = self._authenticator.principal(scope, now)
            if principal is None:
                return None
            if opaque is not None:
                await self._check_alone(opaque, now)
            half = (principal.issued_at + principal.expires_at) * 500_000
            if principal.generation is not None and now >= half:
                try:
                    return await self._renewed(scope, now) or principal
                except (Unavailable, Overloaded, InvalidToken):
                    pass  # it is good as it is; after a step-up only the newer one in the jar is renewed
            if self._world.revocations.stale(now):
                await load_live(self._world, principal)
            return principal
        except (
            TokenExpired,
            InvalidToken,
        ):  # the latter also for a life that is too long for today's settings
            renewed = await self._renewed(scope, now)
            if renewed is None:
                raise
            return renewed

    async def anew(self, scope: Scope, now: int) -> Principal:
        """The principal of an authenticated request once more, as the database knows it now: for roles that changed so
        lately that nobody here has heard of it. Raises TokenExpired where that is up to the client."""
        opaque = self._opaque(scope)
        if opaque is not None and not self._by_header(scope):
            self._seen.forget(opaque)
            return await self._looked_up(opaque, scope, now)
        principal = await self._renewed(scope, now)
        if principal is None:
            raise TokenExpired
        return principal

    async def again(self, scope: Scope, now: int) -> tuple[dict[str, Any], Headers] | None:
        """The tokens of the session in the jar once more, as POST /refresh asks for them, as body and Set-Cookie lines;
        None when there is none.

        Raises InvalidToken, SessionEnded, TokenExpired, RateLimited, Unavailable.
        """
        client = self._addresses.client(scope)
        opaque = self._opaque(scope)
        jwt = self._cookies.jwt.read(scope["headers"]) if self._renews and opaque is None else None
        if opaque is not None:
            body = self._told((again := (await look_up(self._world, opaque, client=client))[1]), good=True)
        elif jwt is not None:
            known = self._world.access_tokens.known(jwt, now)
            again = await renew(self._world, known, client=client)
            body = self._told(again, good=_runs(known, now))
        else:
            return None
        await admit_refresh(self._world, again.session.sid, again.user.id, client=client)
        return body

    def _opaque(self, scope: Scope) -> bytes | None:
        """The token of mode `session`. Raises DuplicateCookie when another cookie claims to be the sign-in as well."""
        headers = scope["headers"]
        opaque = self._cookies.session.read(headers) if self._looks_up else None
        if opaque is None:
            return None
        if any(cookie.read(headers) for cookie in self._jwts):
            raise self._cookies.session.doubtful(*self._jwts)
        return opaque

    def _by_header(self, scope: Scope) -> bool:
        return self._authenticator.tokens(scope["headers"])[0] is not None

    async def _check_alone(self, opaque: bytes, now: int) -> None:
        """Raises BadRequest if an opaque token beside a good access token is good as well: a session has one kind.

        A neighbour can plant anything else, and what is long over lies in many a jar: that must not shut anybody out.
        """
        try:
            other = self._seen.get(opaque, now) is not None or await is_good(self._world, opaque)
        except (SessionEnded, Unavailable):
            return
        if other:
            raise BadRequest("The Authorization header and the cookie are of different sessions: send one.")

    async def _renewed(self, scope: Scope, now: int) -> Principal | None:
        """From a JWT of mode `jwt_cookie` in its cookie, rightly signed, expired or not; None if there is none."""
        token = self._cookies.jwt.read(scope["headers"]) if self._renews else None
        if token is None or self._by_header(scope):
            return None
        known = self._world.access_tokens.known(token, now)
        if known.generation is None:  # of a mode with refresh tokens, which are what renews it
            return None
        self._check_forgery(scope, now)
        grant = await renew(self._world, known, client=self._addresses.client(scope))
        scope[LINES_KEY] = self._told(grant, good=_runs(known, now))[1]
        # Not `verifier`: what was revoked since it was read is for the next request, and `now` is of before it.
        return self._world.access_tokens.verify(grant.access_token.encode(), self._world.clock.now())

    async def _looked_up(self, token: bytes, scope: Scope, now: int) -> Principal:
        self._check_forgery(scope, now)
        principal = None if self._world.revocations.stale(now) else self._seen.get(token, now)
        if principal is None:
            client = self._addresses.client(scope)
            principal, grant, extended = await look_up(self._world, token, client=client)
            self._seen.put(token, principal, now)
            if (
                extended and grant.access_token.encode() != token
            ):  # under the key of today; its life was told before
                scope[LINES_KEY] = self._told(grant, good=True)[1]
        return principal

    def _check_forgery(self, scope: Scope, now: int) -> None:
        if scope.get("method") not in SAFE_METHODS:
            self._forgery.check(scope, now)

    def _told(self, grant: Grant, *, good: bool) -> tuple[dict[str, Any], Headers]:
        """What an answer says of a renewal; `good` says that the token that brought it is so by itself.

        A step-up may have brought a newer one meanwhile, and this answer may land after that: it leaves the jar alone.
        """
        body, lines = self._delivery.tokens(grant)
        return body, lines if grant.newest or not good else []


def _runs(known: Principal, now: int) -> bool:
    return now < known.expires_at * 1_000_000


def with_lines(scope: Scope, send: Send) -> Send:
    """`send`, with what a renewal has left in the scope.

    An answer that is made outside of the router (no route matched, the app crashed) does not come by here and lacks it:
    the next request renews again.
    """

    async def sending(message: Message) -> None:
        if message["type"] in _STARTS and LINES_KEY in scope:
            message["headers"] = joined(message.get("headers", ()), scope)
        await send(message)

    return sending


def delivering(app: ASGIApp) -> ASGIApp:
    """`app` with these lines on whatever it answers: around everything, those answers are among it as well."""

    def with_all(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return app(scope, receive, with_lines(scope, send))

    return with_all


def joined(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> Headers:
    """The headers of an answer with the lines of a renewal, which is for nobody's cache. A cookie that the answer sets
    by itself stays as it says: it knows better, be it a sign-out or a step-up (RFC 6265bis §4.1.1)."""
    own = list(headers)
    if LINES_KEY not in scope:
        return own
    told = {value.partition(b"=")[0] for name, value in own if name.lower() == b"set-cookie"}
    lines = [line for line in scope[LINES_KEY] if line[1].partition(b"=")[0] not in told]
    if not lines:
        return own
    return [*(line for line in own if line[0].lower() != b"cache-control"), *lines, NO_STORE]
