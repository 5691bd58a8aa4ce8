"""Proving by an emailed code that it is still the user who is signed in: the code on its way, and what it renews.

The session is what a code is bound to, so it needs no token of its own: it is good from the session that asked for it
and from no other. It proves a mailbox and nothing else, and so is no proof for anybody whose sign-in already takes a
step through that mailbox: whoever has it and a stolen session could turn that step off (SECURITY-TARGET attack 59,
decision 18).
"""

from __future__ import annotations

import secrets

from watchword import events
from watchword.core.challenge import (
    OVER,
    PROOF,
    SECRET,
    Challenge,
    Kind,
    as_code,
    digest_of_secret,
    may_begin,
    may_resend,
    may_try,
    resent,
)
from watchword.core.session import Client
from watchword.core.user import User
from watchword.core.uuid7 import uuid7
from watchword.errors import CodeInvalid, Forbidden, Overloaded, SessionEnded
from watchword.events import Event
from watchword.flows.grant import Grant
from watchword.flows.limits import address, admit
from watchword.flows.refresh import SWAPS, granted, proved
from watchword.flows.second_step import compose, refuse
from watchword.ports import LoadedSession, World
from watchword.settings import TwoFactor

MAIL = "proof"
"""The kind of the message, which names its template."""
ROUNDS = 3
"""How often asking starts over because somebody else asked at the same moment."""


async def ask(world: World, loaded: LoadedSession, *, client: Client) -> int:
    """Send a code to who is signed in, or another one that replaces it; how many seconds it is good for.

    Another one is sent for the same challenge, no sooner than 30 s later: asking again gives no more tries. Raises
    Forbidden, TooManyAttempts, RateLimited, SessionEnded.
    """
    user, sid = loaded.user, loaded.session.sid
    _check(world, user)
    await admit(world, address("codes", client), client=client, user_id=user.id)
    for _ in range(ROUNDS):
        waiting = await world.store.find_proof(user.id, sid)
        seconds = await (
            _begin(world, user, sid, client=client)
            if waiting is None
            else _again(world, user, waiting, client=client)
        )
        if seconds is not None:
            world.mail_queued()
            name = Kind.REAUTHENTICATE.value
            world.emit(Event(events.CODE_SENT, world.clock.now(), user.id, sid, client.ip, name))
            return seconds
    raise Overloaded(retry_after=1)


async def _begin(world: World, user: User, sid: str, *, client: Client) -> int | None:
    """None when another request was faster."""
    now, ttl = world.clock.now(), world.lives.code
    challenge_id = uuid7(now, secrets.token_bytes(10))
    code, mail = compose(world, user, challenge_id, client=client, now=now, expires_at=now + ttl, kind=MAIL)
    challenge = Challenge(
        id=challenge_id,
        kind=Kind.REAUTHENTICATE,
        user_id=user.id,
        digest=digest_of_secret(
            secrets.token_bytes(SECRET)
        ),  # nobody holds this secret: the session is what counts
        code=code,
        payload={"sid": sid},
        created_at=now,
        sent_at=now,
        expires_at=now + ttl,
    )
    issued = await world.store.issue_challenge(challenge, mail, digest=user.digest)
    if issued is None:  # a new password or status has ended the session too, unless it was set from here
        raise SessionEnded
    if issued.done:
        return ttl // 1_000_000
    refused = may_begin(issued.spent)
    if refused is not None:
        refuse(world, refused, now=issued.now, user_id=user.id, client=client)
    return None


async def _again(world: World, user: User, waiting: Challenge, *, client: Client) -> int | None:
    """None when it ended meanwhile."""
    now, ttl = world.clock.now(), world.lives.code
    expires_at = resent(waiting, b"", now=now, ttl=ttl).expires_at
    code, mail = compose(world, user, waiting.id, client=client, now=now, expires_at=expires_at, kind=MAIL)
    after = await world.store.resend_challenge(waiting.digest, waiting.kind, code, mail, ttl=ttl)
    if after is None or after.challenge.ended_at is not None:
        return None
    if not after.done:
        refuse(
            world,
            may_resend(after.challenge, after.spent, after.now),
            now=after.now,
            user_id=user.id,
            client=client,
        )
    return max(0, after.challenge.expires_at - after.now) // 1_000_000


async def prove(world: World, loaded: LoadedSession, code: str, *, client: Client) -> Grant:
    """The same session with a new `auth_time`, for the code that was sent to it last.

    Raises InvalidRequest for what is no code, which counts as no try; Forbidden, CodeInvalid, ChallengeExpired,
    TooManyAttempts, RateLimited, SessionEnded. The try is counted before the code is looked at (attack 52).
    """
    text, user, sid = as_code(code), loaded.user, loaded.session.sid
    _check(world, user)
    await admit(world, address("codes", client), client=client, user_id=user.id)
    waiting = await world.store.find_proof(user.id, sid)
    found = await world.store.attempt_challenge(waiting.digest, waiting.kind) if waiting else None
    if found is None:
        refuse(world, OVER, now=world.clock.now(), user_id=user.id, client=client)
    challenge = found.challenge
    if not found.done:
        refused = may_try(challenge, found.spent, found.now)
        refuse(world, refused, now=found.now, user_id=user.id, client=client)
    if not world.codes.right(text, challenge):
        world.emit(Event(events.CODE_FAILED, found.now, user.id, sid, client.ip, challenge.kind.value))
        raise CodeInvalid
    for _ in range(SWAPS):
        read_at = world.clock.now()
        current = await world.store.load_session(sid)
        if current is None or not current.session.live(current.user, current.now):
            raise SessionEnded
        _check(world, current.user)
        after = proved(world, current, method=PROOF, client=client)
        if await world.store.redeem_proof(challenge, current.session, after):
            return granted(world, after, current, method=PROOF, client=client, read_at=read_at)
        left = await world.store.find_proof(user.id, sid)
        if left is None or left.code != challenge.code:  # somebody was faster, or another code has been sent
            refuse(world, OVER, now=found.now, user_id=user.id, client=client)
    raise Overloaded(retry_after=1)


def _check(world: World, user: User) -> None:
    """Raises Forbidden for whom a code proves nothing."""
    if user.two_factor or world.two_factor is TwoFactor.REQUIRED:
        raise Forbidden("Your sign-in takes a code from this mailbox already: prove it by your password.")
    if not user.email_verified:
        raise Forbidden("Verify your email address first: the code would go there.")
