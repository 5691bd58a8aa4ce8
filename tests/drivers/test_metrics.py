"""What is counted and what is measured: the numbers of one process, as its own `auth.metrics` shows them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.devices import ADA, EVE, PASSWORD, House, house, instead
from tests.http.doors import behind
from watchword import meters
from watchword.core.rotation import Kind
from watchword.drivers.exposition import merged, text
from watchword.errors import Overloaded, SettingsError, Unavailable
from watchword.flows.follow import poll
from watchword.flows.outbox import sealed

Numbers = Mapping[tuple[str, ...], float]


def numbers(shown: bytes) -> Numbers:
    """Every sample by its name and the values of its labels, in the order of the labels' names."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(shown.decode()):
        for sample in family.samples:
            found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


async def shown(home: House) -> Numbers:
    return numbers(await home.auth.metrics.text())


def of(known: Numbers, meter: meters.Meter) -> dict[tuple[str, ...], float]:
    """The values of one meter that are not 0, by their labels."""
    return {key[1:]: value for key, value in known.items() if key[0] == meter.name and value}


async def test_tries_to_sign_in_are_counted_by_what_came_of_them() -> None:
    home = await house(ADA, EVE, two_factor="optional")
    device = await home.signed_in()
    await device.post("/auth/factors", {"method": "email"})
    await home.device().sign_in(ADA)
    await home.device().sign_in(EVE, "not her password")
    await home.device().sign_in("nobody@example.com")
    await home.signed_in(EVE)
    assert of(await shown(home), meters.LOGINS) == {
        ("invalid_credentials", "password"): 2,
        ("second_step", "password"): 1,
        ("signed_in", "password"): 2,
    }


async def test_second_steps_are_counted_apart() -> None:
    home = await house(two_factor="required")
    device = home.device()
    await device.sign_in()
    await device.enter("000000" if home.code != "000000" else "000001")
    await device.enter(home.code)
    found = of(await shown(home), meters.LOGINS)
    assert {key: value for key, value in found.items() if key[1] == "second_step"} == {
        ("code_invalid", "second_step"): 1,
        ("signed_in", "second_step"): 1,
    }


async def test_a_login_that_a_limit_or_a_full_queue_refuses_is_counted_as_such() -> None:
    home = await house(limits="login=1/m")

    async def overloaded(digest: str | None, password: str) -> bool:
        raise Overloaded

    instead(home.auth.world.hasher, "verify", overloaded)
    await home.device().sign_in()
    await home.device().sign_in()
    known = await shown(home)
    assert of(known, meters.LOGINS) == {("overloaded", "password"): 1, ("rate_limited", "password"): 1}
    assert of(known, meters.LIMITED) == {("login",): 1}


async def test_refreshes_are_counted_by_what_was_decided() -> None:
    """R20: each verdict of DESIGN §4.1 but `ahead`, which takes a database that lost commits."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    first, window = device.held, timedelta(seconds=20)
    await device.refresh()  # rotate
    second = device.held
    await device.refresh(first, keep=False)  # repeat
    home.clock.travel(window)
    await device.refresh(first, keep=False)  # branch
    home.clock.travel(2 * window)
    await device.refresh(second)  # rotate
    await device.refresh(first, keep=False)  # superseded
    home.clock.travel(window)
    await device.refresh(first, keep=False)  # reuse
    await device.refresh(second, keep=False)  # ended
    await device.refresh("nonsense", keep=False)  # unknown
    assert of(await shown(home), meters.REFRESHES) == {
        (kind.value,): 2 if kind is Kind.ROTATE else 1 for kind in Kind if kind is not Kind.AHEAD
    }


async def test_what_has_not_happened_yet_is_told_as_nothing() -> None:
    """A rise from nothing to one is one that no alert sees."""
    known = await shown(await house())
    for meter, label in (
        (meters.REFRESHES, "reuse"),
        (meters.EVENTS, "refresh_reused"),
        (meters.FAILURES, "internal_error"),
        (meters.FEED_LOOKS, "failed"),
        (meters.LIMITED, "login"),
    ):
        assert known[meter.name, label] == 0


async def test_refusals_are_counted_by_code_wherever_they_come_from() -> None:
    home = await house()
    device = home.device()
    await device.get("/auth/me")
    await device.get("/auth/nowhere")
    await device.get("/auth/login")
    await device.post("/auth/login", {"email": 7})
    await device.call("POST", "/auth/login", {}, headers=[("origin", "https://evil.example")])
    assert of(await shown(home), meters.FAILURES) == {
        ("csrf_rejected",): 1,
        ("invalid_request",): 1,
        ("invalid_token",): 1,
        ("method_not_allowed",): 1,
        ("not_found",): 1,
    }


async def test_the_guard_counts_whom_it_refuses_and_nobody_whom_it_lets_through() -> None:
    """The way of a token that was seen before has no place for a count."""
    door = await behind()
    device = await door.home.signed_in()
    bearer = ("authorization", f"Bearer {device.access}")
    await door.ask("GET", "/shut", bearer)
    before = door.home.auth.metrics.changes
    assert [(await door.ask("GET", "/shut", bearer)).status for _ in range(3)] == [200] * 3
    assert door.home.auth.metrics.changes == before
    assert (await door.ask()).status == 401
    assert of(await shown(door.home), meters.FAILURES) == {("invalid_token",): 1}


async def test_requests_are_counted_by_the_route_as_it_is_declared() -> None:
    """Attack 96: a path may hold an id, or whatever a stranger likes."""
    home = await house()
    device = await home.signed_in()
    await device.delete("/auth/sessions/01890000-0000-7000-8000-000000000000")
    await device.get("/auth/me")
    await device.get("/auth/canary-1")
    await device.post("/auth/me/canary-2")
    await device.get("/auth/openapi.json")
    assert of(await shown(home), meters.REQUESTS) == {
        ("/auth/login", "2xx"): 1,
        ("/auth/me", "2xx"): 1,
        ("/auth/openapi.json", "2xx"): 1,
        ("/auth/sessions/{sid}", "4xx"): 1,
        ("other", "4xx"): 2,
    }


async def test_how_the_parts_stand_is_told() -> None:
    home = await house()
    hasher, known = home.auth.world.hasher, home.auth.world.revocations
    await poll(home.auth.world, None)
    home.clock.travel("2500ms")
    instead(hasher, "_room", 3)  # type: ignore[arg-type] # a number
    blocked = threading.Event()
    waiting = [asyncio.create_task(hasher.aside(blocked.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await hasher.aside(lambda: None)
    found = await shown(home)
    blocked.set()
    await asyncio.gather(*waiting)
    assert found[meters.HASH_RUNNING.name,] == 1
    assert found[meters.HASH_WAITING.name,] == 2
    assert found[meters.HASH_REFUSED.name,] == 1
    assert found[meters.FEED_AGE.name,] == 2.5
    assert found[meters.REVOCATIONS.name,] == len(known) == 0


async def test_events_are_counted_by_name_and_those_that_wait_are_told() -> None:
    home = await house()
    await home.signed_in()
    found = await shown(home)
    assert found[meters.EVENTS.name, "signed_in"] == 1
    assert found[meters.EVENTS_WAITING.name,] == 2  # that there is a user, too


async def test_mail_that_waits_or_was_given_up_is_told() -> None:
    """R35."""
    home = await house()
    world = home.auth.world
    for _ in range(3):
        await world.store.queue_mail(sealed(world, "reset", ADA, {"token": "canary"}))
    home.clock.travel("40s")
    leased = await world.store.lease_mail(span=1)
    assert leased is not None
    await world.store.mail_failed(leased, "no", wait=None)
    found = await shown(home)
    assert found[meters.MAIL_WAITING.name,] == 2
    assert found[meters.MAIL_OLDEST.name,] == 40
    assert found[meters.MAIL_GIVEN_UP.name,] == 1
    assert found[meters.DATABASE_UP.name,] == 1


async def test_a_database_that_is_away_is_told_and_nothing_of_mail_is_made_up() -> None:
    """F3."""
    home = await house()

    async def away() -> Any:
        raise Unavailable

    instead(home.auth.world.store, "count_mail", away)
    found = await shown(home)
    assert found[meters.DATABASE_UP.name,] == 0
    assert meters.MAIL_WAITING.name not in {key[0] for key in found}


async def test_nothing_that_somebody_sent_is_in_the_text() -> None:
    """Attack 96; ASVS 16.2.5."""
    home = await house(ADA, mode="bearer", limits="login=3/m")
    device = await home.signed_in()
    await device.refresh()
    for name in ("canary@example.com", "canary", ADA):
        await home.device(user_agent="canary").sign_in(name, "canary-password")
    await device.get("/auth/canary?canary=1", headers=[("x-canary", "canary")])
    told = (await home.auth.metrics.text()).decode()
    user = await home.auth.users.get(ADA)
    for secret in ("canary", ADA, PASSWORD, device.access, device.held, user.id, "203.0.113.7", "Firefox"):
        assert secret not in told


async def test_it_is_a_collector_beside_those_of_an_app() -> None:
    home = await house()
    await home.signed_in()
    home.auth.metrics.follow()
    registry = CollectorRegistry()
    registry.register(home.auth.metrics)
    inside = numbers(generate_latest(registry))
    elsewhere = numbers(await asyncio.to_thread(generate_latest, registry))
    assert inside[meters.LOGINS.name, "signed_in", "password"] == 1
    assert meters.MAIL_WAITING.name not in {key[0] for key in inside}
    assert elsewhere[meters.MAIL_WAITING.name,] == 0


async def test_without_the_extra_everything_but_the_text_works(monkeypatch: pytest.MonkeyPatch) -> None:
    home = await house()
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    await home.signed_in()
    with pytest.raises(SettingsError, match=r"pip install 'watchword\[metrics\]'"):
        await home.auth.metrics.text()
    assert (await home.device().get("/auth/health/live")).status == 200


def test_several_processes_are_one_by_sum_or_by_the_largest() -> None:
    rows = [
        (meters.REFRESHES.name, ("rotate",), 2.0),
        (meters.REFRESHES.name, ("rotate",), 3.0),
        (meters.FEED_AGE.name, (), 0.5),
        (meters.FEED_AGE.name, (), 4.5),
        ("of_a_newer_version", (), 1.0),
        (meters.REFRESHES.name, (), 1.0),
    ]
    assert merged(rows) == {(meters.REFRESHES.name, ("rotate",)): 5, (meters.FEED_AGE.name, ()): 4.5}


def test_every_meter_is_named_as_its_kind_is_and_can_be_shown() -> None:
    """What only grows ends in _total, as the format has it."""
    for meter in meters.ALL:
        assert meter.counts == meter.name.endswith("_total"), meter
        assert not (meter.counts and meter.largest), meter
        key = meter.name, meter.labels
        assert numbers(text({key: 7.0})) == {(meter.name, *sorted(meter.labels)): 7}
    assert len({meter.name for meter in meters.ALL}) == len(meters.ALL)


async def test_an_app_of_its_own_is_told_that_the_admin_listener_is_not_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = await house(admin_bind="127.0.0.1:9000")
    async with home.auth.lifespan():
        pass
    assert [record.message for record in caplog.records if "admin_bind" in record.message] == [
        "admin_bind is for `watchword serve` alone: show auth.metrics on a route of your own"
    ]
