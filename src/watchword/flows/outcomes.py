"""Counting what becomes of tries to sign in, around the flows that they are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from watchword.core.login import Step
from watchword.errors import InternalError, Problem
from watchword.flows.grant import Grant
from watchword.meters import LOGINS
from watchword.ports import World

P = ParamSpec("P")
T = TypeVar("T")
Flow = Callable[Concatenate[World, P], Coroutine[Any, Any, T]]

PASSWORD, SECOND_STEP = "password", "second_step"


def counted(step: str) -> Callable[[Flow[P, T]], Flow[P, T]]:
    """Decorate a flow that signs in, or leads to another step."""

    def decorate(flow: Flow[P, T]) -> Flow[P, T]:
        @functools.wraps(flow)
        async def counting(world: World, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                outcome = await flow(world, *args, **kwargs)
            except Problem as problem:
                world.counts.add(LOGINS, step, problem.code)
                raise
            except Exception:
                world.counts.add(LOGINS, step, InternalError.code)
                raise
            world.counts.add(LOGINS, step, _named(outcome))
            return outcome

        return counting

    return decorate


def _named(outcome: object) -> str:
    if isinstance(outcome, Step):
        return outcome.value
    return "signed_in" if isinstance(outcome, Grant) else SECOND_STEP
