"""A world to step flows in: no event loop, a clock that the test moves, a hasher that answers at once and counts, and
a memory store in whose verbs a test can let something else happen first.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

from watchword.auth import Watchword
from watchword.core.challenge import Challenge, Kind
from watchword.core.factor import Factor
from watchword.core.keys import KeyRing
from watchword.core.login import Step
from watchword.core.mail import Mail
from watchword.core.refresh_token import RefreshTokens
from watchword.core.revocation import Displaced, Revoked
from watchword.core.rotation import Lineage
from watchword.core.session import Client, End, Principal, Session
from watchword.core.user import Status, User
from watchword.errors import Problem
from watchword.events import Event
from watchword.features.email_code import flow as email_flow
from watchword.features.password import flow as password_flow
from watchword.flows import users
from watchword.flows.grant import Grant
from watchword.flows.refresh import refresh
from watchword.flows.second_step import SecondStep
from watchword.ports import Issued, LoadedChallenge, LoadedLink, LoadedSession, Moved, Registered, Room
from watchword.settings import Mode, Settings
from watchword.storage.memory import MemoryStore
from watchword.testing import TravellingClock

T = TypeVar("T")

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
WINDOW = 20
"""Seconds, as configured by default."""
SECRET, URL = "kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-test-secret", "http://testserver"
EMAIL, PASSWORD = "ada@example.com", "analytical engine"
HOME = Client("192.0.2.7", "Firefox")
AWAY = Client("198.51.100.7", "curl")


def step(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow to its end in one step, as a synchronous framework does; a flow that suspends is at fault."""
    try:
        flow.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    flow.close()
    raise AssertionError(f"{flow!r} suspended")


class InstantHasher:
    """Implements `ports.Hasher` without work and without suspending.

    `calls` are what it was asked; what a test puts into `meanwhile` happens while the next password is verified.
    """

    def __init__(self) -> None:
        self.parameters = "v1"
        self.calls: list[str] = []
        self.meanwhile: list[Callable[[], object]] = []

    async def hash(self, password: str) -> str:
        self.calls.append("hash")
        return f"{self.parameters}:{password}"

    async def verify(self, digest: str | None, password: str) -> bool:
        self.calls.append("verify")
        if self.meanwhile:
            self.meanwhile.pop()()
        return digest is not None and digest.partition(":")[2] == password

    async def aside(self, work: Callable[[], T]) -> T:
        return work()

    def outdated(self, digest: str) -> bool:
        return not digest.startswith(self.parameters + ":")


class ScriptedStore(MemoryStore):
    """Notes its writes in `log`. What a test puts into `first[verb]` runs before that verb, once each."""

    def __init__(self, clock: TravellingClock, log: list[str]) -> None:
        super().__init__(clock)
        self._log = log
        self.first: dict[str, list[Callable[[], object]]] = {}
        self._quietly_begun = False

    def rows(self) -> object:
        """Everything that is stored, to compare before with after."""
        return deepcopy(
            (self._users, self._sessions, self._revoked, self._challenges, self._factors, self._outbox)
        )

    def _begin(self, verb: str, *, writes: bool = True) -> None:
        if self.first.get(verb):
            self.first[verb].pop(0)()
        if writes:
            self._log.append(verb)

    async def create_user(self, user: User) -> None:
        self._begin("create_user")
        await super().create_user(user)

    async def find_user(self, login: str) -> User | None:
        self._begin("find_user", writes=False)
        return await super().find_user(login)

    async def replace_digest(self, user_id: str, *, old: str, new: str) -> bool:
        self._begin("replace_digest")
        return await super().replace_digest(user_id, old=old, new=new)

    async def change_password(
        self, user_id: str, digest: str, *, now: int, keep: str | None
    ) -> Sequence[Revoked] | None:
        self._begin("change_password")
        return await super().change_password(user_id, digest, now=now, keep=keep)

    async def change_own_password(
        self, digest: str, *, old: str | None, before: Session, after: Session, mail: Mail
    ) -> Sequence[Revoked] | None:
        self._begin("change_own_password")
        return await super().change_own_password(digest, old=old, before=before, after=after, mail=mail)

    async def delete_own_user(self, user_id: str, *, keep: str, mail: Mail) -> Sequence[Revoked] | None:
        self._begin("delete_own_user")
        return await super().delete_own_user(user_id, keep=keep, mail=mail)

    async def add_factor(
        self, factor: Factor, *, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        self._begin("add_factor")
        return await super().add_factor(factor, now=now, keep=keep, mail=mail)

    async def remove_factor(
        self, factor_id: str, *, user_id: str, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        self._begin("remove_factor")
        return await super().remove_factor(factor_id, user_id=user_id, now=now, keep=keep, mail=mail)

    async def redeem_proof(self, challenge: Challenge, before: Session, after: Session) -> bool:
        self._begin("redeem_proof")
        return await super().redeem_proof(challenge, before, after)

    async def issue_change(self, challenge: Challenge, mail: Mail, *, keep: str) -> bool | None:
        self._begin("issue_change")
        return await super().issue_change(challenge, mail, keep=keep)

    async def redeem_change(self, challenge: Challenge, email: str, *, keep: str, mail: Mail) -> Moved | None:
        self._begin("redeem_change")
        return await super().redeem_change(challenge, email, keep=keep, mail=mail)

    async def issue_link(self, challenge: Challenge, mail: Mail) -> bool:
        self._begin("issue_link")
        return await super().issue_link(challenge, mail)

    async def load_link(self, digest: bytes, kind: Kind) -> LoadedLink | None:
        self._begin("load_link", writes=False)
        return await super().load_link(digest, kind)

    async def redeem_reset(
        self, challenge: Challenge, email: str, digest: str, mail: Mail
    ) -> Sequence[Revoked] | None:
        self._begin("redeem_reset")
        return await super().redeem_reset(challenge, email, digest, mail)

    async def register(self, user: User, challenge: Challenge, mail: Mail, taken: Mail) -> Registered | None:
        self._begin("register")
        return await super().register(user, challenge, mail, taken)

    async def redeem_registration(
        self, challenge: Challenge, email: str, digest: str, username: str | None
    ) -> Sequence[Revoked] | None:
        self._begin("redeem_registration")
        return await super().redeem_registration(challenge, email, digest, username)

    async def insert_session(
        self,
        session: Session,
        *,
        digest: str | None,
        two_factor: bool = False,
        replaces: str | None,
        mail: Mail | None = None,
        room: Room | None = None,
    ) -> Sequence[Displaced] | None:
        if self._quietly_begun:
            self._quietly_begun = False
            self._log.append("insert_session")
        else:
            self._begin("insert_session")
        return await super().insert_session(
            session, digest=digest, two_factor=two_factor, replaces=replaces, mail=mail, room=room
        )

    async def insert_quietly(
        self,
        session: Session,
        *,
        digest: str | None,
        two_factor: bool,
        most: int,
        known: bool,
        newcomer: bool,
    ) -> bool:
        """To a test it is the first half of `insert_session`: what shall come before that comes before this, and what
        it refuses is no write."""
        if self.first.get("insert_session"):
            self.first["insert_session"].pop(0)()
            self._quietly_begun = True
        if not await super().insert_quietly(
            session, digest=digest, two_factor=two_factor, most=most, known=known, newcomer=newcomer
        ):
            return False
        self._quietly_begun = False
        self._log.append("insert_session")
        return True

    async def issue_challenge(self, challenge: Challenge, mail: Mail, *, digest: str | None) -> Issued | None:
        self._begin("issue_challenge")
        return await super().issue_challenge(challenge, mail, digest=digest)

    async def attempt_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        self._begin("attempt_challenge")
        return await super().attempt_challenge(digest, kind)

    async def resend_challenge(
        self, digest: bytes, kind: Kind, code: bytes, mail: Mail, *, ttl: int
    ) -> LoadedChallenge | None:
        self._begin("resend_challenge")
        return await super().resend_challenge(digest, kind, code, mail, ttl=ttl)

    async def redeem_challenge(
        self,
        challenge: Challenge,
        session: Session,
        *,
        replaces: str | None,
        mail: Mail | None = None,
        room: Room | None = None,
    ) -> Sequence[Displaced] | None:
        self._begin("redeem_challenge")
        return await super().redeem_challenge(challenge, session, replaces=replaces, mail=mail, room=room)

    async def list_sessions(self, user_id: str, *, now: int) -> Sequence[Session]:
        self._begin("list_sessions", writes=False)
        return await super().list_sessions(user_id, now=now)

    async def load_session(self, sid: str) -> LoadedSession | None:
        self._begin("load_session", writes=False)
        return await super().load_session(sid)

    async def swap_session(self, before: Session, after: Session) -> bool:
        self._begin("swap_session")
        return await super().swap_session(before, after)

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        self._begin("record_crossing")
        await super().record_crossing(sid, lineage)

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None, mail: Mail | None = None
    ) -> Revoked | None:
        self._begin("end_session")
        return await super().end_session(sid, end, now=now, user_id=user_id, mail=mail)


class Lab:
    """One Watchword over a scripted store. `events` are those emitted, `log` both writes and events in order."""

    def __init__(self, **texts: str) -> None:
        self.clock = TravellingClock(micros=NOW)
        self.log: list[str] = []
        self.events: list[Event] = []
        self.store = ScriptedStore(self.clock, self.log)
        self.hasher = InstantHasher()
        self.auth = Watchword(
            Settings.parse({"secret": SECRET, "url": URL, "mode": " ".join(Mode), "limits": "off"} | texts),
            store=self.store,
            hasher=self.hasher,
            clock=self.clock,
            on_event=self._note,
            mail_shown=True,
        )
        self.world = self.auth.world

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self.log.append(f"event {event.name}")

    @property
    def facts(self) -> list[str]:
        """The names of the events so far."""
        return [event.name for event in self.events]

    def travel(self, seconds: float) -> None:
        self.clock.micros += round(seconds * SECOND)

    def user(
        self,
        email: str = EMAIL,
        password: str | None = PASSWORD,
        *,
        roles: Sequence[str] = (),
        status: Status = Status.ACTIVE,
    ) -> User:
        digest = None if password is None else f"{self.hasher.parameters}:{password}"
        made = step(users.create(self.world, email, digest, roles=roles, status=status))
        self.forget_log()
        return made

    def stored(self, email: str = EMAIL) -> User:
        """The row as it is now."""
        row = step(self.store.find_user(email))
        assert row is not None
        return row

    def log_in(
        self,
        email: str = EMAIL,
        password: str = PASSWORD,
        *,
        client: Client = HOME,
        mode: Mode = Mode.COOKIES,
        replaces: str | None = None,
    ) -> Grant | SecondStep | Step:
        return step(
            password_flow.log_in(self.world, email, password, client=client, mode=mode, replaces=replaces)
        )

    def waiting(self, email: str = EMAIL, **options: Any) -> SecondStep:
        """A login that waits for its second step, or the test is wrong."""
        begun = self.log_in(email, **options)
        assert isinstance(begun, SecondStep)
        return begun

    @property
    def mails(self) -> list[tuple[Mail, dict[str, Any]]]:
        """Everything that was queued, newest first, with what it says."""
        rows = [row.mail for row in reversed(self.store._outbox.values())]
        return [(mail, self.world.seals.open(mail.sealed, mail_id=mail.id) or {}) for mail in rows]

    @property
    def code(self) -> str:
        """The code that was sent last."""
        text = next(payload["code"] for mail, payload in self.mails if "code" in payload)
        assert isinstance(text, str)
        return text

    def try_code(
        self,
        token: str | None,
        code: str | None = None,
        *,
        in_cookie: bool = True,
        client: Client = HOME,
        replaces: str | None = None,
    ) -> Grant:
        """With the code that was sent last, or another."""
        return step(
            email_flow.try_code(
                self.world,
                token,
                self.code if code is None else code,
                in_cookie=in_cookie,
                client=client,
                replaces=replaces,
            )
        )

    def forgot(self, email: str = EMAIL, *, client: Client = HOME) -> None:
        step(password_flow.forgot(self.world, email, client=client))

    @property
    def link(self) -> str:
        """The token of the link that was sent last."""
        text = next(payload["token"] for mail, payload in self.mails if mail.kind == "reset")
        assert isinstance(text, str)
        return text

    def reset(self, token: str | None, new: str, *, client: Client = HOME) -> None:
        step(password_flow.reset(self.world, token, new, client=client))

    def session(self, email: str = EMAIL, **options: Any) -> Grant:
        """Signed in, or the test is wrong."""
        grant = self.log_in(email, **options)
        assert isinstance(grant, Grant)
        return grant

    def refresh(self, token: str, *, client: Client = HOME, in_cookie: bool = True) -> Grant:
        return step(refresh(self.world, token, in_cookie=in_cookie, client=client))

    def row(self, sid: str) -> Session:
        """The session row as it is now."""
        loaded = step(self.store.load_session(sid))
        assert loaded is not None
        return loaded.session

    def principal(self, grant: Grant) -> Principal:
        """What a guard makes of the access token at this moment."""
        return self.world.verifier.verify(grant.access_token.encode(), self.clock.now())

    def guard(self, grant: Grant) -> str:
        """How a guard answers to the access token: `ok`, or a code."""
        return code_of(lambda: self.principal(grant))

    def forget_log(self) -> None:
        self.log.clear()
        self.events.clear()
        self.hasher.calls.clear()


def lab_with_user(**texts: str) -> Lab:
    """A lab of some settings, `EMAIL` in it."""
    lab = Lab(**texts)
    lab.user()
    return lab


def minted(
    lab: Lab, sid: str, generation_: int, *, seed: bytes | None = None, by: RefreshTokens | None = None
) -> str:
    """The token of some generation of a session, be there such a one or not."""
    row = lab.row(sid)
    row = replace(row, seed=seed or row.seed, lineage=replace(row.lineage, newest=generation_))
    return (by or lab.world.refresh_tokens).mint(row)


_reader = RefreshTokens(KeyRing([SECRET.encode()]), issuer=URL)


def generation(grant_or_token: Grant | str) -> int:
    """The number of a refresh token."""
    token = grant_or_token if isinstance(grant_or_token, str) else grant_or_token.refresh_token
    presented = _reader.read(token)
    assert presented is not None
    return presented.generation


def code_of(call: Callable[[], object]) -> str:
    """The code of the problem that a call ends in; `ok` when it ends well."""
    try:
        call()
    except Problem as problem:
        return problem.code
    return "ok"
