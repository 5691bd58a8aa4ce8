"""The two maps of what was revoked: what goes in stays for as long as a token could, and silence is noticed."""

from __future__ import annotations

import pytest

from watchword.core.revocation import PRUNE_EVERY, STALE_AFTER, Revocations, Revoked, TokensFrom

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
KEEP = 965 * SECOND
HOUR = 3600 * SECOND


@pytest.fixture
def revocations() -> Revocations:
    return Revocations(keep=KEEP)


def test_nothing_is_revoked_at_first(revocations: Revocations) -> None:
    """ASVS 7.4.1."""
    assert not revocations.ended("a")
    assert revocations.tokens_from("user") == 0
    assert len(revocations) == 0


def test_what_is_added_counts_at_once_and_is_told_as_new_once(revocations: Revocations) -> None:
    """ASVS 7.4.1, 7.4.2; F19: re-reading the last 30 s brings the same rows again."""
    assert revocations.add([Revoked("a", NOW), Revoked("b", NOW)]) == {"a", "b"}
    assert revocations.add([Revoked("b", NOW + 1), Revoked("c", NOW)]) == {"c"}
    assert revocations.add() == frozenset()
    assert [revocations.ended(sid) for sid in "abcd"] == [True, True, True, False]
    assert len(revocations) == 3


def test_the_latest_change_of_a_users_roles_wins_whatever_order_it_is_read_in(
    revocations: Revocations,
) -> None:
    """ASVS 8.3.2; F19."""
    revocations.add(tokens_from=[TokensFrom("user", 50), TokensFrom("user", 70), TokensFrom("user", 60)])
    revocations.add(tokens_from=[TokensFrom("user", 65), TokensFrom("other", 1)])
    assert (revocations.tokens_from("user"), revocations.tokens_from("other")) == (70, 1)
    assert revocations.add(tokens_from=[TokensFrom("user", 90)]) == frozenset(), "no session has ended by it"


@pytest.mark.parametrize(
    ("age", "kept"), [(0, True), (KEEP - 1, True), (KEEP, False), (KEEP + 1, False), (-HOUR, True)]
)
def test_an_entry_stays_for_as_long_as_an_access_token_can_live(
    revocations: Revocations, age: int, kept: bool
) -> None:
    """ASVS 7.4.1, 14.2.7; F15: and then makes room."""
    revocations.add([Revoked("a", NOW - age)])
    revocations.read(NOW)
    assert revocations.ended("a") is kept


@pytest.mark.parametrize(
    ("age", "kept"),
    [(0, True), (KEEP - SECOND, True), (KEEP, False), (KEEP + SECOND, False), (-SECOND, True)],
)
def test_a_change_of_roles_stays_as_long(revocations: Revocations, age: int, kept: bool) -> None:
    """ASVS 8.3.2; F15."""
    second = (NOW - age) // SECOND
    revocations.add(tokens_from=[TokensFrom("user", second)])
    revocations.read(NOW)
    assert revocations.tokens_from("user") == (second if kept else 0)


def test_entries_are_never_forgotten_by_adding_alone(revocations: Revocations) -> None:
    """ASVS 16.5.3: while the feed is silent nothing is dropped."""
    revocations.add([Revoked("old", NOW - 10 * KEEP)])
    revocations.add([Revoked("new", NOW)])
    assert revocations.ended("old")


def test_readings_close_together_do_not_walk_the_maps_each_time(revocations: Revocations) -> None:
    """F15: what is due goes within one pruning interval."""
    revocations.read(NOW)
    revocations.add([Revoked("a", NOW - KEEP)])
    revocations.read(NOW + PRUNE_EVERY - 1)
    assert revocations.ended("a")
    revocations.read(NOW + PRUNE_EVERY)
    assert not revocations.ended("a")


def test_before_the_first_reading_nothing_is_known(revocations: Revocations) -> None:
    """F20: a cold worker is not ready, and its guard asks the database."""
    known = [(revocations.loaded, revocations.stale(NOW))]
    revocations.add([Revoked("a", NOW)])
    known.append((revocations.loaded, revocations.stale(NOW)))
    revocations.read(NOW)
    known.append((revocations.loaded, revocations.stale(NOW)))
    assert known == [(False, True), (False, True), (True, False)]


@pytest.mark.parametrize(
    ("passed", "stale"),
    [
        (0, False),
        (STALE_AFTER, False),
        (STALE_AFTER + 1, True),
        (HOUR, True),
        (-STALE_AFTER, False),
        (-STALE_AFTER - 1, True),
        (-HOUR, True),
    ],
)
def test_a_feed_that_was_silent_for_three_seconds_is_not_trusted_whichever_way_the_clock_went(
    revocations: Revocations, passed: int, stale: bool
) -> None:
    """F8, F19; ASVS 16.5.3: a clock that jumped back must not make old knowledge look fresh for an hour."""
    assert STALE_AFTER == 3 * SECOND
    revocations.read(NOW)
    assert revocations.stale(NOW + passed) is stale


@pytest.mark.parametrize(
    ("passed", "back"), [(0, False), (1, False), (HOUR, False), (-1, True), (-HOUR, True)]
)
def test_a_clock_behind_the_last_reading_is_noticed(
    revocations: Revocations, passed: int, back: bool
) -> None:
    """F8: so that the follower reads everything again."""
    assert not revocations.went_back(NOW), "before the first reading there is nothing to be behind of"
    revocations.read(NOW)
    assert revocations.went_back(NOW + passed) is back


def test_a_clock_that_jumps_back_forgets_nothing(revocations: Revocations) -> None:
    """F8."""
    revocations.add([Revoked("a", NOW)], [TokensFrom("user", NOW // SECOND)])
    for now in (NOW, NOW - HOUR, NOW - 24 * HOUR, NOW - HOUR + 1):
        revocations.read(now)
        assert revocations.ended("a")
        assert revocations.tokens_from("user")


# --- more than fits


def test_what_does_not_fit_makes_every_request_a_question_until_no_token_can_be_of_it() -> None:
    """I6, F15: nothing is dropped silently, and memory is bounded."""
    small = Revocations(keep=KEEP, most=3)
    small.read(NOW)
    assert small.add([Revoked(sid, NOW) for sid in "abc"]) == {"a", "b", "c"}
    assert not small.stale(NOW)
    assert small.add([Revoked("d", NOW)]) == {"d"}, "new all the same: what is kept of it elsewhere has to go"
    assert (len(small), small.ended("d"), small.stale(NOW)) == (3, False, True)
    assert not small.overdue(NOW), "the database is read, so this process may get traffic"
    for passed, stale in ((SECOND, True), (KEEP, True), (KEEP + 2 * PRUNE_EVERY, False)):
        small.read(NOW + passed)
        assert small.stale(NOW + passed) is stale
    assert len(small) == 0


@pytest.mark.parametrize("kind", ["ended", "tokens_from"])
def test_users_count_among_what_has_to_fit(kind: str) -> None:
    small = Revocations(keep=KEEP, most=2)
    small.add([Revoked("a", NOW)], [TokensFrom("ada", NOW // SECOND)])
    small.read(NOW)
    if kind == "ended":
        small.add([Revoked("b", NOW)])
    else:
        small.add(tokens_from=[TokensFrom("eve", NOW // SECOND)])
    assert small.stale(NOW)
    assert len(small) == 2


# --- who listens


def test_whoever_listens_is_told_what_is_new_and_nothing_twice(revocations: Revocations) -> None:
    heard: list[tuple[frozenset[str], frozenset[str]]] = []
    stop = revocations.listen(lambda sids, users: heard.append((sids, users)))
    revocations.add([Revoked("a", NOW)], [TokensFrom("ada", 5)])
    revocations.add([Revoked("a", NOW)], [TokensFrom("ada", 4)])
    revocations.add([Revoked("b", NOW)])
    stop()
    revocations.add([Revoked("c", NOW)])
    assert heard == [(frozenset("a"), frozenset({"ada"})), (frozenset("b"), frozenset())]


def test_a_window_holds_what_is_young_enough(revocations: Revocations) -> None:
    revocations.add([Revoked("a", NOW), Revoked("b", NOW - 1)], [TokensFrom("ada", NOW // SECOND)])
    revocations.add(tokens_from=[TokensFrom("eve", NOW // SECOND - 1)])
    assert revocations.window(NOW) == ([Revoked("a", NOW)], [TokensFrom("ada", NOW // SECOND)])
