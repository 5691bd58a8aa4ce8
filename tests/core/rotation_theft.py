"""The thief's game: somebody copied the jar and plays on against a victim who refreshes once a cycle.

`Theft` searches the whole game and tells the best that any thief can do. What must come out stands in
test_rotation_exhaustive.py; ticks and rows in rotation_rows.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from tests.core.rotation_rows import SIGNED_OUT, Row, Rule, judge, new_row, older, renumbered
from watchword.core.rotation import MINTS, Kind, decide


class Match(NamedTuple):
    """A moment of the game: the row, the victim's jar, what the thief has that may still be worth something."""

    row: Row
    jar: int
    loot: tuple[int, ...]
    since: int
    tries: int


class Outcome(NamedTuple):
    """The best that any thief can do: `tokens` in all, and the number of the last `cycle` in which he gets one."""

    states: int
    tokens: float
    cycle: float


@dataclass(frozen=True, kw_only=True)
class Theft:
    """The game of a thief who copied the jar, against the victim whose jar it is.

    The victim calls once in `cycle` ticks, from home, with what his jar holds; nothing of his is ever lost. A 409
    leaves him to his next cycle: that is the most patient victim, and the best for the thief. The thief calls `tries`
    times a cycle (None: as often as he likes), from the network `thief`, with any token that he ever got, at any moment
    that `moments` allows (None: any), given as ticks since the victim's last call; what happens in one tick happens in
    every order. He knows all and never makes the call that would end the session.

    A **token** is a 200 for the thief after the theft: a mint or a Repeat. Cycle n begins with the victim's nth call
    after the theft; cycle 0 is the rest of the cycle of the theft, and `early` says whether the thief calls in it.
    The theft happens at any moment of a victim's life on his own; `starts` adds other states to begin with.
    """

    rule: Rule = decide
    window: int = 1
    cycle: int = 6
    tries: int | None = 1
    thief: str = "elsewhere"
    moments: frozenset[int] | None = None
    early: bool = True
    starts: tuple[tuple[Row, int], ...] = ()

    def solve(self) -> Outcome:
        """Search the whole game, then take the longest way through it; a way round for ever counts as infinite."""
        first = list(dict.fromkeys(self.canonical(match) for match in self.first()))
        graph: dict[Match, list[Step]] = {}
        todo = list(first)
        known = set(todo)
        while todo:
            match = todo.pop()
            graph[match] = steps = []
            for after, token, call in self.steps(match):
                after = after and self.canonical(after)
                steps.append(Step(after, token, call))
                if after is not None and after not in known:
                    known.add(after)
                    todo.append(after)
        tokens, cycle = _longest(graph, first)
        return Outcome(len(graph), tokens, cycle)

    def first(self) -> Iterator[Match]:
        """The thief has just copied the jar."""
        tries = (self.tries or 1) if self.early else 0
        for row, jar in self.starts:
            for since in range(self.cycle + 1):
                yield Match(row, jar, (jar,), since, tries)
        row = new_row(self.window)
        jar = row.newest
        for since in range(self.cycle + 1):
            yield Match(row, jar, (jar,), since, tries)
        for _ in range(2):
            _, row = judge(self.rule, row, jar, "home", self.window)
            jar = row.newest
            for since in range(self.cycle + 1):
                yield Match(row, jar, (jar,), since, tries)
                row = older(row, self.window)

    def steps(self, match: Match) -> Iterator[Step]:
        """All that can happen next."""
        row, jar, loot, since, tries = match
        if tries and (self.moments is None or since in self.moments):
            for token in loot:
                kind, after = judge(self.rule, row, token, self.thief, self.window)
                if kind in MINTS or kind is Kind.REPEAT:
                    more = tuple(sorted({*loot, after.newest}))
                    yield Step(Match(after, jar, more, since, tries - 1 if self.tries else tries), token=True)
        if since < self.cycle:
            yield Step(Match(older(row, self.window), jar, loot, since + 1, tries))
        else:
            kind, after = judge(self.rule, row, jar, "home", self.window)
            if kind in SIGNED_OUT:
                yield Step(None, call=True)
            elif kind is Kind.SUPERSEDED:
                yield Step(Match(row, jar, loot, 0, self.tries or 1), call=True)
            else:
                yield Step(Match(after, after.newest, loot, 0, self.tries or 1), call=True)

    def canonical(self, match: Match) -> Match:
        """The moment without what cannot matter any more, its generations renumbered in order."""
        row, jar, loot, since, tries = match
        # Once a token is neither the parent nor a child it is never one again: no answer but 409 or the end.
        useful = {g for g in loot if g == row.parent or row.floor < g <= row.newest}
        # Older children are all alike, but for the one in the victim's jar.
        for spare in sorted(g for g in useful if row.floor < g < row.newest and g != jar)[1:]:
            useful.remove(spare)
        order = sorted({*useful, jar, row.parent, row.newest})
        number = {generation: place for place, generation in enumerate(order, start=1)}
        kept = tuple(sorted(number[g] for g in useful))
        return Match(renumbered(row, order, number), number[jar], kept, since, tries)


class Step(NamedTuple):
    """One move: to where (None: the session is over), a token for the thief?, a call of the victim?"""

    after: Match | None
    token: bool = False
    call: bool = False


@dataclass(slots=True)
class _Component:
    """States that lead to each other, and the best that can be had from there: tokens, and calls before the last."""

    members: list[Match] = field(default_factory=list)
    tokens: float = 0
    cycle: float = -1


def _longest(graph: Mapping[Match, list[Step]], first: Iterable[Match]) -> tuple[float, float]:
    """The most tokens, and the most calls of the victim before a token (-1: no token), on any way from `first`."""
    home: dict[Match, _Component] = {}
    for component in _components(graph):  # those that others lead to come first
        for match in component.members:
            home[match] = component
        inside_token = inside_call = False
        for match in component.members:
            for after, token, call in graph[match]:
                there = home[after] if after is not None else _Component()
                if there is component:
                    inside_token |= token
                    inside_call |= call
                else:
                    component.tokens = max(component.tokens, token + there.tokens)
                    component.cycle = max(
                        component.cycle, there.cycle + call if there.cycle >= 0 else -1, 0 if token else -1
                    )
        if inside_token:
            component.tokens, component.cycle = inf, max(component.cycle, 0)
        if inside_call and component.cycle >= 0:
            component.cycle = inf
    return max(home[match].tokens for match in first), max(home[match].cycle for match in first)


def _components(graph: Mapping[Match, list[Step]]) -> Iterator[_Component]:
    """Strongly connected components, by Tarjan's algorithm without recursion."""
    index: dict[Match, int] = {}
    low: dict[Match, int] = {}
    open_: dict[Match, None] = {}
    for root in graph:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        open_[root] = None
        work = [(root, iter(graph[root]))]
        while work:
            match, steps = work[-1]
            for after, _, _ in steps:
                if after is None:
                    continue
                if after not in index:
                    index[after] = low[after] = len(index)
                    open_[after] = None
                    work.append((after, iter(graph[after])))
                    break
                if after in open_:
                    low[match] = min(low[match], index[after])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[match])
                if low[match] == index[match]:
                    component = _Component()
                    while not component.members or component.members[-1] != match:
                        component.members.append(open_.popitem()[0])
                    yield component
