"""Trying a code, asking for another, turning the step on and off: load, decide, write once, tell."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from watchword import events
from watchword.core.challenge import OVER, Kind, as_code, digest_of, may_resend, may_try, resent
from watchword.core.factor import Factor, Method
from watchword.core.revocation import Revoked
from watchword.core.session import Client, End
from watchword.core.uuid7 import uuid7
from watchword.errors import AlreadyExists, CodeInvalid, Forbidden, NotFound
from watchword.events import Event
from watchword.features.email_code import rules
from watchword.flows.end import tell
from watchword.flows.grant import Grant
from watchword.flows.limits import address, admit
from watchword.flows.live import still_live
from watchword.flows.notices import FACTOR_ADDED, FACTOR_REMOVED, notice
from watchword.flows.outcomes import SECOND_STEP, counted
from watchword.flows.second_step import compose, refuse
from watchword.flows.sign_in import start_session
from watchword.ports import LoadedChallenge, LoadedSession, World
from watchword.settings import Mode, TwoFactor


@counted(SECOND_STEP)
async def try_code(
    world: World, token: str | None, code: str, *, in_cookie: bool, client: Client, replaces: str | None
) -> Grant:
    """The session that the login was begun for. Raises CodeInvalid, ChallengeExpired, TooManyAttempts,
    RateLimited, and InvalidRequest for what is no code, which counts as no try.

    The try is counted before the code is looked at, so that guesses made at once are not more than those made one
    after another (SECURITY-TARGET attack 52).
    """
    text, read_at = as_code(code), world.clock.now()
    await admit(world, address("codes", client), client=client)
    digest = digest_of(token or "")
    found = await world.store.attempt_challenge(digest, Kind.LOGIN) if digest else None
    if found is None or not _brought_as_begun(found, in_cookie=in_cookie):
        refuse(world, OVER, now=read_at, user_id=None, client=client)
    challenge, user = found.challenge, found.user
    if not found.done:
        refused = may_try(challenge, found.spent, found.now)
        refuse(world, refused, now=found.now, user_id=user.id, client=client)
    if not world.codes.right(text, challenge):
        world.emit(Event(events.CODE_FAILED, found.now, user.id, None, client.ip, challenge.kind.value))
        raise CodeInvalid
    grant = await start_session(
        world,
        user,
        read_at=read_at,
        amr=rules.proven(challenge.payload["amr"]),
        client=client,
        mode=Mode(challenge.payload["mode"]),
        replaces=replaces,
        known=challenge.payload.get("known", False),
        redeeming=challenge,
    )
    if grant is None:  # somebody was faster, or another code has been sent, or the user has changed
        refuse(world, OVER, now=found.now, user_id=user.id, client=client)
    return grant


async def resend(world: World, token: str | None, *, in_cookie: bool, client: Client) -> int:
    """Send another code for the same login; how many seconds it is good for. The old one is worth nothing from now on.

    Raises ChallengeExpired, TooManyAttempts, RateLimited.
    """
    await admit(world, address("codes", client), client=client)
    digest = digest_of(token or "")
    found = await world.store.load_challenge(digest, Kind.LOGIN) if digest else None
    if digest is None or found is None or not _brought_as_begun(found, in_cookie=in_cookie):
        refuse(world, OVER, now=world.clock.now(), user_id=None, client=client)
    challenge, user, ttl = found.challenge, found.user, world.lives.code
    refused = may_resend(challenge, found.spent, found.now)
    if refused is not None:
        refuse(world, refused, now=found.now, user_id=user.id, client=client)
    expires_at = resent(challenge, b"", now=found.now, ttl=ttl).expires_at
    code, mail = compose(world, user, challenge.id, client=client, now=found.now, expires_at=expires_at)
    after = await world.store.resend_challenge(digest, Kind.LOGIN, code, mail, ttl=ttl)
    if after is None or not after.done:  # of two at once, one
        after = after or found
        refused = may_resend(after.challenge, after.spent, after.now)
        refuse(world, refused, now=after.now, user_id=user.id, client=client)
    world.mail_queued()
    world.emit(Event(events.CODE_SENT, after.now, user.id, None, client.ip, challenge.kind.value))
    return (after.challenge.expires_at - after.now) // 1_000_000


async def turn_on(world: World, loaded: LoadedSession, method: Method, *, client: Client) -> Factor:
    """From now on the user's sign-ins take the second step; every other session ends, as none of them has taken it
    (ASVS 5.0 7.4.3). Raises AlreadyExists, Forbidden, SessionEnded."""
    user = loaded.user
    if world.two_factor is TwoFactor.OFF:
        raise Forbidden("A second step is not offered here.")
    if not world.mail_arrives:  # nobody could sign in any more
        raise Forbidden("A second step is not offered here: this server cannot send mail.")
    if not user.email_verified:
        raise Forbidden("Verify your email address first: the code would go there.")
    now = world.clock.now()
    factor = Factor(uuid7(now, secrets.token_bytes(10)), user.id, method, now)
    mail = notice(world, FACTOR_ADDED, user, client=client, now=now)
    ended = await world.store.add_factor(factor, now=now, keep=loaded.session.sid, mail=mail)
    if ended is None:
        await still_live(world, loaded)
        raise AlreadyExists("This second step is turned on already.")
    _told(world, ended, loaded, events.FACTOR_ADDED, method, now=now, client=client)
    return factor


async def turn_off(world: World, loaded: LoadedSession, factor_id: str, *, client: Client) -> None:
    """Every other session ends with it. Raises NotFound, SessionEnded."""
    user, now = loaded.user, world.clock.now()
    factor = next((row for row in await world.store.list_factors(user.id) if row.id == factor_id), None)
    if factor is None:
        raise NotFound("You have no such second step.")
    mail = notice(world, FACTOR_REMOVED, user, client=client, now=now)
    ended = await world.store.remove_factor(
        factor_id, user_id=user.id, now=now, keep=loaded.session.sid, mail=mail
    )
    if ended is None:
        await still_live(world, loaded)
        raise NotFound("You have no such second step.")
    _told(world, ended, loaded, events.FACTOR_REMOVED, factor.method, now=now, client=client)


def _brought_as_begun(found: LoadedChallenge, *, in_cookie: bool) -> bool:
    """Whether the secret came the way that it was handed out: what a cookie holds is no script's to send."""
    return Mode(found.challenge.payload["mode"]).in_cookies is in_cookie


def _told(
    world: World,
    ended: Sequence[Revoked],
    loaded: LoadedSession,
    name: str,
    method: Method,
    *,
    now: int,
    client: Client,
) -> None:
    user, sid = loaded.user, loaded.session.sid
    world.mail_queued()
    world.emit(Event(name, now, user.id, sid, client.ip, method.value))
    tell(world, ended, user_id=user.id, reason=End.FACTOR, now=now, ip=client.ip)
