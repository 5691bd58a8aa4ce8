"""The HTTP half of one configuration, put together once: what every route of ours is given."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from watchword.core import known_device
from watchword.core.csrf import CsrfTokens
from watchword.core.session import Principal
from watchword.errors import NotAuthenticated, Problem, TokenExpired
from watchword.flows.end import Brought, holder
from watchword.flows.grant import Grant
from watchword.flows.live import load_live
from watchword.flows.readiness import Readiness
from watchword.http.authenticate import Authenticator
from watchword.http.client import ClientAddresses
from watchword.http.cookies import Cookies, DuplicateCookie, cookies
from watchword.http.denials import SCOPE_KEY, Denials
from watchword.http.forgery import Forgery
from watchword.http.kept import Kept
from watchword.http.modes import Delivery
from watchword.http.problem import Headers, Scope
from watchword.http.renewal import Renewal
from watchword.ports import LoadedSession, World
from watchword.settings import Mode, Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """`docs` is the address of the page that explains the error codes; `kept` is there where sessions are looked up;
    `page_templates` is the folder whose templates of pages go before ours."""

    settings: Settings
    world: World
    cookies: Cookies
    forgery: Forgery
    authenticator: Authenticator
    delivery: Delivery
    addresses: ClientAddresses
    denials: Denials
    readiness: Readiness
    kept: Kept | None
    docs: str
    page_templates: Path | None = None

    @classmethod
    def build(
        cls,
        settings: Settings,
        world: World,
        csrf_tokens: CsrfTokens,
        *,
        page_templates: Path | None = None,
    ) -> Self:
        jar = cookies(settings)
        forgery = Forgery(settings, jar, world.access_tokens, world.refresh_tokens, csrf_tokens)
        authenticator = Authenticator(settings, jar, world.verifier, forgery)
        delivery = Delivery(settings.mode, jar, world.lives, settings.access_field)
        addresses = ClientAddresses(settings.trusted_proxies)
        kept = Kept(world, jar, authenticator, forgery, delivery, addresses)
        return cls(
            settings=settings,
            world=world,
            cookies=jar,
            forgery=forgery,
            authenticator=authenticator,
            delivery=delivery,
            addresses=addresses,
            denials=Denials(world, addresses),
            readiness=Readiness(world),
            kept=kept if any(mode.in_cookies and not mode.rotates for mode in settings.mode) else None,
            docs=f"{settings.url}{settings.prefix}/errors",
            page_templates=page_templates,
        )

    def renewal(self) -> Renewal:
        """What renews the cookies of an app's pages before its handlers. Raises SettingsError."""
        return Renewal(
            self.settings,
            self.world,
            self.cookies,
            self.authenticator,
            self.forgery,
            self.delivery,
            self.addresses,
        )

    async def signed_in(self, scope: Scope) -> tuple[Principal, LoadedSession]:
        """Who sends this request, read from the database: our own routes show and change what is there.

        Raises NotAuthenticated and what `Kept.principal` and `load_live` raise.
        """
        now = self.world.clock.now()
        if self.kept is None:
            principal = self.authenticator.principal(scope, now)
        else:
            principal = await self.kept.principal(scope, now)
        if principal is None:
            raise NotAuthenticated
        scope[SCOPE_KEY] = principal  # whom a refusal further on is of
        return await self.asked(scope, principal, lambda known: load_live(self.world, known))

    async def asked(
        self, scope: Scope, principal: Principal, ask: Callable[[Principal], Awaitable[T]]
    ) -> tuple[Principal, T]:
        """What `ask` finds out about the principal of a request. One whose roles have just changed is read anew where
        no client could refresh it, and asked about once more."""
        try:
            return principal, await ask(principal)
        except TokenExpired:
            if self.kept is None:
                raise
            principal = await self.kept.anew(scope, self.world.clock.now())
            return principal, await ask(principal)

    async def signed_in_before(self, headers: Headers) -> str | None:
        """The session that this browser's jar holds, which a new one replaces: what could renew it tells, and no
        access token, which somebody may have taken from elsewhere (SECURITY-TARGET attack 40)."""
        if not any(name == b"cookie" for name, _ in headers):
            return None
        brought = self.delivery.in_jar(headers)
        loaded = await holder(self.world, replace(brought, access=None))
        return loaded.session.sid if loaded else None

    def known_device(self, headers: Headers) -> str | None:
        """The token of a device that the jar knows of; one that came twice is none."""
        try:
            value = self.cookies.device.read(headers)
        except DuplicateCookie:
            return None
        return None if value is None else value.decode("latin-1")

    def beside(self, grant: Grant) -> Headers:
        """The cookies that a browser gets beside those of its new session."""
        now = self.world.clock.now()
        lines = self.forgery.signed_in(grant.session.sid, now)
        if self.settings.limits:
            token = self.world.devices.mint(grant.user, secrets.token_bytes(known_device.NONCE), now)
            lines += self.cookies.device.set(token, max_age=known_device.LIFE_SECONDS)
        return lines

    def forgetting(self, headers: Headers) -> Headers:
        """The lines that leave nothing of a user in a browser, not even that they were here."""
        lines = [*self.delivery.clearing(headers), *self.forgery.clearing()]
        return [*lines, *(self.cookies.device.clear() if lines else ())]

    def brought(self, headers: Headers, *, refresh: str | None, challenge: str | None) -> Brought:
        """Every token of a request, wherever it is: signing out never fails for one that cannot be told. `refresh` and
        `challenge` are those in the body."""
        brought = self.delivery.in_jar(headers)
        if Mode.BEARER in self.settings.mode:
            brought = replace(
                brought, refresh=refresh or brought.refresh, challenge=challenge or brought.challenge
            )
        try:
            bearer = self.authenticator.tokens(headers)[0]
        except Problem:
            bearer = None
        return replace(brought, access=bearer or brought.access)
