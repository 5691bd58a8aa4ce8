"""The rotation rule, proved: no order of events signs an honest browser out, and a thief does not last.

What the worlds are made of, and what a kill, a token and a cycle are, stands in rotation_honest.py and
rotation_theft.py. A test that fails prints the shortest order of events that contradicts it. The promise is made to
calls that take at most 40 % of the window or are lost, from one network and browser; the tests under "where the promise
ends" show what lies beyond.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache
from math import inf

import pytest

from tests.core.rotation_honest import Honest, Report, World
from tests.core.rotation_rows import Rule, judge, new_row
from tests.core.rotation_rules import (
    ahead_makes_history,
    branches_forget,
    grace,
    hasty,
    one_time,
    promotion_on_use,
    superseded_by_mint,
)
from tests.core.rotation_theft import Match, Step, Theft
from watchword.core.rotation import MINTS, SUSPECT_CROSSINGS, Kind, Lineage, decide

SECOND = 1_000_000
WINDOW = 20 * SECOND
CYCLE = 900 * SECOND
NOW = 1_800_000_000 * SECOND
ANSWERED = MINTS | {Kind.REPEAT}

SUSPECT = new_row(5)._replace(crossings=SUSPECT_CROSSINGS, uncrossed=0)


@lru_cache(maxsize=6)
def explored(world: Honest) -> Report:
    return world.explore()


def survives(world: Honest) -> None:
    report = explored(world)
    assert report.kill is None, report.kill


def ends(world: Honest, verdict: Kind = Kind.REUSE) -> str:
    """The shortest way there, an event a line."""
    kill = explored(world).kill
    assert kill is not None, "no order of events signs this browser out"
    assert kill.endswith(f": {verdict}"), kill
    return kill


# --- an honest browser is never signed out --------------------------------------------------------------------------

ONE_JAR = [
    pytest.param(Honest(calls=2), id="two calls"),
    pytest.param(Honest(calls=3), id="three calls"),
    pytest.param(Honest(calls=2, reauthenticate=True), id="two calls, reauthenticate"),
    pytest.param(Honest(calls=3, reauthenticate=True), id="three calls, reauthenticate"),
    pytest.param(Honest(calls=2, window=10, flight=4), id="two calls, finer ticks"),
]


@pytest.mark.parametrize("world", ONE_JAR)
def test_no_order_of_events_signs_an_honest_browser_out(world: Honest) -> None:
    """DESIGN promise 1; W7, W16; attacks 34, 36, 41: delays, losses, retries, answers out of order, sleep."""
    survives(world)


@pytest.mark.parametrize("world", ONE_JAR)
def test_a_call_with_what_the_jar_holds_is_always_answered(world: Honest) -> None:
    """W16: no honest client is ever stuck. 409 is only for a call that was overtaken, and its retry succeeds."""
    for state in explored(world).worlds:
        kind, _ = judge(decide, state.row, state.jar, state.network, world.window)
        assert kind in ANSWERED, state


@pytest.mark.parametrize(
    "world",
    [
        Honest(calls=3, sign_in=True),
        Honest(sign_in=True, reauthenticate=True),
        Honest(sign_in=True, lost_mints=1, losses_in_flight=True),
    ],
    ids=["three calls", "reauthenticate", "lost commits"],
)
def test_a_sign_in_over_a_live_session_ends_no_call_in_flight(world: Honest) -> None:
    """DESIGN §4.1 (`replaced`): what was under way with the old session is told to retry with the new one's token."""
    survives(world)


def test_a_suspect_session_is_as_safe_from_its_own_network() -> None:
    """The exceptions for suspect sessions are for foreign requests alone."""
    survives(Honest(start=SUSPECT._replace(minted=0, rotated=0)))


LOSSES = [
    pytest.param(Honest(lost_mints=2, losses_in_flight=True), id="two calls"),
    pytest.param(Honest(lost_mints=1, losses_in_flight=True, calls=3), id="three calls"),
    pytest.param(Honest(lost_mints=1, losses_in_flight=True, reauthenticate=True), id="reauthenticate"),
    pytest.param(Honest(lost_mints=2, reauthenticate=True), id="reauthenticate, between calls"),
]


@pytest.mark.parametrize("world", LOSSES)
def test_lost_commits_sign_nobody_out(world: Honest) -> None:
    """F7, attack 42: the database falls back at any moment, calls in flight or not; Ahead goes on from the jar's."""
    survives(world)


def test_a_clock_that_jumps_between_calls_signs_nobody_out() -> None:
    """F8: forwards or backwards, by any time, as often as it likes."""
    survives(Honest(clock_jumps=True, reauthenticate=True))


def test_half_the_window_would_do() -> None:
    """The promised 40 % leave a margin."""
    survives(Honest(window=10, flight=5))


def test_one_change_of_network_at_any_moment_signs_nobody_out() -> None:
    """A browser that is carried to another network, calls in flight or not."""
    survives(Honest(moves=1, moves_in_flight=True))


def test_two_changes_of_network_between_calls_sign_nobody_out() -> None:
    """Even within two windows of each other. (Calls of a third of the window.)"""
    survives(Honest(window=3, flight=1, moves=2))


# --- the checker can fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        pytest.param(one_time, 4, id="one-time tokens"),
        pytest.param(grace, 7, id="a grace window"),
        pytest.param(promotion_on_use, 7, id="promotion on use"),
        pytest.param(hasty, 14, id="our own, but an older child takes over before it is settled"),
    ],
)
def test_a_simpler_rule_signs_an_honest_browser_out(rule: Rule, events: int) -> None:
    """The same exploration finds it with two calls in flight; `events` is how long the shortest way is."""
    kill = ends(Honest(rule=rule))
    assert len(kill.splitlines()) == 1 + events, kill


def test_one_time_tokens_sign_out_the_second_of_two_tabs() -> None:
    """W7, W16, in the checker's words."""
    assert ends(Honest(rule=one_time)).splitlines()[1:] == [
        "t=0   send 1",
        "t=0   send 1",
        "t=0   process 1: rotate, answer 2",
        "t=0   process 1: reuse",
    ]


@pytest.mark.parametrize(
    ("world", "events"),
    [(Honest(lost_mints=1, losses_in_flight=True), 9), (Honest(lost_mints=2, reauthenticate=True), 12)],
    ids=["calls in flight", "reauthenticate"],
)
def test_if_ahead_made_history_lost_commits_would_sign_out(world: Honest, events: int) -> None:
    """Why Ahead mints as Branch does (docs/decisions/0008): F7, attack 42."""
    kill = ends(replace(world, rule=ahead_makes_history))
    assert len(kill.splitlines()) == 1 + events, kill


def test_if_ahead_made_history_a_call_in_flight_would_be_reuse() -> None:
    """F7, attack 42, in the checker's words: two tabs, and a commit that is lost between them."""
    world = Honest(rule=ahead_makes_history, lost_mints=1, losses_in_flight=True)
    assert ends(world).splitlines()[1:] == [
        "t=0   send 1",
        "t=0   send 1",
        "t=0   last commit that will survive",
        "t=0   process 1: rotate, answer 2",
        "t=0   commits lost: newest is 1 again",
        "t=0   2 arrives in the jar",
        "t=0   send 2",
        "t=0   process 2: ahead, answer 3",
        "t=0   process 1: reuse",
    ]


# --- the checker is exact -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world",
    [
        Honest(calls=3, reauthenticate=True),
        Honest(lost_mints=2, losses_in_flight=True, reauthenticate=True),
        Honest(lost_mints=3, losses_in_flight=True, calls=3),
        Honest(rule=ahead_makes_history, lost_mints=2, losses_in_flight=True),
        Honest(sign_in=True, overtaking=True, calls=3),
        Honest(clock_jumps=True),
        Honest(moves=4, moves_in_flight=True),
    ],
    ids=[
        "reauthenticate",
        "losses",
        "three calls",
        "losses, first version",
        "sign in",
        "clock jumps",
        "moves",
    ],
)
def test_renumbering_an_honest_world_loses_nothing(world: Honest) -> None:
    """Walked at random with real generations, every state can do exactly what its renumbered one can."""
    dice = random.Random(7)

    def canonical(after: World | Kind) -> World | Kind:
        return after if isinstance(after, Kind) else world.canonical(after)

    for _ in range(30):
        state = world.first()
        for _ in range(60):
            possible = [after for _, after in world.events(state)]
            renumbered = {canonical(after) for _, after in world.events(world.canonical(state))}
            assert {canonical(after) for after in possible} == renumbered
            state = dice.choice([after for after in possible if isinstance(after, World)])


@pytest.mark.parametrize(
    "game",
    [
        Theft(cycle=12, tries=5),
        Theft(window=4, cycle=20, tries=2),
        Theft(cycle=12, tries=None),
        Theft(cycle=12, tries=None, rule=branches_forget),
        Theft(rule=superseded_by_mint),
    ],
    ids=["five tries", "finer ticks", "any tries", "branches forget", "409 by the last mint"],
)
def test_renumbering_a_theft_loses_nothing(game: Theft) -> None:
    """As above; nor does it to leave out the loot that is worth nothing any more."""
    dice = random.Random(7)

    def renumbered(match: Match) -> set[Step]:
        steps = game.steps(match)
        return {Step(after and game.canonical(after), token, call) for after, token, call in steps}

    begun = list(game.first())
    for _ in range(60):
        match: Match | None = dice.choice(begun)
        for _ in range(60):
            if match is None:
                break
            assert renumbered(match) == renumbered(game.canonical(match))
            match = dice.choice([step.after for step in game.steps(match)])


# --- where the promise ends -----------------------------------------------------------------------------------------


def test_calls_that_take_sixty_percent_of_the_window_may_sign_out() -> None:
    """Why the client gives up after `refresh_timeout`."""
    ends(Honest(flight=3))


def test_a_request_that_is_processed_long_after_its_client_gave_up_may_sign_out() -> None:
    """What a client has given up must not wait in a queue for most of a window; a little longer does no harm."""
    survives(Honest(late=3, calls=3))
    ends(Honest(late=4))


@pytest.mark.parametrize(("moves", "in_flight"), [(3, False), (2, True)])
def test_changes_of_network_within_windows_may_sign_out(moves: int, in_flight: bool) -> None:
    """A browser that goes to and fro between two networks within seconds is taken for two browsers."""
    ends(Honest(window=3, flight=1, moves=moves, moves_in_flight=in_flight))


def test_a_change_of_network_while_calls_are_in_flight_may_end_a_suspect_session() -> None:
    """A suspect session forgives no foreign request."""
    ends(Honest(start=SUSPECT, moves=1, moves_in_flight=True))


def test_a_refresh_whose_answer_is_overtaken_by_a_sign_in_may_undo_the_sign_in() -> None:
    """The late answer puts the replaced session's token back into the jar, and nothing on the server can tell.

    So a client must not have a refresh under way when it signs in.
    """
    ends(Honest(sign_in=True, overtaking=True), Kind.ENDED)


# --- a thief --------------------------------------------------------------------------------------------------------

GRIDS = pytest.mark.parametrize(("window", "cycle"), [(1, 6), (1, 12), (4, 20)])
"""Ticks to a window and to a cycle. One tick to a window is enough to tell young, not settled and settled apart."""


def two_windows_away(window: int, cycle: int) -> frozenset[int]:
    """From the victim's last call and from his next."""
    return frozenset(range(2 * window, cycle - 2 * window + 1))


@GRIDS
def test_a_thief_who_stays_two_windows_away_gets_two_tokens(window: int, cycle: int) -> None:
    """W6, attack 33, ASVS 10.4.5: with one try a cycle."""
    found = Theft(window=window, cycle=cycle, moments=two_windows_away(window, cycle)).solve()
    assert found.tokens == 2


@GRIDS
def test_a_thief_who_stays_two_windows_away_lasts_two_cycles(window: int, cycle: int) -> None:
    """W6, attack 33: the cycle of the theft and the next, however often he tries."""
    found = Theft(window=window, cycle=cycle, moments=two_windows_away(window, cycle), tries=None).solve()
    assert found.cycle == 1


@GRIDS
def test_a_thief_with_one_try_a_cycle_at_the_worst_moment_gets_seven_tokens(window: int, cycle: int) -> None:
    """W6, attacks 34, 35: the moment being the same in every cycle."""
    games = (Theft(window=window, cycle=cycle, moments=frozenset({moment})) for moment in range(cycle + 1))
    assert max(game.solve().tokens for game in games) == 7


@GRIDS
def test_a_thief_with_one_try_a_cycle_at_changing_moments_gets_nine_tokens(window: int, cycle: int) -> None:
    """W6, attacks 34, 35: one in each of the nine cycles after the theft's; and one before, in what is left of that."""
    late = Theft(window=window, cycle=cycle, early=False).solve()
    assert (late.tokens, late.cycle) == (9, 9)
    early = Theft(window=window, cycle=cycle).solve()
    assert (early.tokens, early.cycle) == (10, 9)


def test_a_thief_with_five_tries_a_cycle_gets_nothing_after_the_ninth() -> None:
    """W6, attack 33, R41, ASVS 10.4.5: at any moments. Whatever he still tries then is a 409 or ends the session."""
    assert Theft(cycle=12, tries=5).solve().cycle == 9


def test_a_theft_while_an_answer_was_lost_lasts_one_cycle_longer() -> None:
    """From any state that an honest browser can be in: the victim's next refresh may be a Branch, not a Rotate."""
    worlds = explored(Honest(window=3, flight=1, reauthenticate=True)).worlds
    states = tuple(dict.fromkeys((world.row, world.jar) for world in worlds if not world.calls))
    found = Theft(window=3, cycle=36, starts=states).solve()
    assert (found.tokens, found.cycle) == (10, 10)
    assert Theft(window=3, cycle=36, tries=None, starts=states).solve().cycle == 10


def test_if_409_depended_on_the_last_mint_a_thief_would_stay_for_ever() -> None:
    """Why `rotated_at` exists: one try a cycle keeps the victim at 409 and the session alive."""
    found = Theft(rule=superseded_by_mint).solve()
    assert (found.tokens, found.cycle) == (inf, inf)


def test_a_thief_on_the_victims_network_with_his_user_agent_inside_every_window_is_not_seen() -> None:
    """The documented limit (README, docs/decisions/0001): proof of possession is the answer to it, not this rule."""
    found = Theft(thief="home").solve()
    assert (found.tokens, found.cycle) == (inf, inf)

    lineage, victim, thief = Lineage(context="home"), 1, 1
    for cycle in range(200):
        now = NOW + cycle * CYCLE
        refreshed = decide(lineage, victim, context="home", now=now, window=WINDOW)
        stolen = decide(refreshed.lineage, thief, context="home", now=now + 15 * SECOND, window=WINDOW)
        assert (refreshed.kind, stolen.kind) == (Kind.ROTATE, Kind.REPEAT)
        lineage, victim, thief = stolen.lineage, refreshed.lineage.newest, stolen.lineage.newest
    assert (lineage.crossings, lineage.suspect) == (0, False)


# --- a thief who never rests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cycle", [12, 45])
def test_a_thief_lasts_no_longer_however_often_he_tries(cycle: int) -> None:
    """DESIGN §4.1. By default a cycle has 45 windows: an access token lives 15 minutes."""
    assert Theft(cycle=cycle, tries=None).solve().cycle == 9


def test_if_branches_forgot_a_thief_who_tries_often_would_stay_for_ever() -> None:
    """Why a Branch moves the last crossing along (docs/decisions/0008).

    With ten tries a cycle he mints faster than the rule remembers; a cycle of ten windows has no room for so many.
    """
    assert Theft(rule=branches_forget, cycle=10, tries=None).solve().cycle == 9
    assert Theft(rule=branches_forget, cycle=12, tries=None).solve().cycle == inf


def lasts(rule: Rule, cycles: int = 200) -> int | None:
    """In which cycle a busy thief is caught, at the real figures; None: not in so many.

    He tries 22 times a cycle, first just after the victim's refresh, then a window apart.
    """
    lineage, jar, loot = Lineage(context="home"), 1, {1}
    for cycle in range(1, cycles + 1):
        now = NOW + cycle * CYCLE
        refreshed = rule(lineage, jar, context="home", now=now, window=WINDOW)
        if refreshed.kind is Kind.REUSE:
            return cycle
        lineage, jar = refreshed.lineage, refreshed.lineage.newest
        for attempt in range(22):
            moment = now + SECOND + attempt * (WINDOW + SECOND)
            token = lineage.parent if lineage.parent in loot else max(loot)
            stolen = rule(lineage, token, context="elsewhere", now=moment, window=WINDOW)
            if stolen.kind is Kind.REUSE:
                return cycle
            lineage = stolen.lineage
            if stolen.kind in ANSWERED:
                loot.add(lineage.newest)
    return None


def test_a_busy_thief_is_caught() -> None:
    """W6, attack 33: and would not be if Branches forgot."""
    assert lasts(decide) == 5
    assert lasts(branches_forget) is None
