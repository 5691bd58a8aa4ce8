"""`auth.users`, `auth.sessions` and `auth.events`: what an app, a script or an administrator does with people and their
devices, and reads of what happened."""

from __future__ import annotations

from collections.abc import Sequence

from watchword.core.factor import Factor
from watchword.core.password import acceptable
from watchword.core.record import Recorded
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.flows import users as flows
from watchword.flows.activity import MOST, history, whose
from watchword.flows.end import end_all, end_one
from watchword.ports import World
from watchword.settings import Settings


class Users:
    """`auth.users`: what an app or a script does with users. Logins are emails, usernames or ids."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._settings = settings

    async def create(
        self,
        email: str,
        password: str | None = None,
        *,
        username: str | None = None,
        roles: Sequence[str] = (),
    ) -> User:
        """An active, verified user. Raises InvalidRequest, AlreadyExists."""
        digest = None if password is None else await self._digest(password, email, username)
        return await flows.create(self._world, email, digest, username=username, roles=roles)

    async def get(self, login: str) -> User:
        """Raises NotFound."""
        return await flows.find(self._world, login)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[User]:
        """In the order of creation, beginning behind the id `after`."""
        return await self._world.store.list_users(after=after, limit=limit)

    async def set_password(self, login: str, password: str) -> None:
        """Ends all sessions. Raises NotFound, InvalidRequest."""
        user = await self.get(login)
        digest = await self._digest(password, user.email, user.username)
        await flows.set_password(self._world, user, digest)

    async def enable(self, login: str) -> Status:
        """Active, or unverified as before if nobody has proved the address yet; which. Raises NotFound."""
        return await flows.enable(self._world, await self.get(login))

    async def disable(self, login: str) -> None:
        """Ends all sessions. Raises NotFound."""
        await flows.set_status(self._world, await self.get(login), Status.DISABLED)

    async def set_roles(self, login: str, roles: Sequence[str]) -> None:
        """Access tokens that name the old roles stop counting. Raises NotFound, InvalidRequest."""
        await flows.set_roles(self._world, await self.get(login), roles)

    async def factors(self, login: str) -> Sequence[Factor]:
        """The second steps that a user has turned on. Raises NotFound."""
        return await self._world.store.list_factors((await self.get(login)).id)

    async def turn_off_factors(self, login: str) -> int:
        """For who has lost what the second step takes; how many were on. Ends all sessions and tells the owner by mail.
        With `two_factor=required` sign-ins take a code all the same. Raises NotFound."""
        return await flows.turn_off_factors(self._world, await self.get(login))

    async def delete(self, login: str) -> None:
        """Ends all sessions and forgets the user. Raises NotFound, StillReferenced."""
        await flows.delete(self._world, await self.get(login))

    async def _digest(self, password: str, *own: str | None) -> str:
        hasher, context = self._world.hasher, [*own, self._settings.url]
        return await hasher.hash(await hasher.aside(lambda: acceptable(password, context=context)))


class Sessions:
    """`auth.sessions`: the live sessions of a user, and ending them."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, login: str) -> Sequence[Session]:
        """Newest first. Raises NotFound."""
        user = await flows.find(self._world, login)
        return await self._world.store.list_sessions(user.id, now=self._world.clock.now())

    async def revoke(self, sid: str) -> bool:
        """End one session; False when there is none such or it has ended before."""
        loaded = await self._world.store.load_session(sid)
        return loaded is not None and await end_one(self._world, sid, End.REVOKED, user_id=loaded.user.id)

    async def revoke_all(self, login: str) -> int:
        """End all sessions of a user; returns how many. Raises NotFound."""
        user = await flows.find(self._world, login)
        return await end_all(self._world, user.id, End.REVOKED)


class Events:
    """`auth.events`: what happened, for as long as it is kept."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list(
        self, login: str | None = None, *, before: str | None = None, limit: int = MOST
    ) -> Sequence[Recorded]:
        """Of a user, or of everybody: newest first, beginning behind the id `before`. The id of a user who was deleted
        is a login here too. Raises NotFound."""
        user_id = None if login is None else await whose(self._world, login)
        return await history(self._world, user_id, before=before, limit=limit)
