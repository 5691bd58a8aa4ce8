"""What the user half of a store must do: one test a fact, run on every implementation (see contract.py)."""

from dataclasses import replace

import pytest
from anyio import create_task_group

from tests.storage.samples import (
    DIGEST,
    SECOND,
    new_session,
    new_user,
    now_of,
    revoked_sids,
    stored_session,
    stored_user,
)
from watchword.core.revocation import ROLES_MARGIN, TokensFrom
from watchword.core.session import End
from watchword.core.user import Status
from watchword.errors import AlreadyExists
from watchword.ports import Store


class UserContract:
    @pytest.mark.parametrize("verified", [True, False])
    @pytest.mark.parametrize("status", list(Status))
    async def test_enabling_makes_active_whose_address_is_verified(
        self, store: Store, status: Status, verified: bool
    ) -> None:
        """Attack 75: nobody's word takes the place of the proof."""
        user = await stored_user(store, status=status, email_verified=verified)
        expected = Status.ACTIVE if verified else Status.UNVERIFIED
        assert await store.enable_user(user.id) is expected
        assert await store.load_user(user.id) == replace(user, status=expected)
        assert await store.enable_user("nobody") is None

    async def test_a_user_is_found_by_id_email_and_username(self, store: Store) -> None:
        user = await stored_user(store)
        assert await store.load_user(user.id) == user
        assert await store.find_user(user.email) == user
        assert await store.find_user(user.username or "") == user

    @pytest.mark.parametrize("status", Status)
    async def test_every_field_of_a_user_comes_back(self, store: Store, status: Status) -> None:
        bare = await stored_user(
            store, username=None, digest=None, roles=(), email_verified=False, status=status, tokens_from=7
        )
        assert await store.load_user(bare.id) == bare

    async def test_who_is_not_stored_is_none(self, store: Store) -> None:
        await stored_user(store, username=None)
        for stranger in ("nobody", "nobody@example.org", "", "%", "_" * 16):
            assert await store.load_user(stranger) is None
            assert await store.find_user(stranger) is None

    async def test_logins_are_compared_byte_by_byte(self, store: Store) -> None:
        """Attack 70: the same answer whatever the database's collation."""
        user = await stored_user(store, email="straße@example.org", username="muller")
        assert await store.find_user("strasse@example.org") is None
        assert await store.find_user("STRASSE@example.org") is None
        assert await store.find_user("Muller") is None
        assert await store.find_user("straße@example.org") == user

    async def test_text_is_data(self, store: Store) -> None:
        """Attack 94."""
        hostile = "x'; DROP TABLE ww_user; -- %s %(id)s :id \\ \" {0}@example.org"
        user = await stored_user(store, email=hostile, username="' OR 1=1 --", roles=("a'b", '"', "%"))
        assert await store.find_user(hostile) == user
        assert await store.find_user("' OR 1=1 --") == user
        session = await stored_session(store, user, user_agent=hostile, ip="'")
        loaded = await store.load_session(session.sid)
        assert loaded is not None
        assert loaded.session == session

    @pytest.mark.parametrize("text", ["\x00", "a\x00b@example.org", "\ud800", "\ud800@example.org", "\n"])
    async def test_what_no_database_can_hold_is_not_found(self, store: Store, text: str) -> None:
        """Attack 93: DELETE /sessions/%00 is a 404 like any other."""
        assert await store.load_user(text) is None
        assert await store.find_user(text) is None
        assert await store.load_session(text) is None
        assert await store.end_session(text, End.REVOKED, now=0) is None

    @pytest.mark.parametrize("taken", ["id", "email", "username"])
    async def test_what_is_taken_is_not_given_again(self, store: Store, taken: str) -> None:
        user = await stored_user(store)
        other = new_user(**{taken: getattr(user, taken)})
        with pytest.raises(AlreadyExists):
            await store.create_user(other)
        assert await store.load_user(user.id) == user
        assert len(await store.list_users(after=None, limit=100)) == 1

    async def test_users_without_a_name_do_not_collide(self, store: Store) -> None:
        await stored_user(store, username=None)
        await stored_user(store, username=None)
        assert len(await store.list_users(after=None, limit=100)) == 2

    async def test_fifty_creations_of_one_address_make_one_user(self, store: Store) -> None:
        """Attack 73."""
        outcomes: list[str] = []

        async def create() -> None:
            try:
                await store.create_user(new_user(email="same@example.org"))
                outcomes.append("made")
            except AlreadyExists:
                outcomes.append("taken")

        async with create_task_group() as group:
            for _ in range(50):
                group.start_soon(create)
        assert sorted(outcomes) == ["made"] + ["taken"] * 49
        assert len(await store.list_users(after=None, limit=100)) == 1

    async def test_users_are_listed_by_id_page_by_page(self, store: Store) -> None:
        users = sorted([await stored_user(store) for _ in range(5)], key=lambda user: user.id)
        assert await store.list_users(after=None, limit=2) == users[:2]
        assert await store.list_users(after=users[1].id, limit=2) == users[2:4]
        assert await store.list_users(after=users[4].id, limit=2) == []

    async def test_a_digest_is_replaced_if_it_is_still_the_old_one(self, store: Store) -> None:
        user = await stored_user(store)
        assert not await store.replace_digest(user.id, old="another", new="new")
        assert await store.replace_digest(user.id, old=DIGEST, new="new")
        assert not await store.replace_digest(user.id, old=DIGEST, new="newer")
        assert not await store.replace_digest("nobody", old=DIGEST, new="new")
        assert await store.load_user(user.id) == replace(user, digest="new")

    async def test_a_replaced_digest_ends_no_session(self, store: Store) -> None:
        user = await stored_user(store)
        session = await stored_session(store, user)
        await store.replace_digest(user.id, old=DIGEST, new="new")
        loaded = await store.load_session(session.sid)
        assert loaded is not None
        assert loaded.session == session

    async def test_a_new_password_ends_all_sessions_but_the_one_kept(self, store: Store) -> None:
        """ASVS 5.0 7.4.3."""
        user, other = await stored_user(store), await stored_user(store)
        kept, first, second = [await stored_session(store, user) for _ in range(3)]
        foreign = await stored_session(store, other)
        now = await now_of(store)
        ended = await store.change_password(user.id, "new", now=now, keep=kept.sid)
        assert ended is not None
        assert {row.sid for row in ended} == {first.sid, second.sid} == await revoked_sids(store)
        assert await store.load_user(user.id) == replace(user, digest="new")
        assert await store.list_sessions(user.id, now=now) == [kept]
        assert await store.list_sessions(other.id, now=now) == [foreign]
        loaded = await store.load_session(first.sid)
        assert loaded is not None
        assert loaded.session.end is End.PASSWORD

    async def test_a_new_password_may_end_every_session(self, store: Store) -> None:
        user = await stored_user(store)
        session = await stored_session(store, user)
        ended = await store.change_password(user.id, "new", now=await now_of(store), keep=None)
        assert ended is not None
        assert [row.sid for row in ended] == [session.sid]
        assert await store.change_password(user.id, "newer", now=await now_of(store), keep=None) == []

    @pytest.mark.parametrize("status", [Status.DISABLED, Status.UNVERIFIED])
    async def test_whoever_is_not_active_has_no_session(self, store: Store, status: Status) -> None:
        """ASVS 5.0 7.4.2, attack 44."""
        user = await stored_user(store)
        session = await stored_session(store, user)
        ended = await store.change_status(user.id, status, now=await now_of(store))
        assert ended is not None
        assert [row.sid for row in ended] == [session.sid]
        assert await store.load_user(user.id) == replace(user, status=status)
        loaded = await store.load_session(session.sid)
        assert loaded is not None
        assert loaded.session.end is End.DISABLED
        assert loaded.user.status is status

    async def test_enabling_ends_and_revives_nothing(self, store: Store) -> None:
        user = await stored_user(store)
        before = await stored_session(store, user)
        await store.change_status(user.id, Status.DISABLED, now=await now_of(store))
        assert await store.change_status(user.id, Status.ACTIVE, now=await now_of(store)) == []
        session = await stored_session(store, user)
        assert await store.change_status(user.id, Status.ACTIVE, now=await now_of(store)) == []
        assert await store.list_sessions(user.id, now=await now_of(store)) == [session]
        assert await revoked_sids(store) == {before.sid}

    async def test_new_roles_count_from_a_moment_ahead_of_both_clocks(self, store: Store) -> None:
        """ASVS 5.0 8.3.2."""
        user = await stored_user(store)
        now = await now_of(store)
        changed = await store.change_roles(user.id, ("reader",), now=now)
        assert changed is not None
        assert changed.user_id == user.id
        assert 0 <= changed.second - now // SECOND - ROLES_MARGIN <= 1
        assert await store.load_user(user.id) == replace(user, roles=("reader",), tokens_from=changed.second)
        ahead = await store.change_roles(user.id, (), now=now + 60 * SECOND)
        assert ahead == TokensFrom(user.id, now // SECOND + 60 + ROLES_MARGIN)

    async def test_two_changes_within_a_second_are_told_apart(self, store: Store) -> None:
        """ASVS 5.0 8.3.2: or a token issued between a gain and a loss would keep what was lost."""
        user = await stored_user(store)
        now = await now_of(store) + 60 * SECOND
        first = await store.change_roles(user.id, ("owner",), now=now)
        second = await store.change_roles(user.id, (), now=now)
        assert first is not None
        assert second == TokensFrom(user.id, first.second + 1)
        loaded = await store.load_user(user.id)
        assert loaded is not None
        assert loaded.tokens_from == second.second

    async def test_new_roles_are_told_to_those_who_follow(self, store: Store) -> None:
        user, _ = await stored_user(store), await stored_user(store)
        since = await now_of(store)
        changed = await store.change_roles(user.id, (), now=since)
        assert (await store.read_revocations(since=since)).tokens_from == [changed]
        assert (await store.read_revocations(since=0)).tokens_from == [changed]
        assert (await store.read_revocations(since=since + 60 * SECOND)).tokens_from == []

    async def test_a_deleted_user_leaves_only_revocations(self, store: Store) -> None:
        user, other = await stored_user(store), await stored_user(store)
        live, over = await stored_session(store, user), await stored_session(store, user)
        foreign = await stored_session(store, other)
        await store.end_session(over.sid, End.LOGOUT, now=await now_of(store))
        ended = await store.delete_user(user.id, now=await now_of(store))
        assert ended is not None
        assert [row.sid for row in ended] == [live.sid]
        assert await store.load_user(user.id) is None
        assert await store.load_session(live.sid) is None
        assert await store.load_session(over.sid) is None
        assert await revoked_sids(store) == {live.sid, over.sid}
        assert await store.list_sessions(other.id, now=await now_of(store)) == [foreign]
        await store.create_user(new_user(email=user.email, username=user.username))

    async def test_nobody_changes_who_is_not_there(self, store: Store) -> None:
        now = await now_of(store)
        assert await store.change_password("nobody", "new", now=now, keep=None) is None
        assert await store.change_status("nobody", Status.DISABLED, now=now) is None
        assert await store.change_status("nobody", Status.ACTIVE, now=now) is None
        assert await store.change_roles("nobody", (), now=now) is None
        assert await store.delete_user("nobody", now=now) is None

    async def test_no_sign_in_under_way_survives_a_new_password(self, store: Store) -> None:
        """Attack 45: whichever comes first, no session that was opened with the old password is live."""
        for _ in range(25):
            user = await stored_user(store)
            session = new_session(user)
            async with create_task_group() as group:
                group.start_soon(self._sign_in, store, session.sid, user.id)
                group.start_soon(self._change_password, store, user.id)
            assert await store.list_sessions(user.id, now=await now_of(store)) == []

    async def test_no_sign_in_under_way_survives_a_deletion(self, store: Store) -> None:
        for _ in range(25):
            user = await stored_user(store)
            session = new_session(user)
            outcomes: list[bool] = []

            async def sign_in() -> None:
                made = await store.insert_session(session, digest=DIGEST, replaces=None)  # noqa: B023
                outcomes.append(made is not None)  # noqa: B023

            async def delete() -> None:
                await store.delete_user(user.id, now=0)  # noqa: B023

            async with create_task_group() as group:
                group.start_soon(sign_in)
                group.start_soon(delete)
            assert await store.load_session(session.sid) is None
            assert (session.sid in await revoked_sids(store)) is outcomes[0]

    async def _sign_in(self, store: Store, sid: str, user_id: str) -> None:
        session = new_session(new_user(id=user_id), sid=sid)
        await store.insert_session(session, digest=DIGEST, replaces=None)

    async def _change_password(self, store: Store, user_id: str) -> None:
        await store.change_password(user_id, "new", now=0, keep=None)
