"""What a store must do for those who sign up: one test a fact, run on every implementation (see contract.py)."""

from dataclasses import replace
from typing import Any

import pytest
from anyio import create_task_group

from tests.storage.contract_challenges import Age, mails
from tests.storage.contract_links import sent as reset_sent
from tests.storage.samples import (
    DAY,
    DIGEST,
    SECOND,
    new_challenge,
    new_factor,
    new_mail,
    new_session,
    new_user,
    now_of,
    stored_user,
)
from watchword.core.challenge import LINK_LIFE, LINKS_AN_HOUR, REMEMBERED, Challenge, Kind
from watchword.core.registration import KEPT, LOOKED_THROUGH
from watchword.core.revocation import Revoked
from watchword.core.user import Status, User
from watchword.errors import AlreadyExists
from watchword.ports import Forgotten, LoadedLink, Registered, Store
from watchword.spans import HOUR

UNPROVED: dict[str, Any] = {
    "status": Status.UNVERIFIED,
    "email_verified": False,
    "username": None,
    "roles": (),
}


def unproved(**changes: Any) -> User:
    return new_user(**UNPROVED | changes)


def link_for(user: User, **payload: Any) -> Challenge:
    held = {"email": user.email, "digest": DIGEST, "username": None, "device": "", "ip": ""} | payload
    made = new_challenge(user, kind=Kind.VERIFY, code=b"", payload=held)
    return replace(made, expires_at=made.created_at + LINK_LIFE)


async def signed_up(store: Store, email: str, **payload: Any) -> tuple[Registered, Challenge]:
    """Somebody signs up with an address, whoever has it."""
    user = unproved(email=email)
    link = link_for(user, **payload)
    told = await store.register(user, link, new_mail(to=email), new_mail(to=email, kind="taken"))
    assert told is not None
    return told, replace(link, user_id=told.user_id)


async def kinds(store: Store) -> list[str]:
    return [row.mail.kind for row in await store.list_mail(before=None, limit=100)]


async def row_of(store: Store, user_id: str) -> User:
    row = await store.load_user(user_id)
    assert row is not None
    return row


async def loaded(store: Store, link: Challenge) -> LoadedLink:
    found = await store.load_link(link.digest, Kind.VERIFY)
    assert found is not None
    return found


async def redeem(
    store: Store, link: Challenge, digest: str = "new", username: str | None = None
) -> list[Revoked] | None:
    ended = await store.redeem_registration(link, link.payload["email"], digest, username)
    return None if ended is None else list(ended)


class RegistrationContract:
    async def test_a_free_address_gets_a_user_a_link_and_its_mail(self, store: Store) -> None:
        """Whole, and dated by the clock that decides."""
        user = unproved()
        link, mail = link_for(user), new_mail(to=user.email)
        before = await now_of(store)
        told = await store.register(user, link, mail, new_mail(kind="taken"))
        assert told == Registered(user.id, created=True, sent=True)
        assert await store.load_user(user.id) == user
        found = await loaded(store, link)
        row = found.challenge
        assert before <= row.created_at <= row.sent_at <= found.now
        assert abs(row.expires_at - row.created_at - LINK_LIFE) < SECOND
        assert row == replace(link, created_at=row.created_at, sent_at=row.sent_at, expires_at=row.expires_at)
        assert await mails(store) == [mail.id]

    async def test_an_unproved_address_gets_one_more_link_and_keeps_its_row(self, store: Store) -> None:
        """Attack 75: neither the row nor anybody's link is touched by whoever comes later."""
        first, link = await signed_up(store, "one@example.org", digest="first")
        user = await row_of(store, first.user_id)
        second, later = await signed_up(store, "one@example.org", digest="second")
        assert second == Registered(user.id, created=False, sent=True)
        assert await row_of(store, user.id) == user
        for held, digest in ((link, "first"), (later, "second")):
            row = (await loaded(store, held)).challenge
            assert (row.user_id, row.ended_at, row.payload["digest"]) == (user.id, None, digest)
        assert await kinds(store) == ["test", "test"]

    @pytest.mark.parametrize("status", [Status.ACTIVE, Status.DISABLED])
    async def test_a_taken_address_gets_a_mail_that_opens_nothing(self, store: Store, status: Status) -> None:
        """Attack 65: what a stranger chose is not even kept."""
        user = await stored_user(store, status=status)
        told, link = await signed_up(store, user.email)
        assert told == Registered(user.id, created=False, sent=True)
        assert await row_of(store, user.id) == user
        assert await kinds(store) == ["taken"]
        assert await store.recent_links(user.id, Kind.VERIFY) == []
        if status is Status.ACTIVE:
            row = (await loaded(store, link)).challenge
            assert (row.payload, row.ended_at is None) == ({}, False)
        assert await redeem(store, link) is None
        assert await row_of(store, user.id) == user

    @pytest.mark.parametrize("status", list(Status))
    async def test_five_mails_an_hour_whoever_has_the_address(
        self, store: Store, age: Age, status: Status
    ) -> None:
        """DESIGN §4.5, attack 65: no mailbox is flooded by those who sign up with it."""
        user = await stored_user(store, status=status)
        links = [(await signed_up(store, user.email))[1] for _ in range(LINKS_AN_HOUR)]
        told, _ = await signed_up(store, user.email)
        assert told == Registered(user.id, created=False, sent=False)
        assert len(await mails(store)) == LINKS_AN_HOUR
        await age(links[0], HOUR + SECOND)
        told, _ = await signed_up(store, user.email)
        assert told.sent

    async def test_links_of_other_kinds_are_counted_for_themselves(self, store: Store) -> None:
        user = await stored_user(store)
        for _ in range(LINKS_AN_HOUR):
            await reset_sent(store, user)
        told, _ = await signed_up(store, user.email)
        assert told.sent
        for _ in range(LINKS_AN_HOUR):
            await signed_up(store, user.email)
        assert len(await mails(store)) == 2 * LINKS_AN_HOUR

    async def test_of_twenty_who_sign_up_at_once_one_makes_the_user(self, store: Store) -> None:
        """Attack 73: and five mails are sent, counted under the user's lock."""
        told: list[Registered] = []

        async def ask() -> None:
            told.append((await signed_up(store, "many@example.org"))[0])

        async with create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
        assert len({one.user_id for one in told}) == 1
        assert [one.created for one in told].count(True) == 1
        assert [one.sent for one in told].count(True) == LINKS_AN_HOUR == len(await mails(store))

    async def test_whose_link_is_followed_has_the_account(self, store: Store) -> None:
        """Attack 75: digest, status, no second step; and every other link is over."""
        for followed in (0, 1, 2):
            email = f"{followed}@example.org"
            links = [(await signed_up(store, email))[1] for _ in range(3)]
            user = await row_of(store, links[0].user_id)
            assert await store.add_factor(new_factor(user), now=await now_of(store), keep=None) == []
            assert await redeem(store, links[followed], "theirs", f"name{followed}") == []
            assert await row_of(store, user.id) == replace(
                user,
                digest="theirs",
                username=f"name{followed}",
                status=Status.ACTIVE,
                email_verified=True,
                two_factor=False,
            )
            assert await store.list_factors(user.id) == []
            for link in links:
                assert (await loaded(store, link)).challenge.ended_at is not None
                assert await redeem(store, link, "again") is None
            assert (await row_of(store, user.id)).digest == "theirs"

    async def test_who_is_active_by_other_means_is_left_alone(self, store: Store) -> None:
        """Attack 75: a link proves what nobody asks for any more; sessions and other links stay."""
        told, link = await signed_up(store, "one@example.org")
        user = await row_of(store, told.user_id)
        await store.change_status(user.id, Status.ACTIVE, now=await now_of(store))
        session = new_session(user)
        assert await store.insert_session(session, digest=user.digest, replaces=None) == []
        reset = await reset_sent(store, user)
        assert await redeem(store, link) is None
        session_row = await store.load_session(session.sid)
        assert session_row is not None
        assert session_row.session.ended_at is None
        found = await store.load_link(reset.digest, Kind.RESET)
        assert found is not None
        assert found.challenge.ended_at is None

    async def test_a_name_that_somebody_has_writes_nothing(self, store: Store) -> None:
        """Attack 73: and the link is as good as before."""
        other = await stored_user(store)
        told, link = await signed_up(store, "one@example.org")
        before = await row_of(store, told.user_id)
        with pytest.raises(AlreadyExists):
            await redeem(store, link, "new", other.username)
        assert await row_of(store, told.user_id) == before
        assert (await loaded(store, link)).challenge.ended_at is None
        assert await redeem(store, link) == []
        assert (await row_of(store, told.user_id)).username is None

    async def test_of_two_who_want_a_name_at_once_one_has_it(self, store: Store) -> None:
        links = [(await signed_up(store, f"{n}@example.org"))[1] for n in range(8)]
        outcomes: list[str] = []

        async def follow(link: Challenge) -> None:
            try:
                assert await redeem(store, link, "new", "wanted") == []
                outcomes.append("had")
            except AlreadyExists:
                outcomes.append("taken")

        async with create_task_group() as group:
            for link in links:
                group.start_soon(follow, link)
        assert sorted(outcomes) == ["had"] + ["taken"] * 7

    async def test_of_twenty_uses_at_once_one_counts(self, store: Store) -> None:
        """Attack 77: of one link, and of several of one address."""
        links = [(await signed_up(store, "one@example.org"))[1] for _ in range(4)]
        outcomes: list[str] = []

        async def use(number: int) -> None:
            if await redeem(store, links[number % 4], f"new {number}") is not None:
                outcomes.append(f"new {number}")

        async with create_task_group() as group:
            for number in range(20):
                group.start_soon(use, number)
        assert outcomes == [(await row_of(store, links[0].user_id)).digest]

    async def test_an_expired_link_and_one_of_another_address_change_nothing(
        self, store: Store, age: Age
    ) -> None:
        """Attack 77: after thirty minutes, by the clock that decides."""
        _, late = await signed_up(store, "one@example.org")
        _, in_time = await signed_up(store, "one@example.org")
        await age(late, LINK_LIFE)
        await age(in_time, LINK_LIFE - 60 * SECOND)
        assert await redeem(store, late) is None
        assert await store.redeem_registration(in_time, "two@example.org", "new", None) is None
        assert await redeem(store, in_time) == []

    @pytest.mark.parametrize("how", ["disabled", "reset", "password set"])
    async def test_no_link_outlives_what_ends_challenges(self, store: Store, how: str) -> None:
        """Attacks 75, 77: a reset by link drops whatever a stranger chose, whenever their link is followed."""
        told, link = await signed_up(store, "one@example.org")
        user, now = await row_of(store, told.user_id), await now_of(store)
        if how == "disabled":
            await store.change_status(user.id, Status.DISABLED, now=now)
            assert await store.load_link(link.digest, Kind.VERIFY) is None
        elif how == "reset":
            reset = await reset_sent(store, user)
            assert await store.redeem_reset(reset, user.email, "reset", new_mail()) == []
        else:
            await store.change_password(user.id, "set", now=now, keep=None)
        before = await row_of(store, user.id)
        assert await redeem(store, link) is None
        assert await row_of(store, user.id) == before

    async def test_recent_links_come_newest_first_of_one_kind_and_user(self, store: Store, age: Age) -> None:
        _, first = await signed_up(store, "one@example.org")
        _, second = await signed_up(store, "one@example.org")
        told, third = await signed_up(store, "one@example.org")
        await signed_up(store, "two@example.org")
        await reset_sent(store, await row_of(store, told.user_id))
        await age(second, 2 * HOUR)
        rows = await store.recent_links(told.user_id, Kind.VERIFY)
        assert [row.id for row in rows] == [third.id, first.id, second.id]
        assert await store.recent_links("nobody", Kind.VERIFY) == []

    async def test_only_so_many_are_looked_through(self, store: Store, age: Age) -> None:
        told, link = await signed_up(store, "one@example.org")
        await age(link, 3 * HOUR)
        for _ in range(LOOKED_THROUGH):
            _, link = await signed_up(store, "one@example.org")
            await age(link, 2 * HOUR)
        assert len(await store.recent_links(told.user_id, Kind.VERIFY)) == LOOKED_THROUGH

    async def test_links_that_were_ended_take_the_place_of_none(self, store: Store, age: Age) -> None:
        """Decision 17: however many of them are newer."""
        told, _ = await signed_up(store, "one@example.org")
        await store.change_password(told.user_id, "set", now=await now_of(store), keep=None)
        _, link = await signed_up(store, "one@example.org")
        assert [row.id for row in await store.recent_links(told.user_id, Kind.VERIFY)] == [link.id]

    async def test_who_never_proves_an_address_is_forgotten_after_a_week(
        self, store: Store, age: Age
    ) -> None:
        """Seven days behind the last link's end: in batches, and nobody else is."""
        gone, staying = [], []
        for number in range(3):
            told, link = await signed_up(store, f"{number}@example.org")
            await age(link, LINK_LIFE + KEPT + SECOND)
            gone.append(told.user_id)
        told, link = await signed_up(store, "waiting@example.org")
        await age(link, LINK_LIFE + KEPT + SECOND)
        _, again = await signed_up(store, "waiting@example.org")
        await age(again, LINK_LIFE + KEPT - 60 * SECOND)
        staying.append(told.user_id)
        told, link = await signed_up(store, "proved@example.org")
        assert await redeem(store, link) == []
        await age(link, LINK_LIFE + KEPT + SECOND)
        staying.append(told.user_id)
        taken = await stored_user(store)
        _, link = await signed_up(store, taken.email)
        await age(link, LINK_LIFE + KEPT + SECOND)
        staying += [taken.id, (await stored_user(store, status=Status.UNVERIFIED)).id]

        async def users() -> set[str]:
            return {user.id for user in await store.list_users(after=None, limit=100)}

        after = ""
        for due in (sorted(gone)[:2], sorted(gone)[2:]):
            swept = await store.forget_unverified(now=await now_of(store), after=after, batch=2)
            assert swept == Forgotten(due, swept.held, due[-1])
            assert not await users() & set(due)
            after = due[-1]
        swept = await store.forget_unverified(now=await now_of(store), after=after, batch=2)
        assert (swept.gone, swept.last) == ([], None)
        assert await users() == set(staying)

    @pytest.mark.parametrize("ending", ["a password that was set", "disabled and enabled"])
    async def test_who_has_no_open_link_any_more_is_forgotten_as_well(
        self, store: Store, age: Age, ending: str
    ) -> None:
        """A link that was ended counts for as long as one that was not, whatever else is swept meanwhile."""
        (told, link), (_, later) = (
            await signed_up(store, "one@example.org"),
            await signed_up(store, "one@example.org"),
        )
        now = await now_of(store)
        if ending == "a password that was set":
            await store.change_password(told.user_id, "set", now=now, keep=None)
        else:
            await store.change_status(told.user_id, Status.DISABLED, now=now)
            await store.change_status(told.user_id, Status.UNVERIFIED, now=now)
        await age(link, LINK_LIFE + KEPT + SECOND)
        await age(later, LINK_LIFE + KEPT - 60 * SECOND)
        await store.sweep(now=await now_of(store), ended_for=DAY, revoked_for=DAY, batch=100)
        forgotten = await store.forget_unverified(now=await now_of(store), after="", batch=9)
        assert forgotten.gone == []
        await age(later, 120 * SECOND)
        await store.sweep(now=await now_of(store), ended_for=DAY, revoked_for=DAY, batch=100)
        forgotten = await store.forget_unverified(now=await now_of(store), after="", batch=9)
        assert forgotten.gone == [told.user_id]

    async def test_who_signs_up_while_they_are_forgotten_has_a_link_that_works(
        self, store: Store, age: Age
    ) -> None:
        """F12: nobody is told to look for a mail whose link leads nowhere."""
        for number in range(10):
            email = f"{number}@example.org"
            _, old = await signed_up(store, email)
            await age(old, LINK_LIFE + KEPT + SECOND)
            now, links = await now_of(store), list[Challenge]()

            async def again() -> None:
                told = None
                while told is None:  # as a request does it: the address became free under it
                    user = unproved(email=email)  # noqa: B023
                    links[:] = [link_for(user)]  # noqa: B023
                    told = await store.register(user, links[0], new_mail(), new_mail())  # noqa: B023
                links[:] = [replace(links[0], user_id=told.user_id)]  # noqa: B023

            async def forget() -> None:
                await store.forget_unverified(now=now, after="", batch=9)  # noqa: B023

            async with create_task_group() as group:
                group.start_soon(forget)
                group.start_soon(again)
            assert await redeem(store, links[0]) == []

    async def test_what_somebody_signed_up_with_is_kept_until_then(self, store: Store, age: Age) -> None:
        """So that its link can be sent again; other challenges are swept when no budget counts them."""
        told, link = await signed_up(store, "one@example.org")
        await age(link, LINK_LIFE + REMEMBERED + SECOND)
        proved, other = await signed_up(store, "two@example.org")
        assert await redeem(store, other) == []
        await age(other, LINK_LIFE + REMEMBERED + SECOND)
        await store.sweep(now=await now_of(store), ended_for=DAY, revoked_for=DAY, batch=100)
        assert [row.id for row in await store.recent_links(told.user_id, Kind.VERIFY)] == [link.id]
        assert await store.load_user(proved.user_id) is not None
        assert await store.load_link(other.digest, Kind.VERIFY) is None
