"""Doing again what a restored database has lost: over a store that is set back to what it was."""

from __future__ import annotations

import secrets
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from tests.flows.stepping import EMAIL, HOME, PASSWORD, Lab, code_of, step
from watchword.core.record import Recorded
from watchword.core.session import End
from watchword.core.user import Status
from watchword.core.uuid7 import uuid7
from watchword.errors import StillReferenced, Unavailable
from watchword.features.password import flow as password_flow
from watchword.flows import users
from watchword.flows.end import end_one
from watchword.flows.restore import end_everything, missing, reapply
from watchword.flows.users import find

EVE, BOB = "eve@example.com", "bob@example.com"
DAY = 86_400


@dataclass
class Backup:
    """A lab, and the way back to what it was when this was made."""

    lab: Lab

    def __post_init__(self) -> None:
        self._was: dict[str, Any] = {
            name: deepcopy(value)
            for name, value in vars(self.lab.store).items()
            if isinstance(value, dict | list) and name not in {"_log", "first"}
        }
        self._told = len(self.lab.events)
        self.since = self.lab.clock.now()

    def restore(self) -> list[Recorded]:
        """What the events file has of the time since, under ids as the recorder gives them."""
        vars(self.lab.store).update(deepcopy(self._was))
        return [
            Recorded(uuid7(event.at, secrets.token_bytes(10)), event)
            for event in self.lab.events[self._told :]
        ]


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """With two more users."""
    lab.user(EVE, roles=["owner", "writer"])
    lab.user(BOB)
    lab.travel(60)
    return lab


def again(lab: Lab, backup: Backup, rows: list[Recorded]) -> Any:
    return step(reapply(lab.world, step(missing(lab.world, rows, since=backup.since))))


def test_a_session_that_ended_in_the_lost_span_ends_again(lab: Lab) -> None:
    """F7; I5."""
    ended, live = lab.session(), lab.session()
    backup = Backup(lab)
    sid = ended.session.sid
    step(end_one(lab.world, sid, End.LOGOUT, user_id=ended.user.id))
    rows = backup.restore()
    assert lab.store._sessions[sid].ended_at is None
    done = again(lab, backup, rows)
    assert (done.sessions, done.known, done.unknown) == (1, 0, 0)
    assert lab.store._sessions[sid].end is End.LOGOUT
    assert code_of(lambda: lab.refresh(ended.refresh_token)) == "session_ended"
    lab.refresh(live.refresh_token)


def test_one_that_began_and_ended_in_it_is_refused_though_nothing_is_known_of_it(lab: Lab) -> None:
    """F7, attack 21: its access token is good for minutes still."""
    backup = Backup(lab)
    short = lab.session()
    step(end_one(lab.world, short.session.sid, End.REVOKED, user_id=short.user.id))
    rows = backup.restore()
    lab.world.revocations.sids.clear()  # as in a process that starts now
    assert lab.guard(short) == "ok"
    done = again(lab, backup, rows)
    assert (done.sessions, done.unknown) == (0, 1)
    assert lab.guard(short) == "session_ended"


def test_who_was_disabled_or_deleted_is_so_again(lab: Lab) -> None:
    """F7; ASVS 7.4.2."""
    eve, bob = step(find(lab.world, EVE)), step(find(lab.world, BOB))
    backup = Backup(lab)
    step(users.set_status(lab.world, eve, Status.DISABLED))
    step(users.delete(lab.world, bob))
    done = again(lab, backup, backup.restore())
    assert (done.disabled, done.deleted) == ([eve.id], [bob.id])
    assert lab.stored(EVE).status is Status.DISABLED
    assert step(lab.store.find_user(BOB)) is None


def test_the_password_from_before_counts_no_more_and_its_owner_is_told(lab: Lab) -> None:
    """F7: whoever knew it may be why it was changed. The session that changed it goes on."""
    here, elsewhere = lab.session(), lab.session()
    backup = Backup(lab)
    loaded = step(lab.store.load_session(here.session.sid))
    assert loaded is not None
    step(password_flow.change(lab.world, loaded, PASSWORD, "difference engine!", client=HOME))
    done = again(lab, backup, backup.restore())
    ada = lab.stored(EMAIL)
    assert (done.passwords, ada.digest) == ([ada.id], None)
    assert lab.store._sessions[here.session.sid].ended_at is None
    assert lab.store._sessions[elsewhere.session.sid].ended_at is not None
    assert [row.mail.kind for row in lab.store._outbox.values()].count("password_lost") == 1


def test_roles_that_were_taken_away_are_gone_and_none_is_given(lab: Lab) -> None:
    """F7; ASVS 8.3.2."""
    eve, bob = step(find(lab.world, EVE)), step(find(lab.world, BOB))
    backup = Backup(lab)
    step(users.set_roles(lab.world, eve, ["writer"]))
    step(users.set_roles(lab.world, bob, ["owner"]))
    done = again(lab, backup, backup.restore())
    assert done.roles == [eve.id]
    assert lab.stored(EVE).roles == ("writer",)
    assert lab.stored(BOB).roles == ()
    assert [row.event.user_id for row in done.by_hand] == [bob.id]


def test_a_second_time_nothing_is_done_and_what_was_set_since_stays(lab: Lab) -> None:
    """F7: the file grows, and somebody asks again."""
    ended = lab.session()
    backup = Backup(lab)
    ada = lab.stored(EMAIL)
    step(users.set_password(lab.world, ada, "v1:difference engine!"))
    rows = backup.restore()
    assert again(lab, backup, rows).passwords == [ada.id]
    step(users.set_password(lab.world, lab.stored(EMAIL), "v1:third engine!"))
    assert step(missing(lab.world, rows, since=backup.since)).rows == []
    done = again(lab, backup, rows)
    assert (done.passwords, done.sessions, done.known) == ([], 0, 0)
    assert lab.stored(EMAIL).digest == "v1:third engine!"
    assert lab.store._sessions[ended.session.sid].end is End.PASSWORD


def test_what_the_table_has_was_not_lost(lab: Lab) -> None:
    """F7: the backup is a little younger than `since` says."""
    backup = Backup(lab)
    step(users.set_password(lab.world, lab.stored(EMAIL), "v1:difference engine!"))
    rows = [Recorded(uuid7(event.at, secrets.token_bytes(10)), event) for event in lab.events[backup._told :]]
    step(lab.store.append_events(rows))
    assert step(missing(lab.world, rows, since=backup.since)).rows == []
    assert lab.stored(EMAIL).digest == "v1:difference engine!"


def test_newer_state_that_the_table_holds_is_not_undone(lab: Lab) -> None:
    """F7: a killed process left the older events in the file alone; the newer ones are in both."""
    backup = Backup(lab)
    step(users.set_status(lab.world, lab.stored(EVE), Status.DISABLED))
    step(users.set_password(lab.world, lab.stored(EVE), "v1:difference engine!"))
    step(users.set_roles(lab.world, lab.stored(EVE), ["writer"]))
    lab.travel(10)
    older = len(lab.events)
    step(users.enable(lab.world, lab.stored(EVE)))
    step(users.set_password(lab.world, lab.stored(EVE), "v1:third engine!"))
    step(users.set_roles(lab.world, lab.stored(EVE), ["owner", "writer"]))
    rows = [Recorded(uuid7(event.at, secrets.token_bytes(10)), event) for event in lab.events[backup._told :]]
    step(lab.store.append_events(rows[older - backup._told :]))
    done = again(lab, backup, rows)
    assert (done.disabled, done.passwords, done.roles, done.by_hand) == ([], [], [], [])
    eve = lab.stored(EVE)
    assert (eve.status, eve.digest, eve.roles) == (Status.ACTIVE, "v1:third engine!", ("owner", "writer"))
    assert step(missing(lab.world, rows, since=backup.since)).rows == []


def test_who_was_done_before_an_interruption_is_not_done_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: the database fails at the second user; the first sets a password, and somebody runs it again."""
    first, second = sorted((lab.stored(EVE), lab.stored(BOB)), key=lambda user: user.id)
    backup = Backup(lab)
    for user in (first, second):
        step(users.set_password(lab.world, user, "v1:difference engine!"))
    rows = backup.restore()
    forget = lab.store.forget_password

    async def fails(user_id: str, **how: Any) -> Any:
        if user_id == second.id:
            raise Unavailable("The database is gone.")
        return await forget(user_id, **how)

    monkeypatch.setattr(lab.store, "forget_password", fails)
    with pytest.raises(Unavailable):
        again(lab, backup, rows)
    monkeypatch.undo()
    step(users.set_password(lab.world, first, "v1:third engine!"))
    assert again(lab, backup, rows).passwords == [second.id]


def test_what_happened_before_the_span_is_left_alone(lab: Lab) -> None:
    told = len(lab.events)
    step(users.set_status(lab.world, lab.stored(EVE), Status.DISABLED))
    step(users.enable(lab.world, lab.stored(EVE)))
    rows = [Recorded(uuid7(event.at, secrets.token_bytes(10)), event) for event in lab.events[told:]]
    lab.travel(1)
    assert step(missing(lab.world, rows, since=lab.clock.now())).rows == []


def test_who_cannot_be_deleted_is_told_of_and_tried_again_the_next_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: a row of the app's holds them; everybody else's turn comes all the same."""
    eve, bob = step(find(lab.world, EVE)), step(find(lab.world, BOB))
    backup = Backup(lab)
    for user in (eve, bob):
        step(users.delete(lab.world, user))
    rows = backup.restore()
    delete = lab.store.delete_user

    async def held(user_id: str, *, now: int) -> Any:
        if user_id == eve.id:
            raise StillReferenced("A row of the app's refers to this user.")
        return await delete(user_id, now=now)

    monkeypatch.setattr(lab.store, "delete_user", held)
    done = again(lab, backup, rows)
    assert done.deleted == [bob.id]
    assert done.failed == [(eve.id, "A row of the app's refers to this user.")]
    monkeypatch.undo()
    assert again(lab, backup, rows).deleted == [eve.id]


def test_without_a_file_all_sessions_of_everybody_end(lab: Lab) -> None:
    """F7."""
    grants = [lab.session(), lab.session(), lab.session(EVE)]
    assert step(end_everything(lab.world)) == 3
    assert {lab.store._sessions[grant.session.sid].end for grant in grants} == {End.REVOKED}
    assert step(end_everything(lab.world)) == 0
