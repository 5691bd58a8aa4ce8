"""What the session half of a store must do: one test a fact, run on every implementation (see contract.py)."""

from dataclasses import replace

import pytest
from anyio import create_task_group, sleep

from tests.storage.samples import (
    DAY,
    DIGEST,
    SECOND,
    new_session,
    new_user,
    now_of,
    revoked_sids,
    rotated,
    stored_session,
    stored_user,
)
from watchword.core.revocation import Revoked
from watchword.core.session import End, Session
from watchword.core.session_token import taken_up
from watchword.core.user import Status
from watchword.ports import Store
from watchword.settings import Mode


async def loaded(store: Store, session: Session) -> Session:
    row = await store.load_session(session.sid)
    assert row is not None
    return row.session


class SessionContract:
    @pytest.mark.parametrize("mode", Mode)
    async def test_a_session_is_read_with_its_user_and_the_time(self, store: Store, mode: Mode) -> None:
        user = await stored_user(store)
        session = await stored_session(store, user, mode=mode)
        before = await now_of(store)
        row = await store.load_session(session.sid)
        assert row is not None
        assert (row.session, row.user) == (session, user)
        assert before <= row.now <= await now_of(store)

    async def test_what_is_not_stored_is_none(self, store: Store) -> None:
        assert await store.load_session("nothing") is None

    @pytest.mark.parametrize("digest", [None, "", "another"])
    async def test_no_session_is_made_with_another_digest(self, store: Store, digest: str | None) -> None:
        user = await stored_user(store)
        earlier = await stored_session(store, user)
        session = new_session(user)
        assert await store.insert_session(session, digest=digest, replaces=earlier.sid) is None
        assert await store.load_session(session.sid) is None
        assert await loaded(store, earlier) == earlier
        assert await revoked_sids(store) == set()

    async def test_who_has_no_password_signs_in_without_one(self, store: Store) -> None:
        user = await stored_user(store, digest=None)
        assert await store.insert_session(new_session(user), digest="", replaces=None) is None
        assert await store.insert_session(new_session(user), digest=None, replaces=None) == []

    @pytest.mark.parametrize("status", [Status.DISABLED, Status.UNVERIFIED])
    async def test_no_session_is_made_for_who_is_not_active(self, store: Store, status: Status) -> None:
        user = await stored_user(store, status=status)
        session = new_session(user)
        assert await store.insert_session(session, digest=DIGEST, replaces=None) is None
        assert await store.load_session(session.sid) is None

    async def test_no_session_is_made_for_who_is_not_there(self, store: Store) -> None:
        session = new_session(new_user())
        assert await store.insert_session(session, digest=DIGEST, replaces=None) is None
        assert await store.load_session(session.sid) is None

    async def test_a_sign_in_ends_what_the_browser_had_before(self, store: Store) -> None:
        """Attack 32, whoever it belonged to."""
        earlier = await stored_session(store, await stored_user(store))
        user = await stored_user(store)
        session = new_session(user)
        replaced = await store.insert_session(session, digest=DIGEST, replaces=earlier.sid)
        assert replaced is not None
        assert [row.sid for row in replaced] == [earlier.sid]
        assert await loaded(store, session) == session
        assert (await loaded(store, earlier)).end is End.REPLACED
        assert await revoked_sids(store) == {earlier.sid}

    async def test_what_has_ended_is_not_replaced_again(self, store: Store) -> None:
        user = await stored_user(store)
        earlier = await stored_session(store, user)
        await store.end_session(earlier.sid, End.LOGOUT, now=await now_of(store))
        for replaces in (earlier.sid, "nothing"):
            assert await store.insert_session(new_session(user), digest=DIGEST, replaces=replaces) == []
        assert (await loaded(store, earlier)).end is End.LOGOUT

    async def test_a_replaced_session_ended_by_the_clock_that_reads_it(self, store: Store) -> None:
        """Rotation subtracts one from the other, whatever the host's clock says (F8)."""
        user = await stored_user(store)
        earlier = await stored_session(store, user)
        before = await now_of(store)
        session = new_session(user, created_at=before + 10 * SECOND)
        await store.insert_session(session, digest=DIGEST, replaces=earlier.sid)
        row = await store.load_session(earlier.sid)
        assert row is not None
        assert row.session.replaced_at is not None
        assert before <= row.session.replaced_at

    async def test_a_swap_writes_what_a_rotation_changes(self, store: Store) -> None:
        session = await stored_session(store, await stored_user(store))
        after = rotated(session)
        assert await store.swap_session(session, after)
        assert await loaded(store, session) == after

    async def test_a_swap_writes_what_the_use_of_a_new_session_token_changes(self, store: Store) -> None:
        """ASVS 5.0 7.2.4: within what the tables allow, and once."""
        session = await stored_session(store, await stored_user(store), mode=Mode.SESSION)
        for _ in range(2):
            stepped_up = replace(session, lineage=replace(session.lineage, newest=session.lineage.newest + 1))
            assert await store.swap_session(session, stepped_up)
            lineage = taken_up(stepped_up.lineage, stepped_up.lineage.newest, now=SECOND, window=SECOND)
            assert lineage is not None
            session = replace(stepped_up, lineage=lineage)
            assert await store.swap_session(stepped_up, session)
            assert not await store.swap_session(stepped_up, session)
            assert await loaded(store, session) == session

    async def test_a_swap_writes_nothing_else(self, store: Store) -> None:
        session = await stored_session(store, await stored_user(store))
        after = rotated(session)
        wrong = replace(
            after, mode=Mode.BEARER, seed=b"x" * 32, created_at=1, ends_at=2, ended_at=3, end=End.REUSE
        )
        assert await store.swap_session(session, wrong)
        assert await loaded(store, session) == after

    async def test_a_swap_from_an_older_state_is_refused(self, store: Store) -> None:
        first = await stored_session(store, await stored_user(store))
        second = rotated(first)
        assert await store.swap_session(first, second)
        assert not await store.swap_session(first, rotated(first))
        for other in (replace(second.lineage, parent=0), replace(second.lineage, newest=9)):
            assert not await store.swap_session(replace(second, lineage=other), rotated(second))
        assert await loaded(store, first) == second

    async def test_of_fifty_swaps_at_once_one_is_made(self, store: Store) -> None:
        """Attack 36, I2."""
        session = await stored_session(store, await stored_user(store))
        made: list[Session] = []

        async def swap() -> None:
            after = rotated(session)
            if await store.swap_session(session, after):
                made.append(after)

        async with create_task_group() as group:
            for _ in range(50):
                group.start_soon(swap)
        [winner] = made
        assert await loaded(store, session) == winner

    async def test_a_swap_of_nothing_is_refused(self, store: Store) -> None:
        session = new_session(new_user())
        assert not await store.swap_session(session, rotated(session))

    @pytest.mark.parametrize("end", End)
    async def test_an_ended_session_is_never_swapped(self, store: Store, end: End) -> None:
        session = await stored_session(store, await stored_user(store))
        await store.end_session(session.sid, end, now=await now_of(store))
        ended = await loaded(store, session)
        assert not await store.swap_session(session, rotated(session))
        assert await loaded(store, session) == ended

    async def test_a_swap_and_an_end_at_once_leave_it_ended(self, store: Store) -> None:
        user = await stored_user(store)
        for _ in range(25):
            session = await stored_session(store, user)
            async with create_task_group() as group:
                group.start_soon(store.swap_session, session, rotated(session))
                group.start_soon(self._end, store, session)
            row = await loaded(store, session)
            assert row.end is End.LOGOUT
            assert not await store.swap_session(row, rotated(row))

    async def test_a_crossing_is_counted_once_a_generation(self, store: Store) -> None:
        session = await stored_session(store, await stored_user(store))
        first = replace(session.lineage, crossings=1, crossed=1)
        await store.record_crossing(session.sid, first)
        assert await loaded(store, session) == replace(session, lineage=first)
        await store.record_crossing(session.sid, replace(first, crossings=9))
        await store.record_crossing("nothing", first)
        assert await loaded(store, session) == replace(session, lineage=first)
        later = replace(first, crossings=2, crossed=2)
        await store.record_crossing(session.sid, replace(later, newest=5, context="other"))
        assert await loaded(store, session) == replace(session, lineage=later)

    @pytest.mark.parametrize("end", End)
    async def test_a_session_ends_once(self, store: Store, end: End) -> None:
        session = await stored_session(store, await stored_user(store))
        before = await now_of(store)
        revoked = await store.end_session(session.sid, end, now=before)
        assert revoked is not None
        assert revoked == Revoked(session.sid, revoked.at)
        assert before <= revoked.at <= await now_of(store)
        assert await loaded(store, session) == replace(session, ended_at=revoked.at, end=end)
        assert await store.end_session(session.sid, End.REUSE, now=await now_of(store)) is None
        assert (await store.read_revocations(since=0)).ended == [revoked]

    async def test_of_ten_ends_at_once_one_is_made(self, store: Store) -> None:
        session = await stored_session(store, await stored_user(store))
        made: list[Revoked | None] = []

        async def end() -> None:
            made.append(await store.end_session(session.sid, End.LOGOUT, now=0))

        async with create_task_group() as group:
            for _ in range(10):
                group.start_soon(end)
        assert [row.sid for row in made if row is not None] == [session.sid]

    async def test_nobody_ends_anothers_session(self, store: Store) -> None:
        """Attack 93: equal to one that does not exist."""
        user, stranger = await stored_user(store), await stored_user(store)
        session = await stored_session(store, user)
        now = await now_of(store)
        assert await store.end_session(session.sid, End.REVOKED, now=now, user_id=stranger.id) is None
        assert await store.end_session("nothing", End.REVOKED, now=now, user_id=user.id) is None
        assert await loaded(store, session) == session
        assert await store.end_session(session.sid, End.REVOKED, now=now, user_id=user.id) is not None

    async def test_all_sessions_of_a_user_end_but_the_one_kept(self, store: Store) -> None:
        user, other = await stored_user(store), await stored_user(store)
        kept, over, live = [await stored_session(store, user) for _ in range(3)]
        foreign = await stored_session(store, other)
        await store.end_session(over.sid, End.LOGOUT, now=await now_of(store))
        ended = await store.end_sessions(user.id, End.REVOKED, now=await now_of(store), keep=kept.sid)
        assert [row.sid for row in ended] == [live.sid]
        assert (await loaded(store, over)).end is End.LOGOUT
        assert (await loaded(store, live)).end is End.REVOKED
        assert await loaded(store, foreign) == foreign
        ended = await store.end_sessions(user.id, End.LOGOUT, now=await now_of(store))
        assert [row.sid for row in ended] == [kept.sid]
        assert await store.end_sessions(user.id, End.LOGOUT, now=await now_of(store)) == []
        assert await store.end_sessions("nobody", End.LOGOUT, now=await now_of(store)) == []

    async def test_all_ends_at_once_tell_each_session_once(self, store: Store) -> None:
        user = await stored_user(store)
        sids = {(await stored_session(store, user)).sid for _ in range(20)}
        told: list[str] = []

        async def end() -> None:
            told.extend(row.sid for row in await store.end_sessions(user.id, End.LOGOUT, now=0))

        async with create_task_group() as group:
            for _ in range(8):
                group.start_soon(end)
        assert sorted(told) == sorted(sids)

    async def test_live_sessions_are_listed_newest_first(self, store: Store) -> None:
        user, other = await stored_user(store), await stored_user(store)
        now = await now_of(store)
        older, newer, ended = [await stored_session(store, user) for _ in range(3)]
        await stored_session(store, user, idle_until=now - SECOND)
        await stored_session(store, user, ends_at=now - SECOND)
        await stored_session(store, other)
        await store.end_session(ended.sid, End.LOGOUT, now=now)
        assert await store.list_sessions(user.id, now=now) == sorted(
            [older, newer], key=lambda session: session.sid, reverse=True
        )

    async def test_a_session_is_over_at_its_limit(self, store: Store) -> None:
        """Attack 43."""
        user = await stored_user(store)
        session = await stored_session(store, user)
        assert await store.list_sessions(user.id, now=session.idle_until - 1) == [session]
        assert await store.list_sessions(user.id, now=session.idle_until) == []

    async def test_what_was_revoked_since_is_told(self, store: Store) -> None:
        user = await stored_user(store)
        first, second = await stored_session(store, user), await stored_session(store, user)
        one = await store.end_session(first.sid, End.LOGOUT, now=await now_of(store))
        await sleep(0.001)
        two = await store.end_session(second.sid, End.LOGOUT, now=await now_of(store))
        assert one is not None
        assert two is not None
        assert one.at < two.at
        page = await store.read_revocations(since=0)
        assert list(page.ended) in ([one, two], [two, one])
        assert page.tokens_from == []
        assert page.now >= two.at
        assert (await store.read_revocations(since=two.at)).ended == [two]
        assert (await store.read_revocations(since=two.at + 1)).ended == []

    async def test_what_is_long_over_is_swept(self, store: Store) -> None:
        """R41, ASVS 5.0 14.2.7."""
        user = await stored_user(store)
        live = await stored_session(store, user)
        ended = await stored_session(store, user)
        now = await now_of(store)
        await store.end_session(ended.sid, End.LOGOUT, now=now)
        recent = await stored_session(store, user, idle_until=now - DAY)
        expired = await stored_session(store, user, idle_until=now - 8 * DAY)
        assert await store.sweep(now=now, ended_for=7 * DAY, revoked_for=7 * DAY, batch=100) == 1
        assert await store.load_session(expired.sid) is None
        for kept in (live, ended, recent):
            assert await store.load_session(kept.sid) is not None
        # Six and a half days later the recent one has been over for seven, half a day later the ended one as well.
        assert (
            await store.sweep(now=now + 13 * DAY // 2, ended_for=7 * DAY, revoked_for=7 * DAY, batch=100) == 1
        )
        assert await store.load_session(recent.sid) is None
        assert (
            await store.sweep(
                now=now + 7 * DAY + 60 * SECOND, ended_for=7 * DAY, revoked_for=7 * DAY, batch=100
            )
            == 2
        )
        assert await store.load_session(ended.sid) is None
        assert await revoked_sids(store) == set()
        assert await loaded(store, live) == live

    async def test_what_was_ended_after_it_had_expired_counts_from_its_end(self, store: Store) -> None:
        now = await now_of(store)
        session = await stored_session(store, await stored_user(store), idle_until=now - 8 * DAY)
        await store.end_session(session.sid, End.LOGOUT, now=now)
        assert await store.sweep(now=now, ended_for=7 * DAY, revoked_for=7 * DAY, batch=100) == 0
        assert (await loaded(store, session)).end is End.LOGOUT

    async def test_a_session_in_use_is_never_swept(self, store: Store) -> None:
        session = await stored_session(store, await stored_user(store))
        now = await now_of(store)
        assert await store.swap_session(session, rotated(session, idle_until=now + 20 * DAY))
        assert (
            await store.sweep(
                now=session.idle_until + 8 * DAY, ended_for=7 * DAY, revoked_for=7 * DAY, batch=100
            )
            == 0
        )
        assert await store.load_session(session.sid) is not None

    async def test_sweeping_goes_in_batches(self, store: Store) -> None:
        user = await stored_user(store)
        now = await now_of(store)
        for _ in range(5):
            await stored_session(store, user, idle_until=now - 8 * DAY)
        batches = [
            await store.sweep(now=now, ended_for=7 * DAY, revoked_for=7 * DAY, batch=2) for _ in range(4)
        ]
        assert batches == [2, 2, 1, 0]

    async def test_the_tables_are_those_of_this_version(self, store: Store) -> None:
        await store.check()

    async def _end(self, store: Store, session: Session) -> None:
        await store.end_session(session.sid, End.LOGOUT, now=0)
