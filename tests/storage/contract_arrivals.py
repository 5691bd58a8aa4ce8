"""What a store must do when a session begins: which message is queued with it, and which sessions make room for it.
One test a fact, run on every implementation (see contract.py)."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import create_task_group

from tests.storage.samples import (
    DIGEST,
    SECOND,
    issued,
    new_factor,
    new_mail,
    new_session,
    new_user,
    now_of,
    revoked_sids,
    stored_session,
    stored_user,
)
from watchword.core.challenge import Kind
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.ports import Room, Store


async def mails(store: Store) -> list[str]:
    return [row.mail.id for row in await store.list_mail(before=None, limit=100)]


async def live(store: Store, user: User) -> set[str]:
    return {row.sid for row in await store.list_sessions(user.id, now=await now_of(store))}


async def used_in_turn(store: Store, user: User, count: int) -> list[Session]:
    """Live sessions, the first not used for longest, whatever the order of their beginnings."""
    now = await now_of(store)
    sessions = [
        await stored_session(store, user, last_used_at=now - (number + 2) * SECOND) for number in range(count)
    ]
    return sessions[::-1]


async def quietly(store: Store, session: Session, **given: Any) -> bool:
    """As from a known device, unless said otherwise."""
    usual: dict[str, Any] = {
        "digest": DIGEST,
        "two_factor": False,
        "most": 50,
        "known": True,
        "newcomer": False,
    }
    return await store.insert_quietly(session, **(usual | given))


class ArrivalContract:
    async def test_a_sign_in_queues_the_message_that_comes_with_it(self, store: Store) -> None:
        """ASVS 6.3.5: in the same transaction."""
        user, mail = await stored_user(store), new_mail()
        assert await store.insert_session(new_session(user), digest=DIGEST, replaces=None, mail=mail) == []
        assert await mails(store) == [mail.id]

    async def test_no_session_no_message(self, store: Store) -> None:
        user, room = await stored_user(store), Room(1, new_mail())
        session = new_session(user)
        for mail in (None, new_mail()):
            told = await store.insert_session(session, digest="x", replaces=None, mail=mail, room=room)
            assert told is None
        assert await mails(store) == []

    async def test_the_sessions_not_used_for_longest_make_room(self, store: Store) -> None:
        """ASVS 7.1.2: and the new one never, were its clock behind."""
        user = await stored_user(store)
        sessions = await used_in_turn(store, user, 4)
        new, room = new_session(user, last_used_at=0), Room(3, new_mail())
        before = await now_of(store)
        ended = await store.insert_session(new, digest=DIGEST, replaces=None, mail=new_mail(), room=room)
        assert ended is not None
        first, second, *kept = sessions
        assert {row.sid for row in ended} == {first.sid, second.sid}
        assert {(row.user_id, row.end) for row in ended} == {(user.id, End.EVICTED)}
        after = await now_of(store)
        assert all(before <= row.at <= after for row in ended)
        assert await live(store, user) == {new.sid, *(row.sid for row in kept)}
        assert await revoked_sids(store) == {first.sid, second.sid}
        row = await store.load_session(first.sid)
        assert row is not None
        assert (row.session.end, row.session.ended_at) == (
            End.EVICTED,
            next(row.at for row in ended if row.sid == first.sid),
        )
        assert await mails(store) == [room.mail.id], "one message a sign-in"

    async def test_where_there_is_room_nothing_ends(self, store: Store) -> None:
        """Neither ended nor expired sessions take any, nor do other people's."""
        user, now = await stored_user(store), await now_of(store)
        kept = await stored_session(store, user)
        over = await stored_session(store, user)
        await store.end_session(over.sid, End.LOGOUT, now=now)
        await stored_session(store, user, idle_until=now - SECOND)
        await stored_session(store, user, idle_until=now - SECOND, ends_at=now - SECOND)
        await stored_session(store, await stored_user(store))
        new, mail = new_session(user), new_mail()
        room = Room(2, new_mail())
        assert await store.insert_session(new, digest=DIGEST, replaces=None, mail=mail, room=room) == []
        assert await live(store, user) == {kept.sid, new.sid}
        assert await mails(store) == [mail.id]

    async def test_what_is_replaced_makes_room_as_well(self, store: Store) -> None:
        """Attack 32: the browser that signs in again takes no second place; whose it was is told."""
        user, other = await stored_user(store), await stored_user(store)
        mine, theirs = await stored_session(store, user), await stored_session(store, other)
        first, second, room = new_session(user), new_session(user), Room(1, new_mail())
        ended = await store.insert_session(first, digest=DIGEST, replaces=mine.sid, room=room)
        assert [(row.sid, row.user_id, row.end) for row in ended or ()] == [(mine.sid, user.id, End.REPLACED)]
        assert await mails(store) == []
        ended = await store.insert_session(second, digest=DIGEST, replaces=theirs.sid, room=room)
        assert [(row.sid, row.user_id, row.end) for row in ended or ()] == [
            (theirs.sid, other.id, End.REPLACED),
            (first.sid, user.id, End.EVICTED),
        ]
        assert await live(store, user) == {second.sid}

    async def test_a_second_step_makes_room_and_tells_as_a_password_does(self, store: Store) -> None:
        user = await stored_user(store)
        [old] = await used_in_turn(store, user, 1)
        for mail in (None, new_mail()):
            challenge = await issued(store, user)
            found = await store.attempt_challenge(challenge.digest, Kind.LOGIN)
            assert found is not None
            new, room = new_session(user), Room(1, new_mail())
            ended = await store.redeem_challenge(
                found.challenge, new, replaces=None, mail=mail, room=room if mail is None else None
            )
            assert ended is not None
            assert [row.sid for row in ended] == ([old.sid] if mail is None else [])
            assert (room.mail if mail is None else mail).id in await mails(store)
            assert new.sid in await live(store, user)

    async def test_a_sign_in_that_is_no_news_is_inserted_quietly(self, store: Store) -> None:
        """ASVS 6.3.5: by a known device; in the first day of an account; beside a live session of the same browser and
        network."""
        for known, newcomer, before, inserted in (
            (True, False, [], True),
            (False, True, [], True),
            (False, False, [], False),
            (False, True, ["elsewhere"], False),
            (False, False, ["elsewhere"], False),
            (False, False, ["here", "elsewhere"], True),
            (True, False, ["elsewhere"], True),
        ):
            user = await stored_user(store)
            for context in before:
                await stored_session(store, user, lineage=Lineage(context=context))
            session = new_session(user, lineage=Lineage(context="here"))
            done = await quietly(store, session, known=known, newcomer=newcomer)
            assert done is inserted, (known, newcomer, before)
            loaded = await store.load_session(session.sid)
            assert (loaded is not None and loaded.session == session) is inserted
        assert await mails(store) == []

    async def test_only_a_live_session_of_their_own_vouches(self, store: Store) -> None:
        """ASVS 6.3.5."""
        user, now = await stored_user(store), await now_of(store)
        here = Lineage(context="here")
        over = await stored_session(store, user, lineage=here)
        await store.end_session(over.sid, End.LOGOUT, now=now)
        await stored_session(store, user, lineage=here, idle_until=now - SECOND)
        await stored_session(store, user, lineage=here, idle_until=now - SECOND, ends_at=now - SECOND)
        await stored_session(store, await stored_user(store), lineage=here)
        assert not await quietly(store, new_session(user, lineage=here), known=False, newcomer=False)
        assert await quietly(store, new_session(user, lineage=here), known=False, newcomer=True)

    async def test_who_has_changed_is_not_signed_in_quietly_either(self, store: Store) -> None:
        """Attacks 44, 45: another password, another second step, not active, not there."""
        user = await stored_user(store)
        assert not await quietly(store, new_session(user), digest="other")
        assert not await quietly(store, new_session(user), two_factor=True)
        assert not await quietly(store, new_session(new_user()))
        await store.change_status(user.id, Status.DISABLED, now=await now_of(store))
        assert not await quietly(store, new_session(user))
        assert await live(store, user) == set()

    async def test_of_twenty_who_sign_in_quietly_at_once_five_are_let_in(self, store: Store) -> None:
        """ASVS 7.1.2: what would be one too many is not quiet."""
        user, done = await stored_user(store), []

        async def sign_in() -> None:
            done.append(await quietly(store, new_session(user), most=5))

        async with create_task_group() as group:
            for _ in range(20):
                group.start_soon(sign_in)
        assert len(await live(store, user)) == 5 == sum(done)
        [one, *_] = await live(store, user)
        await store.end_session(one, End.LOGOUT, now=await now_of(store))
        assert [await quietly(store, new_session(user), most=5) for _ in range(2)] == [True, False]

    async def test_of_twenty_who_sign_in_at_once_five_stay(self, store: Store) -> None:
        """ASVS 7.1.2: each counts what the one before has left."""
        user = await stored_user(store)

        async def sign_in() -> None:
            room = Room(5, new_mail())
            assert (
                await store.insert_session(new_session(user), digest=DIGEST, replaces=None, room=room)
                is not None
            )

        async with create_task_group() as group:
            for _ in range(20):
                group.start_soon(sign_in)
        assert len(await live(store, user)) == 5
        assert len(await revoked_sids(store)) == 15 == len(await mails(store))

    async def test_the_end_of_a_session_tells_once(self, store: Store) -> None:
        """RFC 9700 §4.14.2: of two who present a reused token one ends the session, and one message goes."""
        session = await stored_session(store, await stored_user(store))
        mail = new_mail()
        ended = await store.end_session(session.sid, End.REUSE, now=0, mail=mail)
        assert ended is not None
        assert await store.end_session(session.sid, End.REUSE, now=0, mail=new_mail()) is None
        assert await mails(store) == [mail.id]

    @pytest.mark.parametrize("at_once", [1, 5])
    async def test_a_second_step_that_is_turned_on_or_off_tells_once(
        self, store: Store, at_once: int
    ) -> None:
        """ASVS 6.3.7: in the transaction of what it tells of."""
        user = await stored_user(store)
        factors = [new_factor(user) for _ in range(at_once)]

        async def add(number: int) -> None:
            await store.add_factor(factors[number], now=0, keep=None, mail=new_mail())

        async def remove(number: int) -> None:
            [mine] = there
            await store.remove_factor(mine.id, user_id=user.id, now=0, keep=None, mail=new_mail())

        for count, change in ((1, add), (2, remove)):
            there = await store.list_factors(user.id)
            async with create_task_group() as group:
                for number in range(at_once):
                    group.start_soon(change, number)
            assert len(await mails(store)) == count
        assert await store.list_factors(user.id) == []
