"""What a store must do for repairs: one test a fact, run on every implementation (see contract.py)."""

from tests.storage.samples import (
    new_challenge,
    new_mail,
    new_session,
    now_of,
    revoked_sids,
    stored_session,
    stored_user,
)
from watchword.core.challenge import Kind
from watchword.core.session import End
from watchword.ports import Store


class RepairContract:
    async def test_a_forgotten_password_is_nobodys_and_ends_all_sessions_but_one(self, store: Store) -> None:
        """F7."""
        user, other = await stored_user(store), await stored_user(store)
        kept, ended, foreign = (
            await stored_session(store, user),
            await stored_session(store, user),
            await stored_session(store, other),
        )
        challenge = new_challenge(user)
        assert await store.issue_challenge(challenge, new_mail(), digest=user.digest)
        mail = new_mail()
        rows = await store.forget_password(user.id, now=await now_of(store), keep=kept.sid, mail=mail)
        assert rows is not None
        assert [row.sid for row in rows] == [ended.sid]
        loaded = await store.load_session(ended.sid)
        assert loaded is not None
        assert (loaded.session.end, loaded.user.digest) == (End.PASSWORD, None)
        for live in (kept, foreign):
            loaded = await store.load_session(live.sid)
            assert loaded is not None
            assert loaded.session.ended_at is None
        assert await revoked_sids(store) == {ended.sid}
        assert mail.id in {row.mail.id for row in await store.list_mail(before=None, limit=10)}
        found = await store.load_challenge(challenge.digest, Kind.LOGIN)
        assert found is None or found.challenge.ended_at is not None

    async def test_the_old_password_signs_in_no_more(self, store: Store) -> None:
        """F7: not even who had verified it just before."""
        user = await stored_user(store)
        await store.forget_password(user.id, now=await now_of(store), keep=None, mail=new_mail())
        assert await store.insert_session(new_session(user), digest=user.digest, replaces=None) is None

    async def test_nobodys_password_is_forgotten_without_a_word(self, store: Store) -> None:
        assert await store.forget_password("nobody", now=0, keep=None, mail=new_mail()) is None
        assert await store.list_mail(before=None, limit=10) == []

    async def test_a_session_without_a_row_can_be_revoked_once(self, store: Store) -> None:
        """F7: its access token may outlive what the database has lost."""
        before = await now_of(store)
        revoked = await store.revoke_unknown("a sid", now=before)
        assert revoked is not None
        assert revoked.sid == "a sid"
        assert before <= revoked.at <= await now_of(store)
        assert await store.revoke_unknown("a sid", now=before) is None
        assert await revoked_sids(store) == {"a sid"}
