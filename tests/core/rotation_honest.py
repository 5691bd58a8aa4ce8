"""The honest world: all that can happen to one browser, its network and its database, in every order.

`Honest` walks it until no new state appears, and looks for a **kill**: an answer that signs the browser out (Reuse,
Ended or Unknown). What must come out stands in test_rotation_exhaustive.py; ticks and rows in rotation_rows.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.core.rotation_rows import SIGNED_OUT, Row, Rule, judge, new_row, proved, renumbered
from watchword.core.rotation import Kind, decide

ASKED, ANSWERED, SIGNED_IN = range(3)
REPLACED = 0
"""Stands for every token of the session that a newer sign-in replaced."""


class Call(NamedTuple):
    """A call in flight: under way to the server, or its answer (200) under way back. `SIGNED_IN` is never lost."""

    stage: int
    token: int
    since: int
    context: str


class World(NamedTuple):
    """Everything that the future depends on. `left` counts the moves or losses that may still happen."""

    row: Row
    jar: int
    calls: tuple[Call, ...] = ()
    backup: Row | None = None
    network: str = "home"
    replaced: int = 0
    """Ticks since the last sign-in, up to a window."""
    left: int = 0


class Report(NamedTuple):
    """What an exploration found: every state that can be reached, and the shortest way to a kill, an event a line."""

    worlds: Collection[World]
    kill: str | None


@dataclass(frozen=True, kw_only=True)
class Honest:
    """One browser with one jar and its calls in flight.

    A call is sent with what the jar holds then, is processed at some later moment and answered; a 200 that arrives
    puts its token into the jar, so an answer that is late puts an older one there; a 409 leaves the jar as it is. The
    whole call takes at most `flight` ticks, or it is lost: before the server saw it, or after. Between calls any time
    may pass. Everything else that can happen is switched on by the fields below.
    """

    rule: Rule = decide
    window: int = 5
    flight: int = 2
    """40 % of the window."""
    late: int = 0
    """Until so many ticks after it was sent a request may still be processed, though its client gave up meanwhile."""
    calls: int = 2
    """In flight at once."""
    reauthenticate: bool = False
    """/reauthenticate at any moment; its answer is one of the calls in flight."""
    sign_in: bool = False
    """A new sign-in in the same browser, once no token of an earlier session is left."""
    overtaking: bool = False
    """A refresh of the replaced session that was answered before the sign-in may arrive after the sign-in's answer."""
    moves: int = 0
    """How often the browser changes to another network and back, when no call is in flight…"""
    moves_in_flight: bool = False
    """… or at any moment."""
    lost_mints: int = 0
    """Once, the row may go back to any earlier state of its, at most so many mints ago, when no call is in flight…"""
    losses_in_flight: bool = False
    """… or at any moment."""
    clock_jumps: bool = False
    """The server's clock jumps, forwards and backwards, whenever no call is in flight."""
    start: Row | None = None

    def explore(self) -> Report:
        """Walk breadth first until no new state appears or a kill does; so the kill's trace is the shortest."""
        todo = [self.canonical(self.first())]
        origin: dict[World, World | None] = {todo[0]: None}
        for world in todo:  # grows while it is walked
            for _, after in self.events(world):
                if isinstance(after, Kind):
                    return Report(origin, self._trace(origin, world))
                after = self.canonical(after)
                if after not in origin:
                    origin[after] = world
                    todo.append(after)
        return Report(origin, None)

    def first(self) -> World:
        """The browser has just signed in (or is where `start` says), and nothing is in flight."""
        row = self.start or new_row(self.window)
        return World(row, row.newest, replaced=self.window, left=max(self.moves, min(self.lost_mints, 1)))

    def events(self, world: World) -> Iterator[tuple[str, World | Kind]]:
        """All that can happen next: in words, and the world after it or the verdict that signs the browser out."""
        row, jar, calls, backup, network, replaced, left = world
        if not any(call.stage == SIGNED_IN and call.since >= self.flight for call in calls):
            yield from self._ticks(world)
        if len(calls) < self.calls:
            sent = (*calls, Call(ASKED, jar, 0, network))
            yield f"send {_name(jar)}", World(row, jar, sent, backup, network, replaced, left)
            if self.reauthenticate and jar != REPLACED:
                after = proved(row, network)
                sent = (*calls, Call(ANSWERED, after.newest, 0, network))
                kept = self._kept(backup, after)
                text = f"reauthenticate: answer {after.newest}"
                yield text, World(after, jar, sent, kept, network, replaced, left)
            if self.sign_in and jar != REPLACED and all(call.token != REPLACED for call in calls):
                old = (call._replace(token=REPLACED) for call in calls)
                sent = (*old, Call(SIGNED_IN, 1, 0, network))
                yield "sign in", World(new_row(self.window), REPLACED, sent, None, network, 0, left)
        if self.moves and left and (self.moves_in_flight or not calls):
            other = "away" if network == "home" else "home"
            yield f"the browser is {other}", World(row, jar, calls, backup, other, replaced, left - 1)
        if self.lost_mints and left:
            if backup is None:
                yield "last commit that will survive", World(row, jar, calls, row, network, replaced, left)
            elif self.losses_in_flight or not calls:
                text = f"commits lost: newest is {backup.newest} again"
                yield text, World(backup, jar, calls, None, network, replaced, left - 1)
        if self.clock_jumps and not calls:
            for ticks in range(-4 * self.window, 4 * self.window + 1):
                after = self._aged(row, row.minted + ticks, row.rotated + ticks)
                yield f"clock jumps by {ticks}", World(after, jar, calls, backup, network, replaced, left)
        for place, call in enumerate(calls):
            if place == 0 or calls[place - 1] != call:  # of equal calls, one is enough
                yield from self._progress(world, call, calls[:place] + calls[place + 1 :])

    def _progress(
        self, world: World, call: Call, rest: tuple[Call, ...]
    ) -> Iterator[tuple[str, World | Kind]]:
        """What can become of one call in flight."""
        row, jar, _, backup, network, replaced, left = world
        token = call.token
        if call.stage != SIGNED_IN:
            what = "request" if call.stage == ASKED else "answer"
            yield f"{what} {_name(token)} is lost", World(row, jar, rest, backup, network, replaced, left)
        if call.stage == ASKED:
            if token == REPLACED:
                kind, after = judge(self.rule, row, 1, call.context, self.window, replaced)
            else:
                kind, after = judge(self.rule, row, token, call.context, self.window)
            if kind in SIGNED_OUT:
                yield f"process {_name(token)}: {kind}", kind
            elif kind is Kind.SUPERSEDED:
                text = f"process {_name(token)}: {kind}"
                yield text, World(row, jar, rest, backup, network, replaced, left)
            else:
                backup = self._kept(backup, after)
                heard = call.since <= self.flight
                answered = (*rest, Call(ANSWERED, after.newest, call.since, call.context)) if heard else rest
                text = f"process {_name(token)}: {kind}, answer {after.newest}"
                yield text, World(after, jar, answered, backup, network, replaced, left)
        elif token != REPLACED or jar == REPLACED or self.overtaking:
            text = f"{_name(token)} arrives in the jar"
            yield text, World(row, token, rest, backup, network, replaced, left)

    def _kept(self, backup: Row | None, row: Row) -> Row | None:
        """A state that the row may still go back to."""
        return backup if backup and row.newest - backup.newest <= self.lost_mints else None

    def _ticks(self, world: World) -> Iterator[tuple[str, World]]:
        """A tick passes; what is in flight for as long as a call may take is lost."""
        row, jar, calls, backup, network, replaced, left = world
        asked = max(self.flight, self.late)
        later = tuple(
            call._replace(since=call.since + 1)
            for call in calls
            if call.since < (asked if call.stage == ASKED else self.flight)
        )
        backup = backup and self._aged(backup, backup.minted + 1, backup.rotated + 1)
        replaced = min(replaced + 1, self.window)
        # "Two windows ahead of the clock" stands for anything beyond, too: it may stay so for a while.
        far = -2 * self.window
        for minted in {row.minted + 1, row.minted} if row.minted == far else {row.minted + 1}:
            for rotated in {row.rotated + 1, row.rotated} if row.rotated == far else {row.rotated + 1}:
                after = self._aged(row, minted, rotated)
                yield "tick", World(after, jar, later, backup, network, replaced, left)

    def _aged(self, row: Row, minted: int, rotated: int) -> Row:
        far = 2 * self.window
        return row._replace(minted=max(-far, min(minted, far)), rotated=max(-far, min(rotated, self.window)))

    def canonical(self, world: World) -> World:
        """The world with its generations renumbered in order: what the future depends on, and nothing else."""
        row, jar, calls, backup, network, replaced, left = world
        numbers = {jar, *(call.token for call in calls)}
        numbers.discard(REPLACED)
        numbers |= {row.parent, row.newest}
        if backup:
            numbers |= {backup.parent, backup.newest}
        order = sorted(numbers)
        # Ahead mints g + 1, so beyond the newest that the database may remember distances count as well.
        remembered = backup.newest if backup else row.newest
        number: dict[int, int] = {}
        last, at = 0, None
        for generation in order:
            last += 1 if at is None or generation <= remembered else generation - at
            number[generation], at = last, generation
        jar = REPLACED if jar == REPLACED else number[jar]
        calls = tuple(sorted(Call(s, REPLACED if g == REPLACED else number[g], t, c) for s, g, t, c in calls))
        backup = backup and renumbered(backup, order, number)
        return World(renumbered(row, order, number), jar, calls, backup, network, replaced, left)

    def _trace(self, origin: Mapping[World, World | None], end: World) -> str:
        """How a kill comes about, played again without any renumbering, so that its generations are real ones."""
        path: list[World] = []
        state: World | None = end
        while state is not None:
            path.append(state)
            state = origin[state]
        world = self.first()
        lines = [f"W = {self.window} ticks, a call takes at most {self.flight}; {world.jar} is in the jar"]
        clock = 0
        for expected in path[-2::-1]:
            text, world = next(
                (text, after)
                for text, after in self.events(world)
                if isinstance(after, World) and self.canonical(after) == expected
            )
            if text == "tick":
                clock += 1
            else:
                lines.append(f"t={clock:<3} {text}")
        last = next(text for text, after in self.events(world) if isinstance(after, Kind))
        return "\n".join([*lines, f"t={clock:<3} {last}"])


def _name(token: int) -> str:
    return "a token of the replaced session" if token == REPLACED else str(token)
