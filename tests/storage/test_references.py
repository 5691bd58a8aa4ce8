"""An app's own rows that refer to a user, and people who come back while they are being forgotten: both databases."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.databases import emptied
from tests.flows.stepping import SECRET, URL
from tests.storage.contract_own import change
from tests.storage.contract_registrations import redeem, signed_up
from tests.storage.samples import SECOND, new_mail, now_of, query, raw, stored_session, stored_user
from watchword.auth import Watchword
from watchword.core.challenge import LINK_LIFE, Challenge
from watchword.core.record import Recorded
from watchword.core.registration import KEPT
from watchword.core.user import Status
from watchword.drivers.clock import SystemClock
from watchword.errors import StillReferenced
from watchword.events import Event
from watchword.flows.sweep import BATCH, sweep
from watchword.settings import Settings
from watchword.spans import DAY
from watchword.storage.sql import open_store
from watchword.storage.sql.rows import Parameters, Row
from watchword.storage.sql.verbs import SqlStore
from watchword.testing import TravellingClock

LATER = LINK_LIFE + KEPT + 60 * SECOND
TABLE = "CREATE TABLE app_note (user_id text{collation} REFERENCES ww_user (id))"


class Home:
    """A store, and its database past it."""

    def __init__(self, store: SqlStore, path: Path, url: str | None) -> None:
        self.store, self._path, self._url = store, path, url

    def run(self, statement: str) -> None:
        if self._url is not None:
            query(self._url, statement)
            return
        with raw(self._path) as connection:
            connection.execute(statement)

    def hold(self, user_id: str) -> None:
        self.run(f"INSERT INTO app_note VALUES ('{user_id}')")


@pytest.fixture(params=["sqlite", "postgresql"])
async def home(request: pytest.FixtureRequest, sqlite_file: Path) -> AsyncIterator[Home]:
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    store = open_store(url or f"sqlite:///{sqlite_file}", SystemClock())
    assert isinstance(store, SqlStore)
    home = Home(store, sqlite_file, url)
    if url is not None:
        home.run("DROP TABLE IF EXISTS app_note")
        emptied(url)
    home.run(TABLE.format(collation=' COLLATE "C"' if url else ""))
    yield home
    await store.close()


async def test_who_is_held_by_the_app_stays_and_keeps_nobody_else(home: Home) -> None:
    """R41: the others are forgotten; and told apart."""
    told = [(await signed_up(home.store, f"{number}@example.org"))[0] for number in range(3)]
    told.sort(key=lambda registered: registered.user_id)  # of one millisecond, in no order
    home.hold(told[1].user_id)
    now = await now_of(home.store) + LATER
    forgotten = await home.store.forget_unverified(now=now, after="", batch=9)
    assert forgotten.gone == [told[0].user_id, told[2].user_id]
    assert forgotten.held == [told[1].user_id]
    assert forgotten.last == told[2].user_id
    assert [user.id for user in await home.store.list_users(after=None, limit=9)] == [told[1].user_id]


async def test_an_end_that_the_app_does_not_allow_is_said_so(home: Home) -> None:
    """And nothing of it is done."""
    user = await stored_user(home.store)
    session = await stored_session(home.store, user)
    home.hold(user.id)
    with pytest.raises(StillReferenced):
        await home.store.delete_user(user.id, now=0)
    with pytest.raises(StillReferenced):
        await home.store.delete_own_user(user.id, keep=session.sid, mail=new_mail())
    assert await home.store.list_sessions(user.id, now=await now_of(home.store)) == [session]


async def test_an_address_is_not_taken_from_whom_the_app_holds(home: Home) -> None:
    user = await stored_user(home.store)
    session = await stored_session(home.store, user)
    other = await stored_user(
        home.store, email="new@example.org", status=Status.UNVERIFIED, email_verified=False
    )
    home.hold(other.id)
    link = await change(home.store, user, session, other.email)
    assert await home.store.redeem_change(link, other.email, keep=session.sid, mail=new_mail()) is None
    assert await home.store.load_user(user.id) == user
    assert await home.store.load_user(other.id) == other


async def test_who_signs_up_between_the_look_and_the_end_stays(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F12: what was true when somebody was found is asked again behind the lock of their row."""
    store, read = home.store, home.store._read
    await signed_up(store, "one@example.org")
    now = await now_of(store) + LINK_LIFE + KEPT + SECOND
    home.run(f"UPDATE ww_challenge SET expires_at = expires_at - {LATER}")
    now -= LATER
    links: list[Challenge] = []

    async def then_somebody_signs_up(statement: str, parameters: Parameters) -> Sequence[Row]:
        rows = await read(statement, parameters)
        monkeypatch.undo()
        links.append((await signed_up(store, "one@example.org"))[1])
        return rows

    monkeypatch.setattr(store, "_read", then_somebody_signs_up)
    forgotten = await store.forget_unverified(now=now, after="", batch=9)
    assert forgotten.last == links[0].user_id
    assert (forgotten.gone, forgotten.held) == ([], [])
    assert await redeem(store, links[0]) == []


async def test_a_host_whose_clock_is_wrong_sweeps_nothing_that_is_new(postgres: str) -> None:
    """F8: a hundred days ahead; what is old is told by the database's clock."""
    store = open_store(postgres, SystemClock())
    user = await stored_user(store)
    session = await stored_session(store, user)
    event = Recorded(user.id, Event("signed_in", SystemClock().now(), user.id))
    await store.append_events([event])
    ahead = TravellingClock(micros=SystemClock().now() + 100 * DAY)
    auth = Watchword(Settings(secret=(SECRET,), url=URL), store=store, clock=ahead)
    await sweep(auth.world)
    assert [row.id for row in await store.list_events(user.id, before=None, limit=9)] == [event.id]
    assert await store.list_sessions(user.id, now=await now_of(store)) == [session]
    await auth.aclose()


async def test_a_sweep_passes_over_whom_the_app_holds_and_says_so_once(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """R41: more of them than a batch keep nobody behind them."""
    for number in range(BATCH + 2):
        told, _ = await signed_up(home.store, f"{number:02}@example.org")
        if number < BATCH + 1:
            home.hold(told.user_id)
    home.run(f"UPDATE ww_challenge SET expires_at = expires_at - {LATER}")
    auth = Watchword(Settings(secret=(SECRET,), url=URL), store=home.store)
    assert await sweep(auth.world) == 1
    assert len(await home.store.list_users(after=None, limit=100)) == BATCH + 1
    warnings = [row.getMessage() for row in caplog.records if row.levelname == "WARNING"]
    assert [row.partition(" ")[0] for row in warnings if "CASCADE" in row] == [str(BATCH + 1)]
