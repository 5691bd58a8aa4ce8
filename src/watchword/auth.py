"""The composition root: from settings to a working whole. Puts together, decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchword.accounts import Events, Sessions, Users
from watchword.core.access_token import LEEWAY, AccessTokens, Verifier
from watchword.core.challenge import Codes
from watchword.core.csrf import CsrfTokens
from watchword.core.keys import KeyRing
from watchword.core.known_device import KnownDevices
from watchword.core.mail import Seals
from watchword.core.refresh_token import RefreshTokens
from watchword.core.revocation import Revocations
from watchword.core.session import Lifetimes, Principal
from watchword.core.session_token import SessionTokens
from watchword.core.throttle import LimitKeys
from watchword.drivers.background import Background
from watchword.drivers.clock import SystemClock
from watchword.drivers.feed import Feed
from watchword.drivers.hasher import Argon2Hasher
from watchword.drivers.metrics import Metrics
from watchword.drivers.sender import Bell, Sender
from watchword.drivers.sweeper import sweep_hourly
from watchword.drivers.tracing import Tracing
from watchword.drivers.watch import Watchers
from watchword.errors import SettingsError, Unavailable
from watchword.flows.activity import done_by
from watchword.flows.live import demand, load_live
from watchword.http.cors import CrossOrigin
from watchword.http.gate import Gate, always
from watchword.http.guard import SCOPE_KEY, Guard
from watchword.http.problem import ASGIApp
from watchword.http.site import Site
from watchword.parts import (
    hints_of,
    letters_of,
    limiter_of,
    mailer_of,
    micros,
    open_store,
    recorder_of,
    redis_hints_of,
    routers_of,
    tally,
    with_fields,
)
from watchword.ports import Claims, Clock, EventSink, Hasher, Limiter, Mailer, Store, World
from watchword.settings import Settings, check_production
from watchword.storage.memory_limiter import MemoryLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import APIRouter

    from watchword.http.problem import Scope
    from watchword.http.renewal import Renewal

SKEW = timedelta(seconds=60)
"""How far the clocks of our machines may be apart without a revocation being forgotten too early."""

log = logging.getLogger("watchword")


class Watchword:
    """Everything of one configuration: `Watchword()` reads `WATCHWORD_*` from the environment.

    `store`, `hasher`, `clock`, `mailer` and `limiter` replace a port; `claims` adds an app's own claims to access
    tokens; `on_event` takes each `Event` besides the log and the table; `by` is what events of `users` and `sessions`
    say that they were done by; `mail_templates` and `page_templates` are folders whose templates go before ours;
    `features` make routers of their own below the prefix; `mail_shown` says that people read their mail in the
    outbox, as in the inbox of `watchword dev`, so that it reaches them without a mailer. Raises SettingsError.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        hasher: Hasher | None = None,
        clock: Clock | None = None,
        mailer: Mailer | None = None,
        limiter: Limiter | None = None,
        mail_templates: Path | None = None,
        page_templates: Path | None = None,
        features: Sequence[Callable[[Site], APIRouter]] = (),
        claims: Claims | None = None,
        on_event: EventSink | None = None,
        by: str = "app",
        mail_shown: bool = False,
    ) -> None:
        settings = settings or Settings.from_env()
        if not settings.secret:
            raise SettingsError("WATCHWORD_SECRET is missing: `watchword secret` makes one")
        clock = clock or SystemClock()
        store = store or open_store(settings, clock)
        ring = KeyRing([secret.encode() for secret in settings.secret])
        revocations = Revocations(keep=micros(settings.access_ttl + timedelta(seconds=LEEWAY) + SKEW))
        access_tokens = AccessTokens(
            ring,
            algorithm=settings.algorithm,
            issuer=settings.url,
            lifetime=settings.access_ttl // timedelta(seconds=1),
            rsa_pem=settings.rsa_key.encode() or None,
        )
        self.settings = settings
        self.mailer = mailer or mailer_of(settings)
        self._bell = Bell()
        counts = tally()
        self._tracing = Tracing()
        self._recorder = recorder_of(settings, store, clock, on_event, counts)
        limiter = limiter or limiter_of(settings, store, self._recorder, clock)
        self._redis_hints = redis_hints_of(settings, ring)
        self.world = World(
            store=store,
            hasher=hasher or Argon2Hasher(threads=settings.hash_threads),
            clock=clock,
            access_tokens=access_tokens,
            refresh_tokens=RefreshTokens(ring, issuer=settings.url, refresh_format=settings.refresh_format),
            session_tokens=SessionTokens(ring),
            verifier=Verifier(access_tokens, revocations),
            revocations=revocations,
            lives=Lifetimes(
                access=micros(settings.access_ttl),
                idle=micros(settings.refresh_ttl),
                whole=micros(settings.session_max),
                window=micros(settings.rotation_window),
                code=micros(settings.code_ttl),
            ),
            modes=settings.mode,
            url=settings.url,
            codes=Codes(ring),
            two_factor=settings.two_factor,
            emit=self._recorder,
            counts=counts,
            spans=self._tracing,
            events_written=self._recorder.flush,
            seals=Seals(ring),
            letters=letters_of(settings, mail_templates),
            limits=settings.limits,
            limit_keys=LimitKeys(ring),
            limiter=limiter,
            near_limiter=limiter if isinstance(limiter, MemoryLimiter) else MemoryLimiter(),
            devices=KnownDevices(ring),
            max_sessions=settings.max_sessions,
            mail_arrives=self.mailer is not None or mail_shown,
            mail_queued=self._bell.ring,
            claims=with_fields(settings.access_claims, claims),
            revoked=(lambda: None) if self._redis_hints is None else self._redis_hints.tell,
        )
        csrf_tokens = CsrfTokens(ring, seconds=settings.refresh_ttl // timedelta(seconds=1))
        self.site = Site.build(settings, self.world, csrf_tokens, page_templates=page_templates)
        self.users = Users(done_by(self.world, by), settings)
        self.sessions = Sessions(done_by(self.world, by))
        self.events = Events(self.world)
        self.metrics = Metrics(self.world, counts, store, self.world.hasher, self._recorder)
        self._watchers = Watchers(self.world)
        self.site.readiness.on_close(self._watchers.let_go)
        self._features = tuple(features)
        self._app: ASGIApp | None = None
        self._paths: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of our own routes, as declared."""
        _ = self.app  # declares them
        return self._paths

    @property
    def app(self) -> ASGIApp:
        """The ASGI app of our own routes, `prefix` in their paths; it authenticates by itself."""
        if self._app is None:
            from watchword import __version__
            from watchword.routing.app import build

            routers = routers_of(self.site, self._features)
            denials, docs = self.site.denials, self.site.docs
            app = build(routers, self.settings, denials=denials, docs=docs, version=__version__)
            self._paths = tuple(route.path for route in app.routes)
            gate = Gate(
                app,
                self.settings,
                self.site.forgery,
                self.world,
                paths=self._paths,
                denials=denials,
                docs=docs,
            )
            self._app = self.cross_origin(gate)
        return self._app

    def cross_origin(self, app: ASGIApp) -> ASGIApp:
        """`app` with answers that pages of `trusted_origins` may read: as it is, if there are none."""
        origins = self.settings.trusted_origins
        if not origins:  # the answer is the same for every origin, so there is no Vary either
            return app
        return CrossOrigin(app, origins=origins, always=always(self.settings), docs=self.site.docs)

    def guard(
        self,
        app: ASGIApp,
        is_public: Callable[[Scope], bool],
        is_ours: Callable[[Scope], bool] = lambda scope: False,
        renewal: Renewal | None = None,
    ) -> Guard:
        """`app` behind the guard; `is_public` tells of a scope whether its endpoint is open to anybody, and `is_ours`
        whether it is for our own routes, which the guard hands it to as it is. With a `renewal` (`site.renewal()`) it
        renews cookies on the way."""
        return Guard(
            app,
            authenticator=self.site.authenticator,
            revocations=self.world.revocations,
            clock=self.world.clock,
            ask=lambda principal: load_live(self.world, principal),
            is_public=is_public,
            ours=self.app,
            is_ours=is_ours,
            docs=self.site.docs,
            owner=self,
            denials=self.site.denials,
            kept=self.site.kept,
            renewal=renewal,
        )

    def authenticate(
        self, headers: Iterable[tuple[bytes, bytes]], *, method: str | None = None
    ) -> Principal | None:
        """Whom raw ASGI headers speak for, with no I/O; None when they bring no JWT. Needs a running `lifespan`.

        A cookie counts only from a trusted page unless `method` is a safe one; the token of mode `session` needs a
        look-up and is not seen here. Raises InvalidToken, TokenExpired, SessionEnded, BadRequest, CsrfRejected, and
        Unavailable when revocations were not read for too long.
        """
        now = self.world.clock.now()
        scope = {"type": "http", "headers": list(headers), "method": method}
        principal = self.site.authenticator.principal(scope, now)
        if principal is not None and self.world.revocations.stale(now):
            raise Unavailable("Revocations have not been read for a while.", retry_after=1)
        return principal

    @staticmethod
    def principal(request: Any) -> Principal | None:
        """The principal of a guarded Starlette request or connection: the fast way. None on public endpoints."""
        principal: Principal | None = request.scope.get(SCOPE_KEY)
        return principal

    async def watch(self, principal: Principal) -> str:
        """Wait until a guard would no longer let this principal through, for a WebSocket or a stream that is open: what
        is returned is the code of the refusal.

        `session_ended`: by whomever, on whatever server, or because its time is over. `token_expired`: the user's roles
        changed, and the client has to come back with a newer token. `unavailable`: nobody can tell any more, as neither
        revocations nor the session could be read for about 15 s, or this process stops. Costs no task, and no I/O
        before the access token's `expires_at`. May be cancelled. Raises Unavailable outside of `lifespan`.
        """
        return await self._watchers.wait(principal)

    async def demand(
        self,
        principal: Principal,
        *,
        fresh: timedelta | None = None,
        live: bool = False,
        role: str | None = None,
    ) -> None:
        """What `require` of the frameworks asks of a principal. Raises Forbidden, ReauthenticationRequired, …"""
        seconds = None if fresh is None else int(fresh.total_seconds())
        await demand(self.world, principal, fresh=seconds, live=live, role=role)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Runs the loops: while inside, revocations are followed, events are written, mail is sent and old rows are
        swept. The store is closed at the end.

        Raises StaleSchemaError and Unavailable when the database cannot be worked with.
        """
        try:
            check_production(self.settings)
        except SettingsError as error:
            log.warning("not for production: %s", error)
        if not self.settings.rotation_window:
            log.warning("rotation_window is 0: two tabs that refresh at once are signed out")
        elif self.settings.rotation_window < timedelta(seconds=5):
            log.warning("rotation_window is under 5s: slow networks may sign people out")
        if self.settings.admin_bind and not self.metrics.reported:
            log.warning("admin_bind is for `watchword serve` alone: show auth.metrics on a route of your own")
        feed = Feed(self.world, hints_of(self.world.store, self._redis_hints))
        sender = None if self.mailer is None else Sender(self.world, self.mailer, self._bell)
        loops: list[asyncio.Task[None]] = []
        try:
            await self._open()
            await self.world.store.check()
            await feed.load()
            self._recorder.start()
            self.metrics.follow()
            self._tracing.begin(self.world, self.mailer)
            self._watchers.open()
            self.site.readiness.stay()
            endless = feed.follow(), self._watchers.follow(), self._recorder.run(), sweep_hourly(self.world)
            loops += [asyncio.create_task(loop) for loop in endless]
            if sender is not None:
                sender.start()
            yield
        finally:
            if sender is not None:
                await sender.stop()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            self._tracing.end()
            await self.aclose()

    def running(self) -> Background:
        """The same in a thread of its own, for apps without an event loop: `with auth.running():`."""
        return Background(self.lifespan)

    async def _open(self) -> None:
        """Connect again what an earlier `lifespan` has closed."""
        opening = getattr(self.world.store, "open", None)
        if opening is not None:
            await opening()

    async def aclose(self) -> None:
        """Write the events that wait, and let go of threads and connections. For scripts that do not run `lifespan`."""
        await self._recorder.drain()
        store, limiter = self.world.store, self.world.limiter
        parts: list[object] = [store, self.world.hasher]
        if self._redis_hints is not None:
            parts.append(self._redis_hints)
        if limiter not in parts:
            parts.append(limiter)
        for part in parts:
            close = getattr(part, "close", None)
            if close is not None and (waiting := close()) is not None:
                await waiting
