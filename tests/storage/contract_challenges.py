"""What a store must do for challenges: one test a fact, run on every implementation (see contract.py).

Time passes here by the fixture `age`, which moves all instants of a row back: on PostgreSQL the database's clock
decides, and nobody moves that.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from anyio import create_task_group

from tests.storage.samples import (
    DIGEST,
    issued,
    new_challenge,
    new_factor,
    new_mail,
    new_session,
    new_user,
    now_of,
    stored_session,
    stored_user,
)
from watchword.core.challenge import (
    CODES_AN_HOUR,
    LIFE,
    REMEMBERED,
    RESENDS_AN_HOUR,
    TRIES,
    TRIES_A_DAY,
    Challenge,
    Kind,
    Spent,
    Why,
    may_begin,
    may_resend,
    may_try,
    spent,
)
from watchword.core.session import End
from watchword.core.user import Status, User
from watchword.ports import LoadedChallenge, Store
from watchword.spans import DAY, HOUR, SECOND

TTL = 600 * SECOND
Age = Callable[[Challenge, int], Awaitable[None]]
"""Make a row older by so many µs."""


async def loaded(store: Store, challenge: Challenge) -> LoadedChallenge:
    found = await store.load_challenge(challenge.digest, Kind.LOGIN)
    assert found is not None
    return found


async def attempt(store: Store, challenge: Challenge) -> LoadedChallenge:
    found = await store.attempt_challenge(challenge.digest, Kind.LOGIN)
    assert found is not None
    return found


async def mails(store: Store) -> list[str]:
    return sorted(row.mail.id for row in await store.list_mail(before=None, limit=100))


class ChallengeContract:
    async def test_a_challenge_is_inserted_with_its_mail(self, store: Store) -> None:
        """R35: whole, dated by the clock that decides, and not one without the other."""
        user = await stored_user(store)
        challenge, mail = new_challenge(user), new_mail()
        before = await now_of(store)
        told = await store.issue_challenge(challenge, mail, digest=DIGEST)
        assert told is not None
        assert told.done
        found = await loaded(store, challenge)
        row = found.challenge
        assert before <= row.created_at <= row.sent_at <= found.now
        assert abs(row.expires_at - row.created_at - TTL) < SECOND
        instants = (row.created_at, row.sent_at, row.expires_at)
        assert row == replace(challenge, created_at=instants[0], sent_at=instants[1], expires_at=instants[2])
        assert (found.user, found.done) == (user, False)
        assert await mails(store) == [mail.id]
        assert (await store.lease_mail(span=SECOND)) is not None

    @pytest.mark.parametrize("digest", [None, "", "another"])
    async def test_none_is_made_with_another_password(self, store: Store, digest: str | None) -> None:
        """Attack 45: a change of password that slips past the sign-in."""
        user = await stored_user(store)
        challenge = new_challenge(user)
        assert await store.issue_challenge(challenge, new_mail(), digest=digest) is None
        assert await store.load_challenge(challenge.digest, Kind.LOGIN) is None
        assert await mails(store) == []

    @pytest.mark.parametrize("status", [Status.DISABLED, Status.UNVERIFIED, None])
    async def test_none_is_made_for_who_is_not_active_or_not_there(
        self, store: Store, status: Status | None
    ) -> None:
        user = await stored_user(store, status=status) if status else new_user()
        assert await store.issue_challenge(new_challenge(user), new_mail(), digest=DIGEST) is None
        assert await mails(store) == []

    async def test_ten_codes_an_hour_and_no_mail_for_the_eleventh(self, store: Store) -> None:
        """Attack 55: a mailbox is not flooded, and somebody else's budget is their own."""
        user, other = await stored_user(store), await stored_user(store)
        for _ in range(CODES_AN_HOUR):
            await issued(store, user)
        challenge = new_challenge(user)
        told = await store.issue_challenge(challenge, new_mail(), digest=DIGEST)
        assert told is not None
        assert (told.done, told.spent.codes) == (False, CODES_AN_HOUR)
        assert told.spent.codes_until is not None
        assert 3500 * SECOND < told.spent.codes_until - told.now <= 3600 * SECOND
        assert await store.load_challenge(challenge.digest, Kind.LOGIN) is None
        assert len(await mails(store)) == CODES_AN_HOUR
        await issued(store, other)

    async def test_of_twenty_made_at_once_ten_are(self, store: Store) -> None:
        """Attack 55: counted under the user's lock."""
        user = await stored_user(store)
        made: list[bool] = []

        async def issue() -> None:
            told = await store.issue_challenge(new_challenge(user), new_mail(), digest=DIGEST)
            assert told is not None
            made.append(told.done)

        async with create_task_group() as group:
            for _ in range(2 * CODES_AN_HOUR):
                group.start_soon(issue)
        assert made.count(True) == CODES_AN_HOUR == len(await mails(store))

    async def test_a_try_is_counted_and_told(self, store: Store) -> None:
        challenge = await issued(store, await stored_user(store))
        for number in range(1, TRIES + 1):
            found = await attempt(store, challenge)
            assert (found.done, found.challenge.tries, found.spent.tries) == (True, number, number)
        found = await attempt(store, challenge)
        assert (found.done, found.challenge.tries) == (False, TRIES)
        refused = may_try(found.challenge, found.spent, found.now)
        assert refused is not None
        assert (refused.why, refused.until) == (Why.SPENT, found.challenge.expires_at)

    async def test_of_fifty_tries_at_once_five_are_counted(self, store: Store) -> None:
        """Attack 52; ASVS 6.6.3."""
        challenge = await issued(store, await stored_user(store))
        done: list[bool] = []

        async def one() -> None:
            done.append((await attempt(store, challenge)).done)

        async with create_task_group() as group:
            for _ in range(50):
                group.start_soon(one)
        assert done.count(True) == TRIES
        assert (await loaded(store, challenge)).challenge.tries == TRIES

    async def test_twenty_tries_a_day_over_all_challenges_and_then_no_code_either(self, store: Store) -> None:
        """Attacks 51, 56; ASVS 6.6.3: also when they are tried at once, and each still has some left."""
        user = await stored_user(store)
        rows = [await issued(store, user) for _ in range(8)]
        counted: list[bool] = []

        async def one(challenge: Challenge) -> None:
            counted.append((await attempt(store, challenge)).done)

        async with create_task_group() as group:
            for _ in range(4):
                for row in rows:
                    group.start_soon(one, row)
        assert counted.count(True) == TRIES_A_DAY
        found = await attempt(store, rows[0])
        assert (found.done, found.spent.tries) == (False, TRIES_A_DAY)
        told = await store.issue_challenge(new_challenge(user), new_mail(), digest=DIGEST)
        assert told is not None
        assert not told.done
        refused = may_begin(told.spent)
        assert refused is not None
        assert refused.why is Why.TRIED
        assert refused.until is not None
        assert told.now + REMEMBERED > refused.until > told.now + REMEMBERED - 7200 * SECOND
        await attempt(store, await issued(store, await stored_user(store)))

    async def test_what_has_ended_still_counts(self, store: Store) -> None:
        """Attack 56: neither a new login nor the end of one gives a try back."""
        user = await stored_user(store)
        for _ in range(TRIES_A_DAY // TRIES):
            challenge = await issued(store, user)
            for _ in range(TRIES):
                assert (await attempt(store, challenge)).done
            await store.end_challenge(challenge.digest)
        told = await store.issue_challenge(new_challenge(user), new_mail(), digest=DIGEST)
        assert told is not None
        assert (told.done, told.spent.tries) == (False, TRIES_A_DAY)

    @pytest.mark.parametrize("passed", [TTL, -120 * SECOND])
    async def test_one_that_is_over_is_not_tried_and_no_clock_revives_it(
        self, store: Store, age: Age, passed: int
    ) -> None:
        """Attack 63: late, or sent in what is the future since the clock was set back."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        await age(challenge, passed)
        found = await attempt(store, challenge)
        assert (found.done, found.challenge.tries) == (False, 0)
        assert found.challenge.ended_at is not None
        await age(challenge, -passed)
        await self._nothing_more(store, challenge, user)

    async def test_one_that_is_over_is_not_redeemed(self, store: Store, age: Age) -> None:
        """Attack 63: not even by who has tried in time."""
        user = await stored_user(store)
        row = (await attempt(store, await issued(store, user))).challenge
        await age(row, TTL)
        assert await store.redeem_challenge(row, new_session(user), replaces=None) is None
        assert await store.list_sessions(user.id, now=await now_of(store)) == []

    async def test_a_try_counts_for_a_day(self, store: Store, age: Age) -> None:
        """Attack 51: for no less than 24 hours after it was made, and then no more."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        await attempt(store, challenge)
        await age(challenge, DAY)
        assert (await loaded(store, challenge)).spent.tries == 1
        await age(challenge, TTL + SECOND)
        assert (await loaded(store, challenge)).spent == Spent()

    async def test_one_of_another_kind_or_unknown_is_none(self, store: Store) -> None:
        challenge = new_challenge(await stored_user(store))
        assert await store.load_challenge(challenge.digest, Kind.LOGIN) is None
        assert await store.attempt_challenge(challenge.digest, Kind.LOGIN) is None
        assert await store.resend_challenge(challenge.digest, Kind.LOGIN, b"x", new_mail(), ttl=TTL) is None
        assert not await store.end_challenge(challenge.digest)
        assert await mails(store) == []

    async def test_an_ended_challenge_is_never_tried_nor_redeemed_nor_resent(self, store: Store) -> None:
        """Attack 60."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        assert await store.end_challenge(challenge.digest)
        assert not await store.end_challenge(challenge.digest)
        await self._nothing_more(store, challenge, user)

    async def test_a_new_password_ends_all_of_them(self, store: Store) -> None:
        """Attack 77's spirit; a login that began with the old password is not completed."""
        user, other = await stored_user(store), await stored_user(store)
        rows, foreign = [await issued(store, user) for _ in range(2)], await issued(store, other)
        await store.change_password(user.id, "new", now=await now_of(store), keep=None)
        for row in rows:
            await self._nothing_more(store, row, user)
        assert (await attempt(store, foreign)).done

    async def test_another_status_ends_all_of_them_and_enabling_revives_none(self, store: Store) -> None:
        """Attack 44."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        await store.change_status(user.id, Status.DISABLED, now=await now_of(store))
        assert await store.attempt_challenge(challenge.digest, Kind.LOGIN) is None
        assert await store.redeem_challenge(challenge, new_session(user), replaces=None) is None
        await store.change_status(user.id, Status.ACTIVE, now=await now_of(store))
        await self._nothing_more(store, challenge, user)

    async def test_they_go_with_their_user(self, store: Store) -> None:
        user = await stored_user(store)
        challenge = await issued(store, user)
        await store.delete_user(user.id, now=await now_of(store))
        assert await store.load_challenge(challenge.digest, Kind.LOGIN) is None
        assert await store.redeem_challenge(challenge, new_session(user), replaces=None) is None

    async def test_redeeming_opens_a_session_once_and_gives_the_try_back(self, store: Store) -> None:
        """R36, attacks 53, 54: a right code is no failed guess."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        row = (await attempt(store, challenge)).challenge
        session = new_session(user)
        assert await store.redeem_challenge(row, session, replaces=None) == []
        found = await store.load_session(session.sid)
        assert found is not None
        assert found.session == session
        after = await loaded(store, challenge)
        assert (after.challenge.tries, after.spent.tries) == (0, 0)
        assert after.challenge.ended_at is not None
        await self._nothing_more(store, row, user)

    async def test_of_fifty_who_redeem_at_once_one_has_a_session(self, store: Store) -> None:
        """Attack 53."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        row = (await attempt(store, challenge)).challenge
        opened: list[bool] = []

        async def redeem() -> None:
            opened.append(await store.redeem_challenge(row, new_session(user), replaces=None) is not None)

        async with create_task_group() as group:
            for _ in range(50):
                group.start_soon(redeem)
        assert opened.count(True) == 1
        assert len(await store.list_sessions(user.id, now=await now_of(store))) == 1
        assert (await loaded(store, challenge)).challenge.tries == 0

    async def test_redeeming_replaces_what_the_browser_had(self, store: Store) -> None:
        """Attack 32."""
        user = await stored_user(store)
        earlier = await stored_session(store, user)
        row = (await attempt(store, await issued(store, user))).challenge
        replaced = await store.redeem_challenge(row, new_session(user), replaces=earlier.sid)
        assert replaced is not None
        assert [gone.sid for gone in replaced] == [earlier.sid]
        found = await store.load_session(earlier.sid)
        assert found is not None
        assert found.session.end is End.REPLACED

    async def test_no_new_password_slips_past_a_redemption(self, store: Store) -> None:
        """Attack 45: whichever comes first, no session that began with the old password is live."""
        for _ in range(25):
            user = await stored_user(store)
            row = (await attempt(store, await issued(store, user))).challenge

            async def redeem() -> None:
                await store.redeem_challenge(row, new_session(user), replaces=None)  # noqa: B023

            async def change() -> None:
                await store.change_password(user.id, "new", now=0, keep=None)  # noqa: B023

            async with create_task_group() as group:
                group.start_soon(redeem)
                group.start_soon(change)
            assert await store.list_sessions(user.id, now=await now_of(store)) == []

    async def test_another_code_too_soon_is_refused(self, store: Store) -> None:
        """Attack 55: thirty seconds."""
        challenge = await issued(store, await stored_user(store))
        mail = new_mail()
        found = await store.resend_challenge(challenge.digest, Kind.LOGIN, b"new", mail, ttl=TTL)
        assert found is not None
        assert (found.done, found.challenge.code, found.challenge.sends) == (False, challenge.code, 1)
        refused = may_resend(found.challenge, found.spent, found.now)
        assert refused is not None
        assert refused.why is Why.SENT
        assert mail.id not in await mails(store)

    async def test_another_code_takes_the_place_of_the_old_one(self, store: Store, age: Age) -> None:
        """Attack 55: new life, no new tries, and its mail goes with it."""
        user = await stored_user(store)
        challenge = await issued(store, user)
        row = (await attempt(store, challenge)).challenge
        await age(challenge, 31 * SECOND)
        mail = new_mail()
        found = await store.resend_challenge(challenge.digest, Kind.LOGIN, b"new", mail, ttl=TTL)
        assert found is not None
        after = found.challenge
        assert (found.done, after.code, after.sends, after.tries) == (True, b"new", 2, 1)
        assert (found.spent.codes, found.spent.resends) == (2, 1)
        assert abs(after.expires_at - found.now - TTL) < SECOND
        assert mail.id in await mails(store)
        assert await store.redeem_challenge(row, new_session(user), replaces=None) is None
        assert await store.redeem_challenge(after, new_session(user), replaces=None) == []

    async def test_no_code_outlives_the_login_that_it_is_for(self, store: Store, age: Age) -> None:
        """R39: fifteen minutes, however often another is sent."""
        challenge = await issued(store, await stored_user(store))
        await age(challenge, TTL - SECOND)
        found = await store.resend_challenge(challenge.digest, Kind.LOGIN, b"new", new_mail(), ttl=TTL)
        assert found is not None
        assert found.done
        assert found.challenge.expires_at == found.challenge.created_at + LIFE

    async def test_of_ten_who_ask_for_another_code_at_once_one_is_sent_it(
        self, store: Store, age: Age
    ) -> None:
        challenge = await issued(store, await stored_user(store))
        await age(challenge, 31 * SECOND)
        sent: list[bytes] = []

        async def resend(code: bytes) -> None:
            found = await store.resend_challenge(challenge.digest, Kind.LOGIN, code, new_mail(), ttl=TTL)
            assert found is not None
            if found.done:
                sent.append(code)

        async with create_task_group() as group:
            for number in range(10):
                group.start_soon(resend, b"%d" % number)
        assert [(await loaded(store, challenge)).challenge.code] == sent
        assert len(await mails(store)) == 2

    async def test_five_more_codes_an_hour_over_all_challenges(self, store: Store, age: Age) -> None:
        """Attack 55."""
        user = await stored_user(store)
        rows = [await issued(store, user) for _ in range(2)]
        sent = 0
        for number in range(8):
            row = rows[number % 2]
            await age(row, 31 * SECOND)
            found = await store.resend_challenge(row.digest, Kind.LOGIN, b"new", new_mail(), ttl=TTL)
            assert found is not None
            sent += found.done
        assert sent == RESENDS_AN_HOUR
        found = await loaded(store, rows[0])
        refused = may_resend(found.challenge, found.spent, found.now)
        assert refused is not None
        assert (refused.why, refused.until) == (Why.SENT, found.spent.resends_until)

    async def test_what_cannot_be_tried_is_not_sent_again(self, store: Store, age: Age) -> None:
        """Attack 55: the same budget of tries."""
        challenge = await issued(store, await stored_user(store))
        for _ in range(TRIES):
            await attempt(store, challenge)
        await age(challenge, 31 * SECOND)
        found = await store.resend_challenge(challenge.digest, Kind.LOGIN, b"new", new_mail(), ttl=TTL)
        assert found is not None
        assert (found.done, found.challenge.sends) == (False, 1)

    async def test_the_counting_is_that_of_the_rules(self, store: Store, age: Age) -> None:
        user = await stored_user(store)
        rows = [await issued(store, user) for _ in range(5)]
        for row in rows[:3]:
            await attempt(store, row)
        for row, old in zip(rows, (DAY + TTL, 3 * HOUR, 40 * SECOND, HOUR, 0), strict=True):
            await age(row, old)
        await store.resend_challenge(rows[2].digest, Kind.LOGIN, b"new", new_mail(), ttl=TTL)
        found = [await loaded(store, row) for row in rows]
        assert found[-1].spent == spent([each.challenge for each in found], found[-1].now)
        assert replace(found[-1].spent, tries_until=0, codes_until=0, resends_until=0) == Spent(
            2, 3, 1, 0, 0, 0
        )

    async def test_they_are_swept_when_no_budget_counts_them(self, store: Store) -> None:
        """R41, ASVS 14.2.7: a day after they are over, in batches."""
        user = await stored_user(store)
        rows = [await issued(store, user) for _ in range(3)]
        now = await now_of(store)

        async def sweep(at: int, batch: int) -> int:
            there = [await store.load_challenge(row.digest, Kind.LOGIN) for row in rows]
            await store.sweep(now=at, ended_for=10**15, revoked_for=10**15, batch=batch)
            left = [await store.load_challenge(row.digest, Kind.LOGIN) for row in rows]
            return left.count(None) - there.count(None)

        assert await sweep(now + TTL + DAY, 9) == 0
        over = now + TTL + REMEMBERED + 60 * SECOND
        assert [await sweep(over, 2) for _ in range(3)] == [2, 1, 0]

    async def _nothing_more(self, store: Store, challenge: Challenge, user: User) -> None:
        before = (await loaded(store, challenge)).challenge
        sent = await mails(store)
        sessions = await store.list_sessions(user.id, now=await now_of(store))
        assert not (await attempt(store, challenge)).done
        told = await store.resend_challenge(challenge.digest, Kind.LOGIN, b"new", new_mail(), ttl=TTL)
        assert told is not None
        assert not told.done
        assert await store.redeem_challenge(challenge, new_session(user), replaces=None) is None
        assert (await loaded(store, challenge)).challenge == before
        assert await mails(store) == sent
        assert await store.list_sessions(user.id, now=await now_of(store)) == sessions


class FactorContract:
    async def test_a_factor_is_there_and_its_user_says_so(self, store: Store) -> None:
        """At no extra round trip: every way to load a user tells."""
        user, other = await stored_user(store), await stored_user(store)
        session = await stored_session(store, user)
        factor = new_factor(user)
        assert await store.list_factors(user.id) == []
        assert await store.add_factor(factor, now=0, keep=session.sid) == []
        assert await store.list_factors(user.id) == [factor]
        expected = replace(user, two_factor=True)
        assert await store.load_user(user.id) == await store.find_user(user.email) == expected
        loaded = await store.load_session(session.sid)
        assert loaded is not None
        assert loaded.user == expected
        assert await store.load_user(other.id) == other
        assert await store.list_factors(other.id) == []

    async def test_another_second_step_ends_every_other_session(self, store: Store) -> None:
        """ASVS 7.4.3: turned on or off."""
        user = await stored_user(store)
        kept, other = await stored_session(store, user), await stored_session(store, user)
        foreign = await stored_session(store, await stored_user(store))
        factor = new_factor(user)
        ended = await store.add_factor(factor, now=0, keep=kept.sid)
        assert ended is not None
        assert [row.sid for row in ended] == [other.sid]
        again = new_session(user)
        assert await store.insert_session(again, digest=DIGEST, two_factor=True, replaces=None) == []
        ended = await store.remove_factor(factor.id, user_id=user.id, now=0, keep=kept.sid)
        assert ended is not None
        assert [row.sid for row in ended] == [again.sid]
        loaded = await store.load_session(other.sid)
        assert loaded is not None
        assert loaded.session.end is End.FACTOR
        assert loaded.user == user
        for sid in (kept.sid, foreign.sid):
            found = await store.load_session(sid)
            assert found is not None
            assert found.session.ended_at is None

    async def test_one_of_a_method_and_what_is_refused_ends_nothing(self, store: Store) -> None:
        user = await stored_user(store)
        await store.add_factor(new_factor(user), now=0, keep=None)
        session = new_session(user)
        assert await store.insert_session(session, digest=DIGEST, two_factor=True, replaces=None) == []
        assert await store.add_factor(new_factor(user), now=0, keep=None) is None
        assert await store.remove_factor("nothing", user_id=user.id, now=0, keep=None) is None
        assert await store.add_factor(new_factor(new_user()), now=0, keep=None) is None
        assert await store.list_sessions(user.id, now=0) == [session]
        assert len(await store.list_factors(user.id)) == 1

    async def test_nobody_removes_anothers(self, store: Store) -> None:
        """Attack 93."""
        user, stranger = await stored_user(store), await stored_user(store)
        factor = new_factor(user)
        await store.add_factor(factor, now=0, keep=None)
        assert await store.remove_factor(factor.id, user_id=stranger.id, now=0, keep=None) is None
        assert await store.list_factors(user.id) == [factor]

    async def test_of_ten_made_at_once_one_is(self, store: Store) -> None:
        user = await stored_user(store)
        made: list[bool] = []

        async def add() -> None:
            made.append(await store.add_factor(new_factor(user), now=0, keep=None) is not None)

        async with create_task_group() as group:
            for _ in range(10):
                group.start_soon(add)
        assert made.count(True) == 1 == len(await store.list_factors(user.id))

    async def test_no_sign_in_that_saw_no_second_step_slips_past_it(self, store: Store) -> None:
        """Attack 45's sibling: a session that was opened without it is not live beside it."""
        for _ in range(25):
            user = await stored_user(store)

            async def sign_in() -> None:
                await store.insert_session(new_session(user), digest=DIGEST, replaces=None)  # noqa: B023

            async def add() -> None:
                await store.add_factor(new_factor(user), now=0, keep=None)  # noqa: B023

            async with create_task_group() as group:
                group.start_soon(sign_in)
                group.start_soon(add)
            assert await store.list_sessions(user.id, now=0) == []
            assert await store.insert_session(new_session(user), digest=DIGEST, replaces=None) is None

    async def test_factors_go_with_their_user(self, store: Store) -> None:
        user = await stored_user(store)
        await store.add_factor(new_factor(user), now=0, keep=None)
        await store.delete_user(user.id, now=0)
        assert await store.list_factors(user.id) == []
