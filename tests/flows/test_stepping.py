"""Flows need no event loop: each runs to its end in one step over a store that does not suspend."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest

import watchword.features
import watchword.flows
from tests.flows.stepping import EMAIL, HOME, PASSWORD, Lab, lab_with_user, step
from watchword.core.session import End, Principal
from watchword.core.user import Status
from watchword.errors import InvalidCredentials
from watchword.features.password import flow as password
from watchword.flows import end, follow, grant, live, refresh, sign_in, sweep, users
from watchword.ports import LoadedSession
from watchword.settings import Mode

Flow = Coroutine[Any, Any, Any]


def modules() -> list[ModuleType]:
    """Every module of flows, and every feature's flow."""
    names = [f"watchword.flows.{module.name}" for module in pkgutil.iter_modules(watchword.flows.__path__)]
    for feature in pkgutil.iter_modules(watchword.features.__path__):
        package = importlib.import_module(f"watchword.features.{feature.name}")
        if any(module.name == "flow" for module in pkgutil.iter_modules(package.__path__)):
            names.append(f"watchword.features.{feature.name}.flow")
    return [importlib.import_module(name) for name in names]


def coroutines() -> set[str]:
    """Every public coroutine function that they define."""
    return {
        f"{module.__name__}.{name}"
        for module in modules()
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def loaded(lab: Lab) -> LoadedSession:
    found = step(lab.store.load_session(lab.session().session.sid))
    assert found is not None
    return found


def principal(lab: Lab) -> Principal:
    return lab.principal(lab.session())


FLOWS: dict[str, Callable[[Lab], Flow]] = {
    "watchword.features.password.flow.log_in": lambda lab: password.log_in(
        lab.world, EMAIL, PASSWORD, client=HOME, mode=Mode.BEARER, replaces=lab.session().session.sid
    ),
    "watchword.features.password.flow.reauthenticate": lambda lab: password.reauthenticate(
        lab.world, loaded(lab), PASSWORD, client=HOME
    ),
    "watchword.flows.end.genuine_session": lambda lab: end.genuine_session(
        lab.world, lab.session().refresh_token
    ),
    "watchword.flows.end.end_one": lambda lab: end.end_one(
        lab.world, lab.session().session.sid, End.REVOKED, user_id=lab.stored().id
    ),
    "watchword.flows.end.end_all": lambda lab: end.end_all(lab.world, lab.stored().id, End.REVOKED),
    "watchword.flows.end.log_out": lambda lab: end.log_out(
        lab.world, refresh=lab.session().refresh_token, access=None, ip=""
    ),
    "watchword.flows.end.log_out_everywhere": lambda lab: end.log_out_everywhere(
        lab.world, refresh=None, access=lab.session().access_token.encode(), ip=""
    ),
    "watchword.flows.follow.poll": lambda lab: follow.poll(lab.world, None),
    "watchword.flows.live.demand": lambda lab: live.demand(lab.world, principal(lab), fresh=60, live=True),
    "watchword.flows.live.load_live": lambda lab: live.load_live(lab.world, principal(lab)),
    "watchword.flows.refresh.reauthenticate": lambda lab: refresh.reauthenticate(
        lab.world, loaded(lab), method="otp", client=HOME
    ),
    "watchword.flows.refresh.refresh": lambda lab: refresh.refresh(
        lab.world, lab.session().refresh_token, in_cookie=True, client=HOME
    ),
    "watchword.flows.sign_in.start_session": lambda lab: sign_in.start_session(
        lab.world, lab.stored(), amr=("pwd",), client=HOME, mode=Mode.HYBRID, replaces=None
    ),
    "watchword.flows.sweep.sweep": lambda lab: sweep.sweep(lab.world),
    "watchword.flows.users.create": lambda lab: users.create(lab.world, "eve@example.com", None),
    "watchword.flows.users.delete": lambda lab: users.delete(lab.world, lab.stored()),
    "watchword.flows.users.find": lambda lab: users.find(lab.world, EMAIL),
    "watchword.flows.users.set_password": lambda lab: users.set_password(lab.world, lab.stored(), "v1:new"),
    "watchword.flows.users.set_roles": lambda lab: users.set_roles(lab.world, lab.stored(), ["owner"]),
    "watchword.flows.users.set_status": lambda lab: users.set_status(
        lab.world, lab.stored(), Status.DISABLED
    ),
}


def test_every_flow_is_stepped_below() -> None:
    """DESIGN §4.4: a new flow needs a line in FLOWS."""
    assert coroutines() == set(FLOWS)
    assert grant.__name__ in {module.__name__ for module in modules()}


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_a_flow_ends_in_one_step(name: str) -> None:
    """DESIGN §4.4: what a synchronous framework does with it."""
    step(FLOWS[name](lab_with_user()))


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_no_event_loop_runs_or_is_made_meanwhile(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §4.4: flows use no asyncio."""
    lab = lab_with_user()
    flow = FLOWS[name](lab)
    for asker in ("get_event_loop", "get_running_loop", "new_event_loop", "sleep", "create_task"):
        monkeypatch.delattr(sys.modules["asyncio"], asker)
    step(flow)


def test_a_flow_that_suspends_would_be_noticed() -> None:
    """DESIGN §4.4: the check itself can fail."""

    class Pause:
        def __await__(self) -> Any:
            yield

    async def suspends() -> None:
        await Pause()

    with pytest.raises(AssertionError, match="suspended"):
        step(suspends())


def test_what_a_flow_raises_comes_out_of_its_step(lab: Lab) -> None:
    """DESIGN §4.4."""
    with pytest.raises(InvalidCredentials):
        lab.log_in(password="wrong")
