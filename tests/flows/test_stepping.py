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
from watchword.core.factor import Method
from watchword.core.mail import Letter
from watchword.core.restoration import Lost
from watchword.core.session import End, Principal
from watchword.core.user import Status
from watchword.errors import InvalidCredentials
from watchword.features.account import flow as account
from watchword.features.email_code import flow as email_code
from watchword.features.email_verification import flow as email_verification
from watchword.features.password import flow as password
from watchword.features.registration import flow as registration
from watchword.flows import (
    activity,
    end,
    follow,
    grant,
    kept,
    limits,
    live,
    outbox,
    proof,
    refresh,
    restore,
    second_step,
    sign_in,
    sweep,
    users,
)
from watchword.ports import LoadedSession
from watchword.settings import Mode

Flow = Coroutine[Any, Any, Any]
NEW = "new.person@example.com"


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


def waiting(lab: Lab) -> str:
    """The token of a login that waits for its code."""
    begun = step(second_step.begin(lab.world, lab.stored(), client=HOME, mode=Mode.COOKIES, amr=("pwd",)))
    assert begun is not None
    return begun.token


def waiting_for_long(lab: Lab) -> str:
    token = waiting(lab)
    lab.travel(30)
    return token


def enrolled(lab: Lab, found: LoadedSession) -> str:
    return step(email_code.turn_on(lab.world, found, Method.EMAIL, client=HOME)).id


def forgotten(lab: Lab) -> str:
    lab.forgot()
    return lab.link


def asked_for(lab: Lab, found: LoadedSession) -> str:
    step(proof.ask(lab.world, found, client=HOME))
    return lab.code


def signed_up(lab: Lab) -> str:
    """The token of the link that was sent to who did."""
    step(registration.register(lab.world, NEW, "an entirely new engine", client=HOME))
    token = lab.mails[0][1]["token"]
    assert isinstance(token, str)
    return token


class Mailbox:
    """Implements `ports.Mailer`."""

    async def send(self, letter: Letter) -> None:
        pass

    async def rest(self) -> None:
        pass


def sending(lab: Lab) -> Flow:
    step(lab.store.queue_mail(outbox.sealed(lab.world, "test", EMAIL, {})))
    return outbox.send_next(lab.world, Mailbox(), [])


FLOWS: dict[str, Callable[[Lab], Flow]] = {
    "watchword.features.account.flow.delete": lambda lab: account.delete(lab.world, loaded(lab), client=HOME),
    "watchword.features.account.flow.ask_change": lambda lab: account.ask_change(
        lab.world, loaded(lab), "new@example.com", client=HOME
    ),
    "watchword.features.email_code.flow.try_code": lambda lab: email_code.try_code(
        lab.world, waiting(lab), lab.code, in_cookie=True, client=HOME, replaces=None
    ),
    "watchword.features.email_code.flow.resend": lambda lab: email_code.resend(
        lab.world, waiting_for_long(lab), in_cookie=True, client=HOME
    ),
    "watchword.features.email_code.flow.turn_on": lambda lab: email_code.turn_on(
        lab.world, loaded(lab), Method.EMAIL, client=HOME
    ),
    "watchword.features.email_code.flow.turn_off": lambda lab: email_code.turn_off(
        lab.world, found := loaded(lab), enrolled(lab, found), client=HOME
    ),
    "watchword.features.registration.flow.register": lambda lab: registration.register(
        lab.world, NEW, "an entirely new engine", username="one", client=HOME
    ),
    "watchword.features.email_verification.flow.verify": lambda lab: email_verification.verify(
        lab.world, signed_up(lab), "an entirely new engine", client=HOME
    ),
    "watchword.features.email_verification.flow.resend": lambda lab: email_verification.resend(
        lab.world, NEW, client=HOME
    ),
    "watchword.flows.second_step.begin": lambda lab: second_step.begin(
        lab.world, lab.stored(), client=HOME, mode=Mode.COOKIES, amr=("pwd",)
    ),
    "watchword.features.password.flow.log_in": lambda lab: password.log_in(
        lab.world, EMAIL, PASSWORD, client=HOME, mode=Mode.BEARER, replaces=lab.session().session.sid
    ),
    "watchword.features.password.flow.change": lambda lab: password.change(
        lab.world, loaded(lab), PASSWORD, "an entirely new engine", client=HOME
    ),
    "watchword.features.password.flow.forgot": lambda lab: password.forgot(lab.world, EMAIL, client=HOME),
    "watchword.features.password.flow.reset": lambda lab: password.reset(
        lab.world, forgotten(lab), "an entirely new engine", client=HOME
    ),
    "watchword.features.password.flow.reauthenticate": lambda lab: password.reauthenticate(
        lab.world, loaded(lab), PASSWORD, client=HOME
    ),
    "watchword.flows.activity.history": lambda lab: activity.history(
        lab.world, lab.stored().id, before=None, limit=9
    ),
    "watchword.flows.activity.whose": lambda lab: activity.whose(lab.world, EMAIL),
    "watchword.flows.end.holder": lambda lab: end.holder(
        lab.world, end.Brought(refresh=lab.session().refresh_token)
    ),
    "watchword.flows.kept.look_up": lambda lab: kept.look_up(
        lab.world, lab.session(mode=Mode.SESSION).access_token.encode(), client=HOME
    ),
    "watchword.flows.kept.is_good": lambda lab: kept.is_good(
        lab.world, lab.session(mode=Mode.SESSION).access_token.encode()
    ),
    "watchword.flows.kept.renew": lambda lab: kept.renew(
        lab.world, lab.principal(lab.session(mode=Mode.JWT_COOKIE)), client=HOME
    ),
    "watchword.flows.end.end_one": lambda lab: end.end_one(
        lab.world, lab.session().session.sid, End.REVOKED, user_id=lab.stored().id
    ),
    "watchword.flows.end.end_once": lambda lab: end.end_once(
        lab.world, lab.session().session.sid, End.REVOKED, now=lab.clock.now(), user_id=lab.stored().id
    ),
    "watchword.flows.end.end_all": lambda lab: end.end_all(lab.world, lab.stored().id, End.REVOKED),
    "watchword.flows.end.log_out": lambda lab: end.log_out(
        lab.world, end.Brought(lab.session().refresh_token, None), ip=""
    ),
    "watchword.flows.end.log_out_everywhere": lambda lab: end.log_out_everywhere(
        lab.world, end.Brought(None, lab.session().access_token.encode()), ip=""
    ),
    "watchword.flows.follow.database_clock": lambda lab: follow.database_clock(lab.world),
    "watchword.flows.follow.poll": lambda lab: follow.poll(lab.world, None),
    "watchword.flows.limits.admit": lambda lab: limits.admit(lab.world, ("login", "x"), client=HOME),
    "watchword.flows.limits.admit_here": lambda lab: limits.admit_here(
        lab.world, ("login", "x"), client=HOME
    ),
    "watchword.flows.limits.admit_here_first": lambda lab: limits.admit_here_first(
        lab.world, ("login", "x"), client=HOME
    ),
    "watchword.flows.limits.admit_refresh": lambda lab: limits.admit_refresh(
        lab.world, lab.session().session.sid, "1", client=HOME
    ),
    "watchword.flows.live.demand": lambda lab: live.demand(lab.world, principal(lab), fresh=60, live=True),
    "watchword.flows.live.load_live": lambda lab: live.load_live(lab.world, principal(lab)),
    "watchword.flows.live.still_live": lambda lab: live.still_live(lab.world, loaded(lab)),
    "watchword.flows.outbox.send_next": lambda lab: sending(lab),
    "watchword.flows.proof.ask": lambda lab: proof.ask(lab.world, loaded(lab), client=HOME),
    "watchword.flows.proof.prove": lambda lab: proof.prove(
        lab.world, asked := loaded(lab), asked_for(lab, asked), client=HOME
    ),
    "watchword.flows.refresh.reauthenticate": lambda lab: refresh.reauthenticate(
        lab.world, loaded(lab), method="otp", client=HOME
    ),
    "watchword.flows.refresh.refresh": lambda lab: refresh.refresh(
        lab.world, lab.session().refresh_token, in_cookie=True, client=HOME
    ),
    "watchword.flows.sign_in.start_session": lambda lab: sign_in.start_session(
        lab.world,
        lab.stored(),
        read_at=lab.clock.now(),
        amr=("pwd",),
        client=HOME,
        mode=Mode.HYBRID,
        replaces=None,
    ),
    "watchword.flows.restore.missing": lambda lab: restore.missing(lab.world, [], since=0),
    "watchword.flows.restore.reapply": lambda lab: restore.reapply(lab.world, Lost()),
    "watchword.flows.restore.end_everything": lambda lab: restore.end_everything(lab.world),
    "watchword.flows.sweep.at_once": lambda lab: sweep.at_once(1),
    "watchword.flows.sweep.sweep": lambda lab: sweep.sweep(lab.world),
    "watchword.flows.sweep.sweep_in_turn": lambda lab: sweep.sweep_in_turn(lab.world, "one"),
    "watchword.flows.users.create": lambda lab: users.create(lab.world, "eve@example.com", None),
    "watchword.flows.users.delete": lambda lab: users.delete(lab.world, lab.stored()),
    "watchword.flows.users.enable": lambda lab: users.enable(lab.world, lab.stored()),
    "watchword.flows.users.find": lambda lab: users.find(lab.world, EMAIL),
    "watchword.flows.users.turn_off_factors": lambda lab: users.turn_off_factors(lab.world, lab.stored()),
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
    step(FLOWS[name](lab_with_user(two_factor="optional", limits="on")))


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_no_event_loop_runs_or_is_made_meanwhile(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §4.4: flows use no asyncio."""
    lab = lab_with_user(two_factor="optional", limits="on")
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
