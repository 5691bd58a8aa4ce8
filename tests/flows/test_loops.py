"""The steps of the loops: following revocations and sweeping; and asking the database about a principal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.flows.stepping import EMAIL, HOME, NOW, SECOND, Lab, code_of, lab_with_user, step
from watchword.core.access_token import Verifier
from watchword.core.revocation import Revocations
from watchword.core.session import End, Principal
from watchword.core.user import Status
from watchword.errors import Forbidden, ReauthenticationRequired, SessionEnded
from watchword.flows import end, users
from watchword.flows.end import Brought
from watchword.flows.follow import OVERLAP, poll
from watchword.flows.grant import Grant
from watchword.flows.live import demand, load_live
from watchword.flows.refresh import reauthenticate
from watchword.flows.sweep import BATCH, KEPT, sweep, sweep_in_turn
from watchword.ports import RevocationPage, World

HOUR, DAY = 3600, 86_400


def neighbour(lab: Lab) -> Lab:
    """Another process over the same database: the same secret and clock, maps and cache of its own."""
    other = lab_with_user()
    other.clock, other.store = lab.clock, lab.store
    revocations = Revocations(keep=965 * SECOND)
    other.world = replace(
        lab.world, revocations=revocations, verifier=Verifier(lab.world.access_tokens, revocations)
    )
    return other


# --- following ------------------------------------------------------------------------------------------------------


def test_another_process_learns_of_an_end_at_its_next_poll(lab: Lab) -> None:
    """ASVS 7.4.1; R33."""
    other, grant = neighbour(lab), lab.session()
    last = step(poll(other.world, None))
    assert last == lab.clock.now()
    assert other.guard(grant) == "ok"
    step(end.log_out(lab.world, Brought(grant.refresh_token, None), ip=""))
    assert other.guard(grant) == "ok", "what was not read yet is not known yet"
    lab.travel(1)
    step(poll(other.world, last))
    assert other.guard(grant) == "session_ended"


def test_another_process_learns_of_a_change_of_roles_at_its_next_poll(lab: Lab) -> None:
    """ASVS 8.3.2."""
    other, grant = neighbour(lab), lab.session()
    last = step(poll(other.world, None))
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    step(poll(other.world, last))
    assert other.guard(grant) == "token_expired"


def test_the_first_reading_goes_back_as_far_as_a_token_can_live(lab: Lab) -> None:
    """F20: a worker that starts late knows of what ended before it was there."""
    grant = lab.session()
    step(end.log_out(lab.world, Brought(grant.refresh_token, None), ip=""))
    lab.travel(600)
    other = neighbour(lab)
    assert other.world.revocations.stale(lab.clock.now())
    step(poll(other.world, None))
    assert not other.world.revocations.stale(lab.clock.now())
    assert other.guard(grant) == "session_ended"


class Feed:
    """Notes since when it was asked, and answers with nothing at an instant of its own clock."""

    def __init__(self, *instants: int) -> None:
        self.instants = list(instants)
        self.asked: list[int] = []

    async def read_revocations(self, *, since: int) -> RevocationPage:
        self.asked.append(since)
        return RevocationPage([], [], self.instants[min(len(self.asked), len(self.instants)) - 1])


def test_each_poll_goes_back_over_thirty_seconds_of_the_databases_clock(lab: Lab) -> None:
    """F19: a transaction that took its instant earlier may become visible later."""
    feed = Feed(5_000 * SECOND, 5_000 * SECOND, 5_001 * SECOND, 5_600 * SECOND)
    world = replace(lab.world, store=feed)  # type: ignore[arg-type]  # the one verb that is asked
    last: int | None = None
    for _ in range(3):
        last = step(poll(world, last))
    assert OVERLAP == 30 * SECOND
    assert feed.asked[1:] == [beginning(world, 5_000), 4_970 * SECOND, 4_971 * SECOND]
    assert last == 5_600 * SECOND, "after a pause it goes back to the last good reading"


def test_a_database_whose_clock_went_back_is_read_from_the_beginning(lab: Lab) -> None:
    """F8: `since` would lie in the future, and nothing would be read for an hour."""
    feed = Feed(*[9_000 * SECOND] * 2, *[5_000 * SECOND] * 3, 5_001 * SECOND)
    world = replace(lab.world, store=feed)  # type: ignore[arg-type]  # the one verb that is asked
    last: int | None = None
    for _ in range(3):
        last = step(poll(world, last))
    clock_alone, first, late, clock_again, *then = feed.asked
    assert clock_alone == clock_again > 10**18, "an instant that no row is younger than"
    assert [first, late] == [beginning(world, 9_000), 8_970 * SECOND]
    assert then == [beginning(world, 5_000), 4_970 * SECOND]


def beginning(world: World, now: int) -> int:
    """Since when a first reading asks, at `now` seconds of the database's clock."""
    return now * SECOND - world.revocations.keep - OVERLAP


def test_a_clock_that_jumped_ahead_and_back_revives_no_ended_session(lab: Lab) -> None:
    """F8, I5: what was forgotten as too old, an hour ahead, is read again and counts again."""
    other, grant = neighbour(lab), lab.session()
    step(end.log_out(lab.world, Brought(grant.refresh_token, None), ip=""))
    last = step(poll(other.world, None))
    assert other.guard(grant) == "session_ended"
    lab.travel(HOUR)
    last = step(poll(other.world, last))
    assert not other.world.revocations.ended(grant.session.sid), (
        "no token of its time can be alive by that clock"
    )
    lab.travel(-HOUR + 5)
    assert other.world.revocations.stale(lab.clock.now()), "until it was read, guards ask the database"
    step(poll(other.world, last))
    assert other.guard(grant) == "session_ended"


def test_reading_again_brings_no_entry_twice(lab: Lab) -> None:
    """F15, F19."""
    other, grant = neighbour(lab), lab.session()
    step(end.log_out(lab.world, Brought(grant.refresh_token, None), ip=""))
    last = step(poll(other.world, None))
    for _ in range(3):
        lab.travel(1)
        last = step(poll(other.world, last))
    assert len(other.world.revocations) == 1


# --- asking the database --------------------------------------------------------------------------------------------


def test_a_live_principal_brings_its_session_and_user(lab: Lab) -> None:
    """DESIGN §4.3: `require(live=True)`."""
    grant = lab.session()
    loaded = step(load_live(lab.world, lab.principal(grant)))
    assert (loaded.session.sid, loaded.user.email, loaded.now) == (grant.session.sid, EMAIL, NOW)


def outdated(lab: Lab, name: str, grant: Grant) -> Principal:
    """A principal that was right a moment ago, after something has happened that this process has not heard of."""
    principal = lab.principal(grant)
    sid, user_id = grant.session.sid, grant.user.id
    match name:
        case "ended":
            step(lab.store.end_session(sid, End.REVOKED, now=NOW))
        case "disabled":
            step(lab.store.change_status(user_id, Status.DISABLED, now=NOW))
        case "deleted":
            step(lab.store.delete_user(user_id, now=NOW))
        case "expired":
            lab.travel(7 * DAY)
        case "roles":
            step(lab.store.change_roles(user_id, (), now=NOW))
        case "unknown":
            return replace(principal, sid="0190a0b0-0000-7000-8000-000000000000")
        case "somebody else's":
            return replace(principal, id="somebody else")
    return principal


@pytest.mark.parametrize(
    "name", ["ended", "disabled", "deleted", "expired", "roles", "unknown", "somebody else's"]
)
def test_what_this_process_has_not_heard_of_is_found_by_asking(lab: Lab, name: str) -> None:
    """Attacks 21, 44, 93; ASVS 7.4.2, 8.3.2, 16.5.3."""
    principal = outdated(lab, name, lab.session())
    expected = "token_expired" if name == "roles" else "session_ended"
    assert code_of(lambda: step(load_live(lab.world, principal))) == expected
    assert code_of(lambda: step(demand(lab.world, principal, live=True))) == expected
    assert code_of(lambda: step(demand(lab.world, principal, fresh=10**9))) == expected


def test_a_live_principal_with_its_role_meets_every_demand(lab: Lab) -> None:
    """DESIGN §7; ASVS 7.5.1."""
    lab.user("eve@example.com", roles=["owner"])
    principal = lab.principal(lab.session("eve@example.com"))
    step(demand(lab.world, principal, live=True))
    step(demand(lab.world, principal, live=True, role="owner"))
    step(demand(lab.world, principal, fresh=0, role="owner"))


def test_without_freshness_or_liveness_no_database_is_asked(lab: Lab) -> None:
    """DESIGN §1: no I/O per request."""
    lab.user("eve@example.com", roles=["owner"])
    principal = lab.principal(lab.session("eve@example.com"))
    lab.store.first["load_session"] = [lambda: pytest.fail("the database was asked")]
    step(demand(lab.world, principal))
    step(demand(lab.world, principal, role="owner"))
    with pytest.raises(Forbidden, match="needs the role admin"):
        step(demand(lab.world, principal, role="admin", fresh=1, live=True))


@pytest.mark.parametrize(
    ("age", "fresh"), [(0, True), (299, True), (300, True), (300.000001, False), (3000, False)]
)
def test_a_sign_in_is_fresh_for_exactly_as_long_as_is_asked(lab: Lab, age: float, fresh: bool) -> None:
    """ASVS 7.5.1; RFC 9470; GHSA-f66q-9rf6-8795: by the row as well as by the token."""
    principal = lab.principal(lab.session())
    lab.travel(age)
    if fresh:
        step(demand(lab.world, principal, fresh=300))
    else:
        with pytest.raises(ReauthenticationRequired) as caught:
            step(demand(lab.world, principal, fresh=300))
        assert caught.value.max_age == 300


def test_a_token_of_before_a_step_up_has_no_part_in_it(lab: Lab) -> None:
    """ASVS 7.2.4, 7.5.1: it may have been stolen long before; its honest holder refreshes it."""
    grant = lab.session()
    lab.travel(600)
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    step(reauthenticate(lab.world, loaded, method="pwd", client=HOME))
    with pytest.raises(ReauthenticationRequired):
        step(demand(lab.world, lab.principal(grant), fresh=300))
    step(demand(lab.world, lab.principal(lab.refresh(grant.refresh_token)), fresh=300))


def test_refreshing_does_not_make_a_sign_in_fresh(lab: Lab) -> None:
    """ASVS 7.5.1; CVE-2021-21241: only proof does."""
    grant = lab.session()
    lab.travel(600)
    fresh = lab.refresh(grant.refresh_token)
    assert lab.principal(fresh).auth_time == NOW // SECOND
    with pytest.raises(ReauthenticationRequired):
        step(demand(lab.world, lab.principal(fresh), fresh=300))


def test_a_role_of_the_token_that_the_row_has_no_more_is_not_enough(lab: Lab) -> None:
    """Attack 21; ASVS 8.3.2."""
    lab.user("eve@example.com", roles=["owner"])
    principal = lab.principal(lab.session("eve@example.com"))
    row = lab.stored("eve@example.com")
    lab.store._users[row.id] = replace(row, roles=())  # written by a hand that forgot tokens_from
    with pytest.raises(Forbidden):
        step(demand(lab.world, principal, live=True, role="owner"))


def test_a_principal_of_an_ended_session_is_told_so_before_its_age(lab: Lab) -> None:
    """ASVS 7.4.1: proving again who one is would not help."""
    grant = lab.session()
    principal = lab.principal(grant)
    lab.travel(600)
    step(end.log_out(lab.world, Brought(grant.refresh_token, None), ip=""))
    with pytest.raises(SessionEnded):
        step(demand(lab.world, principal, fresh=300))


# --- sweeping -------------------------------------------------------------------------------------------------------


def test_ended_and_expired_sessions_stay_for_seven_days(lab: Lab) -> None:
    """R41; ASVS 14.2.7: so that a replay is still told as what it is; and then they go."""
    ended, expired = lab.session(), lab.session()
    step(end.log_out(lab.world, Brought(ended.refresh_token, None), ip=""))
    assert KEPT == 7 * DAY * SECOND
    lab.travel(7 * DAY)
    assert step(sweep(lab.world)) == 1, "the revocation, which no access token can be of any more"
    assert code_of(lambda: lab.refresh(ended.refresh_token)) == "session_ended"
    lab.travel(0.000001)
    step(sweep(lab.world))
    assert code_of(lambda: lab.refresh(ended.refresh_token)) == "invalid_token"
    assert code_of(lambda: lab.refresh(expired.refresh_token)) == "session_ended"
    lab.travel(7 * DAY)
    assert step(sweep(lab.world)) == 1
    assert code_of(lambda: lab.refresh(expired.refresh_token)) == "invalid_token"


def test_a_live_session_is_never_swept(lab: Lab) -> None:
    """I4."""
    grant = lab.session()
    for _ in range(6):
        lab.travel(4 * DAY)
        step(sweep(lab.world))
        grant = lab.refresh(grant.refresh_token)
    assert lab.guard(grant) == "ok"


def test_one_process_sweeps_and_in_an_hour_another_may(lab: Lab) -> None:
    """DESIGN §4.8: leased in the database."""
    lab.session()
    lab.travel(15 * DAY)
    assert step(sweep_in_turn(lab.world, "one")) == 1
    lab.session()
    lab.travel(15 * DAY)
    assert step(sweep_in_turn(lab.world, "one")) == 2, "the session, and the mail that told of it"
    lab.session()
    lab.travel(HOUR / 2)
    assert step(lab.store.take_lease("sweep", "two", span=SECOND)) is False
    assert step(sweep_in_turn(lab.world, "two")) == 0
    lab.travel(HOUR / 2)
    assert step(lab.store.take_lease("sweep", "two", span=SECOND)) is True


def test_a_sweep_rests_behind_each_batch_and_holds_its_lease_however_long_it_takes() -> None:
    """DESIGN §4.8: one worker sweeps, and everybody else has their turn in between."""
    lab = lab_with_user(max_sessions="10000")
    for _ in range(2 * BATCH + 1):
        lab.session()
    lab.travel(15 * DAY)
    left: list[bool] = []

    async def rest(took: int) -> None:
        assert took == 0, "by a clock that stands still"
        lab.travel(HOUR / 2)
        left.append(await lab.store.take_lease("sweep", "two", span=SECOND))

    assert step(sweep_in_turn(lab.world, "one", rest)) == 2 * BATCH + 1
    assert left == [False, False, False]


def test_who_has_lost_the_lease_sweeps_no_more() -> None:
    """DESIGN §4.8: a process that was suspended for hours in the middle of it."""
    lab = lab_with_user(max_sessions="10000")
    for _ in range(BATCH + 1):
        lab.session()
    lab.travel(15 * DAY)

    async def sleep(took: int) -> None:
        lab.travel(2 * HOUR)
        assert await lab.store.take_lease("sweep", "two", span=HOUR * SECOND)

    assert step(sweep_in_turn(lab.world, "one", sleep)) == BATCH


def test_sweeping_goes_on_until_nothing_is_left() -> None:
    """F14; ASVS 14.2.7: in batches, so that no lock is held for long."""
    lab = lab_with_user(max_sessions="10000")
    for _ in range(BATCH + 20):
        lab.session()
    lab.travel(15 * DAY)
    assert step(sweep(lab.world)) == BATCH + 20
    assert step(sweep(lab.world)) == 0
    assert lab.stored().email == EMAIL
