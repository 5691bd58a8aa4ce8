"""What a store must do for people who change their own account: one test a fact, run on every implementation (see
contract.py)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from anyio import create_task_group

from tests.storage.contract_challenges import Age, mails
from tests.storage.contract_links import sent
from tests.storage.samples import (
    DIGEST,
    SECOND,
    issued,
    new_challenge,
    new_factor,
    new_mail,
    new_session,
    now_of,
    revoked_sids,
    rotated,
    stored_session,
    stored_user,
)
from watchword.core.challenge import CODES_AN_HOUR, LINK_LIFE, LINKS_AN_HOUR, Challenge, Kind
from watchword.core.factor import Factor
from watchword.core.revocation import Revoked
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.ports import LoadedSession, Moved, Store
from watchword.spans import HOUR

NEW = "new@example.org"


async def change_password(store: Store, session: Session, old: str | None = DIGEST) -> list[Revoked] | None:
    after = rotated(session)
    ended = await store.change_own_password("new", old=old, before=session, after=after, mail=new_mail())
    return None if ended is None else list(ended)


def new_proof(user: User, session: Session, **changes: Any) -> Challenge:
    return new_challenge(user, kind=Kind.REAUTHENTICATE, payload={"sid": session.sid}, **changes)


async def proof(store: Store, user: User, session: Session, **changes: Any) -> Challenge:
    """A code on its way to somebody who is signed in."""
    challenge = new_proof(user, session, **changes)
    told = await store.issue_challenge(challenge, new_mail(), digest=user.digest)
    assert told is not None
    assert told.done
    return challenge


def new_change(user: User, session: Session, email: str = NEW) -> Challenge:
    payload = {"email": user.email, "new": email, "sid": session.sid}
    made = new_challenge(user, kind=Kind.ADDRESS, code=b"", payload=payload)
    return replace(made, expires_at=made.created_at + LINK_LIFE)


async def change(store: Store, user: User, session: Session, email: str = NEW) -> Challenge:
    """A link on its way to a new address."""
    challenge = new_change(user, session, email)
    assert await store.issue_change(challenge, new_mail(to=email), keep=session.sid)
    return challenge


async def confirm(store: Store, link: Challenge) -> list[Revoked] | None:
    new, sid = link.payload["new"], link.payload["sid"]
    moved = await store.redeem_change(link, new, keep=sid, mail=new_mail())
    return None if moved is None else list(moved.ended)


async def prove(store: Store, challenge: Challenge, before: Session, after: Session) -> bool:
    """As a request does it that brings a right code."""
    await store.attempt_challenge(challenge.digest, Kind.REAUTHENTICATE)
    return await store.redeem_proof(challenge, before, after)


async def read(store: Store, session: Session) -> LoadedSession:
    found = await store.load_session(session.sid)
    assert found is not None
    return found


async def is_open(store: Store, challenge: Challenge) -> bool:
    found = await store.load_link(challenge.digest, challenge.kind)
    assert found is not None
    return found.challenge.ended_at is None


@dataclass
class Scene:
    """Somebody signed in, with everything that they may act on prepared."""

    user: User
    session: Session
    factor: Factor
    proof: Challenge
    link: Challenge


async def scene(store: Store, verb: str) -> Scene:
    user = await stored_user(store)
    session = await stored_session(store, user)
    factor = new_factor(user)
    if verb == "remove_factor":
        assert await store.add_factor(factor, now=0, keep=session.sid) == []
    return Scene(
        user, session, factor, await proof(store, user, session), await change(store, user, session, NEW)
    )


Act = Callable[[Store, Scene], Awaitable[object]]
ACTS: dict[str, Act] = {
    "change_own_password": lambda store, it: change_password(store, it.session),
    "delete_own_user": lambda store, it: store.delete_own_user(
        it.user.id, keep=it.session.sid, mail=new_mail()
    ),
    "add_factor": lambda store, it: store.add_factor(it.factor, now=0, keep=it.session.sid),
    "remove_factor": lambda store, it: store.remove_factor(
        it.factor.id, user_id=it.user.id, now=0, keep=it.session.sid
    ),
    "issue_change": lambda store, it: store.issue_change(
        new_change(it.user, it.session, "newer@example.org"), new_mail(), keep=it.session.sid
    ),
    "redeem_change": lambda store, it: confirm(store, it.link),
    "redeem_proof": lambda store, it: prove(store, it.proof, it.session, rotated(it.session)),
}
REFUSED = (None, False)


class OwnContract:
    # --- who acts

    @pytest.mark.parametrize("verb", ACTS)
    async def test_a_session_that_has_ended_in_between_changes_nothing(self, store: Store, verb: str) -> None:
        """Attack 45: it was live when it was read, and somebody else has revoked it since."""
        it = await scene(store, verb)
        bystander = await stored_session(store, replace(it.user)) if verb != "remove_factor" else it.session
        assert await store.end_session(it.session.sid, End.REVOKED, now=0) is not None
        before = await store.load_user(it.user.id)
        factors, queued = await store.list_factors(it.user.id), await mails(store)
        assert await ACTS[verb](store, it) in REFUSED
        assert await store.load_user(it.user.id) == before
        assert await store.list_factors(it.user.id) == factors
        assert await mails(store) == queued
        assert await is_open(store, it.link)
        assert await revoked_sids(store) == {it.session.sid}
        assert (await read(store, bystander)).session.end is (
            None if bystander is not it.session else End.REVOKED
        )
        assert (await read(store, it.session)).session.lineage == it.session.lineage

    @pytest.mark.parametrize("over", ["idle_until", "ends_at"])
    @pytest.mark.parametrize("verb", ACTS)
    async def test_a_session_that_has_expired_vouches_for_nothing(
        self, store: Store, verb: str, over: str
    ) -> None:
        """Attack 45, ASVS 7.3.1, 7.3.2: nobody has ended it, and its time is over all the same."""
        user = await stored_user(store)
        factor = new_factor(user)
        if verb == "remove_factor":
            assert await store.add_factor(factor, now=0, keep=None) == []
        session = new_session(user, **{over: await now_of(store) - SECOND})
        two_factor = verb == "remove_factor"
        made = await store.insert_session(session, digest=DIGEST, two_factor=two_factor, replaces=None)
        assert made == []
        link = new_change(user, session)
        assert await store.issue_link(link, new_mail(to=user.email))
        it = Scene(user, session, factor, await proof(store, user, session), link)
        before, queued = await store.load_user(user.id), await mails(store)
        assert await ACTS[verb](store, it) in REFUSED
        assert await store.load_user(user.id) == before
        assert await mails(store) == queued
        assert await is_open(store, link)
        assert (await read(store, session)).session == session

    @pytest.mark.parametrize("verb", ACTS)
    async def test_a_live_session_acts(self, store: Store, verb: str) -> None:
        """The same with nothing in between, or the test above could not fail."""
        it = await scene(store, verb)
        assert await ACTS[verb](store, it) not in REFUSED

    @pytest.mark.parametrize("verb", sorted({*ACTS} - {"redeem_proof"}))
    async def test_of_an_act_and_an_end_at_once_the_first_wins(self, store: Store, verb: str) -> None:
        """Attack 45: whoever acted did so before the end, which then found a session to end or nobody's."""
        for _ in range(5):
            it = await scene(store, verb)
            outcome: list[object] = []
            ended: list[object] = []

            async def act() -> None:
                outcome.append(await ACTS[verb](store, it))  # noqa: B023

            async def end() -> None:
                ended.append(await store.end_session(it.session.sid, End.REVOKED, now=0))  # noqa: B023

            async with create_task_group() as group:
                group.start_soon(end)
                group.start_soon(act)
            if verb == "delete_own_user":
                assert (outcome[0] is None) is (await store.load_user(it.user.id) is not None)
            else:
                assert (await read(store, it.session)).session.end is End.REVOKED

    @pytest.mark.parametrize("verb", ["delete_own_user", "issue_change"])
    async def test_another_users_session_vouches_for_nobody_else(self, store: Store, verb: str) -> None:
        it = await scene(store, verb)
        stranger = await stored_session(store, await stored_user(store))
        assert await ACTS[verb](store, replace(it, session=stranger)) in REFUSED
        assert await store.load_user(it.user.id) == it.user

    # --- a password

    async def test_an_own_change_ends_all_but_the_session_it_comes_from(self, store: Store) -> None:
        """ASVS 7.4.3, 6.3.7: and what was begun; with the mail that tells, and the proof, as one."""
        user = await stored_user(store)
        kept, other = await stored_session(store, user), await stored_session(store, user)
        link, mail, after = await sent(store, user), new_mail(), rotated(kept)
        ended = await store.change_own_password("new", old=DIGEST, before=kept, after=after, mail=mail)
        assert ended is not None
        assert [row.sid for row in ended] == [other.sid]
        assert await store.list_sessions(user.id, now=await now_of(store)) == [after]
        assert await store.load_user(user.id) == replace(user, digest="new")
        assert not await is_open(store, link)
        assert mail.id in await mails(store)

    @pytest.mark.parametrize("old", [None, "another"])
    async def test_an_own_change_needs_the_digest_that_was_proved(
        self, store: Store, old: str | None
    ) -> None:
        """ASVS 6.2.3: of two changes at once the later one is decided again."""
        user = await stored_user(store)
        kept, other = await stored_session(store, user), await stored_session(store, user)
        assert await change_password(store, kept, old) is None
        assert await store.load_user(user.id) == user
        assert await mails(store) == []
        rows = await store.list_sessions(user.id, now=await now_of(store))
        assert {row.sid: row for row in rows} == {kept.sid: kept, other.sid: other}

    async def test_an_own_change_needs_the_lineage_that_was_read(self, store: Store) -> None:
        """A refresh in between is written over by nobody."""
        user = await stored_user(store)
        session = await stored_session(store, user)
        after = rotated(session)
        assert await store.swap_session(session, after)
        assert await change_password(store, session) is None
        assert await store.load_user(user.id) == user
        assert (await read(store, session)).session == after

    async def test_who_is_disabled_changes_nothing(self, store: Store) -> None:
        user = await stored_user(store)
        session = await stored_session(store, user)
        await store.change_status(user.id, Status.DISABLED, now=await now_of(store))
        assert await change_password(store, session) is None
        row = await store.load_user(user.id)
        assert row is not None
        assert row.digest == DIGEST

    # --- an end

    async def test_who_deletes_themselves_is_gone_and_told(self, store: Store) -> None:
        """Sessions, factors and challenges go, revocations stay; others are left alone."""
        it = await scene(store, "delete_own_user")
        second = await stored_session(store, it.user)
        stranger = await stored_session(store, await stored_user(store))
        mail = new_mail()
        ended = await store.delete_own_user(it.user.id, keep=it.session.sid, mail=mail)
        assert ended is not None
        assert {row.sid for row in ended} == {it.session.sid, second.sid} == await revoked_sids(store)
        assert await store.load_user(it.user.id) is None
        assert await store.load_session(second.sid) is None
        assert await store.load_link(it.link.digest, Kind.ADDRESS) is None
        assert await store.load_challenge(it.proof.digest, Kind.REAUTHENTICATE) is None
        assert mail.id in await mails(store)
        assert (await read(store, stranger)).session == stranger
        assert await store.delete_own_user(it.user.id, keep=it.session.sid, mail=new_mail()) is None

    # --- a code that proves it

    async def test_a_session_has_one_open_code_at_most(self, store: Store, age: Age) -> None:
        """Attack 55: asking again gives no more tries; another session has its own."""
        user = await stored_user(store)
        here, there = await stored_session(store, user), await stored_session(store, user)
        first, other = await proof(store, user, here), await proof(store, user, there)
        queued = await mails(store)
        told = await store.issue_challenge(new_proof(user, here), new_mail(), digest=DIGEST)
        assert told is not None
        assert (told.done, told.spent.codes) == (False, 2)
        assert await mails(store) == queued
        for session, mine in ((here, first), (there, other)):
            found = await store.find_proof(user.id, session.sid)
            assert found is not None
            assert found.id == mine.id
        await age(first, 600 * SECOND)
        assert await store.find_proof(user.id, here.sid) is None
        second = await proof(store, user, here)
        found = await store.find_proof(user.id, here.sid)
        assert found is not None
        assert found.id == second.id

    async def test_a_code_is_found_by_its_own_session_and_user(self, store: Store) -> None:
        """Attack 54."""
        it = await scene(store, "")
        stranger = await stored_user(store)
        other = await stored_session(store, it.user)
        assert await store.find_proof(it.user.id, it.session.sid) is not None
        assert await store.find_proof(stranger.id, it.session.sid) is None
        assert await store.find_proof(it.user.id, other.sid) is None

    async def test_of_ten_asked_for_at_once_one_is_sent(self, store: Store) -> None:
        """Attack 55: counted under the user's lock."""
        user = await stored_user(store)
        session = await stored_session(store, user)
        made: list[bool] = []

        async def ask() -> None:
            told = await store.issue_challenge(new_proof(user, session), new_mail(), digest=DIGEST)
            assert told is not None
            made.append(told.done)

        async with create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
        assert made.count(True) == 1 == len(await mails(store))

    async def test_codes_of_both_kinds_share_the_hour(self, store: Store) -> None:
        """DESIGN §4.5: ten an hour, whatever they are for."""
        user = await stored_user(store)
        session = await stored_session(store, user)
        for _ in range(CODES_AN_HOUR):
            await issued(store, user)
        told = await store.issue_challenge(new_proof(user, session), new_mail(), digest=DIGEST)
        assert told is not None
        assert not told.done
        assert await store.find_proof(user.id, session.sid) is None

    async def test_a_right_code_swaps_the_session_once(self, store: Store) -> None:
        """Attack 54: and gives its try back."""
        it = await scene(store, "")
        after = rotated(it.session)
        assert await prove(store, it.proof, it.session, after)
        assert (await read(store, it.session)).session == after
        assert await store.find_proof(it.user.id, it.session.sid) is None
        found = await store.load_challenge(it.proof.digest, Kind.REAUTHENTICATE)
        assert found is not None
        assert found.spent.tries == 0
        assert not await prove(store, it.proof, after, rotated(after))
        assert (await read(store, it.session)).session == after

    async def test_a_code_that_another_has_replaced_proves_nothing(self, store: Store, age: Age) -> None:
        """Attack 54."""
        it = await scene(store, "")
        await age(it.proof, 60 * SECOND)
        resent = await store.resend_challenge(
            it.proof.digest, Kind.REAUTHENTICATE, b"new", new_mail(), ttl=600 * SECOND
        )
        assert resent is not None
        assert resent.done
        assert not await prove(store, it.proof, it.session, rotated(it.session))
        assert await prove(store, resent.challenge, it.session, rotated(it.session))

    async def test_a_code_proves_nothing_once_it_is_late(self, store: Store, age: Age) -> None:
        """Attack 63."""
        it = await scene(store, "")
        await age(it.proof, 600 * SECOND)
        assert not await prove(store, it.proof, it.session, rotated(it.session))
        assert (await read(store, it.session)).session == it.session

    async def test_a_code_proves_nothing_for_who_has_a_second_step(self, store: Store) -> None:
        """Attack 59: turned on while the code was on its way."""
        it = await scene(store, "")
        assert await store.add_factor(it.factor, now=0, keep=it.session.sid) == []
        assert not await prove(store, it.proof, it.session, rotated(it.session))
        assert (await read(store, it.session)).session == it.session

    async def test_a_code_is_not_redeemed_over_a_refresh(self, store: Store) -> None:
        """It is as good as before, and may be tried with what the session is now."""
        it = await scene(store, "")
        after = rotated(it.session)
        assert await store.swap_session(it.session, after)
        assert not await prove(store, it.proof, it.session, rotated(it.session))
        assert (await read(store, it.session)).session == after
        assert await prove(store, it.proof, after, rotated(after))

    # --- an address

    async def test_a_new_address_is_verified_and_ends_everything_else(self, store: Store) -> None:
        """ASVS 7.4.3, attack 77: sessions, links and codes, but not that of who asked; with the mail that tells."""
        it = await scene(store, "")
        other = await stored_session(store, it.user)
        foreign = await stored_session(store, await stored_user(store))
        reset, login, mail = await sent(store, it.user), await issued(store, it.user), new_mail()
        moved = await store.redeem_change(it.link, NEW, keep=it.session.sid, mail=mail)
        assert moved is not None
        assert ([row.sid for row in moved.ended], moved.unproved) == ([other.sid], [])
        assert (await read(store, other)).session.end is End.ADDRESS
        assert await store.load_user(it.user.id) == replace(it.user, email=NEW, email_verified=True)
        assert await store.find_user(it.user.email) is None
        assert mail.id in await mails(store)
        for link in (it.link, reset):
            assert not await is_open(store, link)
        assert await store.find_proof(it.user.id, it.session.sid) is None
        waiting = await store.load_challenge(login.digest, Kind.LOGIN)
        assert waiting is not None
        assert waiting.challenge.ended_at is not None
        assert (await read(store, it.session)).session == it.session
        assert (await read(store, foreign)).session == foreign
        assert await confirm(store, it.link) is None

    async def test_an_address_that_is_taken_meanwhile_changes_nothing(self, store: Store) -> None:
        """And tells nobody."""
        it = await scene(store, "")
        await stored_user(store, email=NEW)
        queued = await mails(store)
        assert await confirm(store, it.link) is None
        assert await store.load_user(it.user.id) == it.user
        assert await mails(store) == queued
        assert await is_open(store, it.link)

    @pytest.mark.parametrize("status", [Status.DISABLED, Status.ACTIVE])
    async def test_an_address_that_is_somebodys_is_not_given_away(self, store: Store, status: Status) -> None:
        it = await scene(store, "")
        await stored_user(store, email=NEW, status=status)
        assert await confirm(store, it.link) is None

    async def test_who_only_signed_up_with_an_address_leaves_it_to_who_proves_it(self, store: Store) -> None:
        """Attack 75: a registration that nobody has confirmed keeps nobody from their own address."""
        it = await scene(store, "")
        squatter = await stored_user(store, email=NEW, status=Status.UNVERIFIED, email_verified=False)
        pending = await sent(store, squatter)
        moved = await store.redeem_change(it.link, NEW, keep=it.session.sid, mail=new_mail())
        assert moved == Moved([], [squatter.id])
        assert await store.load_user(squatter.id) is None
        assert await store.load_link(pending.digest, pending.kind) is None
        found = await store.find_user(NEW)
        assert found is not None
        assert found.id == it.user.id

    async def test_an_address_waits_for_who_has_an_open_link_to_it(self, store: Store, age: Age) -> None:
        """Decision 18: for half an hour, whichever of two links in one mailbox is clicked first."""
        it = await scene(store, "")
        squatter = await stored_user(store, email=NEW, status=Status.UNVERIFIED, email_verified=False)
        made = new_challenge(squatter, kind=Kind.VERIFY, code=b"")
        link = replace(made, expires_at=made.created_at + LINK_LIFE)
        assert await store.issue_link(link, new_mail(to=NEW))
        assert await confirm(store, it.link) is None
        assert await store.load_user(squatter.id) == squatter
        assert await store.load_user(it.user.id) == it.user
        assert await is_open(store, it.link)
        await age(link, LINK_LIFE)
        assert await confirm(store, it.link) == []
        assert await store.load_user(squatter.id) is None

    async def test_of_ten_users_who_prove_one_address_at_once_one_has_it(self, store: Store) -> None:
        """Attack 69: the others stay as they are."""
        scenes = [await scene(store, "") for _ in range(10)]
        outcomes: list[bool] = []

        async def prove(it: Scene) -> None:
            outcomes.append(await confirm(store, it.link) is not None)

        async with create_task_group() as group:
            for it in scenes:
                group.start_soon(prove, it)
        assert outcomes.count(True) == 1
        rows = [await store.load_user(it.user.id) for it in scenes]
        assert [row.email for row in rows if row is not None].count(NEW) == 1

    @pytest.mark.parametrize("by", ["reset", "own", "admin", "disabled"])
    async def test_a_pending_change_dies_with_password_and_status(self, store: Store, by: str) -> None:
        """Attack 76: whoever asked for it may be whom the new password is to keep out."""
        it = await scene(store, "")
        match by:
            case "reset":
                link = await sent(store, it.user)
                assert await store.redeem_reset(link, it.user.email, "new", new_mail()) is not None
            case "own":
                assert await change_password(store, it.session) is not None
            case "admin":
                assert await store.change_password(it.user.id, "new", now=0, keep=None) is not None
            case _:
                assert await store.change_status(it.user.id, Status.DISABLED, now=0) is not None
                assert await store.change_status(it.user.id, Status.ACTIVE, now=0) is not None
        assert await confirm(store, it.link) is None
        row = await store.load_user(it.user.id)
        assert row is not None
        assert row.email == it.user.email

    async def test_the_address_that_was_named_last_is_the_one_that_counts(self, store: Store) -> None:
        it = await scene(store, "")
        second = await change(store, it.user, it.session, "newer@example.org")
        assert not await is_open(store, it.link)
        assert await confirm(store, it.link) is None
        assert await confirm(store, second) == []

    async def test_five_changes_an_hour_and_no_mail_for_the_sixth(self, store: Store, age: Age) -> None:
        """Attack 55; the pending one stays as it is."""
        it = await scene(store, "")
        links = [await change(store, it.user, it.session) for _ in range(LINKS_AN_HOUR - 1)]
        queued = await mails(store)
        sixth = new_change(it.user, it.session)
        assert await store.issue_change(sixth, new_mail(), keep=it.session.sid) is False
        assert await mails(store) == queued
        assert await is_open(store, links[-1])
        await age(it.link, HOUR + SECOND)
        assert await store.issue_change(sixth, new_mail(), keep=it.session.sid) is True

    async def test_a_change_is_over_after_half_an_hour(self, store: Store, age: Age) -> None:
        """Attack 77."""
        it = await scene(store, "")
        await age(it.link, LINK_LIFE)
        assert await confirm(store, it.link) is None
