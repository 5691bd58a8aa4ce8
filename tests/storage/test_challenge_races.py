"""Two processes over one database: what one store counts, the other has counted."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.contract_links import redeem, sent
from tests.storage.contract_own import change, confirm, new_proof, proof
from tests.storage.samples import DIGEST, issued, new_mail, new_session, rotated, stored_session, stored_user
from watchword.core.challenge import TRIES, TRIES_A_DAY, Codes, Kind
from watchword.core.keys import KeyRing
from watchword.core.session import End
from watchword.drivers.clock import SystemClock
from watchword.ports import Room, Store
from watchword.storage.sql import open_store

RIGHT, WRONG = "012345", "543210"
CODES = Codes(KeyRing([secrets.token_bytes(48)]))


@pytest.fixture(params=["sqlite", "postgresql"])
async def stores(request: pytest.FixtureRequest, sqlite_file: Path) -> AsyncIterator[tuple[Store, Store]]:
    url = f"sqlite:///{sqlite_file}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
    pair = open_store(url, SystemClock()), open_store(url, SystemClock())
    yield pair
    for store in pair:
        await store.close()


async def begun(store: Store) -> tuple[bytes, str]:
    """A login that waits for the code `RIGHT`: the digest of its secret, and whose it is."""
    user = await stored_user(store)
    identity = secrets.token_hex(8)
    code = CODES.digest(RIGHT, challenge_id=identity)
    challenge = await issued(store, user, id=identity, code=code)
    return challenge.digest, user.id


async def guess(store: Store, digest: bytes, code: str) -> str:
    """As a request does it: count, compare, redeem."""
    found = await store.attempt_challenge(digest, Kind.LOGIN)
    assert found is not None
    if not found.done:
        return "not compared"
    if not CODES.right(code, found.challenge):
        return "wrong"
    opened = await store.redeem_challenge(found.challenge, new_session(found.user), replaces=None)
    return "too late" if opened is None else "session"


async def test_of_fifty_wrong_guesses_at_once_five_are_compared(stores: tuple[Store, Store]) -> None:
    """Attack 52; ASVS 6.6.3."""
    digest, _ = await begun(stores[0])
    outcomes = await asyncio.gather(*(guess(stores[n % 2], digest, WRONG) for n in range(50)))
    assert (outcomes.count("wrong"), outcomes.count("not compared")) == (TRIES, 45)


async def test_of_fifty_right_guesses_at_once_one_has_a_session(stores: tuple[Store, Store]) -> None:
    """Attack 53."""
    for _ in range(5):
        digest, user_id = await begun(stores[0])
        outcomes = await asyncio.gather(*(guess(stores[n % 2], digest, RIGHT) for n in range(50)))
        assert outcomes.count("session") == 1
        assert outcomes.count("wrong") == 0
        assert len(await stores[1].list_sessions(user_id, now=0)) == 1


async def test_guesses_about_different_challenges_share_the_day(stores: tuple[Store, Store]) -> None:
    """Attack 51: two transactions that count at once read one another's count."""
    user = await stored_user(stores[0])
    digests = [(await issued(stores[0], user)).digest for _ in range(8)]
    guesses = [guess(stores[n % 2], digests[n % 8], WRONG) for n in range(40)]
    outcomes = await asyncio.gather(*guesses)
    assert outcomes.count("wrong") == TRIES_A_DAY


async def asked(store: Store) -> tuple[str, str]:
    """Somebody signed in who waits for the code `RIGHT`: whose session it is, and which."""
    user = await stored_user(store)
    session = await stored_session(store, user)
    identity = secrets.token_hex(8)
    code = CODES.digest(RIGHT, challenge_id=identity)
    await proof(store, user, session, id=identity, code=code)
    return user.id, session.sid


async def prove(store: Store, user_id: str, sid: str, code: str) -> str:
    """As a request does it: find, count, compare, redeem over the session as it is."""
    waiting = await store.find_proof(user_id, sid)
    found = await store.attempt_challenge(waiting.digest, Kind.REAUTHENTICATE) if waiting else None
    if found is None or not found.done:
        return "not compared"
    if not CODES.right(code, found.challenge):
        return "wrong"
    current = await store.load_session(sid)
    assert current is not None
    done = await store.redeem_proof(found.challenge, current.session, rotated(current.session))
    return "proved" if done else "too late"


async def test_of_fifty_wrong_proofs_at_once_five_are_compared(stores: tuple[Store, Store]) -> None:
    """Attack 52: two processes, one session."""
    user_id, sid = await asked(stores[0])
    outcomes = await asyncio.gather(*(prove(stores[n % 2], user_id, sid, WRONG) for n in range(50)))
    assert (outcomes.count("wrong"), outcomes.count("not compared")) == (TRIES, 45)


async def test_of_fifty_right_proofs_at_once_one_counts(stores: tuple[Store, Store]) -> None:
    """Attacks 53, 54."""
    for _ in range(5):
        user_id, sid = await asked(stores[0])
        outcomes = await asyncio.gather(*(prove(stores[n % 2], user_id, sid, RIGHT) for n in range(50)))
        assert outcomes.count("proved") == 1
        assert outcomes.count("wrong") == 0


async def test_of_ten_codes_asked_for_at_once_one_is_sent(stores: tuple[Store, Store]) -> None:
    """Attack 55: two processes, one session."""
    user = await stored_user(stores[0])
    session = await stored_session(stores[0], user)
    asking = [
        stores[n % 2].issue_challenge(new_proof(user, session), new_mail(), digest=DIGEST) for n in range(10)
    ]
    told = await asyncio.gather(*asking)
    assert [issued is not None and issued.done for issued in told].count(True) == 1


async def test_of_ten_users_who_prove_one_address_at_once_one_has_it(stores: tuple[Store, Store]) -> None:
    """Attack 69: two processes; nobody is answered by a fault of the database."""
    links = []
    for _ in range(10):
        user = await stored_user(stores[0])
        links.append(await change(stores[0], user, await stored_session(stores[0], user)))
    outcomes = await asyncio.gather(*(confirm(stores[n % 2], links[n]) for n in range(10)))
    [winner] = [link.user_id for link, ended in zip(links, outcomes, strict=True) if ended is not None]
    assert await stores[0].delete_user(winner, now=0) is not None


async def test_of_twenty_sign_ins_at_once_as_many_stay_as_may(stores: tuple[Store, Store]) -> None:
    """ASVS 7.1.2: two processes, by password and by code, beside sessions that end by themselves meanwhile."""
    user = await stored_user(stores[0])
    old = [await stored_session(stores[0], user) for _ in range(5)]
    waiting = [
        await stores[0].attempt_challenge((await issued(stores[0], user)).digest, Kind.LOGIN)
        for _ in range(8)
    ]

    async def sign_in(number: int) -> str:
        store, session, room = stores[number % 2], new_session(user), Room(5, new_mail())
        if number < len(waiting):
            found = waiting[number]
            assert found is not None
            ended = await store.redeem_challenge(found.challenge, session, replaces=None, room=room)
        else:
            ended = await store.insert_session(session, digest=user.digest, replaces=None, room=room)
        assert ended is not None
        return session.sid

    async def sign_out(number: int) -> str:
        await stores[number % 2].end_session(old[number].sid, End.LOGOUT, now=0)
        return old[number].sid

    theirs = await asyncio.gather(*(sign_in(n) for n in range(20)), *(sign_out(n) for n in range(5)))
    live = await stores[1].list_sessions(user.id, now=0)
    assert 0 < len(live) <= 5
    ended = {row.sid for row in (await stores[1].read_revocations(since=0)).ended if row.sid in theirs}
    assert len(ended) == 25 - len(live), "whatever has ended is known to guards"
    assert ended.isdisjoint({row.sid for row in live})


async def test_of_fifty_uses_of_a_reset_link_at_once_one_counts(stores: tuple[Store, Store]) -> None:
    """Attack 77: two processes; the password of the one who was told so is the one that holds. ASVS 2.3.4."""
    user = await stored_user(stores[0])
    link = await sent(stores[0], user)
    asked = [redeem(stores[n % 2], link, user, f"new {n}") for n in range(50)]
    outcomes = await asyncio.gather(*asked)
    [winner] = [n for n, ended in enumerate(outcomes) if ended is not None]
    row = await stores[1].load_user(user.id)
    assert row is not None
    assert row.digest == f"new {winner}"
