"""What a store must do for links and for passwords that people set themselves: one test a fact, run on every
implementation (see contract.py)."""

from dataclasses import replace

import pytest
from anyio import create_task_group

from tests.storage.contract_challenges import Age, mails
from tests.storage.samples import (
    DIGEST,
    SECOND,
    issued,
    new_challenge,
    new_factor,
    new_mail,
    new_session,
    new_user,
    now_of,
    revoked_sids,
    stored_session,
    stored_user,
)
from watchword.core.challenge import CODES_AN_HOUR, LINK_LIFE, LINKS_AN_HOUR, Challenge, Kind
from watchword.core.revocation import Revoked
from watchword.core.session import End
from watchword.core.user import Status, User
from watchword.ports import LoadedLink, Store
from watchword.spans import HOUR


def new_link(user: User) -> Challenge:
    made = new_challenge(user, kind=Kind.RESET, code=b"", payload={"email": user.email})
    return replace(made, expires_at=made.created_at + LINK_LIFE)


async def sent(store: Store, user: User) -> Challenge:
    """A link that is there."""
    link = new_link(user)
    assert await store.issue_link(link, new_mail(to=user.email))
    return link


async def loaded(store: Store, link: Challenge) -> LoadedLink:
    found = await store.load_link(link.digest, Kind.RESET)
    assert found is not None
    return found


async def redeem(store: Store, link: Challenge, user: User, digest: str = "new") -> list[Revoked] | None:
    ended = await store.redeem_reset(link, user.email, digest, new_mail())
    return None if ended is None else list(ended)


async def digest_of(store: Store, user: User) -> str | None:
    row = await store.load_user(user.id)
    assert row is not None
    return row.digest


class LinkContract:
    async def test_a_link_is_inserted_with_its_mail(self, store: Store) -> None:
        """Whole, and dated by the clock that decides."""
        user = await stored_user(store)
        link, mail = new_link(user), new_mail(to=user.email)
        before = await now_of(store)
        assert await store.issue_link(link, mail)
        found = await loaded(store, link)
        row = found.challenge
        assert before <= row.created_at <= row.sent_at <= found.now
        assert abs(row.expires_at - row.created_at - LINK_LIFE) < SECOND
        assert row == replace(link, created_at=row.created_at, sent_at=row.sent_at, expires_at=row.expires_at)
        assert found.user == user
        assert await mails(store) == [mail.id]

    @pytest.mark.parametrize("status", [Status.DISABLED, None])
    async def test_no_mail_goes_to_who_is_disabled_or_not_there(
        self, store: Store, status: Status | None
    ) -> None:
        """Attack 65."""
        user = await stored_user(store, status=status) if status else new_user()
        assert not await store.issue_link(new_link(user), new_mail(to=user.email))
        assert await mails(store) == []

    async def test_who_is_unverified_is_sent_one(self, store: Store) -> None:
        """Attack 75: it is how the owner of an address takes an account that somebody else made with it."""
        user = await stored_user(store, status=Status.UNVERIFIED, email_verified=False)
        assert (await loaded(store, await sent(store, user))).user == user

    async def test_no_link_goes_to_an_address_that_is_no_longer_the_users(self, store: Store) -> None:
        """Attack 77."""
        user = await stored_user(store)
        assert not await store.issue_link(new_link(user), new_mail(to="old@example.org"))
        assert await mails(store) == []

    async def test_five_links_an_hour_and_no_mail_for_the_sixth(self, store: Store, age: Age) -> None:
        """Attack 65, DESIGN §4.5: and somebody else's are their own."""
        user, other = await stored_user(store), await stored_user(store)
        links = [await sent(store, user) for _ in range(LINKS_AN_HOUR)]
        assert not await store.issue_link(new_link(user), new_mail(to=user.email))
        assert len(await mails(store)) == LINKS_AN_HOUR
        await sent(store, other)
        await age(links[0], HOUR + SECOND)
        await sent(store, user)

    async def test_of_twenty_asked_for_at_once_five_are_sent(self, store: Store) -> None:
        """Counted under the user's lock."""
        user = await stored_user(store)
        made: list[bool] = []

        async def ask() -> None:
            made.append(await store.issue_link(new_link(user), new_mail(to=user.email)))

        async with create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
        assert made.count(True) == LINKS_AN_HOUR == len(await mails(store))

    async def test_links_and_codes_have_budgets_of_their_own(self, store: Store) -> None:
        """Attack 55: anybody may ask for a link, and must not use up the codes of who signs in."""
        user = await stored_user(store)
        for _ in range(LINKS_AN_HOUR):
            await sent(store, user)
        for _ in range(CODES_AN_HOUR):
            await issued(store, user)
        told = await store.issue_challenge(new_challenge(user), new_mail(), digest=DIGEST)
        assert told is not None
        assert (told.done, told.spent.codes) == (False, CODES_AN_HOUR)

    async def test_codes_leave_the_links_alone(self, store: Store) -> None:
        user = await stored_user(store)
        for _ in range(CODES_AN_HOUR):
            await issued(store, user)
        await sent(store, user)

    async def test_a_secret_is_of_one_kind(self, store: Store) -> None:
        user = await stored_user(store)
        login, link = await issued(store, user), await sent(store, user)
        assert await store.load_link(login.digest, Kind.RESET) is None
        assert await store.load_challenge(link.digest, Kind.LOGIN) is None
        assert await store.attempt_challenge(link.digest, Kind.LOGIN) is None
        assert await store.load_link(b"\x00" * 32, Kind.RESET) is None

    async def test_a_reset_sets_the_digest_and_ends_everything_else(self, store: Store) -> None:
        """ASVS 7.4.3, attacks 76, 77: sessions, sibling links and whatever else was begun; one mail."""
        user, other = await stored_user(store), await stored_user(store)
        first, second = await stored_session(store, user), await stored_session(store, user)
        foreign = await stored_session(store, other)
        login, sibling, link = await issued(store, user), await sent(store, user), await sent(store, user)
        theirs = await sent(store, other)
        mail = new_mail()
        ended = await store.redeem_reset(link, user.email, "new", mail)
        assert ended is not None
        assert {row.sid for row in ended} == {first.sid, second.sid} == await revoked_sids(store)
        assert await store.load_user(user.id) == replace(user, digest="new")
        assert mail.id in await mails(store)
        for over in (sibling, link):
            assert (await loaded(store, over)).challenge.ended_at is not None
        waiting = await store.load_challenge(login.digest, Kind.LOGIN)
        assert waiting is not None
        assert waiting.challenge.ended_at is not None
        assert (await loaded(store, theirs)).challenge.ended_at is None
        assert await store.list_sessions(other.id, now=await now_of(store)) == [foreign]
        row = await store.load_session(first.sid)
        assert row is not None
        assert row.session.end is End.PASSWORD

    async def test_a_used_link_changes_nothing(self, store: Store) -> None:
        """Attack 77: nor does its sibling; and nobody is told."""
        user = await stored_user(store)
        sibling, link = await sent(store, user), await sent(store, user)
        assert await redeem(store, link, user) == []
        before = await mails(store)
        assert await redeem(store, link, user, "newer") is None
        assert await redeem(store, sibling, user, "newer") is None
        assert await digest_of(store, user) == "new"
        assert await mails(store) == before

    async def test_an_expired_link_changes_nothing(self, store: Store, age: Age) -> None:
        """Attack 77: after thirty minutes, by the clock that decides."""
        user = await stored_user(store)
        late, in_time = await sent(store, user), await sent(store, user)
        await age(late, LINK_LIFE)
        await age(in_time, LINK_LIFE - 60 * SECOND)
        assert await redeem(store, late, user) is None
        assert await redeem(store, in_time, user) == []

    async def test_no_link_outlives_a_new_password(self, store: Store) -> None:
        """Attack 77: whoever set it."""
        user = await stored_user(store)
        link = await sent(store, user)
        await store.change_password(user.id, "newer", now=await now_of(store), keep=None)
        assert await redeem(store, link, user) is None
        assert await digest_of(store, user) == "newer"

    async def test_no_link_outlives_the_address_that_it_was_sent_to(self, store: Store) -> None:
        """Attack 77."""
        user = await stored_user(store)
        link = await sent(store, user)
        assert await store.redeem_reset(link, "old@example.org", "new", new_mail()) is None
        assert await digest_of(store, user) == DIGEST

    async def test_a_disabled_user_resets_nothing_even_when_enabled_again(self, store: Store) -> None:
        """Attack 77."""
        user = await stored_user(store)
        link = await sent(store, user)
        for status in (Status.DISABLED, Status.ACTIVE):
            await store.change_status(user.id, status, now=await now_of(store))
            assert await redeem(store, link, user) is None
        assert await digest_of(store, user) == DIGEST

    async def test_an_unverified_user_who_resets_is_verified_and_alone(self, store: Store) -> None:
        """Attack 75: whoever signed up with somebody else's address has left neither password nor second step."""
        user = await stored_user(store, status=Status.UNVERIFIED, email_verified=False)
        assert await store.add_factor(new_factor(user), now=await now_of(store), keep=None) == []
        link = await sent(store, user)
        assert await redeem(store, link, user) == []
        assert await store.load_user(user.id) == replace(
            user, digest="new", status=Status.ACTIVE, email_verified=True, two_factor=False
        )
        assert await store.list_factors(user.id) == []

    async def test_a_reset_leaves_the_second_step_of_its_owner(self, store: Store) -> None:
        """ASVS 6.4.3."""
        user = await stored_user(store)
        factor = new_factor(user)
        await store.add_factor(factor, now=await now_of(store), keep=None)
        assert await redeem(store, await sent(store, user), user) == []
        row = await store.load_user(user.id)
        assert row is not None
        assert row.two_factor
        assert await store.list_factors(user.id) == [factor]

    async def test_of_twenty_uses_at_once_one_counts(self, store: Store) -> None:
        """Attack 77."""
        user = await stored_user(store)
        link = await sent(store, user)
        outcomes: list[str] = []

        async def use(number: int) -> None:
            if await redeem(store, link, user, f"new {number}") is not None:
                outcomes.append(f"new {number}")

        async with create_task_group() as group:
            for number in range(20):
                group.start_soon(use, number)
        assert outcomes == [await digest_of(store, user)]
        assert len(await mails(store)) == 2

    async def test_no_sign_in_under_way_survives_a_reset(self, store: Store) -> None:
        """Attack 45: whichever comes first."""
        for _ in range(10):
            user = await stored_user(store)
            link, session = await sent(store, user), new_session(user)

            async def sign_in() -> None:
                await store.insert_session(session, digest=DIGEST, replaces=None)  # noqa: B023

            async def reset() -> None:
                await redeem(store, link, user)  # noqa: B023

            async with create_task_group() as group:
                group.start_soon(sign_in)
                group.start_soon(reset)
            assert await store.list_sessions(user.id, now=await now_of(store)) == []
