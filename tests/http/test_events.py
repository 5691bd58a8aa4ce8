"""GET /events and what is told of refusals, from outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frameworks.rooms import empty
from tests.frameworks.rooms import install as furnish
from tests.http.asgi import Answer, call
from tests.http.devices import ADA, EVE, MODES, PASSWORD, Device, House, house, instead
from watchword import fastapi as for_fastapi
from watchword import starlette as for_starlette
from watchword.errors import NotFound, Unavailable
from watchword.flows.activity import MOST

NOWHERE = "0199a2b0-0000-7000-8000-000000000000"
HERE = "203.0.113.7"


async def listed(device: Device, query: str = "") -> list[dict[str, Any]]:
    answer = await device.get(f"/auth/events{query}")
    assert answer.status == 200, answer.body
    rows: list[dict[str, Any]] = answer.json["events"]
    return rows


def denied(home: House) -> list[tuple[str | None, str | None]]:
    return [(event.detail, event.user_id) for event in home.events if event.name == "access_denied"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_user_sees_what_happened_newest_first_the_latest_included(mode: str) -> None:
    """DESIGN §5; ASVS 16.2.1: at once, without a loop having run."""
    home = await house(mode=mode)
    assert (await home.device(user_agent="curl").sign_in(password="wrong password")).status == 401
    home.clock.travel("1m")
    device = await home.signed_in()
    sid = (await device.get("/auth/me")).json["session"]["id"]
    rows = await listed(device)
    assert [row["name"] for row in rows] == ["signed_in", "sign_in_failed", "user_created"]
    newest, failed, created = rows
    assert {name: newest[name] for name in ("ip", "session", "detail")} == {
        "ip": HERE,
        "session": sid,
        "detail": "pwd",
    }
    assert set(newest) == {"id", "name", "at", "ip", "session", "detail"}
    assert set(failed) == {"id", "name", "at", "ip"}
    assert (created["by"], created["ip"]) == ("app", None)
    assert [len(row["at"]) for row in rows] == [len("2026-01-31T12:00:00Z")] * 3
    assert newest["at"] > failed["at"]


async def test_nobody_sees_what_happened_to_somebody_else() -> None:
    """ASVS 8.2.2, 8.2.3: nor by naming an event of theirs as where to go on."""
    home = await house(ADA, EVE, mode="bearer")
    ada, eve = await home.signed_in(ADA), await home.signed_in(EVE)
    hers, others = await listed(ada), await listed(eve)
    assert {row["id"] for row in hers}.isdisjoint(row["id"] for row in others)
    behind = await listed(ada, f"?before={others[0]['id']}")
    assert {row["id"] for row in behind} <= {row["id"] for row in hers}
    for query in (f"?user={home.events[1].user_id}", f"?user_id={home.events[1].user_id}", f"?login={EVE}"):
        assert await listed(ada, query) == hers


async def test_a_page_has_a_hundred_and_the_next_one_goes_on() -> None:
    home = await house(mode="bearer")
    for _ in range(MOST + 20):
        await home.auth.users.enable(ADA)
    device = await home.signed_in()
    first = await listed(device)
    second = await listed(device, f"?before={first[-1]['id']}")
    assert (len(first), len(second)) == (MOST, 22)
    ids = [row["id"] for row in first + second]
    assert ids == sorted(ids, reverse=True)
    assert await listed(device, f"?before={ids[-1]}") == []
    assert await listed(device, f"?before={first[-1]['id'].upper()}") == second
    assert await listed(device, f"?before={NOWHERE}") == []


@pytest.mark.parametrize(
    "query",
    [
        "?before=",
        "?before=1",
        "?before=~",
        f"?before={NOWHERE}0",
        "?before=%00",
        "?before=%F0",
        f"?before={NOWHERE}&before={NOWHERE}",
    ],
)
async def test_what_is_no_id_is_refused(query: str) -> None:
    """ASVS 2.2.1, 15.3.7."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    answer = await device.get(f"/auth/events{query}")
    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.problem["errors"][0]["field"] == "before"


async def test_nobody_signed_in_sees_nothing() -> None:
    home = await house(mode="bearer")
    assert (await home.device().get("/auth/events")).code == "invalid_token"


async def test_keys_are_in_camel_case_where_all_are() -> None:
    home = await house(mode="bearer", field_case="camel")
    device = home.device()
    device.access_token = (await device.sign_in()).json["accessToken"]
    rows = await listed(device)
    assert set(rows[0]) == {"id", "name", "at", "ip", "session", "detail"}


async def test_a_database_that_is_silent_is_told_as_such() -> None:
    """ASVS 16.5.3."""
    home = await house(mode="bearer")
    device = await home.signed_in()

    async def silent(*_: object, **__: object) -> None:
        raise Unavailable

    instead(home.auth.world.store, "list_events", silent)
    assert (await device.get("/auth/events")).code == "unavailable"


async def test_a_table_that_cannot_be_written_can_be_read() -> None:
    """F14: a full disk."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    shown = await listed(device)

    async def full(*_: object) -> None:
        raise Unavailable

    instead(home.auth.world.store, "append_events", full)
    await home.auth.users.enable(ADA)
    assert await listed(device) == shown


async def test_the_route_is_described() -> None:
    home = await house(mode="bearer")
    document = (await call(home.app, "GET", "/auth/openapi.json")).json
    operation = document["paths"]["/auth/events"]["get"]
    assert {"200", "401", "422", "503"} <= set(operation["responses"])
    assert [parameter["name"] for parameter in operation["parameters"]] == ["before"]
    properties = document["components"]["schemas"]["EventBody"]["properties"]
    assert set(properties) == {"id", "name", "at", "ip", "session", "detail", "by"}


async def test_an_app_reads_anybodys_events_and_those_of_who_is_gone() -> None:
    """ASVS 16.2.1."""
    home = await house(ADA, EVE, mode="bearer")
    user = await home.auth.users.get(ADA)
    await home.signed_in(ADA)
    await home.auth.users.delete(ADA)
    with pytest.raises(NotFound):
        await home.auth.events.list(ADA)
    rows = await home.auth.events.list(user.id)
    names = [row.event.name for row in rows]
    assert names == ["user_deleted", "session_ended", "signed_in", "user_created"]
    assert len(await home.auth.events.list()) == 5
    assert [row.id for row in await home.auth.events.list(user.id, before=rows[0].id, limit=2)] == [
        row.id for row in rows[1:3]
    ]


# --- who did it


async def administer(home: House, verb: str, device: Device) -> None:
    users, sessions = home.auth.users, home.auth.sessions
    match verb:
        case "create":
            await users.create("bob@example.com")
        case "set_password":
            await users.set_password(ADA, "another way to Samarkand")
        case "disable":
            await users.disable(ADA)
        case "enable":
            await users.enable(ADA)
        case "set_roles":
            await users.set_roles(ADA, ["owner"])
        case "delete":
            await users.delete(ADA)
        case "revoke":
            [session] = await sessions.list(ADA)
            assert await sessions.revoke(session.sid)
        case "revoke_all":
            assert await sessions.revoke_all(ADA) == 1


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("create", "user_created"),
        ("set_password", "password_changed"),
        ("disable", "status_changed"),
        ("enable", "status_changed"),
        ("set_roles", "roles_changed"),
        ("delete", "user_deleted"),
        ("revoke", "session_ended"),
        ("revoke_all", "session_ended"),
    ],
)
async def test_what_an_administrator_does_leaves_a_trail(verb: str, name: str) -> None:
    """ASVS 16.2.1, 16.3.1: told apart from what the user did."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    told = len(home.events)
    await administer(home, verb, device)
    new = home.events[told:]
    assert name in [event.name for event in new]
    assert {event.by for event in new} == {"app"}
    assert all(event.user_id for event in new)


async def test_what_a_user_does_says_nobody_else() -> None:
    home = await house(mode="bearer")
    device = await home.signed_in()
    await device.post("/auth/logout", {"refresh_token": device.held})
    assert [event.by for event in home.events] == ["app", None, None]


# --- refusals


async def test_a_page_of_a_stranger_is_told() -> None:
    """ASVS 16.3.2, attack 82."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    device.origin = "https://evil.example"
    assert (await device.post("/auth/logout")).code == "csrf_rejected"
    assert denied(home) == [("csrf_rejected", None)]
    assert home.events[-1].ip == HERE


async def test_a_sign_in_that_is_too_old_is_told_with_whose_it_is() -> None:
    """ASVS 16.3.2."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    home.clock.travel("6m")
    assert (await device.delete("/auth/sessions")).code == "reauthentication_required"
    [row, *_] = await listed(device)
    assert (row["name"], row["detail"]) == ("access_denied", "reauthentication_required")
    assert row["session"] == (await device.get("/auth/me")).json["session"]["id"]


@pytest.mark.parametrize("mode", ["cookies", "bearer", "session"])
async def test_a_token_that_is_none_of_ours_is_told(mode: str) -> None:
    """ASVS 16.3.3: whoever forges one tries to get past a control."""
    home = await house(mode=mode)
    device = await home.signed_in()
    wrong = device.held[:-2] + ("AA" if device.held[-2:] != "AA" else "BB")
    assert (await device.refresh(wrong, keep=False)).code == "invalid_token"
    assert denied(home) == [("invalid_token", None)]


async def test_what_every_client_meets_in_a_day_is_no_denial() -> None:
    """Nobody would read the others among them."""
    home = await house(mode="bearer")
    device, nobody = await home.signed_in(), home.device()
    assert (await nobody.get("/auth/me")).code == "invalid_token"
    assert (await nobody.post("/auth/refresh", {})).code == "invalid_token"
    home.clock.travel("20m")
    assert (await device.get("/auth/me")).code == "token_expired"
    held = device.held
    await device.post("/auth/logout", {"refresh_token": held})
    assert (await device.refresh(held)).code == "session_ended"
    assert (await device.get("/auth/nothing")).status == 404
    assert denied(home) == []


@pytest.mark.parametrize("fastapi", [True, False], ids=["fastapi", "starlette"])
async def test_a_refusal_of_an_apps_own_route_is_told(fastapi: bool) -> None:
    """ASVS 16.3.2: roles, freshness and forged tokens, whatever the framework."""
    rooms = await empty(fastapi=fastapi)
    if fastapi:
        rooms.app.get("/owner", dependencies=[for_fastapi.require(role="owner")])(rooms.api("owner"))
    else:
        rooms.app.add_route("/owner", for_starlette.require(role="owner")(rooms.plain("owner")))
    furnish(rooms)
    token = await rooms.token()
    async with rooms.running():
        assert (await rooms.ask("GET", "/owner", token)).code == "forbidden"
        forged = ("authorization", str(token[1])[:-20] + "A" * 20)
        assert (await rooms.ask("GET", "/owner", forged)).code == "invalid_token"
        assert (await rooms.ask("GET", "/owner")).code == "invalid_token"
    user = await rooms.home.auth.users.get(ADA)
    assert denied(rooms.home) == [("forbidden", user.id), ("invalid_token", None)]
    assert rooms.ran == []


async def test_no_denial_repeats_what_was_asked_for() -> None:
    """ASVS 16.2.5: a path or a token may open something."""
    home = await house(mode="cookies")
    device = home.device(origin="https://evil.example")
    await device.post(
        "/auth/canary-path?canary=1", headers=[("x-canary", "canary"), ("cookie", "access_token=canary")]
    )
    [event] = [event for event in home.events if event.name == "access_denied"]
    assert "canary" not in str(event)


async def test_a_limit_that_nobody_can_count_is_told() -> None:
    """ASVS 16.3.4, 16.5.3."""

    class Silent:
        async def take(self, asked: object, *, now: int) -> int | None:
            raise Unavailable

    home = await house(mode="bearer", limits="on")
    object.__setattr__(home.auth.world, "limiter", Silent())
    answer: Answer = await home.device().sign_in()
    assert answer.code == "unavailable"
    assert [(event.name, event.detail, event.ip) for event in home.events[1:]] == [
        ("control_failed", "limits login", HERE)
    ]


async def test_a_right_password_that_must_not_do_is_a_failed_sign_in() -> None:
    """ASVS 16.3.1."""
    home = await house(mode="bearer")
    user = await home.auth.users.get(ADA)
    for verb in ("insert_quietly", "insert_session"):
        instead(home.auth.world.store, verb, _never)
    assert (await home.device().sign_in(password=PASSWORD)).code == "invalid_credentials"
    assert [(event.name, event.user_id, event.detail) for event in home.events[1:]] == [
        ("sign_in_failed", user.id, "changed")
    ]


async def _never(*_: object, **__: object) -> None:
    return None
