"""Signing in with a password, proving it again, changing it, setting one by a link: load, hash, decide, write once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from watchword import events
from watchword.core.challenge import (
    LINK_LIFE,
    SECRET,
    Challenge,
    Kind,
    digest_of,
    digest_of_secret,
    token,
)
from watchword.core.device import device_label
from watchword.core.login import Step, next_step
from watchword.core.mail import Mail
from watchword.core.password import acceptable, normalise
from watchword.core.revocation import Revoked
from watchword.core.session import Client, End
from watchword.core.user import Status, User, canonical_login
from watchword.core.uuid7 import uuid7
from watchword.errors import ChallengeExpired, InvalidCredentials, Overloaded, SessionEnded
from watchword.events import Event
from watchword.flows import refresh, second_step, sign_in
from watchword.flows.end import tell
from watchword.flows.grant import Grant
from watchword.flows.limits import Asked, address, admit, admit_here_first
from watchword.flows.outbox import sealed
from watchword.flows.outcomes import PASSWORD, counted
from watchword.flows.second_step import SecondStep
from watchword.ports import LoadedLink, LoadedSession, World
from watchword.settings import Mode

METHOD = "pwd"
"""How a password is called in `amr` (RFC 8176)."""
RESET = "reset"
"""The kind of the message that a link is sent in."""
CHANGED = "password_changed"
"""The kind of the message that tells the owner of a new password (ASVS 5.0 6.3.7)."""
ROUNDS = 3
"""How often a sign-in or a change starts over because its user changed under it."""


@counted(PASSWORD)
async def log_in(
    world: World,
    login: str,
    password: str,
    *,
    client: Client,
    mode: Mode,
    replaces: str | None,
    device: str | None = None,
) -> Grant | SecondStep | Step:
    """A session for a right password, or what comes before it: a second step, or `Step.VERIFY_EMAIL`.

    Raises InvalidCredentials for all else alike, and RateLimited, before anything is hashed, whoever the login is of
    (SECURITY-TARGET attacks 65, 68); only who knows the password is told TooManyAttempts, or RateLimited for codes.
    `device` is the token of a known device, if the client brings one.

    Unknown, disabled and wrong cost one verification each (ASVS 5.0 6.3.8, SECURITY-TARGET attack 65).
    """
    text, name, where = normalise(password), canonical_login(login), address("login", client)
    await admit_here_first(world, where, client=client)
    account = await _account(world, name, login, device)
    known = account[0] == "login_device"
    # A known device is not kept out by a sweep over everybody: its own budget and the hash queue bound it.
    everybody = () if known else (("login_all", ""),)
    await admit(world, where, account, *everybody, client=client)
    whose: str | None = None
    for _ in range(ROUNDS):
        read_at = world.clock.now()
        user = await world.store.find_user(name)
        whose = user.id if user else None
        right = await world.hasher.verify(user.digest if user else None, text)
        step = next_step(user, password_right=right, two_factor=world.two_factor)
        if user is None or step is Step.REFUSE:
            world.emit(Event(events.SIGN_IN_FAILED, world.clock.now(), whose, None, client.ip))
            break
        if step is Step.VERIFY_EMAIL:
            world.emit(Event(events.SIGN_IN_FAILED, world.clock.now(), whose, None, client.ip, "unverified"))
            return step
        user = await _with_digest_of_today(world, user, text)
        outcome: Grant | SecondStep | None
        if step is Step.TWO_FACTOR:
            outcome = await second_step.begin(
                world, user, client=client, mode=mode, amr=(METHOD,), known=known
            )
        else:
            outcome = await sign_in.start_session(
                world,
                user,
                read_at=read_at,
                amr=(METHOD,),
                client=client,
                mode=mode,
                replaces=replaces,
                known=known,
            )
        if outcome is not None:
            return outcome
    else:
        world.emit(Event(events.SIGN_IN_FAILED, world.clock.now(), whose, None, client.ip, "changed"))
    raise InvalidCredentials


async def reauthenticate(world: World, loaded: LoadedSession, password: str, *, client: Client) -> Grant:
    """The same session with a new `auth_time`. Raises InvalidCredentials, RateLimited, SessionEnded."""
    text = normalise(password)
    await _guess(world, loaded.user.id, client)
    if not await world.hasher.verify(loaded.user.digest, text):
        world.emit(
            Event(events.SIGN_IN_FAILED, world.clock.now(), loaded.user.id, loaded.session.sid, client.ip)
        )
        raise InvalidCredentials("The password is wrong.")
    return await refresh.reauthenticate(world, loaded, method=METHOD, client=client)


async def _guess(world: World, user_id: str, client: Client) -> None:
    """Count a try at the password of who is signed in. By id, not by login: that budget is anybody's to spend, this one
    only theirs who hold a session of the account."""
    await admit(world, ("login_account", f"id {user_id}"), client=client, user_id=user_id)


async def change(world: World, loaded: LoadedSession, current: str, new: str, *, client: Client) -> Grant:
    """A new password for who knows the current one; every other session ends, this one goes on with new tokens, as the
    password has just been proved (ASVS 5.0 6.2.3, 7.4.3).

    Raises RateLimited; InvalidCredentials, before the new one is judged; InvalidRequest; SessionEnded when this one
    ended meanwhile.
    """
    text, sid = normalise(current, field="current_password"), loaded.session.sid
    await _guess(world, loaded.user.id, client)
    for _ in range(ROUNDS):
        user = loaded.user
        if not await world.hasher.verify(user.digest, text):
            world.emit(Event(events.SIGN_IN_FAILED, world.clock.now(), user.id, sid, client.ip))
            raise InvalidCredentials("The current password is wrong.")
        digest = await _new_digest(world, user, new)
        outcome = await _set(world, loaded, digest, client=client)
        if isinstance(outcome, Grant):
            return outcome
        loaded = outcome
    raise Overloaded(retry_after=1)


async def _set(world: World, loaded: LoadedSession, digest: str, *, client: Client) -> Grant | LoadedSession:
    """Write a new digest and the proof of the old one as one: what has happened is never answered by a failure. The
    session as it is now if the old one is another meanwhile. Raises SessionEnded."""
    user, sid = loaded.user, loaded.session.sid
    mail = _notice(world, user, client=client)
    for _ in range(refresh.SWAPS):
        read_at = world.clock.now()
        current = await world.store.load_session(sid)
        if current is None or not current.session.live(current.user, current.now):
            raise SessionEnded
        if current.user.digest != user.digest:
            return current
        after = refresh.proved(world, current, method=METHOD, client=client)
        ended = await world.store.change_own_password(
            digest, old=user.digest, before=current.session, after=after, mail=mail
        )
        if ended is not None:
            _changed(world, user, ended, "change", sid=sid, client=client)
            return refresh.granted(world, after, current, method=METHOD, client=client, read_at=read_at)
    raise Overloaded(retry_after=1)


async def forgot(world: World, email: str, *, client: Client) -> None:
    """Send a link to an address, if it is somebody's: nothing that is asked, done or answered here tells whether it is
    (ASVS 5.0 6.3.8, SECURITY-TARGET attack 65). Whoever has had enough of them gets none, and nobody is told.
    Raises RateLimited for an address that asks too often, or when all together do, whomever they ask about.
    """
    await admit(world, address("forgot", client), ("forgot_all", ""), client=client)
    now, secret = world.clock.now(), secrets.token_bytes(SECRET)
    challenge_id = uuid7(now, secrets.token_bytes(10))
    login = canonical_login(email)
    user = await world.store.find_user(login if "@" in login else "")
    to = user.email if user else login
    challenge = Challenge(
        id=challenge_id,
        kind=Kind.RESET,
        user_id=user.id if user else challenge_id,
        digest=digest_of_secret(secret),
        code=b"",
        payload={"email": to},
        created_at=now,
        sent_at=now,
        expires_at=now + LINK_LIFE,
    )
    payload = {
        "token": token(secret),
        "minutes": LINK_LIFE // 60_000_000,
        "device": device_label(client.user_agent),
        "ip": client.ip,
    }
    mail = sealed(world, RESET, to, payload, expires_at=now + LINK_LIFE)
    sent = await world.store.issue_link(challenge, mail)
    world.mail_queued()
    whose = user.id if sent and user else None
    world.emit(Event(events.RESET_REQUESTED, now, whose, None, client.ip))


async def reset(world: World, presented: str | None, new: str, *, client: Client) -> None:
    """A new password for who holds a link; all sessions end, and none begins: they sign in as usual, second step
    included (ASVS 5.0 6.4.3). Whoever was unverified has read mail at that address, and is verified (attack 75).

    Raises RateLimited; ChallengeExpired, for everything that is no open link alike and before the new password is
    judged; then InvalidRequest, the link being as good as before.
    """
    await admit(world, address("reset", client), client=client)
    digest = digest_of(presented or "")
    found = await world.store.load_link(digest, Kind.RESET) if digest else None
    if found is None or not found.challenge.open(found.now):
        _refuse(world, found, client)
    challenge, user, email = found.challenge, found.user, found.challenge.payload["email"]
    if user.email != email:
        _refuse(world, found, client)
    # Judging and hashing are slow, and a link stays open while its new password is refused.
    await admit(world, ("reset_link", challenge.id), client=client, user_id=user.id)
    ended = await world.store.redeem_reset(
        challenge, email, await _new_digest(world, user, new), _notice(world, user, client=client)
    )
    if ended is None:  # somebody was faster, or the user has changed
        _refuse(world, found, client)
    _changed(world, user, ended, "reset", client=client)
    if user.status is Status.UNVERIFIED:
        world.emit(
            Event(events.STATUS_CHANGED, world.clock.now(), user.id, None, client.ip, Status.ACTIVE.value)
        )


def _refuse(world: World, found: LoadedLink | None, client: Client) -> NoReturn:
    whose = found.user.id if found else None
    world.emit(Event(events.RESET_REFUSED, world.clock.now(), whose, None, client.ip))
    raise ChallengeExpired("This link has expired or was used already: ask for another.")


async def _new_digest(world: World, user: User, password: str) -> str:
    """Of a password that a user wants from now on. Raises InvalidRequest."""
    context = (user.email, user.username, world.url)
    return await world.hasher.hash(
        await world.hasher.aside(lambda: acceptable(password, context=context, field="new_password"))
    )


def _notice(world: World, user: User, *, client: Client) -> Mail:
    """Tells the owner that the password was changed, from where, and nothing that opens anything."""
    payload = {"device": device_label(client.user_agent), "ip": client.ip}
    return sealed(world, CHANGED, user.email, payload)


def _changed(
    world: World,
    user: User,
    ended: Sequence[Revoked],
    how: str,
    *,
    sid: str | None = None,
    client: Client,
) -> None:
    """Tell what was written."""
    now = world.clock.now()
    world.mail_queued()
    world.emit(Event(events.PASSWORD_CHANGED, now, user.id, sid, client.ip, how))
    tell(world, ended, user_id=user.id, reason=End.PASSWORD, now=now, ip=client.ip)


async def _account(world: World, name: str, login: str, device: str | None) -> Asked:
    """Whose budget of guesses a login counts for: the account's, or the device's own where the account is known to it,
    so that nobody who guesses elsewhere locks its owner out (SECURITY-TARGET attack 66)."""
    if device is not None:
        user = await world.store.find_user(name)
        if user is not None and world.devices.genuine(device, user, world.clock.now()):
            return "login_device", device
    # What is no login at all cannot be one user's, nor any canonical form: neither begins with a question mark.
    return "login_account", name or f"?{login}"


async def _with_digest_of_today(world: World, user: User, password: str) -> User:
    """Hash again with today's parameters, if the stored digest was made with older ones (ASVS 5.0 11.2.2)."""
    if user.digest is None or not world.hasher.outdated(user.digest):
        return user
    digest = await world.hasher.hash(password)
    return (
        replace(user, digest=digest)
        if await world.store.replace_digest(user.id, old=user.digest, new=digest)
        else user
    )
