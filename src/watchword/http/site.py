"""The HTTP half of one configuration, put together once: what every route of ours is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from watchword.core.session import Principal
from watchword.errors import NotAuthenticated
from watchword.flows.live import load_live
from watchword.http.authenticate import Authenticator
from watchword.http.client import ClientAddresses
from watchword.http.cookies import Cookies, cookies
from watchword.http.modes import Delivery
from watchword.http.problem import Scope
from watchword.ports import LoadedSession, World
from watchword.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """`docs` is the address of the page that explains the error codes."""

    settings: Settings
    world: World
    cookies: Cookies
    authenticator: Authenticator
    delivery: Delivery
    addresses: ClientAddresses
    docs: str

    @classmethod
    def build(cls, settings: Settings, world: World) -> Self:
        jar = cookies(settings)
        return cls(
            settings=settings,
            world=world,
            cookies=jar,
            authenticator=Authenticator(settings, jar, world.verifier),
            delivery=Delivery(settings.mode, jar, world.lives),
            addresses=ClientAddresses(settings.trusted_proxies),
            docs=f"{settings.url}{settings.prefix}/errors",
        )

    async def signed_in(self, scope: Scope) -> tuple[Principal, LoadedSession]:
        """Who sends this request, read from the database: our own routes show and change what is there.

        Raises NotAuthenticated and what `Authenticator.principal` and `load_live` raise.
        """
        principal = self.authenticator.principal(scope, self.world.clock.now())
        if principal is None:
            raise NotAuthenticated
        return principal, await load_live(self.world, principal)
