"""The composition root: from settings to a working whole. Puts together, decides nothing."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from watchword.accounts import Sessions, Users
from watchword.core.access_token import LEEWAY, AccessTokens, Verifier
from watchword.core.keys import KeyRing
from watchword.core.refresh_token import RefreshTokens
from watchword.core.revocation import Revocations
from watchword.core.session import Lifetimes, Principal
from watchword.drivers.clock import SystemClock
from watchword.drivers.feed import DataVersionHints, Feed, Hints, NoHints
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import SettingsError, Unavailable
from watchword.events import Event
from watchword.flows.live import demand, load_live
from watchword.flows.sweep import sweep
from watchword.http.gate import Gate
from watchword.http.guard import SCOPE_KEY, Guard
from watchword.http.problem import ASGIApp
from watchword.http.site import Site
from watchword.ports import Claims, Clock, EventSink, Hasher, Store, World
from watchword.settings import Settings, check_production

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchword.http.problem import Scope

SWEEP_SECONDS = 3600.0
FIRST_SWEEP_SECONDS = 300.0
SKEW = timedelta(seconds=60)
"""How far the clocks of our machines may be apart without a revocation being forgotten too early."""

log = logging.getLogger("watchword")
event_log = logging.getLogger("watchword.events")


class Watchword:
    """Everything of one configuration: `Watchword()` reads `WATCHWORD_*` from the environment.

    `store`, `hasher` and `clock` replace a port; `claims` adds an app's own claims to access tokens; `on_event` takes
    each `Event` besides the log. Raises SettingsError.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        hasher: Hasher | None = None,
        clock: Clock | None = None,
        claims: Claims | None = None,
        on_event: EventSink | None = None,
    ) -> None:
        settings = settings or Settings.from_env()
        if not settings.secret:
            raise SettingsError("WATCHWORD_SECRET is missing: `watchword secret` makes one")
        clock = clock or SystemClock()
        ring = KeyRing([secret.encode() for secret in settings.secret])
        revocations = Revocations(keep=_micros(settings.access_ttl + timedelta(seconds=LEEWAY) + SKEW))
        access_tokens = AccessTokens(
            ring,
            algorithm=settings.algorithm,
            issuer=settings.url,
            lifetime=settings.access_ttl // timedelta(seconds=1),
            rsa_pem=settings.rsa_key.encode() or None,
        )
        self.settings = settings
        self.world = World(
            store=store or _open(settings, clock),
            hasher=hasher or Argon2Hasher(threads=settings.hash_threads),
            clock=clock,
            access_tokens=access_tokens,
            refresh_tokens=RefreshTokens(ring),
            verifier=Verifier(access_tokens, revocations),
            revocations=revocations,
            lives=Lifetimes(
                access=_micros(settings.access_ttl),
                idle=_micros(settings.refresh_ttl),
                whole=_micros(settings.session_max),
                window=_micros(settings.rotation_window),
            ),
            emit=_Events(on_event),
            claims=claims,
        )
        self.site = Site.build(settings, self.world)
        self.users = Users(self.world, settings)
        self.sessions = Sessions(self.world)
        self._app: ASGIApp | None = None

    @property
    def app(self) -> ASGIApp:
        """The ASGI app of our own routes, `prefix` in their paths; it authenticates by itself."""
        if self._app is None:
            from watchword import __version__
            from watchword.features.password import routes as password
            from watchword.features.service import routes as service
            from watchword.features.sessions import routes as sessions
            from watchword.routing.app import build

            features = [sessions, password, service]
            if self.settings.pages:
                from watchword.pages import routes as pages

                features.append(pages)
            routers = [feature.router(self.site) for feature in features]
            app = build(routers, docs=self.site.docs, prefix=self.settings.prefix, version=__version__)
            self._app = Gate(app, self.settings, self.site.authenticator, docs=self.site.docs)
        return self._app

    def guard(
        self,
        app: ASGIApp,
        is_public: Callable[[Scope], bool],
        is_ours: Callable[[Scope], bool] = lambda scope: False,
    ) -> Guard:
        """`app` behind the guard; `is_public` tells of a scope whether its endpoint is open to anybody, and `is_ours`
        whether it is for our own routes, which the guard hands it to as it is."""
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
        )

    def authenticate(
        self, headers: Iterable[tuple[bytes, bytes]], *, method: str | None = None
    ) -> Principal | None:
        """Whom raw ASGI headers speak for, with no I/O; None when they bring no token. Needs a running `lifespan`.

        A cookie counts only from a trusted page unless `method` is a safe one. Raises InvalidToken, TokenExpired,
        SessionEnded, BadRequest, CsrfRejected, and Unavailable when revocations were not read for too long.
        """
        now = self.world.clock.now()
        principal = self.site.authenticator.principal({"headers": list(headers), "method": method}, now)
        if principal is not None and self.world.revocations.stale(now):
            raise Unavailable("Revocations have not been read for a while.", retry_after=1)
        return principal

    @staticmethod
    def principal(request: Any) -> Principal | None:
        """The principal of a guarded Starlette request or connection: the fast way. None on public endpoints."""
        principal: Principal | None = request.scope.get(SCOPE_KEY)
        return principal

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
        """Runs the loops: revocations are followed and old rows swept while inside. The store is closed at the end.

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
        feed = Feed(self.world, _hints(self.world.store))
        loops: list[asyncio.Task[None]] = []
        try:
            await self._open()
            await self.world.store.check()
            await feed.load()
            loops += [asyncio.create_task(feed.follow()), asyncio.create_task(_sweep_hourly(self.world))]
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.aclose()

    async def _open(self) -> None:
        """Connect again what an earlier `lifespan` has closed."""
        opening = getattr(self.world.store, "open", None)
        if opening is not None:
            await opening()

    async def aclose(self) -> None:
        """Let go of threads and connections. For scripts that do not run `lifespan`."""
        for part in (self.world.store, self.world.hasher):
            close = getattr(part, "close", None)
            if close is not None and (waiting := close()) is not None:
                await waiting


class _Events:
    """Logs every event, then hands it to the app's own sink; a sink that fails is logged and does no harm."""

    def __init__(self, sink: EventSink | None) -> None:
        self._sink = sink

    def __call__(self, event: Event) -> None:
        event_log.info("%s", event.name, extra={"event": event})
        if self._sink is not None:
            try:
                self._sink(event)
            except Exception:
                log.exception("on_event failed for %s", event.name)


def _open(settings: Settings, clock: Clock) -> Store:
    if settings.database_url.startswith("memory:"):
        from watchword.storage.memory import MemoryStore

        return MemoryStore(clock)
    from watchword.storage.sql import open_store

    return open_store(settings.database_url, clock, synchronous=settings.synchronous)


def _hints(store: Store) -> Hints:
    data_version = getattr(store, "data_version", None)
    return NoHints() if data_version is None else DataVersionHints(data_version)


async def _sweep_hourly(world: World) -> None:
    await asyncio.sleep(random.uniform(0, FIRST_SWEEP_SECONDS))  # noqa: S311 - so that workers take turns
    while True:
        try:
            await sweep(world)
        except Unavailable as error:
            log.warning("could not sweep: %s", error)
        except Exception:  # what keeps one sweep from its end must not keep the next from its beginning
            log.exception("sweeping failed")
        await asyncio.sleep(SWEEP_SECONDS)


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
